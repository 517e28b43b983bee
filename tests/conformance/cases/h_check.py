"""C1 to C5, C7 to C9: CHECK sees what is wrong and changes nothing."""

import json
import subprocess

from suite import kinds
from suite.registry import case
from suite.world import error_of, expect, ip, silent

CONFIG = 7
POOLED = lambda: [name for name in kinds.link_makers() if "ipam" in kinds.KINDS[name].config]
MAPPING = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}
DAMAGE = {"interface-gone": "link del eth0", "address-gone": "addr flush dev eth0 scope global",
          "default-route-gone": "route del default", "link-down": "link set eth0 down",
          "another-address": "addr replace 10.88.0.250/24 dev eth0"}


def _attached(world, plugin, **keys):
    config = world.config(plugin, **keys)
    config["prevResult"] = world.add(plugin, config)
    return config


@case("C1.no-prev-result", "CHECK without prevResult: code 7, and it is named", "SPEC 4", plugins=kinds.attachable)
def no_prev_result(world, plugin):
    world.add(plugin)
    config = world.config(plugin)
    for missing in (None, {}):
        config["prevResult"] = missing
        error = error_of(world.call(plugin, "CHECK", config), CONFIG)
        assert "prevResult" in error["msg"], error
    world.delete(plugin)


@case("C2.damage", "CHECK: {}: an error", "SPEC 4", plugins=POOLED,
      values={name: name for name in ("interface-gone", "address-gone", "default-route-gone")})
def damage(world, plugin, value):
    config = _attached(world, plugin)
    ip(DAMAGE[value], netns=world.victim.netns)
    error_of(world.call(plugin, "CHECK", config))
    world.delete(plugin, config)


@case("C2.not-attached", "CHECK of a container that is not attached: an error", "SPEC 4", plugins=POOLED)
def not_attached(world, plugin):
    config = _attached(world, plugin)
    world.delete(plugin, config)
    error_of(world.call(plugin, "CHECK", config))


@case("C2.prev-result-lists-more", "CHECK: prevResult lists {} that is not there: an error", "SPEC 4", plugins=POOLED,
      values={"an-address": "address", "a-route": "route", "an-interface": "interface"})
def prev_result_lists_more(world, plugin, value):
    config = _attached(world, plugin)
    previous = config["prevResult"]
    mine = [number for number, entry in enumerate(previous["interfaces"]) if entry.get("sandbox")][0]
    if value == "address":
        previous["ips"].append({"address": "10.88.0.200/24", "interface": mine})
    elif value == "route":
        previous.setdefault("routes", []).append({"dst": "198.51.100.0/24", "gw": "10.88.0.1"})
    else:
        previous["interfaces"][mine]["name"] = "eth9"
        previous["ips"] = []
        config["prevResult"] = previous
    outcome = world.call(plugin, "CHECK", config)
    error_of(outcome)
    world.delete(plugin)


@case("C2.bridge", "CHECK of bridge: {}: an error", "SPEC 4", needs=("bridge",), values={
    "bridge-gone": "link del cni-cf0", "port-left-the-bridge": "nomaster"})
def bridge(world, value):
    config = _attached(world, "bridge")
    if value == "nomaster":
        names = [entry["name"] for entry in config["prevResult"]["interfaces"] if not entry.get("sandbox")]
        ip(f"link set {[name for name in names if name != 'cni-cf0'][0]} nomaster")
    else:
        ip(value)
    error_of(world.call("bridge", "CHECK", config))
    world.delete("bridge", config)


@case("C2.loopback", "CHECK of loopback: lo is down: an error", "reference")
def loopback(world):
    config = world.config("loopback")
    config["prevResult"] = world.add("loopback", config, ifname="lo")
    silent(world.call("loopback", "CHECK", config, ifname="lo"))
    ip("link set lo down", netns=world.victim.netns)
    error_of(world.call("loopback", "CHECK", config, ifname="lo"))


@case("C3.later-plugins", "CHECK tolerates {} by a later plugin", "SPEC 4", plugins=POOLED, values={
    "another-mac": "link set eth0 address 02:aa:00:00:00:0f", "one-more-route": "route add 198.51.100.0/24 dev eth0",
    "one-more-address": "addr add 10.88.0.240/24 dev eth0", "another-mtu": "link set eth0 mtu 1400"})
def later_plugins(world, plugin, value):
    config = _attached(world, plugin)
    ip(value, netns=world.victim.netns)
    if "address 02" in value:
        for entry in config["prevResult"]["interfaces"]:
            if entry.get("sandbox"):
                entry["mac"] = "02:aa:00:00:00:0f"  # as tuning writes it
    silent(world.call(plugin, "CHECK", config))
    world.delete(plugin, config)


@case("C4.rules", "CHECK: the masquerade rules are gone: an error", "SPEC 4", plugins=lambda: ["bridge", "ptp"])
def rules(world, plugin):
    config = _attached(world, plugin)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    error_of(world.call(plugin, "CHECK", config))
    world.delete(plugin, config)


@case("C4.ports", "CHECK of portmap: {}: an error", "SPEC 4", needs=("portmap",), values={
    "all-rules-gone": "flush", "leads-elsewhere": "elsewhere"})
def ports(world, value):
    config = _attached(world, "portmap", capabilities={"portMappings": True}, runtimeConfig=MAPPING)
    silent(world.call("portmap", "CHECK", config))
    if value == "flush":
        subprocess.run(["nft", "flush", "ruleset"], check=True)
    else:  # one rule of each form is turned to another address
        text = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
        assert "10.88.0.77" in text, text
        subprocess.run(["nft", "-f", "-"], input="flush ruleset\n" + text.replace("10.88.0.77", "10.88.0.78"), check=True,
                       text=True, capture_output=True)
    error_of(world.call("portmap", "CHECK", config))
    world.delete("portmap", config)


@case("C4.lease", "CHECK: the address is reserved for nobody: an error", "SPEC 4", needs=("host-local",))
def lease(world):
    config = _attached(world, "host-local")
    world.delete("host-local", config)
    error_of(world.call("host-local", "CHECK", config))


@case("C5.at-once", "CHECK right after ADD succeeds", "SPEC 4", plugins=kinds.attachable)
def at_once(world, plugin):
    config = _attached(world, plugin)
    for _ in range(2):
        silent(world.call(plugin, "CHECK", config))
    world.delete(plugin, config)


@case("C5.dual-stack", "CHECK right after ADD of IPv4 and IPv6 succeeds", "SPEC 4", plugins=lambda: ["bridge", "ptp",
                                                                                                   "macvlan", "host-local"])
def dual_stack(world, plugin):
    pool = {**kinds.POOL, "ranges": [[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd88::/64"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}
    config = _attached(world, plugin, ipam=pool)
    silent(world.call(plugin, "CHECK", config))
    world.delete(plugin, config)


@case("C8.same-parameters", "CHECK needs the parameters of ADD, but CNI_PATH may differ", "SPEC 4", plugins=lambda: [
    name for name in kinds.where(can_add=True, makes_link=False)()])
def same_parameters(world, plugin):
    config = _attached(world, plugin)
    silent(world.call(plugin, "CHECK", config, path="/nowhere"))
    world.delete(plugin, config)


@case("C9.changes-nothing", "a CHECK that {} changes nothing", "SPEC 4", plugins=kinds.attachable,
      values={"succeeds": "succeeds", "fails": "fails"})
def changes_nothing(world, plugin, value):
    config = _attached(world, plugin)
    kind = kinds.KINDS[plugin]
    if value == "fails" and (kind.makes_link or kind.is_chained):
        ip("link set lo up", "addr flush dev eth0 scope global", netns=world.victim.netns)
    elif value == "fails" and kind.gives_addresses:
        config["prevResult"] = json.loads(json.dumps(config["prevResult"]).replace("10.88.0.", "10.88.7."))
    elif value == "fails":
        ip("link set lo down", netns=world.victim.netns)
    with world.unchanged():
        outcome = world.call(plugin, "CHECK", config)
    if value == "succeeds":
        silent(outcome)
    elif not outcome.ok:  # a chained plugin need not look at what another has made
        error_of(outcome)
    world.delete(plugin)


@case("C2.two-attachments", "CHECK of one attachment does not see the damage of another", "ours", plugins=POOLED)
def two_attachments(world, plugin):
    config = _attached(world, plugin)
    other = world.container("other")
    expect("ips" in json.loads(world.call(plugin, "ADD", world.config(plugin), container=other).stdout), True, "attached")
    ip("link del eth0", netns=other.netns)
    silent(world.call(plugin, "CHECK", config))
    world.delete(plugin, container=other)
    world.delete(plugin, config)
