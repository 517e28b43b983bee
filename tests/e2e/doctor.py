#!/usr/bin/env python3
"""`netctl doctor`: every kind of finding, made for real; a healthy host; and that it changes nothing."""

import json
import os
import time

from scenario import expect, main, network, run, snapshot
from lab import Runtime

REFERENCE = "/usr/lib/cni"
LEASES = "/run/lab/leases"


def configure(host, *conflists):
    for number, conflist in enumerate(conflists):
        with open(f"{host.lab.conf_dir}/{number}.conflist", "w", encoding="ascii") as file:
            json.dump(conflist, file)


def at_rest(files, patience=10.0):
    """A snapshot that stays the same for a second: operational states settle when the kernel gets to it."""
    deadline = time.monotonic() + patience
    before = snapshot.settled(files=files)
    while True:
        time.sleep(1)
        after = snapshot.capture(files=files)
        if not snapshot.diff(before, after) or time.monotonic() > deadline:
            return after
        before = after


def examine(host):
    """The findings as (area, subject, finding), problems only; it must have changed nothing."""
    files = [host.lab.state_dir] if os.path.isdir(host.lab.state_dir) else []
    before = at_rest(files)
    outcome = host.lab.runtime.netctl("doctor", "--json")
    table = host.lab.runtime.netctl("doctor")
    after = snapshot.capture(files=files)
    expect(snapshot.diff(before, after), [], "what `netctl doctor` changed")
    problems = [f for f in outcome.json["findings"] if f["problem"]]
    expect(outcome.json["problems"], len(problems), "the number of problems")
    expect((outcome.rc, table.rc), (1, 1) if problems else (0, 0), "exit codes")
    for finding in outcome.json["findings"]:
        assert finding["finding"] in table.stdout, f"{finding} is not in the table:\n{table.stdout}"
    return outcome.json["findings"]


def find(findings, area, *words):
    """The one finding of this area with all the words."""
    found = [f for f in findings if f["area"] == area and all(w in f["subject"] + " " + f["finding"] for w in words)]
    assert len(found) == 1, f"{area} {words}: found {found} in\n" + "\n".join(map(str, findings))
    return found[0]


def nothing_is_wrong_on_a_healthy_host(host):
    assert not os.path.exists(host.lab.state_dir)
    expect([f for f in examine(host) if f["problem"]], [], "problems of an empty host")
    assert not os.path.exists(host.lab.state_dir), "doctor made a store"
    net = network("well", 71)
    configure(host, net)
    web = host.attach(net, "web")
    expect([f for f in examine(host) if f["problem"]], [], "problems of a healthy network")
    host.detach(web)


def attachments_and_the_host_beneath(host):
    net = network("sick", 72)
    configure(host, net)
    drifted, dead = host.attach(net, "drifted"), host.attach(net, "deadcontainer")
    drifted.container.run(["ip", "addr", "flush", "dev", "eth0"])
    host.lab.remove(dead.container)
    deadline = time.monotonic() + 20  # the kernel takes a dead namespace's links away in its own time
    while run("ip", "-o", "link").count(" nc") > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    run("sysctl", "-q", "net.ipv4.ip_forward=0")
    run("ip", "route", "add", "10.72.0.0/16", "via", "192.0.2.2")
    damaged = f"{host.lab.state_dir}/durable.mdb.damaged-1"
    open(damaged, "w", encoding="ascii").close()
    findings = examine(host)
    find(findings, "attachment", "sick/drifted", "address 10.72.0.2/24 is missing")
    find(findings, "attachment", "sick/deadcontaine", "`netctl gc` collects it")
    find(findings, "host", "net/ipv4/ip_forward", "network sick needs 1")
    find(findings, "subnet", "sick", "10.72.0.0/24 overlaps the host's route to 10.72.0.0/16 through up-outside")
    find(findings, "store", damaged)
    os.unlink(damaged)
    run("ip", "route", "del", "10.72.0.0/16", "via", "192.0.2.2")
    run("sysctl", "-q", "net.ipv4.ip_forward=1")
    host.attachments.remove(dead)
    host.lab.runtime.netctl("gc").expect_ok()
    host.detach(drifted)


def bridges_of_others(host):
    net = network("lodger", 73)
    configure(host, net)
    run("ip", "link", "add", "br-lodger", "type", "bridge")
    assert not find(examine(host), "bridge", "br-lodger", "is not netctl's")["problem"]
    web = host.attach(net, "web")
    assert not find(examine(host), "bridge", "br-lodger", "used, not owned")["problem"]
    host.detach(web)
    run("ip", "link", "del", "br-lodger")
    run("ip", "link", "add", "br-lodger", "type", "veth", "peer", "name", "lodger-peer")
    assert find(examine(host), "bridge", "br-lodger", "is no bridge")["problem"]
    run("ip", "link", "del", "br-lodger")


DROPPING = {
    "Docker": ("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; };"
               "add chain ip filter DOCKER-USER", "delete table ip filter", "DOCKER-USER"),
    "ufw": ("add table ip6 filter; add chain ip6 filter FORWARD { type filter hook forward priority 0; policy drop; };"
            "add chain ip6 filter ufw6-before-forward", "delete table ip6 filter", "ufw route allow"),
    "firewalld": ("add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook forward "
                  "priority 10; policy accept; }; add rule inet firewalld filter_FORWARD ct state established accept;"
                  "add rule inet firewalld filter_FORWARD reject with icmpx type admin-prohibited",
                  "delete table inet firewalld", "firewall-cmd"),
    "nobody known": ("add table inet mine; "
                     "add chain inet mine passing { type filter hook forward priority 0; policy drop; }",
                     "delete table inet mine", "add rules there"),
}


def firewalls_that_drop(host):
    configure(host, network("behind", 74))
    for tool, (make, remove, advice) in DROPPING.items():
        run("nft", make)
        find(examine(host), "firewall", "drops what it is not told to forward", advice)
        run("nft", remove)
        expect([f for f in examine(host) if f["problem"]], [], f"problems once {tool} is gone")
    harmless = ("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy accept; };"
                "add rule ip filter FORWARD ip saddr 203.0.113.7 drop")
    run("nft", harmless)
    expect([f for f in examine(host) if f["problem"]], [], "problems of a chain that drops one address")
    run("nft", "delete table ip filter")


def what_the_reference_left(host):
    net = network("past", 75)
    net["plugins"][0]["ipam"]["dataDir"] = LEASES
    net["plugins"][0]["macspoofchk"] = True
    configure(host, net)
    past = Runtime(REFERENCE)
    lives, forgotten = (host.lab.container(name, process=False) for name in ("livescontainer", "forgottencontainer"))
    for number, web in enumerate((lives, forgotten)):
        mapping = {"portMappings": [{"hostPort": 8075 + number, "containerPort": 80, "protocol": "tcp"}]}
        web.result = past.chain_add(net, web, runtime_config=mapping)
    os.unlink(f"{LEASES}/past/10.75.0.3")  # its rules have no owner any more
    open(f"{LEASES}/past/10.75.0.9", "w", encoding="ascii").close()
    old = f"{LEASES}/past/10.75.0.10"
    with open(old, "w", encoding="ascii", newline="") as file:
        file.write("agescontainer\r\neth0")
    os.utime(old, (1, 1))
    findings = examine(host)
    assert not find(findings, "leases", "10.75.0.2", "for container livescontain")["problem"]
    assert find(findings, "leases", "10.75.0.9", "names no container")["problem"]
    assert find(findings, "leases", old, "since before the last boot")["problem"]
    for table in ("table ip nat", "table bridge nat"):
        assert find(findings, "rules", table, "forgottencontainer")["problem"]
    assert "livescontainer" not in str([f for f in findings if f["area"] == "rules"]), findings
    # Through us, all of it but the nameless goes.
    host.lab.runtime.chain_del(net, lives, result=lives.result)
    with open(f"{LEASES}/past/10.75.0.3", "w", encoding="ascii", newline="") as file:
        file.write("forgottencontainer\r\neth0")
    host.lab.runtime.chain_gc(net, [])
    problems = [f for f in examine(host) if f["problem"]]
    expect([f["subject"] for f in problems], [f"{LEASES}/past/10.75.0.9"], "problems after DEL and GC")
    for web in (lives, forgotten):
        host.lab.remove(web)
    run("nft", "flush", "ruleset")  # their shared chains, their bridge and forwarding stay by design
    run("ip", "link", "del", "br-past")
    run("sysctl", "-q", "net.ipv4.ip_forward=0", "net.ipv4.conf.all.accept_redirects=1",
        "net.ipv4.conf.default.accept_redirects=1")


main(nothing_is_wrong_on_a_healthy_host, attachments_and_the_host_beneath, bridges_of_others, firewalls_that_drop,
     what_the_reference_left)
