"""What somebody deletes or falsifies by hand on a host is mended by its agent, at once."""

import json
import pathlib
import subprocess
import time

import etcd_server
from agent_lab import SLACK, SWITCH, Lab, Switch, say, wait_until


def damage(host):
    """Name and commands, each for a host that is whole."""
    device = host.device
    fdb, neighbours, routes = host.entries()
    mac, vtep = sorted(fdb)[0]
    address, _ = sorted(neighbours)[0]
    destination, _ = sorted(routes)[0]
    return {
        "device deleted": [["ip", "link", "del", device]],
        "device down": [["ip", "link", "set", device, "down"]],
        "other MTU": [["ip", "link", "set", device, "mtu", "1300"]],
        "other hardware address": [["ip", "link", "set", device, "address", "02:00:00:00:00:01"]],
        "address deleted": [["ip", "addr", "flush", "dev", device]],
        "route deleted": [["ip", "route", "del", destination]],
        "nexthops flushed": [["ip", "nexthop", "flush", "dev", device]],
        "neighbour deleted": [["ip", "neigh", "del", address, "dev", device]],
        "FDB entry deleted": [["bridge", "fdb", "del", mac, "dev", device, "dst", vtep]],
        "all at once": [["ip", "route", "del", destination], ["ip", "neigh", "del", address, "dev", device],
                        ["bridge", "fdb", "del", mac, "dev", device, "dst", vtep]],
    }


def state(host):
    """None while the agent is just replacing the device."""
    try:
        return host.link(), host.entries()
    except (subprocess.CalledProcessError, TypeError):
        return None


def mended(host, peer, whole, name, commands):
    for command in commands:
        host.machine.run(command)
    began = time.monotonic()
    wait_until(lambda: state(host) == whole and host.ping(peer) == 1, f"mended: {name}")
    seconds = time.monotonic() - began
    assert seconds < 1.0 * SLACK, (name, seconds)
    say(f"{name}: traffic is back after {seconds * 1000:.0f} ms")


def lease_file(host):
    path = pathlib.Path(f"{host.state}/overlay/lab.lease.json")

    def content():
        """But for the time of the last confirmation."""
        lease, nodes = (json.loads(line) for line in path.read_text().splitlines())
        return {key: value for key, value in lease.items() if key not in ("confirmedAt", "digest")}, nodes

    text, whole = path.read_text(), content()
    for falsified in (text.replace(host.blocks[0], "10.64.99.0/24"), text[:100], "", None):
        if falsified is None:
            path.unlink()
        else:
            path.write_text(falsified)
        assert host.ask("/v1/sync/lab", "POST")[0] == 200
        assert content() == whole, "the lease was not written anew"
    say("lease file falsified, cut off, emptied, deleted: written anew")


def rest(host):
    """Whoever mends must not answer its own changes."""
    before = host.ask("/metrics")[1]
    time.sleep(1)
    count = [line for line in before.splitlines() if line.startswith("netctl_overlay_reconciles_total")]
    assert count[0] in host.ask("/metrics")[1], "the agent does not come to rest"


def main():
    program = etcd_server.unpacked()
    with Lab(duplicate_detection=False) as lab:
        switch = Switch(lab)
        etcd = etcd_server.Cluster(program, "/run/lab/etcd", address=SWITCH).start()
        hosts = [switch.host() for _ in range(3)]
        for host in hosts:
            host.configure({"type": "etcd", "endpoints": etcd.endpoints})
            host.start()
        for host in hosts:
            host.settle(3)
        peer = next(other.overlay_address for other in hosts[1:]
                    if (f"{other.overlay_address}/24" == sorted(hosts[0].entries()[2])[0][0]))
        hosts[0].reaches(peer)
        whole = state(hosts[0])
        for name, commands in damage(hosts[0]).items():
            mended(hosts[0], peer, whole, name, commands)
        rest(hosts[0])
        lease_file(hosts[0])
        etcd.stop()


main()
