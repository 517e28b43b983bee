"""A private "host" (network and mount namespace) for the test process, and containers as real processes beside it."""

import os
import shutil
import signal
import subprocess

from . import kernel
from .kernel import in_netns, namespace_cookie
from .plugins import Runtime

WORK = "/run/lab"
NETNS_FOLDER = "/run/netns"


class Container:
    """A network namespace, bind-mounted under /run/netns as runtimes do, and (on request) a process that lives in it."""

    def __init__(self, name, netns=None, process=True):
        self.name = name
        self.id = name
        self.netns = netns or f"{NETNS_FOLDER}/{name}"
        self.process = None
        if netns is None:
            self._create()
        if process:
            self.process = self.spawn(["sleep", "infinity"])

    def _create(self):
        os.close(os.open(self.netns, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444))
        home = os.open(kernel.OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
        try:
            kernel.unshare(kernel.CLONE_NEWNET)
            try:
                kernel.mount(kernel.OWN_NETNS, self.netns, None, kernel.MS_BIND)
            finally:
                kernel.setns(home)
        finally:
            os.close(home)

    @property
    def pid(self):
        return self.process.pid

    @property
    def cookie(self):
        return namespace_cookie(self.netns)

    def spawn(self, argv, **options):
        """Starts a process in the container; it dies with the test. The caller waits for it (see `remove`)."""
        with in_netns(self.netns):
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=kernel.die_with_parent, **options)

    def run(self, argv, check=True, timeout=30, **options):
        """Runs a command in the container's network; the CompletedProcess has its text output."""
        with in_netns(self.netns):
            return subprocess.run(argv, check=check, timeout=timeout, text=True, capture_output=True, **options)

    def stop_process(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def remove(self):
        """Kills the process and gives up the namespace; the kernel tears it down soon after. May be repeated."""
        self.stop_process()
        if os.path.lexists(self.netns) and self.netns.startswith(NETNS_FOLDER + "/"):
            try:
                kernel.umount(self.netns)
            except OSError:
                pass  # a plain file is left: the namespace was taken away by the test itself
            os.unlink(self.netns)


class Lab:
    """Moves the test process into a private host. Use as a context manager, once a process, before starting threads.

    The new host has: a network namespace with lo up; a mount namespace of its own in which /run is a fresh tmpfs (so
    /run/netns, /run/xtables.lock and the like are private); folders for state and configurations, announced through
    NETCTL_STATE_DIR and NETCTL_CONF_DIR. `private_trees` (say "/etc") become copy-on-write: what is written there is
    seen by this test only. Without `duplicate_detection` the IPv6 addresses of new interfaces are usable at once, which
    saves sweeps a second a round.
    """

    def __init__(self, private_trees=(), loopback_up=True, duplicate_detection=True):
        self.private_trees = private_trees
        self.duplicate_detection = duplicate_detection
        self.loopback_up = loopback_up
        self.containers = []
        self.others = []

    def __enter__(self):
        kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS)
        kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        kernel.mount("lab", "/run", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
        for folder in ("/run/lock", NETNS_FOLDER, WORK, f"{WORK}/conf", f"{WORK}/trees"):
            os.mkdir(folder)
        # Its own mount, and private, as `ip netns` makes it.
        kernel.mount("lab", NETNS_FOLDER, "tmpfs", 0, "mode=755")
        for tree in self.private_trees:
            self._copy_on_write(tree)
        self.state_dir = f"{WORK}/state"
        self.conf_dir = f"{WORK}/conf"
        os.environ["NETCTL_STATE_DIR"] = self.state_dir
        os.environ["NETCTL_CONF_DIR"] = self.conf_dir
        os.environ.pop("NETCTL_LOG", None)
        if self.loopback_up:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        if not self.duplicate_detection:
            with open("/proc/sys/net/ipv6/conf/default/dad_transmits", "w", encoding="ascii") as file:
                file.write("0")
        self.runtime = Runtime(state_dir=self.state_dir)
        return self

    def __exit__(self, *_):
        for container in self.containers + self.others:
            container.remove()

    def _copy_on_write(self, tree):
        base = f"{WORK}/trees/{tree.strip('/').replace('/', '-')}"
        os.makedirs(f"{base}/upper")
        os.makedirs(f"{base}/work")
        kernel.mount("overlay", tree, "overlay", 0, f"lowerdir={tree},upperdir={base}/upper,workdir={base}/work")

    @property
    def store_file(self):
        """live-<boot id>-<cookie>.mdb of this host."""
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot_id = file.read().strip()
        return f"{self.state_dir}/live-{boot_id}-{namespace_cookie()}.mdb"

    def container(self, name, process=True):
        made = Container(name, process=process)
        self.containers.append(made)
        return made

    def remove(self, container):
        container.remove()
        self.containers.remove(container)

    def outside(self, name="outside", host_address="192.0.2.1", address="192.0.2.2", prefix=24):
        """Another machine: a namespace joined to the host by a veth ("up-<name>"), without a route back to containers."""
        machine = Container(name)
        self.others.append(machine)
        link, peer = f"up-{name}"[:15], "eth0"
        run = lambda *argv: subprocess.run(argv, check=True, capture_output=True, text=True)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", machine.netns)
        run("ip", "addr", "add", f"{host_address}/{prefix}", "dev", link)
        run("ip", "link", "set", link, "up")
        machine.run(["ip", "link", "set", "lo", "up"])
        machine.run(["ip", "addr", "add", f"{address}/{prefix}", "dev", peer])
        machine.run(["ip", "link", "set", peer, "up"])
        return machine

    def forget_state(self):
        """Throws the whole state away, as on a machine that never saw the product."""
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def spawn(self, argv, **options):
        """A process on the host's side; it dies with the test."""
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=kernel.die_with_parent, **options)


def stop(process):
    """Ends a process started with `spawn`."""
    process.send_signal(signal.SIGKILL)
    process.wait()
