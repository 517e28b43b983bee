"""Containers on hosts whose agents found each other through etcd: they talk, and go on when etcd and agents are gone."""

import etcd_server
from agent_lab import SWITCH, Lab, Switch, say, wait_until


def attach(lab, host, name):
    container = lab.container(f"{name}-{host.number}", process=False)
    added = host.netctl("add", "lab", container.netns, "--id", container.id, "--json", check=False)
    return container, added


def address(container):
    words = container.run(["ip", "-4", "-o", "addr", "show", "dev", "eth0"]).stdout.split()
    return words[3].split("/")[0]


def talk(containers):
    for one in containers:
        for other in containers:
            if one is other:
                continue
            wait_until(lambda: one.run(["ping", "-q", "-c", "1", "-W", "1", address(other)], check=False).returncode == 0,
                       f"{one.name} reaches {other.name}")


def play(lab, switch, etcd, **keys):
    hosts = [switch.host(**keys) for _ in range(3)]
    for host in hosts:
        host.configure({"type": "etcd", "endpoints": etcd.endpoints, "cluster": keys["mode"]})
    container, early = attach(lab, hosts[0], "early")
    assert early.returncode == 1 and "no lease on this host yet" in early.stderr, early
    lab.remove(container)
    for host in hosts:
        host.start()
    for host in hosts:
        host.settle(3)
    containers = [attach(lab, host, "web")[0] for host in hosts]
    talk(containers)
    say(f"{keys['mode']}: containers of three hosts reach each other")
    for host in hosts:
        host.kill()
    etcd.stop()
    talk(containers)
    container, late = attach(lab, hosts[0], "late")
    assert late.returncode == 0, late
    talk([container, *containers[1:]])
    hosts[0].netctl("del", "lab", container.id)
    hosts[0].netctl("del", "lab", containers[0].id)
    say(f"{keys['mode']}: without etcd and agents containers talk, come and go")
    etcd.start()
    for host in hosts:
        host.start()
    for host in hosts:
        host.settle(3)
    talk(containers[1:])
    for host in hosts:
        host.kill()


def main():
    program = etcd_server.unpacked()
    with Lab(duplicate_detection=False) as lab:
        switch = Switch(lab)
        etcd = etcd_server.Cluster(program, "/run/lab/etcd", address=SWITCH).start()
        play(lab, switch, etcd, mode="routed")
        play(lab, switch, etcd, mode="l2", vni=8, subnets=["10.65.0.0/24"])
        etcd.stop()


main()
