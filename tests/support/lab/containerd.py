"""containerd, started from the machine's packages with everything that it writes to on file systems of the test's own.

The test process must be in a PID namespace of its own (`processes.in_own_pid_namespace`), because what containerd
starts does not end with it, and in a Lab whose /etc is private.
"""

import json
import os
import subprocess

from . import image, kernel
from .plugins import bin_dir
from .processes import wait_until

SOCKET = "/run/containerd/containerd.sock"
METRICS = "127.0.0.1:1338"
PLUGIN_LINK = "/opt/cni/bin"
CONF_DIR = "/etc/cni/net.d"
_UNUSED = ("aufs", "btrfs", "devmapper", "zfs", "native")
_CRI = f"""
[metrics]
  address = "{METRICS}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image.NAME}"
  # The test machine may lack the right to lower an oom_score_adj.
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{PLUGIN_LINK}"
  conf_dir = "{CONF_DIR}"
"""


class Containerd:
    """The daemon. `cri` turns the kubelet's interface on, and loads the image into the kubelet's name space as well."""

    def __init__(self, lab, conflist, cri=False):
        self._lab = lab
        self._process = None
        for folder in ("/var/lib", "/opt"):
            kernel.mount("lab", folder, "tmpfs", 0, "mode=755")
        os.makedirs("/opt/cni")
        os.makedirs(CONF_DIR, exist_ok=True)
        for name in os.listdir(CONF_DIR):
            os.unlink(f"{CONF_DIR}/{name}")
        self.use_plugins(bin_dir())
        self.use_network(conflist)
        os.environ["NETCTL_CONF_DIR"] = CONF_DIR
        disabled = [f"io.containerd.snapshotter.v1.{name}" for name in _UNUSED]
        disabled += [] if cri else ["io.containerd.grpc.v1.cri"]
        with open("/run/containerd.toml", "w", encoding="ascii") as file:
            file.write(f"version = 2\ndisabled_plugins = {json.dumps(disabled)}\n{_CRI if cri else ''}")
        self.start()
        image.write("/run/busybox.tar")
        for namespace in ("default", "k8s.io") if cri else ("default",):
            ctr("--namespace", namespace, "images", "import", "/run/busybox.tar")
        os.unlink("/run/busybox.tar")

    @staticmethod
    def use_plugins(folder):
        """The executables that the next call of a plugin finds."""
        if os.path.lexists(PLUGIN_LINK):
            os.unlink(PLUGIN_LINK)
        os.symlink(folder, PLUGIN_LINK)

    @staticmethod
    def use_network(conflist):
        """Takes the place of the only network there is; CRI follows when it sees the file change."""
        with open(f"{CONF_DIR}/.new", "w", encoding="utf-8") as file:
            json.dump(conflist, file)
        os.rename(f"{CONF_DIR}/.new", f"{CONF_DIR}/10-lab.conflist")

    def start(self):
        with open("/run/containerd.log", "a", encoding="utf-8") as log:
            self._process = self._lab.spawn(["containerd", "--config", "/run/containerd.toml"], stdout=log, stderr=log)
        wait_until(lambda: ctr("version", check=False).returncode == 0, "containerd answers", 60)

    def stop(self, kill=False):
        """Ends the daemon only: its shims, and the containers, live on."""
        (self._process.kill if kill else self._process.terminate)()
        self._process.wait(30)


def ctr(*arguments, check=True, timeout=120):
    done = subprocess.run(["ctr", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"ctr {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done
