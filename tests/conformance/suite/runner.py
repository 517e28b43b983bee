"""Runs cases side by side, each on a private host that nobody has changed.

A worker is a process with a host of its own (network and mount namespace). It takes case after case as long as the host
is as it was at the beginning; one that is not is thrown away with its process, and the next case gets a new one.
"""

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
import traceback

from lab import Lab, fingerprint

from .world import World

PASSED, FAILED, ABSENT = "pass", "FAIL", "-"
PATIENCE_SECONDS = 90
_fork = multiprocessing.get_context("fork")


@dataclasses.dataclass
class Verdict:
    verdict: str
    reason: str = ""
    seconds: float = 0.0


def run(cases, folder, jobs, progress=lambda done: None):
    """{case id: Verdict} of every case against the executables of `folder`, or of the one that folder(case id) names."""
    folder_of = folder if callable(folder) else lambda _: folder
    verdicts = {}
    for one in cases:
        lacking = [name for name in one.needs if not os.path.exists(f"{folder_of(one.id)}/{name}")]
        if lacking:
            verdicts[one.id] = Verdict(ABSENT, f"not in this folder: {', '.join(lacking)}")
    waiting = [one for one in cases if one.id not in verdicts][::-1]
    workers = []
    while waiting or workers:
        while waiting and len(workers) < jobs:
            workers.append(_Worker(cases, folder_of))
        ready = multiprocessing.connection.wait([worker.pipe for worker in workers], timeout=0.5)
        for worker in list(workers):
            if worker.pipe in ready or worker.is_late():
                if worker.case is not None:
                    verdicts[worker.case.id] = worker.collect()
                    progress(len(verdicts))
                if not worker.is_alive or not worker.take(waiting):
                    worker.end()
                    workers.remove(worker)
    return verdicts


class _Worker:
    """The parent's end. A worker says "ready" once, then one verdict a case."""

    def __init__(self, cases, folder_of):
        self.case = None
        self.is_alive = True
        self.began = time.monotonic()
        self.pipe, other = _fork.Pipe()
        self.process = _fork.Process(target=_work, args=(other, folder_of, {one.id: one for one in cases}), daemon=True)
        self.process.start()
        other.close()

    def is_late(self):
        return time.monotonic() - self.began > PATIENCE_SECONDS

    def take(self, waiting):
        if self.case is None:
            try:
                word = self.pipe.recv()
            except EOFError as end:
                raise RuntimeError("a private host cannot be made: root is needed, and the messages above say more") from end
            assert word == "ready"
        if not waiting:
            return False
        self.case = waiting.pop()
        self.began = time.monotonic()
        self.pipe.send(self.case.id)
        return True

    def collect(self):
        try:
            if not self.pipe.poll():
                raise TimeoutError
            verdict, reason, seconds, self.is_alive = self.pipe.recv()
        except (EOFError, TimeoutError) as problem:
            self.is_alive = False
            reason = f"no verdict within {PATIENCE_SECONDS} s" if isinstance(problem, TimeoutError) else "its process died"
            return Verdict(FAILED, reason, time.monotonic() - self.began)
        return Verdict(verdict, reason, seconds)

    def end(self):
        self.pipe.close()
        if not self.is_alive:
            self.process.join(1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # a call that hangs goes too
        self.process.join()


def _work(pipe, folder_of, cases):
    os.setsid()
    with Lab(duplicate_detection=False) as lab:
        clean = fingerprint.take()
        pipe.send("ready")
        while True:
            try:
                one = cases[pipe.recv()]
            except EOFError:
                return
            verdict, reason, seconds = _judge(one, World(lab, folder_of(one.id)))
            changed = verdict == FAILED or fingerprint.take() != clean
            pipe.send((verdict, reason, seconds, not changed))
            if changed:
                return


def _judge(one, world):
    began = time.monotonic()
    try:
        world.begin()
        one.run(world)
        verdict, reason = PASSED, ""
    except AssertionError as failure:
        verdict, reason = FAILED, str(failure)
    except Exception:  # whatever a strange answer makes of a case is that answer's fault
        verdict, reason = FAILED, traceback.format_exc(limit=-4)
    seconds = time.monotonic() - began
    try:
        world.end()
    except OSError as error:
        verdict, reason = FAILED, f"{reason}\nand the host could not be cleaned: {error}"
    return verdict, reason, seconds
