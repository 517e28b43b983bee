"""dockerd of Debian, and our plugin daemon started on a socket as systemd does, all in the test's private host.

The test must be in a PID namespace of its own (`processes.in_own_pid_namespace`) and in a Lab.
"""

import configparser
import http.client
import json
import os
import pathlib
import socket
import subprocess

from . import image, kernel, processes
from .plugins import bin_dir

UNITS = pathlib.Path(__file__).resolve().parents[3] / "conf/systemd"
PROGRAM = f"{bin_dir()}/netctl-docker"
LOG = "/run/netctl-docker.log"


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNITS / name)
    return parser


class PluginDaemon:
    """netctl-docker behind a listening socket that outlives it: whoever connects meanwhile waits, as with systemd."""

    def __init__(self, lab):
        self._lab = lab
        described = unit("netctl-docker.socket")["Socket"]
        self.path = described["ListenStream"]
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        self._listener.bind(self.path)
        os.umask(before)
        os.chmod(self.path, int(described["SocketMode"], 8))
        self._listener.listen(128)
        self.process = None
        self.start()

    def start(self):
        fd = self._listener.fileno()

        def prepare():
            kernel.die_with_parent()
            os.dup2(fd, 3)
            if fd == 3:
                os.set_inheritable(3, True)

        command = ["sh", "-c", 'exec env LISTEN_PID=$$ LISTEN_FDS=1 "$0"', PROGRAM]
        with open(LOG, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False,
                                            env={**os.environ, "NETCTL_LOG": LOG}, preexec_fn=prepare)

    def kill(self):
        """kill -9; the next one starts at once, as the first connection would make it."""
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)

    def call(self, path, document=None, body=None):
        """(HTTP status, answer) of one call, as Docker's client makes it."""
        connection = _UnixConnection(self.path)
        payload = body if body is not None else json.dumps(document).encode() if document is not None else b""
        connection.request("POST", path, payload, {"Accept": "application/vnd.docker.plugins.v1.2+json", "Host": ""})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


class Docker:
    """The daemon, with its data on a file system of the test's own; and its client as a function."""

    def __init__(self, lab):
        self._lab = lab
        self.process = None
        kernel.mount("lab", "/var/lib", "tmpfs", 0, "mode=755")
        os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        self.start()
        image.write("/run/busybox.tar")
        self("load", "--input", "/run/busybox.tar")

    def start(self):
        with open("/run/dockerd.log", "a", encoding="utf-8") as log:
            self.process = self._lab.spawn(
                ["dockerd", "--host", "unix:///run/docker.sock", "--exec-root", "/run/docker", "--pidfile",
                 "/run/docker.pid", "--cgroup-parent", processes.cgroup_parent()], stdout=log, stderr=log)
        try:
            processes.wait_until(lambda: self._client("version", check=False)[0] == 0, "dockerd answers", 20)
        except AssertionError:
            with open("/run/dockerd.log", encoding="utf-8") as log:
                print("".join(log.readlines()[-40:]), flush=True)
            raise

    def kill(self):
        """kill -9. Its containerd dies with it, and is ours to bury: the next dockerd would take it for a living one."""
        with open("/run/docker/containerd/containerd.pid", encoding="ascii") as file:
            containerd = int(file.read())
        self.process.kill()
        self.process.wait()
        os.waitpid(containerd, 0)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def _client(self, *arguments, check=True, timeout=120):
        argv = ["/usr/bin/docker", "--host", "unix:///run/docker.sock", *arguments]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)} -> {done.returncode}: {done.stdout}{done.stderr}")
        return done.returncode, done.stdout + done.stderr

    def __call__(self, *arguments, check=True, **options):
        return self._client(*arguments, check=check, **options)[1]

    def run(self, name, network, *options, command=("sleep", "86400")):
        return self("run", "--detach", "--name", name, "--network", network, *options, image.NAME, *command)

    def inspect(self, kind, name):
        return json.loads(self(kind, "inspect", name))[0]
