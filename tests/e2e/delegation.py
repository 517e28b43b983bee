#!/usr/bin/env python3
"""Debian's reference executables as IPAM under our bridge: host-local, static, and dhcp with a server on the wire."""

import os
import signal
import subprocess

import traffic
from scenario import addresses, expect, main, port, run, snapshot
from lab import Container, bin_dir, bridge_conflist
from lab.processes import wait_until

REFERENCE = "/usr/lib/cni"
FOLDER = "/run/plugins"


def folder_with(**links):
    """A directory for CNI_PATH: name -> the executable behind it ('_' stands for '-')."""
    os.makedirs(FOLDER)
    for name, target in links.items():
        os.symlink(target, f"{FOLDER}/{name.replace('_', '-')}")
    return FOLDER


def no_records(host):
    answer = host.lab.runtime.netctl("ps", "--json").expect_ok().json
    expect(answer["attachments"], [], "records")


def their_host_local_under_our_bridge(host):
    path = f"{bin_dir()}:{folder_with(reference_host_local=f'{REFERENCE}/host-local')}"
    ipam = {"type": "reference-host-local", "dataDir": "/run/leases"}
    conflist = bridge_conflist("theirs", "10.61.0.0/24", "br-theirs", ipam_keys=ipam)
    settings = {"portMappings": [port(8061, 80)]}
    containers = []
    for name in ("one", "two"):
        web = host.lab.container(name, process=False)
        mapped = settings if name == "one" else None
        web.result = host.lab.runtime.chain_add(conflist, web, runtime_config=mapped, path=path)
        host.lab.runtime.chain_check(conflist, web, web.result, runtime_config=mapped, path=path)
        containers.append(web)
    expect([addresses(web.result)[0] for web in containers], ["10.61.0.2", "10.61.0.3"], "their addresses")
    traffic.tcp_service("one", containers[0].netns, 80)
    expect(traffic.ask_tcp(containers[1].netns, "10.61.0.2", 80), "one 10.61.0.3", "one asks the other")
    expect(traffic.ask_tcp(host.outside.netns, "192.0.2.1", 8061), "one 192.0.2.2", "the published port")
    for web in containers:
        for _ in range(2):
            host.lab.runtime.chain_del(conflist, web, result=web.result, path=path)
        host.lab.remove(web)
    expect(sorted(os.listdir("/run/leases/theirs")), ["last_reserved_ip.0", "lock"], "what their IPAM leaves by itself")
    no_records(host)


def their_static_under_our_bridge(host):
    path = f"{bin_dir()}:{folder_with(reference_static=f'{REFERENCE}/static')}"
    ipam = {"type": "reference-static", "addresses": [{"address": "10.65.0.7/24", "gateway": "10.65.0.1"}],
            "routes": [{"dst": "0.0.0.0/0"}], "dns": {"nameservers": ["10.65.0.1"]}}
    config = {"cniVersion": "1.0.0", "name": "fixed", "type": "bridge", "bridge": "br-fixed", "isGateway": True,
              "ipam": ipam}
    web = host.lab.container("web", process=False)
    result = host.lab.runtime.call("bridge", "ADD", config, web, path=path).expect_ok().json
    expect(addresses(result), ["10.65.0.7"], "the address")
    expect(result["dns"], {"nameservers": ["10.65.0.1"]}, "the name server")
    web.run(["ping", "-c", "1", "-W", "5", "10.65.0.1"])
    host.lab.runtime.call("bridge", "CHECK", {**config, "prevResult": result}, web, path=path).expect_ok()
    for _ in range(2):
        host.lab.runtime.call("bridge", "DEL", {**config, "prevResult": result}, web, path=path).expect_ok()
    host.lab.remove(web)
    no_records(host)


def a_failing_ipam_leaves_nothing(host):
    path = f"{bin_dir()}:{folder_with(reference_host_local=f'{REFERENCE}/host-local')}"
    ipam = {"type": "reference-host-local", "dataDir": "/run/leases"}
    conflist = bridge_conflist("full", "10.62.0.0/30", "br-full", ipam_keys=ipam)
    config = {**conflist["plugins"][0], "name": "full", "cniVersion": "1.0.0"}
    one, two = (host.lab.container(name, process=False) for name in ("one", "two"))
    host.lab.runtime.call("bridge", "ADD", config, one, path=path).expect_ok()
    before = snapshot.settled()
    failure = host.lab.runtime.call("bridge", "ADD", config, two, path=path).expect_error(999)
    assert "no IP addresses available" in failure.json["msg"], failure.describe()
    snapshot.assert_same(before, "before and after an ADD that their IPAM refused")
    expect(two.run(["ip", "-o", "link"]).stdout.count("\n"), 1, "links in the container")
    host.lab.runtime.call("bridge", "DEL", config, one, path=path).expect_ok()
    for web in (one, two):
        host.lab.remove(web)
    no_records(host)


UDHCPD = """
start 10.63.0.100
end 10.63.0.120
interface eth0
lease_file /run/lab/udhcpd.leases
pidfile /run/lab/udhcpd.pid
option subnet 255.255.255.0
option router 10.63.0.1
option lease 3600
"""


def dhcp_server(lab):
    """Another machine on the same wire: a port of the bridge leads to it."""
    machine = Container("dhcp-server")
    lab.others.append(machine)
    run("ip", "link", "add", "br-dhcp", "type", "bridge")
    run("ip", "link", "set", "br-dhcp", "up")
    run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns", machine.netns)
    run("ip", "link", "set", "wire", "master", "br-dhcp", "up")
    machine.run(["ip", "addr", "add", "10.63.0.1/24", "dev", "eth0"])
    machine.run(["ip", "link", "set", "eth0", "up"])
    with open("/run/lab/udhcpd.conf", "w", encoding="ascii") as file:
        file.write(UDHCPD)
    open("/run/lab/udhcpd.leases", "w", encoding="ascii").close()
    return machine.spawn(["busybox", "udhcpd", "-f", "/run/lab/udhcpd.conf"], stderr=subprocess.DEVNULL)


def leases(server):
    """As the server writes them down when it is asked to; empty while it does."""
    os.kill(server.pid, signal.SIGUSR1)
    shown = subprocess.run(["busybox", "dumpleases", "-f", "/run/lab/udhcpd.leases"], capture_output=True, text=True,
                           check=False)
    return shown.stdout


def their_dhcp_under_our_bridge(host):
    lab = host.lab
    server = dhcp_server(lab)
    os.makedirs("/run/cni")
    daemon = lab.spawn([f"{REFERENCE}/dhcp", "daemon", "-socketpath", "/run/cni/dhcp.sock"], stderr=subprocess.DEVNULL)
    path = f"{bin_dir()}:{REFERENCE}"
    config = {"cniVersion": "1.0.0", "name": "wire", "type": "bridge", "bridge": "br-dhcp", "ipam": {"type": "dhcp"}}
    try:
        wait_until(lambda: os.path.exists("/run/cni/dhcp.sock"), "the daemon listens")
        before = snapshot.settled()
        web = lab.container("web", process=False)
        result = lab.runtime.call("bridge", "ADD", config, web, path=path, timeout=60).expect_ok().json
        expect(addresses(result)[0].rsplit(".", 1)[0], "10.63.0", "the leased address's network")
        shown = web.run(["ip", "-o", "-4", "addr", "show", "eth0"]).stdout
        assert addresses(result)[0] in shown, shown
        web.run(["ping", "-c", "1", "-W", "5", "10.63.0.1"])
        lab.runtime.call("bridge", "CHECK", {**config, "prevResult": result}, web, path=path).expect_ok()
        lab.runtime.call("bridge", "DEL", {**config, "prevResult": result}, web, path=path).expect_ok()
        wait_until(lambda: "expired" in leases(server), "the server has the lease back")
        expect(web.run(["ip", "-o", "link"]).stdout.count("\n"), 1, "links in the container after DEL")
        lab.remove(web)
        # What the daemon itself sent through the bridge is aged out by the kernel.
        snapshot.assert_same(before, "before ADD and after DEL")
        no_records(host)
    finally:
        for process in (daemon, server):
            process.kill()
            process.wait()
        run("ip", "link", "del", "wire")
        run("ip", "link", "del", "br-dhcp")


main(their_host_local_under_our_bridge, their_static_under_our_bridge, a_failing_ipam_leaves_nothing,
     their_dhcp_under_our_bridge)
