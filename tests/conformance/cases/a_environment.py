"""E1 to E9, E16 to E18: what comes through the environment, and the names in it."""

import os

from suite import kinds
from suite.registry import case
from suite.world import BASE_VERSION, NEWEST, SCRATCH, error_of, expect, ip, result_of, silent, succeed

ENVIRONMENT, CONFIG, NETNS = 4, 7, 8
ABOUT_ONE = {"ADD": "ADD", "CHECK": "CHECK", "DEL": "DEL"}
BAD_IDS = ("../x", "a/b", "-x", ".x", "_x", "a b", "a\n", "\n", "a\tb", "é", "a:b", "a;b", "a%b", "a\\b", "a+b", "a@b")
BAD_IFNAMES = (".", "..", "a/b", "/", "a:b", "a b", " ", "a\tb", "a\n", "sixteen-bytes-xx", "a" * 300)
BAD_NAMES = ("../net", "a/b", ".net", "-net", "_net", "net\n", "a b", "é", "a:b", "a\\b", "a\u0000b")
BAD_TYPES = ("../cf-trap", "/run/lab/case/cf-trap", "x/../cf-trap", "..", ".", "a\\b", "a\u0000b", "./cf-trap",
             "sub/cf-trap")


@case("E1.unknown-command", "an unknown CNI_COMMAND: code 4, and it is named", "skel", plugins=kinds.every)
def unknown_command(world, plugin):
    for verb in ("FLY", "add", "ADD ", "DELETE"):
        error = world.refuse(plugin, verb, ENVIRONMENT, container=world.victim, ifname="eth0")
        assert verb.strip() in error["msg"], error


@case("E2.no-command", "without CNI_COMMAND: about text on stderr, exit 0", "skel", plugins=kinds.every)
def no_command(world, plugin):
    for env in ({"CNI_COMMAND": None}, {"CNI_COMMAND": ""}):
        with world.unchanged():
            outcome = silent(world.call(plugin, "ADD", env=env, ifname=None, container_id=None, netns=None, stdin=b""))
        assert "CNI" in outcome.stderr and "1.0.0" in outcome.stderr, outcome.describe()


@case("E3.missing-id", "{} without CNI_CONTAINERID: code 4, and it is named", "SPEC 2, 5", plugins=kinds.every,
      values=ABOUT_ONE)
def missing_id(world, plugin, value):
    for missing in (None, ""):
        error = world.refuse(plugin, value, ENVIRONMENT, container_id=missing)
        assert "CNI_CONTAINERID" in error["msg"], error


@case("E3.missing-ifname", "{} without CNI_IFNAME: code 4, and it is named", "SPEC 2, 5", plugins=kinds.every,
      values=ABOUT_ONE)
def missing_ifname(world, plugin, value):
    for missing in (None, ""):
        error = world.refuse(plugin, value, ENVIRONMENT, ifname=missing)
        assert "CNI_IFNAME" in error["msg"], error


@case("E3.missing-netns", "{} without CNI_NETNS: code 4, and it is named", "SPEC 2, 5", plugins=kinds.every,
      values={"ADD": "ADD", "CHECK": "CHECK"})
def missing_netns(world, plugin, value):
    for missing in (None, ""):
        error = world.refuse(plugin, value, ENVIRONMENT, netns=missing)
        assert "CNI_NETNS" in error["msg"], error


@case("E3.del-without-netns", "DEL needs no CNI_NETNS", "SPEC 2", plugins=kinds.attachable)
def del_without_netns(world, plugin):
    for missing in (None, ""):
        silent(world.call(plugin, "DEL", netns=missing))


@case("E3.few-variables", "GC and STATUS need neither container nor interface", "SPEC 2", plugins=kinds.attachable)
def few_variables(world, plugin):
    world.prepare(plugin)
    for verb in ("STATUS", "GC"):
        silent(world.call(plugin, verb, container_id=None, netns=None, ifname=None))


@case("E3.no-path", "without a delegate CNI_PATH is optional", "SPEC 2", plugins=kinds.where(
    can_add=True, makes_link=False))
def no_path(world, plugin):
    world.prepare(plugin)
    for verb in ("ADD", "DEL"):
        succeed(world.call(plugin, verb, env={"CNI_PATH": None}))


@case("E4.all-at-once", "{} names all missing variables in one message", "SPEC 5", plugins=kinds.every, values={
    "ADD": ("ADD", "CNI_CONTAINERID CNI_NETNS CNI_IFNAME"), "CHECK": ("CHECK", "CNI_CONTAINERID CNI_NETNS CNI_IFNAME"),
    "DEL": ("DEL", "CNI_CONTAINERID CNI_IFNAME")})
def all_at_once(world, plugin, value):
    verb, names = value
    error = world.refuse(plugin, verb, ENVIRONMENT, container_id=None, netns=None, ifname=None)
    for name in names.split():
        assert name in error["msg"], f"{name} is not named: {error}"


@case("E5.bad-id", "{} with a bad container id: code 4", "SPEC 2", plugins=kinds.every, values=ABOUT_ONE)
def bad_id(world, plugin, value):
    for text in BAD_IDS:
        world.refuse(plugin, value, ENVIRONMENT, container_id=text)


@case("E5.good-id", "letters, digits, '_', '.', '-' after a letter or digit are a container id", "SPEC 2",
      plugins=kinds.attachable)
def good_id(world, plugin):
    for text in ("a", "0", "a_b.c-d", "A" * 64, "0-", "default-c1"):
        silent(world.call(plugin, "DEL", container_id=text))


@case("E6.long-id", "a container id of {} bytes attaches and detaches", "ours", plugins=lambda: [
    name for name in kinds.attachable() if not kinds.KINDS[name].keeps_link], values={
        str(length): length for length in (1, 64, 128, 255, 4096)})
def long_id(world, plugin, value):
    world.prepare(plugin)
    name = ("c0ffee" * 1000)[:value]
    result_of(world.call(plugin, "ADD", container_id=name))
    other = name[:-1] + "X"
    silent(world.call(plugin, "DEL", container_id=other))  # a name that differs at the end only is somebody else
    if kinds.KINDS[plugin].makes_link:
        assert "eth0" in world.links(world.victim), "DEL of another container id took the interface away"
    silent(world.call(plugin, "DEL", container_id=name))
    if kinds.KINDS[plugin].makes_link:
        expect(world.links(world.victim), [], "interfaces after DEL")


@case("E7.bad-ifname", "{} with a bad interface name: code 4", "SPEC 2", plugins=kinds.every, values=ABOUT_ONE)
def bad_ifname(world, plugin, value):
    for text in BAD_IFNAMES:
        world.refuse(plugin, value, ENVIRONMENT, ifname=text)


@case("E7.template", "'%d' is a template to the kernel and no name: code 4", "ours", plugins=kinds.link_makers)
def template(world, plugin):
    world.prepare(plugin)
    world.refuse(plugin, "ADD", ENVIRONMENT, ifname="eth%d")


@case("E7.good-ifname", "an interface name of {} bytes", "SPEC 2", plugins=kinds.link_makers,
      values={"1": "e", "15": "fifteen-bytes-x", "odd": "e.th_0-1@x"})
def good_ifname(world, plugin, value):
    world.add(plugin, ifname=value)
    assert value in world.links(world.victim), f"{value} is not there: {world.links(world.victim)}"
    world.delete(plugin, ifname=value)


@case("E8.no-name", "{} without a network name: code 7", "SPEC 1", plugins=kinds.every,
      values={**ABOUT_ONE, "GC": "GC", "STATUS": "STATUS"})
def no_name(world, plugin, value):
    version = NEWEST if value in ("GC", "STATUS") else BASE_VERSION
    for missing in (None, ""):
        world.refuse(plugin, value, CONFIG, world.config(plugin, version, name=missing))


@case("E8.bad-name", "{} with a bad network name: code 7", "SPEC 1", plugins=kinds.every,
      values={**ABOUT_ONE, "GC": "GC", "STATUS": "STATUS"})
def bad_name(world, plugin, value):
    version = NEWEST if value in ("GC", "STATUS") else BASE_VERSION
    for text in BAD_NAMES:
        world.refuse(plugin, value, CONFIG, world.config(plugin, version, name=text))


@case("E8.name-is-not-text", "a network name that is no string: code 6 or 7", "SPEC 1", plugins=kinds.every)
def name_is_not_text(world, plugin):
    for value in (7, ["net"], {"a": 1}, True):
        world.refuse(plugin, "ADD", (6, CONFIG), {**world.config(plugin), "name": value})


def _trap():
    """What a traversal of names would start."""
    for folder in (SCRATCH, f"{SCRATCH}/path/sub"):
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/cf-trap", "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\ntouch {SCRATCH}/sprung\necho '{{}}'\n")
        os.chmod(f"{folder}/cf-trap", 0o755)
    return f"{SCRATCH}/path"


@case("E9.bad-type", "{}: a type that is no plain file name: code 7", "SPEC 1", plugins=kinds.every,
      values={"ADD": "ADD", "DEL": "DEL"})
def bad_type(world, plugin, value):
    for text in BAD_TYPES:
        world.refuse(plugin, value, CONFIG, {**world.config(plugin), "type": text})


@case("E9.bad-ipam-type", "an ipam.type that is no plain file name: code 7, and nothing is started", "CVE-2021-20206",
      plugins=lambda: [name for name in kinds.link_makers() if "ipam" in kinds.KINDS[name].config])
def bad_ipam_type(world, plugin):
    path = _trap()
    world.prepare(plugin)
    for verb in ("ADD", "DEL"):
        for text in BAD_TYPES:
            world.refuse(plugin, verb, CONFIG, world.config(plugin, ipam={"type": text}), path=path)
            assert not os.path.exists(f"{SCRATCH}/sprung"), f"ipam.type {text!r} started a program outside CNI_PATH"


@case("E9.not-there", "a delegate that is in no folder of CNI_PATH: an error that names it", "SPEC 4",
      plugins=lambda: [name for name in kinds.link_makers() if "ipam" in kinds.KINDS[name].config])
def not_there(world, plugin):
    world.prepare(plugin)
    error = world.refuse(plugin, "ADD", (), world.config(plugin, ipam={"type": "cf-nowhere"}))
    assert "cf-nowhere" in error["msg"] + error.get("details", ""), error


@case("E16.own-netns", "CNI_NETNS is the plugin's own: code 8, before anything is touched", "skel",
      plugins=kinds.entering)
def own_netns(world, plugin):
    world.prepare(plugin)
    for path in ("/proc/self/ns/net", "/proc/thread-self/ns/net"):
        world.refuse(plugin, "ADD", NETNS, netns=path)


@case("E16.no-netns", "CNI_NETNS leads to {}: code 8, and nothing is changed", "skel", plugins=kinds.entering, values={
    "nowhere": "missing", "a-file": "file", "a-folder": "folder", "a-fifo": "fifo", "a-dangling-link": "dangling",
    "another-namespace": "/proc/self/ns/mnt", "a-device": "/dev/null"})
def no_netns(world, plugin, value):
    world.prepare(plugin)
    place = value if value.startswith("/") else f"{SCRATCH}/{value}"
    if value == "file":
        open(place, "wb").close()
    elif value == "folder":
        os.mkdir(place)
    elif value == "fifo":
        os.mkfifo(place)
    elif value == "dangling":
        os.symlink(f"{SCRATCH}/missing", place)
    world.refuse(plugin, "ADD", NETNS, netns=place)


@case("E17.override", "CNI_NETNS_OVERRIDE={} allows the plugin's own namespace", "skel",
      values={"1": "1", "TRUE": "TRUE", "true": "true"})
def override(world, value):
    # Through a mount of the namespace, as runtimes have it.
    ip("netns attach own " + str(os.getpid()))
    result_of(world.call("loopback", "ADD", netns="/run/netns/own", env={"CNI_NETNS_OVERRIDE": value}))
    ip("netns del own")


@case("E17.no-override", "CNI_NETNS_OVERRIDE={} allows nothing", "skel",
      values={"0": "0", "false": "false", "yes": "yes", "empty": ""})
def no_override(world, value):
    error_of(world.call("loopback", "ADD", netns="/proc/self/ns/net", env={"CNI_NETNS_OVERRIDE": value}), NETNS)


@case("E18.runtime-netns", "delegates run in the runtime's network namespace: {}", "SPEC 2", needs=("bridge",),
      values={"ADD": "ADD", "DEL": "DEL", "CHECK": "CHECK"})
def runtime_netns(world, value):
    stub = world.stub()
    config = world.config("bridge", ipam=stub.ipam)
    result = result_of(world.call("bridge", "ADD", config, path=stub.path))
    if value != "ADD":
        silent(world.call("bridge", value, {**config, "prevResult": result}, path=stub.path))
    expect(stub.netns(value), os.readlink("/proc/self/ns/net"), f"the namespace of the delegate's {value}")
    world.call("bridge", "DEL", config, path=stub.path)
