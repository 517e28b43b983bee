#!/usr/bin/env python3
"""Replays what real runtimes were recorded to send (tests/captures), and compares the answers with the reference's.

Namespaces and CNI_PATH are this host's; a prevResult is the one that our chain gave; the rest is as it was recorded. Equal
must be: the exit status, and of results the version, the keys, and the number of addresses, routes, and interfaces.
"""

import json
import os
import pathlib
import time

from scenario import expect, main, run

CAPTURES = pathlib.Path(__file__).resolve().parents[1] / "captures"


class Replay:
    def __init__(self, host, calls):
        self.host, self.calls = host, calls
        self.containers = {}  # recorded path -> Container
        self.results = {}     # (network, container id, interface) -> the chain's last result
        self.left_out = set()

    def run(self):
        for number, call in enumerate(self.calls, 1):
            if not os.access(f"{self.host.lab.runtime.folder}/{call['plugin']}", os.X_OK):
                self.left_out.add(call["plugin"])
                continue
            if "before" in call:
                run("ip", "-n", self._container(call).name, "addr", "flush", "dev", call["env"]["IFNAME"])
            outcome = self._call(call)
            where = f"call {number}, {call['verb']} {call['plugin']}"
            assert (outcome.rc == 0) == (call["rc"] == 0), f"{where}: exit {call['rc']} was recorded: {outcome.describe()}"
            if call["verb"] == "ADD":
                self._compare(where, call, outcome.json)
                self.results[self._key(call)] = outcome.json
            elif call["verb"] == "VERSION":
                lacking = set(call["stdout"]["supportedVersions"]) - set(outcome.json["supportedVersions"])
                expect(lacking, set(), f"{where}: versions that the reference supports and we do not")
            elif call["rc"] == 0:
                expect(outcome.stdout, "", f"{where}: stdout")
        self._end()

    def _key(self, call):
        return call["stdin"]["name"], call["env"]["CONTAINERID"], call["env"]["IFNAME"]

    def _container(self, call):
        path = call["env"]["NETNS"]
        if path not in self.containers:
            self.containers[path] = self.host.lab.container(f"replay{len(self.containers)}")
        return self.containers[path]

    def _netns(self, call):
        path = call["env"]["NETNS"]
        if path in ("", "dummy"):
            return path
        if not call["netns_exists"]:
            return f"{path}-gone"
        container = self._container(call)
        return f"/proc/{container.pid}/ns/net" if path.startswith("/proc/") else container.netns

    def _call(self, call):
        config = dict(call["stdin"])
        if "prevResult" in config and self._key(call) in self.results:
            config["prevResult"] = self.results[self._key(call)]
        env = call["env"]
        return self.host.lab.runtime.call(
            call["plugin"], call["verb"], None, stdin=json.dumps(config, separators=(",", ":")).encode(),
            container_id=env["CONTAINERID"], netns=self._netns(call), ifname=env["IFNAME"], args=env["ARGS"])

    def _compare(self, where, call, found):
        recorded = call["stdout"]
        if call["plugin"] == "bridge":
            # The capability dns is a promise of ours; the reference does nothing with it.
            wishes = (call["stdin"].get("runtimeConfig") or {}).get("dns") or {}
            wanted = any(wishes.values()) or bool(recorded.get("dns"))
            expect(bool(found.get("dns")), wanted, f"{where}: whether dns is named")
        # The reference's loopback forgets the key "version", which the specification of 0.3.1 asks for.
        keys = lambda entry: sorted(key for key in entry if key != "version")
        shape = lambda result: {
            "cniVersion": result["cniVersion"],
            "keys": sorted(key for key, value in result.items() if value and key not in ("netctl", "dns")),
            "ips": [(keys(entry), entry["address"].split("/")[1]) for entry in result.get("ips", [])],
            "routes": result.get("routes", []),
            "interfaces": [(sorted(entry), bool(entry.get("sandbox"))) for entry in result.get("interfaces", [])]}
        expect(shape(found), shape(recorded), f"{where}: the shape of the result")

    def _end(self):
        """What a recording leaves attached (ctr of containerd 1.6 never calls DEL) is for GC."""
        for container in self.containers.values():
            self.host.lab.remove(container)
        deadline = time.monotonic() + 20
        while True:  # the kernel takes a dead namespace down a moment later
            self.host.lab.runtime.netctl("gc").expect_ok()
            if not self.host.lab.runtime.netctl("ps", "--json").expect_ok().json["attachments"]:
                return
            assert time.monotonic() < deadline, "GC does not collect what lost its namespace"
            time.sleep(0.1)


def scenario_of(path):
    def replay(host):
        one = Replay(host, json.loads(path.read_text()))
        one.run()
        if one.left_out:
            print(f"       {path.stem}: calls left out, there is no {', '.join(sorted(one.left_out))}")
    replay.__name__ = path.stem
    return replay


main(*map(scenario_of, sorted(CAPTURES.glob("*.json"))))
