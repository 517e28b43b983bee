#!/usr/bin/python3
"""containerd's CRI, driven as a kubelet does: the life of pods on our plugins.

Two pods with published ports talk; ports are reached from the host and from another machine; the daemon is restarted, and
killed, between ADD and DEL; the namespace of a pod vanishes before its DEL; every stop is repeated. Judged by raw
snapshots: nothing is left. (Debian's own Python, because grpc is a package of it.)
"""

import json
import os
import signal

import cri
from client import Lab, fetch, run, say, snapshot
from kubelet import Kubelet
from lab import kernel
from lab.containerd import Containerd
from lab.processes import in_own_pid_namespace, wait_until

CONFLIST = {
    "cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "br-pods", "isGateway": True, "ipMasq": True, "hairpinMode": True,
         "capabilities": {"dns": True, "mac": True, "ipRanges": True, "io.kubernetes.cri.pod-annotations": True},
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.89.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
    ]}
HOST = "192.0.2.1"


class Story:
    def __init__(self, lab, containerd):
        self.lab, self.containerd = lab, containerd
        self.kubelet = Kubelet()
        self.kubelet.wait_ready()
        self.outside = lab.outside(host_address=HOST)
        # What the runtime itself needs once (cgroups, folders) comes with a pod that has no network of ours.
        end(self.kubelet.pod("first", network=cri.NODE))
        self.before = snapshot.settled(files=("/run/netns",))

    def assert_nothing_left(self, note):
        listing = self.lab.runtime.netctl("ps", "--json").expect_ok().json
        assert not listing["attachments"], f"{note}: {listing}"
        snapshot.assert_same(self.before, note, files=("/run/netns",), compare=_without_flows_of_the_host)
        assert not self.kubelet.pods(), note

    def web(self, name, host_port, **options):
        ports = [(host_port, 80, cri.TCP, ""), (host_port, 53, cri.UDP, "127.0.0.1")]
        pod = self.kubelet.pod(name, ports=ports, **options)
        container = pod.container("web", "httpd", "-f", "-p", "80", "-h", "/www")
        wait_until(lambda: container.succeeds("wget", "-q", "-O", "-", "http://127.0.0.1/"), f"{name} serves its page")
        return pod, container


def _without_flows_of_the_host(before, after):
    """The difference, without flows that end at the host itself: those are the test's own and time out by themselves."""
    return [line for line in snapshot.diff(before, after)
            if not line[2:].startswith("conntrack ") or "=10.89." in line]


def end(*pods):
    for pod in pods:
        pod.stop()
        pod.remove()


def pods_talk(story):
    """Two pods with ports; then both end, and every further stop and removal is answered with success."""
    (one, client), (two, _) = story.web("p1", 8080), story.web("p2", 8081)
    assert one.address.startswith("10.89.") and two.address.startswith("10.89."), (one.address, two.address)
    assert " 0% packet loss" in client.run("ping", "-c", "2", "-i", "0.2", "-W", "2", two.address)
    assert "hello from a container" in client.run("wget", "-q", "-O", "-", f"http://{two.address}/")
    for port in (8080, 8081):
        for reached in (fetch(f"http://127.0.0.1:{port}/"), fetch(f"http://{HOST}:{port}/", story.outside)):
            assert "hello from a container" in reached, reached
    assert "hello" in client.run("wget", "-q", "-O", "-", f"http://{HOST}:8080/"), "its own published port, from inside"
    listing = story.lab.runtime.netctl("ps").expect_ok().stdout
    assert "p1" in listing and "p2" in listing, listing
    # The kubelet reads the address from the result that the runtime keeps; resolv.conf comes from the pod's own settings.
    assert "nameserver 10.96.0.10" in client.run("cat", "/etc/resolv.conf")
    one.stop()
    one.stop()
    one.remove()
    one.remove()
    assert "hello" in fetch("http://127.0.0.1:8081/"), "the end of one pod disturbed the other"
    end(two)


def shaped_pods(story):
    """The annotations of a kubelet's pod limit both directions, and only this pod's."""
    shaped, client = story.web("p1", 8080, annotations={"kubernetes.io/ingress-bandwidth": "10M",
                                                        "kubernetes.io/egress-bandwidth": "20M"})
    free, _ = story.web("p2", 8081)
    # tc prints bytes a second; the burst that containerd asks for is far above what a test would send.
    assert sorted(rates()) == [10_000_000 // 8, 20_000_000 // 8], rates()
    assert " 0% packet loss" in client.run("ping", "-c", "1", "-W", "2", free.address)
    assert "hello" in fetch("http://127.0.0.1:8080/")
    shaped.stop()
    assert not rates(), rates()
    end(shaped, free)


def rates():
    return [entry["options"]["rate"] for entry in json.loads(run("tc", "-j", "qdisc", "show")) if entry["kind"] == "tbf"]


def restarted_between(story):
    """The daemon is restarted, then killed, while pods live: they go on, and their end cleans up."""
    (one, client), (two, _) = story.web("p1", 8080), story.web("p2", 8081)
    story.containerd.stop()
    assert "hello" in fetch("http://127.0.0.1:8080/"), "a published port without the daemon"
    story.containerd.start()
    story.kubelet.reconnect()
    assert " 0% packet loss" in client.run("ping", "-c", "1", "-W", "2", two.address)
    story.containerd.stop(kill=True)
    story.containerd.start()
    story.kubelet.reconnect()
    third, _ = story.web("p3", 8082)
    assert len({one.address, two.address, third.address}) == 3, "an address was given twice"
    end(one, two, third)


def vanished_namespace(story):
    """The namespace is gone before DEL: unmounted only, and together with every process of the pod."""
    unmounted, _ = story.web("p1", 8080)
    take_namespace_away(unmounted)
    end(unmounted)
    story.assert_nothing_left("after a pod whose namespace was unmounted")

    crashed, _ = story.web("p2", 8081)
    for pid in processes_in(crashed.netns):
        os.kill(pid, signal.SIGKILL)
    take_namespace_away(crashed)
    again, _ = story.web("p4", 8084)
    end(again, crashed)


def take_namespace_away(pod):
    path = os.path.realpath(pod.netns)
    kernel.umount(path)
    os.unlink(path)


def processes_in(netns):
    inode = os.stat(netns).st_ino
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _netns_inode(pid) == inode]


def _netns_inode(pid):
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def failed_add(story):
    """A port that is taken: the sandbox fails with our sentence, and what its ADD did is undone."""
    holder, _ = story.web("p1", 8080)
    try:
        story.web("p2", 8080)
        raise AssertionError("two pods got the same host port")
    except cri.Refused as refused:
        assert "8080/tcp is already published by container p1" in refused.text, refused.text
    assert "hello" in fetch("http://127.0.0.1:8080/"), "the failed pod took the port away from its holder"
    end(holder)


def main():
    with Lab(private_trees=("/etc",)) as lab:
        containerd = Containerd(lab, CONFLIST, cri=True)
        story = Story(lab, containerd)
        for part in (pods_talk, shaped_pods, restarted_between, vanished_namespace, failed_add):
            part(story)
            story.assert_nothing_left(f"after {part.__name__}")
            say(part.__name__.replace("_", " "))
        containerd.stop()


in_own_pid_namespace()
main()
