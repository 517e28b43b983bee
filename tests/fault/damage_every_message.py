#!/usr/bin/env python3
"""Every netlink message of ADD in turn is damaged on its way by a preloaded library, so that the real kernel refuses it:
an unknown type, an attribute longer than the message, an object that does not exist.

ADD must then fail with one error JSON that carries the kernel's words, and by raw snapshots nothing is left: no gc is
called. It may only succeed where the kernel took the message all the same, or where the message was not needed (the
deletion of connections that are not there), and then the attachment must be whole.

usage: damage_every_message.py
"""

import os
import subprocess
import sys

from fail_every_syscall import SCENARIOS, Sweep
from harness import container_view, snapshot, tool
from sweeps import finish, in_child, sweep

KINDS = ("type", "length", "value")
REPORT = "/run/lab/damage.txt"
KERNEL_REFUSED, TRY_AGAIN = 100, 11
LOOK_UP_LINK = (0, 18)  # NETLINK_ROUTE, RTM_GETLINK
CONNTRACK_DELETE = (12, 258)  # NETLINK_NETFILTER, IPCTNL_MSG_CT_DELETE
LIST_ADDRESSES = (0, 22)  # NETLINK_ROUTE, RTM_GETADDR


class DamageSweep(Sweep):
    def call_damaged(self, victim, config, kind, number):
        if os.path.exists(REPORT):
            os.unlink(REPORT)
        env = {"LD_PRELOAD": tool("damage.so"), "NETCTL_DAMAGE": str(number), "NETCTL_DAMAGE_KIND": kind,
               "NETCTL_DAMAGE_REPORT": REPORT,
               # With sanitizers, their runtime comes first otherwise.
               "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}
        outcome = self.network.runtime.call(self.call.plugin, "ADD", config, victim, env=env)
        with open(REPORT, encoding="ascii") as file:
            messages = [line.split() for line in file]
        return outcome, [(int(protocol), int(kind)) for _, protocol, kind, _, _ in messages], [
            number for number, *_, mark in messages if mark == "damaged"]

    def messages(self):
        """(protocol, type) of every message of an undisturbed run."""
        victim, config = self.prepare()
        outcome, messages, _ = self.call_damaged(victim, config, "type", 0)
        outcome.expect_ok()
        self.clean(victim)
        self.network.assert_intact("after an undisturbed run")
        return messages

    def round(self, kind, number):
        victim, config = self.prepare()
        host = snapshot.settled() if self.call.plugin == "portmap" else self.network.base
        inside = container_view(victim)
        outcome, messages, damaged = self.call_damaged(victim, config, kind, number)
        what = messages[number - 1] if number <= len(messages) else None
        try:
            word = self.judge_damage(outcome, kind, what, damaged, victim, config)
            if not outcome.ok:
                snapshot.assert_same(host, "host after the failed ADD", patience=1)
                now = container_view(victim)
                assert now == inside, f"container after the failed ADD: {snapshot.diff(inside, now)}"
            self.clean(victim)
            snapshot.assert_same(self.network.base, "after DEL")
            self.network.assert_store_kept()
        except Exception as error:
            raise AssertionError(f"{self.call}: {kind} of message {number} {what}: {error}\n{outcome.describe()}") from error
        return word

    def judge_damage(self, outcome, kind, what, damaged, victim, config):
        if outcome.ok:
            # EOPNOTSUPP, the kernel's word for an unknown type, also says that it lacks an address family: then a list of
            # addresses of that family is empty.
            tolerated = what in (CONNTRACK_DELETE, LIST_ADDRESSES)
            assert tolerated or not damaged or kind != "type", "the damage went unnoticed"
            if kind == "length" and damaged:
                # The kernel skips what it cannot parse in some messages and says nothing.
                return "taken by the kernel"
            check = {**config, "prevResult": outcome.json}
            self.network.runtime.call(self.call.plugin, "CHECK", check, victim).expect_ok()
            return "not needed" if damaged else "nothing to damage"
        outcome.expect_error()
        # A look-up that finds nothing means that somebody else removed the object: try again.
        may_be = (KERNEL_REFUSED, TRY_AGAIN) if what == LOOK_UP_LINK else (KERNEL_REFUSED,)
        assert outcome.error_code in may_be, f"one of the codes {may_be} was expected"
        if outcome.error_code == TRY_AGAIN:
            return "refused"
        words = outcome.json["msg"] + outcome.json.get("details", "")
        assert any(os.strerror(number) in words for number in range(1, 134)), "the kernel's own words are missing"
        return "refused"


def undisturbed(scenario):
    def work():
        with DamageSweep(scenario) as subject:
            yield subject.messages()
    found = next(iter(in_child(work)))
    assert isinstance(found, list), found
    return found


def library_works():
    """Positive control: without the library ip succeeds, with it the kernel refuses."""
    command = ["ip", "link", "show", "lo"]
    subprocess.run(command, check=True, capture_output=True)
    env = {**os.environ, "LD_PRELOAD": tool("damage.so"), "NETCTL_DAMAGE": "3", "NETCTL_DAMAGE_KIND": "type"}
    damaged = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert damaged.returncode != 0, "the library damages nothing"


def main():
    library_works()
    tallies = []
    for scenario in SCENARIOS:
        messages = undisturbed(scenario)
        rounds = [(kind, number + 1) for number in range(len(messages)) for kind in KINDS]
        title = f"{scenario.call} beside {scenario.living} ({len(messages)} messages)"
        tallies.append(sweep(title, lambda: DamageSweep(scenario), rounds))  # noqa: B023: used at once
        assert tallies[-1].log["refused"] >= len(messages) - 6, f"hardly anything was refused: {tallies[-1]}"
    finish(tallies)


if __name__ == "__main__":
    sys.exit(main())
