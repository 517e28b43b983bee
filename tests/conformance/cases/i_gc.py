"""G1 to G9: GC removes what is not listed, of its own network, and nothing else."""

import os
import subprocess

from lab import snapshot
from suite import kinds
from suite.registry import case
from suite.world import NEWEST, error_of, expect, ip, result_of, silent, succeed

CONFIG, DECODE = 7, 6
VALID, OLD_KEY = "cni.dev/valid-attachments", "cni.dev/attachments"
POOLED = lambda: [name for name in kinds.attachable() if kinds.KINDS[name].config.get("ipam") == kinds.POOL]
LINKS = lambda: [name for name in POOLED() if kinds.KINDS[name].makes_link]
POOL_OF_TWO = {**kinds.POOL, "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.7", "rangeEnd": "10.88.0.8"}]]}
MAPPING = lambda port: {"portMappings": [{"hostPort": port, "containerPort": 80, "protocol": "tcp"}]}


def _entry(container_id, ifname="eth0"):
    return {"containerID": container_id, "ifname": ifname}


def _two(world, plugin):
    """A pool of two addresses, both leased: by the victim and by "stale"."""
    world.prepare(plugin)
    config = world.config(plugin, NEWEST, ipam=POOL_OF_TWO)
    stale = world.container("stale")
    result = result_of(world.call(plugin, "ADD", config))
    result_of(world.call(plugin, "ADD", config, container=stale))
    return config, result, stale


def _is_whole(world, plugin, config, result):
    silent(world.call(plugin, "CHECK", {**config, "prevResult": result}))


def _is_free(world, plugin, config, count=1):
    """So many addresses of the pool can be leased again."""
    made = [world.container(f"new{number}") for number in range(count)]
    for one in made:
        result_of(world.call(plugin, "ADD", config, container=one))
    for one in made:
        world.delete(plugin, config, container=one)


@case("G1.key", "GC reads {}: the unlisted attachment goes, the listed one stays", "SPEC 4", plugins=POOLED, values={
    "valid-attachments": (VALID,), "the-older-key": (OLD_KEY,), "both": (VALID, OLD_KEY)})
def key(world, plugin, value):
    config, result, stale = _two(world, plugin)
    silent(world.call(plugin, "GC", {**config, **{name: [_entry("victim")] for name in value}}))
    _is_free(world, plugin, config)
    _is_whole(world, plugin, config, result)
    if kinds.KINDS[plugin].makes_link:
        expect(world.links(stale), [], "interfaces of the unlisted container")
    world.delete(plugin, config)


@case("G1.newer-key-counts", "of two keys cni.dev/valid-attachments counts", "SPEC 4", plugins=POOLED)
def newer_key_counts(world, plugin):
    config, result, _ = _two(world, plugin)
    silent(world.call(plugin, "GC", {**config, VALID: [_entry("victim")], OLD_KEY: [_entry("stale")]}))
    _is_whole(world, plugin, config, result)
    world.delete(plugin, config)


@case("G2.interface-counts", "another interface of a listed container goes", "SPEC 4", plugins=LINKS)
def interface_counts(world, plugin):
    world.prepare(plugin)
    config = world.config(plugin, NEWEST, ipam=POOL_OF_TWO)
    result = result_of(world.call(plugin, "ADD", config))
    result_of(world.call(plugin, "ADD", config, ifname="eth1"))
    silent(world.call(plugin, "GC", {**config, VALID: [_entry("victim")]}))
    expect(world.links(world.victim), ["eth0"], "interfaces")
    _is_whole(world, plugin, config, result)
    world.delete(plugin, config)


@case("G2.rules", "GC: no rule names an unlisted container's address any more", "SPEC 4", plugins=lambda: ["bridge", "ptp"])
def rules(world, plugin):
    before = snapshot.capture(only=("nft",))
    config, _, _ = _two(world, plugin)
    silent(world.call(plugin, "GC", {**config, VALID: []}))
    left = [line for line in snapshot.added(before, snapshot.capture(only=("nft",))) if "10.88.0." in line]
    assert not left, "\n".join(left)


@case("G2.ports", "GC of portmap withdraws the ports of unlisted containers, and no others", "SPEC 4", needs=("portmap",))
def ports(world):
    config = world.config("portmap", NEWEST, capabilities={"portMappings": True}, runtimeConfig=MAPPING(8080))
    world.add("portmap", config)
    result_of(world.call("portmap", "ADD", {**config, "runtimeConfig": MAPPING(9090)}, container_id="stale"))
    plain = world.config("portmap", NEWEST, prevResult=None)
    silent(world.call("portmap", "GC", {**plain, VALID: [_entry("victim")]}))
    text = str(snapshot.capture(only=("nft",)))
    assert "8080" in text, "the port of the listed container is gone"
    assert "9090" not in text, "the port of the unlisted container was left"
    world.delete("portmap", config)


@case("G3.empty-list", "an empty list: everything of this network goes", "SPEC 4", plugins=POOLED)
def empty_list(world, plugin):
    config, _, stale = _two(world, plugin)
    silent(world.call(plugin, "GC", {**config, VALID: []}))
    if kinds.KINDS[plugin].makes_link:
        expect((world.links(world.victim), world.links(stale)), ([], []), "interfaces")
    _is_free(world, plugin, config, 2)


@case("G3.no-list", "the list is {}: what lives stays", "libcni", plugins=POOLED,
      values={"absent": {}, "null": {VALID: None, OLD_KEY: None}})
def no_list(world, plugin, value):
    config, result, stale = _two(world, plugin)
    silent(world.call(plugin, "GC", {**config, **value}))
    _is_whole(world, plugin, config, result)
    world.delete(plugin, config)
    world.delete(plugin, config, container=stale)


@case("G3.no-list-dead", "the list is {}: what is provably dead goes", "ours", plugins=LINKS,
      values={"absent": {}, "null": {VALID: None, OLD_KEY: None}})
def no_list_dead(world, plugin, value):
    config, result, stale = _two(world, plugin)
    ip("link del eth0", netns=stale.netns)
    world.lose(stale)
    silent(world.call(plugin, "GC", {**config, **value}))
    _is_free(world, plugin, config)
    _is_whole(world, plugin, config, result)
    world.delete(plugin, config)


@case("G3.half-an-entry", "an entry without {}: an error, and nothing goes", "ours", plugins=POOLED, values={
    "ifname": {"containerID": "victim"}, "containerID": {"ifname": "eth0"}, "either": {}})
def half_an_entry(world, plugin, value):
    config, result, stale = _two(world, plugin)
    error_of(world.call(plugin, "GC", {**config, VALID: [_entry("stale"), value]}), (CONFIG, DECODE))
    _is_whole(world, plugin, config, result)
    world.delete(plugin, config)
    world.delete(plugin, config, container=stale)


@case("G3.not-a-list", "a list that is {}: an error, and nothing goes", "SPEC 5", plugins=POOLED, values={
    "text": "victim", "a-number": 7, "an-object": {"containerID": "victim", "ifname": "eth0"}, "a-list-of-text": ["victim"]})
def not_a_list(world, plugin, value):
    config, result, stale = _two(world, plugin)
    error_of(world.call(plugin, "GC", {**config, VALID: value}), (CONFIG, DECODE))
    _is_whole(world, plugin, config, result)
    world.delete(plugin, config)
    world.delete(plugin, config, container=stale)


@case("G4.goes-on", "GC goes on when the namespace of one unlisted container is lost", "SPEC 4", plugins=LINKS)
def goes_on(world, plugin):
    config, _, stale = _two(world, plugin)
    world.lose(stale)
    open(stale.netns, "wb").close()
    silent(world.call(plugin, "GC", {**config, VALID: []}))
    os.unlink(stale.netns)
    _is_free(world, plugin, config, 2)


@case("G6.silent", "GC prints nothing on success, also with nothing to do", "SPEC 4", plugins=kinds.attachable)
def nothing_to_do(world, plugin):
    with world.unchanged(generation=False):
        for valid in ([], [_entry("nobody")]):
            silent(world.call(plugin, "GC", {**world.config(plugin, NEWEST), VALID: valid}))


@case("G7.other-network", "GC of one network leaves another alone", "SPEC 4", plugins=POOLED)
def other_network(world, plugin):
    config, result, _ = _two(world, plugin)
    silent(world.call(plugin, "GC", {**config, "name": "second", VALID: []}))
    _is_whole(world, plugin, config, result)
    silent(world.call(plugin, "GC", {**config, VALID: []}))


@case("G7.foreign", "GC leaves links and rules of others alone", "SPEC 4", plugins=POOLED)
def foreign(world, plugin):
    ip("link add veth-foreign type veth peer name peer-foreign", "link add br-foreign type bridge")
    subprocess.run(["nft", "-f", "-"], text=True, check=True,
                   input="table inet foreign {\nchain a {\nip saddr 10.88.0.9 accept comment \"conf stale eth0\"\n}\n}\n")
    before = snapshot.capture()
    config, _, _ = _two(world, plugin)
    silent(world.call(plugin, "GC", {**config, VALID: []}))
    gone = [line for line in snapshot.diff(before, snapshot.capture()) if line.startswith("-") and "foreign" in line]
    assert not gone, "\n".join(gone)
    ip("link del veth-foreign", "link del br-foreign")


@case("G7.chained-listed", "GC of a chained plugin leaves a listed attachment whole", "SPEC 4", plugins=kinds.chained)
def chained_listed(world, plugin):
    config = world.config(plugin, NEWEST)
    config["prevResult"] = world.add(plugin, config)
    plain = world.config(plugin, NEWEST, prevResult=None)
    silent(world.call(plugin, "GC", {**plain, VALID: [_entry("victim")], OLD_KEY: [_entry("victim")]}))
    silent(world.call(plugin, "CHECK", config))
    world.delete(plugin, config)


@case("G8.twice", "GC may be repeated", "SPEC 4", plugins=POOLED)
def twice(world, plugin):
    config, result, _ = _two(world, plugin)
    for _ in range(3):
        silent(world.call(plugin, "GC", {**config, VALID: [_entry("victim")]}))
    _is_whole(world, plugin, config, result)
    world.delete(plugin, config)


@case("G9.del-after", "DEL after GC took the attachment succeeds", "SPEC 4", plugins=POOLED)
def del_after(world, plugin):
    config, _, stale = _two(world, plugin)
    silent(world.call(plugin, "GC", {**config, VALID: []}))
    for one in (world.victim, stale):
        succeed(world.call(plugin, "DEL", config, container=one))
