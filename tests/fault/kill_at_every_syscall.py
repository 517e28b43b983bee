#!/usr/bin/env python3
"""SIGKILL at every syscall of ADD and DEL of bridge and portmap, among living attachments and on an empty host.

Each round: a fresh container, the call killed at syscall K, the phase read off the kernel and the netlink messages sent so
far, `netctl gc`, and then by raw snapshots: either nothing of the killed call is there, or (only where it had come to its
end, or had not begun) all of it. Another container then gets the one address that is left and the same port; the runtime's
DEL of the killed one succeeds and harms nobody.

usage: kill_at_every_syscall.py [--full]    --full: every syscall, before and after; otherwise a choice that hits all phases
"""

import collections
import os
import sys

from harness import (VICTIM_PORT, Lab, Network, Step, container_view, count, gc, host_ends, snapshot, step, undisturbed,
                     wait_until)
from sweeps import finish, sweep

# Scenario: the call that is killed, who publishes, how many live beside it, and the phases that must all be met.
Scenario = collections.namedtuple("Scenario", "call ports_in living phases")
ADD_PHASES = ("start", "reserved", "link made", "policy", "container configured", "recorded")
DEL_PHASES = ("start", "deleting", "unpublished", "link gone", "freed")
SCENARIOS = (
    Scenario(Step("bridge", "ADD"), "bridge", 2, ADD_PHASES),
    Scenario(Step("bridge", "DEL"), "bridge", 2, DEL_PHASES),
    Scenario(Step("portmap", "ADD"), "portmap", 2, ("start", "claimed", "published", "recorded")),
    Scenario(Step("portmap", "DEL"), "portmap", 2, ("start", "deleting", "unpublished", "freed")),
    Scenario(Step("bridge", "ADD"), "bridge", 0, (*ADD_PHASES, "bridge made")),
    Scenario(Step("bridge", "DEL"), "bridge", 0, (*DEL_PHASES, "network gone")),
)


class Facts:
    """What is seen from outside right after the kill."""

    def __init__(self, run, base, victim):
        host, inside = snapshot.capture(only=("ip4", "nft")), container_view(victim)
        mine = f"/{victim.id}/"
        last_send = max((call.n for call in run.syscalls if call.detail.startswith(("route:", "netfilter:"))), default=0)
        self.commits = run.store_commits
        self.recorded_after_kernel = any(call.is_store_write for call in run.syscalls
                                         if last_send < call.n < run.syscalls[-1].n and self.commits)
        self.bridge = "link cni-lab0" in host and "link cni-lab0" not in base
        self.network_gone = "link cni-lab0" not in host
        self.element = any(mine in key for key in host if key.startswith("nft "))
        self.link = "link eth0" in inside
        self.configured = any(key.startswith("route4 unicast default eth0") for key in inside)


def phase(call, facts):
    """The furthest phase whose sign is there."""
    if call.verb == "ADD" and call.plugin == "bridge":
        signs = [("reserved", facts.commits >= 1), ("bridge made", facts.bridge and not facts.link),
                 ("link made", facts.link), ("policy", facts.link and facts.element),
                 ("container configured", facts.configured),
                 ("recorded", facts.configured and facts.recorded_after_kernel)]
    elif call.verb == "ADD":
        signs = [("claimed", facts.commits >= 1), ("published", facts.element),
                 ("recorded", facts.element and facts.recorded_after_kernel)]
    elif call.plugin == "bridge":
        signs = [("deleting", facts.commits >= 1), ("unpublished", facts.commits >= 1 and not facts.element),
                 ("link gone", not facts.link), ("freed", not facts.link and facts.recorded_after_kernel),
                 ("network gone", facts.network_gone)]
    else:
        signs = [("deleting", facts.commits >= 1), ("unpublished", not facts.element),
                 ("freed", not facts.element and facts.recorded_after_kernel)]
    return ([("start")] + [name for name, seen in signs if seen])[-1]


class Sweep:
    """One scenario on a private host."""

    def __init__(self, scenario):
        self.lab = Lab(duplicate_detection=False)
        self.scenario = scenario
        self.call = scenario.call
        self.attached = None
        self.perhaps_committed = False
        self.rounds = 0

    def __enter__(self):
        self.lab.__enter__()
        self.network = Network(self.lab, self.scenario.living, self.scenario.ports_in)
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def finish(self):
        self.network.assert_intact("after the sweep")
        self.network.verify_living()

    def prepare(self, name):
        """A victim brought to where the call begins: (container, stdin of the call, what the host looked like)."""
        victim = self.lab.container(name, process=False)
        ports = self.network.ports(VICTIM_PORT)
        result, earlier = None, []
        if self.call.plugin == "portmap" or self.call.verb == "DEL":
            earlier.append("bridge")
        if self.call.plugin == "portmap" and self.call.verb == "DEL":
            earlier.append("portmap")
        self.attached = None
        for plugin in earlier:
            self.attached = snapshot.settled() if plugin == "portmap" else self.attached
            config = self.network.config(plugin, ports, result)
            result = self.network.runtime.call(plugin, "ADD", config, victim).expect_ok().json
        return victim, self.network.config(self.call.plugin, ports, result)

    def syscalls(self):
        """Of an undisturbed run; what it made or removed is taken back."""
        victim, config = self.prepare("counted")
        calls = count(self.network.runtime, self.call.plugin, self.call.verb, config, victim)
        self.network.remove(victim)
        self.lab.remove(victim)
        self.network.assert_intact("after an undisturbed run")
        return calls

    def round(self, mode, ordinal, leave_netns):
        """One kill and all that must hold after it; the phase that was hit."""
        self.rounds += 1
        victim, config = self.prepare(f"victim{self.rounds}")
        before = snapshot.settled()
        run = step(self.network.runtime, (mode, ordinal), self.call.plugin, self.call.verb, config, victim)
        if run.hit is None:
            self.network.remove(victim)
            self.lab.remove(victim)
            return "over before"
        # Whether the write that it was killed after was its transaction's last one is not to be seen from outside.
        self.perhaps_committed = mode == "kill-after" and run.hit.is_store_write
        facts = Facts(run, self.network.base, victim)
        reached = phase(self.call, facts)
        note = f"{self.call} {mode} at {run.hit} [{reached}], namespace {'there' if leave_netns else 'gone'}"
        if os.environ.get("NETCTL_FAULT_VERBOSE"):
            print(note, flush=True)
        try:
            self.after_kill(victim, before, reached, leave_netns)
        except Exception as error:
            raise AssertionError(f"{note}: {error}") from error
        return reached

    def after_kill(self, victim, before, reached, leave_netns):
        if not leave_netns:
            victim.remove()
            # The kernel tears a namespace down later; until then its host end is a proof of life.
            wait_until(lambda: not host_ends(self.network.base), "the dead container's host end goes")
        gc(self.lab)
        whole = self.judge(victim, before, reached, leave_netns)
        if whole:
            self.network.remove(victim)
            snapshot.assert_same(self.network.base, "after the runtime's DEL")
        other, _ = self.network.prove_free_and_unique(f"other{self.rounds}")
        if not whole:
            with_other = snapshot.settled()
            self.network.remove(victim)
            snapshot.assert_same(with_other, "the runtime's late DEL, while another has the address and the port")
        self.network.remove(other)
        self.lab.remove(other)
        self.lab.remove(victim)
        snapshot.assert_same(self.network.base, "at the end of the round")
        self.network.assert_store_kept()

    def judge(self, victim, before, reached, leave_netns):
        """After gc: True when the victim's attachment is (rightly) still there, False when nothing is."""
        lines = snapshot.wait_same(self.network.base, patience=0.5 if leave_netns else 3)
        if not lines:
            assert not leave_netns or self.call.plugin == "bridge", "gc removed an attachment that lives"
            assert not leave_netns or "link eth0" not in container_view(victim), "the container's side is left"
            return False
        assert leave_netns, "left after gc of a dead container:\n  " + "\n  ".join(lines)
        if self.call.verb == "ADD" and reached == "recorded":
            facts = container_view(victim)
            assert "link eth0" in facts, "gc took a part of a whole attachment"
            return True
        if self.call.verb == "DEL" and self.call.plugin == "portmap" and (reached != "start" or self.perhaps_committed):
            # Without its ports, the attachment itself lives.
            differences = snapshot.wait_same(self.attached, patience=1)
            if not differences:
                return True
            assert reached == "start", f"[{reached}] after gc differ:\n  " + "\n  ".join(differences)
        # Not begun, or rolled back to what the earlier plugin of the chain had made.
        may_be_whole = self.call.plugin == "portmap" or reached == "start"
        assert may_be_whole, f"[{reached}] left after gc:\n  " + "\n  ".join(lines)
        snapshot.assert_same(before, f"[{reached}] after gc", patience=1)
        return True


def chosen(calls):
    """A stride, and around every message to the kernel and every write of the store: what separates the phases."""
    first = next(call.n for call in calls if call.detail.startswith("pipe:") and call.name == "read")
    picked = set(range(first, len(calls) + 1, max(1, len(calls) // 8)))
    sends = [call.n for call in calls if call.detail.startswith(("route:", "netfilter:"))]
    writes = [call.n for call in calls if call.is_store_write]
    ends = [n for n in writes if n + 1 not in writes]
    picked.update(n + 1 for n in ends)
    rounds = [("kill", n) for n in sorted(picked)]
    rounds += [("kill-after", n) for n in sends]
    return sorted(rounds, key=lambda entry: entry[1])


def main():
    full = "--full" in sys.argv
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    tallies = []
    for number, scenario in enumerate(SCENARIOS):
        if wanted and str(number) not in wanted:
            continue
        calls = undisturbed(lambda: Sweep(scenario))  # noqa: B023: used at once
        modes = [(mode, n) for n in range(1, len(calls) + 1) for mode in ("kill", "kill-after")] if full else chosen(calls)
        # Every third container is dead by the time of the gc; the others have only lost their plugin.
        rounds = [(mode, ordinal, place % 3 != 2) for place, (mode, ordinal) in enumerate(modes)]
        title = f"{scenario.call} beside {scenario.living} ({len(calls)} syscalls)"
        tally = sweep(title, lambda: Sweep(scenario), rounds)  # noqa: B023: used at once
        missing = [name for name in scenario.phases if not tally.log[name]]
        if missing:
            tally.failures.append(f"{title}: no kill hit the phases {missing}")
            print(tally.failures[-1], flush=True)
        tallies.append(tally)
    finish(tallies)


if __name__ == "__main__":
    main()
