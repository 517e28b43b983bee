#!/usr/bin/env python3
"""Published ports carry real traffic from wherever it comes, and only where they should."""

import glob
import socket

import frames
import traffic
from scenario import FAR, HOST, HOST_FAR, HOST_V6, OUTSIDE, OUTSIDE_V6, expect, link_address, main, network, port, who
from traffic import IMPATIENCE, ask_tcp, ask_udp


def every_client_reaches_it(host):
    """With and without br_netfilter, which translates bridged packets too and sends them on past the routed path."""
    for number, filtered in ((30, "0"), (31, "1")):
        for call in glob.glob("/proc/sys/net/bridge/bridge-nf-call-ip*tables"):
            with open(call, "w", encoding="ascii") as file:
                file.write(filtered)
        _ask_from_everywhere(host, number)
        host.detach_all()


def _ask_from_everywhere(host, number):
    net = network(f"pub{number}", number)
    web = host.attach(net, "web", [port(8081, 8080), port(5300, 53, "udp")])
    other = host.attach(net, "other")
    for container in (web, other):
        traffic.tcp_service(container.container.name, container.netns, 8080)
        traffic.udp_service(container.container.name, container.netns, 53)
    for ask, host_port in ((ask_tcp, 8081), (ask_udp, 5300)):
        # From other machines: the container sees who is asking.
        expect(ask(host.outside.netns, HOST, host_port), f"web {OUTSIDE}", "neighbour, host address")
        expect(ask(host.far.netns, HOST_FAR, host_port), f"web {FAR}", "other neighbour, other host address")
        # From the host itself, and from containers of the network: the answer has to find its way back.
        gateway = f"10.{number}.0.1"
        for client, netns, address in (("host", None, HOST), ("host", None, "127.0.0.1"), ("host", None, gateway),
                                    ("other container", other.netns, HOST), ("other container", other.netns, gateway),
                                    ("the container itself", web.netns, HOST), ("itself", web.netns, gateway)):
            answer = ask(netns, address, host_port)
            expect(who(answer), "web", f"{net['name']}: {ask.__name__} by {client} at {address}:{host_port}")
    # Nothing else was opened.
    expect(ask_tcp(host.outside.netns, HOST, 8080, IMPATIENCE), None, "the container's port number on the host")
    expect(ask_udp(host.outside.netns, HOST, 8081, IMPATIENCE), None, "the TCP port by UDP")


def host_ip_limits_where(host):
    net = network("hostip", 32)
    web = host.attach(net, "web", [port(8081, 8080, host_ip=HOST), port(8082, 8080),
                                   port(8083, 8080, host_ip="127.0.0.1")])
    traffic.tcp_service("web", web.netns, 8080)
    expect(ask_tcp(host.outside.netns, HOST, 8081), f"web {OUTSIDE}", "the address that was given")
    expect(ask_tcp(host.far.netns, HOST_FAR, 8082), f"web {FAR}", "control: no address given")
    expect(ask_tcp(host.far.netns, HOST_FAR, 8081, IMPATIENCE), None, "another address of the host")
    expect(ask_tcp(None, "127.0.0.1", 8081, IMPATIENCE), None, "localhost, when another address was given")
    expect(who(ask_tcp(None, "127.0.0.1", 8083)), "web", "localhost, when that was given")
    expect(ask_tcp(host.outside.netns, HOST, 8083, IMPATIENCE), None, "a neighbour, when only localhost was given")


def same_port_on_two_addresses(host):
    net = network("two", 33)
    one = host.attach(net, "one", [port(8081, 8080, host_ip=HOST)])
    two = host.attach(net, "two", [port(8081, 8080, host_ip=HOST_FAR)])
    traffic.tcp_service("one", one.netns, 8080)
    traffic.tcp_service("two", two.netns, 8080)
    expect(ask_tcp(host.outside.netns, HOST, 8081), f"one {OUTSIDE}", "first address")
    expect(ask_tcp(host.far.netns, HOST_FAR, 8081), f"two {FAR}", "second address")
    expect(who(ask_tcp(None, HOST_FAR, 8081)), "two", "second address, by the host")


def ranges_keep_their_order(host):
    net = network("range", 34)
    web = host.attach(net, "web", [port(9000, 9000, count=20), port(9100, 7000, count=5),
                                   *[port(9200 + number, 9200 + number) for number in range(3)]])
    for container_port in (9000, 9011, 9019, 9020, 7000, 7004, 7005, 9200, 9202):
        traffic.tcp_service(f"port{container_port}", web.netns, container_port)
    for host_port, container_port in ((9000, 9000), (9011, 9011), (9019, 9019), (9100, 7000), (9104, 7004),
                                      (9200, 9200), (9202, 9202)):
        expect(ask_tcp(host.outside.netns, HOST, host_port), f"port{container_port} {OUTSIDE}", f"port {host_port}")
    expect(who(ask_tcp(None, "127.0.0.1", 9011)), "port9011", "in a range, by localhost")
    for beyond in (9020, 9105):
        expect(ask_tcp(host.outside.netns, HOST, beyond, IMPATIENCE), None, f"port {beyond}, one behind the range")


def both_families(host):
    net = network("dual", 35, dual_stack=True)
    web = host.attach(net, "web", [port(8081, 8080), port(8082, 8080, host_ip=HOST_V6), port(9300, 9300, count=4)])
    other = host.attach(net, "other")
    for container_port in (8080, 9302):
        traffic.tcp_service("web", web.netns, container_port)
    expect(ask_tcp(host.outside.netns, HOST_V6, 8081), f"web {OUTSIDE_V6}", "IPv6 from outside")
    expect(ask_tcp(host.outside.netns, HOST, 8081), f"web {OUTSIDE}", "IPv4 from outside")
    expect(ask_tcp(host.outside.netns, HOST_V6, 9302), f"web {OUTSIDE_V6}", "IPv6, a range")
    for client, netns in (("host", None), ("other container", other.netns), ("itself", web.netns)):
        expect(who(ask_tcp(netns, HOST_V6, 8081)), "web", f"IPv6 by {client}")
    expect(ask_tcp(host.outside.netns, HOST_V6, 8082), f"web {OUTSIDE_V6}", "the IPv6 host address that was given")
    expect(ask_tcp(host.outside.netns, HOST, 8082, IMPATIENCE), None, "the IPv4 address, when an IPv6 one was given")


def host_port_zero_chooses(host):
    """The result says which port it became, whether bridge or a chained portmap chose it."""
    busy = socket.create_server(("0.0.0.0", 0))  # a port of some process of the host is not free either
    for number, portmap in ((36, False), (40, True)):
        net = network(f"zero{number}", number, portmap=portmap, capabilities={"portMappings": not portmap})
        web = host.attach(net, "web", [port(0, 8080), port(0, 8443)])
        traffic.tcp_service("web", web.netns, 8080)
        traffic.tcp_service("secure", web.netns, 8443)
        note = "portmap" if portmap else "bridge"
        assert "netctl" in web.result, f"the result of {note} does not report the ports: {web.result}"
        chosen = {entry["containerPort"]: entry["hostPort"] for entry in _port_entries(web.result["netctl"])}
        expect(sorted(chosen), [8080, 8443], f"ports reported by {note}")
        assert all(1024 <= chose <= 65535 and chose != busy.getsockname()[1] for chose in chosen.values()), chosen
        expect(ask_tcp(host.outside.netns, HOST, chosen[8080]), f"web {OUTSIDE}", "the chosen port")
        expect(ask_tcp(host.outside.netns, HOST, chosen[8443]), f"secure {OUTSIDE}", "the other chosen port")
        listing = host.lab.runtime.netctl("port", "web").expect_ok().stdout
        for chose in chosen.values():
            assert str(chose) in listing, f"{chose} is not in what netctl port prints:\n{listing}"
        host.detach(web)


def _port_entries(value):
    """Every object with hostPort and containerPort, wherever it is."""
    if isinstance(value, dict):
        if "hostPort" in value and "containerPort" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _port_entries(entry)


def sctp_is_translated(host):
    """By hand-made packets: not every kernel has SCTP sockets."""
    net = network("sctp", 37)
    web = host.attach(net, "web", [port(3868, 3869, "sctp")])
    ear = frames.listen(web.netns, "eth0")
    packet = frames.ipv4(OUTSIDE, HOST, frames.SCTP, frames.sctp_init(40000, 3868))
    is_sctp = lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == frames.SCTP
    # The container's address has to be resolved first, which costs the first packet a moment, not its life.
    frames.send(host.outside.netns, "eth0", frames.ethernet(
        link_address("up-outside"), link_address("eth0", host.outside), packet))
    frame = frames.wait_for_frame(ear, is_sctp, 2.0)
    assert frame, "the packet did not reach the container"
    expect(socket.inet_ntoa(frame[30:34]), web.address, "destination address")
    expect(int.from_bytes(frame[36:38], "big"), 3869, "destination port")
    expect(socket.inet_ntoa(frame[26:30]), OUTSIDE, "source address")


def a_new_container_gets_the_old_clients(host):
    """A UDP client that never stops asking must not be led to the address of the container that was there before."""
    net = network("stale", 38)
    old = host.attach(net, "old", [port(5300, 53, "udp")])
    traffic.udp_service("old", old.netns, 53)
    with traffic.UdpClient(host.outside.netns, HOST, 5300) as client:
        expect(client.ask(), f"old {OUTSIDE}", "before")
        host.detach(old)
        expect(client.ask(IMPATIENCE), None, "in between")
        new = host.attach(net, "new", [port(5300, 53, "udp")])
        assert new.address != old.address, "the address was given again at once, so that this shows nothing"
        traffic.udp_service("new", new.netns, 53)
        expect(client.ask(), f"new {OUTSIDE}", "after")


def bridge_publishes_by_itself(host):
    """With the capability on bridge alone, and with it on bridge and portmap both."""
    for portmap in (False, True):
        net = network("self", 39, portmap=portmap, capabilities={"portMappings": True})
        web = host.attach(net, "web", [port(8081, 8080)])
        traffic.tcp_service("web", web.netns, 8080)
        expect(ask_tcp(host.outside.netns, HOST, 8081), f"web {OUTSIDE}", f"with portmap chained: {portmap}")
        expect(who(ask_tcp(None, "127.0.0.1", 8081)), "web", "localhost")
        host.detach(web)
        expect(ask_tcp(host.outside.netns, HOST, 8081, IMPATIENCE), None, "after it went")


main(every_client_reaches_it, host_ip_limits_where, same_port_on_two_addresses, ranges_keep_their_order, both_families,
     host_port_zero_chooses, sctp_is_translated, a_new_container_gets_the_old_clients, bridge_publishes_by_itself)
