#!/usr/bin/env python3
"""Positive controls of the laboratory: a snapshot must see every class of leftover, and must not see what is volatile.

Needs no product: what it looks at is made with ip, nft, conntrack and plain files.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import Lab, in_netns, snapshot  # noqa: E402

CONTROL_FOLDER = "/run/lab/control"
NFT_TABLE = "table inet control { map m { type inet_service : ipv4_addr; elements = { 1 : 192.0.2.1 }; }; chain c { }; }"
CONNTRACK = ["-I", "-p", "udp", "-s", "192.0.2.1", "-d", "192.0.2.2", "--sport", "1", "--dport", "2", "-t", "60"]

# class of leftover -> (make it, take it away, the word that the difference must show)
LEFTOVERS = {
    "link": ("ip link add left0 type bridge", "ip link del left0", "link left0"),
    "link alias": ("ip link set lo alias left", "ip link set lo alias ''", "link lo"),
    "address": ("ip addr add 192.0.2.7/32 dev lo", "ip addr del 192.0.2.7/32 dev lo", "addr lo 192.0.2.7/32"),
    "address 6": ("ip addr add 2001:db8::7/128 dev lo", "ip addr del 2001:db8::7/128 dev lo", "addr lo 2001:db8::7"),
    "route": ("ip route add 198.51.100.0/24 dev lo", "ip route del 198.51.100.0/24 dev lo", "route4 unicast 198.51.100.0"),
    "route in a table": ("ip route add 198.51.100.0/24 dev lo table 7", "ip route flush table 7", "table 7"),
    "route 6": ("ip -6 route add 2001:db8:1::/64 dev base0", "ip -6 route del 2001:db8:1::/64 dev base0", "2001:db8:1::/64"),
    "rule": ("ip rule add from 192.0.2.9 table 9", "ip rule del from 192.0.2.9 table 9", "rule4"),
    "neighbour": ("ip neigh add 192.0.2.8 lladdr 02:00:00:00:00:01 dev base0 nud permanent",
                  "ip neigh del 192.0.2.8 dev base0", "neigh4 192.0.2.8"),
    "proxy neighbour": ("ip neigh add proxy 192.0.2.8 dev base0", "ip neigh del proxy 192.0.2.8 dev base0", "proxy4"),
    "fdb entry": ("bridge fdb add 02:00:00:00:00:02 dev base0 self permanent",
                  "bridge fdb del 02:00:00:00:00:02 dev base0 self permanent", "fdb base0 02:00:00:00:00:02"),
    "qdisc": ("tc qdisc add dev base0 clsact", "tc qdisc del dev base0 clsact", "qdisc base0"),
    "nft table": ("nft add table inet left", "nft delete table inet left", "nft table inet left"),
    "nft rule": ("nft add rule inet control c accept", "nft flush chain inet control c", "nft rule inet control c"),
    "nft element": ("nft add element inet control m { 80 : 192.0.2.3 }", "nft delete element inet control m { 80 }",
                    "nft map inet control m element"),
    "conntrack entry": (f"conntrack {' '.join(CONNTRACK)}", "conntrack -F", "conntrack udp src=192.0.2.1"),
    "sysctl": ("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv4.ip_forward=0", "sysctl net/ipv4/ip_forward"),
    "interface sysctl": ("sysctl -qw net.ipv4.conf.base0.route_localnet=1",
                         "sysctl -qw net.ipv4.conf.base0.route_localnet=0", "conf/base0/route_localnet"),
    "file": (f"touch {CONTROL_FOLDER}/left", f"rm {CONTROL_FOLDER}/left", f"file {CONTROL_FOLDER}/left"),
    "contents of a file": (f"echo other > {CONTROL_FOLDER}/kept", f"echo same > {CONTROL_FOLDER}/kept", "kept"),
    "mode of a file": (f"chmod 644 {CONTROL_FOLDER}/kept", f"chmod 600 {CONTROL_FOLDER}/kept", "kept"),
}


def shell(command):
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def check_every_class():
    base = snapshot.settled(contents=[CONTROL_FOLDER])
    for name, (make, remove, word) in LEFTOVERS.items():
        shell(make)
        seen = snapshot.diff(base, snapshot.capture(contents=[CONTROL_FOLDER]))
        assert any(word in line for line in seen), f"a leftover {name} is not seen: {seen}"
        shell(remove)
        snapshot.assert_same(base, f"after {name} was taken away", contents=[CONTROL_FOLDER])
        print(f"seen: {name}: {seen[0][:90]}")


def check_other_namespace(lab):
    """A snapshot of a container is of that container, and a write there does not show on the host."""
    container = lab.container("control")
    host, inside = snapshot.capture(), snapshot.capture(netns=container.netns)
    with in_netns(container.netns):
        shell("ip link set lo up && sysctl -qw net.ipv4.ip_forward=1")
    changed = snapshot.diff(inside, snapshot.capture(netns=container.netns))
    assert any("ip_forward" in line for line in changed) and any("link lo" in line for line in changed), changed
    snapshot.assert_same(host, "the host, after a change in a container")
    lab.remove(container)


def check_volatile():
    """The same table made twice, its elements in another order, is the same; so is a rule that has counted since."""
    shell("nft add element inet control m { 5 : 192.0.2.5, 6 : 192.0.2.6, 7 : 192.0.2.7 }")
    first = snapshot.capture()
    shell("nft delete table inet control && nft " + repr(NFT_TABLE))
    shell("nft add element inet control m { 7 : 192.0.2.7, 5 : 192.0.2.5, 6 : 192.0.2.6 }")
    snapshot.assert_same(first, "handles or the order of elements are seen", patience=0)
    shell("nft add rule inet control c counter packets 0 bytes 0 accept")
    idle = snapshot.capture()
    shell("nft flush chain inet control c && nft add rule inet control c counter packets 1 bytes 40 accept")
    snapshot.assert_same(idle, "what a rule has counted is seen", patience=0)
    shell("nft flush chain inet control c && nft add rule inet control c accept")
    assert snapshot.diff(idle, snapshot.capture()), "a rule that stopped to count is not seen"


def main():
    with Lab() as lab:
        shell("ip link add base0 type bridge && ip link set base0 up")
        shell("nft " + repr(NFT_TABLE))
        shell(f"mkdir {CONTROL_FOLDER} && echo same > {CONTROL_FOLDER}/kept && chmod 600 {CONTROL_FOLDER}/kept")
        check_every_class()
        check_other_namespace(lab)
        check_volatile()
    print(f"{len(LEFTOVERS)} classes of leftovers are seen")


if __name__ == "__main__":
    main()
