"""Raw snapshots of all that the kernel and the file system show of one network namespace, and their difference.

Taken with ip, bridge, tc, nft, conntrack and /proc/sys, never with the product's own eyes. A snapshot is a flat
{line: text} mapping, so that a difference reads like a diff. Only what is volatile by nature is normalised:

  - handles of nft objects and elements: the kernel's counter, a new object gets a new one;
  - the order of elements in an nft set: hash order;
  - what a counter of an nft rule has counted: any packet of the host moves it; that the rule counts stays;
  - timers of bridges and ports (hello, ageing, gc ...), `expires` of routes and elements, remaining lifetimes: clocks;
  - the kernel's own multicast groups in the FDB and the local routes of link-local addresses: both follow, a moment
    later, from an address that the snapshot shows;
  - tentative/optimistic of an IPv6 address: duplicate address detection ends by itself after a second;
  - learned neighbours and FDB entries: the kernel ages them as it likes. Permanent, noarp-proxy and externally learned ones
    are someone's doing and stay;
  - timeout, state, counters, and marks of progress ([ASSURED], [UNREPLIED]) of a conntrack entry: its tuples stay;
  - conntrack entries towards multicast: the kernel's own group reports from an interface that came up;
  - nf_conntrack_count and the like: counters of the machine.
Interface indices stay: an interface that lives through a test keeps its index, one that changes was re-made.
"""

import contextlib
import hashlib
import ipaddress
import json
import os
import re
import stat
import subprocess
import time

from .kernel import in_netns

_IP_COMMON = ["addr show", "route show table all", "rule show", "neigh show nud all", "neigh show proxy"]
_IP_BATCHES = {"4": ["link show", "nexthop show", *_IP_COMMON], "6": _IP_COMMON}
_COMMANDS = {  # question -> (command, what it reads)
    **{f"ip{version}": (["ip", "-d", "-j", f"-{version}", "-batch", "-"], "\n".join(batch) + "\n")
       for version, batch in _IP_BATCHES.items()},
    "fdb": (["bridge", "-d", "-j", "fdb", "show"], None),
    "vlan": (["bridge", "-j", "vlan", "show"], None),
    "qdisc": (["tc", "-j", "qdisc", "show"], None),
    "nft": (["nft", "-j", "list", "ruleset"], None),
    "conntrack4": (["conntrack", "-L", "-f", "ipv4"], None),
    "conntrack6": (["conntrack", "-L", "-f", "ipv6"], None),
}
ALL = (*_COMMANDS, "sysctl")
_CLOCKS = {"expires", "age", "updated", "used", "confirmed", "handle", "metainfo"}
_LIFETIMES = {"valid_life_time", "preferred_life_time"}
_FOREVER = 4294967295
_PROGRESS = {"tentative", "optimistic", "dadfailed"}
# Counters and caches under /proc/sys/net that move by themselves, and files that may not be read.
_SYSCTL_VOLATILE = re.compile(r"nf_conntrack_count$|/route/flush$|/neigh/.*(base_reachable|gc_)|stable_secret$")
_INTERFACE_SYSCTL = re.compile(r"(sysctl net/ipv[46]/(?:conf|neigh)/(?!all/|default/)[^/]+)/")
_SYSCTL_ROOTS = ("/proc/sys/net/ipv4", "/proc/sys/net/ipv6", "/proc/sys/net/bridge", "/proc/sys/net/netfilter",
                 "/proc/sys/net/core")


def capture(netns=None, files=(), contents=(), only=None):
    """What is there now, in the caller's namespace or the one at `netns`.

    `files`: folders whose names, kinds and modes count (the state folder: LMDB's bytes change, names must not);
    `contents`: folders whose bytes count as well. `only`: the questions to ask (the names in ALL), for a quick look at
    one thing; a comparison of what is left behind asks them all.
    """
    lines = {}
    asked = ALL if only is None else only
    with in_netns(netns):
        running = {name: _start(*_COMMANDS[name]) for name in asked if name != "sysctl"}
        if "sysctl" in asked:
            _read_sysctls(lines)
        output = {name: _finish(name, process, script) for name, (process, script) in running.items()}
    for name, text in output.items():
        if name.startswith("ip"):
            _add_ip(lines, name[-1], _IP_BATCHES[name[-1]], text)
        elif name.startswith("conntrack"):
            _add_conntrack(lines, text)
        elif name == "nft":
            _add_nft(lines, json.loads(text)["nftables"])
        else:
            _add_bridge(lines, name, _documents(text)[0])
    for folder in files:
        _add_files(lines, folder, False)
    for folder in contents:
        _add_files(lines, folder, True)
    return lines


def settled(patience=5.0, netns=None, **what):
    """A capture taken once no IPv6 address is tentative any more (the end of the duplicate check adds routes), and the
    state of every veth that is up is known (the kernel's link watch tells it from a work queue)."""
    def asked(*question):
        return subprocess.run(["ip", "-o", *question], capture_output=True, check=True).stdout

    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with in_netns(netns):
            tentative = asked("-6", "addr", "show", "tentative")
            veths = asked("link", "show", "up", "type", "veth")
        if not tentative and b"state UNKNOWN" not in veths:
            break
        time.sleep(0.05)
    return capture(netns=netns, **what)


def diff(before, after):
    """Readable lines, '-' gone, '+' new; empty when equal. The sysctls of an interface that came or went are one line."""
    lines, folded = [], {}
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        interface = _INTERFACE_SYSCTL.match(key)
        if interface and (old is None or new is None):
            name = f"{'+' if old is None else '-'} {interface.group(1)}"
            folded[name] = folded.get(name, 0) + 1
            continue
        if old is not None:
            lines.append(f"- {key}: {old}")
        if new is not None:
            lines.append(f"+ {key}: {new}")
    return lines + [f"{name}/*: {count} files" for name, count in folded.items()]


def added(before, after):
    """The '+' lines only, for places where entries of others may time out meanwhile."""
    return [line for line in diff(before, after) if line.startswith("+")]


def wait_same(before, patience=3.0, compare=diff, **what):
    """Captures until nothing differs or `patience` seconds are over; returns the last difference.

    The patience is for what the kernel does behind everybody's back: a dead namespace is torn down by a worker, an
    operational state settles, a link-local address passes its duplicate check.
    """
    deadline = time.monotonic() + patience
    while True:
        lines = compare(before, capture(**what))
        if not lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.05)


def assert_same(before, note="", patience=3.0, compare=diff, **what):
    lines = wait_same(before, patience, compare, **what)
    assert not lines, f"{note or 'snapshots'} differ:\n  " + "\n  ".join(lines)


def _start(argv, script):
    return subprocess.Popen(argv, stdin=subprocess.PIPE if script else subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True), script


def _finish(name, process, script):
    stdout, stderr = process.communicate(script, timeout=30)
    if process.returncode != 0:
        raise RuntimeError(f"snapshot: {name} failed ({process.returncode}): {stderr.strip()}")
    return stdout


def _documents(text):
    """All JSON documents of a text, one after the other; an empty text is one empty list."""
    decoder, found, position = json.JSONDecoder(), [], 0
    text = text.strip()
    while position < len(text):
        value, end = decoder.raw_decode(text, position)
        found.append(value)
        position = end
        while position < len(text) and text[position].isspace():
            position += 1
    return found or [[]]


def _plain(value):
    """The value without clocks and handles, in one stable line."""
    return json.dumps(_normalised(value), sort_keys=True)


def _normalised(value):
    if isinstance(value, list):
        return [_normalised(entry) for entry in value if not (isinstance(entry, str) and entry in _PROGRESS)]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, entry in value.items():
        if key in _CLOCKS or key in _PROGRESS or key.endswith("_timer"):
            continue
        if key in _LIFETIMES and entry != _FOREVER:
            continue
        kept[key] = "counting" if key == "counter" and isinstance(entry, dict) else _normalised(entry)
    if "elem" in kept and isinstance(kept["elem"], list):
        kept["elem"] = sorted(kept["elem"], key=lambda element: json.dumps(element, sort_keys=True))
    return kept


def _unique(lines, key, text):
    name, number = key, 2
    while name in lines:
        name, number = f"{key} #{number}", number + 1
    lines[name] = text


def _add_ip(lines, version, batch, text):
    documents = _documents(text)
    if len(documents) != len(batch):
        raise RuntimeError(f"snapshot: ip -{version} answered {len(documents)} of {len(batch)} questions")
    for question, entries in zip(batch, documents):
        kind = question.split()[0] + ("-proxy" if question.endswith("proxy") else "")
        for entry in entries:
            if kind == "neigh" and not _is_kept_neighbour(entry):
                continue
            _add_ip_entry(lines, version, kind, entry)


def _add_ip_entry(lines, version, kind, entry):
    if not entry:
        return
    if kind == "link":
        _unique(lines, f"link {entry['ifname']}", _plain(entry))
    elif kind == "addr":
        for address in entry.get("addr_info", []):
            if address:
                name = f"addr {entry['ifname']} {address['local']}/{address['prefixlen']}"
                _unique(lines, name, _plain(address))
    elif kind == "route" and entry.get("type") == "local" and entry["dst"].startswith("fe80:"):
        return  # follows from a link-local address (which is in the snapshot) once its duplicate check is over
    elif kind == "route":
        name = f"route{version} {entry.get('type', 'unicast')} {entry['dst']} {entry.get('dev', '')}"
        _unique(lines, f"{name} table {entry.get('table', 'main')}", _plain(entry))
    else:
        name = f"{kind}{version} {entry.get('dst', entry.get('priority', entry.get('id', '')))} {entry.get('dev', '')}"
        _unique(lines, name.rstrip(), _plain(entry))


def _is_kept_neighbour(entry):
    # Multicast NOARP entries come and go with the kernel's own group reports.
    return "PERMANENT" in entry.get("state", []) or "extern_learn" in entry or "proxy" in entry


def _is_kept_fdb(entry):
    if entry.get("mac", "").startswith(("01:00:5e:", "33:33:")):
        return False  # groups that the kernel joins by itself for the addresses of an interface, some a moment later
    flags = entry.get("flags", [])
    return entry.get("state") in ("permanent", "static") or "extern_learn" in flags or "self" in flags


def _add_bridge(lines, kind, entries):
    for entry in entries:
        if kind == "fdb" and not _is_kept_fdb(entry):
            continue
        device = entry.get("ifname", entry.get("dev", ""))
        _unique(lines, f"{kind} {device} {entry.get('mac', entry.get('kind', ''))}".rstrip(), _plain(entry))


def _add_nft(lines, objects):
    position = {}
    for wrapped in objects:
        kind, value = next(iter(wrapped.items()))
        if kind == "metainfo":
            continue
        where = [value.get("family"), value.get("table"), value.get("name", value.get("chain"))]
        name = f"nft {kind} {' '.join(part for part in where if part)}"
        if kind == "rule":
            # The order of a chain's rules is part of their meaning.
            position[name] = position.get(name, 0) + 1
            name += f" {position[name]}"
        elements = value.pop("elem", None) if kind in ("set", "map") else None
        _unique(lines, name, _plain(value))
        for element in elements or []:
            text = _plain(element)
            _unique(lines, f"{name} element {text}", "present")


def _add_conntrack(lines, text):
    for line in text.splitlines():
        words = [word for word in line.split() if "=" in word]
        tuples = [word for word in words if word.split("=")[0] in
                  ("src", "dst", "sport", "dport", "type", "code", "id", "zone")]
        target = next(word[len("dst="):] for word in tuples if word.startswith("dst="))
        if ipaddress.ip_address(target).is_multicast:
            continue
        _unique(lines, f"conntrack {line.split()[0]} {' '.join(tuples)}", "present")


def _read_sysctls(lines):
    for root in _SYSCTL_ROOTS:
        for folder, _, names in os.walk(root):
            for name in names:
                path = f"{folder}/{name}"
                if not _SYSCTL_VOLATILE.search(path):
                    _read_sysctl(lines, path)


def _read_sysctl(lines, path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # write-only, or its interface has just gone
    try:
        with contextlib.suppress(OSError):
            lines[f"sysctl {path[len('/proc/sys/'):]}"] = os.read(fd, 65536).decode(errors="replace").strip()
    finally:
        os.close(fd)


def _add_files(lines, folder, with_contents):
    if not os.path.lexists(folder):
        return
    for parent, folders, names in os.walk(folder):
        for name in folders + names + ([""] if parent == folder else []):
            path = os.path.join(parent, name).rstrip("/")
            with contextlib.suppress(FileNotFoundError):
                lines[f"file {path}"] = _file_text(path, with_contents)


def _file_text(path, with_contents):
    status = os.lstat(path)
    text = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    if stat.S_ISLNK(status.st_mode):
        return f"{text} -> {os.readlink(path)}"
    if with_contents and stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            return f"{text} {status.st_size} bytes {hashlib.sha256(file.read()).hexdigest()[:16]}"
    return text
