"""A quick look at a namespace through raw netlink, for thousands of "nothing was changed": a millisecond, no process.

It sees links, addresses, routes, rules, permanent neighbours, nf_tables tables and the forwarding switches. What a whole
comparison needs (sets, elements, conntrack, every sysctl, qdiscs) is the business of `snapshot`.
"""

import socket
import struct

from .kernel import in_netns

_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_GETLINK, _RTM_GETADDR, _RTM_GETROUTE, _RTM_GETNEIGH, _RTM_GETRULE = 18, 22, 26, 30, 34
_NFT_GETTABLE, _NFT_GETGEN = (10 << 8) | 1, (10 << 8) | 16
_IFINFO = struct.Struct("=BxHiII")
# Of a link: address, name, mtu, master, alias, group; its counters and timers move by themselves.
_LINK_ATTRIBUTES = {1, 3, 4, 10, 20, 27}
_IFF_UP, _IFF_PROMISC, _IFF_ALLMULTI = 0x1, 0x100, 0x200
_NUD_PERMANENT, _NTF_EXTERNAL = 0x80, 0x10
_SWITCHES = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding",
             "/proc/sys/net/ipv4/conf/all/route_localnet")


def take(netns=None, generation=False):
    """A set of tuples to compare. With `generation`, a batch of nf_tables counts even if it was taken back since."""
    with in_netns(netns):
        found = set()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as route:
            found.update(_links(_dump(route, _RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0))))
            found.update(_addresses(_dump(route, _RTM_GETADDR, bytes(8))))
            found.update(_routes(_dump(route, _RTM_GETROUTE, bytes(12))))
            found.update(("rule", body) for body in _dump(route, _RTM_GETRULE, bytes(12)))
            found.update(_neighbours(_dump(route, _RTM_GETNEIGH, bytes(12))))
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netfilter:
            found.update(("table", _attributes(body[4:])[1]) for body in _dump(netfilter, _NFT_GETTABLE, bytes(4)))
            if generation:
                found.update(("generation", _attributes(body[4:])[1])
                             for body in _ask(netfilter, _NFT_GETGEN, _NLM_F_REQUEST, bytes(4), single=True))
        for path in _SWITCHES:
            with open(path, "rb") as file:
                found.add((path, file.read()))
        return found


def difference(before, after):
    """Readable lines, '-' gone, '+' new."""
    show = lambda sign, entry: f"{sign} " + " ".join(part.hex() if isinstance(part, bytes) else str(part) for part in entry)
    return [show("-", entry) for entry in sorted(before - after, key=repr)] + [
        show("+", entry) for entry in sorted(after - before, key=repr)]


def _dump(sock, kind, body):
    return _ask(sock, kind, _NLM_F_REQUEST | _NLM_F_DUMP, body)


def _ask(sock, kind, flags, body, single=False):
    sock.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    while True:
        data = sock.recv(1 << 20)
        while data:
            length, answer = struct.unpack_from("=IH", data)
            payload, data = data[16:length], data[(length + 3) & ~3:]
            if answer == _NLMSG_DONE:
                return
            if answer == _NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", payload)[0], f"netlink request {kind}")
            yield payload
            if single:
                return


def _attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3:]
    return found


def _links(bodies):
    for body in bodies:
        _, kind, index, flags, _ = _IFINFO.unpack_from(body)
        kept = {key: value for key, value in _attributes(body[16:]).items() if key in _LINK_ATTRIBUTES}
        name = kept.pop(3).rstrip(b"\0").decode()
        steady = flags & (_IFF_UP | _IFF_PROMISC | _IFF_ALLMULTI)
        yield ("link", name, kind, index, steady, *[part for key in sorted(kept) for part in (key, kept[key])])


def _addresses(bodies):
    """Without the link-local ones, which the kernel gives by itself when a carrier comes."""
    for body in bodies:
        family, prefix, _, _, index = struct.unpack_from("=BBBBI", body)
        attributes = _attributes(body[8:])
        address = attributes.get(2, attributes.get(1, b""))
        if family == socket.AF_INET or address[:1] != b"\xfe":
            yield ("address", family, prefix, index, address)


def _routes(bodies):
    """Without those that follow from an address a moment later (link-local, multicast)."""
    for body in bodies:
        family, length, _, _, table, _, _, kind, _ = struct.unpack_from("=BBBBBBBBI", body)
        attributes = _attributes(body[12:])
        destination = attributes.get(1, b"")
        if family == socket.AF_INET or destination[:1] not in (b"\xfe", b"\xff"):
            yield ("route", family, kind, table, length, destination, attributes.get(5, b""), attributes.get(4, b""))


def _neighbours(bodies):
    for body in bodies:
        family, index, state, flags, kind = struct.unpack_from("=BxxxiHBB", body)
        if state & _NUD_PERMANENT or flags & _NTF_EXTERNAL:
            attributes = _attributes(body[12:])
            destination = attributes.get(1, b"")
            if destination[:1] != b"\xff":
                yield ("neighbour", family, index, kind, destination, attributes.get(2, b""))
