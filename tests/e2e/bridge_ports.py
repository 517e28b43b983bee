#!/usr/bin/env python3
"""What a container may send into its bridge, and to whom: macspoofchk, portIsolation, hairpinMode, addresses."""

import json
import time

import frames
import traffic
from scenario import HOST, expect, link_address, main, network, run
from traffic import IMPATIENCE, ask_tcp


def _spoof_reaches(host, liar, victim, source_mac):
    """Does a datagram in a frame with this source address get from one container to the other?"""
    service = victim.udp
    service.heard.clear()
    packet = frames.ipv4(liar.address, victim.address, 17, frames.udp(40000, 5000, b"it is me"))
    frame = frames.ethernet(link_address("eth0", victim.container), source_mac, packet)
    frames.send(liar.netns, "eth0", frame)
    deadline = time.monotonic() + IMPATIENCE
    while time.monotonic() < deadline and not service.heard:
        time.sleep(0.02)
    return bool(service.heard)


def spoofed_addresses_are_dropped(host):
    for number, checked in ((81, True), (82, False)):
        net = network(f"spoof{number}", number, macspoofchk=checked)
        liar, victim = host.attach(net, f"liar{number}"), host.attach(net, f"victim{number}")
        victim.udp = traffic.udp_service("victim", victim.netns, 5000)
        own = link_address("eth0", liar.container)
        expect(_spoof_reaches(host, liar, victim, own), True, f"macspoofchk {checked}: its own address")
        expect(_spoof_reaches(host, liar, victim, "02:00:00:00:00:99"), not checked, f"macspoofchk {checked}: another's")
        traffic.tcp_service("victim", victim.netns, 80)
        expect(ask_tcp(liar.netns, victim.address, 80), f"victim {liar.address}", "ordinary traffic")


def isolated_ports_see_only_the_gateway(host):
    traffic.tcp_service("host", None, 80)
    for number, isolated in ((83, True), (84, False)):
        net = network(f"ports{number}", number, portIsolation=isolated)
        one, two = host.attach(net, f"one{number}"), host.attach(net, f"two{number}")
        traffic.tcp_service("two", two.netns, 80)
        expect(ask_tcp(one.netns, f"10.{number}.0.1", 80), f"host {one.address}", "the gateway")
        answer = ask_tcp(one.netns, two.address, 80, IMPATIENCE)
        expect(answer, None if isolated else f"two {one.address}", f"a neighbour, portIsolation {isolated}")


def settings_reach_the_kernel(host):
    net = network("set", 85, hairpinMode=True, mtu=1400, netctl={"disableIPv6": True})
    web = host.attach(net, "web")
    port = json.loads(run("ip", "-d", "-j", "link", "show", "master", "br-set"))[0]
    expect(port["linkinfo"]["info_slave_data"]["hairpin"], True, "hairpin of the port")
    expect(port["mtu"], 1400, "MTU on the host's side")
    link = json.loads(web.container.run(["ip", "-d", "-j", "link", "show", "eth0"]).stdout)[0]
    expect(link["mtu"], 1400, "MTU in the container")
    assert port["ifname"].startswith("nc") and len(port["ifname"]) == 15, port["ifname"]
    assert port["ifalias"].startswith("netctl:1:set:"), port["ifalias"]
    addresses = json.loads(web.container.run(["ip", "-j", "addr", "show", "eth0"]).stdout)[0]["addr_info"]
    expect([entry["family"] for entry in addresses], ["inet"], "families in the container, with disableIPv6")


def the_first_packet_arrives(host):
    """Right after ADD, without a pause: no carrier, duplicate address or bridge state to wait for."""
    net = network("first", 86, dual_stack=True)
    for name in ("one", "two", "three"):
        web = host.attach(net, name)
        traffic.tcp_service(name, web.netns, 80)
        expect(ask_tcp(None, web.address, 80, 0.5), f"{name} 10.86.0.1", "IPv4, at once")
        expect(ask_tcp(None, web.address_v6, 80, 0.5), f"{name} fd10:86::1", "IPv6, at once")
        expect(web.container.run(["ping", "-c", "1", "-W", "1", HOST], check=False).returncode, 0, "out, at once")


main(spoofed_addresses_are_dropped, isolated_ports_see_only_the_gateway, settings_reach_the_kernel,
     the_first_packet_arrives)
