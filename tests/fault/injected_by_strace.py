#!/usr/bin/env python3
"""The same failures by other hands: strace injects an error into the K-th call of a name
(-e inject=NAME:error=E:when=K), for the syscalls that reach the kernel's network and the store. Judged as in
fail_every_syscall."""

import collections
import errno
import os
import shutil

from fail_every_syscall import SCENARIOS, Sweep
from harness import StepperRun, Syscall, container_view, snapshot
from sweeps import finish, in_child, sweep

INJECTIONS = {"sendto": "ENOBUFS", "recvmmsg": "ENOMEM", "recvmsg": "ENOMEM", "socket": "EMFILE", "setns": "EPERM",
              "pwrite64": "ENOSPC", "writev": "EIO", "openat2": "EACCES", "mkdir": "EACCES", "sendmsg": "ENOBUFS"}
LOG = "/run/lab/strace.txt"


class StraceSweep(Sweep):
    def injected(self, victim, config, name, ordinal):
        inject = [f"inject={name}:error={INJECTIONS[name]}:when={ordinal}"] if ordinal else []
        wrapper = [shutil.which("strace"), "-f", "-qq", "-o", LOG, "-e", f"trace={','.join(INJECTIONS)}"]
        for expression in inject:
            wrapper += ["-e", expression]
        return self.network.runtime.call(self.call.plugin, "ADD", config, victim, wrapper=wrapper)

    def counts(self):
        """How often each syscall is made in an undisturbed run."""
        victim, config = self.prepare()
        self.injected(victim, config, "", 0).expect_ok()
        self.clean(victim)
        with open(LOG, encoding="utf-8", errors="replace") as file:
            return collections.Counter(line.split(None, 1)[1].split("(")[0] for line in file)

    def round(self, name, ordinal):
        victim, config = self.prepare()
        host = snapshot.settled() if self.call.plugin == "portmap" else self.network.base
        inside = container_view(victim)
        outcome = self.injected(victim, config, name, ordinal)
        run = StepperRun(outcome, [], Syscall(ordinal, 0, name, os.strerror(getattr(errno, INJECTIONS[name])), True))
        try:
            word = self.judge(run, victim, config, host, inside, False)
            self.clean(victim)
            snapshot.assert_same(self.network.base, "after DEL")
            self.network.assert_store_kept()
        except Exception as error:
            raise AssertionError(f"{self.call}: {name} number {ordinal}: {error}\n{outcome.describe()}") from error
        return word


def main():
    scenario = SCENARIOS[1]

    def work():
        with StraceSweep(scenario) as subject:
            yield dict(subject.counts())
    counts = next(iter(in_child(work)))
    rounds = [(name, ordinal + 1) for name in INJECTIONS for ordinal in range(counts.get(name, 0))]
    assert len(rounds) > 20, f"strace saw only {counts}"
    tally = sweep(f"{scenario.call} under strace", lambda: StraceSweep(scenario), rounds)
    assert tally.log["failed"] > 10, f"hardly anything failed: {tally}"
    finish([tally])


if __name__ == "__main__":
    main()
