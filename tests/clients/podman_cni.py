#!/usr/bin/env python3
"""podman with its CNI back end, the one of Debian 12, on our plugins.

Its own default network, the file of the package unchanged; networks that `podman network create` writes; published ports;
addresses by --ip and --mac-address; connect and disconnect; pods; shared namespaces; reload. Judged by raw snapshots.
"""

import json
import os
import re
import shutil
import subprocess

from client import REFERENCE, Lab, fetch, image, say, snapshot
from lab import bin_dir, kernel
from lab.processes import cgroup_parent, in_own_pid_namespace, wait_until

DEFAULT = "/etc/cni/net.d/87-podman-bridge.conflist"
CONF_DIR = "/etc/cni/podman"
# podman's lists name firewall, and its macvlan networks macvlan; the reference's stand in for what this build does not have.
PLUGIN_DIRS = [bin_dir()]
HAS_FIREWALL = os.access(f"{bin_dir()}/firewall", os.X_OK)
if not HAS_FIREWALL or not os.access(f"{bin_dir()}/macvlan", os.X_OK):
    PLUGIN_DIRS.append(REFERENCE)
CONTAINERS_CONF = f"""
[network]
network_backend = "cni"
cni_plugin_dirs = {json.dumps(PLUGIN_DIRS)}
network_config_dir = "{CONF_DIR}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
default_sysctls = []
"""
HOST, OUTSIDE = "192.0.2.1", "192.0.2.2"
WEB = (image.NAME, "httpd", "-f", "-p", "80", "-h", "/www")


def podman(*arguments, check=True):
    """Its stdout; without `check` both outputs of a command that has to fail."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert (done.returncode == 0) == check, f"podman {' '.join(arguments)}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stdout if check else done.stdout + done.stderr


def group():
    return "--cgroup-parent", cgroup_parent()


def prepare(lab):
    """podman's settings, an empty storage, and the configuration of its package as the only network."""
    kernel.mount("lab", "/var/lib", "tmpfs", 0, "mode=755")
    os.makedirs(CONF_DIR)
    shutil.copy(DEFAULT, CONF_DIR)
    os.makedirs("/etc/containers", exist_ok=True)
    for path, text in (("/etc/containers/containers.conf", CONTAINERS_CONF),
                       ("/etc/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    os.environ["NETCTL_CONF_DIR"] = CONF_DIR
    # podman's clean-up of a container that ended by itself is conmon's child, and inherits no variable of ours.
    del os.environ["NETCTL_STATE_DIR"]
    lab.runtime.state_dir = None
    image.write("/run/busybox.tar")
    podman("load", "--quiet", "-i", "/run/busybox.tar")
    assert podman("info", "--format", "{{.Host.NetworkBackend}}").strip() == "cni"


class Story:
    def __init__(self, lab):
        self.lab = lab
        self.outside = lab.outside(host_address=HOST)
        podman("run", "--rm", "--network", "none", *group(), image.NAME, "true")
        self.before = snapshot.settled(files=("/run/netns", CONF_DIR))

    def assert_nothing_left(self, note):
        wait_until(lambda: not self.attachments(), f"no attachment is left {note}")
        snapshot.assert_same(self.before, note, patience=10, files=("/run/netns", CONF_DIR), compare=_of_ours)

    def attachments(self):
        return self.lab.runtime.netctl("ps", "--json").expect_ok().json["attachments"]

    def reached_from_everywhere(self, port):
        for page in (fetch(f"http://127.0.0.1:{port}/"), fetch(f"http://{HOST}:{port}/", self.outside)):
            assert "hello from a container" in page, page


def _of_ours(before, after):
    """The difference, without what is not ours and what ends by itself: flows of the test to the host, flows of the internal
    network (nothing is translated there, so none can outlive its meaning), and the chains that the reference's firewall
    never takes away."""
    lines = [line for line in snapshot.diff(before, after)
             if not line[2:].startswith("conntrack ") or "=10." in line and "=10.94." not in line]
    return lines if HAS_FIREWALL else [line for line in lines if not re.search(r"^\+ nft \w+ ip6? filter", line)]


def start(name, *options, command=WEB):
    in_pod = "--pod" in options
    podman("run", "--detach", "--name", name, "--cap-add", "NET_RAW", *([] if in_pod else group()), *options, *command)


def addresses(name, network):
    found = json.loads(podman("inspect", name))[0]["NetworkSettings"]["Networks"][network]
    return found["IPAddress"], found["MacAddress"]


def pings(name, address):
    assert " 0% packet loss" in podman("exec", name, "ping", "-c", "2", "-i", "0.2", "-W", "2", address)


def default_network(story):
    """No network is named: the package's own configuration, bridge, portmap, firewall and tuning."""
    start("d1", "-p", "8088:80")
    start("d2")
    assert addresses("d1", "podman")[0].startswith("10.88."), addresses("d1", "podman")
    pings("d2", addresses("d1", "podman")[0])
    story.reached_from_everywhere(8088)
    podman("rm", "-f", "-t", "0", "d1", "d2")


def own_network(story):
    """network create, then static addresses and ports of all kinds; the published ports survive a reload."""
    podman("network", "create", "--subnet", "10.90.0.0/24", "--gateway", "10.90.0.1", "labnet")
    start("w1", "--network", "labnet", "-p", "8090:80")
    start("w2", "--network", "labnet", "--ip", "10.90.0.50", "--mac-address", "02:11:22:33:44:55",
          "-p", "127.0.0.1:8091:80/tcp", "-p", "5399:53/udp")
    assert addresses("w2", "labnet") == ("10.90.0.50", "02:11:22:33:44:55"), addresses("w2", "labnet")
    pings("w1", "10.90.0.50")
    story.reached_from_everywhere(8090)
    assert "hello" in fetch("http://127.0.0.1:8091/")
    refused = story.outside.run(["busybox", "wget", "-q", "-O", "-", f"http://{HOST}:8091/"], check=False)
    assert refused.returncode != 0, "a port published on 127.0.0.1 was reached from another machine"
    assert podman("port", "w1").strip() == "80/tcp -> 0.0.0.0:8090", podman("port", "w1")
    listing = story.lab.runtime.netctl("port").expect_ok().stdout
    assert "8090" in listing and "5399/udp" in listing, listing
    refused = podman("run", "--rm", *group(), "--network", "labnet", "--ip", "10.90.0.50", *WEB, check=False)
    assert "requested address 10.90.0.50 is held by container w2" in refused, refused
    podman("network", "reload", "w1")
    story.reached_from_everywhere(8090)
    podman("rm", "-f", "-t", "0", "w1", "w2")
    podman("network", "rm", "labnet")


def kinds_of_networks(story):
    """Both families with an MTU, and a network that nothing leaves."""
    podman("network", "create", "--ipv6", "--subnet", "10.93.0.0/24", "--subnet", "fd93::/64", "-o", "mtu=1400", "both")
    podman("network", "create", "--internal", "--subnet", "10.94.0.0/24", "inside")
    start("b1", "--network", "both", "-p", "8095:80")
    start("b2", "--network", "both")
    found = podman("exec", "b1", "ip", "addr", "show", "eth0")
    assert "mtu 1400" in found and "inet 10.93.0." in found and "inet6 fd93::" in found, found
    pings("b2", addresses("b1", "both")[0])
    inet6 = re.search(r"inet6 (fd93::[0-9a-f:]+)/64", found).group(1)
    assert " 0% packet loss" in podman("exec", "b2", "ping", "-6", "-c", "1", "-W", "3", inet6)
    story.reached_from_everywhere(8095)
    assert " 0% packet loss" in podman("exec", "b1", "ping", "-c", "1", "-W", "2", OUTSIDE)

    start("i1", "--network", "inside")
    start("i2", "--network", "inside")
    pings("i1", addresses("i2", "inside")[0])
    podman("exec", "i1", "ping", "-c", "1", "-W", "1", OUTSIDE, check=False)
    podman("rm", "-f", "-t", "0", "b1", "b2", "i1", "i2")
    podman("network", "rm", "both", "inside")


def macvlan_network(story):
    """A container that is its own machine on the host's uplink."""
    podman("network", "create", "-d", "macvlan", "-o", "parent=up-outside", "--subnet", "192.0.2.0/24",
           "--ip-range", "192.0.2.128/28", "uplink")
    start("m1", "--network", "uplink")
    address = addresses("m1", "uplink")[0]
    assert address.startswith("192.0.2.1"), address
    pings("m1", OUTSIDE)
    assert "hello from a container" in fetch(f"http://{address}/", story.outside)
    podman("rm", "-f", "-t", "0", "m1")
    podman("network", "rm", "uplink")


def connect_and_disconnect(story):
    """A second network joins and leaves a running container; what the first one published stays."""
    for number, name in ((91, "first"), (92, "second")):
        podman("network", "create", "--subnet", f"10.{number}.0.0/24", name)
    start("w1", "--network", "first", "-p", "8092:80")
    start("w2", "--network", "second")
    podman("network", "connect", "second", "w1")
    assert "eth1" in podman("exec", "w1", "ip", "-4", "addr")
    pings("w1", addresses("w2", "second")[0])
    story.reached_from_everywhere(8092)
    podman("network", "disconnect", "second", "w1")
    assert "eth1" not in podman("exec", "w1", "ip", "link")
    story.reached_from_everywhere(8092)
    podman("rm", "-f", "-t", "0", "w1", "w2")
    podman("network", "rm", "first", "second")


def pods_and_restarts(story):
    """A pod of two containers with a published port; a container in another's namespace; stop and start."""
    podman("pod", "create", *group(), "--name", "pod", "-p", "8093:80", "--infra-image", image.NAME)
    start("p1", "--pod", "pod")
    start("p2", "--pod", "pod", command=(image.NAME, "sleep", "86400"))
    story.reached_from_everywhere(8093)
    assert "hello" in podman("exec", "p2", "wget", "-q", "-O", "-", "http://127.0.0.1/")
    podman("pod", "rm", "-f", "-t", "0", "pod")

    start("s1", "-p", "8094:80")
    start("s2", "--network", "container:s1", command=(image.NAME, "sleep", "86400"))
    assert addresses("s1", "podman")[0] in podman("exec", "s2", "ip", "-4", "addr", "show", "eth0")
    for name in ("s2", "s1"):
        podman("stop", "-t", "0", name)
    story.lab.runtime.netctl("gc").expect_ok()
    podman("start", "s1")
    story.reached_from_everywhere(8094)
    for name in ("s2", "s1"):
        podman("rm", "-f", "-t", "0", name)


def main():
    with Lab(private_trees=("/etc",)) as lab:
        prepare(lab)
        story = Story(lab)
        for part in (default_network, own_network, kinds_of_networks, macvlan_network, connect_and_disconnect,
                     pods_and_restarts):
            part(story)
            story.assert_nothing_left(f"after {part.__name__}")
            say(part.__name__.replace("_", " "))


in_own_pid_namespace()
main()
