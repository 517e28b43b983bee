"""A5 to A7, D5, C6, G5, S2: a plugin that has another one do a part of the work."""

from suite import kinds
from suite.registry import case
from suite.stub import ANSWER
from suite.world import NEWEST, error_of, expect, ip, result_of, silent, succeed

BUSY = {"cniVersion": "1.0.0", "code": 4711, "msg": "the stub is busy", "details": "very busy"}
STUBBED = lambda: [name for name in kinds.link_makers() if "ipam" in kinds.KINDS[name].config]


def _config(world, plugin, stub, version="1.0.0"):
    return world.config(plugin, version, ipam={**stub.ipam, "routes": []}, example={"x": [1, None, "kept"]})


def _all_verbs(world, plugin, stub, version=NEWEST):
    config = _config(world, plugin, stub, version)
    if version != NEWEST:
        stub.answer({**ANSWER, "cniVersion": version})
    world.prepare(plugin)
    options = {"path": stub.path, "args": "IgnoreUnknown=1;K8S_POD_NAME=p1"}
    if version == NEWEST:
        silent(world.call(plugin, "STATUS", config, **options))
    result = result_of(world.call(plugin, "ADD", config, **options))
    silent(world.call(plugin, "CHECK", {**config, "prevResult": result}, **options))
    if version == NEWEST:
        valid = [{"containerID": "victim", "ifname": "eth0"}]
        silent(world.call(plugin, "GC", {**config, "cni.dev/valid-attachments": valid}, **options))
    silent(world.call(plugin, "DEL", {**config, "prevResult": result}, **options))
    return config, result


@case("A5.environment", "the delegate gets the same environment", "SPEC 4", plugins=STUBBED)
def environment(world, plugin):
    stub = world.stub()
    _all_verbs(world, plugin, stub, "1.0.0")
    for verb in ("ADD", "CHECK", "DEL"):
        found = stub.environment(verb)
        wanted = {"CNI_COMMAND": verb, "CNI_CONTAINERID": "victim", "CNI_NETNS": world.victim.netns, "CNI_IFNAME": "eth0",
                  "CNI_PATH": stub.path}
        expect({key: found.get(key) for key in wanted}, wanted, f"the environment of {verb}")
        expect(sorted(found["CNI_ARGS"].split(";")), ["IgnoreUnknown=1", "K8S_POD_NAME=p1"], "CNI_ARGS")


@case("A5.trace-variables", "the delegate gets TRACEPARENT and what else is in the environment", "libcni", plugins=STUBBED)
def trace_variables(world, plugin):
    stub = world.stub()
    config = _config(world, plugin, stub)
    world.add(plugin, config, path=stub.path, env={"TRACEPARENT": "00-1-2-01", "CNI_NETNS_OVERRIDE": "0"})
    found = stub.environment("ADD")
    expect((found.get("TRACEPARENT"), found.get("CNI_NETNS_OVERRIDE")), ("00-1-2-01", "0"), "variables")
    world.delete(plugin, config, path=stub.path)


@case("A5.whole-config", "the delegate gets the complete configuration: {}", "SPEC 4", plugins=STUBBED,
      values={"ADD": "ADD", "DEL": "DEL", "CHECK": "CHECK"})
def whole_config(world, plugin, value):
    stub = world.stub()
    config, result = _all_verbs(world, plugin, stub, "1.0.0")
    found = stub.stdin(value)
    previous = found.pop("prevResult", None)
    expect(found, config, "the configuration")
    if value == "CHECK":
        expect(previous, result, "prevResult")


@case("A5.stderr", "what the delegate prints on stderr is on ours", "SPEC 4", plugins=STUBBED)
def stderr(world, plugin):
    stub = world.stub()
    config = _config(world, plugin, stub)
    world.prepare(plugin)
    outcome = succeed(world.call(plugin, "ADD", config, path=stub.path))
    assert "the stub was here" in outcome.stderr, outcome.describe()
    world.delete(plugin, config, path=stub.path)


@case("A5.only-in-path", "a delegate is looked for in CNI_PATH, in its order, and nowhere else", "SPEC 4", plugins=STUBBED)
def only_in_path(world, plugin):
    stub = world.stub()
    config = _config(world, plugin, stub)
    world.prepare(plugin)
    with world.unchanged():
        error_of(world.call(plugin, "ADD", config, path="/nowhere", env={"PATH": stub.here}))
    result_of(world.call(plugin, "ADD", config, path=f"/nowhere:{stub.here}:/run"))
    world.delete(plugin, config, path=f":{stub.here}")


@case("A5.result", "addresses, gateway, routes of the delegate are in the kernel and in the result", "SPEC 4",
      plugins=STUBBED)
def delegated_result(world, plugin):
    stub = world.stub()
    config = _config(world, plugin, stub)
    result = world.add(plugin, config, path=stub.path)
    expect([(entry["address"], entry["gateway"]) for entry in result["ips"]], [("10.88.0.9/24", "10.88.0.1")], "ips")
    expect(result["routes"], [{"dst": "0.0.0.0/0"}], "routes")
    silent(world.call(plugin, "CHECK", {**config, "prevResult": result}, path=stub.path))
    world.delete(plugin, config, path=stub.path)


@case("A5.error-passes", "an error object of the delegate is passed on as it is: {}", "SPEC 4, 5", plugins=STUBBED,
      values={verb: verb for verb in ("ADD", "CHECK", "DEL")})
def error_passes(world, plugin, value):
    stub = world.stub(errors={value: BUSY})
    config = _config(world, plugin, stub)
    world.prepare(plugin)
    outcome = world.call(plugin, "ADD", config, path=stub.path)
    if value != "ADD":
        outcome = world.call(plugin, value, {**config, "prevResult": result_of(outcome)}, path=stub.path)
    error = error_of(outcome, BUSY["code"])
    assert BUSY["msg"] in error["msg"] and BUSY["details"] in error.get("details", ""), error
    world.call(plugin, "DEL", config, path=stub.path)


@case("A6.del-after-failure", "ADD fails ({}): the delegate's DEL is called", "SPEC 4", plugins=STUBBED,
      values={"in-the-delegate": "delegate", "afterwards": "name"})
def del_after_failure(world, plugin, value):
    stub = world.stub(errors={"ADD": BUSY} if value == "delegate" else None)
    world.prepare(plugin)
    if value == "name":
        # The reference makes the interface first, and so fails before its delegate is asked: an address that the kernel
        # refuses fails afterwards everywhere.
        stub.answer({"cniVersion": "1.0.0", "ips": [{"address": "10.88.0.9/24"}],
                     "routes": [{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]})
    error_of(world.call(plugin, "ADD", _config(world, plugin, stub), path=stub.path))
    expect(stub.calls, ["ADD", "DEL"], "calls of the delegate")
    expect(world.links(world.victim), [], "interfaces in the container")


@case("A7.no-address", "a delegate that answers {}: an error, its DEL is called, nothing is left", "SPEC 4",
      plugins=lambda: [name for name in STUBBED() if name != "macvlan"], values={
        "an-empty-list": {"cniVersion": "1.0.0", "ips": []}, "no-list": {"cniVersion": "1.0.0"}, "nothing": None})
def no_address(world, plugin, value):
    stub = world.stub(answer=value)
    world.prepare(plugin)
    with world.unchanged(generation=False):
        error_of(world.call(plugin, "ADD", _config(world, plugin, stub), path=stub.path))
    assert stub.calls[-1] == "DEL", f"calls of the delegate: {stub.calls}"


@case("A7.nonsense", "a delegate that prints {}: an error, nothing is left", "SPEC 4", plugins=STUBBED, values={
    "a-log-line": "starting\n{}", "half-a-document": '{"cniVersion": "1.0.0", "ips": [', "a-list": "[]",
    "a-bad-address": '{"cniVersion": "1.0.0", "ips": [{"address": "10.88.0.300/24"}]}',
    "an-unknown-version": '{"cniVersion": "7.0.0", "ips": [{"address": "10.88.0.9/24"}]}'})
def nonsense(world, plugin, value):
    stub = world.stub(answer=None)
    stub.answer_text(value)
    world.prepare(plugin)
    with world.unchanged(generation=False):
        error_of(world.call(plugin, "ADD", _config(world, plugin, stub), path=stub.path))


@case("A7.ipam-result", "an IPAM plugin names no interfaces", "SPEC 4", plugins=kinds.ipams)
def ipam_result(world, plugin):
    result = world.add(plugin)
    assert "interfaces" not in result and all("interface" not in entry for entry in result["ips"]), result
    assert result["ips"], "no address"
    world.delete(plugin)


@case("A7.under-the-reference", "an IPAM plugin serves the main plugins of this folder through CNI_PATH", "SPEC 4",
      plugins=STUBBED)
def through_path(world, plugin):
    config = world.config(plugin, ipam={**kinds.POOL, "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.7"}]]})
    result = world.add(plugin, config)
    expect(result["ips"][0]["address"], "10.88.0.7/24", "the address")
    world.delete(plugin, config)


@case("D5.every-verb", "DEL calls the delegate's DEL, also a second time and without a namespace", "SPEC 4", plugins=STUBBED)
def del_calls_delegate(world, plugin):
    stub = world.stub()
    config = _config(world, plugin, stub)
    world.add(plugin, config, path=stub.path)
    for netns in (world.victim.netns, "", f"{world.victim.netns}-gone"):
        silent(world.call(plugin, "DEL", config, path=stub.path, netns=netns))
    expect(stub.calls, ["ADD", "DEL", "DEL", "DEL"], "calls of the delegate")


@case("D5.own-part", "the delegate's DEL fails: the interface goes all the same, and the error is reported", "SPEC 4",
      plugins=STUBBED)
def own_part(world, plugin):
    stub = world.stub(errors={"DEL": BUSY})
    config = _config(world, plugin, stub)
    world.add(plugin, config, path=stub.path)
    error_of(world.call(plugin, "DEL", config, path=stub.path), BUSY["code"])
    expect(world.links(world.victim), [], "interfaces in the container")
    stub.forget_error("DEL")
    silent(world.call(plugin, "DEL", config, path=stub.path))


@case("C6.check-calls-delegate", "CHECK calls the delegate's CHECK", "SPEC 4", plugins=STUBBED)
def check_calls_delegate(world, plugin):
    stub = world.stub()
    _all_verbs(world, plugin, stub, "1.0.0")
    assert "CHECK" in stub.calls, stub.calls


@case("G5.gc-calls-delegate", "GC calls the delegate's GC, with the list of the living", "SPEC 4", plugins=STUBBED)
def gc_calls_delegate(world, plugin):
    stub = world.stub()
    config = _config(world, plugin, stub, NEWEST)
    world.prepare(plugin)
    valid = [{"containerID": "victim", "ifname": "eth0"}]
    silent(world.call(plugin, "GC", {**config, "cni.dev/valid-attachments": valid}, path=stub.path))
    expect(stub.calls, ["GC"], "calls of the delegate")
    expect(stub.stdin("GC")["cni.dev/valid-attachments"], valid, "the list")


@case("G5.gc-error-passes", "an error of the delegate's GC is reported", "SPEC 4", plugins=STUBBED)
def gc_error_passes(world, plugin):
    stub = world.stub(errors={"GC": BUSY})
    world.prepare(plugin)
    config = {**_config(world, plugin, stub, NEWEST), "cni.dev/valid-attachments": []}
    error_of(world.call(plugin, "GC", config, path=stub.path), BUSY["code"])


@case("S2.status-calls-delegate", "STATUS calls the delegate's STATUS; its error is ours", "SPEC 4", plugins=STUBBED,
      values={"ready": None, "not-ready": {**BUSY, "code": 50}})
def status_calls_delegate(world, plugin, value):
    stub = world.stub(errors={"STATUS": value} if value else None)
    world.prepare(plugin)
    outcome = world.call(plugin, "STATUS", _config(world, plugin, stub, NEWEST), path=stub.path)
    expect(stub.calls, ["STATUS"], "calls of the delegate")
    if value:
        error_of(outcome, 50)
    else:
        silent(outcome)


@case("A1.tap-of-the-host", "ADD with prevResult that lists other interfaces still makes its own", "SPEC 2",
      needs=("bridge",))
def with_previous(world):
    config = world.config("bridge")
    ip("link add cf-host0 type veth peer name cf-peer0")
    config["prevResult"] = {"cniVersion": "1.0.0", "interfaces": [{"name": "cf-host0"}]}
    result = result_of(world.call("bridge", "ADD", config))
    assert "eth0" in [entry["name"] for entry in result["interfaces"]], result
    world.delete("bridge", config)
