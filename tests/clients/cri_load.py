#!/usr/bin/python3
"""cri_load.py [PODS]: many pods up and down through CRI, eight at a time, on our plugins and on the reference's in turns.

Ours must do it without an error and leave nothing, by raw snapshots. The time that containerd spent in its network plugins
(its own clock: the metric network_plugin_operations_duration_seconds, from the call of libcni to its return, `loopback`
included) is printed for both; ours must be the shorter one. Both sets do the same in the same run: they change places after
every quarter of the pods, on the same daemon, with networks that differ in name, bridge and subnet only.
"""

import concurrent.futures
import re
import sys
import time
import urllib.request

import cri
from client import REFERENCE, Lab, bridge_conflist, say, snapshot
from kubelet import Kubelet
from lab import bin_dir
from lab.containerd import METRICS, Containerd
from lab.processes import in_own_pid_namespace

AT_ONCE = 8
ROUNDS = 4
UP, DOWN = "set_up_pod", "tear_down_pod"  # the second is called at the stop, and again at the removal


class Contender:
    def __init__(self, name, folder, subnet, bridge):
        self.name, self.folder = name, folder
        self.conflist = bridge_conflist(name, subnet, bridge)
        self.network = {UP: (0.0, 0), DOWN: (0.0, 0)}  # seconds, calls
        self.wall = 0.0
        self.refused = []

    @property
    def is_ours(self):
        return self.folder != REFERENCE

    def add(self, before, after):
        for operation, (seconds, calls) in self.network.items():
            self.network[operation] = (seconds + after[operation][0] - before[operation][0],
                                       calls + after[operation][1] - before[operation][1])

    def milliseconds(self, operation, pods):
        return 1000 * self.network[operation][0] / pods


def measured():
    """operation -> (seconds, calls) since the daemon started."""
    with urllib.request.urlopen(f"http://{METRICS}/v1/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found = {UP: [0.0, 0.0], DOWN: [0.0, 0.0]}
    pattern = r'^\S*network_plugin_operations_duration_seconds_seconds_(sum|count)\{.*operation_type="(\w+)".*\} (\S+)$'
    for kind, operation, value in re.findall(pattern, text, re.MULTILINE):
        if operation in found:
            found[operation][kind == "count"] = float(value)
    return found


def _not_theirs(before, after):
    """The difference, without what the reference left (its bridge, counters of its tables) and the reading of metrics."""
    return [line for line in snapshot.diff(before, after)
            if "br-theirs" not in line and not line[2:].startswith(("nft rule ip nat", "conntrack tcp src=127.0.0.1"))]


def up_and_down(kubelet, contender, first, count):
    """All pods of a round are up before the first one goes."""
    def up(number):
        try:
            return kubelet.pod(f"p{number}", ports=[(20000 + number, 80, cri.TCP, "")])
        except cri.Refused as refused:
            # Ours may not fail. The reference's portmap does now and then: two of them make the same chain at once.
            assert not contender.is_ours, refused
            contender.refused.append(refused.text)
            return up(number)

    def down(pod):
        pod.stop()
        pod.remove()

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        pods = list(pool.map(up, range(first, first + count)))
        addresses = list(pool.map(lambda pod: pod.address, pods))
        assert len(set(addresses)) == count, f"an address was given twice: {sorted(addresses)}"
        list(pool.map(down, pods))


def play(lab, containerd, kubelet, contender, first, count):
    containerd.use_plugins(contender.folder)
    containerd.use_network(contender.conflist)
    kubelet.wait_network(contender.name)
    before, began, seen = snapshot.settled(files=("/run/netns",)), time.monotonic(), measured()
    up_and_down(kubelet, contender, first, count)
    contender.wall += time.monotonic() - began
    contender.add(seen, measured())
    if contender.is_ours:
        snapshot.assert_same(before, f"after {count} pods on {contender.name}", files=("/run/netns",), compare=_not_theirs)
        listing = lab.runtime.netctl("ps", "--json").expect_ok().json
        assert not listing["attachments"], listing


def main(pods):
    ours = Contender("netctl", bin_dir(), "10.81.0.0/16", "br-ours")
    reference = Contender("reference", REFERENCE, "10.82.0.0/16", "br-theirs")
    with Lab(private_trees=("/etc",)) as lab:
        containerd = Containerd(lab, ours.conflist, cri=True)
        kubelet = Kubelet()
        kubelet.wait_ready()
        first = kubelet.pod("first", network=cri.NODE)
        first.stop()
        first.remove()
        count = pods // ROUNDS
        for number in range(ROUNDS):
            order = (ours, reference) if number % 2 == 0 else (reference, ours)
            for contender in order:
                play(lab, containerd, kubelet, contender, number * count, count)
        assert not kubelet.pods()
        containerd.stop()
    report(ROUNDS * count, ours, reference)


def report(pods, ours, reference):
    say(f"{pods} pods up and down on each, {AT_ONCE} at a time. Time of a pod in the network plugins, and of everything:")
    for contender in (ours, reference):
        print(f"    {contender.name:10} up {contender.milliseconds(UP, pods):7.1f} ms   "
              f"down {contender.milliseconds(DOWN, pods):7.1f} ms   wall time of all {contender.wall:6.1f} s", flush=True)
        for text in contender.refused:
            print(f"      refused, and tried again: {text.strip()}")
    for operation in (UP, DOWN):
        assert ours.network[operation][1] >= pods, ours.network
        assert ours.milliseconds(operation, pods) < reference.milliseconds(operation, pods), "slower than the reference"


in_own_pid_namespace()
main(int(sys.argv[1]) if len(sys.argv) > 1 else 24)
