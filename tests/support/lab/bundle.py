"""OCI bundles with a static busybox, and the runtimes (runc, crun) that run them.

The test must be in a PID namespace of its own (`processes.in_own_pid_namespace`).
"""

import json
import os
import subprocess

from . import kernel, processes

FOLDER = "/run/bundles"
UNIFIED = "/sys/fs/cgroup/unified"


def prepare():
    """A place for bundles where devices work (a Lab's /run has none), and the control groups that both runtimes accept."""
    os.mkdir(FOLDER)
    kernel.mount("lab", FOLDER, "tmpfs", 0, "mode=755")
    if os.path.isdir(UNIFIED):
        # crun refuses a machine with both kinds; in the test's mount namespace one is put away.
        kernel.umount(UNIFIED)


class OciRuntime:
    """runc or crun with its state below /run, where the test's own tmpfs is."""

    def __init__(self, name):
        self.name = name
        self._root = f"/run/{name}-lab"

    def call(self, *arguments, check=True, timeout=60):
        argv = [self.name, "--root", self._root, *arguments]
        # A file, not a pipe: what the container inherits would keep a pipe open.
        with open("/run/oci-output", "w+", encoding="utf-8") as output:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=timeout)
            output.seek(0)
            text = output.read()
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)} -> {done.returncode}: {text}")
        return done.returncode, text

    def run(self, bundle, container, **options):
        return self.call("run", "--detach", "--bundle", bundle, container, **options)

    def inside(self, container, *command):
        return self.call("exec", container, *command)[1]

    def delete(self, container):
        return self.call("delete", "--force", container)


def write(name, command, hooks, annotations=None, netns=None):
    """A bundle below FOLDER that runs `command` in namespaces of its own, or in the network namespace at `netns`."""
    folder = f"{FOLDER}/{name}"
    rootfs = f"{folder}/rootfs"
    for part in ("bin", "dev", "etc", "proc", "sys", "tmp", "www"):
        os.makedirs(f"{rootfs}/{part}")
    _copy_busybox(rootfs)
    with open(f"{rootfs}/www/index.html", "w", encoding="ascii") as file:
        file.write("hello from a bundle\n")
    capabilities = ["CAP_NET_RAW", "CAP_NET_BIND_SERVICE", "CAP_KILL"]
    namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    namespaces.append({"type": "network", "path": netns} if netns else {"type": "network"})
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": command, "cwd": "/",
            "env": ["PATH=/bin"],
            "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "lab",
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "hooks": hooks,
        "annotations": annotations or {},
        "linux": {"namespaces": namespaces, "cgroupsPath": f"{processes.cgroup_parent()}/{name}"},
    }
    with open(f"{folder}/config.json", "w", encoding="ascii") as file:
        json.dump(config, file)
    return folder


def _copy_busybox(rootfs):
    with open("/bin/busybox", "rb") as source, open(f"{rootfs}/bin/busybox", "wb") as target:
        target.write(source.read())
    os.chmod(f"{rootfs}/bin/busybox", 0o755)
    for applet in ("sh", "ip", "ping", "sleep", "httpd", "wget"):
        os.symlink("busybox", f"{rootfs}/bin/{applet}")
