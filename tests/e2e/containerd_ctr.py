#!/usr/bin/env python3
"""A real runtime: containerd and runc, started here in private namespaces, run containers on our plugins by `ctr --cni`.

Containers talk to each other, and after they are gone nothing of ours is left. What containerd 1.6 does: a foreground
`ctr run --rm` calls DEL, with an empty CNI_NETNS; a detached container never gets a DEL at all, which is netctl gc's job.
"""

import json
import os
import subprocess
import sys
import time

from scenario import Lab, bridge_conflist, run, snapshot

import busybox_image
from lab import bin_dir, kernel

CONFLIST = bridge_conflist("ctr-lab", "10.99.0.0/24", "br-ctr")


class Containerd:
    """The daemon with everything it writes to on file systems of its own."""

    def __init__(self, lab):
        for folder, options in (("/var/lib", "mode=755"), ("/opt", "mode=755")):
            kernel.mount("lab", folder, "tmpfs", 0, options)
        os.makedirs("/opt/cni")
        os.symlink(bin_dir(), "/opt/cni/bin")
        os.makedirs("/etc/cni/net.d", exist_ok=True)
        for name in os.listdir("/etc/cni/net.d"):
            os.unlink(f"/etc/cni/net.d/{name}")
        with open("/etc/cni/net.d/10-lab.conflist", "w", encoding="ascii") as file:
            json.dump(CONFLIST, file)
        os.environ["NETCTL_CONF_DIR"] = "/etc/cni/net.d"
        with open("/run/containerd.toml", "w", encoding="ascii") as file:
            file.write('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        self.log = open("/run/containerd.log", "w", encoding="utf-8")
        self.process = lab.spawn(["containerd", "--config", "/run/containerd.toml"], stdout=self.log, stderr=self.log)
        wait_until(lambda: ctr("version", check=False).returncode == 0, "containerd to answer")
        busybox_image.write("/run/busybox.tar")
        ctr("images", "import", "/run/busybox.tar")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def ctr(*arguments, check=True):
    done = subprocess.run(["ctr", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError(f"ctr {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done


def wait_until(condition, what, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def inside(container, *command):
    inside.calls += 1
    return ctr("task", "exec", "--exec-id", f"call{inside.calls}", container, *command).stdout


inside.calls = 0


def address_of(container):
    words = inside(container, "ip", "-4", "-o", "addr", "show", "eth0").split()
    return words[words.index("inet") + 1].split("/")[0]


def start(name, *command):
    ctr("run", "--detach", "--cni", busybox_image.NAME, name, *(command or ("sleep", "86400")))


def kill(*names):
    for name in names:
        ctr("task", "rm", "--force", name)
        ctr("containers", "rm", name)


def two_containers_talk(lab):
    start("web", "httpd", "-f", "-p", "8080", "-h", "/www")
    start("crawler")
    address = address_of("web")
    assert address.startswith("10.99.0."), address
    assert "eth0@if" in inside("web", "ip", "link")
    assert " 0% packet loss" in inside("crawler", "ping", "-c", "2", "-i", "0.2", "-W", "2", address)
    assert "hello from a container" in inside("crawler", "wget", "-q", "-O", "-", f"http://{address}:8080/")
    assert "hello" in run("busybox", "wget", "-q", "-O", "-", f"http://{address}:8080/")
    listing = lab.runtime.netctl("ps").expect_ok().stdout
    assert "default-web" in listing and address in listing, listing
    lab.runtime.netctl("gc").expect_ok()
    assert " 0% packet loss" in inside("crawler", "ping", "-c", "1", "-W", "2", address), "gc took what lives"


def detached_containers_need_gc(lab, before):
    """web and crawler of the step before end without a DEL."""
    kill("web", "crawler")
    leftovers = lab.runtime.netctl("ps").expect_ok().stdout
    assert "default-web" in leftovers and "dead" in leftovers, leftovers
    lab.runtime.netctl("gc").expect_ok()
    assert_nothing_left(lab, before, "after detached containers and gc")


def foreground_containers_clean_up(lab, before):
    for number in range(3):
        done = ctr("run", "--rm", "--cni", busybox_image.NAME, f"short{number}", "ip", "-4", "addr", "show", "eth0")
        assert "inet 10.99.0." in done.stdout, done.stdout
        assert_nothing_left(lab, before, f"after foreground container {number}")


def assert_nothing_left(lab, before, note):
    snapshot.assert_same(before, note)
    listing = lab.runtime.netctl("ps", "--json").expect_ok().stdout
    assert "default-" not in listing, listing


def main():
    with Lab(private_trees=("/etc",)) as lab:
        containerd = Containerd(lab)
        # Whatever the runtime's own first container leaves on the host is not ours.
        ctr("run", "--rm", busybox_image.NAME, "first", "true")
        before = snapshot.capture()
        two_containers_talk(lab)
        print("ok: two containers talk")
        detached_containers_need_gc(lab, before)
        print("ok: detached containers leave nothing after netctl gc")
        foreground_containers_clean_up(lab, before)
        print("ok: foreground containers leave nothing by themselves")
        containerd.stop()


if len(sys.argv) > 1 and sys.argv[1] == "--inside":
    main()
else:
    # A PID namespace of its own: when this test ends, however it does, the kernel ends all that containerd started.
    os.execvp("unshare", ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--",
                          sys.executable, "-B", os.path.abspath(__file__), "--inside"])
