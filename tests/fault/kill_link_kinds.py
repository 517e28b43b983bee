#!/usr/bin/env python3
"""SIGKILL around every message to the kernel and every write of the store, in ADD and DEL of ptp, macvlan and host-device.

Each round: a fresh container, the call killed, `netctl gc`, and then by raw snapshots the host is as before the ADD, or
(where the call had come to its end, or DEL had not begun) as after it. Half of the containers are dead by the time of the
gc: a device that had moved into one is given up by it as the kernel does with hardware, under a name of the kernel's
choice. The runtime's DEL afterwards succeeds, the device is back in order, and the one address of the pool is free.

usage: kill_link_kinds.py [PLUGIN...]
"""

import dataclasses
import os
import subprocess
import sys

from harness import Lab, Syscall, container_view, count, gc, host_ends, snapshot, step, wait_until
from kill_at_every_syscall import chosen
from sweeps import finish, in_child, sweep

IPAM = {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.10", "rangeEnd": "10.88.0.10"}]],
        "routes": [{"dst": "0.0.0.0/0"}]}
KINDS = {"ptp": {"ipMasq": True}, "macvlan": {"master": "wire0"}, "host-device": {"device": "wire0"}}


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True)


class Sweep:
    """One plugin and verb on a private host with a device that is somebody's."""

    def __init__(self, plugin, verb):
        self.plugin, self.verb = plugin, verb
        self.config = {"cniVersion": "1.0.0", "name": "net", "type": plugin, **KINDS[plugin], "ipam": IPAM}
        self.lab = Lab(duplicate_detection=False)
        self.rounds = 0

    def __enter__(self):
        self.lab.__enter__()
        run("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
        run("ip", "link", "set", "wire1", "up")
        run("ip", "link", "set", "wire0", "up", "alias", "somebody's")
        run("ip", "addr", "add", "10.70.0.99/24", "dev", "wire0")
        self.runtime = self.lab.runtime
        # One attachment that came and went: files of the state folder, the loaded parts of the kernel.
        first = self.lab.container("first", process=False)
        self.call("ADD", first)
        self.call("DEL", first)
        self.lab.remove(first)
        self.base = self.look()
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    @staticmethod
    def look():
        return snapshot.settled()

    def call(self, verb, container, **options):
        return self.runtime.call(self.plugin, verb, self.config, container, **options).expect_ok()

    def prepare(self, name):
        victim = self.lab.container(name, process=False)
        if self.verb == "DEL":
            self.call("ADD", victim)
        return victim

    def syscalls(self):
        victim = self.prepare("counted")
        calls = count(self.runtime, self.plugin, self.verb, self.config, victim)
        self.call("DEL", victim)
        self.lab.remove(victim)
        snapshot.assert_same(self.base, "after an undisturbed run")
        return calls

    def finish(self):
        snapshot.assert_same(self.base, "after the sweep")

    def round(self, mode, ordinal, stays):
        self.rounds += 1
        victim = self.prepare(f"victim{self.rounds}")
        run_of = step(self.runtime, (mode, ordinal), self.plugin, self.verb, self.config, victim)
        note = f"{self.plugin} {self.verb} {mode} at {run_of.hit}, namespace {'there' if stays else 'gone'}"
        if os.environ.get("NETCTL_FAULT_VERBOSE"):
            print(note, flush=True)
        try:
            self.after_kill(victim, stays)
        except Exception as error:
            raise AssertionError(f"{note}: {error}") from error
        return "killed" if run_of.hit else "over before"

    def after_kill(self, victim, stays):
        if not stays:
            self.end(victim)
        gc(self.lab)
        inside = container_view(victim) if stays else {}
        whole = stays and "link eth0" in inside and any(key.startswith("route4 unicast default eth0") for key in inside)
        if not whole:
            snapshot.assert_same(self.base, "after gc", patience=3)
            assert "link eth0" not in inside, "the container's side is left"
        self.call("DEL", victim, netns="")
        self.call("DEL", victim)
        snapshot.assert_same(self.base, "after DEL", patience=3)
        other = self.lab.container(f"other{self.rounds}", process=False)
        self.call("ADD", other)
        self.call("DEL", other)
        self.lab.remove(other)
        if stays:
            assert "link eth0" not in container_view(victim), "the container's side is left after DEL"
            self.lab.remove(victim)
        snapshot.assert_same(self.base, "at the end of the round", patience=3)

    def end(self, victim):
        """A veth would end with the namespace, hardware does not: it is moved out as the kernel would do it."""
        if self.plugin == "host-device":
            # This process itself is in the container's namespace while it runs a command there.
            at_home = self.lab.spawn(["sleep", "infinity"])
            for name in ("eth0", "wire0"):
                victim.run(["ip", "link", "set", name, "netns", str(at_home.pid), "name", "dev17"], check=False)
            at_home.kill()
            at_home.wait()
        victim.remove()
        # The kernel tears a namespace down later; until then its host end is a proof of life.
        wait_until(lambda: not host_ends(self.base), "the dead container's host end goes")


def undisturbed(plugin, verb):
    def work():
        with Sweep(plugin, verb) as subject:
            for call in subject.syscalls():
                yield dataclasses.asdict(call)
    found = list(in_child(work))
    assert found and "crash" not in found[-1], found[-1:]
    return [Syscall(**fields) for fields in found]


def main():
    tallies = []
    for plugin in sys.argv[1:] or KINDS:
        for verb in ("ADD", "DEL"):
            rounds = [(mode, ordinal, place % 2 == 0)
                      for place, (mode, ordinal) in enumerate(chosen(undisturbed(plugin, verb)))]
            make = lambda plugin=plugin, verb=verb: Sweep(plugin, verb)
            tallies.append(sweep(f"{plugin} {verb}", make, rounds))
    finish(tallies)


if __name__ == "__main__":
    main()
