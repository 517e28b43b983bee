"""Debian's etcd, unpacked aside so that no service starts, and clusters of it that a test starts, kills and cuts off."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from lab import kernel, trixie  # noqa: E402 (needs the path above)

PACKAGE = "etcd-server"


def unpacked():
    """Path of the executable. To be called where the network of the machine is seen; downloads once."""
    root = trixie.cache_folder() / "etcd"
    program = root / "usr/bin/etcd"
    if program.exists():
        return program
    root.mkdir(parents=True, exist_ok=True)
    for attempt in range(4):
        done = subprocess.run(["apt-get", "download", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=5", PACKAGE],
                              cwd=root, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            break
        time.sleep(3 * attempt)
    assert done.returncode == 0, f"etcd cannot be downloaded: {done.stderr}"
    aside = root / f"unpacking-{os.getpid()}"
    for deb in root.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, aside], check=True, timeout=120)
    program.parent.mkdir(parents=True, exist_ok=True)
    os.replace(aside / "usr/bin/etcd", program)  # at once: tests run side by side
    return program


class Member:
    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.name = f"m{number}"
        self.client_port, self.peer_port = 2379 + 10 * number, 2380 + 10 * number
        self.folder = f"{cluster.folder}/{self.name}"
        self.process = None

    @property
    def url(self):
        return f"{self.cluster.scheme}://{self.cluster.address}:{self.client_port}"

    @property
    def peer_url(self):
        return f"http://127.0.0.1:{self.peer_port}"

    def start(self):
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        argv = [self.cluster.program, "--name", self.name, "--data-dir", self.folder, "--listen-client-urls", self.url,
                "--advertise-client-urls", self.url, "--listen-peer-urls", self.peer_url,
                "--initial-advertise-peer-urls", self.peer_url, "--initial-cluster",
                ",".join(f"{m.name}={m.peer_url}" for m in self.cluster.members), "--heartbeat-interval", "100",
                "--election-timeout", "1000", "--logger", "zap", "--unsafe-no-fsync", *self.cluster.arguments]
        argv = [word for word in argv if word != "--unsafe-no-fsync"]  # 3.4 has it not
        with open(f"{self.cluster.folder}/{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=kernel.die_with_parent)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def freeze(self, signal):
        self.process.send_signal(signal)


class Cluster:
    """`size` members in the caller's network namespace, with their data below `folder`."""

    def __init__(self, program, folder, size=1, address="127.0.0.1", scheme="http", arguments=(), tls=None):
        self.program, self.folder, self.address, self.scheme = str(program), folder, address, scheme
        self.arguments, self.tls = list(arguments), tls
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.members = []
        for number in range(size):
            self.members.append(Member(self, number))

    @property
    def endpoints(self):
        return [member.url for member in self.members]

    def start(self):
        for member in self.members:
            if member.process is None:
                member.start()
        self.wait()
        return self

    def stop(self):
        for member in self.members:
            if member.process is not None:
                member.kill()

    def wait(self, seconds=40):
        """Until every running member answers a linearizable question."""
        deadline = time.monotonic() + seconds
        for member in self.members:
            while member.process is not None:
                try:
                    self.call("kv/range", {"key": encode("x")}, member=member)
                    break
                except OSError:
                    assert time.monotonic() < deadline, f"etcd did not start; see {self.folder}"
                    time.sleep(0.05)

    def call(self, path, body, member=None, timeout=5):
        member = member or next(m for m in self.members if m.process is not None)
        request = urllib.request.Request(f"{member.url}/v3/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=timeout, context=self.tls) as answer:
            return json.load(answer)

    def leader(self):
        for member in self.members:
            if member.process is None:
                continue
            status = self.call("maintenance/status", {}, member=member)
            if status["header"]["member_id"] == status.get("leader"):
                return member
        return None

    def put(self, key, value):
        return int(self.call("kv/put", {"key": encode(key), "value": encode(value)})["header"]["revision"])

    def delete(self, key):
        return int(self.call("kv/deleterange", {"key": encode(key)})["header"]["revision"])

    def keys(self, prefix="/netctl/v1/"):
        """key -> (value, lease), linearizable."""
        last = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.call("kv/range", {"key": encode(prefix), "range_end": encode(last)})
        return {decode(kv["key"]): decode(kv.get("value", "")) for kv in answer.get("kvs", [])}


def encode(text):
    return base64.b64encode(text.encode()).decode()


def decode(text):
    return base64.b64decode(text).decode()
