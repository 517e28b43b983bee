"""How a test that starts daemons stays the master of all that they start, and waits for them."""

import contextlib
import glob
import os
import subprocess
import sys
import time

from . import kernel

_INSIDE = "--inside"
_CGROUP = "NETCTL_LAB_CGROUP"


def in_own_pid_namespace():
    """The calling script, again, in PID and mount namespaces of its own; returns there, with the mark off sys.argv.

    When the script ends, however it does, the kernel ends every process that was started in it. The groups below
    `cgroup_parent()` are removed then, too.
    """
    if _INSIDE in sys.argv:
        sys.argv.remove(_INSIDE)
        return
    os.environ[_CGROUP] = f"netctl-lab-{os.getpid()}"
    script = [sys.executable, "-B", os.path.abspath(sys.argv[0]), *sys.argv[1:], _INSIDE]
    unshare = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--", *script]
    status = subprocess.run(unshare, preexec_fn=kernel.die_with_parent, check=False).returncode
    _remove_cgroups(os.environ[_CGROUP])
    sys.exit(status)


def cgroup_parent():
    """The path, from the root of the hierarchy, below which a runtime should make its groups."""
    return f"/{os.environ[_CGROUP]}"


def _remove_cgroups(name):
    """cgroup version 1 has a hierarchy for each controller, version 2 a single one."""
    for top in glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}"):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):  # a process that was killed may need a moment more; it stays then
                os.rmdir(folder)


def wait_until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        time.sleep(0.05)
