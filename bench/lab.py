"""Private namespaces for the bench: nothing of the machine's own network, /run or rules is ever touched."""

import os
import subprocess
import sys
from pathlib import Path

INSIDE = "NETCTL_BENCH_INSIDE"
NETNS_FOLDER = Path("/run/netns")  # on the private tmpfs


def enter_private_world():
    """Starts this very command again inside network and mount namespaces of its own, once; returns inside of them.

    All namespaces and mounts made later die with the process, whatever way it ends.
    """
    if os.environ.get(INSIDE) == "1":
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        return
    if os.geteuid() != 0:
        sys.exit("bench: needs root (it makes network namespaces)")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private", "--",
                          sys.executable, *sys.argv])


def make_netns(names):
    """Makes network namespaces with lo as the kernel leaves it (down); returns their paths in the same order."""
    script = "".join(f"netns add {name}\n" for name in names)
    subprocess.run(["ip", "-batch", "-"], input=script, text=True, check=True)
    return [NETNS_FOLDER / name for name in names]


def make_host_netns(name):
    """A namespace that plays the host of one contender: lo up, forwarding as on a fresh machine (off)."""
    path = make_netns([name])[0]
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    return path


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def link_exists(netns, name):
    return subprocess.run(["ip", "-n", netns, "link", "show", name], capture_output=True, check=False).returncode == 0


def run_in(netns, argv, **options):
    """Runs a helper (never a measured program) in a namespace."""
    return subprocess.run(["nsenter", f"--net={netns}", "--", *map(str, argv)], check=True, **options)
