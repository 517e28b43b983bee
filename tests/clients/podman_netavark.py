#!/usr/bin/env python3
"""Podman 5 with netavark, of Debian 13, on `netctl-netavark` as its plugin: networks, containers, published ports.

Then what strangers could give the plugin: one {"error": ...}, at once, and nothing is changed.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import time

from client import Lab, fetch, image, run, say, snapshot
from lab import bin_dir, bundle, kernel, trixie
from lab.processes import in_own_pid_namespace, wait_until

PACKAGES = ("podman", "netavark", "crun", "libmnl0", "libc-bin", "iptables")
PLUGIN = f"{bin_dir()}/netctl-netavark"
PLUGINS = "/opt/netavark-plugins"  # as in the example
EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "conf/runtimes/containers.conf"
IMAGE = image.NAME
PATIENCE = 1.0
CONTAINERS_CONF = f"""
{EXAMPLE.read_text(encoding="ascii")}
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[containers]
log_driver = "k8s-file"
"""


class Podman:
    def __init__(self, debs):
        self.root = "/run/trixie"
        os.mkdir(self.root)
        kernel.mount("lab", self.root, "tmpfs", 0, "mode=755")
        trixie.unpack(debs, self.root)
        trixie.furnish(self.root, visible=(bin_dir(),))
        os.environ.update({"PODMAN_IGNORE_CGROUPSV1_WARNING": "1", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        os.makedirs(f"{self.root}{PLUGINS}")
        for name in ("netctl-bridge", "netctl-container-share", "netctl-none", "netctl-overlay", "netctl-ipvlan"):
            os.symlink(PLUGIN, f"{self.root}{PLUGINS}/{name}")
        os.makedirs(f"{self.root}/etc/containers", exist_ok=True)
        self._write("/etc/containers/containers.conf", CONTAINERS_CONF)
        self._write("/etc/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
        image.write(f"{self.root}/var/tmp/busybox.tar")
        self("load", "--input", "/var/tmp/busybox.tar")

    def _write(self, path, text):
        with open(f"{self.root}{path}", "w", encoding="utf-8") as file:
            file.write(text)

    def __call__(self, *arguments, check=True):
        return trixie.run(self.root, "podman", *arguments, check=check)

    def run(self, name, network, *options, command=("sleep", "86400")):
        return self("run", "--detach", "--name", name, "--cap-add", "NET_RAW", "--network", network, *options, IMAGE,
                    *command)

    def netctl(self, *arguments):
        """Where podman's bind mounts of namespaces are seen."""
        return trixie.run(self.root, f"{bin_dir()}/netctl", *arguments)

    def network(self, name):
        return json.loads(self("network", "inspect", name))[0]


HTTPD = ("httpd", "-f", "-p", "80", "-h", "/www")


def networks(podman):
    podman("network", "create", "--driver", "netctl-bridge", "--subnet", "10.90.5.0/24", "-o", "mtu=1400", "lab")
    lab = podman.network("lab")
    assert lab["network_interface"].startswith("br-") and lab["subnets"][0]["gateway"] == "10.90.5.1", lab
    assert lab["dns_enabled"] is False, lab
    podman("network", "create", "--driver", "netctl-bridge", "auto1")
    podman("network", "create", "--driver", "netctl-bridge", "--internal", "auto2")
    chosen = [podman.network(name)["subnets"][0]["subnet"] for name in ("auto1", "auto2")]
    assert chosen[0] != chosen[1], chosen
    podman("network", "create", "--driver", "netctl-none", "alone")
    for arguments, sentence in ((["--driver", "netctl-ipvlan"], "is not offered"),
                                (["--driver", "netctl-bridge", "-o", "vlan=7"], "vlan is not offered"),
                                (["--driver", "netctl-bridge", "-o", "mtu=big"], "mtu must be a number"),
                                (["--driver", "netctl-bridge", "--ipv6"], "IPv6 subnet")):
        text = podman("network", "create", *arguments, "refused", check=False)
        assert sentence in text and "refused" not in podman("network", "ls"), text


def containers(podman):
    podman.run("web", "lab", "--ip", "10.90.5.80", "-p", "8090:80", "-p", "127.0.0.1:8091:80/tcp", "-p",
               "8100-8102:100-102/udp", command=HTTPD)
    podman.run("crawler", "lab:mac=02:aa:bb:cc:dd:ee,interface_name=net7", "-p", "8093:93")
    wait_until(lambda: "hello" in run("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8090/", check=False),
               "the published port answers")
    assert "hello" in fetch("http://127.0.0.1:8091/") and "hello" in fetch("http://10.90.5.80/")
    assert " 0% packet loss" in podman("exec", "crawler", "ping", "-c", "1", "-W", "5", "10.90.5.80")
    link = podman("exec", "crawler", "ip", "link", "show", "net7")
    assert "02:aa:bb:cc:dd:ee" in link and "mtu 1400" in link, link
    assert "default via 10.90.5.1" in podman("exec", "crawler", "ip", "route")
    shown = json.loads(podman("inspect", "web"))[0]["NetworkSettings"]["Networks"]["lab"]
    assert shown["IPAddress"] == "10.90.5.80" and shown["Gateway"] == "10.90.5.1", shown
    listing = podman.netctl("ps")
    assert "web" in listing and "crawler" in listing and "alive" in listing, listing
    assert "8100-8102/udp" in podman.netctl("port", "web")
    podman.netctl("check")
    podman.netctl("gc")
    podman("network", "reload", "web")
    assert "hello" in fetch("http://127.0.0.1:8090/"), "reload lost a port"


def further_networks(podman):
    podman("network", "connect", "auto2", "crawler")
    routes = podman("exec", "crawler", "ip", "route")
    inside = podman.network("auto2")["subnets"][0]["subnet"]
    assert inside in routes and routes.count("default") == 1, routes
    podman("network", "disconnect", "auto2", "crawler")
    assert inside not in podman("exec", "crawler", "ip", "route")
    podman.run("hermit", "alone")
    assert "eth0" not in podman("exec", "hermit", "ip", "link")
    text = podman("run", "--rm", "--network", "lab", "-p", "8090:80", IMAGE, "true", check=False)
    assert "8090" in text and "in use" in text, text


def shared_namespace(podman):
    """The three situations: a service of another container on 127.0.0.1, on the other's own address, through a port."""
    inside = lambda name, url: podman("exec", name, "wget", "-q", "-O", "-", url, check=False)
    podman("network", "create", "--driver", "netctl-container-share", "-o", "share=web", "beside-web")
    podman("network", "create", "--driver", "netctl-container-share", "beside")
    text = podman("network", "create", "--driver", "netctl-container-share", "-o", "on_owner_exit=x", "refused", check=False)
    assert "keep or release" in text, text
    podman.run("sharer", "beside-web", "-p", "8096:80")
    podman.run("second", "beside:share=sharer")
    for name in ("sharer", "second"):
        assert "hello" in inside(name, "http://127.0.0.1/"), f"{name} does not share web's loopback"
        assert "10.90.5.80" in podman("exec", name, "ip", "addr", "show", "eth0")
    assert "hello" not in inside("crawler", "http://127.0.0.1/") and "hello" in inside("crawler", "http://10.90.5.80/")
    assert "hello" in fetch("http://127.0.0.1:8096/")
    listing = podman.netctl("ps")
    assert "sharer" in listing and "second" in listing, listing
    for arguments, sentence in ((["beside"], "share"), (["beside:share=nobody"], "nobody"), (["lab:share=web"], "share")):
        text = podman("run", "--rm", "--network", *arguments, IMAGE, "true", check=False)
        assert sentence in text and "rror" in text, text
    podman("rm", "--force", "--time", "0", "sharer")
    assert "hello" in inside("second", "http://127.0.0.1/") and "hello" in fetch("http://127.0.0.1:8090/")
    assert "8096" not in podman.netctl("port")
    podman("rm", "--force", "--time", "0", "second")
    podman("network", "rm", "beside", "beside-web")
    podman.netctl("check")


OVERLAY = {"cniVersion": "1.1.0", "name": "pods", "plugins": [{
    "type": "overlay", "vni": 99, "subnets": ["10.244.0.0/16"], "node": "a", "capabilities": {"portMappings": True},
    "nodes": [{"node": "a", "vtep": "192.0.2.1", "blocks": ["10.244.1.0/24"]},
              {"node": "b", "vtep": "192.0.2.2", "blocks": ["10.244.2.0/24"]}]}]}


def overlay(podman):
    """This host's end of an overlay, which a file describes."""
    for name, plugins in (("pods", OVERLAY["plugins"]), ("other", [{"type": "bridge"}])):
        text = json.dumps({**OVERLAY, "name": name, "plugins": plugins})
        pathlib.Path(os.environ["NETCTL_CONF_DIR"], f"{name}.conflist").write_text(text, encoding="ascii")
    create = ["network", "create", "--driver", "netctl-overlay"]
    for options, sentence in (([], "-o network=NAME"), (["-o", "network=nothing"], "nothing"),
                              (["-o", "network=other"], "the one plugin overlay"),
                              (["-o", "network=pods", "--subnet", "10.9.0.0/24"], "leave --subnet out")):
        text = podman(*create, *options, "refused", check=False)
        assert sentence in text and "refused" not in podman("network", "ls"), text
    podman(*create, "-o", "network=pods", "wide")
    podman.run("near", "wide", "-p", "8097:80", command=HTTPD)
    podman.run("second", "wide")
    assert "10.244.1." in podman("exec", "second", "ip", "addr", "show", "eth0")
    address = json.loads(podman("inspect", "near"))[0]["NetworkSettings"]["Networks"]["wide"]["IPAddress"]
    wait_until(lambda: "hello" in podman("exec", "second", "wget", "-q", "-O", "-", f"http://{address}/", check=False),
               "the containers of one node talk")
    assert "hello" in fetch("http://127.0.0.1:8097/")
    assert "10.244.2.0/24" in run("ip", "route") and "id 99 " in run("ip", "-d", "link", "show", "type", "vxlan")
    assert "near" in podman.netctl("ps")
    podman.netctl("check")
    podman("rm", "--force", "--time", "0", "near", "second")
    podman("network", "rm", "wide")


def plugin(lab, payload, *arguments):
    environment = {"NETCTL_STATE_DIR": lab.state_dir, "NETCTL_CONF_DIR": lab.conf_dir}
    began = time.monotonic()
    done = subprocess.run([PLUGIN, *arguments], input=payload, env=environment, capture_output=True, timeout=30)
    return done, time.monotonic() - began


def call(**keys):
    network = {"name": "lab", "id": "ab" * 32, "driver": "netctl-bridge", "network_interface": "br-x", "options": None,
               "subnets": [{"subnet": "10.90.9.0/24", "gateway": "10.90.9.1"}], "internal": False}
    document = {"container_id": "c1", "container_name": "n1", "port_mappings": None, "network": network,
                "network_options": {"interface_name": "eth0", "static_ips": ["10.90.9.9"], "static_mac": None}}
    for path, value in keys.items():
        place, _, key = path.rpartition("__")
        (document[place] if place else document)[key] = value
    return json.dumps(document).encode()


def hostile_calls(netns):
    good = call()
    yield from ((["setup", netns], good[:cut]) for cut in (0, 1, len(good) // 2, len(good) - 1))
    for verb in (["create"], ["setup", netns], ["teardown", netns]):
        yield from ((verb, payload) for payload in (b"null", b"[" * 100000, b'{"a": "' + b"x" * (9 << 20) + b'"}'))
    for key, value in (("container_id", 7), ("container_id", None), ("container_id", "../x"), ("network", []),
                       ("network__name", "a/b"), ("network__name", None), ("network__subnets", {}),
                       ("network__subnets", [{}]), ("network__subnets", [{"subnet": "10.90.9.0/99"}]),
                       ("network__options", {"mtu": 7}), ("network__options", {"x": "y"}),
                       ("network__network_interface", "a/b"), ("network__driver", "netctl-else"),
                       ("network__driver", "netctl-overlay"),
                       ("network__ipam_options", {"driver": "dhcp"}), ("network_options", None),
                       ("network_options__interface_name", "eth/0"), ("network_options__static_ips", "10.90.9.9"),
                       ("network_options__static_ips", ["10.91.9.9"]), ("network_options__static_mac", "01:00:00:00:00:00"),
                       ("network_options__options", {"mode": "x"}), ("port_mappings", {}),
                       ("port_mappings", [{"container_port": 70000}]), ("port_mappings", [{"host_port": 1}]),
                       ("port_mappings", [{"container_port": 1, "host_port": 1, "protocol": "icmp"}])):
        yield ["setup", netns], call(**{key: value})
    yield from ((arguments, call()) for arguments in (["setup"], ["setup", netns, "x"], ["tear"], ["create", "x"], [""]))


def hostile_namespaces(folder):
    os.mkfifo(f"{folder}/fifo")
    os.symlink("/etc/hostname", f"{folder}/link")
    os.symlink("circle", f"{folder}/circle")
    yield from (f"{folder}/{name}" for name in ("fifo", "link", "circle", "missing", "missing/deep"))
    yield from ("", "/", "/dev/zero", "/etc/hostname", "/proc/self/ns/mnt", "/proc/self/ns/net", "x" * 5000)


def refused(outcome, what):
    done, seconds = outcome
    shown = (what, done.returncode, done.stdout[:300], done.stderr[:300])
    assert done.returncode == 1, shown
    assert json.loads(done.stdout)["error"] and done.stdout.count(b"\n") == 1, shown
    assert seconds < PATIENCE, (seconds, shown)


def hostile_input(lab):
    container = lab.container("victim", process=False)
    before, inside = snapshot.capture(), snapshot.capture(container.netns)
    for arguments, payload in hostile_calls(container.netns):
        refused(plugin(lab, payload, *arguments), (arguments, payload[:200]))
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        for path in hostile_namespaces(folder):
            refused(plugin(lab, call(), "setup", path), path)
    done, _ = plugin(lab, call(), "teardown", "/nowhere")
    assert done.returncode == 0 and not done.stdout, done
    snapshot.assert_same(before, "after hostile input")
    snapshot.assert_same(inside, "the container after hostile input", netns=container.netns)
    lab.remove(container)
    assert plugin(lab, b"", "info")[0].stdout.startswith(b"{")


def main():
    began = time.monotonic()
    debs = trixie.downloaded(PACKAGES)
    with Lab() as lab:
        if os.path.isdir(bundle.UNIFIED):
            kernel.umount(bundle.UNIFIED)  # crun refuses machines with both kinds of control groups
        podman = Podman(debs)
        say(f"podman of Debian 13 is ready after {time.monotonic() - began:.0f} s")
        # Whatever podman's own first container leaves on the host is not ours.
        podman("run", "--rm", "--network", "none", IMAGE, "true")
        run("ip", "link", "add", "underlay0", "type", "bridge")
        run("ip", "addr", "add", "192.0.2.1/24", "dev", "underlay0")
        run("ip", "link", "set", "underlay0", "up")
        before = snapshot.settled()
        networks(podman)
        snapshot.assert_same(before, "networks without containers")
        say("networks: created, and refused with a reason")
        containers(podman)
        say("containers: attached, published, reloaded")
        further_networks(podman)
        say("further networks, and a port that is taken")
        shared_namespace(podman)
        say("one namespace for several containers")
        overlay(podman)
        say("this host's end of an overlay")
        podman("rm", "--force", "--time", "0", "web", "crawler", "hermit")
        snapshot.assert_same(before, "after the containers")
        podman("network", "rm", "lab", "auto1", "auto2", "alone")
        assert json.loads(podman.netctl("ps", "--json"))["attachments"] == []
        snapshot.assert_same(before, "after the networks")
        say("nothing is left")
        hostile_input(lab)
        say("hostile input is refused and changes nothing")


in_own_pid_namespace()
main()
