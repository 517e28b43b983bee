#!/usr/bin/env python3
"""bandwidth, chained behind bridge: what containers send and receive is as fast as it may be, and no faster."""

import json
import socket
import threading
import time

from scenario import OUTSIDE, expect, in_netns, main, network, run, snapshot
from lab.plugins import plugin_config

RATE = 8_000_000  # bits a second: a megabyte
BURST = 400_000  # bits: 50 kB, some packets of the largest kind
PAYLOAD = 1_000_000  # bytes: a second at that rate


def chain(name, number, limits):
    net = network(name, number, portmap=False)
    net["cniVersion"] = "1.1.0"
    net["plugins"].append({"type": "bandwidth", **limits})
    return net


def seconds(client, server, address, to_client):
    """How long PAYLOAD bytes take over one connection that `client` opens to `address` inside `server`."""
    with in_netns(server):
        listener = socket.create_server(("0.0.0.0", 0))
    with in_netns(client):
        near = socket.create_connection((address, listener.getsockname()[1]), timeout=30)
    far, _ = listener.accept()
    sender, receiver = (far, near) if to_client else (near, far)
    thread = threading.Thread(target=lambda: (sender.sendall(bytes(PAYLOAD)), sender.shutdown(socket.SHUT_WR)))
    began = time.monotonic()
    thread.start()
    received = 0
    while chunk := receiver.recv(1 << 20):
        received += len(chunk)
    taken = time.monotonic() - began
    thread.join()
    for one in (near, far, listener):
        one.close()
    expect(received, PAYLOAD, "bytes received")
    return taken


def expect_limited(what, *connection):
    """PAYLOAD without the burst takes 0.95 s at RATE; upwards a loaded machine is allowed to be slow."""
    taken = seconds(*connection)
    assert taken > 0.8, f"{what}: {PAYLOAD} bytes took {taken:.2f} s, which is faster than allowed"
    assert taken < 20, f"{what}: {PAYLOAD} bytes took {taken:.2f} s"


def expect_free(what, *connection):
    """One fast transfer proves it, however slow a loaded machine makes others."""
    taken = seconds(*connection)
    for _ in range(4):
        taken = taken if taken < 0.6 else seconds(*connection)
    assert taken < 0.6, f"{what}: {PAYLOAD} bytes took {taken:.2f} s, which looks limited"


def both_ways_are_limited(host):
    free = host.attach(chain("free", 60, {}), "free")
    for to_client in (True, False):
        expect_free(f"control, to the container: {to_client}", free.netns, None, "10.60.0.1", to_client)
    net = chain("slow", 61, {"ingressRate": RATE, "ingressBurst": BURST, "egressRate": RATE, "egressBurst": BURST})
    slow = host.attach(net, "slow")
    for to_client in (True, False):
        expect_limited(f"to the container: {to_client}", slow.netns, None, "10.61.0.1", to_client)
    device = slow.result["interfaces"][-1]
    expect((device["name"][:3], device.get("sandbox", "")), ("bwp", ""), "the device in the result")
    assert device["mac"] in run("ip", "link", "show", device["name"]), device
    host.lab.runtime.chain_check(net, slow.container, slow.result)
    # DEL needs nothing but the identity; the container goes on without a limit.
    host.lab.runtime.call("bandwidth", "DEL", plugin_config(net, net["plugins"][-1]), slow.container,
                          netns=None).expect_ok()
    for to_client in (True, False):
        expect_free(f"after DEL, to the container: {to_client}", slow.netns, None, "10.61.0.1", to_client)


def one_way_leaves_the_other_free(host):
    for number, (limited, to_client) in enumerate((("ingress", True), ("egress", False))):
        net = chain(f"one{number}", 62 + number, {f"{limited}Rate": RATE, f"{limited}Burst": BURST})
        slow = host.attach(net, f"one{number}")
        gateway = f"10.{62 + number}.0.1"
        expect_limited(f"{limited} is limited", slow.netns, None, gateway, to_client)
        expect_free(f"{limited} is limited, the other way", slow.netns, None, gateway, not to_client)


def subnets_are_picked_out(host):
    """By the other end's address, in both directions."""
    limits = {"ingressRate": RATE, "ingressBurst": BURST, "egressRate": RATE, "egressBurst": BURST}
    for number, (key, outside_is_limited) in enumerate((("shapedSubnets", True), ("unshapedSubnets", False))):
        slow = host.attach(chain(f"sub{number}", 64 + number, {**limits, key: ["192.0.2.0/24", "2001:db8::/32"]}),
                           f"sub{number}")
        for to_client in (True, False):
            note = f"{key}, to the container: {to_client}"
            outside, own = (expect_limited, expect_free) if outside_is_limited else (expect_free, expect_limited)
            outside(f"outside, {note}", slow.netns, host.outside.netns, OUTSIDE, to_client)
            own(f"gateway, {note}", slow.netns, None, f"10.{64 + number}.0.1", to_client)


def the_runtime_asks_for_it(host):
    """As containerd does: its own spelling, and a burst that is as large as 32 bits allow."""
    net = chain("cri", 66, {"capabilities": {"bandwidth": True}})
    granted = {"bandwidth": {"IngressRate": RATE, "IngressBurst": 4294967295,
                             "EgressRate": RATE, "EgressBurst": 4294967295}}
    container = host.lab.container("cri", process=False)
    result = host.lab.runtime.chain_add(net, container, runtime_config=granted)
    qdiscs = json.loads(run("tc", "-j", "qdisc", "show"))
    limited = [entry for entry in qdiscs if entry["kind"] == "tbf"]
    expect([entry["options"]["rate"] for entry in limited], [RATE // 8, RATE // 8], "rates in bytes")
    host.lab.runtime.chain_check(net, container, result, runtime_config=granted)
    # Nothing of it is there any more when DEL comes.
    host.lab.runtime.chain_del(net, container, netns=None)
    host.lab.remove(container)


def two_interfaces_of_a_container(host):
    net = chain("two", 67, {"egressRate": RATE, "egressBurst": BURST})
    container = host.lab.container("two", process=False)
    results = {name: host.lab.runtime.chain_add(net, container, ifname=name) for name in ("eth0", "eth1")}
    devices = {result["interfaces"][-1]["name"] for result in results.values()}
    expect(len(devices), 2, "devices")
    host.lab.runtime.chain_del(net, container, ifname="eth1")
    host.lab.runtime.chain_check(net, container, results["eth0"])
    expect_limited("eth0 after the DEL of eth1", container.netns, None, "10.67.0.1", False)
    host.lab.runtime.chain_del(net, container)
    host.lab.remove(container)


def bad_values_change_nothing(host):
    attached = host.attach(chain("bad", 68, {}), "web")
    before = snapshot.capture()
    for keys in ({"ingressRate": "1"}, {"ingressRate": -1}, {"ingressRate": 8}, {"ingressBurst": 8}, {"egressRate": 1},
                 {"egressRate": 7, "egressBurst": 800}, {"egressRate": 80, "egressBurst": 1 << 40},
                 {"ingressRate": 8, "ingressBurst": 8, "shapedSubnets": ["x"]}, {"unshapedSubnets": "10.0.0.0/8"},
                 {"shapedSubnets": ["10.0.0.0/8"], "unshapedSubnets": ["10.0.0.0/8"]},
                 {"runtimeConfig": {"bandwidth": {"EgressRate": 1}}}):
        config = plugin_config(chain("bad", 68, keys), {"type": "bandwidth", **keys}, None, attached.result)
        host.lab.runtime.call("bandwidth", "ADD", config, attached.container).expect_error(7)
        host.lab.runtime.call("bandwidth", "DEL", config, attached.container).expect_ok()
    alone = {"cniVersion": "1.1.0", "name": "bad", "type": "bandwidth", "ingressRate": RATE, "ingressBurst": BURST}
    assert "chained" in host.lab.runtime.call("bandwidth", "ADD", alone, attached.container).expect_error(7).stdout
    host.lab.runtime.call("bandwidth", "STATUS", alone).expect_ok()
    run("tc", "qdisc", "add", "dev", attached.result["interfaces"][1]["name"], "root", "handle", "1:", "pfifo")
    refused = host.lab.runtime.call("bandwidth", "ADD", {**alone, "prevResult": attached.result}, attached.container)
    assert "somebody else" in refused.expect_error(7).stdout, refused.describe()
    run("tc", "qdisc", "del", "dev", attached.result["interfaces"][1]["name"], "root")
    snapshot.assert_same(before, "host before and after what was refused")


main(both_ways_are_limited, one_way_leaves_the_other_free, subnets_are_picked_out, the_runtime_asks_for_it,
     two_interfaces_of_a_container, bad_values_change_nothing)
