#!/usr/bin/env python3
"""`ctr run --cni`: containerd and runc, started here in private namespaces, run containers on our plugins.

Containers talk to each other, and after they are gone nothing of ours is left. What containerd 1.6 does: a foreground
`ctr run --rm` calls DEL, with an empty CNI_NETNS; a detached container never gets a DEL at all, which is netctl gc's job.
"""

from client import Lab, bridge_conflist, fetch, image, snapshot
from lab.containerd import Containerd, ctr
from lab.processes import cgroup_parent, in_own_pid_namespace

CONFLIST = bridge_conflist("ctr-lab", "10.99.0.0/24", "br-ctr")


def inside(container, *command):
    inside.calls += 1
    return ctr("task", "exec", "--exec-id", f"call{inside.calls}", container, *command).stdout


inside.calls = 0


def address_of(container):
    words = inside(container, "ip", "-4", "-o", "addr", "show", "eth0").split()
    return words[words.index("inet") + 1].split("/")[0]


def launch(name, *options, command=("sleep", "86400")):
    return ctr("run", "--cgroup", f"{cgroup_parent()}/{name}", *options, image.NAME, name, *command).stdout


def start(name, **options):
    launch(name, "--detach", "--cni", **options)


def kill(*names):
    for name in names:
        ctr("task", "rm", "--force", name)
        ctr("containers", "rm", name)


def two_containers_talk(lab):
    start("web", command=("httpd", "-f", "-p", "8080", "-h", "/www"))
    start("crawler")
    address = address_of("web")
    assert address.startswith("10.99.0."), address
    assert "eth0@if" in inside("web", "ip", "link")
    assert " 0% packet loss" in inside("crawler", "ping", "-c", "2", "-i", "0.2", "-W", "2", address)
    assert "hello from a container" in fetch(f"http://{address}:8080/")
    assert "hello from a container" in inside("crawler", "wget", "-q", "-O", "-", f"http://{address}:8080/")
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
        shown = launch(f"short{number}", "--rm", "--cni", command=("ip", "-4", "addr", "show", "eth0"))
        assert "inet 10.99.0." in shown, shown
        assert_nothing_left(lab, before, f"after foreground container {number}")


def assert_nothing_left(lab, before, note):
    snapshot.assert_same(before, note)
    listing = lab.runtime.netctl("ps", "--json").expect_ok().stdout
    assert "default-" not in listing, listing


def main():
    with Lab(private_trees=("/etc",)) as lab:
        containerd = Containerd(lab, CONFLIST)
        # Whatever the runtime's own first container leaves on the host is not ours.
        launch("first", "--rm", command=("true",))
        before = snapshot.capture()
        two_containers_talk(lab)
        print("ok: two containers talk")
        detached_containers_need_gc(lab, before)
        print("ok: detached containers leave nothing after netctl gc")
        foreground_containers_clean_up(lab, before)
        print("ok: foreground containers leave nothing by themselves")
        containerd.stop()


in_own_pid_namespace()
main()
