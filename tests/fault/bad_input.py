#!/usr/bin/env python3
"""Bad input gets one error JSON on stdout with the right code and a sentence that says what to do, within a second, and by
raw snapshots nothing is changed.

usage: bad_input.py [CHAPTER...]
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time

from harness import Lab, bridge_conflist, plugin_config, port_mapping, snapshot
from input_corpus import BAD_VALUES, VALID, replaced, wrong_types
from lab.plugins import addresses
from sweeps import in_child

UNSUPPORTED_VERSION, UNSUPPORTED, ENVIRONMENT, DECODE, CONFIG, NETNS = 1, 2, 4, 6, 7, 8
NO_ADDRESS, ADDRESS_TAKEN, PORT_TAKEN, INTERFACE_TAKEN, ALREADY_ATTACHED = 101, 102, 103, 104, 105
SLOWEST = 1.0
EXECUTABLES = tuple(VALID)


class Jury:
    """Judges calls; collects what is wrong instead of stopping at the first."""

    def __init__(self, lab):
        self.lab = lab
        self.victim = lab.container("victim")
        self.before = snapshot.settled()
        self.inside = snapshot.settled(netns=self.victim.netns)
        self.wrong = []
        self.judged = 0

    def expect(self, what, codes, plugin, verb="ADD", config=None, **options):
        """The call fails with one of `codes` and one sentence; None among the codes allows success."""
        self.judged += 1
        container = options.pop("container", self.victim)
        outcome = self.lab.runtime.call(plugin, verb, config, container, **options)
        if outcome.seconds > SLOWEST:  # the machine may have been busy: only what is slow twice is slow
            outcome = self.lab.runtime.call(plugin, verb, config, container, **options)
        try:
            self.judge(outcome, codes)
        except AssertionError as error:
            self.wrong.append(f"{plugin} {verb}, {what}: {error}")
        if outcome.ok and verb == "ADD":
            self.lab.runtime.call(plugin, "DEL", VALID[plugin], container)

    def judge(self, outcome, codes):
        if outcome.ok:
            assert None in codes, f"accepted; one of the codes {codes} was expected: {outcome.stdout[:150]}"
            return
        outcome.expect_error()
        assert outcome.error_code in codes, f"code {outcome.error_code} instead of {codes}: {outcome.json['msg'][:200]}"
        message = outcome.json["msg"]
        assert len(message.split()) >= 3, f"no sentence: {message!r}"
        assert len(outcome.stdout) < 8192, f"an answer of {len(outcome.stdout)} bytes"
        assert outcome.seconds <= SLOWEST, f"took {outcome.seconds:.2f} s"

    def assert_unchanged(self, what):
        lines = snapshot.wait_same(self.before, patience=2)
        lines += snapshot.wait_same(self.inside, patience=1, netns=self.victim.netns)
        if lines:
            self.wrong.append(f"{what}: something was changed:\n    " + "\n    ".join(line[:160] for line in lines[:6]))


def not_json(jury):
    deep = b"[" * 200000
    big = json.dumps({**VALID["bridge"], "filler": "x" * (10 << 20)}).encode()
    texts = {"nothing": b"", "a word": b"hello", "half an object": b'{"cniVersion": "1.0.0", "name"',
             "two documents": b"{} {}",
             "zero bytes": b"\0" * 64, "wrong encoding": b'{"name": "\xff\xfe"}', "deep lists": deep,
             "deep objects": b'{"a":' * 100000, "rest behind": json.dumps(VALID["none"]).encode() + b" x"}
    others = {"a list": b"[]", "a string": b'"x"', "a number": b"1", "null": b"null", "an empty object": b"{}"}
    for plugin in EXECUTABLES:
        for what, text in texts.items():
            jury.expect(what, (DECODE,), plugin, stdin=text)
        for what, text in others.items():
            jury.expect(what, (DECODE, CONFIG), plugin, stdin=text)
        jury.expect("10 MB", (DECODE, CONFIG), plugin, stdin=big)
        jury.expect("10 MB of spaces", (DECODE, CONFIG), plugin, stdin=b" " * (10 << 20))
        jury.expect("10 MB of brackets", (DECODE, CONFIG), plugin, stdin=b"[" * (10 << 20))
        closed = json.dumps(VALID[plugin])[:-1].encode() + b', "deep": ' + b"[" * 50000 + b"]" * 50000 + b"}"
        jury.expect("a deep value that is well formed", (DECODE, CONFIG), plugin, stdin=closed)
    for verb in ("DEL", "CHECK", "GC", "STATUS"):
        jury.expect("no JSON", (DECODE,), "bridge", verb=verb, stdin=b"hello")


def wrong_types_everywhere(jury):
    for plugin in EXECUTABLES:
        for path, name, document in wrong_types(VALID[plugin]):
            place = ".".join(map(str, path))
            # A result of another plugin that cannot be read is a failure to decode, as libcni has it.
            codes = {"prevResult": (CONFIG, DECODE)}.get(path[0], (CONFIG,))
            jury.expect(f"{place} is a {name}", codes, plugin, config=document)
        jury.assert_unchanged(f"{plugin} with wrong types")


def null_is_absent(jury):
    for plugin in EXECUTABLES:
        for key in VALID[plugin]:
            jury.expect(f"{key} is null", (None, CONFIG, DECODE), plugin,
                        config=replaced(VALID[plugin], (key,), None))


def bad_values(jury):
    for plugin, cases in BAD_VALUES.items():
        for path, value in cases:
            codes = (CONFIG, DECODE) if path[0] == "prevResult" else (CONFIG,)
            jury.expect(f"{'.'.join(map(str, path))} = {value!r}", codes, plugin,
                        config=replaced(VALID[plugin], path, value))
    without = {key: value for key, value in VALID["portmap"].items() if key != "prevResult"}
    jury.expect("no prevResult", (CONFIG,), "portmap", config=without)


def versions(jury):
    for plugin in EXECUTABLES:
        for version in ("9.9.9", "0.0.1", "1.2.0", "x", "1", "1.0.0.0"):
            document = {**VALID[plugin], "cniVersion": version}
            jury.expect(f"version {version}", (UNSUPPORTED_VERSION, CONFIG) if version in ("x", "1", "1.0.0.0")
                        else (UNSUPPORTED_VERSION,), plugin, config=document)


def environment(jury):
    for plugin in EXECUTABLES:
        ask = lambda what, plugin=plugin, **options: jury.expect(what, (ENVIRONMENT,), plugin, config=VALID[plugin],
                                                                 **options)
        ask("unknown command", verb="FLY")
        ask("lower case command", verb="add")
        ask("no container id", container_id=None)
        ask("empty container id", container_id="")
        for bad in ("../x", "a/b", "-x", ".x", "a b", "a\nb", "é"):
            ask(f"container id {bad[:12]!r}", container_id=bad)
        ask("no interface name", ifname=None)
        for bad in ("", ".", "..", "a/b", "a b", "a:b", "longer-than-15-b", "a\tb"):
            ask(f"interface name {bad!r}", ifname=bad)
        ask("no CNI_NETNS", netns=None)
        for bad in ("IP", "=", ";;;", "IP=10.88.0.15;IP"):
            jury.expect(f"CNI_ARGS {bad!r}", (ENVIRONMENT, None), plugin, config=VALID[plugin], args=bad)


def netns_paths(jury):
    folder = "/run/lab/paths"
    os.mkdir(folder)
    make = lambda name: f"{folder}/{name}"
    with open(make("file"), "w", encoding="ascii") as file:
        file.write("x")
    os.mkfifo(make("fifo"))
    server = socket.socket(socket.AF_UNIX)
    server.bind(make("socket"))
    os.symlink(make("loop2"), make("loop1"))
    os.symlink(make("loop1"), make("loop2"))
    os.symlink(make("nowhere"), make("dangling"))
    os.mkdir(make("folder"))
    paths = {
        "missing": make("missing"), "regular file": make("file"), "folder": make("folder"), "fifo": make("fifo"),
        "socket": make("socket"), "device": "/dev/null", "terminal": "/dev/tty", "symlink loop": make("loop1"),
        "dangling symlink": make("dangling"), "mount namespace": "/proc/self/ns/mnt", "own namespace": "/proc/self/ns/net",
        "own namespace, other name": "/proc/thread-self/ns/net", "too long": "/" + "x" * 5000,
        "long component": "/run/" + "x" * 300, "below a file": make("file") + "/x",
        "process that is gone": "/proc/4194303/ns/net", "relative": "run/netns/x",
        "PID namespace": "/proc/self/ns/pid", "folder of namespaces": "/proc/self/ns",
    }
    for plugin in EXECUTABLES:
        if plugin in ("host-local", "static", "portmap"):
            continue  # they never enter the container's namespace
        for what, path in paths.items():
            jury.expect(f"netns: {what}", (NETNS,), plugin, config=VALID[plugin], netns=path)
        jury.expect("netns: empty", (NETNS, ENVIRONMENT), plugin, config=VALID[plugin], netns="")
    server.close()


def taken_things(jury):
    """Here others live beside: the snapshots are taken anew around them."""
    lab, runtime = jury.lab, jury.lab.runtime
    pool = {"ranges": [[{"subnet": "10.89.0.0/24", "rangeStart": "10.89.0.10", "rangeEnd": "10.89.0.11"}]]}
    conflist = bridge_conflist("taken", bridge="cni-tk0", portmap=False, ipam_keys=pool,
                               bridge_keys={"capabilities": {"portMappings": True}})
    ports = {"portMappings": [port_mapping(8088, 80)]}
    config = lambda wanted=None: plugin_config(conflist, conflist["plugins"][0], wanted)
    owner = lab.container("owner")
    first = addresses(runtime.call("bridge", "ADD", config(ports), owner).expect_ok().json)[0]
    jury.before = snapshot.settled()
    jury.victim.run(["ip", "link", "add", "eth0", "type", "bridge"])
    jury.inside = snapshot.settled(netns=jury.victim.netns)
    jury.expect("taken interface name", (INTERFACE_TAKEN,), "bridge", config=config())
    jury.assert_unchanged("taken interface name")
    jury.victim.run(["ip", "link", "del", "eth0"])
    jury.inside = snapshot.settled(netns=jury.victim.netns)
    jury.expect("port of another container", (PORT_TAKEN,), "bridge", config=config(ports))
    jury.expect("address of another container", (ADDRESS_TAKEN,), "bridge", config=config(), args=f"IP={first}")
    jury.expect("address outside the pool", (CONFIG, NO_ADDRESS, ADDRESS_TAKEN), "bridge", config=config(),
                args="IP=192.0.2.1")
    jury.expect("address of the gateway", (ADDRESS_TAKEN, CONFIG), "bridge", config=config(), args="IP=10.89.0.1")
    jury.expect("attached already", (ALREADY_ATTACHED, INTERFACE_TAKEN), "bridge", config=config(ports), container=owner)
    with contextlib.closing(socket.create_server(("0.0.0.0", 8089))):
        busy = {"portMappings": [port_mapping(8089, 80)]}
        jury.expect("port of a program on the host", (PORT_TAKEN,), "bridge", config=config(busy))
    jury.assert_unchanged("taken ports and addresses")
    second = lab.container("second")
    runtime.call("bridge", "ADD", config(), second).expect_ok()
    jury.before = snapshot.settled()
    jury.expect("full pool", (NO_ADDRESS,), "bridge", config=config())
    jury.assert_unchanged("full pool")


def valid_is_accepted(jury):
    """Control: what every chapter starts from is no bad input."""
    # portmap wants a way to the container of its prevResult.
    for command in ("link add cni-lab0 type bridge", "addr add 10.87.0.1/24 dev cni-lab0", "link set cni-lab0 up"):
        subprocess.run(["ip", *command.split()], check=True)
    jury.before = snapshot.settled()
    for plugin in EXECUTABLES:
        outcome = jury.lab.runtime.call(plugin, "ADD", VALID[plugin], jury.victim)
        if not outcome.ok:
            jury.wrong.append(f"the valid input of {plugin} is refused: {outcome.describe()}")
        jury.lab.runtime.call(plugin, "DEL", VALID[plugin], jury.victim).expect_ok()
    # loopback sets lo up, and leaves it so.
    jury.inside = snapshot.settled(netns=jury.victim.netns)


CHAPTERS = (valid_is_accepted, not_json, wrong_types_everywhere, null_is_absent, bad_values, versions, environment,
            netns_paths,
            taken_things)


def chapter_in_child(chapter):
    with Lab(duplicate_detection=False) as lab:
        subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
        # What macvlan goes on top of, and host-device moves.
        subprocess.run("ip link add spare0 type veth peer name spare1".split(), check=True)
        subprocess.run("ip link set spare0 up".split(), check=True)
        jury = Jury(lab)
        if chapter in (wrong_types_everywhere, null_is_absent, not_json, environment):
            # Where lo is up already, nothing that is refused late shows up as a change.
            jury.victim.run(["ip", "link", "set", "lo", "up"])
            jury.inside = snapshot.settled(netns=jury.victim.netns)
        chapter(jury)
        jury.assert_unchanged(chapter.__name__)
        yield {"wrong": jury.wrong, "judged": jury.judged}


def main():
    wanted, failed = sys.argv[1:], 0
    for chapter in CHAPTERS:
        if wanted and chapter.__name__ not in wanted:
            continue
        began = time.monotonic()
        result = list(in_child(lambda: chapter_in_child(chapter)))[-1]  # noqa: B023: used at once
        wrong = [result["crash"]] if "crash" in result else result["wrong"]
        failed += len(wrong)
        print(f"{chapter.__name__.replace('_', ' ')}: {result.get('judged', 0)} calls, {len(wrong)} wrong, "
              f"{time.monotonic() - began:.1f} s", *(f"\n  {text}" for text in wrong), flush=True)
    if failed:
        sys.exit(f"{failed} wrong answers")


if __name__ == "__main__":
    main()
