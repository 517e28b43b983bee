#!/usr/bin/env python3
"""firewall, chained: what containers send passes where the rules of other tools would drop it, and only with the plugin."""

import os
import subprocess
import time

import traffic
from scenario import HOST, OUTSIDE, expect, main, network, port, run, snapshot, who
from lab import kernel
from lab.plugins import Runtime, plugin_config
from traffic import IMPATIENCE, ask_tcp

REFERENCE = "/usr/lib/cni"


def chain(name, number, firewall=None, *, portmap=False, dual_stack=False):
    net = network(name, number, portmap=portmap, dual_stack=dual_stack)
    net["cniVersion"] = "1.1.0"
    if firewall is not None:
        net["plugins"].append({"type": "firewall", **firewall})
    return net


def reaches_outside(attached, patience=5.0):
    return ask_tcp(attached.netns, OUTSIDE, 7070, patience) is not None


def saved():
    """The rules as iptables itself sees them, without counters; it has to be able to print them."""
    texts = []
    for program in ("iptables-save", "ip6tables-save", "iptables-legacy-save"):
        texts += [line.split(" [")[0] for line in run(program).splitlines() if not line.startswith("#")]
    run("nft", "list", "ruleset")
    return texts


def drops_and_lets_pass(host, name, number, prepare, clean_up, firewall=None):
    """With `prepare` done nothing is forwarded (the control); with the plugin chained it is; DEL takes it back."""
    traffic.tcp_service("outside", host.outside.netns, 7070)
    prepare()
    before = saved()
    without = host.attach(chain(f"{name}-no", number), "without")
    expect(reaches_outside(without, IMPATIENCE), False, f"{name}: control, without the plugin")
    net = chain(name, number + 1, firewall or {}, portmap=True)
    web = host.attach(net, "web", [port(8081, 8080)])
    other = host.attach(net, "other")
    traffic.tcp_service("web", web.netns, 8080)
    for attached in (web, other):
        expect(reaches_outside(attached), True, f"{name}: with the plugin")
    expect(who(ask_tcp(host.outside.netns, HOST, 8081)), "web", f"{name}: a published port, from outside")
    expect(reaches_outside(without, IMPATIENCE), False, f"{name}: the other network, still")
    host.lab.runtime.chain_check(net, web.container, web.result, runtime_config=web.runtime_config)
    saved()
    host.detach(other)
    expect(reaches_outside(web), True, f"{name}: after the DEL of another container")
    # As a runtime does that knows nothing any more.
    config = plugin_config(net, net["plugins"][-1])
    for _ in range(2):
        host.lab.runtime.call("firewall", "DEL", config, web.container, netns=None).expect_ok()
    expect(reaches_outside(web, IMPATIENCE), False, f"{name}: after DEL")
    host.detach(web)
    host.detach(without)
    expect(saved(), before, f"{name}: rules before and after")
    clean_up()


def flush(program):
    run(program, "-P", "FORWARD", "ACCEPT")
    run(program, "-F")
    run(program, "-X")


def a_forward_policy_of_iptables(host):
    def clean_up():
        run("nft", "delete", "table", "ip", "filter")
        run("nft", "delete", "table", "ip6", "filter")

    def prepare():
        run("iptables", "-P", "FORWARD", "DROP")
        run("ip6tables", "-P", "FORWARD", "DROP")
    drops_and_lets_pass(host, "policy", 70, prepare, clean_up)


def a_rule_that_rejects(host):
    drops_and_lets_pass(host, "reject", 72,
                        lambda: run("iptables", "-A", "FORWARD", "-j", "REJECT"),
                        lambda: run("nft", "delete", "table", "ip", "filter"))


def beside_docker(host):
    """The chains that dockerd makes, as far as they concern forwarding."""
    def prepare():
        for rule in ("-P FORWARD DROP", "-N DOCKER-USER", "-N DOCKER-ISOLATION-STAGE-1", "-A DOCKER-USER -j RETURN",
                     "-A DOCKER-ISOLATION-STAGE-1 -j RETURN", "-A FORWARD -j DOCKER-USER",
                     "-A FORWARD -j DOCKER-ISOLATION-STAGE-1", "-A FORWARD -o docker0 -j ACCEPT"):
            run("iptables", *rule.split())
    drops_and_lets_pass(host, "docker", 74, prepare, lambda: run("nft", "delete", "table", "ip", "filter"))


def the_older_iptables(host):
    drops_and_lets_pass(host, "legacy", 76, lambda: run("iptables-legacy", "-P", "FORWARD", "DROP"),
                        lambda: flush("iptables-legacy"))


def firewalld(host):
    """The real one, on a message bus of its own."""
    daemons = []

    def start(*argv):
        daemons.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=kernel.die_with_parent))

    def prepare():
        os.makedirs("/run/dbus", exist_ok=True)
        os.makedirs("/run/lock", exist_ok=True)
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/run/dbus/private"
        start("dbus-daemon", "--system", "--nofork", "--nopidfile", "--address=unix:path=/run/dbus/private")
        wait_for(lambda: os.path.exists("/run/dbus/private"), "the message bus")
        start("firewalld", "--nofork", "--nopid")
        wait_for(lambda: subprocess.run(["firewall-cmd", "--state"], capture_output=True, check=False).returncode == 0,
                 "firewalld")

    def clean_up():
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        del os.environ["DBUS_SYSTEM_BUS_ADDRESS"]

    def no_sources():
        expect(run("firewall-cmd", "--zone=trusted", "--list-sources").strip(), "", "sources of the zone")

    drops_and_lets_pass(host, "fwd", 78, prepare, no_sources, {"backend": "firewalld"})
    net = chain("fwd-zone", 80, {"firewalldZone": "no-such-zone"})
    container = host.lab.container("zone", process=False)
    result = host.lab.runtime.call("bridge", "ADD", plugin_config(net, net["plugins"][0]), container).expect_ok().json
    refused = host.lab.runtime.call("firewall", "ADD", plugin_config(net, net["plugins"][-1], None, result), container)
    assert "no-such-zone" in refused.expect_error(7).stdout, refused.describe()
    host.lab.runtime.chain_del(net, container)
    host.lab.remove(container)
    clean_up()


def wait_for(condition, what, patience=60):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come up"
        time.sleep(0.1)


def behind_a_plugin_that_is_not_ours(host):
    """The reference's bridge; and gc when its container dies without a DEL."""
    traffic.tcp_service("outside", host.outside.netns, 7070)
    run("iptables", "-P", "FORWARD", "DROP")
    foreign = Runtime(REFERENCE)
    net = chain("foreign", 82, {})
    net["cniVersion"] = "1.0.0"
    bridge = {**net["plugins"][0], "ipMasq": False, "ipam": {**net["plugins"][0]["ipam"], "dataDir": "/run/lab/leases"}}
    container = host.lab.container("web", process=False)
    result = foreign.call("bridge", "ADD", plugin_config(net, bridge), container).expect_ok().json
    host.outside.run(["ip", "route", "add", "10.82.0.0/24", "via", HOST])
    before = saved()
    expect(ask_tcp(container.netns, OUTSIDE, 7070, IMPATIENCE), None, "control")
    config = plugin_config(net, net["plugins"][-1], None, result)
    echoed = host.lab.runtime.call("firewall", "ADD", config, container).expect_ok().json
    expect(echoed["ips"], result["ips"], "the result")
    assert ask_tcp(container.netns, OUTSIDE, 7070), "with the plugin"
    host.lab.runtime.call("firewall", "CHECK", config, container).expect_ok()
    foreign.call("bridge", "DEL", plugin_config(net, bridge, None, result), container).expect_ok()
    host.lab.remove(container)
    alive = {"cniVersion": "1.1.0", "name": "foreign", "type": "firewall", "cni.dev/valid-attachments": []}
    host.lab.runtime.call("firewall", "GC", alive, ifname=None).expect_ok()
    expect(saved(), before, "rules before and after")
    run("conntrack", "-F")  # nobody else forgets the flows of a container that had no rules of ours
    host.outside.run(["ip", "route", "del", "10.82.0.0/24"])
    run("ip", "link", "del", bridge["bridge"])
    run("nft", "delete", "table", "ip", "filter")
    run("sysctl", "-q", "net.ipv4.ip_forward=0")
    run("rm", "-r", "/run/lab/leases")


def bad_values_change_nothing(host):
    run("iptables", "-P", "FORWARD", "DROP")
    attached = host.attach(chain("bad", 84), "web")
    before = snapshot.capture()
    for keys, code in (({"backend": "pf"}, 7), ({"backend": 1}, 7), ({"backend": "firewalld"}, 50),
                       ({"iptablesAdminChainName": "-x"}, 7), ({"firewalldZone": 1}, 7), ({"ingressPolicy": "x"}, 7),
                       ({"ingressPolicy": []}, 7)):
        config = plugin_config(chain("bad", 84, keys), {"type": "firewall", **keys}, None, attached.result)
        host.lab.runtime.call("firewall", "ADD", config, attached.container).expect_error(code)
        host.lab.runtime.call("firewall", "DEL", config, attached.container).expect_ok()
    alone = {"cniVersion": "1.1.0", "name": "bad", "type": "firewall"}
    assert "prevResult" in host.lab.runtime.call("firewall", "ADD", alone, attached.container).expect_error(7).stdout
    host.lab.runtime.call("firewall", "STATUS", alone).expect_ok()
    host.lab.runtime.call("firewall", "STATUS", {**alone, "backend": "firewalld"}).expect_error(50)
    snapshot.assert_same(before, "host before and after what was refused")
    run("nft", "delete", "table", "ip", "filter")


main(a_forward_policy_of_iptables, a_rule_that_rejects, beside_docker, the_older_iptables, firewalld,
     behind_a_plugin_that_is_not_ours, bad_values_change_nothing)
