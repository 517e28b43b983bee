"""16 processes claim 200 blocks through the agent's own source: every block once, and everybody gets some."""

import collections
import os
import subprocess

import etcd_server
from agent_lab import SLACK, Lab, kernel, say

RACERS, BLOCKS, TAKEN = 16, 200, 56  # of the 256 blocks that the network has


def take(etcd):
    """What was claimed before: these blocks belong to somebody, whom the race must leave alone."""
    for number in range(TAKEN):
        block = f"10.80.{number}.0/24"
        etcd.put(f"/netctl/v1/default/net/race/block/{number:08x}",
                 f'{{"node":"old{number}","identity":"x","vtep":"172.1.0.{number}","blocks":["{block}"]}}')


def main():
    program = etcd_server.unpacked()
    racer = os.path.join(os.environ["NETCTL_TESTS_DIR"], "claim_race")
    with Lab() as lab:
        etcd = etcd_server.Cluster(program, "/run/lab/etcd").start()
        take(etcd)
        processes = [subprocess.Popen([racer, etcd.endpoints[0], f"racer{i}", str(i * 1000)], stdout=subprocess.PIPE,
                                      text=True, preexec_fn=kernel.die_with_parent) for i in range(RACERS)]
        lines = []
        for process in processes:
            output, _ = process.communicate(timeout=120 * SLACK)
            assert process.returncode == 0, process.returncode
            lines += [line.split() for line in output.splitlines()]
        blocks = [block for _, block, _ in lines]
        assert len(blocks) == BLOCKS and len(set(blocks)) == BLOCKS, (len(blocks), len(set(blocks)))
        assert all(int(block.split(".")[2]) >= TAKEN for block in blocks), blocks
        keys = etcd.keys("/netctl/v1/default/net/race/block/")
        assert len(keys) == BLOCKS + TAKEN
        for node, block, _ in lines:
            owner = keys[f"/netctl/v1/default/net/race/block/{int(block.split('.')[2]):08x}"]
            assert f'"node":"{node}"' in owner, (node, owner)
        share = collections.Counter(node.split("-")[0] for node, _, _ in lines)
        longest = max(float(seconds) for _, _, seconds in lines)
        assert len(share) == RACERS, f"somebody got nothing: {share}"
        # Of the race alone: how long a claim takes is a matter of what else the machine does.
        assert longest < 12 * SLACK, longest
        say(f"{BLOCKS} blocks, {RACERS} racers, {min(share.values())} to {max(share.values())} each, "
            f"longest wait {longest * 1000:.0f} ms")
        etcd.stop()
        del lab


main()
