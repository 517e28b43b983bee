#!/usr/bin/env python3
"""`macvlan`: containers on the wire of a device of the host, with and without addresses."""

import json
import os

import traffic
from scenario import OUTSIDE, expect, main, run
from traffic import ask_tcp

MASTER = "up-outside"


def on_wire(name, first, *, master=MASTER, ipam=None, **keys):
    """192.0.2.<first> and following: the subnet of the wire itself."""
    ipam = ipam if ipam is not None else {
        "type": "host-local", "ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": f"192.0.2.{first}",
                                           "rangeEnd": f"192.0.2.{first + 9}", "gateway": OUTSIDE}]],
        "routes": [{"dst": "0.0.0.0/0"}]}
    plugin = {"type": "macvlan", "ipam": ipam, **keys}
    if master:
        plugin["master"] = master
    return {"cniVersion": "1.0.0", "name": name, "plugins": [plugin]}


def link_of(attachment, name="eth0"):
    return json.loads(attachment.container.run(["ip", "-d", "-j", "link", "show", name]).stdout)[0]


def neighbours_on_the_wire(host):
    net = on_wire("wire", 100)
    one, two = host.attach(net, "one"), host.attach(net, "two")
    traffic.tcp_service("two", two.netns, 80)
    traffic.tcp_service("outside", host.outside.netns, 80)
    expect(ask_tcp(one.netns, two.address, 80), f"two {one.address}", "container to container, mode bridge")
    expect(ask_tcp(one.netns, OUTSIDE, 80), f"outside {one.address}", "the wire, under its own address")
    expect([i["name"] for i in one.result["interfaces"]], ["eth0"], "interfaces of the result")
    expect(one.result["interfaces"][0]["mac"], link_of(one)["address"], "hardware address of the result")
    assert one.result["interfaces"][0]["mac"] != two.result["interfaces"][0]["mac"]
    host.lab.runtime.chain_check(net, one.container, one.result)
    one.container.run(["ip", "link", "del", "eth0"])
    outcome = host.lab.runtime.call("macvlan", "CHECK",
                                    {"cniVersion": "1.0.0", "name": "wire", **net["plugins"][0], "prevResult": one.result},
                                    one.container)
    outcome.expect_error(107)


def modes_and_settings(host):
    for number, mode in enumerate(("private", "vepa", "bridge")):
        net = on_wire(f"mode{number}", 110 + 10 * number, mode=mode, mtu=1300, bcqueuelen=50, mac="02:00:00:00:01:05")
        one = host.attach(net, f"one{number}")
        link = link_of(one)
        expect(link["linkinfo"]["info_data"]["mode"], mode, "mode")
        expect(link["linkinfo"]["info_data"].get("bcqueuelen"), 50, "queue of broadcasts")
        expect((link["mtu"], link["address"]), (1300, "02:00:00:00:01:05"), "MTU and address")
        host.detach(one)
    one = host.attach(on_wire("pass", 140, mode="passthru"), "onepass")
    expect(link_of(one)["address"], json.loads(run("ip", "-j", "link", "show", MASTER))[0]["address"], "passthru's address")


def without_addresses(host):
    container = host.lab.container("l2", process=False)
    config = {"cniVersion": "1.0.0", "name": "l2", "type": "macvlan", "master": MASTER}
    result = host.lab.runtime.call("macvlan", "ADD", config, container).expect_ok().json
    assert not result.get("ips"), result
    assert "UP" in json.loads(container.run(["ip", "-j", "link", "show", "eth0"]).stdout)[0]["flags"]
    host.lab.runtime.call("macvlan", "DEL", config, container, netns="").expect_ok()
    expect(container.run(["ip", "link", "show", "eth0"], check=False).returncode != 0, True, "gone, without CNI_NETNS")
    host.lab.remove(container)


def the_default_route_chooses(host):
    run("ip", "route", "add", "default", "via", OUTSIDE)
    one = host.attach(on_wire("default", 150, master=None), "one")
    traffic.tcp_service("outside", host.outside.netns, 80)
    expect(ask_tcp(one.netns, OUTSIDE, 80), f"outside {one.address}", "by the master of the default route")
    host.detach(one)
    run("ip", "route", "del", "default")
    container = host.lab.container("lost", process=False)
    config = {"cniVersion": "1.0.0", "name": "default", **on_wire("default", 150, master=None)["plugins"][0]}
    refused = host.lab.runtime.call("macvlan", "ADD", config, container).expect_error(7)
    assert "no default route interface found" in refused.json["msg"], refused.json
    refused = host.lab.runtime.call("macvlan", "ADD", {**config, "master": MASTER, "mtu": 9000}, container).expect_error(7)
    assert "invalid MTU 9000, must be [0, master MTU(1500)]" in refused.json["msg"], refused.json
    refused = host.lab.runtime.call("macvlan", "ADD", {**config, "master": "nowhere"}, container).expect_error(7)
    assert "nowhere" in refused.json["msg"], refused.json
    run("ip", "link", "add", "idle", "type", "veth", "peer", "name", "idle-peer")
    refused = host.lab.runtime.call("macvlan", "ADD", {**config, "master": "idle"}, container).expect_error(7)
    assert "is down" in refused.json["msg"], refused.json
    run("ip", "link", "del", "idle")
    host.lab.remove(container)


def a_master_in_the_container(host):
    container = host.lab.container("nested", process=False)
    container.run(["ip", "link", "add", "inner", "type", "veth", "peer", "name", "other"])
    container.run(["ip", "link", "set", "inner", "up"])
    config = {"cniVersion": "1.0.0", "name": "nested", "type": "macvlan", "master": "inner", "linkInContainer": True}
    host.lab.runtime.call("macvlan", "ADD", config, container).expect_ok()
    assert "inner" in container.run(["ip", "-o", "link", "show", "eth0"]).stdout
    host.lab.runtime.call("macvlan", "DEL", config, container).expect_ok()
    expect(container.run(["ip", "link", "show", "eth0"], check=False).returncode != 0, True, "gone")
    container.run(["ip", "link", "show", "inner"])
    host.lab.remove(container)


def strangers_stay(host):
    """An interface that has the name already is neither replaced nor, when ADD is taken back, deleted."""
    container = host.lab.container("taken", process=False)
    container.run(["ip", "link", "add", "inner", "type", "veth", "peer", "name", "other"])
    container.run(["ip", "link", "add", "link", "inner", "name", "eth0", "type", "macvlan"])
    config = {"cniVersion": "1.0.0", "name": "taken", **on_wire("taken", 160)["plugins"][0]}
    host.lab.runtime.call("macvlan", "ADD", config, container).expect_error(104)
    host.lab.runtime.call("macvlan", "DEL", config, container).expect_ok()
    container.run(["ip", "link", "show", "eth0"])
    host.lab.remove(container)


def a_dead_container_gives_its_address_back(host):
    net = on_wire("one", 170)
    net["plugins"][0]["ipam"]["ranges"][0][0]["rangeEnd"] = "192.0.2.170"
    container = host.lab.container("dead", process=False)
    config = {"cniVersion": "1.0.0", "name": "one", **net["plugins"][0]}
    host.lab.runtime.call("macvlan", "ADD", config, container).expect_ok()
    host.lab.remove(container)
    assert not os.path.exists(container.netns)
    heir = host.attach(net, "heir")
    expect(heir.address, "192.0.2.170", "the only address")


main(neighbours_on_the_wire, modes_and_settings, without_addresses, the_default_route_chooses, a_master_in_the_container,
     strangers_stay, a_dead_container_gives_its_address_back)
