"""E10 to E15, E19: what comes through stdin, and what is answered on stdout."""

import contextlib
import json
import signal
import subprocess
import time

from suite import kinds
from suite.registry import case
from suite.world import BASE_VERSION, NEWEST, SCRATCH, error_of, expect, result_of, silent, succeed

DECODE, CONFIG, IO = 6, 7, 5
VERBS = {verb: verb for verb in ("ADD", "DEL", "CHECK", "GC", "STATUS")}
NOT_JSON = {"empty": b"", "blank": b"  \n", "word": b"hello", "open": b'{"cniVersion": "1.0.0"', "comma": b'{"a": 1,}',
            "quote": b"{'name': 'x'}", "bytes": b"\xff\xfe{}", "null-byte": b"\0", "list": b"[]", "text": b'"x"',
            "number": b"7", "two": b'{"name": "a"}{"name": "b"}', "tail": b'{"name": "a"} x'}


def _open_pipe_call(world, plugin, verb, **options):
    """Starts the plugin with a stdin that stays open."""
    environment = world.runtime.environment(verb, "victim", world.victim.netns, "eth0")
    return subprocess.Popen([f"{world.folder}/{plugin}"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


@case("E10.not-json", "{}: what is not a JSON object on stdin: code 6", "SPEC 5", plugins=kinds.every, values=VERBS)
def not_json(world, plugin, value):
    for text in NOT_JSON.values():
        world.refuse(plugin, value, DECODE, stdin=text)


@case("E10.too-deep", "JSON nested 100,000 levels deep: one error, no crash", "ours", plugins=kinds.every)
def too_deep(world, plugin):
    text = b'{"name":"conf","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    world.refuse(plugin, "ADD", DECODE, stdin=text)


@case("E10.too-long", "more than 8 MiB on stdin: one error", "ours", plugins=kinds.every)
def too_long(world, plugin):
    text = json.dumps({**world.config(plugin), "padding": "x" * (9 << 20)}).encode()
    world.refuse(plugin, "ADD", (IO, DECODE, CONFIG), stdin=text)


@case("E10.stdin-fails", "a stdin that cannot be read: code 5", "SPEC 5", plugins=kinds.every)
def stdin_fails(world, plugin):
    environment = world.runtime.environment("ADD", "victim", world.victim.netns, "eth0")
    with open("/dev/null", "wb") as write_only:
        done = subprocess.run([f"{world.folder}/{plugin}"], env=environment, stdin=write_only, capture_output=True,
                              timeout=30, check=False)
    assert done.returncode != 0 and f'"code":{IO}' in done.stdout.decode().replace(" ", ""), done


@case("E10.version-does-not-wait", "VERSION does not wait for the end of stdin", "skel", plugins=kinds.every)
def version_does_not_wait(world, plugin):
    process = _open_pipe_call(world, plugin, "VERSION")
    try:
        assert process.wait(timeout=10) == 0, "VERSION failed"
        assert "supportedVersions" in json.loads(process.stdout.read()), "no versions"
    except subprocess.TimeoutExpired:
        raise AssertionError("VERSION waits for a stdin that stays open") from None
    finally:
        process.kill()
        process.communicate()


@case("E10.in-pieces", "a configuration that comes in pieces is read to its end", "SPEC 2", plugins=kinds.attachable)
def in_pieces(world, plugin):
    world.prepare(plugin)
    process = _open_pipe_call(world, plugin, "ADD")
    text = json.dumps({**world.config(plugin), "padding": ["x" * 100] * 2000}).encode()
    for begin in range(0, len(text), 50_000):
        process.stdin.write(text[begin:begin + 50_000])
        process.stdin.flush()
        time.sleep(0.005)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and json.loads(out), (out, err)
    world.delete(plugin)


@case("E10.white-space", "a configuration with line ends and blanks around it", "SPEC 2", plugins=kinds.attachable)
def white_space(world, plugin):
    world.prepare(plugin)
    text = b" \n\t" + json.dumps(world.config(plugin), indent=8).encode() + b"\r\n\n"
    result_of(world.call(plugin, "ADD", stdin=text))
    silent(world.call(plugin, "DEL", stdin=text))


@case("E11.failure", "a failure is an exit status above 0 and an error object on stdout", "SPEC 2, 5", plugins=kinds.every)
def failure(world, plugin):
    outcome = world.call(plugin, "ADD", stdin=b"{")
    error_of(outcome)
    assert 0 < outcome.rc < 128, outcome.describe()


@case("E12.add-prints-one", "ADD prints one JSON document and nothing else", "SPEC 2", plugins=kinds.attachable)
def add_prints_one(world, plugin):
    assert isinstance(world.add(plugin), dict)
    world.delete(plugin)


@case("E12.others-print-nothing", "{} prints nothing on success", "SPEC 4, 5", plugins=kinds.attachable,
      values={"DEL": "DEL", "CHECK": "CHECK", "GC": "GC", "STATUS": "STATUS"})
def others_print_nothing(world, plugin, value):
    if value in ("DEL", "CHECK"):
        config = world.config(plugin)
        silent(world.call(plugin, value, {**config, "prevResult": world.add(plugin, config)}))
        if value == "CHECK":
            world.delete(plugin)
    else:
        world.prepare(plugin)
        silent(world.call(plugin, value))


@case("E12.signal", "{} in the middle of ADD: one document, and DEL leaves nothing", "ours", needs=("bridge",), values={
    "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGHUP": signal.SIGHUP})
def signal_in_the_middle(world, value):
    before = world.links()
    stub = world.stub(gates=("ADD",))
    environment = world.runtime.environment("ADD", "victim", world.victim.netns, "eth0", path=stub.path)
    config = world.config("bridge", ipam=stub.ipam)
    with subprocess.Popen([f"{world.folder}/bridge"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdin.write(json.dumps(config).encode())
        process.stdin.close()
        stub.wait_for_call("ADD")
        process.send_signal(value)
        with contextlib.suppress(AssertionError):  # the delegate may have gone with a plugin that the signal ended
            stub.open_gate("ADD", patience=3)
        out = process.stdout.read()
        process.wait(timeout=30)
    try:
        answer = json.loads(out)
    except ValueError:
        answer = None
    assert isinstance(answer, dict), f"exit {process.returncode}, stdout {out!r}"
    assert (process.returncode == 0) == ("code" not in answer), f"exit {process.returncode}, stdout {out!r}"
    silent(world.call("bridge", "DEL", config, path=stub.path))
    expect(world.links(world.victim), [], "interfaces in the container")
    expect([name for name in world.links() if name not in before and name != "cni-cf0"], [], "interfaces on the host")


@case("E12.stdout-full", "an ADD whose result cannot be printed fails and is taken back", "ours",
      plugins=kinds.link_makers)
def stdout_full(world, plugin):
    world.prepare(plugin)
    environment = world.runtime.environment("ADD", "victim", world.victim.netns, "eth0")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([f"{world.folder}/{plugin}"], env=environment, input=json.dumps(world.config(plugin)).encode(),
                              stdout=full, stderr=subprocess.PIPE, timeout=30)
    assert done.returncode != 0, "success although nobody got the result"
    expect(world.links(world.victim), [], "interfaces in the container")


@case("E13.error-object", "an error says its cniVersion, and a sentence that helps", "SPEC 5", plugins=kinds.every)
def error_object(world, plugin):
    error = error_of(world.call(plugin, "ADD", world.config(plugin, name="a/b")))
    assert isinstance(error.get("cniVersion"), str) and error["cniVersion"], f"no cniVersion: {error}"
    assert len(error["msg"].split()) >= 3, f"no sentence: {error}"
    assert isinstance(error.get("details", ""), str), f"details is no text: {error}"


@case("E13.version-of-error", "an error of a readable configuration has its cniVersion", "SPEC 5", plugins=kinds.attachable)
def version_of_error(world, plugin):
    for version in ("0.4.0", BASE_VERSION, NEWEST):
        error = error_of(world.call(plugin, "ADD", {**world.config(plugin, version), "prevResult": 7, "ipam": 7}))
        expect(error.get("cniVersion"), version, "cniVersion of the error")


@case("E14.prev-result", "a prevResult that is {}: code 6 or 7", "SPEC 5", plugins=kinds.chained, values={
    "a-number": 7, "a-list": [], "text": "x", "address-without-prefix": {"ips": [{"address": "10.88.0.77"}]},
    "no-address": {"ips": [{"address": "nowhere/24"}]}, "ips-is-an-object": {"ips": {}},
    "unknown-version": {"cniVersion": "9.9.9", "ips": []}})
def prev_result(world, plugin, value):
    world.prepare(plugin)
    world.refuse(plugin, "ADD", (DECODE, CONFIG), world.config(plugin, prevResult=value))


@case("E14.no-prev-result", "a chained plugin without prevResult: code 7, and says why", "SPEC 4", plugins=kinds.chained)
def no_prev_result(world, plugin):
    world.prepare(plugin)
    error = world.refuse(plugin, "ADD", CONFIG, world.config(plugin, prevResult=None))
    assert "prevResult" in error["msg"] or "chained" in error["msg"], error


@case("E14.wrong-types", "keys with values of a wrong type: code 6 or 7", "SPEC 5", plugins=lambda: [
    name for name in kinds.attachable() if kinds.KINDS[name].config])
def wrong_types(world, plugin):
    world.prepare(plugin)
    for key, value in kinds.KINDS[plugin].config.items():
        wrong = [7] if not isinstance(value, list) else "x"
        world.refuse(plugin, "ADD", (DECODE, CONFIG), world.config(plugin, **{key: wrong}))


@case("E14.own-codes", "errors of the plugin's own have codes from 100, or those of the specification", "SPEC 5",
      needs=("bridge", "host-local"))
def own_codes(world):
    pool = {**kinds.POOL, "ranges": [[{"subnet": "10.88.0.0/30"}]]}
    config = world.config("host-local", ipam=pool)
    world.add("host-local", config)
    error = error_of(world.call("host-local", "ADD", config, container_id="second"))
    assert 100 <= error["code"] < 999, f"a full pool: {error}"
    silent(world.call("host-local", "DEL", config))


@case("E15.waits-or-11", "DEL beside a running ADD of the same attachment waits, or says 11", "SPEC 5", needs=("bridge",))
def waits_or_11(world):
    stub = world.stub(gates=("ADD",))
    config = world.config("bridge", ipam=stub.ipam)
    start = lambda verb: subprocess.Popen(
        [f"{world.folder}/bridge"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=world.runtime.environment(verb, "victim", world.victim.netns, "eth0", path=stub.path))
    adding = start("ADD")
    adding.stdin.write(json.dumps(config).encode())
    adding.stdin.close()
    stub.wait_for_call("ADD")
    deleting = start("DEL")
    deleting.stdin.write(json.dumps(config).encode())
    deleting.stdin.close()
    time.sleep(0.05)
    stub.open_gate("ADD")
    answers = [(process.stdout.read(), process.wait(timeout=60)) for process in (adding, deleting)]
    for process in (adding, deleting):
        process.stdout.close()
        process.stderr.close()
    assert answers[0][1] == 0, answers
    out, status = answers[1]
    assert status == 0 or json.loads(out)["code"] == 11, answers
    attached = "eth0" in world.links(world.victim)
    assert not (status == 0 and attached), "DEL succeeded and left the interface"
    silent(world.call("bridge", "DEL", config, path=stub.path))


@case("E19.unknown-keys", "unknown keys are ignored, also unknown ones of cni.dev", "SPEC 1", plugins=kinds.attachable)
def unknown_keys(world, plugin):
    more = {"cni.dev/attachments": [], "cni.dev/something": {"a": [1]}, "example.org/key": None, "x": 1, "disableGC": True,
            "loadOnlyInlinedPlugins": True, "capabilities": {"portMappings": True, "nobody.knows": True}}
    plain = world.add(plugin)
    world.delete(plugin)
    result = result_of(succeed(world.call(plugin, "ADD", world.config(plugin, **more))))
    expect(sorted(result), sorted(plain), "keys of the result")
    world.delete(plugin, world.config(plugin, **more))


@case("E19.big-numbers", "numbers beyond 64 bits in foreign keys do no harm", "ours", plugins=kinds.attachable)
def big_numbers(world, plugin):
    world.prepare(plugin)
    text = json.dumps(world.config(plugin))[:-1] + ', "x": 123456789012345678901234567890, "y": -1e99}'
    result_of(world.call(plugin, "ADD", stdin=text.encode()))
    world.delete(plugin)


@case("E19.trace-variables", "TRACEPARENT and its like in the environment do no harm", "libcni", plugins=kinds.attachable)
def trace_variables(world, plugin):
    trace = {"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "TRACESTATE": "a=b", "BAGGAGE": "c=d"}
    world.add(plugin, env=trace)
    world.delete(plugin, env=trace)
