#!/usr/bin/env python3
"""host, none and container-share: who reaches whom on 127.0.0.1, with real processes; who leaves first; what is refused."""

import os
import subprocess
import time

import traffic
from lab import kernel
from lab.kernel import namespace_cookie
from scenario import expect, main, network, port, run

VERSION = "1.0.0"
MYSQL = 3306


def share(target=None, *, driver="container-share", name="share", prev_result=None, runtime=None, **own):
    """The configuration of one sharer."""
    config = {"cniVersion": VERSION, "name": name, "type": driver, "netctl": own}
    if target:
        own["share"] = target
    if prev_result is not None:
        config["prevResult"] = prev_result
    if runtime:
        config["runtimeConfig"] = runtime
    return config


def mounts():
    """What is mounted below /run, as the kernel tells it: mount point -> root."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        fields = [line.split() for line in file]
    return {field[4]: field[3] for field in fields if field[4].startswith("/run")}


def add(host, config, container, **options):
    return host.lab.runtime.call(config["type"], "ADD", config, container, **options).expect_ok().json


def delete(host, config, container, **options):
    host.lab.runtime.call(config["type"], "DEL", config, container, **options).expect_ok()


def refused(host, config, container, code, *words, **options):
    """ADD fails with that code, within a second, in a sentence with these words; nothing was changed."""
    before, records = mounts(), rows(host).keys()
    outcome = host.lab.runtime.call(config["type"], "ADD", config, container, **options).expect_error(code)
    assert outcome.seconds < 1, outcome.describe()
    for word in words:
        assert word in outcome.json["msg"], f"{word!r} is missing: {outcome.describe()}"
    expect(mounts(), before, "mounts after a refusal")
    expect(rows(host).keys(), records, "records after a refusal")
    assert not os.path.exists("/run/netctl") or "/run/netctl" in str(before), os.listdir("/run/netctl")


def rows(host, *arguments):
    return {row["containerID"]: row for row in
            host.lab.runtime.netctl("ps", "--json", *arguments).expect_ok().json["attachments"]}


def named(name):
    return f"IgnoreUnknown=1;K8S_POD_NAME={name}"


def three_situations(host):
    """mysql serves on 127.0.0.1. A crawler beside it on the bridge is refused; one that shares its namespace is answered;
    and what the host serves on its own 127.0.0.1 is reached by who lives in the host's namespace only."""
    blue = network("blue", 60)
    mysql = host.attach(blue, "mysql-test", args=named("mysql-test"))
    alone = host.attach(blue, "crawler-alone", args=named("crawler-alone"))
    traffic.tcp_service("mysql", mysql.netns, MYSQL, address="127.0.0.1")
    traffic.tcp_service("on-host", None, 8000, address="127.0.0.1")

    expect(traffic.ask_tcp(mysql.netns, "127.0.0.1", MYSQL), "mysql 127.0.0.1", "mysql, asked by itself")
    for address in ("127.0.0.1", alone.address, mysql.address):
        reached = alone.container.run(["busybox", "nc", "-w", "1", address, str(MYSQL)], check=False)
        assert reached.returncode != 0 and "refused" in reached.stderr, (address, reached)

    crawler, config = host.lab.container("crawler", process=False), share("mysql-test")
    result = add(host, config, crawler, args=named("crawler"))
    expect(result["interfaces"][0]["sandbox"], crawler.netns, "the sandbox of the result")
    expect([entry["address"] for entry in result["ips"]], [f"{mysql.address}/24"], "the addresses of the result")
    expect(result["routes"], [{"dst": "0.0.0.0/0", "gw": "10.60.0.1"}], "the routes of the result")
    process = crawler.spawn(["busybox", "nc", "-w", "2", "127.0.0.1", str(MYSQL)], stdout=subprocess.PIPE)
    expect(process.communicate(timeout=20)[0], b"mysql 127.0.0.1", "a real process of the crawler")
    expect(rows(host)["crawler"]["shares"]["name"], "mysql-test", "netctl ps --json")
    expect(rows(host)["mysql-test"]["sharedBy"], ["crawler"], "netctl ps --json")
    assert "mysql-test (mysql-test)" in host.lab.runtime.netctl("ps").stdout

    tool, config_host = host.lab.container("tool", process=False), share(driver="host", name="host")
    result = add(host, config_host, tool)
    expect(tool.cookie, namespace_cookie(), "the namespace of the tool")
    assert "192.0.2.1/24" in [entry["address"] for entry in result["ips"]], result
    expect(traffic.ask_tcp(tool.netns, "127.0.0.1", 8000), "on-host 127.0.0.1", "the host's service through host")
    expect(traffic.ask_tcp(crawler.netns, "127.0.0.1", 8000), None, "the host's service through a share")
    expect(traffic.ask_tcp(alone.netns, "127.0.0.1", 8000), None, "the host's service from the bridge")
    delete(host, config_host, tool)
    delete(host, config, crawler)
    expect(traffic.ask_tcp(crawler.netns, "127.0.0.1", MYSQL), None, "after DEL the crawler's own namespace is back")
    expect(mounts().keys() & {"/run/netctl"}, set(), "mounts of ours")


def host_says_what_it_means(host):
    """A warning in inspect; ports are discarded, whether `host` or a portmap behind it gets them; CHECK and DEL go well."""
    tool, plain = host.lab.container("tool", process=False), share(driver="host", name="host")
    own = tool.cookie
    ports = {"portMappings": [port(8080, 80)]}
    runtime = host.lab.runtime
    before = run("nft", "list", "ruleset")
    chain = {"cniVersion": VERSION, "name": "host", "plugins": [
        {"type": "host", "capabilities": {"portMappings": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}
    result = runtime.chain_add(chain, tool, runtime_config=ports)
    runtime.chain_check(chain, tool, result, runtime_config=ports)
    expect(run("nft", "list", "ruleset"), before, "rules")
    inspected = runtime.netctl("inspect", "tool").expect_ok().json["attachments"][0]
    expect(inspected["shares"], {"namespace": "host"}, "inspect")
    assert any("127.0.0.1" in line for line in inspected["warnings"]), inspected["warnings"]
    assert any("discarded" in line and "8080->80/tcp" in line for line in inspected["warnings"]), inspected["warnings"]
    # The runtime may run loopback before or after: the host's namespace is no mistake here.
    loopback = {"cniVersion": VERSION, "name": "cni-loopback", "type": "loopback"}
    for verb in ("ADD", "DEL"):
        runtime.call("loopback", verb, loopback, tool, ifname="lo").expect_ok()
    assert "UP" in run("ip", "link", "show", "lo")
    refused(host, plain, host.lab.container("other", process=False), 8, "plugin itself", netns="/proc/self/ns/net")
    runtime.call("loopback", "ADD", loopback, container_id="stranger", netns="/proc/self/ns/net",
                 ifname="lo").expect_error(8)
    runtime.chain_del(chain, tool, runtime_config=ports)
    expect(tool.cookie, own, "the container's own namespace")


def a_sharer_publishes(host):
    """Ports of a sharer lead to the owner's address and go with the sharer; the owner's own ports stay."""
    blue = network("blue", 60)
    owner = host.attach(blue, "web", ports=[port(8080, 80)], args=named("web"))
    traffic.tcp_service("web", owner.netns, 80)
    traffic.tcp_service("metrics", owner.netns, 9100)
    chain = {"cniVersion": VERSION, "name": "share", "plugins": [
        {"type": "container-share", "netctl": {"share": "web"}, "capabilities": {"portMappings": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}
    runtime = host.lab.runtime
    for plugins in (chain["plugins"], chain["plugins"][:1]):
        sidecar = host.lab.container(f"sidecar{len(plugins)}", process=False)
        one = {**chain, "plugins": plugins}
        ports = {"portMappings": [port(9100, 9100)]}
        result = runtime.chain_add(one, sidecar, runtime_config=ports)
        runtime.chain_check(one, sidecar, result, runtime_config=ports)
        expect(traffic.ask_tcp(None, "127.0.0.1", 9100), "metrics 10.60.0.1", "the sharer's port")
        expect(traffic.ask_tcp(host.outside.netns, "192.0.2.1", 9100), "metrics 192.0.2.2", "from outside")
        assert "9100/tcp->9100" in str(host.lab.runtime.netctl("ps").stdout)
        taken = host.lab.container("taken", process=False)
        config = share("web", runtime={"portMappings": [port(8080, 81)]})
        refused(host, config, taken, 103, "8080")
        host.lab.remove(taken)
        runtime.chain_del(one, sidecar, runtime_config=ports)
        expect(traffic.ask_tcp(None, "127.0.0.1", 9100), None, "the sharer's port after its DEL")
        expect(traffic.ask_tcp(None, "127.0.0.1", 8080), "web 10.60.0.1", "the owner's port")


def owner_leaves_first(host):
    """keep: interface, lease and ports stay until the last sharer has left. release: they go at once, with the ports that
    sharers published on the address. CNI GC of the owner's network is a DEL, too."""
    blue = network("blue", 60)
    runtime = host.lab.runtime
    base = mounts()
    for policy, by_gc in (("keep", False), ("keep", True), ("release", False)):
        owner = host.attach(blue, "web", ports=[port(8080, 80)], args=named("web"))
        first, second = (host.lab.container(name, process=False) for name in ("first", "second"))
        configs = {first: share("web", onOwnerExit=policy, runtime={"portMappings": [port(9100, 9100)]}),
                   second: share("web", onOwnerExit="release")}
        for container, config in configs.items():
            add(host, config, container)
        traffic.tcp_service("web", owner.netns, 80)
        traffic.tcp_service("metrics", owner.netns, 9100)
        address = owner.address
        if by_gc:
            runtime.chain_gc(blue, [])
        host.detach(owner)
        if policy == "keep":
            expect(rows(host)["web"]["state"], "kept", "the state of the owner")
            expect(traffic.ask_tcp(None, "127.0.0.1", 8080), "web 10.60.0.1", "the owner's port")
            expect(traffic.ask_tcp(None, "127.0.0.1", 9100), "metrics 10.60.0.1", "the sharer's port")
            other = host.attach(blue, "other")
            assert other.address != address, "the address was given away"
            host.detach(other)
            late = host.lab.container("late", process=False)
            refused(host, share("web"), late, 8, "removed")
            refused(host, share("second"), late, 8, "removed")
            host.lab.remove(late)
        else:
            assert "web" not in rows(host), rows(host)
            expect(run("nft", "list", "ruleset").count("9100"), 0, "rules that lead to a freed address")
            expect(first.run(["ip", "-br", "addr", "show", "eth0"], check=False).stdout, "", "eth0 of the sharers")
        delete(host, configs[second], second)
        assert policy != "keep" or "web" in rows(host)
        delete(host, configs[first], first)
        expect(rows(host), {}, "records")
        for container in (first, second):
            host.lab.remove(container)
        expect(mounts(), base, "mounts")
        assert not os.path.exists("/run/netctl")


def names_and_their_limits(host):
    """Each way to name the target, and each way to get it wrong."""
    blue = network("blue", 60)
    web = host.attach(blue, "aaaa1111", args=named("web"))
    twin = host.attach(blue, "aaaa2222", args=named("twin"))
    web.container.process = web.container.spawn(["sleep", "infinity"])
    box = host.lab.container("box", process=False)
    own = box.cookie
    ways = [(share("aaaa1111"), {}), (share("aaaa1"), {}), (share("web"), {}), (share("container:web"), {}),
            (share(web.netns), {}), (share(f"pid:{web.container.pid}"), {}), (share(str(web.container.pid)), {}),
            (share(), {"args": "SHARE=web"}), (share("twin"), {"args": "SHARE=web"}),
            (share("twin", runtime={"share": "web"}), {"args": "SHARE=twin"}),
            (share(runtime={"io.kubernetes.cri.pod-annotations": {"io.netctl.share": "web"}}), {})]
    for config, options in ways:
        add(host, config, box, **options)
        expect(box.cookie, web.container.cookie, f"{config} {options}")
        expect(rows(host)["aaaa1111"]["sharedBy"], ["box"], f"counted: {config}")
        host.lab.runtime.call("container-share", "ADD", config, box, **options).expect_error(105)
        delete(host, config, box)
        expect(box.cookie, own, "the container's own namespace")
    # A share of a share counts for the owner.
    add(host, share("web"), box)
    chained = host.lab.container("chained", process=False)
    add(host, share("box"), chained)
    expect(sorted(rows(host)["aaaa1111"]["sharedBy"]), ["box", "chained"], "sharers of the owner")
    delete(host, share("web"), box)
    delete(host, share("box"), chained)

    refused(host, share(), box, 7, "netctl.share")
    refused(host, share("nobody"), box, 7, "netctl ps")
    refused(host, share("aaaa"), box, 7, "aaaa1111", "aaaa2222")
    refused(host, share("/proc/self/ns/net"), box, 7, "allowHost")
    refused(host, share("/run/netns/none"), box, 8, "no such file")
    refused(host, share("pid:4194304"), box, 8)
    refused(host, share(box.netns), box, 8, "to be shared")
    refused(host, share("web", unheard=1), box, 2, "unheard")
    refused(host, share("web", onOwnerExit="perhaps"), box, 7, "onOwnerExit")
    refused(host, {**share("web"), "ipam": {"type": "host-local"}}, box, 2, "ipam")
    refused(host, share("web", prev_result={"cniVersion": VERSION, "ips": []}), box, 7, "first in the list")
    add(host, share("/proc/self/ns/net", allowHost=True), box)
    expect(box.cookie, namespace_cookie(), "the host's namespace, allowed")
    delete(host, share("web"), box)

    running = host.lab.container("running")
    refused(host, share("web"), running, 8, "--with-ns network:" + web.netns, netns=f"/proc/{running.pid}/ns/net")
    refused(host, share(driver="host"), running, 8, "--net-host", netns=f"/proc/{running.pid}/ns/net")
    web.container.stop_process()
    # Dead: the path shows another namespace than at ADD, or nothing any more.
    kernel.umount(web.netns)
    refused(host, share("web"), box, 8, "web (aaaa1111)")
    kernel.mount(box.netns, web.netns, None, kernel.MS_BIND)
    refused(host, share("web"), host.lab.container("box2", process=False), 8, "web (aaaa1111)")
    host.attachments.remove(web)
    host.lab.runtime.chain_del(blue, web.container)
    host.detach(twin)


def chained_plugins_leave_the_owner_alone(host):
    """loopback's DEL through the shared path does not lower the owner's lo; bridge does not add to its namespace."""
    blue = network("blue", 60)
    owner = host.attach(blue, "web", args=named("web"))
    box = host.lab.container("box", process=False)
    add(host, share("web"), box)
    inside = owner.container.run(["ip", "-o", "addr"]).stdout
    runtime = host.lab.runtime
    loopback = {"cniVersion": VERSION, "name": "cni-loopback", "type": "loopback"}
    runtime.call("loopback", "ADD", loopback, box, ifname="lo").expect_ok()
    runtime.call("loopback", "CHECK", {**loopback, "prevResult": {"cniVersion": VERSION}}, box, ifname="lo").expect_ok()
    runtime.call("loopback", "DEL", loopback, box, ifname="lo").expect_ok()
    bridge = {**blue["plugins"][0], "name": "share", "cniVersion": VERSION, "prevResult": {"cniVersion": VERSION}}
    runtime.call("bridge", "ADD", bridge, box).expect_error(7)
    runtime.call("bridge", "DEL", bridge, box).expect_ok()
    expect(owner.container.run(["ip", "-o", "addr"]).stdout, inside, "inside the owner")
    delete(host, share("web"), box)
    expect(owner.container.run(["ip", "-o", "addr"]).stdout, inside, "inside the owner")


def none_is_nothing_else(host):
    """CHECK of none finds what is added; loopback's does not care."""
    box = host.lab.container("box", process=False)
    runtime = host.lab.runtime
    config = {"cniVersion": VERSION, "name": "none", "type": "none"}
    result = runtime.call("none", "ADD", config, box).expect_ok().json
    expect([entry["address"] for entry in result["ips"]], ["127.0.0.1/8", "::1/128"], "addresses")
    check = {**config, "prevResult": result}
    runtime.call("none", "CHECK", check, box).expect_ok()
    box.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"])
    outcome = runtime.call("none", "CHECK", check, box).expect_error(107)
    assert "eth0" in outcome.json["msg"], outcome.describe()
    runtime.call("loopback", "CHECK", {**check, "type": "loopback"}, box).expect_ok()
    box.run(["ip", "link", "del", "eth0"])
    box.run(["ip", "link", "set", "lo", "down"])
    for plugin in ("none", "loopback"):
        runtime.call(plugin, "CHECK", check, box).expect_error(107)
    runtime.call("none", "DEL", config, box).expect_ok()


def hostile_namespaces(host):
    """Whatever stands at CNI_NETNS, or is named as the target: code 8 within a second, and nothing is changed."""
    folder = "/run/hostile"
    os.mkdir(folder)
    with open(f"{folder}/file", "w", encoding="ascii"):
        pass
    os.mkfifo(f"{folder}/fifo")
    os.mkdir(f"{folder}/folder")
    os.symlink(f"{folder}/circle", f"{folder}/circle")
    os.symlink(f"{folder}/fifo", f"{folder}/to-fifo")
    with open(f"{folder}/mnt", "w", encoding="ascii"):
        pass
    kernel.mount("/proc/self/ns/uts", f"{folder}/mnt", None, kernel.MS_BIND)
    web = host.attach(network("blue", 60), "web", args=named("web"))
    box = host.lab.container("box", process=False)
    paths = [f"{folder}/{name}" for name in ("file", "fifo", "folder", "circle", "to-fifo", "mnt", "missing")]
    paths += ["/proc/self/ns/mnt", "/proc/self/ns/net", "/dev/zero", "/dev/null", "/etc/passwd", "/" + "x" * 5000]
    for path in paths:
        refused(host, share("web"), None, 8, container_id="hostile", netns=path)
        refused(host, share(driver="host"), None, 8, container_id="hostile", netns=path)
        if path.startswith("/") and path != "/proc/self/ns/net":
            refused(host, share(path), box, 8)
    # A symbolic link to a proper mount is what /var/run is.
    os.symlink(box.netns, f"{folder}/good")
    own = box.cookie
    add(host, share("web"), None, container_id="linked", netns=f"{folder}/good")
    expect(box.cookie, web.container.cookie, "through a symbolic link")
    delete(host, share("web"), None, container_id="linked", netns="")
    expect(box.cookie, own, "through a symbolic link, DEL")
    kernel.umount(f"{folder}/mnt")


def torn_down_without_del(host):
    """The runtime takes its mount and file away and never calls DEL: gc gives the pinned namespace up, and what was kept."""
    blue = network("blue", 60)
    owner = host.attach(blue, "web", args=named("web"))
    box = host.lab.container("box", process=False)
    add(host, share("web"), box)
    host.detach(owner)
    expect(rows(host)["web"]["state"], "kept", "the owner")
    kernel.umount(box.netns)
    os.unlink(box.netns)
    host.lab.runtime.netctl("gc").expect_ok()
    expect(rows(host), {}, "records after gc")
    expect([point for point in mounts() if "netctl" in point], [], "pins")
    assert not os.path.exists("/run/netctl")


def propagation(host):
    """The runtime's folder shared among mount namespaces, and private: in both the container's process sees the exchange."""
    owner = host.attach(network("blue", 60), "web", args=named("web"))
    for flags in (kernel.MS_SHARED, kernel.MS_PRIVATE):
        kernel.mount(None, "/run/netns", None, flags)
        box = host.lab.container("box", process=False)
        own, base = box.cookie, mounts()
        peer = subprocess.Popen(["unshare", "--mount", "--propagation", "unchanged", "sleep", "infinity"])
        while os.readlink(f"/proc/{peer.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
            time.sleep(0.01)
        add(host, share("web"), box)
        expect(box.cookie, owner.container.cookie, "seen from the host")
        elsewhere = namespace_cookie(f"/proc/{peer.pid}/root{box.netns}")
        expect(elsewhere, owner.container.cookie if flags == kernel.MS_SHARED else own, "seen from the other namespace")
        delete(host, share("web"), box)
        expect((box.cookie, mounts()), (own, base), "after DEL")
        peer.kill()
        peer.wait()
        host.lab.remove(box)


if __name__ == "__main__":
    main(three_situations, host_says_what_it_means, a_sharer_publishes, owner_leaves_first, names_and_their_limits,
         chained_plugins_leave_the_owner_alone, none_is_nothing_else, hostile_namespaces, torn_down_without_del, propagation)
