"""What the tests of real clients share. Imported first: it makes the laboratory importable."""

import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from lab import Lab, bridge_conflist, in_netns, snapshot  # noqa: E402,F401 (needs the path above)
from lab import image  # noqa: E402,F401

REFERENCE = "/usr/lib/cni"  # of the package containernetworking-plugins


def run(*argv, timeout=60, check=True):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} -> {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def fetch(url):
    """A page, as a process of the host asks for it."""
    return run("busybox", "wget", "-q", "-O", "-", url, timeout=20)


def say(what):
    print(f"ok: {what}", flush=True)
