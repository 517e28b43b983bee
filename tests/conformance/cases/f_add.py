"""A1 to A4, A8 to A12: what ADD makes, says, and leaves alone."""

import concurrent.futures
import contextlib
import json
import subprocess

from lab import fingerprint, snapshot
from suite import kinds
from suite.registry import case
from suite.world import SCRATCH, error_of, expect, ip, result_of, same_result, silent, succeed

POOLED = lambda: [name for name in kinds.link_makers() if "ipam" in kinds.KINDS[name].config]
RESOLV = "# a comment\nnameserver 10.88.0.53\ndomain example\nsearch a.example b.example\noptions ndots:2\n; another\n"


def shown(world, what, netns=None):
    argv = ["ip", "-j", *(["-n", netns.rsplit("/", 1)[1]] if netns else []), *what.split()]
    return json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout or "[]")


@case("A1.interface", "ADD makes CNI_IFNAME in CNI_NETNS, up, with the address of its result", "SPEC 2",
      plugins=POOLED)
def interface(world, plugin):
    result = world.add(plugin, ifname="net7")
    link = shown(world, "addr show dev net7", world.victim.netns)[0]
    found = [f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"] if entry["family"] == "inet"]
    expect([entry["address"].split("/")[0] for entry in result["ips"]], [text.split("/")[0] for text in found], "addresses")
    assert "UP" in link["flags"], link["flags"]
    world.delete(plugin, ifname="net7")


@case("A1.two-interfaces", "two interfaces of one container on one network", "SPEC 2", plugins=POOLED)
def two_interfaces(world, plugin):
    first = world.add(plugin, ifname="eth0")
    second = result_of(world.call(plugin, "ADD", ifname="eth1"))
    assert first["ips"][0]["address"] != second["ips"][0]["address"], "one address for two interfaces"
    expect(world.links(world.victim), ["eth0", "eth1"], "interfaces")
    world.delete(plugin, ifname="eth1")
    expect(world.links(world.victim), ["eth0"], "interfaces after DEL of one")
    world.delete(plugin, ifname="eth0")


@case("A1.loopback-up", "loopback: lo is up afterwards, and is in the result", "reference")
def loopback_up(world):
    result = result_of(world.call("loopback", "ADD", ifname="lo"))
    assert "UP" in shown(world, "link show dev lo", world.victim.netns)[0]["flags"]
    expect([(entry["name"], entry["sandbox"]) for entry in result["interfaces"]], [("lo", world.victim.netns)], "interfaces")
    expect([entry["address"] for entry in result["ips"]], ["127.0.0.1/8", "::1/128"], "addresses")


@case("A2.name-is-taken", "CNI_IFNAME exists in the container: an error, and it is as it was", "SPEC 2",
      plugins=kinds.link_makers)
def name_is_taken(world, plugin):
    world.prepare(plugin)
    ip("link add eth0 type bridge", "addr add 203.0.113.1/24 dev eth0", "link set eth0 up", netns=world.victim.netns)
    inside = fingerprint.take(world.victim.netns)
    error_of(world.call(plugin, "ADD"))
    expect(fingerprint.difference(inside, fingerprint.take(world.victim.netns)), [], "changes in the container")
    succeed(world.call(plugin, "DEL", netns=""))


@case("A2.nothing-else", "CNI_IFNAME exists in the container: nothing is left on the host either", "ours", plugins=POOLED)
def name_is_taken_host(world, plugin):
    world.prepare(plugin)
    ip("link add eth0 type bridge", netns=world.victim.netns)
    with world.unchanged(generation=False):
        error_of(world.call(plugin, "ADD"))


@case("A3.interfaces", "{} of the result: all that was made, host ends without sandbox, container ends with CNI_NETNS",
      "SPEC 5", plugins=kinds.link_makers, values={"names": "names", "macs": "macs", "spelling": "spelling"})
def interfaces(world, plugin, value):
    # Another spelling of the same path comes back as it was given.
    given = world.victim.netns.replace("/run/", "/run/./") if value == "spelling" else world.victim.netns
    result = world.add(plugin, netns=given)
    for entry in result["interfaces"]:
        place = world.victim if entry.get("sandbox") else None
        if value == "macs":
            expect(entry["mac"], world.mac_of(entry["name"], place), f"mac of {entry['name']}")
        else:
            assert entry["name"] in world.links(place), f"{entry['name']} is not where the result says"
            expect(entry.get("sandbox", ""), given if place else "", f"sandbox of {entry['name']}")
    inside = [entry["name"] for entry in result["interfaces"] if entry.get("sandbox")]
    expect(inside, ["eth0"], "interfaces in the container")
    world.delete(plugin)


@case("A3.index", "ips[].interface leads to the container's interface", "SPEC 5", plugins=POOLED)
def index(world, plugin):
    result = world.add(plugin)
    for entry in result["ips"]:
        expect(result["interfaces"][entry["interface"]]["name"], "eth0", "the interface of the address")
    world.delete(plugin)


@case("A4.passed-on", "a chained plugin that has nothing to do prints its prevResult", "SPEC 2",
      plugins=lambda: ["loopback", *[name for name in kinds.chained() if name != "tuning"]])
def passed_on(world, plugin):
    previous = {**world.previous(), "dns": {"nameservers": ["192.0.2.53"], "search": ["example"]}}
    previous["routes"].append({"dst": "192.0.2.0/24", "gw": "10.88.0.9"})
    config = world.config(plugin, prevResult=previous)
    same_result(world.add(plugin, config), previous)
    world.delete(plugin, config)


@case("A4.tuning", "tuning changes what it was told in the result, and nothing else", "SPEC 2", needs=("tuning",))
def tuning(world):
    config = world.config("tuning", mac="02:aa:00:00:00:09")
    previous = json.loads(json.dumps(config["prevResult"]))
    previous["interfaces"][1]["mac"] = "02:aa:00:00:00:09"
    same_result(world.add("tuning", config), previous)
    world.delete("tuning", config)


@case("A8.dns-of-config", "dns of the configuration is in the result", "CONVENTIONS", plugins=POOLED)
def dns_of_config(world, plugin):
    dns = {"nameservers": ["192.0.2.53"], "domain": "example", "search": ["a.example"], "options": ["ndots:3"]}
    config = world.config(plugin, dns=dns)
    expect(world.add(plugin, config)["dns"], dns, "dns")
    world.delete(plugin, config)


def _with_resolv_conf(world, plugin, **keys):
    with open(f"{SCRATCH}/resolv.conf", "w", encoding="ascii") as file:
        file.write(RESOLV)
    return world.config(plugin, ipam={**kinds.POOL, "resolvConf": f"{SCRATCH}/resolv.conf"}, **keys)


@case("A8.dns-of-ipam", "dns of the IPAM's answer is in the result when the configuration has none", "SPEC 4",
      plugins=POOLED)
def dns_of_ipam(world, plugin):
    config = _with_resolv_conf(world, plugin)
    result = world.add(plugin, config)
    expect(result.get("dns", {}).get("nameservers"), ["10.88.0.53"], "nameservers")
    world.delete(plugin, config)


@case("A8.config-beats-ipam", "dns of the configuration beats that of the IPAM", "CONVENTIONS", plugins=POOLED)
def config_beats_ipam(world, plugin):
    config = _with_resolv_conf(world, plugin, dns={"nameservers": ["192.0.2.53"]})
    expect(world.add(plugin, config)["dns"]["nameservers"], ["192.0.2.53"], "nameservers")
    world.delete(plugin, config)


@case("A8.resolv-conf", "resolvConf of host-local becomes dns of the result", "reference", needs=("host-local",))
def resolv_conf(world):
    config = _with_resolv_conf(world, "host-local")
    expect(world.add("host-local", config)["dns"], {
        "nameservers": ["10.88.0.53"], "domain": "example", "search": ["a.example", "b.example"],
        "options": ["ndots:2"]}, "dns")
    world.delete("host-local", config)


@case("A8.masquerade", "ipMasq: what leaves the network has the host's address", "CONVENTIONS", plugins=lambda: ["bridge",
                                                                                                              "ptp"])
def masquerade(world, plugin):
    outside = world.lab.outside()
    try:
        world.add(plugin)
        script = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('192.0.2.2', 7)); "
                  "print('ready', flush=True); print(s.recvfrom(9)[1][0], flush=True)")
        listener = outside.spawn(["python3", "-Sc", script], stdout=subprocess.PIPE, text=True)
        assert listener.stdout.readline() == "ready\n"
        world.victim.run(["python3", "-Sc", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto("
                          "b'x', ('192.0.2.2', 7))"])
        with contextlib.closing(listener.stdout):
            try:
                found = listener.communicate(timeout=10)[0].strip()
            except subprocess.TimeoutExpired:
                found = "nobody (nothing came)"
            finally:
                listener.kill()
                listener.wait()
        expect(found, "192.0.2.1", "the address of the sender")
        world.delete(plugin)
    finally:
        world.lab.others.remove(outside)
        outside.remove()
        subprocess.run(["ip", "link", "del", "up-outside"], capture_output=True)


@case("A9.default-gateway", "a route without gw uses the gateway of its family's address", "SPEC 5", plugins=lambda: [
    "bridge", "ptp", "macvlan"])
def default_gateway(world, plugin):
    pool = {**kinds.POOL, "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.88.0.9"}]}
    config = world.config(plugin, ipam=pool)
    world.add(plugin, config)
    found = {entry["dst"]: entry.get("gateway") for entry in shown(world, "route show", world.victim.netns)}
    expect((found.get("default"), found.get("192.0.2.0/24")), ("10.88.0.1", "10.88.0.9"), "gateways")
    world.delete(plugin, config)


@case("A10.twice", "a second ADD of the same attachment: an error, and the first one stays whole", "ours",
      plugins=lambda: [name for name in kinds.attachable() if kinds.KINDS[name].makes_link or
                       kinds.KINDS[name].gives_addresses and name != "static"])
def twice(world, plugin):
    config = world.config(plugin)
    result = world.add(plugin, config)
    inside = fingerprint.take(world.victim.netns)
    error_of(world.call(plugin, "ADD", config))
    expect(fingerprint.difference(inside, fingerprint.take(world.victim.netns)), [], "changes in the container")
    silent(world.call(plugin, "CHECK", {**config, "prevResult": result}))
    world.delete(plugin, config)


@case("A11.side-by-side", "eight ADDs and then eight DELs at once: all succeed, no address twice", "SPEC 2",
      plugins=lambda: [name for name in kinds.attachable() if kinds.KINDS[name].config.get("ipam") == kinds.POOL])
def side_by_side(world, plugin):
    world.prepare(plugin)
    containers = [world.container(f"c{number}") for number in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda one: world.call(plugin, "ADD", container=one), containers))
        found = [result_of(outcome)["ips"][0]["address"] for outcome in added]
        expect(len(set(found)), 8, "different addresses")
        for outcome in threads.map(lambda one: world.call(plugin, "DEL", container=one), containers):
            silent(outcome)
    if kinds.KINDS[plugin].makes_link:
        for one in containers:
            expect(world.links(one), [], "interfaces after DEL")


def _nothing_left(world, before, what):
    left = snapshot.added(before, snapshot.capture())
    # A bridge that stays empty, and tables without rules, are the reference's way; what names this attachment is not.
    by_design = ("+ nft table", "+ nft chain", "+ sysctl")
    ours = [line for line in left if "cni-cf0" not in line and not line.startswith(by_design)]
    assert not ours, f"{what} left behind:\n  " + "\n  ".join(ours)


@case("A12.failed-add", "an ADD that fails ({}) leaves nothing", "ours", plugins=POOLED, values={
    "name-taken": "taken", "no-route": "route", "mac-of-a-group": "mac"})
def failed_add(world, plugin, value):
    world.prepare(plugin)
    config = world.config(plugin)
    if value == "taken":
        ip("link add eth0 type bridge", netns=world.victim.netns)
    elif value == "route":  # the kernel refuses a gateway that is not on the link
        config["ipam"] = {**kinds.POOL, "routes": [{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]}
    else:
        config.update(mac="01:00:5e:00:00:01", capabilities={"mac": True}, runtimeConfig={"mac": "01:00:5e:00:00:01"})
        if plugin == "ptp":
            config["mtu"] = 9  # it takes no mac; this the kernel refuses
    ip("link set lo up", netns=world.victim.netns)
    before = snapshot.capture()
    inside = fingerprint.take(world.victim.netns)
    error_of(world.call(plugin, "ADD", config))
    _nothing_left(world, before, "the failed ADD")
    expect(fingerprint.difference(inside, fingerprint.take(world.victim.netns)), [], "changes in the container")
    if value == "taken":
        ip("link del eth0", netns=world.victim.netns)
    # The address that it had is free again: a pool of one is enough for the next.
    world.call(plugin, "DEL", config)


@case("A12.pool-of-one", "after an ADD that failed its address is free, without DEL", "ours", plugins=POOLED)
def pool_of_one(world, plugin):
    world.prepare(plugin)
    pool = {**kinds.POOL, "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.7", "rangeEnd": "10.88.0.7"}]]}
    config = world.config(plugin, ipam=pool)
    ip("link add eth0 type bridge", netns=world.victim.netns)
    error_of(world.call(plugin, "ADD", config))
    other = world.container("other")
    result_of(world.call(plugin, "ADD", config, container=other))
    world.delete(plugin, config, container=other)
