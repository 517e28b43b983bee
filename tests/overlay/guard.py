#!/usr/bin/env python3
"""VXLAN asks nobody who he is: datagrams of a host that is no peer reach no container, the very same ones of a peer do."""

import os
import socket
import struct

from world import Pod, main, make_hosts, nodes_of, overlay
from lab.kernel import in_netns

PACKETS = int(os.environ.get("SPOOFED_DATAGRAMS", "5000"))
VNI = 42
MARK = b"forged"


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def _frame(mac, source, target, port):
    """Ethernet, IPv4 and UDP to the container, inside VXLAN."""
    udp = struct.pack("!HHHH", 4000, port, 8 + len(MARK), 0) + MARK
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                     socket.inet_aton(source), socket.inet_aton(target))
    ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
    ethernet = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000001") + b"\x08\x00"
    return struct.pack("!II", 0x08000000, VNI << 8) + ethernet + ip + udp


def _count(receiver, patience):
    receiver.settimeout(patience)
    count = 0
    try:
        while receiver.recv(100) == MARK:
            count += 1
    except TimeoutError:
        return count
    raise AssertionError("something else arrived")


def _send(host, target, datagram, count):
    with in_netns(host.netns.netns):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        for _ in range(count):
            sender.sendto(datagram, (target, 4789))


def spoofed_datagrams(lab):
    """Hosts 1 and 2 are peers; host 3 is none, but on the same wire."""
    hosts = make_hosts(lab)
    nodes = nodes_of(hosts[:2], v6=False)
    pods = [Pod(host, overlay(host, nodes, v6=False), f"pod{host.number}") for host in hosts[:2]]
    vtep = next(link for link in hosts[0].ip_json("link") if link["ifname"].startswith("nv"))
    datagram = _frame(vtep["address"], pods[1].v4, pods[0].v4, 9000)
    with in_netns(pods[0].netns):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver:
        receiver.bind((pods[0].v4, 9000))
        _send(hosts[1], hosts[0].vtep, datagram, 10)
        assert _count(receiver, 2) == 10, "control: what a peer sends arrives"
        _send(hosts[2], hosts[0].vtep, datagram, PACKETS)
        assert _count(receiver, 2) == 0, "datagrams of a host that is no peer reached the container"
        _send(hosts[1], hosts[0].vtep, datagram, 10)
        assert _count(receiver, 2) == 10, "control afterwards"


def a_new_peer_is_let_in(lab):
    """The list of nodes grows: the next ADD takes the new one in, the one after takes it out again."""
    hosts = make_hosts(lab)
    few, all_nodes = nodes_of(hosts[:2], v6=False), nodes_of(hosts, v6=False)

    def guarded():
        listing = hosts[0].run(["nft", "list", "set", "inet", "netctl", "tunnel_peers4"]).stdout
        return {host.number for host in hosts if f"{host.vtep} . 4789" in listing}
    Pod(hosts[0], overlay(hosts[0], few, v6=False), "one")
    assert guarded() == {2}, guarded()
    second = Pod(hosts[0], overlay(hosts[0], all_nodes, v6=False), "two")
    assert guarded() == {2, 3}, guarded()
    third = Pod(hosts[2], overlay(hosts[2], all_nodes, v6=False), "three")
    hosts[0].run(["ping", "-n", "-c", "1", "-W", "5", third.v4])
    second.delete()
    Pod(hosts[0], overlay(hosts[0], few, v6=False), "four")
    assert guarded() == {2}, guarded()
    routes = {route["dst"] for route in hosts[0].ip_json("route")}
    assert "10.244.3.0/24" not in routes and "10.244.2.0/24" in routes, routes


if __name__ == "__main__":
    main(spoofed_datagrams, a_new_peer_is_let_in)
