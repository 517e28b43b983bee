"""What the tests of real clients share. Imported first: it makes the laboratory importable."""

import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from lab import Lab, bridge_conflist, in_netns, snapshot  # noqa: E402,F401 (needs the path above)
from lab import image  # noqa: E402,F401
from lab.processes import wait_until  # noqa: E402

REFERENCE = "/usr/lib/cni"  # of the package containernetworking-plugins


def run(*argv, timeout=60, check=True):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} -> {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def fetch(url, machine=None):
    """A page, as a process of the host or of another machine asks for it; the server may take a moment to listen."""
    argv = ["busybox", "wget", "-q", "-O", "-", url]
    ask = (lambda: machine.run(argv, check=False)) if machine else (
        lambda: subprocess.run(argv, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL))
    answers = []
    wait_until(lambda: answers.append(ask()) or answers[-1].returncode == 0, f"{url} answers")
    return answers[-1].stdout


def say(what):
    print(f"ok: {what}", flush=True)
