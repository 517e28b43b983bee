#!/usr/bin/env python3
"""Another plugin's IPAM under bridge, ptp, macvlan and host-device: started for every verb, and released when
something fails."""

import json
import pathlib

from scenario import expect, main, run

PATH = "/run/lab/foreign"
# Answers as an IPAM does, and writes down what it was asked.
SCRIPT = """#!/usr/bin/env python3
import json, os, sys
config = json.load(sys.stdin)
verb = os.environ["CNI_COMMAND"]
with open("/run/lab/foreign/calls", "a") as calls:
    calls.write(f"{verb} {os.environ.get('CNI_CONTAINERID', '')}\\n")
if config["ipam"].get("fail") == verb:
    print(json.dumps({"cniVersion": "1.0.0", "code": 142, "msg": "the stranger is out of sorts"}))
    sys.exit(1)
if verb == "ADD":
    print(json.dumps({"cniVersion": "1.0.0", "ips": [{"address": config["ipam"]["give"], "gateway": "10.71.0.1"}],
                      "routes": [{"dst": "0.0.0.0/0"}]}))
"""
KINDS = {"bridge": {"bridge": "br-strange"}, "ptp": {}, "macvlan": {"master": "up-outside"},
         "host-device": {"device": "spare"}}


def install():
    folder = pathlib.Path(PATH)
    folder.mkdir(exist_ok=True)
    (folder / "stranger").write_text(SCRIPT, encoding="ascii")
    (folder / "stranger").chmod(0o755)
    run("ip", "link", "add", "spare", "type", "veth", "peer", "name", "spare-peer")


def calls():
    file = pathlib.Path(PATH, "calls")
    lines = file.read_text(encoding="ascii").split("\n")[:-1] if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def config_for(plugin, version="1.1.0", **ipam):
    return {"cniVersion": version, "name": f"strange-{plugin}", "type": plugin, **KINDS[plugin],
            "ipam": {"type": "stranger", "give": "10.71.0.7/24", **ipam}}


def every_verb_is_passed_on(host):
    install()
    runtime = host.lab.runtime
    for plugin in KINDS:
        box = host.lab.container(f"box-{plugin}", process=False)
        config = config_for(plugin)
        result = runtime.call(plugin, "ADD", config, box, path=PATH).expect_ok().json
        expect([ip["address"] for ip in result["ips"]], ["10.71.0.7/24"], plugin)
        shown = json.loads(box.run(["ip", "-j", "-4", "addr", "show", "eth0"]).stdout)
        expect(shown[0]["addr_info"][0]["local"], "10.71.0.7", f"{plugin}: on the interface")
        runtime.call(plugin, "ADD", config, box, path=PATH).expect_error(105)
        runtime.call(plugin, "CHECK", {**config, "prevResult": result}, box, path=PATH).expect_ok()
        runtime.call(plugin, "STATUS", config, path=PATH, ifname=None).expect_ok()
        keep = {"cni.dev/valid-attachments": [{"containerID": box.id, "ifname": "eth0"}]}
        runtime.call(plugin, "GC", {**config, **keep}, path=PATH, ifname=None).expect_ok()
        box.run(["ip", "link", "show", "eth0"])
        runtime.call(plugin, "DEL", config, box, path=PATH, netns="").expect_ok()
        expect(calls(), [f"ADD {box.id}", f"CHECK {box.id}", "STATUS ", "GC ", f"DEL {box.id}"], plugin)
        host.lab.remove(box)
    run("ip", "link", "del", "spare")


def what_fails_is_released(host):
    install()
    runtime = host.lab.runtime
    for plugin in KINDS:
        box = host.lab.container(f"box-{plugin}", process=False)
        outcome = runtime.call(plugin, "ADD", config_for(plugin, fail="ADD"), box, path=PATH)
        outcome.expect_error(142)
        calls()
        box.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"])
        runtime.call(plugin, "ADD", config_for(plugin), box, path=PATH).expect_error(104)
        # Where the interface comes first it is not asked at all, but told all the same that nothing is wanted.
        asked = [] if plugin in ("bridge", "macvlan") else [f"ADD {box.id}"]
        expect(calls(), [*asked, f"DEL {box.id}"], f"{plugin}: a name that is taken")
        box.run(["ip", "link", "del", "eth0"])
        runtime.call(plugin, "ADD", config_for(plugin), box, path=PATH).expect_ok()
        runtime.call(plugin, "DEL", config_for(plugin, fail="DEL"), box, path=PATH).expect_error(142)
        gone = box.run(["ip", "link", "show", "eth0"], check=False).returncode != 0
        expect(gone, True, f"{plugin}: our own part of DEL, whatever the delegate says")
        calls()
        host.lab.remove(box)
    run("ip", "link", "del", "spare")


main(every_verb_is_passed_on, what_fails_is_released)
