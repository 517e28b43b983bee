"""Hosts as network namespaces that a bridge joins, each with a state folder of its own, and overlays between them."""

import json
import os
import re
import socket
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests/support"), os.path.join(ROOT, "tests/e2e")]

from lab import snapshot  # noqa: E402
from lab.hosts import WORK, Container, Lab  # noqa: E402
from lab.kernel import in_netns  # noqa: E402
from lab.plugins import Runtime, plugin_config  # noqa: E402

PATIENCE = 10


OUTER_FLOW = re.compile(r"^[+-] conntrack udp .* dport=(4789|8472) ")


def diff_of_ours(before, after):
    """Without the kernel's memory of outer datagrams between hosts, which fades in half a minute."""
    return [line for line in snapshot.diff(before, after) if not OUTER_FLOW.match(line.strip())]


class Host:
    """Host number n: 192.0.2.n and fd00:99::n in the underlay."""

    def __init__(self, lab, number):
        self.name = f"host{number}"
        self.number = number
        self.vtep = f"192.0.2.{number}"
        self.vtep_v6 = f"fd00:99::{number}"
        self.netns = Container(self.name, process=False)
        lab.others.append(self.netns)
        self.lab = lab
        self.state = f"{WORK}/state-{self.name}"
        self.runtime = Runtime(state_dir=self.state)
        run("ip", "link", "add", f"to-{self.name}", "type", "veth", "peer", "name", "eth0", "netns", self.netns.netns)
        run("ip", "link", "set", f"to-{self.name}", "master", "underlay", "up")
        with open(f"/proc/sys/net/ipv6/conf/to-{self.name}/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")
        for argv in (["link", "set", "lo", "up"], ["addr", "add", f"{self.vtep}/24", "dev", "eth0"],
                     ["addr", "add", f"{self.vtep_v6}/64", "dev", "eth0", "nodad"], ["link", "set", "eth0", "up"]):
            self.run(["ip", *argv])
        self.before = None

    def run(self, argv, **options):
        return self.netns.run(argv, **options)

    def ip_json(self, *argv):
        return json.loads(self.run(["ip", "-j", *argv]).stdout or "[]")

    def call(self, verb, config, container=None, **options):
        with in_netns(self.netns.netns):
            return self.runtime.call(config["type"], verb, config, container, **options)

    def netctl(self, *arguments, **options):
        with in_netns(self.netns.netns):
            return self.runtime.netctl(*arguments, **options)

    def netns_socket(self, port):
        """A program of this host that has the UDP port."""
        with in_netns(self.netns.netns):
            taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.bind(("0.0.0.0", port))
        return taken

    def remember(self):
        self.before = snapshot.settled(netns=self.netns.netns)

    def assert_nothing_left(self):
        snapshot.assert_same(self.before, f"{self.name} before and after", compare=diff_of_ours, netns=self.netns.netns)
        folder = f"{self.state}/overlay"
        assert not os.path.exists(folder), f"{folder} is left: {os.listdir(folder)}"


class Pod:
    """A container that is attached to one overlay."""

    def __init__(self, host, config, name, **options):
        self.host = host
        self.config = config
        self.container = host.lab.container(name, process=False)
        self.netns = self.container.netns
        self.options = options
        self.result = host.call("ADD", config, self.container, **options).expect_ok().json
        addresses = [entry["address"].split("/")[0] for entry in self.result["ips"]]
        self.v4 = next((address for address in addresses if ":" not in address), None)
        self.v6 = next((address for address in addresses if ":" in address), None)

    @property
    def addresses(self):
        return [address for address in (self.v4, self.v6) if address]

    def check(self):
        return self.host.call("CHECK", {**self.config, "prevResult": self.result}, self.container, **self.options)

    def delete(self):
        self.host.call("DEL", self.config, self.container, **self.options).expect_ok()


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True, text=True)


def make_hosts(lab, count=3):
    run("ip", "link", "add", "underlay", "type", "bridge", "mcast_snooping", "0")
    run("ip", "link", "set", "underlay", "up")
    hosts = [Host(lab, number) for number in range(1, count + 1)]
    for host in hosts:
        host.remember()
    return hosts


def nodes_of(hosts, mode="routed", second=244, underlay_v6=False, v6=True):
    """Block n for host n: a /24 and a /64, or in l2 a /28 and a /124."""
    nodes = []
    for host in hosts:
        n = host.number
        if mode == "routed":
            blocks = [f"10.{second}.{n}.0/24"] + ([f"fd00:{second}:0:{n}::/64"] if v6 else [])
        else:
            blocks = [f"10.{second}.0.{16 * n}/28"] + ([f"fd00:{second}::{16 * n:x}/124"] if v6 else [])
        nodes.append({"node": host.name, "vtep": host.vtep_v6 if underlay_v6 else host.vtep, "blocks": blocks})
    return nodes


def overlay(host, nodes, *, name="multi", vni=42, second=244, v6=True, **keys):
    """The plugin's stdin on `host`."""
    length = 64 if keys.get("mode") == "l2" else 48
    subnets = [f"10.{second}.0.0/16"] + ([f"fd00:{second}::/{length}"] if v6 else [])
    conflist = {"cniVersion": "1.1.0", "name": name, "plugins": []}
    plugin = {"type": "overlay", "vni": vni, "node": host.name, "subnets": subnets, "nodes": nodes, **keys}
    return plugin_config(conflist, plugin)


def ping(pod, address, size=56, fragment=True):
    """Does one echo of `size` bytes come back?"""
    argv = ["ping", "-n", "-c", "1", "-W", "2", "-s", str(size)] + ([] if fragment else ["-M", "do"]) + [address]
    return pod.container.run(argv, check=False).returncode == 0


def must_ping(pod, address, note=""):
    for _ in range(3):
        if ping(pod, address):
            return
    raise AssertionError(f"no answer to a ping from {pod.host.name} {pod.addresses} to {address} {note}")


def transfer(source, target, address, size=1 << 20):
    """Sends `size` bytes over TCP; the other end counts them and says whose address they came from."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with in_netns(target.netns):
        server = socket.create_server((address, 0), family=family)
    seen = {}

    def serve():
        peer, seen["from"] = server.accept()
        with peer:
            peer.settimeout(PATIENCE)
            count = 0
            while piece := peer.recv(1 << 16):
                count += len(piece)
            seen["count"] = count
    thread = threading.Thread(target=serve, daemon=True)
    server.settimeout(PATIENCE)
    thread.start()
    with in_netns(source.netns):
        client = socket.socket(family, socket.SOCK_STREAM)
    with client, server:
        client.settimeout(PATIENCE)
        client.connect((address, server.getsockname()[1]))
        client.sendall(b"x" * size)
        client.shutdown(socket.SHUT_WR)
        thread.join(PATIENCE)
    assert seen.get("count") == size, f"{seen.get('count')} of {size} bytes came from {source.addresses} to {address}"
    return seen["from"][0]


def main(*scenarios):
    """Runs each, or those that are named in the arguments, in a lab of its own process."""
    names = sys.argv[1:]
    for scenario in scenarios:
        if names and scenario.__name__ not in names:
            continue
        child = os.fork()
        if child == 0:
            try:
                with Lab(duplicate_detection=False) as lab:
                    scenario(lab)
                code = 0
            except BaseException:  # the parent has to see it, whatever it is
                import traceback
                traceback.print_exc()
                code = 1
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        print(f"{'ok    ' if status == 0 else 'FAILED'} {scenario.__name__}", flush=True)
        if status != 0:
            raise SystemExit(1)
