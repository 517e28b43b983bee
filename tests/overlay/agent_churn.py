"""agent_churn.py CHANGES: nodes come, go and move at random in etcd; after each 100 changes the kernel of every host holds
exactly what follows from the nodes that there are."""

import json
import random
import sys

import etcd_server
from agent_lab import SWITCH, Lab, Switch, say

HOSTS, STEP, NUMBERS = 8, 100, 250


class Model:
    """The nodes, but for the hosts themselves: number of the block -> (node, VTEP)."""

    def __init__(self, etcd, taken, seed):
        self.etcd, self.random = etcd, random.Random(seed)
        self.nodes, self.made = {}, 0
        self.free = [number for number in range(NUMBERS) if number not in taken]

    def put(self, number):
        node, vtep = self.nodes[number]
        record = {"node": node, "identity": "x", "vtep": vtep, "blocks": [f"10.64.{number}.0/24"]}
        return self.etcd.put(self.key(number), json.dumps(record))

    @staticmethod
    def key(number):
        return f"/netctl/v1/default/net/lab/block/{number:08x}"

    def vtep(self):
        self.made += 1
        return f"198.18.{self.made // 250 % 250}.{self.made % 250 + 1}"

    def change(self):
        """One addition, removal, move to another VTEP, or another owner of the same block."""
        what = self.random.choice(("add", "add", "remove", "move", "owner"))
        if what == "add" and self.free:
            number = self.free.pop(self.random.randrange(len(self.free)))
            self.nodes[number] = (f"node{self.made}", self.vtep())
            return self.put(number)
        if not self.nodes:
            return 0
        number = self.random.choice(list(self.nodes))
        if what == "remove":
            del self.nodes[number]
            self.free.append(number)
            return self.etcd.delete(self.key(number))
        node = self.nodes[number][0] if what == "move" else f"node{self.made}"
        self.nodes[number] = (node, self.vtep())
        return self.put(number)

    def expected(self, host, blocks):
        """(destination, VTEP) of every route of `host`."""
        wanted = {(f"10.64.{number}.0/24", vtep) for number, (_, vtep) in self.nodes.items()}
        return wanted | {(block, other.address) for other, block in blocks.items() if other is not host}


def ways(host):
    """(destination, VTEP) of every route, followed through nexthop, neighbour and FDB entry; nothing may be left over."""
    fdb, neighbours, routes = host.entries()
    vteps, macs = dict(fdb), dict(neighbours)
    assert len(vteps) == len(fdb) and len(macs) == len(neighbours), "one key leads to two places"
    found = {(destination, vteps[macs[gateway]]) for destination, gateway in routes}
    assert len(found) == len(routes) == len(fdb) == len(neighbours), "entries are left over"
    return found


def main():
    changes, seed = int(sys.argv[1]), random.randrange(1 << 30)
    program = etcd_server.unpacked()
    say(f"seed {seed}")
    with Lab(duplicate_detection=False) as lab:
        switch = Switch(lab)
        etcd = etcd_server.Cluster(program, "/run/lab/etcd", address=SWITCH).start()
        hosts = [switch.host() for _ in range(HOSTS)]
        for host in hosts:
            host.configure({"type": "etcd", "endpoints": etcd.endpoints})
            host.start()
        for host in hosts:
            host.settle(HOSTS)
        blocks = {host: host.blocks[0] for host in hosts}
        model = Model(etcd, {int(block.split(".")[2]) for block in blocks.values()}, seed)
        for done in range(STEP, changes + 1, STEP):
            revision = max(model.change() for _ in range(STEP))
            for host in hosts:
                host.settle(revision=revision, seconds=60)
                found, wanted = ways(host), model.expected(host, blocks)
                assert found == wanted, f"{host.name} after {done} changes: {found ^ wanted}"
        say(f"{changes} changes, {HOSTS} hosts: entries equal the model's after each {STEP}; {len(model.nodes)} nodes left")
        etcd.stop()


main()
