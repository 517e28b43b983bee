#!/usr/bin/env python3
"""tuning, bandwidth and firewall behind bridge: killed, failed and lied to in the middle.

One attachment that `bridge` made lives all the time. In each round the chained executable is harmed in its ADD or DEL, and
by raw snapshots of host and container either all of its share is there, or nothing:
  - after SIGKILL at a syscall: after `netctl gc`, or, in every other round, after the next call of the runtime;
  - after a syscall that failed, and after a netlink message that the kernel refused: at once, without gc, and ADD says so
    with one error JSON.

usage: chained_parts.py [--full] [PLUGIN...]    --full: every syscall with every error; otherwise a choice
"""

import errno
import os
import re
import subprocess
import sys

from damage_every_message import KINDS, REPORT, LOOK_UP_LINK
from fail_every_syscall import rounds_of
from harness import Lab, bridge_conflist, count, gc, plugin_config, snapshot, step, tool, undisturbed
from sweeps import finish, in_child, sweep

SHARES = {
    "tuning": {"mtu": 1400, "mac": "02:00:5e:00:00:01", "promisc": True, "txQLen": 77,
               "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1", "net.core.somaxconn": "511"}},
    "bandwidth": {"ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 8_000_000, "egressBurst": 800_000},
    "firewall": {"backend": "iptables", "ingressPolicy": "isolated"},
}
HOST = tuple(question for question in snapshot.ALL if not question.startswith("conntrack"))
INSIDE = ("ip4", "ip6", "sysctl")
OWN_ERRORS = (5, 6, 7, 8, 11, 50, 100, 999)


CHOSEN_BY_THE_KERNEL = re.compile(r'"ifindex": \d+|([0-9a-f]{2}:){5}[0-9a-f]{2}|fe80:[0-9a-f:]+')


def compare(before, after):
    """An ifb that is made again is another one by its number and its hardware address."""
    def nameless(view):
        return {CHOSEN_BY_THE_KERNEL.sub("", key): CHOSEN_BY_THE_KERNEL.sub("", text) for key, text in view.items()
                if "bwp" in key} | {key: text for key, text in view.items() if "bwp" not in key}
    return snapshot.diff(nameless(before), nameless(after))


class Share:
    """One chained executable beside one attachment."""

    def __init__(self, plugin, verb):
        self.lab, self.plugin, self.verb = Lab(duplicate_detection=False), plugin, verb
        self.rounds = 0

    def __enter__(self):
        self.lab.__enter__()
        if self.plugin == "firewall":
            subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
        self.runtime = self.lab.runtime
        net = bridge_conflist("net", portmap=False)
        net["plugins"].append({"type": self.plugin, **SHARES[self.plugin]})
        net["cniVersion"] = "1.1.0"
        self.container = self.lab.container("living")
        bridge = plugin_config(net, net["plugins"][0])
        result = self.runtime.call("bridge", "ADD", bridge, self.container).expect_ok().json
        self.config = plugin_config(net, net["plugins"][-1], None, result)
        # Once through: what the network keeps of it (the policy of firewall) belongs to the beginning.
        self.call("ADD")
        self.call("DEL")
        self.without = self.views()
        self.call("ADD")
        self.complete = self.views()
        assert any(compare(one, other) for one, other in zip(self.without, self.complete)), "ADD is not to be seen"
        self.call("DEL")
        self.expect(self.without, "after an undisturbed DEL")
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def finish(self):
        self.expect(self.without, "after the sweep")

    def places(self):
        return ({"netns": None, "only": HOST}, {"netns": self.container.netns, "only": INSIDE})

    def views(self):
        return [snapshot.settled(**place) for place in self.places()]

    def differences(self, wanted, patience=1.0):
        lines = []
        for view, place in zip(wanted, self.places()):
            lines += snapshot.wait_same(view, patience, compare, **place)
        return lines

    def expect(self, wanted, note):
        lines = self.differences(wanted)
        assert not lines, f"{note} differ:\n  " + "\n  ".join(lines)

    def call(self, verb, **options):
        return self.runtime.call(self.plugin, verb, self.config, self.container, **options).expect_ok()

    def syscalls(self):
        if self.verb == "DEL":
            self.call("ADD")
        return count(self.runtime, self.plugin, self.verb, self.config, self.container)

    def check(self):
        self.runtime.call(self.plugin, "CHECK", self.config, self.container).expect_ok()

    def kill(self, mode, ordinal):
        self.rounds += 1
        if self.verb == "DEL":
            self.call("ADD")
        run = step(self.runtime, (mode, ordinal), self.plugin, self.verb, self.config, self.container)
        word = "over" if run.hit is None else "killed"
        if self.rounds % 2:
            gc(self.lab)
            if self.differences(self.without, 0.3):
                self.expect(self.complete, f"{mode} at {run.hit}: a part of the share is left after gc, these")
                self.check()
                word += ", whole"
        else:
            self.call("ADD")
            self.expect(self.complete, f"{mode} at {run.hit}: after the next ADD")
        self.call("DEL")
        self.expect(self.without, f"{mode} at {run.hit}: after the next DEL")
        return word

    def judge(self, outcome, note, compared=True):
        """Of an ADD that was harmed and not killed."""
        try:
            if outcome.ok:
                if compared:
                    self.expect(self.complete, "an ADD that succeeded")
                self.check()
            else:
                outcome.expect_error()
                assert outcome.error_code in OWN_ERRORS, f"code {outcome.error_code}"
                self.expect(self.without, "what a failed ADD leaves")
            self.call("DEL")
            self.expect(self.without, "after DEL")
        except Exception as error:
            raise AssertionError(f"{note}: {error}\n{outcome.describe()}") from error
        return "succeeded" if outcome.ok else "failed"

    def fail(self, mode, ordinal, name, early):
        run = step(self.runtime, (mode, ordinal, getattr(errno, name)), self.plugin, "ADD", self.config, self.container)
        answer_lost = run.hit is not None and run.hit.name == "write" and "pipe" in run.hit.detail
        if not run.outcome.ok and not run.outcome.stdout and (early or answer_lost):
            self.expect(self.without, f"{mode} {name} at {run.hit}: what a failed ADD leaves")
            self.call("DEL")
            return "failed"
        # What was sent twice, as its answer was lost, may be there twice: DEL finds both.
        sent = run.hit is not None and run.hit.name.startswith("send")
        return self.judge(run.outcome, f"{mode} {name} at {run.hit}", mode == "fail" or not sent)

    def damaged(self, kind, number):
        if os.path.exists(REPORT):
            os.unlink(REPORT)
        env = {"LD_PRELOAD": tool("damage.so"), "NETCTL_DAMAGE": str(number), "NETCTL_DAMAGE_KIND": kind,
               "NETCTL_DAMAGE_REPORT": REPORT,
               "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}
        outcome = self.runtime.call(self.plugin, "ADD", self.config, self.container, env=env)
        with open(REPORT, encoding="ascii") as file:
            return outcome, [line.split() for line in file]

    def messages(self):
        outcome, found = self.damaged("type", 0)
        outcome.expect_ok()
        return [(int(protocol), int(kind)) for _, protocol, kind, *_ in found]

    def damage(self, kind, number):
        outcome, _ = self.damaged(kind, number)
        # The kernel skips what it cannot parse in some messages and says nothing.
        return self.judge(outcome, f"{kind} of message {number}", kind != "length")

    def round(self, what, *arguments):
        return getattr(self, what)(*arguments)


def is_question(message):
    """A look-up: of an object that does not exist, it finds nothing, as in life."""
    protocol, kind = message
    return kind % 4 == 2 if protocol == 0 else kind >> 8 == 10 and kind % 256 % 3 == 1


def chosen(calls, share):
    """Around what the kernel and the store are told: where the phases are. `share` of them, evenly."""
    sends = [("kill-after", call.n) for call in calls if call.detail.startswith(("route:", "netfilter:"))]
    writes = [call.n for call in calls if call.is_store_write]
    commits = [("kill", n + 1) for n in writes if n + 1 not in writes]
    places = sorted({*sends, *commits}, key=lambda entry: entry[1])
    return places if share >= len(places) else [places[i * len(places) // share] for i in range(share)]


def rounds_for(plugin, verb, full):
    calls = undisturbed(lambda: Share(plugin, verb))
    if full:
        kills = [(mode, call.n) for call in calls for mode in ("kill", "kill-after")]
    else:
        kills = chosen(calls, 6)
    rounds = [("kill", *entry) for entry in kills]
    if verb == "ADD":
        failures = list(rounds_of(calls, full, len(plugin)))
        rounds += [("fail", *entry) for entry in (failures if full else failures[::20])]

        def work():
            with Share(plugin, verb) as subject:
                yield subject.messages()
        messages = next(iter(in_child(work)))
        assert isinstance(messages, list) and messages, messages
        damages = [("damage", kind, number + 1) for number in range(len(messages)) for kind in KINDS
                   if not (kind == "value" and is_question(messages[number]))
                   and (full or (tuple(messages[number]) != LOOK_UP_LINK and kind == KINDS[number % 3]))]
        rounds += damages if full else damages[::3]
    return rounds


def main():
    full = "--full" in sys.argv
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--")] or list(SHARES)
    tallies = []
    for plugin in wanted:
        for verb in ("ADD", "DEL"):
            rounds = rounds_for(plugin, verb, full)
            tallies.append(sweep(f"{plugin} {verb}", lambda: Share(plugin, verb), rounds))  # noqa: B023: used at once
            assert tallies[-1].log["killed"] + tallies[-1].log["killed, whole"] > 2, f"hardly a kill: {tallies[-1]}"
    finish(tallies)


if __name__ == "__main__":
    main()
