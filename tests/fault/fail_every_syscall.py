#!/usr/bin/env python3
"""Every syscall of ADD is made to fail in turn, with the errors that fit it, before and (where that is possible in life)
after it took effect. Then ADD either succeeds as if nothing had happened, or it fails with exactly one error JSON on stdout
and, by raw snapshots of host and container, nothing of it is left: no gc is called.

Excused from the JSON: failures before main() (the loader cannot map a library), and of the write of the answer itself.

usage: fail_every_syscall.py [--full]    --full: every syscall with every error; otherwise one error each, in turn
"""

import collections
import errno
import os
import sys

from harness import VICTIM_PORT, Lab, Network, Step, container_view, count, snapshot, step, undisturbed
from sweeps import finish, sweep

Scenario = collections.namedtuple("Scenario", "call ports_in living")
SCENARIOS = (
    Scenario(Step("bridge", "ADD"), "bridge", 0),
    Scenario(Step("bridge", "ADD"), "bridge", 1),
    Scenario(Step("portmap", "ADD"), "portmap", 1),
)
MEMORY = ("ENOMEM",)
FILES = ("EACCES", "EMFILE", "ENOENT", "EINTR")
DISK = ("ENOSPC", "EIO", "EINTR")
SOCKETS = ("ENOBUFS", "EINTR", "EPERM")
ERRORS = {
    "mmap": MEMORY, "mremap": MEMORY, "mprotect": MEMORY, "clone": ("EAGAIN",), "clone3": ("EAGAIN",),
    "openat": FILES, "openat2": FILES, "open": FILES, "read": ("EIO", "EINTR"), "pread64": ("EIO", "EINTR"),
    "write": DISK, "writev": DISK, "pwrite64": DISK, "pwritev": DISK, "ftruncate": DISK, "fsync": DISK, "fdatasync": DISK,
    "mkdir": ("EACCES", "ENOSPC"), "socket": ("EMFILE", "EACCES"), "bind": ("EADDRINUSE", "EACCES"),
    "sendto": SOCKETS, "sendmsg": SOCKETS, "recvfrom": SOCKETS, "recvmsg": SOCKETS, "recvmmsg": SOCKETS,
    "setns": ("EPERM", "EINVAL"), "fcntl": ("ENOLCK", "EINTR"), "fstatfs": ("EIO",), "statfs": ("EIO",),
    "setsockopt": ("ENOPROTOOPT",), "getsockopt": ("ENOPROTOOPT",), "ioctl": ("ENOTTY",), "getrandom": ("EINTR",),
    "newfstatat": ("EACCES",), "stat": ("EACCES",), "access": ("EACCES",), "execve": ("EACCES",),
}
ANY_OTHER = ("EIO",)
# These cannot fail in life, or their failure is the end of the process. brk answers with the old break, not an error.
INFALLIBLE = {"brk", "exit_group", "exit", "rt_sigreturn", "getpid", "gettid", "getuid", "geteuid", "arch_prctl",
              "set_tid_address", "munmap", "rt_sigaction", "rt_sigprocmask"}
# An answer that is lost after the kernel has acted: the program cannot know, and must still leave nothing.
# close() gives the descriptor up whatever it answers.
TAKES_EFFECT_ALL_THE_SAME = {"close"}
# In the short version one in six of these stands for the others.
PLENTIFUL = {"close", "newfstatat", "fstatfs", "mmap", "setsockopt", "getsockname", "pread64", "read"}
LOST_ANSWERS = {"sendto", "sendmsg", "recvmmsg", "recvmsg", "pwrite64", "writev"}


class Sweep:
    """One scenario on a private host."""

    def __init__(self, scenario):
        self.lab = Lab(duplicate_detection=False)
        self.scenario = scenario
        self.call = scenario.call
        self.rounds = 0

    def __enter__(self):
        self.lab.__enter__()
        self.network = Network(self.lab, self.scenario.living, self.scenario.ports_in)
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def finish(self):
        self.network.assert_intact("after the sweep")

    def prepare(self):
        victim = self.lab.container(f"victim{self.rounds}", process=False)
        ports, result = self.network.ports(VICTIM_PORT), None
        self.rounds += 1
        if self.call.plugin == "portmap":
            config = self.network.config("bridge", ports)
            result = self.network.runtime.call("bridge", "ADD", config, victim).expect_ok().json
        return victim, self.network.config(self.call.plugin, ports, result)

    def clean(self, victim):
        self.network.remove(victim)
        self.lab.remove(victim)

    def syscalls(self):
        victim, config = self.prepare()
        calls = count(self.network.runtime, self.call.plugin, "ADD", config, victim)
        self.clean(victim)
        self.network.assert_intact("after an undisturbed run")
        return calls

    def round(self, mode, ordinal, name, early):
        victim, config = self.prepare()
        # With nothing else on the host, the only state before is the pristine one.
        host = snapshot.settled() if self.call.plugin == "portmap" else self.network.base
        inside = container_view(victim)
        arguments = (mode, ordinal, getattr(errno, name))
        run = step(self.network.runtime, arguments, self.call.plugin, "ADD", config, victim)
        note = f"{self.call} {mode} {name} at {run.hit}"
        if os.environ.get("NETCTL_FAULT_VERBOSE"):
            print(note, run.outcome.rc, run.outcome.stdout[:200], flush=True)
        try:
            word = "over" if run.hit is None else self.judge(run, victim, config, host, inside, early)
            self.clean(victim)
            snapshot.assert_same(self.network.base, "after DEL")
            self.network.assert_store_kept()
        except Exception as error:
            raise AssertionError(f"{note}: {error}\n{run.outcome.describe()}") from error
        return word

    def judge(self, run, victim, config, host, inside, early):
        if run.outcome.ok:
            assert run.outcome.json and run.outcome.json.get("ips"), "success without a result"
            check = {**config, "prevResult": run.outcome.json}
            self.network.runtime.call(self.call.plugin, "CHECK", check, victim).expect_ok()
            return "succeeded"
        answer_lost = run.hit.name == "write" and "pipe" in run.hit.detail
        if not early and not (answer_lost and not run.outcome.stdout):
            run.outcome.expect_error()
        snapshot.assert_same(host, "host after the failed ADD", patience=1)
        now = container_view(victim)
        assert now == inside, f"container after the failed ADD: {snapshot.diff(inside, now)}"
        return "failed"


def end_of_loading(calls):
    """Number of the last syscall before main(): the loader gives its cache file back and the allocator starts."""
    loaded = max(call.n for call in calls if call.detail.endswith((".so.cache", ".so.6")) or ".so." in call.detail)
    return next(call.n for call in calls if call.n > loaded and call.name == "munmap")


def rounds_of(calls, full, offset):
    main = end_of_loading(calls)
    occurrences = collections.Counter()
    for call in calls:
        occurrences[call.name] += 1
        # By name and number: the heap grows now and then, which moves the numbers of all that follows.
        which = f"{call.name}#{occurrences[call.name]}"
        early = call.n <= main
        # Loading is the same every time and nothing of ours: one in eight stands for it.
        if call.name in INFALLIBLE or (early and not full and call.n % 8):
            continue
        if call.name in PLENTIFUL and not full and (call.n + offset) % 6:
            continue
        mode = "fail-after" if call.name in TAKES_EFFECT_ALL_THE_SAME else "fail"
        names = ERRORS.get(call.name, ANY_OTHER)
        for name in names if full else [names[(call.n + offset) % len(names)]]:
            yield mode, which, name, early
        if call.name in LOST_ANSWERS and not early:
            yield "fail-after", which, "EINTR" if call.name.startswith(("send", "recv")) else "EIO", early


def main():
    full = "--full" in sys.argv
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    tallies = []
    for number, scenario in enumerate(SCENARIOS):
        if wanted and str(number) not in wanted:
            continue
        calls = undisturbed(lambda: Sweep(scenario))  # noqa: B023: used at once
        rounds = list(rounds_of(calls, full, number))
        title = f"{scenario.call} beside {scenario.living} ({len(calls)} syscalls)"
        tallies.append(sweep(title, lambda: Sweep(scenario), rounds))  # noqa: B023: used at once
        assert tallies[-1].log["failed"] > 10, "hardly anything failed: does the injection work?"
    finish(tallies)


if __name__ == "__main__":
    main()
