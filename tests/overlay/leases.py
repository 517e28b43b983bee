#!/usr/bin/env python3
"""ADD asks nobody: it reads the lease. Without one it says so. What cannot work is refused, and nothing is left of it."""

import os

from world import Pod, main, make_hosts, nodes_of, overlay

ETCD = {"type": "etcd", "endpoints": ["http://192.0.2.99:2379"]}


def _agents(host, nodes):
    config = overlay(host, nodes, source=ETCD, vtep="eth0")
    del config["nodes"]
    return config


def no_lease_yet(lab):
    """Nobody listens at the endpoint, and nobody is asked: the answer comes at once."""
    (host,) = make_hosts(lab, 1)
    config = _agents(host, [])
    container = lab.container("pod")
    refused = host.call("ADD", config, container).expect_error(11)
    assert "has no lease on this host yet" in refused.json["msg"], refused.json
    assert "netctl-agent" in refused.json["msg"], refused.json
    status = host.call("STATUS", config).expect_error(50)
    assert "has no lease" in status.json["msg"], status.json
    host.call("DEL", config, container).expect_ok()
    host.assert_nothing_left()


def what_cannot_work(lab):
    """Each is one error with a sentence, and the host is as it was."""
    hosts = make_hosts(lab, 2)
    host = hosts[0]
    nodes = nodes_of(hosts)
    container = lab.container("pod")

    def refuse(code, words, config, prepare=None, undo=None):
        if prepare:
            host.run(prepare)
        outcome = host.call("ADD", config, container).expect_error(code)
        assert words in outcome.json["msg"], f"{words!r} is not in {outcome.json['msg']!r}"
        if undo:
            host.run(undo)
        host.assert_nothing_left()

    overlapping = [nodes[0], {**nodes[1], "blocks": ["10.244.1.128/25"]}]
    refuse(7, "overlap", overlay(host, overlapping))
    refuse(7, "two nodes are called host1", overlay(host, [nodes[0], {**nodes[1], "node": "host1"}]))
    refuse(7, "not in the list", {**overlay(host, nodes), "node": "stranger"})
    # The same name on two hosts: this one has not the address that the list gives it.
    refuse(7, "no interface of this host has the VTEP address", {**overlay(host, nodes), "node": "host2"})
    refuse(7, "two hosts may have one name", {**overlay(host, nodes), "node": "host2", "vtep": "eth0"})
    refuse(7, "several addresses", overlay(host, nodes, vtep="eth0"), ["ip", "addr", "add", "192.0.2.77/24", "dev", "eth0"],
           ["ip", "addr", "del", "192.0.2.77/24", "dev", "eth0"])
    refuse(7, "mtu: 1451 does not fit", overlay(host, nodes, mtu=1451))
    refuse(7, "VNI 42 on UDP port 4789 is in use by the device taken", overlay(host, nodes),
           ["ip", "link", "add", "taken", "type", "vxlan", "id", "42", "dstport", "4789", "local", host.vtep, "dev", "eth0"],
           ["ip", "link", "del", "taken"])
    with host.netns_socket(4789):
        outcome = host.call("ADD", overlay(host, nodes), container).expect_error(7)
        assert "UDP port 4789 is used by another program" in outcome.json["msg"], outcome.json
    host.assert_nothing_left()
    refuse(2, "encrypted", overlay(host, nodes, encrypted=True))
    refuse(2, "ipam", overlay(host, nodes, ipam={"type": "host-local"}))
    l2 = overlay(host, nodes_of(hosts, "l2"), mode="l2", capabilities={"mac": True})
    refuse(2, "hardware address", {**l2, "runtimeConfig": {"mac": "02:11:22:33:44:55"}})
    # An overlay whose subnet is another one's.
    pod = Pod(host, overlay(host, nodes), "first")
    second = lab.container("second")
    outcome = host.call("ADD", overlay(host, nodes, name="other", vni=43), second).expect_error(109)
    assert "overlaps" in outcome.json["msg"], outcome.json
    pod.check().expect_ok()
    pod.delete()
    host.assert_nothing_left()


def published_ports(lab):
    """A port of host 1 leads to its container, from another host and from a container of another host."""
    from traffic import ask_tcp, tcp_service
    hosts = make_hosts(lab, 2)
    nodes = nodes_of(hosts)
    config = overlay(hosts[0], nodes)
    web = Pod(hosts[0], {**config, "capabilities": {"portMappings": True}, "runtimeConfig": {
        "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}, "web")
    client = Pod(hosts[1], overlay(hosts[1], nodes), "client")
    tcp_service("web", web.netns, 80)
    answer = ask_tcp(hosts[1].netns.netns, hosts[0].vtep, 8080)
    assert answer == f"web {hosts[1].vtep}", answer
    # The way out is masqueraded, the way to other nodes' containers is not.
    answer = ask_tcp(client.netns, hosts[0].vtep, 8080)
    assert answer == f"web {hosts[1].vtep}", answer
    answer = ask_tcp(client.netns, web.v4, 80)
    assert answer == f"web {client.v4}", answer
    for pod in (web, client):
        pod.delete()
    hosts[0].assert_nothing_left()  # the other one remembers a connection of its own


if __name__ == "__main__":
    assert os.geteuid() == 0, "needs root"
    main(no_lease_yet, what_cannot_work, published_ports)
