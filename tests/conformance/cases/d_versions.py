"""V1 to V6, V11: which versions are spoken, and what is said about others."""

import json

from suite import kinds
from suite.registry import case
from suite.world import NEWEST, VERSIONS, before_version, error_of, expect, result_of, silent, succeed

UNSUPPORTED, DECODE, CONFIG = 1, 6, 7
STRANGE = ("1.0", "v1.0.0", "1.1.1", "2.0.0", "1.2.0", "0.3.2", "0.1", "1.0.0 ", "1.0.0-rc1", "01.0.0", "x", "9.9.9")
old_enough = lambda version: [name for name in kinds.attachable()
                              if VERSIONS.index(kinds.KINDS[name].oldest) <= VERSIONS.index(version)]


@case("V1.echo", "VERSION echoes the version {} of its input", "SPEC 5", plugins=kinds.every,
      values={version: version for version in VERSIONS})
def echo(world, plugin, value):
    answer = result_of(world.call(plugin, "VERSION", {"cniVersion": value}))
    expect(answer["cniVersion"], value, "cniVersion")


@case("V1.newest", "VERSION with {} on stdin tells the newest version", "SPEC 5, skel", plugins=kinds.every, values={
    "nothing": b"", "no-json": b"}", "an-unknown-version": b'{"cniVersion":"9.9.9"}', "a-number": b'{"cniVersion":7}'})
def newest(world, plugin, value):
    answer = result_of(world.call(plugin, "VERSION", stdin=value))
    expect(answer["cniVersion"], NEWEST, "cniVersion")
    assert NEWEST in answer["supportedVersions"], answer


@case("V1.nothing-else", "VERSION needs no other variable, and takes any", "SPEC 2", plugins=kinds.every)
def nothing_else(world, plugin):
    bare = world.call(plugin, "VERSION", {"cniVersion": "1.0.0"}, env={"CNI_PATH": None, "CNI_ARGS": None})
    dummies = world.call(plugin, "VERSION", {"cniVersion": "1.0.0"}, container_id="", netns="dummy", ifname="dummy",
                         path="dummy", args="")
    for outcome in (bare, dummies):
        assert "1.0.0" in result_of(outcome)["supportedVersions"], outcome.describe()


@case("V2.list", "all published versions are supported", "SPEC 5", plugins=kinds.every)
def version_list(world, plugin):
    oldest = kinds.KINDS[plugin].oldest
    found = result_of(world.call(plugin, "VERSION", {"cniVersion": "1.0.0"}))["supportedVersions"]
    missing = [version for version in VERSIONS[VERSIONS.index(oldest):] if version not in found]
    expect(missing, [], "versions that are not supported")
    expect([version for version in found if version not in VERSIONS], [], "versions that nobody knows")


@case("V3.no-version", "a configuration without cniVersion is of version 0.1.0", "libcni create",
      plugins=lambda: old_enough("0.1.0"), values={"absent": None, "empty": ""})
def no_version(world, plugin, value):
    config = world.config(plugin, "0.1.0")
    config["cniVersion"] = value
    config = {key: entry for key, entry in config.items() if entry is not None}
    result = world.add(plugin, config)
    assert "ips" not in result and "interfaces" not in result, f"a result of a newer version: {result}"
    assert result.get("cniVersion", "0.1.0") in ("0.1.0", "0.2.0"), result
    world.delete(plugin, config)


@case("V4.strange-version", "{}: a cniVersion that is not on the list: code 1, details name it and the list", "SPEC 5",
      plugins=kinds.every, values={"ADD": "ADD", "DEL": "DEL", "CHECK": "CHECK", "GC": "GC", "STATUS": "STATUS"})
def strange_version(world, plugin, value):
    for version in STRANGE:
        error = world.refuse(plugin, value, UNSUPPORTED, world.config(plugin, version))
        text = error["msg"] + error.get("details", "")
        assert version.strip() in text and "0.4.0" in text, f"{version}: {error}"


@case("V5.result-version", "the result of ADD is of the configuration's version, {}", "SPEC 5", plugins=kinds.attachable,
      values={version: version for version in VERSIONS})
def result_version(world, plugin, value):
    config = world.config(plugin, value)
    if VERSIONS.index(value) < VERSIONS.index(kinds.KINDS[plugin].oldest):
        # Nobody needs it that old: either it works, or it says why not.
        world.prepare(plugin)
        outcome = world.call(plugin, "ADD", config)
        assert outcome.ok or error_of(outcome, UNSUPPORTED), outcome.describe()
        return
    result = world.add(plugin, config)
    expect(result["cniVersion"], value, "cniVersion")
    has = {key for key in ("ip4", "ips", "interfaces") if key in result}
    if value in before_version("0.3.0"):
        assert not has & {"ips", "interfaces"}, f"keys of a newer version: {sorted(result)}"
    else:
        assert "ip4" not in has, f"keys of an older version: {sorted(result)}"
        # IPAM plugins must not name interfaces, all others have made or passed on one.
        expect("interfaces" in result, not kinds.KINDS[plugin].gives_addresses, "whether interfaces are named")
    for entry in result.get("ips", []):
        expect("version" in entry, value in before_version("1.0.0"), "whether an address says its IP version")
    world.delete(plugin, config)


@case("V6.check-is-newer", "CHECK with {}: code 1", "SPEC 4, skel", plugins=kinds.attachable,
      values={version: version for version in before_version("0.4.0")})
def check_is_newer(world, plugin, value):
    error = world.refuse(plugin, "CHECK", UNSUPPORTED, {**world.config(plugin, value), "prevResult": world.previous(value)})
    assert "CHECK" in error["msg"], error


@case("V6.gc-and-status-are-newer", "{} with an older version: code 1", "SPEC 4, skel", plugins=kinds.attachable,
      values={"GC": "GC", "STATUS": "STATUS"})
def gc_and_status_are_newer(world, plugin, value):
    for version in before_version("1.1.0"):
        error = world.refuse(plugin, value, UNSUPPORTED, world.config(plugin, version))
        assert value in error["msg"], error


@case("V6.check-works", "CHECK with {} is served", "SPEC 4", plugins=kinds.attachable,
      values={version: version for version in ("0.4.0", "1.0.0", "1.1.0")})
def check_works(world, plugin, value):
    config = world.config(plugin, value)
    result = world.add(plugin, config)
    silent(world.call(plugin, "CHECK", {**config, "prevResult": result}))
    world.delete(plugin, config)


@case("V11.inherited", "a prevResult without cniVersion is of the configuration's version, {}", "libcni",
      plugins=lambda: ["loopback", *kinds.chained()], values={version: version for version in ("0.4.0", "1.0.0", "1.1.0")})
def inherited(world, plugin, value):
    previous = world.previous(value)
    del previous["cniVersion"]
    config = world.config(plugin, value, prevResult=previous)
    result = world.add(plugin, config)
    expect(result["cniVersion"], value, "cniVersion")
    expect([entry["address"] for entry in result["ips"]], ["10.88.0.77/24"], "the addresses")
    world.delete(plugin, config)


@case("V11.other-version", "a prevResult in the shape of another version: code 6 or 7", "libcni",
      plugins=lambda: ["loopback", *kinds.chained()],
      values={"0.2.0-in-1.0.0": ("0.2.0", "1.0.0"), "0.4.0-in-1.0.0": ("0.4.0", "1.0.0"),
              "1.0.0-in-0.4.0": ("1.0.0", "0.4.0"), "1.1.0-in-0.2.0": ("1.1.0", "0.2.0")})
def other_version(world, plugin, value):
    previous, version = value
    if plugin in old_enough(version):
        world.prepare(plugin)
        config = world.config(plugin, version, prevResult=world.previous(previous))
        world.refuse(plugin, "ADD", (DECODE, CONFIG), config)


@case("V11.del-takes-any", "DEL succeeds whatever its prevResult looks like", "SPEC 4", plugins=kinds.attachable)
def del_takes_any(world, plugin):
    for previous in ({}, {"cniVersion": "1.0.0"}, {"cniVersion": "0.2.0", "ip4": {"ip": "10.88.0.77/24"}}, None):
        text = json.dumps({**world.config(plugin), "prevResult": previous}).encode()
        succeed(world.call(plugin, "DEL", stdin=text))
