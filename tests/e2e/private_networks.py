#!/usr/bin/env python3
"""Who must not reach whom: isolation between networks, internal networks, ports that were not published.

Every "nobody answers" stands beside a control: the same question without the setting is answered.
"""

import traffic
from scenario import HOST, OUTSIDE, expect, main, network, port, who
from traffic import IMPATIENCE, ask_tcp, ask_udp


def _two_networks(host, first_number, settings):
    """A container of each of two networks that differ from those of other calls in name and number."""
    left = host.attach(network(f"left{first_number}", first_number, netctl=settings), f"left{first_number}")
    right = host.attach(network(f"right{first_number}", first_number + 1, netctl=settings), f"right{first_number}",
                        [port(8000 + first_number, 80)])
    for attachment in (left, right):
        traffic.tcp_service(attachment.container.name, attachment.netns, 80)
        traffic.udp_service(attachment.container.name, attachment.netns, 53)
    return left, right


def networks_are_isolated(host):
    left, right = _two_networks(host, 41, {"isolation": True})
    open_left, open_right = _two_networks(host, 43, None)
    expect(who(ask_tcp(open_left.netns, open_right.address, 80)), "right43", "control: TCP, not isolated")
    expect(who(ask_udp(open_left.netns, open_right.address, 53)), "right43", "control: UDP, not isolated")
    expect(ask_tcp(left.netns, right.address, 80, IMPATIENCE), None, "TCP from left to right")
    expect(ask_udp(left.netns, right.address, 53, IMPATIENCE), None, "UDP from left to right")
    expect(ask_tcp(right.netns, left.address, 80, IMPATIENCE), None, "TCP from right to left")
    expect(ask_tcp(open_left.netns, right.address, 80, IMPATIENCE), None, "TCP from an open network")
    # What an isolated network may still do: be asked at its published ports, talk to the world and within itself.
    expect(who(ask_tcp(left.netns, HOST, 8041)), "right41", "its published port, from another network")
    expect(ask_tcp(host.outside.netns, HOST, 8041), f"right41 {OUTSIDE}", "its published port, from outside")
    traffic.tcp_service("outside", host.outside.netns, 80)
    expect(ask_tcp(left.netns, OUTSIDE, 80), f"outside {HOST}", "from isolated to the world")
    expect(ask_tcp(None, left.address, 80), "left41 10.41.0.1", "the host itself")
    neighbour = host.attach(left.conflist, "neighbour")
    expect(ask_tcp(neighbour.netns, left.address, 80), f"left41 {neighbour.address}", "within the network")


def unpublished_ports_stay_inside(host):
    """A neighbour that routes the containers' subnets to the host gets through to open networks only."""
    left, _ = _two_networks(host, 45, {"isolation": True})
    open_left, _ = _two_networks(host, 47, None)
    host.outside.run(["ip", "route", "add", "10.0.0.0/8", "via", HOST])
    expect(ask_tcp(host.outside.netns, open_left.address, 80), f"left47 {OUTSIDE}", "control: not isolated")
    expect(ask_tcp(host.outside.netns, left.address, 80, IMPATIENCE), None, "isolated")
    expect(ask_udp(host.outside.netns, left.address, 53, IMPATIENCE), None, "isolated, UDP")


def internal_networks_have_no_world(host):
    inside = host.attach(network("inside", 51, netctl={"internal": True}), "inside")
    friend = host.attach(inside.conflist, "friend")
    control = host.attach(network("control", 52), "control")
    for attachment in (inside, friend, control):
        traffic.tcp_service(attachment.container.name, attachment.netns, 80)
    traffic.tcp_service("outside", host.outside.netns, 80)
    host.outside.run(["ip", "route", "add", "10.0.0.0/8", "via", HOST])
    expect(ask_tcp(control.netns, OUTSIDE, 80), f"outside {HOST}", "control: out")
    expect(ask_tcp(host.outside.netns, control.address, 80), f"control {OUTSIDE}", "control: in")
    # Even with a route of its own making nothing leaves.
    inside.container.run(["ip", "route", "replace", "default", "via", "10.51.0.1"])
    expect(ask_tcp(inside.netns, OUTSIDE, 80, IMPATIENCE), None, "out of an internal network")
    expect(ask_tcp(host.outside.netns, inside.address, 80, IMPATIENCE), None, "into an internal network")
    expect(ask_tcp(control.netns, inside.address, 80, IMPATIENCE), None, "from another network")
    expect(ask_tcp(inside.netns, control.address, 80, IMPATIENCE), None, "to another network")
    expect(ask_tcp(friend.netns, inside.address, 80), f"inside {friend.address}", "within the network")
    expect(ask_tcp(None, inside.address, 80), "inside 10.51.0.1", "from the host itself")


def isolation_covers_ipv6(host):
    left = host.attach(network("left6", 53, netctl={"isolation": True}, dual_stack=True), "left6")
    right = host.attach(network("right6", 54, netctl={"isolation": True}, dual_stack=True), "right6")
    open_left = host.attach(network("open6", 55, dual_stack=True), "open6")
    open_right = host.attach(network("wide6", 56, dual_stack=True), "wide6")
    for attachment in (left, right, open_left, open_right):
        traffic.tcp_service(attachment.container.name, attachment.netns, 80)
    expect(who(ask_tcp(open_left.netns, open_right.address_v6, 80)), "wide6", "control")
    expect(ask_tcp(left.netns, right.address_v6, 80, IMPATIENCE), None, "isolated from isolated")
    expect(ask_tcp(open_left.netns, right.address_v6, 80, IMPATIENCE), None, "isolated from open")


main(networks_are_isolated, unpublished_ports_stay_inside, internal_networks_have_no_world, isolation_covers_ipv6)
