#!/usr/bin/env python3
"""What real clients pass, call by call: environment and stdin in the shape that each of them was seen to use.

ctr and the CRI of containerd 1.6 to 2.1, podman 4.3 with its CNI backend, libcni 1.3. stdin is compact JSON without a
newline, keeps `capabilities`, and carries keys that a plugin does not know.
"""

import json
import os

import traffic
from scenario import HOST, OUTSIDE, expect, link_address, main, port, run
from traffic import ask_tcp

from lab.plugins import run_process

POD = "b05e410807bc5ca76860d56910e047869bf9fd454ee444d5c4a667bab55e2ac9"
BRIDGE_KEYS = {"type": "bridge", "isGateway": True, "ipMasq": True, "hairpinMode": True}


def _ipam(subnet, **keys):
    return {"type": "host-local", "ranges": [[{"subnet": subnet, **keys}]], "routes": [{"dst": "0.0.0.0/0"}]}


def _call(host, plugin, verb, config, *, container_id="", netns="", ifname="eth0", args="", path=None):
    """Every CNI_* variable is set, as these clients do, if only to an empty text."""
    stdin = json.dumps(config, separators=(",", ":")).encode()
    return host.lab.runtime.call(plugin, verb, None, stdin=stdin, container_id=container_id, netns=netns, ifname=ifname,
                                 args=args, path=path).expect_ok()


def ctr(host):
    """CNI_PATH of two folders, a netns path of the process, and a DEL after the process is gone: CNI_NETNS is empty."""
    container = host.lab.container("ctr")
    config = {**BRIDGE_KEYS, "cniVersion": "0.4.0", "name": "lab", "bridge": "br-lab", "ipam": _ipam("10.88.0.0/16")}
    call = {"container_id": "default-c1", "path": f"/nowhere/cni:{host.lab.runtime.folder}"}
    result = _call(host, "bridge", "ADD", config, netns=f"/proc/{container.pid}/ns/net", **call).json
    expect(result["ips"][0]["version"], "4", "the form of addresses in 0.4.0")
    portmap = {"type": "portmap", "cniVersion": "0.4.0", "name": "lab", "capabilities": {"portMappings": True}}
    expect(_call(host, "portmap", "ADD", {**portmap, "prevResult": result}, netns=f"/proc/{container.pid}/ns/net",
                 **call).json, result, "what portmap passes on")
    host.lab.remove(container)
    _call(host, "portmap", "DEL", {**portmap, "prevResult": result}, **call)
    _call(host, "bridge", "DEL", {**config, "prevResult": result}, **call)


def cri(host):
    """loopback and the pod's network; Go's spelling of keys, nulls, foreign capabilities; DEL three times over."""
    pod = host.lab.container("cni-b096882e")
    words = ["K8S_POD_NAMESPACE=default", "K8S_POD_NAME=p1", f"K8S_POD_INFRA_CONTAINER_ID={POD}", "K8S_POD_UID=uid-1"]
    add_args = ";".join(words[1:] + ["IgnoreUnknown=1"] + words[:1])
    del_args = ";".join(["IgnoreUnknown=1"] + words)
    loopback = {"cniVersion": "0.3.1", "name": "cni-loopback", "type": "loopback"}
    capabilities = {"bandwidth": True, "cgroupPath": True, "dns": True, "io.kubernetes.cri.pod-annotations": True,
                    "ipRanges": True, "mac": True}
    rate = {"IngressRate": 10000000, "IngressBurst": 4294967295, "EgressRate": 20000000, "EgressBurst": 4294967295}
    bridge = {**BRIDGE_KEYS, "cniVersion": "1.0.0", "name": "labcri", "bridge": "br-cri", "capabilities": capabilities,
              "ipam": _ipam("10.89.0.0/16"),
              "runtimeConfig": {"bandwidth": rate,
                                "dns": {"Servers": ["10.96.0.10"], "Searches": ["svc.local"], "Options": None},
                                "io.kubernetes.cri.pod-annotations": {"kubernetes.io/egress-bandwidth": "20M"}}}
    mappings = [{"HostPort": 8088, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""},
                {"HostPort": 5353, "ContainerPort": 53, "Protocol": "udp", "HostIP": "127.0.0.1"}]
    portmap = {"cniVersion": "1.0.0", "name": "labcri", "type": "portmap", "capabilities": {"portMappings": True},
               "runtimeConfig": {"portMappings": mappings}}

    call = {"container_id": POD, "netns": pod.netns, "args": add_args}
    _call(host, "loopback", "ADD", loopback, **{**call, "ifname": "lo"})
    result = _call(host, "bridge", "ADD", bridge, **call).json
    expect(result["dns"], {"nameservers": ["10.96.0.10"], "search": ["svc.local"]}, "dns of the result")
    result = _call(host, "portmap", "ADD", {**portmap, "prevResult": result}, **call).json
    traffic.tcp_service("pod", pod.netns, 80)
    expect(ask_tcp(host.outside.netns, HOST, 8088), f"pod {OUTSIDE}", "the published port")
    listing = host.lab.runtime.netctl("ps").expect_ok().stdout
    assert "p1" in listing, f"netctl ps does not name the pod:\n{listing}"

    call["args"] = del_args
    _call(host, "loopback", "DEL", loopback, **{**call, "ifname": "lo"})
    _call(host, "portmap", "DEL", {**portmap, "prevResult": result}, **call)
    _call(host, "bridge", "DEL", {**bridge, "prevResult": result}, **call)
    host.lab.remove(pod)
    for _ in range(2):  # at every further stop and at the removal
        for plugin, config in (("loopback", loopback), ("portmap", portmap), ("bridge", bridge)):
            _call(host, plugin, "DEL", config, container_id=POD, args=del_args,
                  ifname="lo" if plugin == "loopback" else "eth0")


def podman(host):
    """VERSION with nonsense around it; static addresses in CNI_ARGS; a second endpoint with the same port mappings."""
    known = _call(host, "bridge", "VERSION", {"cniVersion": "1.0.0"}, netns="dummy", ifname="dummy", path="dummy").json
    assert "1.1.0" in known["supportedVersions"] and "0.1.0" in known["supportedVersions"], known
    container = host.lab.container("netns-33de0d64")
    args = "IgnoreUnknown=1;K8S_POD_NAME=w2;MAC=02:aa:bb:cc:dd:ee;IP=10.90.0.50"
    mappings = [{"hostPort": 8090, "containerPort": 80, "protocol": "tcp"}]
    endpoints = []
    for ifname, name, subnet, arguments in (("eth0", "labnet", "10.90.0.0/24", args),
                                            ("eth1", "second", "10.91.0.0/24", "IgnoreUnknown=1;K8S_POD_NAME=w2")):
        bridge = {**BRIDGE_KEYS, "cniVersion": "0.4.0", "name": name, "bridge": f"br-{name}",
                  "capabilities": {"ips": True}, "ipam": _ipam(subnet, gateway=subnet.replace("0/24", "1"))}
        portmap = {"cniVersion": "0.4.0", "name": name, "type": "portmap", "capabilities": {"portMappings": True},
                   "runtimeConfig": {"portMappings": mappings}}
        call = {"container_id": POD, "netns": container.netns, "ifname": ifname, "args": arguments}
        result = _call(host, "bridge", "ADD", bridge, **call).json
        _call(host, "portmap", "ADD", {**portmap, "prevResult": result}, **call)
        endpoints.append((bridge, portmap, call, result))
    expect(endpoints[0][3]["ips"][0]["address"], "10.90.0.50/24", "the address of CNI_ARGS")
    expect(link_address("eth0", container), "02:aa:bb:cc:dd:ee", "the MAC address of CNI_ARGS")
    traffic.tcp_service("w2", container.netns, 80)
    expect(ask_tcp(host.outside.netns, HOST, 8090), f"w2 {OUTSIDE}", "the published port")
    for bridge, portmap, call, result in reversed(endpoints):
        _call(host, "portmap", "DEL", {**portmap, "prevResult": result}, **call)
        _call(host, "bridge", "DEL", {**bridge, "prevResult": result}, **call)


def libcni(host):
    """CHECK with the last result, STATUS and GC with empty variables, both spellings of the list of the living."""
    alive, stale = host.lab.container("alive"), host.lab.container("stale")
    bridge = {**BRIDGE_KEYS, "cniVersion": "1.1.0", "name": "dnet", "bridge": "br-dnet", "ipam": {
        "type": "host-local", "ranges": [[{"subnet": "10.94.0.0/24"}], [{"subnet": "fd94::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}
    portmap = {"cniVersion": "1.1.0", "name": "dnet", "type": "portmap", "capabilities": {"portMappings": True},
               "runtimeConfig": {"portMappings": [port(8094, 80)]}}
    for plugin, config in (("bridge", bridge), ("portmap", {**portmap, "runtimeConfig": {}})):
        _call(host, plugin, "STATUS", config, ifname="")
    result = _call(host, "bridge", "ADD", bridge, container_id="alive", netns=alive.netns).json
    result = _call(host, "portmap", "ADD", {**portmap, "prevResult": result}, container_id="alive",
                   netns=alive.netns).json
    _call(host, "bridge", "ADD", bridge, container_id="stale", netns=stale.netns)
    for plugin, config in (("bridge", bridge), ("portmap", portmap)):
        _call(host, plugin, "CHECK", {**config, "prevResult": result}, container_id="alive", netns=alive.netns)
    living = [{"containerID": "alive", "ifname": "eth0"}]
    for plugin, config in (("bridge", bridge), ("portmap", {**portmap, "runtimeConfig": {}})):
        _call(host, plugin, "GC", {**config, "cni.dev/valid-attachments": living, "cni.dev/attachments": living}, ifname="")
    links = json.loads(run("ip", "-j", "link", "show", "master", "br-dnet"))
    expect(len(links), 1, "links after GC: the stale one went, the living one stayed")
    _call(host, "bridge", "CHECK", {**bridge, "prevResult": result}, container_id="alive", netns=alive.netns)
    for plugin, config in (("portmap", portmap), ("bridge", bridge)):
        _call(host, plugin, "DEL", {**config, "prevResult": result}, container_id="alive", netns=alive.netns)


def foreign_plugins_use_our_addresses(host):
    """host-local stands alone: another plugin finds it through CNI_PATH."""
    reference = "/usr/lib/cni"
    assert os.access(f"{reference}/ptp", os.X_OK), "the package containernetworking-plugins is missing"
    container = host.lab.container("foreign")
    config = {"type": "ptp", "cniVersion": "1.0.0", "name": "foreign", "ipam": _ipam("10.96.0.0/24")}
    environment = host.lab.runtime.environment("ADD", "foreign", container.netns, "eth0",
                                               path=f"{host.lab.runtime.folder}:{reference}")
    result = _foreign(f"{reference}/ptp", config, environment)
    expect(result["ips"][0]["address"], "10.96.0.2/24", "the address that host-local gave")
    _foreign(f"{reference}/ptp", config, {**environment, "CNI_COMMAND": "DEL"})
    run("sysctl", "-q", "net.ipv4.ip_forward=0")  # the reference's way is to leave it on


def _foreign(program, config, environment):
    done = run_process([program], json.dumps(config).encode(), environment, 30)
    assert done.ok, done.describe()
    return done.json


main(ctr, cri, podman, libcni, foreign_plugins_use_our_addresses)
