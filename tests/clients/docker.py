#!/usr/bin/env python3
"""docker.py [KILLS]: dockerd with `netctl` as its network and IPAM driver; daemons are killed, the machine "reboots".

After that the plugin daemon is killed KILLS times (20) while containers come and go, and strangers write to its socket.
"""

import contextlib
import os
import random
import signal
import socket
import stat
import sys
import tempfile
import threading
import time

from client import Lab, fetch, image, run, say, snapshot
from lab import kernel
from lab.docker import Docker, PluginDaemon, unit
from lab.processes import cgroup_parent, in_own_pid_namespace, wait_until

HTTPD = ("httpd", "-f", "-p", "80", "-h", "/www")
PATIENCE = 1.0
SANDBOXES = "/run/docker/netns"
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def attachments(lab):
    return lab.runtime.netctl("ps", "--json").expect_ok().json["attachments"]


def answers(port):
    wait_until(lambda: "hello" in run("busybox", "wget", "-q", "-O", "-", f"http://127.0.0.1:{port}/", check=False),
               f"the published port {port} answers")


def create(docker):
    docker("network", "create", "-d", "netctl", "--ipam-driver", "netctl", "--subnet", "10.92.7.0/24",
           "--aux-address", "printer=10.92.7.2", "-o", "io.netctl.name=lab", "-o", "com.docker.network.driver.mtu=1400",
           "rn")
    shown = docker.inspect("network", "rn")["IPAM"]["Config"][0]
    assert shown["Subnet"] == "10.92.7.0/24", shown
    for arguments, sentence in ((["-o", "x=y"], "option x is not offered"),
                                (["--ipam-opt", "foo=bar"], "foo, which is not offered"),
                                (["--subnet", "10.92.7.128/25"], "overlaps 10.92.7.0/24")):
        text = docker("network", "create", "-d", "netctl", "--ipam-driver", "netctl", *arguments, "refused", check=False)
        assert sentence in text, text


def containers(lab, docker):
    docker.run("r1", "rn", "-p", "8071:80", "-p", "127.0.0.1:8072:80", command=HTTPD)
    docker.run("r2", "rn", "--ip", "10.92.7.77", "--mac-address", "02:42:11:22:33:44", "--cap-add", "NET_RAW")
    answers(8071)
    assert "hello" in fetch("http://127.0.0.1:8072/")
    assert docker.inspect("container", "r1")["NetworkSettings"]["Networks"]["rn"]["IPAddress"] == "10.92.7.3"
    link = docker("exec", "r2", "ip", "addr", "show", "eth0")
    assert "10.92.7.77/24" in link and "02:42:11:22:33:44" in link and "mtu 1400" in link, link
    # What Docker does in the sandbox itself: name, addresses, routes; and IPv6 is off, so that no advertisement matters.
    assert "default via 10.92.7.1" in docker("exec", "r2", "ip", "route")
    assert "UP" in docker("exec", "r2", "ip", "link", "show", "lo")
    assert docker("exec", "r2", "cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6") == "1\n"
    assert " 0% packet loss" in docker("exec", "r2", "ping", "-c", "1", "-W", "5", "10.92.7.3")
    assert " 0% packet loss" in docker("exec", "r2", "ping", "-c", "1", "-W", "5", "r1")  # Docker's own names
    assert len(attachments(lab)) == 2 and "lab" in lab.runtime.netctl("ls").expect_ok().stdout
    assert "8071/tcp" in lab.runtime.netctl("port").expect_ok().stdout
    lab.runtime.netctl("check").expect_ok()
    lab.runtime.netctl("gc").expect_ok()
    assert "hello" in fetch("http://127.0.0.1:8071/"), "gc took what lives"
    text = docker("run", "--rm", "--network", "rn", "-p", "8071:80", image.NAME, "true", check=False)
    assert "8071" in text and "already published" in text, text
    assert len(attachments(lab)) == 2


def further_networks(docker):
    docker("network", "disconnect", "rn", "r2")
    assert "eth0" not in docker("exec", "r2", "ip", "link")
    docker("network", "connect", "rn", "r2")
    docker("network", "create", "-d", "netctl", "--ipam-driver", "netctl", "--internal", "inner")
    docker("network", "connect", "inner", "r2")
    subnet = docker.inspect("network", "inner")["IPAM"]["Config"][0]["Subnet"]
    routes = docker("exec", "r2", "ip", "route")
    assert subnet in routes and routes.count("default") == 1, routes
    docker("network", "disconnect", "inner", "r2")
    docker("network", "create", "-d", "netctl", "--subnet", "10.92.9.0/24", "theirs")  # Docker's own IPAM
    assert "10.92.9.2" in docker("run", "--rm", "--network", "theirs", image.NAME, "ip", "-4", "addr", "show", "eth0")
    docker("network", "create", "-d", "bridge", "--ipam-driver", "netctl", "--subnet", "10.92.8.0/24", "ours")
    assert "10.92.8.2" in docker("run", "--rm", "--network", "ours", image.NAME, "ip", "-4", "addr", "show", "eth0")
    docker("network", "rm", "inner", "theirs", "ours")


def restarts(lab, docker, plugin):
    docker("restart", "--time", "0", "r1")
    answers(8071)
    plugin.kill()
    docker.run("r3", "rn")
    assert "hello" in fetch("http://127.0.0.1:8071/") and len(attachments(lab)) == 3
    docker("rm", "--force", "r3")
    assert plugin.stop() == 0
    plugin.start()
    docker.kill()
    # What dockerd started ends with it or is ended by the next one.
    docker.start()
    assert docker.inspect("network", "rn")["Driver"] == "netctl"
    docker("start", "r1", "r2")
    answers(8071)
    wait_until(lambda: len(attachments(lab)) == 2, "the stale endpoints are gone")
    lab.runtime.netctl("check").expect_ok()


def containers_processes():
    """By their cgroup, below the test's own: what Docker started and a reboot would end."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
            if f"{cgroup_parent()}/" in file.read():
                yield int(pid)


def reboot(lab, docker, plugin):
    """Another boot id, no processes, links or rules: pools, gateways and networks are ours all the same."""
    network = docker.inspect("network", "rn")["Id"]
    docker.kill()
    plugin.process.kill()
    plugin.process.wait()
    for pid in containers_processes():
        os.kill(pid, signal.SIGKILL)
    for name in os.listdir(SANDBOXES):
        with contextlib.suppress(OSError):  # a file without a mount
            kernel.umount(f"{SANDBOXES}/{name}")
        os.unlink(f"{SANDBOXES}/{name}")
    wait_until(lambda: "\nnc" not in run("ip", "-brief", "link"), "the links went with the containers")
    run("ip", "link", "del", "br-" + network[:12])
    run("nft", "delete", "table", "inet", "netctl")
    with open("/run/boot_id", "w", encoding="ascii") as file:
        file.write("11111111-2222-3333-4444-555555555555\n")
    kernel.mount("/run/boot_id", BOOT_ID, None, kernel.MS_BIND)
    plugin.start()
    assert attachments(lab) == []
    status, answer = plugin.call("/IpamDriver.RequestPool", {"AddressSpace": "netctl", "Pool": "10.92.7.0/24"})
    assert status == 200 and "overlaps" in answer["Err"], answer
    status, answer = plugin.call("/IpamDriver.RequestAddress", {
        "PoolID": "netctl/10.92.7.0/24", "Address": "10.92.7.1", "Options": {
            "com.docker.network.endpoint.macaddress": "02:42:00:00:00:01"}})
    assert "Err" in answer, answer
    docker.start()
    docker("start", "r1", "r2")
    answers(8071)
    address = docker.inspect("container", "r1")["NetworkSettings"]["Networks"]["rn"]["IPAddress"]
    assert address not in ("10.92.7.1", "10.92.7.2"), address
    assert len(attachments(lab)) == 2


def kill_at_random(lab, docker, plugin, kills):
    """Containers come and go while the daemon dies under them; Docker asks again."""
    done = threading.Event()
    fates = {"ok": 0, "failed": 0}

    def come_and_go():
        number = 0
        while not done.is_set():
            number += 1
            # Whatever it comes to: Docker may give up a container, but nothing may be left of it.
            text = docker("run", "--rm", "--network", "rn", "-p", "8075:80", image.NAME, "true", check=False)
            fates["failed" if "rror" in text else "ok"] += 1

    worker = threading.Thread(target=come_and_go)
    worker.start()
    chance = random.Random(4)
    for _ in range(kills):
        time.sleep(chance.uniform(0.02, 0.4))
        plugin.kill()
    done.set()
    worker.join()
    stale = docker("ps", "--all", "--quiet", "--filter", "status=created", "--filter", "status=exited").split()
    if stale:
        docker("rm", "--force", *stale)
    lab.runtime.netctl("gc").expect_ok()
    names = {record["network"] for record in attachments(lab)}
    assert len(attachments(lab)) == 2 and names == {"lab"}, attachments(lab)
    assert "8075" not in lab.runtime.netctl("port").expect_ok().stdout
    answers(8071)
    docker.run("r9", "rn", "-p", "8075:80", command=HTTPD)
    answers(8075)
    docker("rm", "--force", "r9")
    say(f"{kills} kills: {fates['ok']} containers ran, {fates['failed']} were refused, nothing is left of any")


ENDPOINT = {"NetworkID": "f" * 64, "EndpointID": "e" * 64, "Options": {},
            "Interface": {"Address": "10.92.7.200/24", "MacAddress": "02:42:00:00:00:99"}}


def refused(plugin, path, document=None, body=None, statuses=(200, 400)):
    began = time.monotonic()
    status, answer = plugin.call(path, document, body)
    seconds = time.monotonic() - began
    shown = (path, document, (body or b"")[:80], status, answer)
    assert status in statuses and answer.get("Err"), shown
    assert seconds < PATIENCE, (seconds, shown)


def hostile_documents(network):
    good = {**ENDPOINT, "NetworkID": network}
    for path in ("CreateNetwork", "DeleteNetwork", "CreateEndpoint", "Join", "Leave", "ProgramExternalConnectivity"):
        for document in ({}, {"NetworkID": 7}, {"NetworkID": None}, {"NetworkID": "../x"},
                         {"NetworkID": "a" * 64, "Options": 5}):
            if path in ("DeleteNetwork", "Leave") and isinstance(document.get("NetworkID"), str):
                continue  # what is not there is gone already
            yield f"/NetworkDriver.{path}", document
    for interface in (None, [], {}, {"Address": "10.92.7.200"}, {"Address": "x/24"},
                      {**good["Interface"], "MacAddress": "x"}, {**good["Interface"], "MacAddress": "01:00:00:00:00:00"}):
        yield "/NetworkDriver.CreateEndpoint", {**good, "Interface": interface}
    for pool in ("x", "10.0.0.0", "10.0.0.1/33", "10.92.0.0/16", 7, []):
        yield "/IpamDriver.RequestPool", {"AddressSpace": "netctl", "Pool": pool}
    yield "/IpamDriver.RequestPool", {"AddressSpace": "other", "Pool": "10.93.0.0/24"}
    yield "/IpamDriver.RequestPool", {"AddressSpace": "netctl", "Pool": "", "SubPool": "10.93.0.0/24"}
    yield "/IpamDriver.RequestPool", {"AddressSpace": "netctl", "Pool": "", "V6": True}
    for address in ("x", "10.93.0.1", "10.92.7.0", "10.92.7.255", "fd00::1", 5):
        yield "/IpamDriver.RequestAddress", {"PoolID": "netctl/10.92.7.0/24", "Address": address, "Options": {
            "com.docker.network.endpoint.macaddress": "02:42:00:00:00:98"}}
    yield "/IpamDriver.RequestAddress", {"PoolID": "nowhere", "Address": ""}


def hostile_namespaces(folder):
    os.mkfifo(f"{folder}/fifo")
    os.symlink("/etc/hostname", f"{folder}/link")
    yield from (f"{folder}/fifo", f"{folder}/link", "", "/", "/dev/zero", "x" * 5000)
    yield from ("/proc/self/ns/mnt", "/proc/self/ns/net")


def hostile_input(lab, docker, plugin):
    mode = os.stat(plugin.path)
    assert stat.S_IMODE(mode.st_mode) == 0o600 and mode.st_uid == 0, oct(mode.st_mode)
    network = docker.inspect("network", "rn")["Id"]
    before = snapshot.capture()
    for path, document in hostile_documents(network):
        refused(plugin, path, document)
    for body in (b"{", b"null", b"[]", b"[" * 100000, b'{"NetworkID": "', b"\xff\xfe"):
        refused(plugin, "/NetworkDriver.Join", body=body, statuses=(400,))
    for path in ("/NetworkDriver.Fly", "/", "/Plugin.Activate/..", "/NetworkDriver.Join?x=y%00"):
        refused(plugin, path, {}, statuses=(200, 404))
    made = {**ENDPOINT, "NetworkID": network}
    assert plugin.call("/NetworkDriver.CreateEndpoint", made)[1].get("Interface") == {}
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        for key in hostile_namespaces(folder):
            refused(plugin, "/NetworkDriver.Join", {**made, "SandboxKey": key})
    for mapping in ({"Proto": 6}, {"Proto": 1, "Port": 80}, {"Port": 70000}, [],
                    {"Port": 80, "HostPort": 1, "HostPortEnd": 9}):
        refused(plugin, "/NetworkDriver.ProgramExternalConnectivity",
                {**made, "Options": {"com.docker.network.portmap": [mapping]}})
    assert plugin.call("/NetworkDriver.DeleteEndpoint", made) == (200, {})
    raw_bytes(plugin)
    snapshot.assert_same(before, "after hostile input")
    answers(8071)


def raw_bytes(plugin):
    """No HTTP, half a request, a body that never comes, one that is far too long: the daemon answers others meanwhile."""
    open_ones = []
    for data in (b"", b"\0" * 4096, b"GET / HTTP/1.1\r\n\r\n", b"POST /Plugin.Activate HTTP/1.1\r\nContent-Le",
                 b"POST /NetworkDriver.Join HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{",
                 b"POST /NetworkDriver.Join HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n{"):
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect(plugin.path)
        stranger.sendall(data)
        open_ones.append(stranger)
    began = time.monotonic()
    assert plugin.call("/Plugin.Activate")[1]["Implements"] == ["NetworkDriver", "IpamDriver"]
    assert time.monotonic() - began < PATIENCE
    for stranger in open_ones:
        stranger.close()


def units_are_as_they_should():
    """The example unit starts the daemon that this test starts, on a socket for root alone."""
    described = unit("netctl-docker.socket")["Socket"]
    assert described["SocketMode"] == "0600" and described["SocketUser"] == "root", dict(described)
    service = unit("netctl-docker.service")
    assert service["Service"]["ExecStart"].endswith("/netctl-docker")
    assert service["Unit"]["Requires"] == "netctl-docker.socket"


def main(kills):
    units_are_as_they_should()
    with Lab(private_trees=("/etc",)) as lab:
        plugin = PluginDaemon(lab)
        docker = Docker(lab)
        docker("run", "--rm", image.NAME, "true")
        wait_until(lambda: "NO-CARRIER" in run("ip", "link", "show", "docker0"), "Docker's own bridge is at rest")
        before = snapshot.capture()
        create(docker)
        snapshot.assert_same(before, "a network without containers")
        assert "10.92.7.0/24" in lab.runtime.netctl("ls").expect_ok().stdout
        containers(lab, docker)
        say("network and containers: created, attached, published")
        further_networks(docker)
        say("connect, disconnect, internal; each driver without the other")
        restarts(lab, docker, plugin)
        say("killed daemons lose nothing")
        hostile_input(lab, docker, plugin)
        say("hostile input is refused and changes nothing")
        kill_at_random(lab, docker, plugin, kills)
        reboot(lab, docker, plugin)
        say("a reboot takes the containers' addresses, and nothing else")
        docker("rm", "--force", "r1", "r2")
        docker("network", "rm", "rn")
        assert attachments(lab) == []
        assert "lab" not in lab.runtime.netctl("ls").expect_ok().stdout
        snapshot.assert_same(before, "at the end")
        status, answer = plugin.call("/IpamDriver.RequestPool", {"AddressSpace": "netctl", "Pool": "10.92.7.0/24"})
        assert "Err" not in answer, f"the pool was not given back: {answer}"
        say("nothing is left")
        docker.stop()
        assert plugin.stop() == 0


in_own_pid_namespace()
main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
