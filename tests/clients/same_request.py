#!/usr/bin/env python3
"""One network, four doors: a CNI chain, the OCI hook, netavark's plugin and Docker's driver attach the same container.

What is compared is what the kernel and the record show: the host's end, its bridge, the rules and their elements, the
container's side. Docker puts the link into the container itself; what it has to do there is listed and checked.
"""

import json
import os
import subprocess

from client import Lab, bridge_conflist, say, snapshot
from lab import bin_dir
from lab.docker import PluginDaemon
from lab.processes import in_own_pid_namespace

NAME, SUBNET, BRIDGE, MTU = "same", "10.94.0.0/24", "br-same", 1400
ADDRESS, MAC, HOST_PORT = "10.94.0.9", "02:00:00:00:94:09", 8094
# One attachment is compared with the next: the same identity gives the same names, addresses and comments.
ID = "c0ffee" * 10 + "abcd"
NETWORK_ID = "ab" * 32
# What Docker does in the sandbox itself, in this order, with what Join answers. Its routes carry no mark of ours, and the
# interface has none of our sysctls (clients.docker shows that Docker switches IPv6 off there).
DOCKERS_SHARE = ["loopback", "link", "name", "addresses", "up", "routes"]
DOCKERS_ROUTE = "route4 unicast default eth0 table main"
DOCKERS_SYSCTLS = {"sysctl net/ipv4/conf/eth0/arp_notify": "1", "sysctl net/ipv6/conf/eth0/accept_ra": "0"}


class Cni:
    runtime = ""

    def __init__(self, lab):
        self.lab = lab
        self.conflist = bridge_conflist(NAME, SUBNET, BRIDGE, bridge_keys={"isDefaultGateway": True, "mtu": MTU},
                                        ipam_keys={"routes": []})
        self.wishes = {"portMappings": [{"hostPort": HOST_PORT, "containerPort": 80, "protocol": "tcp"}]}
        self.args = f"IgnoreUnknown=1;IP={ADDRESS};MAC={MAC}"

    def attach(self, container):
        container.id = ID
        self.lab.runtime.chain_add(self.conflist, container, runtime_config=self.wishes, args=self.args)

    def detach(self, container):
        self.lab.runtime.chain_del(self.conflist, container, runtime_config=self.wishes, args=self.args)


class Hook:
    def __init__(self, lab, conflist):
        self.path = f"{lab.conf_dir}/same.conflist"
        self.conflist = conflist

    @staticmethod
    def call(container, status):
        state = {"ociVersion": "1.0.2", "id": ID, "status": status, "pid": container.pid, "bundle": "/run", "annotations": {
            "io.netctl.network": NAME, "io.netctl.ip": ADDRESS, "io.netctl.mac": MAC,
            "io.netctl.publish": f"{HOST_PORT}:80"}}
        subprocess.run([f"{bin_dir()}/netctl-hook"], input=json.dumps(state), text=True, check=True)

    def attach(self, container):
        with open(self.path, "w", encoding="ascii") as file:
            json.dump(self.conflist, file)
        self.call(container, "creating")

    def detach(self, container):
        self.call(container, "stopped")
        os.unlink(self.path)  # Docker's network may not be called as one that a file describes


class Netavark:
    @staticmethod
    def call(verb, container):
        network = {"name": NAME, "id": NETWORK_ID, "driver": "netctl-bridge", "network_interface": BRIDGE,
                   "subnets": [{"subnet": SUBNET, "gateway": "10.94.0.1"}], "options": {"mtu": str(MTU)}}
        document = {"container_id": ID, "container_name": "", "network": network, "network_options": {
            "interface_name": "eth0", "static_ips": [ADDRESS], "static_mac": MAC},
            "port_mappings": [{"host_ip": "", "host_port": HOST_PORT, "container_port": 80, "protocol": "tcp", "range": 1}]}
        done = subprocess.run([f"{bin_dir()}/netctl-netavark", verb, container.netns], input=json.dumps(document),
                              text=True, capture_output=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def attach(self, container):
        status = json.loads(self.call("setup", container))
        assert status["interfaces"]["eth0"] == {
            "mac_address": MAC, "subnets": [{"ipnet": f"{ADDRESS}/24", "gateway": "10.94.0.1"}]}, status

    def detach(self, container):
        assert self.call("teardown", container) == ""


class Docker:
    """The calls of libnetwork, and what it does itself between them."""

    endpoint = {"NetworkID": NETWORK_ID, "EndpointID": ID}

    def __init__(self, lab):
        self.daemon = PluginDaemon(lab)

    def create(self):
        self.call("IpamDriver.RequestPool", {"AddressSpace": "netctl", "Pool": SUBNET})
        self.call("NetworkDriver.CreateNetwork", {
            "NetworkID": NETWORK_ID, "IPv4Data": [{"Pool": SUBNET, "Gateway": "10.94.0.1/24"}], "IPv6Data": [],
            "Options": {"com.docker.network.generic": {
                "io.netctl.name": NAME, "io.netctl.isolation": "false", "com.docker.network.bridge.name": BRIDGE,
                "com.docker.network.driver.mtu": str(MTU)}}})

    def call(self, path, document):
        status, answer = self.daemon.call(f"/{path}", document)
        assert status == 200 and not answer.get("Err"), (path, status, answer)
        return answer

    def attach(self, container):
        self.create()
        ports = {"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostPort": HOST_PORT, "HostPortEnd": HOST_PORT}]}
        self.call("NetworkDriver.CreateEndpoint", {
            **self.endpoint, "Interface": {"Address": f"{ADDRESS}/24", "MacAddress": MAC}, "Options": ports})
        answer = self.call("NetworkDriver.Join", {**self.endpoint, "SandboxKey": container.netns})
        source, name = answer["InterfaceName"]["SrcName"], f"{answer['InterfaceName']['DstPrefix']}0"
        assert answer["StaticRoutes"] == [] and "GatewayIPv6" not in answer, answer
        done = {}
        inside = container.run
        done["loopback"] = inside(["ip", "link", "set", "lo", "up"])
        done["link"] = subprocess.run(["ip", "link", "set", source, "netns", container.netns], check=True)
        done["name"] = inside(["ip", "link", "set", source, "name", name])
        done["addresses"] = inside(["ip", "addr", "add", f"{ADDRESS}/24", "brd", "+", "dev", name])
        done["up"] = inside(["ip", "link", "set", name, "up"])
        done["routes"] = inside(["ip", "route", "add", "default", "via", answer["Gateway"]])
        assert list(done) == DOCKERS_SHARE
        self.call("NetworkDriver.ProgramExternalConnectivity", {**self.endpoint, "Options": ports})

    def detach(self, container):
        self.call("NetworkDriver.RevokeExternalConnectivity", self.endpoint)
        self.call("NetworkDriver.Leave", self.endpoint)
        self.call("NetworkDriver.DeleteEndpoint", self.endpoint)
        self.call("IpamDriver.ReleasePool", {"PoolID": f"netctl/{SUBNET}"})
        self.call("NetworkDriver.DeleteNetwork", {"NetworkID": NETWORK_ID})


def record_of(lab):
    """What every door must have written alike: the result is the whole plan, as ADD reports it."""
    (record,) = lab.runtime.netctl("inspect", ID).expect_ok().json["attachments"]
    keys = ("containerID", "network", "ifname", "addresses", "ports", "mac", "hostInterface", "bridge", "result")
    record["result"]["interfaces"][2]["sandbox"] = "the container"  # the hook names it by the process
    return {key: record[key] for key in keys}


def stable(lines):
    """Link numbers come from a counter of the kernel; sysctls are compared where a door sets them."""
    kept = {}
    for key, text in lines.items():
        if key in DOCKERS_SYSCTLS or key.startswith(("link ", "addr ", "nft ", "route", "fdb ", "qdisc ")):
            try:
                document = text if key in DOCKERS_SYSCTLS else json.loads(text)
            except ValueError:
                document = text
            if isinstance(document, dict):
                for volatile in ("ifindex", "link_index", "link_netnsid", "index"):
                    document.pop(volatile, None)
            kept[key] = document
    return kept


def seen_through(lab, door, before):
    container = lab.container("guest")
    door.attach(container)
    host = {key: value for key, value in stable(snapshot.settled()).items() if key not in before}
    inside = {key: value for key, value in stable(snapshot.settled(netns=container.netns)).items()
              if not key.startswith(("nft", "qdisc"))}
    record = record_of(lab)
    lab.runtime.netctl("check").expect_ok()
    door.detach(container)
    lab.remove(container)
    return {"host": host, "container": inside, "record": record}


def expect_dockers_share(docker, cni):
    """Takes the differences that must be there out of `docker`."""
    route = docker[DOCKERS_ROUTE]
    assert route["protocol"] == "boot" and cni[DOCKERS_ROUTE]["protocol"] == "110", route
    route["protocol"] = "110"
    for key, ours in DOCKERS_SYSCTLS.items():
        assert cni[key] == ours and docker[key] != ours, (key, docker[key])
        docker[key] = ours


def difference(one, other):
    lines = []
    for part in one:
        keys = one[part].keys() | other[part].keys()
        lines += [f"{part} {key}: {one[part].get(key)} / {other[part].get(key)}" for key in sorted(keys)
                  if one[part].get(key) != other[part].get(key)]
    return lines


def main():
    with Lab(duplicate_detection=False) as lab:
        cni = Cni(lab)
        doors = {"cni": cni, "hook": Hook(lab, cni.conflist), "netavark": Netavark(), "docker": Docker(lab)}
        before = snapshot.capture()
        known = stable(before)
        seen = {}
        for name, door in doors.items():
            seen[name] = seen_through(lab, door, known)
            snapshot.assert_same(before, f"after {name}")
        assert any(key.startswith("nft map") and str(HOST_PORT) in key for key in seen["cni"]["host"]), seen["cni"]["host"]
        expect_dockers_share(seen["docker"]["container"], seen["cni"]["container"])
        for name in list(doors)[1:]:
            lines = difference(seen["cni"], seen[name])
            assert not lines, f"cni / {name}:\n  " + "\n  ".join(lines)
            say(f"{name}: the same link, rules, elements and record as through CNI")


in_own_pid_namespace()
main()
