#!/usr/bin/env python3
"""Positive controls of the harm that the sweeps do: a kill before and after takes and leaves its effect, an injected failure
is seen by the program, and the reference's way of working (a half-made ADD that stays) is caught by the snapshots."""

import json
import os
import subprocess
import sys

from harness import Lab, snapshot, tool
from sweeps import in_child

REPORT = "/run/lab/stepper.json"
MAKE_FOLDER = [sys.executable, "-IS", "-c", "import os; os.mkdir('/run/lab/made'); os.mkdir('/run/lab/second')"]
CHILD = [sys.executable, "-IS", "-c", "import os; os.waitpid(os.fork() or os.mkdir('/run/lab/made') or os._exit(0), 0)"]


def stepped(*mode, command=MAKE_FOLDER):
    done = subprocess.run([tool("stepper"), REPORT, *map(str, mode), *command], check=False, capture_output=True, text=True)
    with open(REPORT, encoding="ascii") as file:
        return done, [json.loads(line) for line in file]


def clean():
    for name in ("made", "second"):
        if os.path.isdir(f"/run/lab/{name}"):
            os.rmdir(f"/run/lab/{name}")


def exists(name):
    return os.path.isdir(f"/run/lab/{name}")


def harm_is_done():
    with Lab():
        done, report = stepped("count")
        assert done.returncode == 0 and exists("made") and exists("second")
        makes = [line["n"] for line in report if line.get("name") == "mkdir"]
        assert [line["detail"] for line in report if line.get("name") == "mkdir"] == ["/run/lab/made", "/run/lab/second"]
        clean()
        done, report = stepped("kill", makes[0])
        assert done.returncode == 137 and not exists("made") and report[-1]["signal"] == 9, "killed before"
        done, report = stepped("kill-after", makes[0])
        assert done.returncode == 137 and exists("made") and not exists("second"), "killed after"
        clean()
        done, _ = stepped("fail", "mkdir#2", 28)
        assert done.returncode == 1 and "No space left" in done.stderr and not exists("second"), done
        clean()
        done, _ = stepped("fail-after", makes[1], 5)
        assert done.returncode == 1 and "Input/output" in done.stderr and exists("second"), done
        clean()
        done, report = stepped("count", command=CHILD)
        assert exists("made") and len({line["pid"] for line in report if "pid" in line}) == 2, "children are followed"
        yield "passed"


def half_made_is_seen():
    """What a killed program left in the kernel shows, although the program itself is gone."""
    with Lab(duplicate_detection=False):
        before = snapshot.settled()
        command = ["/usr/bin/env", "ip", "link", "add", "half0", "type", "bridge"]
        _, report = stepped("count", command=command)
        assert any(line.get("detail", "").endswith(" 16") for line in report), "netlink messages are named"
        assert snapshot.diff(before, snapshot.capture())
        subprocess.run(["ip", "link", "del", "half0"], check=True)
        snapshot.assert_same(before)
        sent = [line["n"] for line in report if line.get("detail", "") == "route: 16"][-1]
        done, _ = stepped("kill-after", sent, command=command)
        assert done.returncode == 137
        lines = snapshot.diff(before, snapshot.capture())
        assert any("link half0" in line for line in lines), lines
        yield "passed"


def main():
    for control in (harm_is_done, half_made_is_seen):
        events = list(in_child(control))
        assert events == ["passed"], f"{control.__name__}: {events}"
        print(f"{control.__name__.replace('_', ' ')}: passed")


if __name__ == "__main__":
    main()
