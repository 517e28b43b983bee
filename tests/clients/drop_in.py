#!/usr/bin/env python3
"""drop_in.py [FILE...]: every default configuration of conf/drop-in works, unchanged, and no helper is started.

VERSION, ADD of two containers, traffic, CHECK, GC, DEL and DEL again, as far as the file's cniVersion knows them; then the
same with the version raised to 1.1.0, so that every file meets STATUS and GC. Raw snapshots show that nothing is left.
All calls are traced: nothing but our own executables may be started. That the tracing would see it is shown by the
reference.
"""

import functools
import json
import os
import pathlib
import re
import sys
import time
import traceback

from client import REFERENCE, Lab, bridge_conflist, fetch, snapshot
from lab import Runtime, bin_dir
from lab.plugins import addresses, port_mapping
from lab.processes import wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "conf/drop-in"
TRACE = "/run/lab/execve"
# --seccomp-bpf: only the calls that are asked for stop a process.
STRACE = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=execve,execveat", "-A", "-o", TRACE]
# What the kernel is asked for by an attachment that a runtime describes; plugins without the capability never see it.
RUNTIME_CONFIG = {"portMappings": [port_mapping(8080, 80)],
                  "bandwidth": {"ingressRate": 80_000_000, "ingressBurst": 8_000_000,
                                "egressRate": 80_000_000, "egressBurst": 8_000_000}}
WATCHED = {"files": ("/run/cni-ipam-state",)}


def load(path):
    """As a list, whatever the file is."""
    config = json.loads(path.read_text())
    if "plugins" in config:
        return config
    plugin = {key: value for key, value in config.items() if key not in ("cniVersion", "name")}
    return {"cniVersion": config["cniVersion"], "name": config["name"], "plugins": [plugin]}


def started_programs():
    with open(TRACE, encoding="utf-8") as file:
        return set(re.findall(r'execve(?:at)?\([^"]*"([^"]+)"', file.read()))


class Network:
    def __init__(self, lab, conflist):
        self.lab, self.conflist = lab, conflist
        self.runtime = Runtime(state_dir=lab.state_dir, wrapper=STRACE)
        self.version = tuple(map(int, conflist["cniVersion"].split(".")))
        self.types = [plugin["type"] for plugin in conflist["plugins"]]
        self.ifname = "lo" if self.types == ["loopback"] else "eth0"

    def ask(self, verb):
        for plugin in self.conflist["plugins"]:
            config = {**plugin, "name": self.conflist["name"], "cniVersion": self.conflist["cniVersion"]}
            outcome = self.runtime.call(plugin["type"], verb, config, ifname=None).expect_ok()
            if verb == "VERSION":
                assert self.conflist["cniVersion"] in outcome.json["supportedVersions"], outcome.describe()

    def play(self):
        self.ask("VERSION")
        if self.version >= (1, 1, 0):
            self.ask("STATUS")
        web, other = self.lab.container("web"), self.lab.container("other", process=False)
        results = {web: self.runtime.chain_add(self.conflist, web, ifname=self.ifname, runtime_config=RUNTIME_CONFIG),
                   other: self.runtime.chain_add(self.conflist, other, ifname=self.ifname)}
        if self.ifname != "lo":
            self.talk(web, other, results)
        if self.version >= (0, 4, 0):
            self.check(web, results[web], RUNTIME_CONFIG)
            self.check(other, results[other])
        if self.version >= (1, 1, 0) and self.ifname != "lo":
            self.collect_other(web, other, results)
        for container in (web, other):
            ports = RUNTIME_CONFIG if container is web else None
            self.runtime.chain_del(self.conflist, container, result=results[container], ifname=self.ifname,
                                   runtime_config=ports)
            self.lab.remove(container)
            # As containerd does at every further stop: no namespace, no result, nothing else.
            self.runtime.chain_del(self.conflist, container, netns="", ifname=self.ifname)

    def check(self, container, result, runtime_config=None):
        self.runtime.chain_check(self.conflist, container, result, ifname=self.ifname, runtime_config=runtime_config)

    def talk(self, web, other, results):
        """The host and the other container reach web, by its address and (from the host) by the published port."""
        os.makedirs("/run/lab/www", exist_ok=True)
        pathlib.Path("/run/lab/www/index.html").write_text("hello from web\n")
        server = web.spawn(["busybox", "httpd", "-f", "-p", "80", "-h", "/run/lab/www"])
        own = [address for address in addresses(results[web]) if not address.startswith("127.")]
        urls = [f"http://[{address}]/" if ":" in address else f"http://{address}/" for address in own]
        for url in urls:
            get = ["busybox", "wget", "-q", "-O", "-", url]
            wait_until(lambda: other.run(get, check=False).stdout == "hello from web\n", f"{other.name} reaches {url}")
        # Nobody routes from ::1 to another link, so a port is published on the IPv4 loopback address only.
        published = ["http://127.0.0.1:8080/"] if "portmap" in self.types and any("." in address for address in own) else []
        for url in urls + published:
            assert fetch(url) == "hello from web\n", url
        server.kill()
        server.wait()

    def collect_other(self, web, other, results):
        """GC with web alone among the living: the other's host side goes, web stays whole."""
        ends = lambda: {key for key in snapshot.capture(only=("ip4",)) if key.startswith("link ")}
        before = ends()
        self.runtime.chain_gc(self.conflist, [(web.id, self.ifname)])
        wait_until(lambda: len(before - ends()) > 0, "GC removes the other's link")
        assert len(before - ends()) == 1, before - ends()
        self.check(web, results[web], RUNTIME_CONFIG)
        again = self.runtime.chain_add(self.conflist, other, ifname=self.ifname)
        assert not set(addresses(again)) & set(addresses(results[web])) - {"127.0.0.1", "::1"}, again
        results[other] = again


def play_file(path):
    for version in (None, "1.1.0"):
        conflist = load(path)
        conflist["cniVersion"] = version or conflist["cniVersion"]
        yield f"{path.name} as {conflist['cniVersion']}", functools.partial(judge, conflist)


def judge(conflist, lab):
    before = snapshot.settled(**WATCHED)
    Network(lab, conflist).play()
    snapshot.assert_same(before, f"before and after {conflist['name']}", compare=without_flows_of_the_host, **WATCHED)
    programs = started_programs()
    foreign = {program for program in programs if os.path.dirname(program) != bin_dir()}
    assert programs and not foreign, f"programs that were started besides our own: {foreign}"


def without_flows_of_the_host(before, after):
    """Flows of the test itself from the host to the host time out by themselves."""
    return [line for line in snapshot.diff(before, after) if not line[2:].startswith("conntrack tcp src=127.0.0.1")]


def the_tracing_sees_helpers(lab):
    """The same tracing, put on the reference's plugins, shows what it is made to find."""
    conflist = bridge_conflist("traced", "10.77.0.0/24", "br-traced", data_dir="/run/lab/leases")
    container = lab.container("traced")
    runtime = Runtime(REFERENCE, wrapper=STRACE)
    result = runtime.chain_add(conflist, container, runtime_config=RUNTIME_CONFIG)
    runtime.chain_del(conflist, container, result=result, runtime_config=RUNTIME_CONFIG)
    names = {os.path.basename(program) for program in started_programs()}
    assert "iptables" in names, names


def run_alone(name, function):
    """On a private host of its own, in a process of its own; True when it passed."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with Lab() as lab:
                function(lab)
            status = 0
        except BaseException:  # noqa: B902 (whatever it was, it is this file's failure)
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    _, status = os.waitpid(child, 0)
    print(f"{'FAILED' if status else 'ok':6} {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return status == 0


def main():
    files = [pathlib.Path(name).resolve() for name in sys.argv[1:]] or sorted(FOLDER.glob("*.conf*"))
    assert files, f"{FOLDER} is empty"
    passed = [run_alone("the tracing sees helpers", the_tracing_sees_helpers)]
    passed += [run_alone(name, function) for path in files for name, function in play_file(path)]
    sys.exit(0 if all(passed) else f"{passed.count(False)} of {len(passed)} failed")


main()
