#!/usr/bin/env python3
"""64 parallel ADDs and DELs on one network, `netctl gc` and CNI GC running among them all the time.

Judged after every half round: no call failed, no address is given twice, by raw snapshots every attachment has its link, its
address inside and its published port; after the DELs the host is what it was. In every second round an attachment lives
through it all; in the others the network itself comes and goes.

usage: parallel.py [ROUNDS]
"""

import collections
import concurrent.futures
import sys
import threading
import time

from harness import Lab, bridge_conflist, container_view, port_mapping, snapshot, wait_until
from lab.plugins import addresses
from sweeps import finish, in_child, sweep

WIDTH = 64
FIRST_PORT = 20000


class Collectors:
    """Garbage collection in loops, beside the work; every call must succeed."""

    def __init__(self, lab, conflist, valid):
        self.lab, self.conflist, self.valid = lab, conflist, valid
        self.stopped = threading.Event()
        self.calls = collections.Counter()
        self.problems = []
        self.threads = [threading.Thread(target=self.loop, args=(work,)) for work in (self.netctl_gc, self.cni_gc)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def loop(self, work):
        while not self.stopped.is_set():
            try:
                work()
                self.calls[work.__name__] += 1
            except Exception as error:  # told by the main thread
                self.problems.append(f"{work.__name__}: {error}")
            time.sleep(0.02)

    def netctl_gc(self):
        self.lab.runtime.netctl("gc").expect_ok()

    def cni_gc(self):
        self.lab.runtime.chain_gc(self.conflist, self.valid)


class Crowd:
    def __init__(self):
        self.lab = Lab(duplicate_detection=False)
        self.conflist = bridge_conflist(subnet="10.88.0.0/24")

    def __enter__(self):
        self.lab.__enter__()
        self.containers = [self.lab.container(f"c{i}", process=False) for i in range(WIDTH)]
        self.permanent = self.lab.container("permanent", process=False)
        self.before = snapshot.settled()
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def finish(self):
        snapshot.assert_same(self.before, "after all rounds")

    def ports(self, index):
        return {"portMappings": [port_mapping(FIRST_PORT + index, 80), port_mapping(FIRST_PORT + index, 53, "udp")]}

    def in_parallel(self, work):
        """work(index) for all, at the same time; the results, or the failures."""
        with concurrent.futures.ThreadPoolExecutor(WIDTH) as pool:
            futures = [pool.submit(work, index) for index in range(WIDTH)]
            concurrent.futures.wait(futures)
        errors = [str(future.exception()) for future in futures if future.exception()]
        assert not errors, f"{len(errors)} of {WIDTH} failed, first: {errors[0]}"
        return [future.result() for future in futures]

    def round(self, number):
        add = lambda i: self.lab.runtime.chain_add(self.conflist, self.containers[i], runtime_config=self.ports(i))
        base, valid = self.before, [(container.id, "eth0") for container in self.containers]
        living = None
        if number % 2:
            living = self.lab.runtime.chain_add(self.conflist, self.permanent, runtime_config=self.ports(WIDTH))
            valid.append((self.permanent.id, "eth0"))
            base = snapshot.settled()
        with Collectors(self.lab, self.conflist, valid) as collectors:
            results = self.in_parallel(add)
            self.judge_added(results, living)
            delete = lambda i: self.lab.runtime.chain_del(self.conflist, self.containers[i], result=results[i],
                                                          runtime_config=self.ports(i))
            self.in_parallel(delete)
        assert not collectors.problems, collectors.problems[:3]
        assert all(collectors.calls[name] for name in ("netctl_gc", "cni_gc")), f"{collectors.calls}: no gc ran meanwhile"
        snapshot.assert_same(base, "after the DELs", patience=5)
        if living:
            self.lab.runtime.chain_check(self.conflist, self.permanent, living, runtime_config=self.ports(WIDTH))
            self.lab.runtime.chain_del(self.conflist, self.permanent, result=living, runtime_config=self.ports(WIDTH))
        snapshot.assert_same(self.before, "at the end of the round", patience=5)
        return "round"

    def judge_added(self, results, living):
        given = [address for result in results + ([living] if living else []) for address in addresses(result)]
        twice = [address for address, times in collections.Counter(given).items() if times > 1]
        assert not twice, f"given twice: {twice}"
        host = snapshot.capture(only=("ip4", "nft"))
        for i, (container, result) in enumerate(zip(self.containers, results)):
            link, address = result["interfaces"][1]["name"], addresses(result)[0]
            assert f"link {link}" in host, f"{container.id}: the host end {link} is gone"
            assert any(str(FIRST_PORT + i) in key and address in key for key in host if key.startswith("nft map")), (
                f"{container.id}: port {FIRST_PORT + i} does not lead to {address}")
            assert f"addr eth0 {address}/24" in container_view(container), f"{container.id} lacks {address}"
        check = lambda i: self.lab.runtime.chain_check(self.conflist, self.containers[i], results[i],
                                                       runtime_config=self.ports(i))
        self.in_parallel(check)


def dead_are_collected():
    """Control for "GC removes nothing that lives": what is dead, it does remove."""
    with Crowd() as crowd:
        for i in range(4):
            crowd.lab.runtime.chain_add(crowd.conflist, crowd.containers[i], runtime_config=crowd.ports(i))
            crowd.containers[i].remove()
        wait_until(lambda: not any(key.startswith("link nc") for key in snapshot.capture(only=("ip4",))), "links are gone")
        assert snapshot.diff(crowd.before, snapshot.capture(only=snapshot.ALL)), "dead attachments leave no trace?"
        crowd.lab.runtime.netctl("gc").expect_ok()
        crowd.finish()
        yield "collected"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    control = list(in_child(dead_are_collected))
    assert control == ["collected"], control
    finish([sweep(f"{WIDTH} in parallel", Crowd, [(number,) for number in range(rounds)], most_failures=5)])


if __name__ == "__main__":
    main()
