#!/usr/bin/env python3
"""Publishing on localhost must not open localhost: nobody but the host itself reaches 127.0.0.1, whatever he sends.

A neighbour on the link can send a frame whose destination is 127.0.0.1; destination translation happens before the
kernel's own test for such packets, and route_localnet switches that test off. The controls show that the very same
frames arrive where there is no guard.
"""

import json
import time

import frames
import traffic
from scenario import HOST, OUTSIDE, expect, link_address, main, network, port, run, who
from traffic import IMPATIENCE, ask_tcp, ask_udp


def _remove_guard():
    """Flushes the chains of our table that are hooked before connection tracking; says how many there were."""
    listing = json.loads(run("nft", "-j", "list", "table", "inet", "netctl"))["nftables"]
    guards = [entry["chain"]["name"] for entry in listing if "chain" in entry
              and entry["chain"].get("hook") in ("prerouting", "input") and entry["chain"]["prio"] <= -300]
    for chain in guards:
        run("nft", "flush", "chain", "inet", "netctl", chain)
    return len(guards)


def _hears(service, netns, interface, frame):
    """Does the service hear a datagram that travels in this hand-made frame?"""
    service.heard.clear()
    deadline = time.monotonic() + IMPATIENCE
    frames.send(netns, interface, frame)
    while time.monotonic() < deadline and not service.heard:
        time.sleep(0.02)
    return bool(service.heard)


def a_neighbour_cannot_use_localhost_publish(host):
    net = network("guard", 71)
    web = host.attach(net, "web", [port(5300, 53, "udp"), port(5301, 53, "udp", host_ip="127.0.0.1")])
    service = traffic.udp_service("web", web.netns, 53)
    expect(who(ask_udp(None, "127.0.0.1", 5300)), "web", "the host at localhost")
    expect(who(ask_udp(None, "127.0.0.1", 5301)), "web", "the host at localhost, published there only")
    to_host, from_outside = link_address("up-outside"), link_address("eth0", host.outside)

    def attack(destination, host_port, source_port):
        packet = frames.ipv4(OUTSIDE, destination, 17, frames.udp(source_port, host_port, b"let me in"))
        return _hears(service, host.outside.netns, "eth0", frames.ethernet(to_host, from_outside, packet))

    expect(attack(HOST, 5300, 40001), True, "control: such a frame to the host's own address")
    expect(attack("127.0.0.1", 5300, 40002), False, "a frame to 127.0.0.1")
    expect(attack("127.8.9.10", 5300, 40003), False, "a frame to another address of 127/8")
    expect(attack("127.0.0.1", 5301, 40004), False, "a frame to the port that is published on localhost only")
    # Somebody else's translation without a guard: that it is followed shows that such frames get that far.
    run("nft", "add table ip careless; add chain ip careless pre { type nat hook prerouting priority -100; };"
        f"add rule ip careless pre ip daddr 127.0.0.1 udp dport 5999 dnat to {web.address}:53")
    expect(attack("127.0.0.1", 5999, 40005), True, "control: a frame to 127.0.0.1 that nobody guards against")
    run("nft", "delete table ip careless")


def a_container_cannot_reach_services_of_localhost(host):
    """The bridge needs route_localnet, so that the guard is all that keeps containers from the host's own services."""
    net = network("inner", 72)
    web = host.attach(net, "web", [port(8081, 8080)])
    secret = traffic.udp_service("secret", None, 6000, address="127.0.0.1")
    traffic.tcp_service("web", web.netns, 8080)
    expect(who(ask_tcp(None, "127.0.0.1", 8081)), "web", "localhost publish")
    gateway, own = link_address("br-inner"), link_address("eth0", web.container)

    def attack(source_port):
        packet = frames.ipv4(web.address, "127.0.0.1", 17, frames.udp(source_port, 6000, b"let me in"))
        return _hears(secret, web.netns, "eth0", frames.ethernet(gateway, own, packet))

    expect(attack(40001), False, "a frame from a container to the host's 127.0.0.1")
    assert _remove_guard() > 0, "there is no guard"
    run("sysctl", "-q", "net.ipv4.conf.br-inner.route_localnet=1")
    expect(attack(40002), True, "control: without the guard the frame arrives")


def localhost_publish_can_be_left_out(host):
    """Whether bridge publishes by itself or a chained portmap, which has no key of its own for it."""
    for number, portmap in ((73, False), (74, True)):
        net = network(f"nolocal{number}", number, portmap=portmap, netctl={"localhostPublish": False},
                      capabilities={"portMappings": not portmap})
        web = host.attach(net, "web", [port(8081, 8080)])
        traffic.tcp_service("web", web.netns, 8080)
        note = "by portmap" if portmap else "by bridge"
        expect(ask_tcp(None, "127.0.0.1", 8081, IMPATIENCE), None, f"the host at localhost, published {note}")
        expect(who(ask_tcp(None, HOST, 8081)), "web", f"the host at its own address, published {note}")
        expect(ask_tcp(host.outside.netns, HOST, 8081), f"web {OUTSIDE}", f"a neighbour, published {note}")
        setting = run("sysctl", "-n", f"net.ipv4.conf.br-nolocal{number}.route_localnet").strip()
        expect(setting, "0", f"route_localnet of the bridge, published {note}")
        host.detach(web)


main(a_neighbour_cannot_use_localhost_publish, a_container_cannot_reach_services_of_localhost,
     localhost_publish_can_be_left_out)
