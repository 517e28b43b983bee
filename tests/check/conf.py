#!/usr/bin/env python3
"""conf.py BIN_FOLDER: every file of conf/ is good JSON, names executables that we ship, and attaches a container.

conf/drop-in holds what others ship; those files may share a name, and tests/clients/drop_in.py attaches containers by them.
"""

import json
import os
import re
import subprocess
import sys

from sources import ROOT, project_files

sys.path.insert(0, str(ROOT / "tests/support"))
sys.dont_write_bytecode = True
os.environ["NETCTL_BIN_DIR"] = os.path.abspath(sys.argv[1])

from lab import Lab, snapshot  # noqa: E402 (needs the two lines above)

VALID_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")


def plugins_of(config):
    """A .conflist holds a list of plugins, a .conf is a single one."""
    return config["plugins"] if "plugins" in config else [config]


def check_shape(path, config):
    assert VALID_NAME.match(config["name"]), f"{path}: bad name {config['name']!r}"
    assert re.match(r"^\d+\.\d+\.\d+$", config["cniVersion"]), f"{path}: bad cniVersion"
    for plugin in plugins_of(config):
        for kind in filter(None, [plugin["type"], plugin.get("ipam", {}).get("type")]):
            program = os.path.join(os.environ["NETCTL_BIN_DIR"], kind)
            assert os.access(program, os.X_OK), f"{path}: there is no executable {kind}"


def check_verbs(lab, path, config):
    """Every plugin knows the file's version; those that may be asked for their STATUS are ready."""
    for plugin in plugins_of(config):
        single = {**plugin, "cniVersion": config["cniVersion"], "name": config["name"]}
        known = lab.runtime.call(plugin["type"], "VERSION", {"cniVersion": config["cniVersion"]}).expect_ok()
        versions = known.json["supportedVersions"]
        assert config["cniVersion"] in versions, f"{path}: {plugin['type']} speaks only {versions}"
        if tuple(map(int, config["cniVersion"].split("."))) >= (1, 1, 0):
            lab.runtime.call(plugin["type"], "STATUS", single).expect_ok()


def check_attachment(lab, path, config):
    before = snapshot.capture()
    container = lab.container("conf-" + re.sub(r"\W", "-", os.path.basename(path)).lower())
    name, driver = config["name"], plugins_of(config)[0]["type"]
    if driver == "container-share":
        owner = lab.container("conf-owner")
        shared = plugins_of(config)[0]["netctl"]["share"]
        lab.runtime.netctl("add", "bridge", owner.netns, "--id", owner.id, "--name", shared).expect_ok()
    lab.runtime.netctl("add", name, container.netns, "--id", container.id).expect_ok()
    if driver not in ("loopback", "none"):  # they keep no records that could be compared
        lab.runtime.netctl("check", name, container.id).expect_ok()
    lab.runtime.netctl("del", name, container.id).expect_ok()
    lab.remove(container)
    if driver == "container-share":
        lab.runtime.netctl("del", "bridge", owner.id).expect_ok()
        lab.remove(owner)
    snapshot.assert_same(before)


files = project_files(".conflist", ".conf", ".json")
# What is for the runtimes themselves (conf/runtimes) is loaded by the tests of those runtimes.
files = [path for path in files if path.startswith("conf/") and not path.startswith("conf/runtimes/")]
assert files, "conf/ is empty"
names = {}
with Lab() as lab:
    lab.outside(host_address="192.0.2.1")  # the underlay that conf/overlay.conflist names
    for name in ("eth0", "eth1"):  # devices of the host that the examples name
        subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"wire-{name}"], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    os.environ["NETCTL_CONF_DIR"] = str(ROOT / "conf")
    for path in files:
        config = json.loads((ROOT / path).read_text())
        check_shape(path, config)
        check_verbs(lab, path, config)
        if path.startswith("conf/drop-in/"):
            print(f"{path}: network {config['name']} loaded")
            continue
        assert names.setdefault(config["name"], path) == path, f"{path} and {names[config['name']]} share a name"
        check_attachment(lab, path, config)
        print(f"{path}: network {config['name']} loaded, attached, checked, detached")
