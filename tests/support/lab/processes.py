"""How a test that starts daemons stays the master of all that they start, and waits for them."""

import os
import sys
import time

_INSIDE = "--inside"


def in_own_pid_namespace():
    """The calling script, again, in PID and mount namespaces of its own; returns there, with the mark off sys.argv.

    When the script ends, however it does, the kernel ends every process that was started in it.
    """
    if _INSIDE in sys.argv:
        sys.argv.remove(_INSIDE)
        return
    script = [sys.executable, "-B", os.path.abspath(sys.argv[0]), *sys.argv[1:], _INSIDE]
    os.execvp("unshare", ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--", *script])


def wait_until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        time.sleep(0.05)
