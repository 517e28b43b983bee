#!/usr/bin/python3
"""One loopback for two: pods of containerd's CRI, and bundles of runc, of which one lives in the other's network namespace.

mysql serves on 127.0.0.1 and crawler reaches it there. Whoever ends first, and whether DEL came or not: nothing is left.
(Debian's own Python, because grpc is a package of it.)
"""

import json
import os

import cri
from client import Lab, bridge_conflist, say, snapshot
from kubelet import Kubelet
from lab import bundle, kernel
from lab.containerd import Containerd
from lab.processes import in_own_pid_namespace

BLUE = bridge_conflist("blue", "10.91.0.0/24", "br-blue")
SHARE = {"cniVersion": "1.0.0", "name": "share", "plugins": [
    {"type": "container-share", "capabilities": {"io.kubernetes.cri.pod-annotations": True}},
    {"type": "portmap", "capabilities": {"portMappings": True}}]}
PORT = "8306"
SERVER = ("httpd", "-f", "-p", f"127.0.0.1:{PORT}", "-h", "/www")
PAGE = f"http://127.0.0.1:{PORT}/"


def fetched_by(container):
    script = f"for i in $(seq 50); do wget -q -O - {PAGE} && exit 0; sleep 0.2; done; exit 1"
    return container.run("sh", "-c", script)


class Pods:
    def __init__(self, lab, containerd):
        self.lab, self.containerd = lab, containerd
        self.kubelet = Kubelet()
        self.kubelet.wait_ready()
        end(self.kubelet.pod("first", network=cri.NODE))
        self.before = snapshot.settled(files=("/run/netns",))

    def use(self, conflist):
        self.containerd.use_network(conflist)
        self.kubelet.wait_network(conflist["name"])

    def records(self):
        listing = self.lab.runtime.netctl("ps", "--json").expect_ok().json["attachments"]
        return {row["name"]: row for row in listing}

    def pair(self):
        self.use(BLUE)
        mysql = self.kubelet.pod("mysql")
        mysql.container("server", *SERVER)
        self.use(SHARE)
        crawler = self.kubelet.pod("crawler", annotations={"io.netctl.share": "default/mysql"})
        return mysql, crawler

    def assert_nothing_left(self, note):
        assert not self.records(), f"{note}: {self.records()}"
        assert not os.path.exists("/run/netctl"), f"{note}: a pin is left"
        snapshot.assert_same(self.before, note, files=("/run/netns",), compare=without_other_flows)
        assert not self.kubelet.pods(), note


def without_other_flows(before, after):
    return [line for line in snapshot.diff(before, after)
            if not line[2:].startswith("conntrack ") or "=10.91." in line]


def end(*pods):
    for pod in pods:
        pod.stop()
        pod.stop()
        pod.remove()


def one_loopback(pods):
    """Both are pods in the eyes of the runtime, with the same address; the sharer ends first."""
    mysql, crawler = pods.pair()
    client = crawler.container("client", "sleep", "86400")
    assert "hello from a container" in fetched_by(client), "127.0.0.1 of the other pod"
    assert crawler.address == mysql.address, (crawler.address, mysql.address)
    assert kernel.namespace_cookie(crawler.netns) == kernel.namespace_cookie(mysql.netns)
    assert pods.records()["crawler"]["shares"]["name"] == "mysql", pods.records()
    end(crawler)
    assert set(pods.records()) == {"mysql"}, pods.records()
    pods.use(BLUE)
    end(mysql)


def owner_ends_first(pods):
    """The crawler keeps its interface and address until its own end."""
    mysql, crawler = pods.pair()
    client = crawler.container("client", "sleep", "86400")
    address = crawler.address
    pods.use(BLUE)
    end(mysql)
    assert pods.records()["mysql"]["state"] == "kept", pods.records()
    assert address in client.run("ip", "addr", "show", "eth0")
    assert " 0% packet loss" in client.run("ping", "-c", "1", "-W", "2", "10.91.0.1")
    pods.use(SHARE)
    end(crawler)


def refused_with_a_reason(pods):
    pods.use(SHARE)
    try:
        pods.kubelet.pod("crawler", annotations={"io.netctl.share": "nobody"})
        raise AssertionError("a pod shares with nobody")
    except cri.Refused as refused:
        assert "no container is called" in refused.text, refused.text


def runc_bundle(lab):
    """The network namespace path of a bundle is one that container-share was called for, as a runtime of its own does."""
    bundle.prepare()
    runc = bundle.OciRuntime("runc")
    before = snapshot.settled()
    mysql, crawler = lab.container("mysql", process=False), lab.container("crawler", process=False)
    lab.runtime.chain_add(BLUE, mysql, args="IgnoreUnknown=1;K8S_POD_NAME=mysql")
    config = {"cniVersion": "1.0.0", "name": "share", "type": "container-share", "netctl": {"share": "mysql"}}
    lab.runtime.call("container-share", "ADD", config, crawler).expect_ok()
    runc.run(bundle.write("mysql", list(SERVER), {}, netns=mysql.netns), "mysql")
    runc.run(bundle.write("crawler", ["sleep", "86400"], {}, netns=crawler.netns), "crawler")
    script = f"for i in $(seq 50); do wget -q -O - {PAGE} && exit 0; sleep 0.2; done; exit 1"
    assert "hello from a bundle" in runc.inside("crawler", "sh", "-c", script)
    state = json.loads(runc.call("state", "crawler")[1])
    running = lab.runtime.call("container-share", "ADD", config, container_id="late",
                               netns=f"/proc/{state['pid']}/ns/net").expect_error(8)
    assert "runs already" in running.json["msg"] or "to be shared" in running.json["msg"], running.describe()
    runc.delete("crawler")
    lab.runtime.call("container-share", "DEL", config, crawler, netns="").expect_ok()
    runc.delete("mysql")
    lab.runtime.chain_del(BLUE, mysql)
    for container in (mysql, crawler):
        lab.remove(container)
    assert not os.path.exists("/run/netctl"), "a pin is left"
    snapshot.assert_same(before, "after the bundles", compare=without_other_flows)


def main():
    with Lab(private_trees=("/etc",)) as lab:
        runc_bundle(lab)
        say("runc bundle")
        containerd = Containerd(lab, BLUE, cri=True)
        pods = Pods(lab, containerd)
        for part in (one_loopback, owner_ends_first, refused_with_a_reason):
            part(pods)
            pods.assert_nothing_left(f"after {part.__name__}")
            say(part.__name__.replace("_", " "))
        containerd.stop()


in_own_pid_namespace()
main()
