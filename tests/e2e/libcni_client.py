#!/usr/bin/env python3
"""A runtime built on libcni (containerd, CRI-O, podman's CNI back end): its result cache decides what plugins are told."""

import json
import os

import traffic
from scenario import HOST, OUTSIDE, expect, main, network, port, run
from traffic import ask_tcp

from lab import LibCni, Runtime
from lab.libcni import VersionTooOld
from lab.plugins import CniFailure

ARGS = (("IgnoreUnknown", "1"), ("K8S_POD_NAME", "web"))


def _network(name, number, version="1.1.0"):
    return {**network(name, number), "cniVersion": version}


def whole_life(host):
    """VERSION, STATUS, ADD, CHECK, a restart of the runtime, DEL from the cache, and DEL once more without it."""
    conflist, capabilities = _network("life", 71), {"portMappings": [port(8071, 80)], "unknown": {"a": 1}}
    web = host.lab.container("web")
    runtime = LibCni(host.lab.runtime)
    runtime.validate(conflist)
    runtime.status(conflist)
    result = runtime.add(conflist, web, args=ARGS, capability_args=capabilities)
    traffic.tcp_service("web", web.netns, 80)
    expect(ask_tcp(host.outside.netns, HOST, 8071), f"web {OUTSIDE}", "the published port")
    runtime.check(conflist, web, args=ARGS, capability_args=capabilities)
    cached = runtime.cached("life", "web", "eth0")
    expect(cached["result"], result, "the cached result")
    restarted = LibCni(host.lab.runtime)
    restarted.check(conflist, web, args=ARGS, capability_args=capabilities)
    run("ip", "-n", "web", "link", "del", "eth0")
    try:
        restarted.check(conflist, web, args=ARGS, capability_args=capabilities)
    except CniFailure as failure:
        failure.outcome.expect_error(107)
    else:
        raise AssertionError("CHECK does not miss eth0")
    restarted.delete(conflist, "web", web.netns, args=ARGS, capability_args=capabilities)
    expect(restarted.cached("life", "web", "eth0"), {}, "the cache after DEL")
    for _ in range(2):
        restarted.delete(conflist, "web")


def every_version(host):
    """A list of each version: the result that the cache gives back is one that the plugins read again."""
    runtime = LibCni(host.lab.runtime)
    for version in ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"):
        conflist = _network("versions", 72, version)
        container = host.lab.container(f"of-{version}")
        capabilities = {"portMappings": [port(8072, 80)]}
        runtime.validate(conflist)
        runtime.status(conflist)
        expect(runtime.add(conflist, container, capability_args=capabilities)["cniVersion"], version, "cniVersion")
        try:
            runtime.check(conflist, container, capability_args=capabilities)
        except VersionTooOld:
            assert version < "0.4.0", version
        runtime.delete(conflist, container.id, container.netns, capability_args=capabilities)


def garbage(host):
    """GC deletes what the cache knows and the list does not, then asks the plugins for what the cache has lost."""
    conflist = _network("garbage", 73)
    runtime = LibCni(host.lab.runtime)
    containers = {name: host.lab.container(name) for name in ("alive", "stale", "lost", "gone")}
    for number, container in enumerate(containers.values()):
        runtime.add(conflist, container, capability_args={"portMappings": [port(8073 + number, 80)]})
    runtime.forget("garbage", "lost")
    host.lab.remove(containers["gone"])
    failures = runtime.gc(conflist, [("alive", "eth0")])
    assert not failures, failures
    ports = json.loads(run("ip", "-j", "link", "show", "master", "br-garbage"))
    expect(len(ports), 1, "ports of the bridge: only the living one's")
    expect([entry["containerId"] for entry in runtime.cached_of("garbage")], ["alive"], "the cache")
    runtime.check(conflist, containers["alive"], capability_args={"portMappings": [port(8073, 80)]})
    # All addresses and ports of the dead are free again.
    again = runtime.add(conflist, containers["stale"], capability_args={"portMappings": [port(8074, 80), port(8075, 80)]})
    assert again["ips"], again
    assert not runtime.gc(conflist, [])
    expect(runtime.cached_of("garbage"), [], "the cache after the end")


def a_failing_neighbour(host):
    """DEL of a chain ends at the first failure; the next try, with what the cache still holds, ends it well."""
    folder = "/run/lab/neighbour"
    os.mkdir(folder)
    with open(f"{folder}/neighbour", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n"
                   f"if [ $CNI_COMMAND = DEL ] && [ -e {folder}/sick ]; then\n"
                   "echo '{\"code\":999,\"msg\":\"sick\"}'; exit 1; fi\n"
                   "if [ $CNI_COMMAND = ADD ]; then cat | sed 's/.*\"prevResult\"://; s/}$//'; fi\n")
    os.chmod(f"{folder}/neighbour", 0o755)
    for name in os.listdir(host.lab.runtime.folder):
        if name in ("bridge", "portmap"):
            os.symlink(f"{host.lab.runtime.folder}/{name}", f"{folder}/{name}")
    conflist = _network("chain", 76)
    conflist["plugins"].append({"type": "neighbour"})
    runtime = LibCni(Runtime(folder, state_dir=host.lab.state_dir))
    container = host.lab.container("chained")
    runtime.add(conflist, container, capability_args={"portMappings": [port(8076, 80)]})
    with open(f"{folder}/sick", "wb"):
        pass
    try:
        runtime.delete(conflist, "chained", container.netns)
    except CniFailure as failure:
        expect(failure.outcome.error_code, 999, "the neighbour's failure")
    else:
        raise AssertionError("the failure of a chained plugin was lost")
    assert runtime.cached("chain", "chained", "eth0"), "the cache must stay"
    os.unlink(f"{folder}/sick")
    host.lab.remove(container)
    runtime.delete(conflist, "chained")


main(whole_life, every_version, garbage, a_failing_neighbour)
