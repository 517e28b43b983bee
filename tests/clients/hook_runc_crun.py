#!/usr/bin/env python3
"""`netctl-hook` under runc and crun: the runtimes' own processes are attached, publish a port, and leave nothing behind.

Then what strangers could give the hook: refused with a sentence, at once, and nothing is changed.
"""

import json
import os
import pathlib
import re
import subprocess
import time

from client import Lab, bridge_conflist, fetch, run, say, snapshot
from lab import bin_dir, bundle
from lab.processes import in_own_pid_namespace, wait_until

HOOK = f"{bin_dir()}/netctl-hook"
NETWORK = "hook-lab"
RUNTIMES = pathlib.Path(__file__).resolve().parents[2] / "conf/runtimes"
EXAMPLE = RUNTIMES / "bundle-config-part.json"
HOOKS_D = RUNTIMES / "oci-hooks.d-netctl.json"
LOG = "/run/hook.log"
PATIENCE = 1.0


def hooks(lab, *arguments):
    """Those of our example, on the executable and the folders of this test."""
    with open(EXAMPLE, encoding="ascii") as file:
        example = json.load(file)["hooks"]
    for hook, in example.values():
        hook.update(path=HOOK, args=hook["args"] + list(arguments), env=[
            f"NETCTL_STATE_DIR={lab.state_dir}", f"NETCTL_CONF_DIR={lab.conf_dir}", f"NETCTL_LOG={LOG}"])
    return example


def example_for_hook_folders():
    """containers-common's format, which podman and CRI-O read: it asks for the same as our example of a bundle."""
    with open(HOOKS_D, encoding="ascii") as file:
        described = json.load(file)
    with open(EXAMPLE, encoding="ascii") as file:
        example = json.load(file)
    (annotation, value), = described["when"]["annotations"].items()
    assert any(re.search(annotation, key) and re.search(value, example["annotations"][key])
               for key in example["annotations"]), annotation
    assert {stage: [described["hook"]] for stage in described["stages"]} == example["hooks"], described


def write_network(lab):
    conflist = bridge_conflist(NETWORK, "10.97.0.0/24", "br-hook", bridge_keys={"isDefaultGateway": True})
    with open(f"{lab.conf_dir}/10-{NETWORK}.conflist", "w", encoding="ascii") as file:
        json.dump(conflist, file)


def bundles(lab, runtime):
    """web is described by its annotations, crawler by the hook's arguments."""
    web = bundle.write(f"{runtime.name}-web", ["httpd", "-f", "-p", "80", "-h", "/www"], hooks(lab), {
        "io.netctl.network": NETWORK, "io.netctl.name": "web", "io.netctl.ip": "10.97.0.80",
        "io.netctl.mac": "02:00:00:00:97:80", "io.netctl.publish": "8097:80, 127.0.0.1:8098:80/tcp",
        "org.example.other": "is not ours",
    })
    crawler = bundle.write(f"{runtime.name}-crawler", ["sleep", "86400"],
                           hooks(lab, "--network", NETWORK, "--name=crawler", "--ifname", "net7"))
    return web, crawler


def works(lab, runtime, web, crawler):
    before = snapshot.capture()
    runtime.run(web, "web-1")
    runtime.run(crawler, "crawler-1")
    assert "10.97.0.80/24" in runtime.inside("web-1", "ip", "addr", "show", "eth0")
    assert "02:00:00:00:97:80" in runtime.inside("web-1", "ip", "link", "show", "eth0")
    assert "default via 10.97.0.1" in runtime.inside("crawler-1", "ip", "route")
    assert " 0% packet loss" in runtime.inside("crawler-1", "ping", "-c", "1", "-W", "5", "10.97.0.80")
    assert "net7" in runtime.inside("crawler-1", "ip", "link")
    wait_until(lambda: "hello" in run("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8097/", check=False),
               "the published port answers")
    assert "hello from a bundle" in fetch("http://127.0.0.1:8098/")
    listing = lab.runtime.netctl("ps").expect_ok().stdout
    assert "web-1" in listing and "crawler" in listing and "alive" in listing, listing
    assert "8097/tcp" in lab.runtime.netctl("port", "web").expect_ok().stdout
    lab.runtime.netctl("check").expect_ok()
    lab.runtime.netctl("gc").expect_ok()
    assert "hello" in fetch("http://127.0.0.1:8097/"), "gc took what lives"
    runtime.delete("web-1")
    assert "8097" not in lab.runtime.netctl("port").expect_ok().stdout
    runtime.delete("crawler-1")
    snapshot.assert_same(before, f"after {runtime.name}")
    assert lab.runtime.netctl("ps", "--json").json["attachments"] == []


def configuration_may_be_gone(lab, runtime, web):
    before = snapshot.capture()
    runtime.run(web, "web-2")
    conf = f"{lab.conf_dir}/10-{NETWORK}.conflist"
    os.rename(conf, f"{conf}.away")
    runtime.delete("web-2")
    os.rename(f"{conf}.away", conf)
    snapshot.assert_same(before, "deleted without its configuration")


def failures_are_told(lab, runtime):
    """A container that cannot be attached is not started, and its runtime shows why."""
    before = snapshot.capture()
    for number, (annotations, sentence) in enumerate((
            ({"io.netctl.network": "nowhere"}, "there is no network nowhere"),
            ({}, "no network is named"),
            ({"io.netctl.network": NETWORK, "io.netctl.ip": "192.0.2.1"}, "192.0.2.1"),
            ({"io.netctl.network": NETWORK, "io.netctl.publsh": "80"}, "unknown annotation io.netctl.publsh"),
            ({"io.netctl.network": NETWORK, "io.netctl.publish": "80:80:80:80"}, "is no address"))):
        folder = bundle.write(f"{runtime.name}-bad{number}", ["sleep", "86400"], hooks(lab), annotations)
        code, text = runtime.run(folder, f"bad-{number}", check=False)
        assert code != 0, f"{annotations}: {text}"
        # crun 1.8 keeps the hook's words to itself: they are in the hook's log.
        if runtime.name == "crun":
            assert "error executing hook" in text, text
            with open(LOG, encoding="utf-8") as file:
                text = file.read()
        assert sentence in text, f"{annotations}: {text}"
        runtime.call("delete", "--force", f"bad-{number}", check=False)
    snapshot.assert_same(before, "after containers that were refused")


def call_hook(lab, payload, *arguments):
    environment = {"NETCTL_STATE_DIR": lab.state_dir, "NETCTL_CONF_DIR": lab.conf_dir}
    began = time.monotonic()
    done = subprocess.run([HOOK, *arguments], input=payload, env=environment, capture_output=True, timeout=30)
    return done, time.monotonic() - began


def state(**keys):
    return json.dumps({"ociVersion": "1.0.2", "id": "x1", "status": "creating", "pid": 0, "bundle": "/run",
                       "annotations": {"io.netctl.network": NETWORK}, **keys}).encode()


def hostile_states(host_pid):
    good = state(pid=host_pid)
    yield from ((good[:cut], "JSON") for cut in (0, 1, len(good) // 2, len(good) - 1))
    yield b"[" * 100000, "deep"
    yield b'{"id": "' + b"x" * (9 << 20) + b'"}', "larger than 8 MiB"
    yield b"null", "must be a JSON object"
    yield b"[]", "must be a JSON object"
    yield state(id=7), "state.id"
    yield state(id=None), "state.id"
    yield state(id="../../etc", pid=host_pid), "containerID"
    yield state(id="x" * 5000, pid=host_pid), ""
    yield state(status=[]), "state.status"
    yield state(status="running", pid=host_pid), "already"
    for pid in (-1, 1.5, "12", 1 << 40):
        yield state(pid=pid), "state.pid"
    for pid in (0, 1):
        yield state(pid=pid), "createRuntime"
    yield state(pid=4194303), "network namespace"
    yield state(pid=host_pid), "namespace"  # the host's own
    yield state(pid=host_pid, annotations=[]), "annotations"
    yield state(pid=host_pid, annotations={"io.netctl.network": 5}), "io.netctl.network"
    yield state(pid=host_pid, annotations={"io.netctl.network": "../../etc/passwd"}), "there is no network"
    yield state(pid=host_pid, annotations={"io.netctl.network": "a\0b"}), ""
    yield state(pid=host_pid, annotations={"io.netctl.network": NETWORK, "io.netctl.name": "a;IP=1.2.3.4"}), "must not have"


def hostile_input(lab):
    process = lab.spawn(["sleep", "infinity"])
    before = snapshot.capture()
    for payload, sentence in hostile_states(process.pid):
        done, seconds = call_hook(lab, payload)
        shown = (payload[:100], done.returncode, done.stderr[:300])
        assert done.returncode == 1 and not done.stdout, shown
        text = done.stderr.decode(errors="replace")
        assert text.startswith("netctl-hook: ") and text.count("\n") == 1 and sentence in text, shown
        assert seconds < PATIENCE, (seconds, shown)
    for arguments in (["--network"], ["network", "x"], ["--netwrk", "x"], ["--network=x", "createRuntime"]):
        done, _ = call_hook(lab, state(pid=4194303), *arguments)
        assert done.returncode == 1 and b"argument" in done.stderr, (arguments, done.stderr)
    # An end that nobody knows of is no failure: runtimes call poststop whatever happened before.
    done, _ = call_hook(lab, state(status="stopped"))
    assert done.returncode == 0 and not done.stdout and not done.stderr, done
    snapshot.assert_same(before, "after hostile input")
    process.kill()
    process.wait()


def main():
    with Lab() as lab:
        write_network(lab)
        example_for_hook_folders()
        bundle.prepare()
        for name in ("runc", "crun"):
            runtime = bundle.OciRuntime(name)
            web, crawler = bundles(lab, runtime)
            works(lab, runtime, web, crawler)
            say(f"{name}: attached, published, detached, nothing left")
            configuration_may_be_gone(lab, runtime, web)
            failures_are_told(lab, runtime)
            say(f"{name}: a container that cannot be attached is not started")
        hostile_input(lab)
        say("hostile input is refused and changes nothing")


in_own_pid_namespace()
main()
