"""Hosts that are network namespaces on one switch (192.0.2.0/24), each with a netctl-agent of its own."""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from lab import Lab, bin_dir, in_netns, kernel  # noqa: E402,F401 (needs the path above)
from lab.processes import wait_until  # noqa: E402,F401

SWITCH = "192.0.2.254"
NETWORK = "lab"
SLACK = float(os.environ.get("NETCTL_SLACK", "5"))  # of limits in time: machines that run the tests are busy


def say(text):
    print(f"{time.monotonic() - _BEGAN:6.1f} s  {text}", flush=True)


_BEGAN = time.monotonic()


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


class Switch:
    """The place where etcd lives, too."""

    def __init__(self, lab):
        self.lab = lab
        # An address of its own: else it takes that of a port, and another one when that port goes.
        run("ip", "link", "add", "switch", "address", "02:00:00:00:00:fe", "type", "bridge", "mcast_snooping", "0")
        run("ip", "addr", "add", f"{SWITCH}/24", "dev", "switch")
        run("ip", "link", "set", "switch", "up")
        self.hosts = []

    def host(self, name=None, **keys):
        made = Host(self, len(self.hosts) + 1, name, keys)
        self.hosts.append(made)
        return made


class Host:
    def __init__(self, switch, number, name, keys):
        self.lab, self.number = switch.lab, number
        self.name = name or f"host{number}"
        self.address = f"192.0.2.{number}"
        self.machine = switch.lab.container(f"h{number}", process=False)
        self.port = f"port{number}"
        run("ip", "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.machine.netns)
        run("ip", "link", "set", self.port, "master", "switch", "up")
        for argv in (["lo", "up"], ["eth0", "up"]):
            self.machine.run(["ip", "link", "set", *argv])
        self.machine.run(["ip", "addr", "add", f"{self.address}/24", "dev", "eth0"])
        self.folder = f"/run/lab/h{number}"
        self.state, self.conf = f"{self.folder}/state", f"{self.folder}/conf"
        os.makedirs(self.conf)
        self.process = None
        self.keys = keys

    def configure(self, source, **more):
        plugin = {"type": "overlay", "vni": 7, "node": self.name, "vtep": self.address, "subnets": ["10.64.0.0/16"],
                  "source": source, **self.keys, **more}
        conflist = {"cniVersion": "1.0.0", "name": NETWORK, "plugins": [plugin]}
        path = f"{self.conf}/{NETWORK}.conflist"
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(conflist, file)
        os.rename(path + ".new", path)
        return conflist

    @property
    def environment(self):
        env = {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "NETCTL_LOG")}
        return {**env, "NETCTL_STATE_DIR": self.state, "NETCTL_CONF_DIR": self.conf}

    @property
    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8") as file:
            return file.read()

    def start(self, *arguments, **environment):
        with open(f"{self.folder}/log", "ab") as log:
            self.process = self.machine.spawn([os.path.join(bin_dir(), "netctl-agent"), *arguments],
                                              env={**self.environment, **environment}, stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def terminate(self):
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0, self.log
        self.process = None

    def ask(self, path, method="GET"):
        connection = http.client.HTTPConnection("agent")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(f"{self.state}/overlay/agent.sock")
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self):
        """Of the one network; {} while there is no agent that answers."""
        try:
            networks = json.loads(self.ask("/v1/status")[1])["networks"]
        except OSError:
            return {}
        return networks[0] if networks else {}

    def is_settled(self, peers=None, revision=0):
        status = self.status()
        return bool(status.get("programmed") and status.get("blocks") and not status["trouble"]
                    and status["revision"] >= revision and (peers is None or len(status["nodes"]) == peers))

    def settle(self, peers=None, revision=0, seconds=30):
        try:
            wait_until(lambda: self.is_settled(peers, revision), f"{self.name} is settled", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.status()}\n{self.log[-3000:]}") from None

    def netctl(self, *arguments, check=True):
        return self.machine.run([os.path.join(bin_dir(), "netctl"), *arguments], check=check, env=self.environment)

    @property
    def blocks(self):
        return self.status()["blocks"]

    @property
    def device(self):
        links = json.loads(self.machine.run(["ip", "-j", "link", "show", "type", "vxlan"]).stdout)
        return links[0]["ifname"] if links else None

    @property
    def overlay_address(self):
        return self.blocks[0].split("/")[0]

    def link(self):
        """What can be set by hand of the overlay's device, None while there is none."""
        links = json.loads(self.machine.run(["ip", "-j", "addr", "show", "type", "vxlan"]).stdout)
        return [(link["ifname"], link["address"], link["mtu"], "UP" in link["flags"],
                 sorted(each["local"] for each in link["addr_info"] if each["scope"] != "link")) for link in links]

    def entries(self):
        """What the kernel holds for the overlay: (FDB, neighbours, routes), as sets of pairs of text."""
        device = self.device
        fdb = json.loads(self.machine.run(["bridge", "-j", "fdb", "show", "dev", device]).stdout)
        neighbours = json.loads(self.machine.run(["ip", "-j", "neigh", "show", "dev", device, "nud", "permanent"]).stdout)
        nexthops = json.loads(self.machine.run(["ip", "-j", "nexthop", "show", "dev", device]).stdout or "[]")
        gateways = {each["id"]: each["gateway"] for each in nexthops}
        routes = json.loads(self.machine.run(["ip", "-j", "route", "show", "dev", device]).stdout or "[]")
        return ({(each["mac"], each["dst"]) for each in fdb if "dst" in each},
                {(each["dst"], each["lladdr"]) for each in neighbours},
                {(each["dst"], gateways.get(each.get("nhid"), each.get("gateway"))) for each in routes
                 if "nhid" in each})

    def ping(self, other, count=1, wait=1):
        """How many of `count` echoes over the overlay come back."""
        done = self.machine.run(["ping", "-q", "-n", "-c", str(count), "-i", "0.2", "-W", str(wait), "-I",
                                 self.overlay_address, other], check=False, timeout=60)
        return int(done.stdout.split(" received")[0].split()[-1]) if " received" in done.stdout else 0

    def reaches(self, other, seconds=30):
        wait_until(lambda: self.ping(other, wait=1) == 1, f"{self.name} reaches {other}", seconds)

    def cut_off(self):
        """From everybody, without a word: the link stays up."""
        run("ip", "link", "set", self.port, "nomaster")

    def heal(self):
        run("ip", "link", "set", self.port, "master", "switch")
