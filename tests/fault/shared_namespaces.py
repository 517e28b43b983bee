#!/usr/bin/env python3
"""Kills and any order of calls for containers that share a namespace: nothing is lost, and nothing is left.

Sweeps: SIGKILL at chosen syscalls of ADD and DEL of container-share and host, and of the DELs of an owner that has sharers;
then the runtime calls DEL, or `netctl gc` runs, or the runtime takes its mount away and gc runs. Walks: random sequences of
owners and sharers that come, leave and are killed in the middle, held against a model.

usage: shared_namespaces.py [--full] [SEED...]    --full: every syscall, and more walks
"""

import os
import random
import sys

from harness import Lab, bridge_conflist, gc, plugin_config, port_mapping, snapshot, step
from lab import kernel
from lab.kernel import namespace_cookie
from sweeps import finish, sweep

VERSION = "1.0.0"
WEB = bridge_conflist("blue", "10.88.0.0/24", "br-blue")
WEB_PORTS = {"portMappings": [port_mapping(8080, 80)]}


def share_config(target, keep=True, port=None):
    config = {"cniVersion": VERSION, "name": "share", "type": "container-share",
              "netctl": {"share": target, "onOwnerExit": "keep" if keep else "release"}}
    if port:
        config["runtimeConfig"] = {"portMappings": [port_mapping(port, 9100)]}
    return config


HOST_CONFIG = {"cniVersion": VERSION, "name": "host", "type": "host"}


def mounts():
    """Mount points below /run, with the namespace that each shows."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return sorted((line.split()[4], line.split()[3]) for line in file if line.split()[4].startswith("/run"))


def records(lab):
    listing = lab.runtime.netctl("ps", "--json").expect_ok().json["attachments"]
    return {row["containerID"]: row for row in listing}


def take_away(container):
    """What a runtime does that never calls DEL: unmount once, remove the file."""
    try:
        kernel.umount(container.netns)
    except OSError:
        pass  # killed while the namespaces were exchanged: it is a bare file
    os.unlink(container.netns)


class Kills:
    """An owner with a published port lives; one sharer after the other is killed in ADD or DEL."""

    def __init__(self, verb, config):
        self.verb, self.config, self.rounds = verb, config, 0
        self.lab = Lab(duplicate_detection=False)

    def __enter__(self):
        self.lab.__enter__()
        self.owner = self.lab.container("web", process=False)
        self.lab.runtime.chain_add(WEB, self.owner, runtime_config=WEB_PORTS)
        self.base, self.mounts = snapshot.settled(), mounts()
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def finish(self):
        assert set(records(self.lab)) == {"web"}, records(self.lab)

    def call(self, verb, victim, **options):
        return self.lab.runtime.call(self.config["type"], verb, self.config, victim, **options)

    def prepare(self):
        self.rounds += 1
        victim = self.lab.container(f"victim{self.rounds}", process=False)
        own = victim.cookie
        if self.verb == "DEL":
            self.call("ADD", victim).expect_ok()
        return victim, own

    def count(self):
        victim, _ = self.prepare()
        run = step(self.lab.runtime, ("count",), self.config["type"], self.verb, self.config, victim)
        run.outcome.expect_ok()
        self.call("DEL", victim).expect_ok()
        self.lab.remove(victim)
        return run.syscalls

    def round(self, mode, ordinal, aftermath):
        victim, own = self.prepare()
        run = step(self.lab.runtime, (mode, ordinal), self.config["type"], self.verb, self.config, victim)
        note = f"{self.config['type']} {self.verb} {mode} at {run.hit}, then {aftermath}"
        try:
            self.after_kill(victim, own, aftermath)
        except Exception as error:
            raise AssertionError(f"{note}: {error}") from error
        return aftermath if run.hit else "over before"

    def after_kill(self, victim, own, aftermath):
        if aftermath == "gone":
            take_away(victim)
            gc(self.lab)
        elif aftermath == "gc":
            gc(self.lab)
            whole = victim.id in records(self.lab)
            shown = namespace_cookie() if self.config is HOST_CONFIG else self.owner.cookie
            assert victim.cookie == (shown if whole else own), "half of it is left"
            if whole:
                assert records(self.lab)[victim.id]["state"] == "alive", records(self.lab)[victim.id]
        self.call("DEL", victim, netns="").expect_ok()
        if aftermath != "gone":
            assert victim.cookie == own, "the container's own namespace is not back"
        self.lab.remove(victim)
        assert mounts() == self.mounts, f"{mounts()}, was {self.mounts}"
        assert not os.path.exists("/run/netctl"), "a pin is left"
        snapshot.assert_same(self.base)


class OwnerKills(Kills):
    """The owner's DELs, bridge or portmap, are killed while it has a sharer, and so is the sharer that leaves last."""

    def __init__(self, plugin):
        super().__init__("DEL", share_config("victim"))
        self.plugin = plugin

    def prepare(self):
        self.rounds += 1
        name = f"victim{self.rounds}"
        owner = self.lab.container(name, process=False)
        self.lab.runtime.chain_add(WEB, owner)
        self.sharer = self.lab.container(f"sharer{self.rounds}", process=False)
        self.config = share_config(name, port=9100)
        self.lab.runtime.call("container-share", "ADD", self.config, self.sharer).expect_ok()
        if self.plugin == "container-share":
            self.lab.runtime.chain_del(WEB, owner)
        return owner, self.sharer

    def _arguments(self, owner):
        if self.plugin == "container-share":
            return self.plugin, "DEL", self.config, self.sharer
        wanted = next(entry for entry in WEB["plugins"] if entry["type"] == self.plugin)
        return self.plugin, "DEL", plugin_config(WEB, wanted), owner

    def count(self):
        owner, _ = self.prepare()
        run = step(self.lab.runtime, ("count",), *self._arguments(owner))
        run.outcome.expect_ok()
        self.clear(owner)
        return run.syscalls

    def clear(self, owner):
        self.lab.runtime.chain_del(WEB, owner)
        self.lab.runtime.call("container-share", "DEL", self.config, self.sharer, netns="").expect_ok()
        for container in (owner, self.sharer):
            self.lab.remove(container)

    def round(self, mode, ordinal, aftermath):
        owner, sharer = self.prepare()
        run = step(self.lab.runtime, (mode, ordinal), *self._arguments(owner))
        try:
            if aftermath == "gc":
                gc(self.lab)
            if self.plugin != "container-share":
                assert "eth0" in sharer.run(["ip", "-br", "link"]).stdout, "the interface is gone under its sharer"
                self.lab.runtime.chain_del(WEB, owner)
                assert "eth0" in sharer.run(["ip", "-br", "link"]).stdout, "the interface is gone under its sharer"
                assert records(self.lab)[owner.id]["state"] == "kept", records(self.lab)
            self.clear(owner)
            if aftermath == "del" and self.plugin == "container-share":
                gc(self.lab)  # a kill between the sharer's end and the owner's: that DEL has nothing more to go by
            assert set(records(self.lab)) == {"web"}, records(self.lab)
            assert mounts() == self.mounts, f"{mounts()}, was {self.mounts}"
            assert not os.path.exists("/run/netctl"), "a pin is left"
            snapshot.assert_same(self.base)
        except Exception as error:
            raise AssertionError(f"owner, {self.plugin} {mode} at {run.hit}, then {aftermath}: {error}") from error
        return aftermath if run.hit else "over before"


def chosen(calls, full):
    first = next(call.n for call in calls if call.detail.startswith("pipe:") and call.name == "read")
    picked = set(range(1 if full else first, len(calls) + 1, 1 if full else max(1, len(calls) // 12)))
    # Around what changes the world: mounts, and the end of each transaction.
    for before, call in zip([None, *calls], calls):
        if call.name in ("mount", "umount2", "unlink", "rmdir", "mkdir"):
            picked.add(call.n)
            picked.add(call.n + 1)
        if before and before.is_store_write and not call.is_store_write:
            picked.add(call.n)
    return sorted(picked)


def kills(title, make, full):
    """A child counts the syscalls, others do the rounds."""
    def count_first():
        class Counter:
            def __enter__(self):
                self.subject = make().__enter__()
                return self

            def __exit__(self, *error):
                self.subject.__exit__(*error)

            def round(self, _):
                return ",".join(map(str, chosen(self.subject.count(), full)))

            def finish(self):
                pass
        return Counter()

    tally = sweep(f"{title}: counting", count_first, [(0,)])
    if tally.failures:
        return tally
    counted = [int(number) for number in next(iter(tally.log)).split(",")]
    aftermaths = ("gc", "del", "gone")
    rounds = [("kill", number, aftermaths[place % 3]) for place, number in enumerate(counted)]
    if full:
        rounds = [("kill", number, aftermath) for number in counted for aftermath in aftermaths]
    return sweep(title, make, rounds)


class Walk:
    """Owners and sharers come and go at random. The model: who is there, who is kept, and who holds a reference on whom."""

    OWNERS, SHARERS = ("own1", "own2"), ("shr1", "shr2", "shr3", "shr4")

    def __init__(self, length):
        self.length = length
        self.lab = Lab(duplicate_detection=False)

    def __enter__(self):
        self.lab.__enter__()
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def finish(self):
        pass

    def round(self, seed):
        self.random = random.Random(seed)
        self.boxes = {name: self.lab.container(f"{name}-{seed}", process=False) for name in self.OWNERS + self.SHARERS}
        self.cookies = {name: box.cookie for name, box in self.boxes.items()}
        self.owners, self.references, self.story = {}, {}, []
        base, mounted = snapshot.settled(), [point for point, _ in mounts()]
        try:
            for _ in range(self.length):
                self.random.choice((self.owner_add, self.owner_del, self.sharer_add, self.sharer_add, self.sharer_del,
                                    self.collect, self.vanish))()
                self.compare()
            for name in self.random.sample(self.OWNERS + self.SHARERS, 6):
                (self.owner_del if name in self.OWNERS else self.sharer_del)(name)
                self.compare()
            assert not records(self.lab), records(self.lab)
            assert [point for point, _ in mounts()] == mounted, f"{mounts()}, was {mounted}"
            snapshot.assert_same(base)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}\n  " + "\n  ".join(self.story)) from error
        for box in self.boxes.values():
            self.lab.remove(box)
        return "walked"

    def perform(self, plugin, verb, config, box):
        """The call, killed at a random syscall first in one case of three, then made again as a runtime would."""
        self.story.append(f"{plugin} {verb} {box.id} {config.get('netctl', '')}")
        if self.random.random() < 0.33:
            run = step(self.lab.runtime, ("kill", self.random.randrange(30, 330)), plugin, verb, config, box)
            self.story.append(f"  killed at {run.hit}" if run.hit else "  not killed")
            if run.hit is None:
                return run.outcome
            if self.random.random() < 0.5:
                gc(self.lab)
                self.story.append("  gc")
        return self.lab.runtime.call(plugin, verb, config, box)

    def owner_add(self):
        name = self.random.choice(self.OWNERS)
        if self.owners.get(name) == "present":
            return
        outcome = self.perform("bridge", "ADD", plugin_config(WEB, WEB["plugins"][0]), self.boxes[name])
        assert outcome.ok or outcome.error_code == 105, outcome.describe()  # 105: the killed one had come to its end
        self.owners[name] = "present"

    def owner_del(self, name=None):
        name = name or self.random.choice(self.OWNERS)
        self.perform("bridge", "DEL", plugin_config(WEB, WEB["plugins"][0]), self.boxes[name]).expect_ok()
        if name in self.owners:
            kept = any(owner == name and keep for owner, keep in self.references.values())
            if kept:
                self.owners[name] = "kept"
            else:
                del self.owners[name]

    def sharer_add(self):
        name = self.random.choice(self.SHARERS)
        target = self.random.choice([other for other in self.OWNERS + self.SHARERS if other != name])
        keep = self.random.random() < 0.6
        owner = target if target in self.OWNERS else self.references.get(target, (None,))[0]
        config = share_config(self.boxes[target].id, keep)
        outcome = self.perform("container-share", "ADD", config, self.boxes[name])
        if name in self.references:
            assert outcome.error_code == 105, outcome.describe()
        elif self.owners.get(owner) == "present":
            assert outcome.ok or outcome.error_code == 105, outcome.describe()
            self.references[name] = (owner, keep)
        else:
            assert outcome.error_code in (7, 8), outcome.describe()

    def sharer_del(self, name=None):
        name = name or self.random.choice(self.SHARERS)
        self.perform("container-share", "DEL", share_config("nobody"), self.boxes[name]).expect_ok()
        self.drop(name)

    def drop(self, name):
        owner, _ = self.references.pop(name, (None, None))
        if self.owners.get(owner) == "kept" and not any(other == owner for other, _ in self.references.values()):
            # Killed between the sharer's end and the owner's, the second DEL has nothing to go by: gc has.
            gc(self.lab)
            del self.owners[owner]

    def vanish(self):
        """A sharer's runtime takes its mount away and never calls DEL; a new container gets the name."""
        name = self.random.choice(self.SHARERS)
        box = self.boxes[name]
        self.story.append(f"{box.id} vanishes")
        take_away(box)
        gc(self.lab)
        box._create()  # noqa: SLF001 (as the runtime makes the next one)
        self.cookies[name] = box.cookie
        self.drop(name)

    def collect(self):
        self.story.append("gc")
        gc(self.lab)

    def compare(self):
        wanted = {self.boxes[name].id: "alive" if state == "present" else "kept" for name, state in self.owners.items()}
        wanted.update({self.boxes[name].id: "alive" for name in self.references})
        found = {name: row["state"] for name, row in records(self.lab).items()}
        assert found == wanted, f"{found}, the model says {wanted}"
        for name, box in self.boxes.items():
            shown = self.references[name][0] if name in self.references else name
            assert box.cookie == self.cookies[shown], f"{name} shows another namespace than that of {shown}"
        for name, state in self.owners.items():
            assert "eth0" in self.boxes[name].run(["ip", "-br", "link"]).stdout, f"{name} is {state} and has no interface"


def main():
    full = "--full" in sys.argv
    seeds = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    tallies = []
    if not seeds:
        for verb in ("ADD", "DEL"):
            share = share_config("web", port=9100)
            tallies.append(kills(f"container-share {verb}", lambda: Kills(verb, share), full))  # noqa: B023
            tallies.append(kills(f"host {verb}", lambda: Kills(verb, HOST_CONFIG), full))  # noqa: B023
        for plugin in ("portmap", "bridge", "container-share"):
            tallies.append(kills(f"owner's {plugin}", lambda: OwnerKills(plugin), full))  # noqa: B023
    walks = seeds or list(range(1, 41 if full else 5))
    tallies.append(sweep("walks", lambda: Walk(40 if not full else 100), [(seed,) for seed in walks]))
    finish(tallies)


if __name__ == "__main__":
    main()
