#!/usr/bin/env python3
"""Whose address the world sees: masquerade and its exclusions."""

import traffic
from scenario import FAR, HOST, HOST_FAR, HOST_V6, OUTSIDE, OUTSIDE_V6, expect, main, network
from traffic import ask_tcp, ask_udp


def the_world_sees_the_host(host):
    out = host.attach(network("masq", 61, dual_stack=True), "out")
    traffic.tcp_service("outside", host.outside.netns, 80)
    traffic.udp_service("outside", host.outside.netns, 53)
    traffic.tcp_service("far", host.far.netns, 80)
    expect(ask_tcp(out.netns, OUTSIDE, 80), f"outside {HOST}", "TCP")
    expect(ask_udp(out.netns, OUTSIDE, 53), f"outside {HOST}", "UDP")
    expect(ask_tcp(out.netns, FAR, 80), f"far {HOST_FAR}", "another link has another address")
    expect(ask_tcp(out.netns, OUTSIDE_V6, 80), f"outside {HOST_V6}", "IPv6")
    ping = out.container.run(["ping", "-c", "1", "-W", "2", OUTSIDE], check=False)
    assert ping.returncode == 0, ping.stdout


def within_the_network_nothing_is_hidden(host):
    net = network("plain", 62)
    one, two = host.attach(net, "one"), host.attach(net, "two")
    traffic.tcp_service("two", two.netns, 80)
    traffic.tcp_service("host", None, 80)
    expect(ask_tcp(one.netns, two.address, 80), f"two {one.address}", "container to container")
    expect(ask_tcp(one.netns, "10.62.0.1", 80), f"host {one.address}", "container to its gateway")


def exclusions_keep_the_source(host):
    """`outside` lies in the excluded prefix, and knows the way back; `far` does not."""
    out = host.attach(network("except", 63, netctl={"masqueradeExclude": ["192.0.2.0/24"]}), "out")
    control = host.attach(network("nothing", 64), "control")
    host.outside.run(["ip", "route", "add", "10.0.0.0/8", "via", HOST])
    traffic.tcp_service("outside", host.outside.netns, 80)
    traffic.tcp_service("far", host.far.netns, 80)
    expect(ask_tcp(control.netns, OUTSIDE, 80), f"outside {HOST}", "control: a network without exclusions")
    expect(ask_tcp(out.netns, OUTSIDE, 80), f"outside {out.address}", "excluded")
    expect(ask_tcp(out.netns, FAR, 80), f"far {HOST_FAR}", "not excluded")


def without_masquerade_nothing_is_hidden(host):
    out = host.attach(network("routed", 65, ipMasq=False), "out")
    host.outside.run(["ip", "route", "add", "10.0.0.0/8", "via", HOST])
    traffic.tcp_service("outside", host.outside.netns, 80)
    expect(ask_tcp(out.netns, OUTSIDE, 80), f"outside {out.address}", "ipMasq false")


main(the_world_sees_the_host, within_the_network_nothing_is_hidden, exclusions_keep_the_source,
     without_masquerade_nothing_is_hidden)
