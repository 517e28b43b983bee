#!/usr/bin/env python3
"""The VLAN keys of `bridge`: in a user-mode-linux machine, whose kernel has bridge VLAN filtering; and on this kernel, which
either has it as well or refuses the keys before anything is changed.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from scenario import Lab, run, snapshot

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 300


def in_a_machine():
    machine = shutil.which("linux.uml")
    assert machine, "user-mode-linux is missing: scripts/packages lists it"
    with tempfile.TemporaryDirectory(prefix="netctl-uml-") as scratch:
        argv = [machine, "mem=384M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={sys.executable}", "con=null",
                "con0=null,fd:1", "con1=null", "quiet", f"uml_dir={scratch}/",
                f"NETCTL_BIN_DIR={os.path.abspath(os.environ['NETCTL_BIN_DIR'])}", "--", f"{HERE}/vlan_inside.py"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=PATIENCE, env={**os.environ, "HOME": scratch, "TMPDIR": scratch}, check=False,
                              errors="replace")
    passed = re.findall(r"^passed (\w+)", done.stdout, re.MULTILINE)
    failed = re.findall(r"^FAILED (\w+)", done.stdout, re.MULTILINE)
    assert not failed and len(passed) == 5 and "the end" in done.stdout, done.stdout[-4000:]
    print("\n".join(f"  {name}" for name in passed))


def on_this_kernel():
    with Lab() as lab:
        able = subprocess.run("ip link add probe type bridge vlan_filtering 1".split(), check=False).returncode == 0
        if able:
            run("ip", "link", "del", "probe")
        before = snapshot.capture()
        box = lab.container("box", process=False)
        for key, value in (("vlan", 100), ("vlanTrunk", [{"id": 7}])):
            config = {"cniVersion": "1.0.0", "name": "tagged", "type": "bridge", "bridge": "br-tagged", key: value}
            outcome = lab.runtime.call("bridge", "ADD", config, box)
            if able:
                outcome.expect_ok()
            else:
                refused = outcome.expect_error(2)
                assert f"the key {key} with value" in refused.json["msg"], refused.json
                assert "CONFIG_BRIDGE_VLAN_FILTERING" in refused.json["msg"], refused.json
            lab.runtime.call("bridge", "DEL", config, box).expect_ok()
            snapshot.assert_same(before, f"{key}, on this kernel")


failures = 0
for play in (on_this_kernel, in_a_machine):
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            play()
        except BaseException as error:  # noqa: B902 (whatever it was, it is this one's failure)
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    failures += status != 0
    print(f"{'FAILED' if status else 'ok':6} {play.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
sys.exit(1 if failures else 0)
