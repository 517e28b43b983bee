"""Who is measured: each contender knows how to attach and detach one container, and returns what that cost."""

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import lab

REFERENCE_BIN = Path("/usr/lib/cni")
CONTAINER_PORT = 8080
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BenchError(Exception):
    """A measured program failed; the text holds all that it said."""


@dataclass
class Attachment:
    """One container: its namespace, and what must differ between containers of one host."""
    number: int
    netns: Path
    result: dict = field(default_factory=dict)  # what the last plugin of ADD printed

    @property
    def container_id(self):
        return hashlib.sha256(str(self.number).encode()).hexdigest()

    @property
    def host_port(self):
        return 20000 + self.number

    @property
    def address(self):
        return f"10.77.{128 + self.number // 200}.{1 + self.number % 200}"


@dataclass
class Cost:
    """Wall and CPU time of all processes of one operation, run one after the other; peak RSS of each program."""
    milliseconds: float = 0.0
    cpu_milliseconds: float = 0.0
    peak_kib: dict = field(default_factory=dict)


class Runner:
    """Starts programs in one host namespace through the small C runner, which does the measuring."""

    def __init__(self, runner, host_netns):
        self.runner = runner
        self.host_netns = host_netns

    def run(self, cost, argv, environment=None, request=""):
        """Adds one process to `cost`; returns its stdout. Raises BenchError unless it exits with 0."""
        report_read, report_write = os.pipe()
        with os.fdopen(report_read) as report:
            process = subprocess.run(
                [self.runner, str(report_write), self.host_netns, *map(str, argv)], input=request,
                env={"PATH": PATH, **(environment or {})}, pass_fds=[report_write], capture_output=True, text=True)
            os.close(report_write)
            words = report.read().split()
        if process.returncode != 0 or words[3] != "0":
            verb = (environment or {}).get("CNI_COMMAND", "")
            raise BenchError(f"{verb} {' '.join(map(str, argv))} failed: {process.stdout}{process.stderr}")
        program = Path(argv[0]).name
        cost.milliseconds += int(words[0]) / 1e6
        cost.cpu_milliseconds += int(words[1]) / 1e3
        cost.peak_kib[program] = max(int(words[2]), cost.peak_kib.get(program, 0))
        return process.stdout


class CniChain:
    """bridge + portmap, driven exactly as libcni drives a configuration list."""

    def __init__(self, name, tools, plugin_folder, state_folder):
        self.name = name
        self.plugin_folder = plugin_folder
        self.state_folder = state_folder
        state_folder.mkdir(parents=True)
        self.host_netns = lab.make_host_netns(f"host-{name}")
        self.runner = Runner(tools / "run", self.host_netns)

    def network(self):
        """The two plugin sections of the list; name and version are added to each as a runtime does."""
        bridge = {"type": "bridge", "bridge": "bench0", "isGateway": True, "ipMasq": True,
                  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/16"}]],
                           "routes": [{"dst": "0.0.0.0/0"}], **self.ipam_extra()}}
        portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
        return [{"cniVersion": "1.0.0", "name": "bench", **section} for section in (bridge, portmap)]

    def ipam_extra(self):
        return {}

    def environment(self, verb, attachment):
        return {"CNI_COMMAND": verb, "CNI_CONTAINERID": attachment.container_id, "CNI_NETNS": str(attachment.netns),
                "CNI_IFNAME": "eth0", "CNI_PATH": str(self.plugin_folder)}

    def call(self, cost, verb, section, attachment):
        request = dict(section)
        if section.get("capabilities"):
            mapping = {"hostPort": attachment.host_port, "containerPort": CONTAINER_PORT, "protocol": "tcp"}
            request["runtimeConfig"] = {"portMappings": [mapping]}
        if attachment.result:
            request["prevResult"] = attachment.result
        return self.runner.run(cost, [self.plugin_folder / section["type"]], self.environment(verb, attachment),
                               json.dumps(request))

    def add(self, attachment):
        cost = Cost()
        for section in self.network():
            attachment.result = json.loads(self.call(cost, "ADD", section, attachment))
        return cost

    def delete(self, attachment):
        cost = Cost()
        for section in reversed(self.network()):
            self.call(cost, "DEL", section, attachment)
        return cost


class Ours(CniChain):
    def environment(self, verb, attachment):
        return {**super().environment(verb, attachment), "NETCTL_STATE_DIR": str(self.state_folder)}

    def load(self, tools, leases, published):
        """Fills pool and maps; the first attachment must be there already."""
        lab.run_in(self.host_netns, [tools / "load", leases, published],
                   env={"PATH": PATH, "NETCTL_STATE_DIR": str(self.state_folder)})


class Reference(CniChain):
    """Debian's containernetworking-plugins with their default back end (iptables)."""

    def __init__(self, tools, state_folder):
        super().__init__("reference", tools, REFERENCE_BIN, state_folder)

    def ipam_extra(self):
        return {"dataDir": str(self.state_folder)}


class Empty:
    """Two empty processes: what our two executables cost before they do anything."""
    name = "empty"

    def __init__(self, tools):
        self.program = tools / "empty"
        self.runner = Runner(tools / "run", lab.make_host_netns("host-empty"))

    def add(self, _attachment):
        cost = Cost()
        for _ in range(2):
            self.runner.run(cost, [self.program])
        return cost

    delete = add


class Floor:
    """The bare program that sends the minimal messages only."""
    name = "floor"

    def __init__(self, tools):
        self.program = tools / "floor"
        host_netns = lab.make_host_netns("host-floor")
        self.runner = Runner(tools / "run", host_netns)
        lab.run_in(host_netns, [self.program, "setup"])

    def add(self, attachment):
        cost = Cost()
        self.runner.run(cost, [self.program, "add", attachment.netns, attachment.host_port, attachment.address])
        return cost

    def add_device(self, attachment):
        cost = Cost()
        self.runner.run(cost, [self.program, "device", attachment.address])
        return cost

    def delete(self, attachment):
        cost = Cost()
        self.runner.run(cost, [self.program, "del", attachment.host_port, attachment.address])
        return cost
