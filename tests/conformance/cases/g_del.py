"""D1 to D4, D6, D7: DEL, whatever is left to delete."""

import shutil
import subprocess
import time

from lab import fingerprint, snapshot
from suite import kinds
from suite.registry import case
from suite.world import error_of, expect, ip, result_of, silent, succeed

POOLED = lambda: [name for name in kinds.link_makers() if "ipam" in kinds.KINDS[name].config]
MAPPING = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}
LEFT_BY_DESIGN = ("+ nft table", "+ nft chain", "+ sysctl")


def rules_about(before, address):
    """New rules and elements that name the address."""
    return [line for line in snapshot.added(before, snapshot.capture(only=("nft", "conntrack4"))) if address in line]


@case("D1.never-added", "DEL of what was never attached succeeds", "SPEC 4", plugins=kinds.attachable)
def never_added(world, plugin):
    with world.unchanged(generation=False):
        silent(world.call(plugin, "DEL"))


@case("D1.again", "DEL may be repeated", "SPEC 4", plugins=kinds.attachable)
def again(world, plugin):
    config = world.config(plugin)
    config["prevResult"] = world.add(plugin)
    for _ in range(3):
        silent(world.call(plugin, "DEL", config))


@case("D1.re-add", "after DEL the same attachment can be made again", "SPEC 4", plugins=lambda: [
    name for name in kinds.attachable() if not kinds.KINDS[name].keeps_link])
def re_add(world, plugin):
    first = world.add(plugin)
    world.delete(plugin)
    second = result_of(world.call(plugin, "ADD"))
    expect(sorted(second), sorted(first), "keys of the second result")
    world.delete(plugin)


def _lose_namespace(world, how):
    if how == "empty":
        return ""
    world.lose(world.victim)
    if how == "file":  # what a crashed runtime leaves behind
        open(world.victim.netns, "wb").close()
    return world.victim.netns


@case("D2.lost-namespace", "DEL with CNI_NETNS {} succeeds and frees the address", "SPEC 4", plugins=lambda: [
    name for name in kinds.attachable() if kinds.KINDS[name].config.get("ipam") == kinds.POOL],
    values={"empty": "empty", "gone": "gone", "a-plain-file": "file"})
def lost_namespace(world, plugin, value):
    pool = {**kinds.POOL, "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.7", "rangeEnd": "10.88.0.7"}]]}
    config = world.config(plugin, ipam=pool)
    config["prevResult"] = world.add(plugin, config)
    silent(world.call(plugin, "DEL", config, netns=_lose_namespace(world, value), container_id="victim"))
    other = world.container("other")
    del config["prevResult"]
    result_of(world.call(plugin, "ADD", config, container=other))
    world.delete(plugin, config, container=other)


@case("D2.lost-namespace-chained", "DEL with CNI_NETNS {} succeeds", "SPEC 4", plugins=lambda: [
    name for name in kinds.attachable() if kinds.KINDS[name].config.get("ipam") != kinds.POOL and name != "host-device"],
    values={"empty": "empty", "gone": "gone", "a-plain-file": "file"})
def lost_namespace_chained(world, plugin, value):
    config = world.config(plugin)
    config["prevResult"] = world.add(plugin, config)
    silent(world.call(plugin, "DEL", config, netns=_lose_namespace(world, value), container_id="victim"))


@case("D2.masquerade", "DEL with CNI_NETNS {}: no rule names the address any more", "plugins#810", plugins=lambda: [
    "bridge", "ptp"], values={"given": "given", "empty": "empty", "gone": "gone"})
def masquerade(world, plugin, value):
    before = snapshot.capture()
    config = world.config(plugin)
    result = world.add(plugin, config)
    assert rules_about(before, "10.88.0."), "the ADD made no rule: nothing is shown by this case"
    netns = world.victim.netns if value == "given" else _lose_namespace(world, value)
    silent(world.call(plugin, "DEL", {**config, "prevResult": result}, netns=netns, container_id="victim"))
    left = rules_about(before, "10.88.0.")
    assert not left, "rules were left:\n  " + "\n  ".join(left)


@case("D2.interface-gone", "DEL succeeds when the interface was removed by hand", "SPEC 4", plugins=POOLED)
def interface_gone(world, plugin):
    world.add(plugin)
    ip("link del eth0", netns=world.victim.netns)
    world.delete(plugin)


@case("D2.bridge-gone", "DEL succeeds when the bridge was removed by hand", "SPEC 4", needs=("bridge",))
def bridge_gone(world):
    world.add("bridge")
    ip("link del cni-cf0")
    world.delete("bridge")
    expect(world.links(world.victim), [], "interfaces in the container")


@case("D2.state-gone", "DEL succeeds and the interface goes when the state was lost", "SPEC 4", plugins=POOLED)
def state_gone(world, plugin):
    config = world.config(plugin)
    config["prevResult"] = world.add(plugin, config)
    for folder in (world.lab.state_dir, "/run/lab/pool"):
        shutil.rmtree(folder, ignore_errors=True)
    silent(world.call(plugin, "DEL", config))
    expect(world.links(world.victim), [], "interfaces in the container")


@case("D2.rules-gone", "DEL succeeds when somebody flushed all rules", "SPEC 4", plugins=lambda: ["bridge", "ptp"])
def rules_gone(world, plugin):
    world.add(plugin)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    world.delete(plugin)


@case("D3.no-prev-result", "DEL without prevResult removes everything", "SPEC 4", plugins=POOLED)
def no_prev_result(world, plugin):
    before = world.links()
    world.add(plugin)
    world.delete(plugin, world.config(plugin))
    expect(world.links(world.victim), [], "interfaces in the container")
    expect([name for name in world.links() if name not in (*before, "cni-cf0", "cf-master")], [], "interfaces on the host")


def _published(world, runtime_config):
    before = snapshot.capture()
    config = world.config("portmap", capabilities={"portMappings": True}, runtimeConfig=MAPPING)
    world.add("portmap", config)
    assert rules_about(before, "8080"), "the ADD published nothing: nothing is shown by this case"
    config["runtimeConfig"] = runtime_config
    if runtime_config is None:
        del config["runtimeConfig"], config["prevResult"]
    silent(world.call("portmap", "DEL", config, netns="" if runtime_config is None else world.victim.netns))
    left = rules_about(before, "8080")
    assert not left, "published ports were left:\n  " + "\n  ".join(left)


@case("D3.ports", "DEL of portmap withdraws the ports: with runtimeConfig {}", "SPEC 4", needs=("portmap",),
      values={"as-at-add": MAPPING, "empty": {}, "absent": None, "of-other-ports": {"portMappings": [
          {"hostPort": 9090, "containerPort": 90, "protocol": "tcp"}]}})
def ports(world, value):
    _published(world, value)


@case("D4.other-interface", "DEL of one interface leaves the other of the same container whole", "ours", plugins=POOLED)
def other_interface(world, plugin):
    config = world.config(plugin)
    result = world.add(plugin, config)
    result_of(world.call(plugin, "ADD", config, ifname="eth1"))
    world.delete(plugin, config, ifname="eth1")
    silent(world.call(plugin, "CHECK", {**config, "prevResult": result}))
    world.delete(plugin, config)


@case("D4.other-network", "DEL on one network leaves the attachment to another whole", "ours", plugins=POOLED)
def other_network(world, plugin):
    config = world.config(plugin)
    result = world.add(plugin, config)
    more = {"bridge": "cni-cf1"} if plugin == "bridge" else {}
    pool = {**kinds.POOL, "ranges": [[{"subnet": "10.89.0.0/24"}]]}
    second = world.config(plugin, name="second", ipam=pool, **more)
    result_of(world.call(plugin, "ADD", second, ifname="eth1"))
    world.delete(plugin, second, ifname="eth1")
    silent(world.call(plugin, "CHECK", {**config, "prevResult": result}))
    world.delete(plugin, config)


@case("D4.other-container", "DEL of one container leaves its neighbours whole", "ours", plugins=POOLED)
def other_container(world, plugin):
    config = world.config(plugin)
    result = world.add(plugin, config)
    other = world.container("other")
    result_of(world.call(plugin, "ADD", config, container=other))
    world.delete(plugin, config, container=other)
    silent(world.call(plugin, "CHECK", {**config, "prevResult": result}))
    world.delete(plugin, config)


@case("D4.ports-of-the-other", "DEL of portmap for eth1 leaves the ports that eth0 published", "ours", needs=("portmap",))
def ports_of_the_other(world):
    before = snapshot.capture()
    config = world.config("portmap", capabilities={"portMappings": True}, runtimeConfig=MAPPING)
    world.add("portmap", config)
    other = {"portMappings": [{"hostPort": 9090, "containerPort": 90, "protocol": "tcp"}]}
    previous = world.previous()
    previous["interfaces"][1]["name"] = "eth1"
    second = {**config, "name": "second", "runtimeConfig": other, "prevResult": previous}
    result_of(world.call("portmap", "ADD", second, ifname="eth1"))
    succeed(world.call("portmap", "DEL", second, ifname="eth1"))
    assert rules_about(before, "8080"), "the ports of eth0 are gone"
    assert not rules_about(before, "9090"), "the ports of eth1 were left"
    world.delete("portmap", config)


@case("D4.foreign-link", "DEL leaves an interface of that name alone that it has not made", "ours", plugins=POOLED)
def foreign_link(world, plugin):
    ip("link add eth0 type bridge", netns=world.victim.netns)
    with world.unchanged(generation=False):
        world.call(plugin, "DEL")


@case("D6.malformed", "DEL with {}: an error, no silent success", "SPEC 5", plugins=kinds.attachable, values={
    "bad-json": b"{", "no-name": b'{"cniVersion":"1.0.0"}', "bad-version": b'{"cniVersion":"7","name":"conf"}'})
def malformed(world, plugin, value):
    with world.unchanged():
        error_of(world.call(plugin, "DEL", stdin=value))


@case("D7.bounded", "ADD and DEL with a full neighbourhood of 200 leases take less than 5 seconds", "ours",
      needs=("host-local",))
def bounded(world):
    config = world.config("host-local")
    for number in range(200):
        result_of(world.call("host-local", "ADD", config, container_id=f"c{number}"))
    began = time.monotonic()
    world.add("host-local", config)
    world.delete("host-local", config)
    took = time.monotonic() - began
    assert took < 5, f"{took:.1f} s"


@case("D2.nothing-left", "after DEL nothing of the attachment is left in the kernel", "ours", plugins=POOLED)
def nothing_left(world, plugin):
    world.prepare(plugin)
    before, inside = snapshot.capture(), fingerprint.take(world.victim.netns)
    config = world.config(plugin)
    result = result_of(world.call(plugin, "ADD", config))
    silent(world.call(plugin, "DEL", {**config, "prevResult": result}))
    left = [line for line in snapshot.wait_same(before, patience=1.0, compare=_left) if line]
    assert not left, "left behind:\n  " + "\n  ".join(left)
    lost = [entry for entry in inside - fingerprint.take(world.victim.netns) if entry[0] == "link" and entry[1] != "lo"]
    assert not lost, lost


def _left(before, after):
    return [line for line in snapshot.added(before, after) if not line.startswith(LEFT_BY_DESIGN)
            and "dev\": \"cni-cf0" not in line and " cni-cf0" not in line]


@case("D2.files", "after DEL no lease of the container is left", "ours", needs=("host-local",))
def files(world):
    config = world.config("host-local", ipam={**kinds.POOL, "ranges": [[
        {"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.7", "rangeEnd": "10.88.0.7"}]]})
    for number in range(3):
        result_of(world.call("host-local", "ADD", config, container_id=f"c{number}"))
        silent(world.call("host-local", "DEL", config, container_id=f"c{number}"))
