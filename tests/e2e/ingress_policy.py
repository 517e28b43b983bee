#!/usr/bin/env python3
"""firewall's ingressPolicy: who reaches whom, with real traffic; every "nobody answers" has its control."""

import traffic
from scenario import HOST, OUTSIDE, expect, main, network, port, run, snapshot, who
from lab.plugins import Runtime, plugin_config
from traffic import IMPATIENCE, ask_tcp, ask_udp

REFERENCE = "/usr/lib/cni"


def chain(name, number, policy=None):
    net = network(name, number, portmap=True)
    net["cniVersion"] = "1.1.0"
    if policy is not None:
        net["plugins"].append({"type": "firewall", "ingressPolicy": policy})
    return net


def attach(host, net, name, *ports):
    attached = host.attach(net, name, ports)
    traffic.tcp_service(name, attached.netns, 80)
    traffic.udp_service(name, attached.netns, 53)
    return attached


def reaches(source, target, patience=5.0):
    return ask_tcp(source and source.netns, target.address, 80, patience) is not None


def world_and_host(host, attached, published):
    """What no policy touches: the world outside in both directions, and the host."""
    expect(ask_tcp(attached.netns, OUTSIDE, 7070), f"outside {HOST}", "to the world, and its answer")
    expect(who(ask_tcp(host.outside.netns, HOST, published)), attached.container.name, "a published port, from outside")
    expect(reaches(None, attached), True, "from the host")


def check(host, attached):
    host.lab.runtime.chain_check(attached.conflist, attached.container, attached.result,
                                 runtime_config=attached.runtime_config)


def drift(host, attached):
    config = plugin_config(attached.conflist, attached.conflist["plugins"][-1], None, attached.result)
    return host.lab.runtime.call("firewall", "CHECK", config, attached.container).expect_error(107).stdout


def same_bridge(host):
    traffic.tcp_service("outside", host.outside.netns, 7070)
    left = attach(host, chain("left", 60, "same-bridge"), "left", port(8060, 80))
    mate = attach(host, left.conflist, "mate")
    right_net = chain("right", 61, "open")
    right = attach(host, right_net, "right", port(8061, 80))
    expect(reaches(left, right), True, "control: the other bridge has no such policy")
    host.detach(right)
    right_net["plugins"][-1]["ingressPolicy"] = "same-bridge"
    right = attach(host, right_net, "right", port(8061, 80))
    expect(reaches(left, mate), True, "the same bridge")
    expect(reaches(left, right, IMPATIENCE), False, "the other bridge")
    expect(ask_udp(right.netns, left.address, 53, IMPATIENCE), None, "and back")
    expect(who(ask_udp(mate.netns, left.address, 53)), "left", "control")
    expect(ask_tcp(left.netns, HOST, 8061, IMPATIENCE), None, "nor by what it publishes")
    world_and_host(host, left, 8060)
    check(host, left)
    run("nft", "delete", "element", "inet", "netctl", "ingress_links", "{ br-left }")
    assert "ingress_links" in drift(host, left)
    run("nft", "flush", "ruleset")
    neighbour = attach(host, left.conflist, "neighbour")
    expect(reaches(neighbour, right, IMPATIENCE), False, "the other bridge, after somebody's flush and the next ADD")
    check(host, left)
    # The newest configuration counts for all of the network.
    left.conflist["plugins"][-1]["ingressPolicy"] = "open"
    attach(host, left.conflist, "late")
    expect(reaches(left, right), True, "after the policy became open")


def isolated(host):
    traffic.tcp_service("outside", host.outside.netns, 7070)
    left = attach(host, chain("left", 62, "isolated"), "left", port(8062, 80))
    mate = attach(host, left.conflist, "mate")
    right = attach(host, chain("right", 63, "same-bridge"), "right")
    plain = attach(host, chain("plain", 64), "plain")
    plain_mate = attach(host, plain.conflist, "plain-mate")
    expect(reaches(plain, plain_mate), True, "control: the same bridge without a policy")
    expect(reaches(left, mate, IMPATIENCE), False, "the same bridge")
    expect(ask_udp(mate.netns, left.address, 53, IMPATIENCE), None, "and back")
    # By a detour over the gateway as well: the packet is routed out where it came in.
    for one, other in ((left, mate), (mate, left)):
        one.container.run(["ip", "route", "add", f"{other.address}/32", "via", "10.62.0.1"])
    expect(reaches(left, mate, IMPATIENCE), False, "the same bridge, routed")
    expect(reaches(left, right, IMPATIENCE), False, "the other bridge")
    expect(reaches(right, left, IMPATIENCE), False, "and back")
    world_and_host(host, left, 8062)
    check(host, left)
    check(host, mate)
    veth = left.result["interfaces"][1]["name"]
    run("bridge", "link", "set", "dev", veth, "isolated", "off")
    assert veth in drift(host, left)
    run("bridge", "link", "set", "dev", veth, "isolated", "on")
    # A bridge that somebody deletes comes back with its ports parted.
    run("ip", "link", "del", "br-left")
    attach(host, left.conflist, "after")
    expect(reaches(left, mate, IMPATIENCE), False, "the same bridge, made anew")
    # DEL of the share of firewall alone, twice, as a runtime does that knows nothing any more.
    config = plugin_config(left.conflist, left.conflist["plugins"][-1])
    for _ in range(2):
        host.lab.runtime.call("firewall", "DEL", config, left.container, netns=None).expect_ok()
    flags = run("bridge", "-d", "link", "show", "dev", veth)
    assert "isolated off" in flags, flags


def behind_a_bridge_that_is_not_ours(host):
    """The reference's bridge; DEL of one, and gc of the other, whose namespace went without a DEL."""
    traffic.tcp_service("outside", host.outside.netns, 7070)
    foreign = Runtime(REFERENCE)
    before, made = None, []
    for number, policy in ((65, "same-bridge"), (66, "isolated")):
        net = chain(f"ref{number}", number, policy)
        net["cniVersion"] = "1.0.0"
        bridge = {**net["plugins"][0], "ipMasq": False,
                  "ipam": {**net["plugins"][0]["ipam"], "dataDir": "/run/lab/leases"}}
        container = host.lab.container(f"c{number}", process=False)
        result = foreign.call("bridge", "ADD", plugin_config(net, bridge), container).expect_ok().json
        traffic.tcp_service(container.name, container.netns, 80)
        made.append((net, bridge, container, result, plugin_config(net, net["plugins"][-1], None, result)))
    (_, _, first, _, _), (_, _, second, _, _) = made
    expect(who(ask_tcp(first.netns, "10.66.0.2", 80)), "c66", "control: without firewall")
    before = snapshot.capture()
    for _, _, container, _, config in made:
        host.lab.runtime.call("firewall", "ADD", config, container).expect_ok()
        host.lab.runtime.call("firewall", "CHECK", config, container).expect_ok()
    expect(ask_tcp(first.netns, "10.66.0.2", 80, IMPATIENCE), None, "the other bridge")
    expect(ask_tcp(second.netns, "10.65.0.2", 80, IMPATIENCE), None, "and back")
    host.lab.runtime.call("firewall", "DEL", made[0][-1], first).expect_ok()
    host.lab.runtime.call("firewall", "DEL", made[1][-1], second).expect_ok()
    run("conntrack", "-F")
    snapshot.assert_same(before, "before ADD and after DEL", compare=_without_flows)
    for net, bridge, container, result, config in made:
        host.lab.runtime.call("firewall", "ADD", config, container).expect_ok()
        foreign.call("bridge", "DEL", plugin_config(net, bridge, None, result), container).expect_ok()
        host.lab.remove(container)
        run("ip", "link", "del", bridge["bridge"])
        alive = {"cniVersion": "1.1.0", "name": net["name"], "type": "firewall", "cni.dev/valid-attachments": []}
        host.lab.runtime.call("firewall", "GC", alive, ifname=None).expect_ok()
    run("conntrack", "-F")
    run("sysctl", "-q", "net.ipv4.ip_forward=0")
    run("rm", "-r", "/run/lab/leases")


def _without_flows(before, after):
    return [line for line in snapshot.diff(before, after) if not line[2:].startswith("conntrack ")]


def needs_a_bridge(host):
    attached = host.attach(chain("lone", 67), "lone")
    before = snapshot.capture()
    alone = {**attached.result, "interfaces": [attached.result["interfaces"][-1]]}
    alone["ips"] = [{**ip, "interface": 0} for ip in alone["ips"]]
    for result in (alone, {**alone, "interfaces": [], "ips": []}):
        for policy in ("same-bridge", "isolated"):
            net = chain("lone", 67, policy)
            config = plugin_config(net, net["plugins"][-1], None, result)
            refused = host.lab.runtime.call("firewall", "ADD", config, attached.container).expect_error(7)
            assert "ingressPolicy" in refused.stdout, refused.describe()
    snapshot.assert_same(before, "host before and after what was refused")


main(same_bridge, isolated, behind_a_bridge_that_is_not_ours, needs_a_bridge)
