"""S1 to S6: STATUS says whether an ADD could be served."""

import json
import os
import pathlib
import subprocess
import time

from lab import snapshot
from suite import kinds
from suite.registry import case
from suite.world import NEWEST, SCRATCH, error_of, expect, silent

NOT_READY = (50, 51)
POOL_OF_ONE = {**kinds.POOL, "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.7", "rangeEnd": "10.88.0.7"}]]}
LEASERS = lambda: [name for name in kinds.attachable() if kinds.KINDS[name].config.get("ipam") == kinds.POOL]


@case("S1.ready", "STATUS of a plugin that can serve: exit 0 and silence", "SPEC 4", plugins=kinds.attachable)
def ready(world, plugin):
    world.prepare(plugin)
    silent(world.call(plugin, "STATUS"))


@case("S1.while-attached", "STATUS is ready while containers are attached", "SPEC 4", plugins=kinds.attachable)
def while_attached(world, plugin):
    config = world.config(plugin, NEWEST)
    world.add(plugin, config)
    silent(world.call(plugin, "STATUS", world.config(plugin, NEWEST, prevResult=None)))
    world.delete(plugin, config)


@case("S1.bad-config", "STATUS with a configuration that no ADD could serve: an error", "SPEC 4", plugins=lambda: [
    name for name in kinds.attachable() if kinds.KINDS[name].config])
def bad_config(world, plugin):
    world.prepare(plugin)
    for key in kinds.KINDS[plugin].config:
        error_of(world.call(plugin, "STATUS", world.config(plugin, NEWEST, **{key: [7]})))


@case("S3.pool-is-full", "STATUS when no address is left: code 50 or 51", "SPEC 4", plugins=LEASERS)
def pool_is_full(world, plugin):
    config = world.config(plugin, NEWEST, ipam=POOL_OF_ONE)
    world.add(plugin, config)
    error_of(world.call(plugin, "STATUS", config), NOT_READY)
    world.delete(plugin, config)
    silent(world.call(plugin, "STATUS", config))


@case("S4.read-only", "STATUS changes nothing, and makes no files", "ours", plugins=kinds.attachable)
def read_only(world, plugin):
    world.prepare(plugin)
    files = lambda: sorted(str(path) for path in pathlib.Path("/run").rglob("*") if not str(path).startswith(SCRATCH))
    before = files()
    with world.unchanged():
        silent(world.call(plugin, "STATUS"))
    expect([name for name in files() if name not in before], [], "new files")


@case("S4.all-of-the-kernel", "STATUS leaves every sysctl, rule and link as it was", "ours", plugins=kinds.attachable)
def all_of_the_kernel(world, plugin):
    world.prepare(plugin)
    before = snapshot.capture()
    world.call(plugin, "STATUS")
    snapshot.assert_same(before, patience=1.0)


@case("S4.does-not-wait", "STATUS does not wait for a running ADD", "ours", needs=("bridge",))
def does_not_wait(world):
    stub = world.stub(gates=("ADD",))
    config = world.config("bridge", NEWEST, ipam=stub.ipam)
    adding = subprocess.Popen([f"{world.folder}/bridge"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL,
                              env=world.runtime.environment("ADD", "victim", world.victim.netns, "eth0", path=stub.path))
    adding.stdin.write(json.dumps(config).encode())
    adding.stdin.close()
    stub.wait_for_call("ADD")
    began = time.monotonic()
    outcome = world.call("bridge", "STATUS", world.config("bridge", NEWEST), timeout=20)
    took = time.monotonic() - began
    stub.open_gate("ADD")
    adding.stdout.read()
    adding.stdout.close()
    adding.wait(timeout=30)
    silent(outcome)
    assert took < 5, f"it took {took:.1f} s"
    silent(world.call("bridge", "DEL", config, path=stub.path))


@case("S5.not-needed", "ADD needs no STATUS before", "SPEC 4", plugins=LEASERS)
def not_needed(world, plugin):
    world.add(plugin)
    world.delete(plugin)


@case("S6.state-cannot-be-written", "STATUS when the state cannot be written: code 50 or 51, and it is named", "ours",
      needs=("bridge",))
def state_cannot_be_written(world):
    os.makedirs(f"{SCRATCH}/full")
    with open(f"{SCRATCH}/full/state", "wb"):
        pass
    error = error_of(world.call("bridge", "STATUS", env={"NETCTL_STATE_DIR": f"{SCRATCH}/full/state/below"}), NOT_READY)
    assert "state" in error["msg"], error
