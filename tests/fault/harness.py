"""What the fault tests share: the stepper and what it reports, a crowded little network, the reclaiming of what is dead."""

import dataclasses
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import Lab, Outcome, bin_dir, bridge_conflist, snapshot  # noqa: E402
from lab.plugins import addresses, plugin_config, port_mapping  # noqa: E402
from sweeps import in_child  # noqa: E402

__all__ = ["VICTIM_PORT", "Lab", "Network", "Outcome", "Step", "StepperRun", "Syscall", "bridge_conflist",
           "container_view", "count", "gc", "host_ends", "plugin_config", "port_mapping", "snapshot", "step", "tool",
           "undisturbed", "wait_until"]

VICTIM_PORT = 8081


def tool(name):
    """A helper program that the build made for these tests: $NETCTL_FAULT_TOOLS, beside bin/ by default."""
    folder = os.environ.get("NETCTL_FAULT_TOOLS") or os.path.join(bin_dir(), "..", "tests")
    path = os.path.abspath(os.path.join(folder, name))
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing: build the tests first")
    return path


@dataclasses.dataclass
class Syscall:
    n: int
    pid: int
    name: str
    detail: str
    hit: bool

    @property
    def is_store_write(self):
        return self.name in ("writev", "pwrite64", "pwritev") and self.detail.endswith(".mdb")

    def __str__(self):
        return f"{self.n} {self.name} {self.detail}".rstrip()


@dataclasses.dataclass
class StepperRun:
    """One run under the stepper: what the program printed, the syscalls it entered, the one that was hit (or None)."""

    outcome: Outcome
    syscalls: list
    hit: Syscall

    def sent(self, protocol):
        """Netlink message types that had been sent, in order; the harmed syscall counts as sent only when it ran."""
        prefix = protocol + ":"
        return [int(word) for call in self.syscalls if call.detail.startswith(prefix)
                for word in call.detail[len(prefix):].split()]

    @property
    def store_commits(self):
        """Transactions written to the store: LMDB ends each with a pwrite of its meta page after the data pages."""
        commits, writing = 0, False
        for call in self.syscalls:
            if call.is_store_write:
                writing = True
            elif writing:
                commits, writing = commits + 1, False
        return commits


def step(runtime, mode, plugin, verb, config, container, **options):
    """Runs one plugin call under the stepper. `mode` is its mode with arguments, say ("fail", 12, 5)."""
    report = "/run/lab/stepper.json"
    wrapper = [tool("stepper"), report, *map(str, mode)]
    outcome = runtime.call(plugin, verb, config, container, wrapper=wrapper, **options)
    with open(report, encoding="ascii") as file:
        lines = [json.loads(line) for line in file]
    calls = [Syscall(**line) for line in lines if "n" in line]
    assert outcome.rc != 125, outcome.describe()
    return StepperRun(outcome, calls, next((call for call in calls if call.hit), None))


def count(runtime, plugin, verb, config, container):
    """The syscalls of an undisturbed run."""
    run = step(runtime, ("count",), plugin, verb, config, container)
    run.outcome.expect_ok()
    return run.syscalls


def undisturbed(make):
    """make().syscalls(), the syscalls of a run without harm, found in a child as every Lab is entered there."""
    def work():
        with make() as subject:
            for call in subject.syscalls():
                yield dataclasses.asdict(call)
    found = list(in_child(work))
    assert found and "crash" not in found[-1], found[-1:]
    return [Syscall(**fields) for fields in found]


def gc(lab):
    """netctl gc; it must come to an end without a complaint."""
    lab.runtime.netctl("gc").expect_ok()


def container_view(container):
    """The container's own side, without lo: ADD sets it up and nobody takes that back, as a second network may use it."""
    view = snapshot.capture(netns=container.netns, only=("ip4", "ip6"))
    return {key: text for key, text in view.items() if " lo" not in key and "/lo/" not in key
            and "127." not in text and '"::1"' not in text}


def host_ends(base):
    """Host ends of containers that are there and were not when `base` was captured."""
    return [key for key in snapshot.capture(only=("ip4",)) if key.startswith("link nc") and key not in base]


def wait_until(condition, what, patience=20.0):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience} s in vain until {what}"
        time.sleep(0.02)


class Step:
    """One call of a chain: which executable, which verb."""

    def __init__(self, plugin, verb):
        self.plugin = plugin
        self.verb = verb

    def __str__(self):
        return f"{self.plugin} {self.verb}"


class Network:
    """A bridge network with `living` attachments that publish a port each, and room for exactly one more address.

    So one ADD after a disturbance proves both: the address of the disturbed one is free again, and it is the only one
    that is given. `ports_in` names the plugin that publishes: "bridge" or "portmap".
    """

    def __init__(self, lab, living=2, ports_in="bridge", name="net"):
        self.lab = lab
        self.runtime = lab.runtime
        pool = {"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.10", "rangeEnd": f"10.88.0.{10 + living}"}
        capability = {"capabilities": {"portMappings": True}} if ports_in == "bridge" else {}
        self.conflist = bridge_conflist(name, portmap=ports_in == "portmap", bridge_keys=capability,
                                        ipam_keys={"ranges": [[pool]]})
        self.pool = {f"10.88.0.{10 + i}" for i in range(living + 1)}
        self.living = {}
        for i in range(living):
            container = lab.container(f"living{i}")
            result = self.add(container, 9000 + i)
            self.living[container] = (result, self.ports(9000 + i))
        self.base = snapshot.settled()
        self.inside = {container: snapshot.settled(netns=container.netns) for container in self.living}

    @staticmethod
    def ports(host_port):
        return {"portMappings": [port_mapping(host_port, 80), port_mapping(host_port, 53, "udp")]}

    def config(self, plugin, runtime_config=None, previous=None):
        wanted = next(entry for entry in self.conflist["plugins"] if entry["type"] == plugin)
        return plugin_config(self.conflist, wanted, runtime_config, previous)

    def add(self, container, host_port):
        return self.runtime.chain_add(self.conflist, container, runtime_config=self.ports(host_port))

    def remove(self, container, result=None, host_port=None):
        ports = self.ports(host_port) if host_port else None
        self.runtime.chain_del(self.conflist, container, result=result, runtime_config=ports)

    def taken(self):
        return {address for result, _ in self.living.values() for address in addresses(result)}

    def prove_free_and_unique(self, name):
        """Another container gets the one address that is left, and the port; the caller removes it."""
        other = self.lab.container(name, process=False)
        result = self.add(other, VICTIM_PORT)
        given = addresses(result)
        assert not set(given) & self.taken(), f"{given} was given twice: {self.taken()} live"
        assert set(given) == self.pool - self.taken(), f"{given}: {self.pool - self.taken()} should be free"
        return other, result

    def assert_intact(self, note):
        """Host and living containers are, by raw snapshots, what they were before."""
        snapshot.assert_same(self.base, note)
        for container, before in self.inside.items():
            snapshot.assert_same(before, f"{note}: inside {container.name}", netns=container.netns)

    def assert_store_kept(self):
        """A store that was put aside as damaged is a store that forgot who lives, whatever the kernel still shows."""
        aside = [name for name in os.listdir(self.lab.state_dir) if "damaged" in name]
        assert not aside, f"the store was put aside: {aside}"

    def verify_living(self):
        """CHECK of every living attachment, as a runtime does it."""
        for container, (result, ports) in self.living.items():
            self.runtime.chain_check(self.conflist, container, result, runtime_config=ports)
