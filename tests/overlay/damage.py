#!/usr/bin/env python3
"""What somebody takes away by hand: CHECK and `netctl check` name it, `netctl repair` mends it, traffic comes back."""

import glob
import json
import os

from world import Pod, main, make_hosts, must_ping, nodes_of, overlay
from lab.hosts import WORK


def _neighbour(pods):
    return pods[1].v4.rsplit(".", 1)[0] + ".0"


def _damages(hosts, pods, mode):
    """(name, command on host 1, words of the finding)"""
    vtep = next(link["ifname"] for link in hosts[0].ip_json("link") if link["ifname"].startswith("nv"))
    neighbours = hosts[0].ip_json("neigh", "show", "dev", vtep)
    address = _neighbour(pods) if mode == "routed" else pods[1].v4
    mac = next(entry["lladdr"] for entry in neighbours if entry["dst"] == address)
    yield "device deleted", ["ip", "link", "del", vtep], "is gone"
    yield "device down", ["ip", "link", "set", vtep, "down"], "is down"
    yield "MTU", ["ip", "link", "set", vtep, "mtu", "1300"], "the MTU of"
    yield "neighbour deleted", ["ip", "neigh", "del", address, "dev", vtep], f"the neighbour {address}"
    yield "neighbour falsified", ["ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", vtep,
                                  "nud", "permanent"], f"the neighbour {address}"
    yield "FDB entry deleted", ["bridge", "fdb", "del", mac, "dev", vtep, "dst", hosts[1].vtep,
                                "self"], "the forwarding entry"
    yield "FDB entry falsified", ["bridge", "fdb", "replace", mac, "dev", vtep, "dst", hosts[2].vtep, "self",
                                  "permanent"], "the forwarding entry"
    yield "nft set emptied", ["nft", "flush", "set", "inet", "netctl", "tunnel_peers4"], "tunnel_peers4"
    yield "nft table deleted", ["nft", "delete", "table", "inet", "netctl"], "table inet netctl is missing"
    if mode == "routed":
        yield "route deleted", ["ip", "route", "del", "10.244.2.0/24"], "the route to 10.244.2.0/24"
        yield "nexthops flushed", ["ip", "nexthop", "flush"], "the nexthop"
        yield "address deleted", ["ip", "addr", "del", "10.244.1.0/32", "dev", vtep], "is missing on"


def _damage(lab, mode):
    hosts = make_hosts(lab)
    nodes = nodes_of(hosts, mode)
    pods = [Pod(host, overlay(host, nodes, mode=mode), f"pod{host.number}") for host in hosts]
    config = overlay(hosts[0], nodes, mode=mode)
    conflist = {"cniVersion": "1.1.0", "name": "multi",
                "plugins": [{key: value for key, value in config.items() if key not in ("name", "cniVersion")}]}
    with open(f"{WORK}/conf/10-multi.conflist", "w", encoding="utf-8") as file:
        json.dump(conflist, file)
    lease = glob.glob(f"{hosts[0].state}/overlay/*.json")[0]
    with open(lease, encoding="utf-8") as file:
        text = file.read()

    def mend(name, words):
        finding = pods[0].check().expect_error(107)
        assert words in finding.json["msg"], f"{name}: {finding.json['msg']}"
        checked = hosts[0].netctl("check", "--json")
        assert not checked.ok and words in checked.stdout, f"{name}: {checked.describe()}"
        hosts[0].netctl("repair", "multi").expect_ok()
        pods[0].check().expect_ok()
        for address in pods[1].addresses:
            must_ping(pods[0], address, name)

    for name, command, words in list(_damages(hosts, pods, mode)):
        hosts[0].run(command)
        mend(name, words)
    os.unlink(lease)
    mend("lease deleted", "is gone")
    for name, damaged in (("lease falsified", text.replace(hosts[1].vtep, hosts[2].vtep)), ("lease cut off", text[:100])):
        with open(lease, "w", encoding="utf-8") as file:
            file.write(damaged)
        mend(name, "is damaged")
    # Without repair the next ADD makes the device anew.
    vtep = next(link["ifname"] for link in hosts[0].ip_json("link") if link["ifname"].startswith("nv"))
    hosts[0].run(["ip", "link", "del", vtep])
    late = Pod(hosts[0], config, "late")
    must_ping(late, pods[1].v4, "after the next ADD")
    must_ping(pods[0], pods[1].v4, "after the next ADD")
    for pod in (*pods, late):
        pod.delete()
    for host in hosts:
        host.assert_nothing_left()


def routed(lab):
    _damage(lab, "routed")


def l2(lab):
    _damage(lab, "l2")


if __name__ == "__main__":
    main(routed, l2)
