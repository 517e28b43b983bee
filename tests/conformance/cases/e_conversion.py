"""V7 to V10, V12, V13: the shape of results, and their way from one version to another."""

from suite import kinds
from suite.conversion import PAIRS, REFUSED, golden, through_bridge, through_loopback
from suite.registry import case
from suite.world import VERSIONS, before_version, expect, result_of

NEW_INTERFACE_KEYS, NEW_ROUTE_KEYS = {"mtu", "socketPath", "pciID"}, {"mtu", "advmss", "priority", "table", "scope"}
passers = lambda: ["loopback", *kinds.chained()]
since = lambda version: {name: name for name in VERSIONS[VERSIONS.index(version):]}
DUAL = {"type": "host-local", "dataDir": "/run/lab/pool", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}], "ranges": [
    [{"subnet": "10.88.0.0/24"}], [{"subnet": "fd88::/64"}]]}


@case("V12.delegated", "an IPAM result of one version in a network of another: {}", "spec-upgrades", needs=("bridge",),
      values=PAIRS)
def delegated(world, value):
    found = through_bridge(world, *value)
    expect(found, golden("delegated", f"{value[0]}-to-{value[1]}"), "the result")


@case("V12.passed-on", "a prevResult of one version in a network of another: {}", "spec-upgrades", needs=("loopback",),
      values=PAIRS)
def passed_on(world, value):
    found = through_loopback(world, *value)
    expect(found, golden("passed-on", f"{value[0]}-to-{value[1]}"), "the result" if found != REFUSED else "the refusal")


@case("V7.families", "ip4 and ip6 of {}: address, gateway, routes of that family", "SPEC 0.2.0", plugins=lambda: [
    name for name in ("bridge", "ptp", "host-local")], values={version: version for version in before_version("0.3.0")})
def families(world, plugin, value):
    config = world.config(plugin, value, ipam=DUAL)
    result = world.add(plugin, config)
    world.delete(plugin, config)
    for key, address, gateway, route in (("ip4", "10.88.0.2/24", "10.88.0.1", "0.0.0.0/0"),
                                         ("ip6", "fd88::2/64", "fd88::1", "::/0")):
        expect((result[key]["ip"], result[key]["gateway"]), (address, gateway), key)
        expect([entry["dst"] for entry in result[key]["routes"]], [route], f"routes of {key}")
    assert not set(result) & {"ips", "routes", "interfaces"}, f"keys of a newer version: {sorted(result)}"


@case("V7.one-of-a-family", "two addresses of a family cannot be told in {}: refused", "skel", needs=("host-local",),
      values={version: version for version in before_version("0.3.0")})
def one_of_a_family(world, value):
    pool = {**DUAL, "ranges": [[{"subnet": "10.88.0.0/24"}], [{"subnet": "10.89.0.0/24"}]]}
    world.refuse("host-local", "ADD", (), world.config("host-local", value, ipam=pool))


@case("V8.addresses", "addresses of {} say their IP version", "SPEC 0.4.0", plugins=lambda: ["bridge", "ptp", "host-local"],
      values={version: version for version in ("0.3.0", "0.3.1", "0.4.0")})
def addresses(world, plugin, value):
    config = world.config(plugin, value, ipam=DUAL)
    result = world.add(plugin, config)
    world.delete(plugin, config)
    expect([(entry["version"], entry["address"]) for entry in result["ips"]],
           [("4", "10.88.0.2/24"), ("6", "fd88::2/64")], "ips")
    assert "dns" in result, "readers of these versions expect the key dns"


@case("V9.new-keys", "{}: keys that only 1.1.0 knows are left out below", "SPEC 1.1.0", plugins=passers,
      values={"1.0.0": "1.0.0", "1.1.0": "1.1.0"})
def new_keys(world, plugin, value):
    previous = world.previous(value)
    previous["interfaces"][1].update(mtu=1400, socketPath="/run/x.sock", pciID="0000:00:1f.6")
    previous["routes"] = [{"dst": "192.0.2.0/24", "gw": "10.88.0.1", "mtu": 1400, "advmss": 1360, "priority": 100,
                           "table": 100, "scope": 0}]
    config = world.config(plugin, value, prevResult=previous)
    result = world.add(plugin, config)
    world.delete(plugin, config)
    found = ({key for entry in result["interfaces"] for key in entry} & NEW_INTERFACE_KEYS,
             {key for entry in result["routes"] for key in entry} & NEW_ROUTE_KEYS)
    expect(found, (NEW_INTERFACE_KEYS, NEW_ROUTE_KEYS) if value == "1.1.0" else (set(), set()), "keys of 1.1.0")


@case("V10.dns", "dns is left out when it is empty, from 1.0.0", "types", plugins=kinds.attachable,
      values={"1.0.0": "1.0.0", "1.1.0": "1.1.0"})
def dns(world, plugin, value):
    config = world.config(plugin, value)
    result = world.add(plugin, config)
    world.delete(plugin, config)
    assert "dns" not in result, f"an empty dns: {result}"


@case("V10.gw", "gw of a route is left out when it is not set", "types", plugins=passers, values=since("0.3.0"))
def gw(world, plugin, value):
    if VERSIONS.index(value) < VERSIONS.index(kinds.KINDS[plugin].oldest):
        value = kinds.KINDS[plugin].oldest
    config = world.config(plugin, value, prevResult=world.previous(value))
    result = world.add(plugin, config)
    world.delete(plugin, config)
    expect(result["routes"], [{"dst": "0.0.0.0/0"}], "routes")


@case("V10.zero-is-not-absent", "table and scope of 0 stay, absent ones stay absent", "types", plugins=passers)
def zero_is_not_absent(world, plugin):
    previous = world.previous("1.1.0")
    previous["routes"] = [{"dst": "192.0.2.0/24", "table": 0, "scope": 0}, {"dst": "198.51.100.0/24"}]
    config = world.config(plugin, "1.1.0", prevResult=previous)
    result = world.add(plugin, config)
    world.delete(plugin, config)
    expect(result["routes"], previous["routes"], "routes")


@case("V13.index", "an address with interface {} is tolerated", "SPEC, types", plugins=passers,
      values={"absent": None, "-1": -1, "too-big": 7, "null": "null"})
def index(world, plugin, value):
    previous = world.previous()
    del previous["ips"][0]["interface"]
    if value is not None:
        previous["ips"][0]["interface"] = None if value == "null" else value
    config = world.config(plugin, prevResult=previous)
    result = world.add(plugin, config)
    expect([entry["address"] for entry in result["ips"]], ["10.88.0.77/24"], "addresses")
    world.delete(plugin, config)


@case("V13.no-lists", "a prevResult without routes, dns and interfaces is tolerated", "SPEC 5", plugins=passers)
def no_lists(world, plugin):
    previous = {"cniVersion": "1.0.0", "ips": [{"address": "10.88.0.77/24"}]}
    config = world.config(plugin, prevResult=previous)
    world.prepare(plugin)
    result_of(world.call(plugin, "ADD", config))
    world.delete(plugin, config)


@case("V5.null-lists", "null for a list in a prevResult is an empty list", "types", plugins=passers)
def null_lists(world, plugin):
    previous = {**world.previous(), "routes": None, "dns": None}
    config = world.config(plugin, prevResult=previous)
    result = world.add(plugin, config)
    assert not result.get("routes") and not result.get("dns"), result
    world.delete(plugin, config)
