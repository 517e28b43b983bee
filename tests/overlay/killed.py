#!/usr/bin/env python3
"""ADD of a host's first container is killed at one message after the other: gc finds all of it, and the next ADD works."""

import os

from world import Pod, main, make_hosts, must_ping, nodes_of, overlay

EVERY = int(os.environ.get("KILL_EVERY", "4"))
MESSAGES = "sendto,sendmsg,rename"


def first_add(lab):
    hosts = make_hosts(lab, 2)
    host = hosts[0]
    nodes = nodes_of(hosts)
    config = overlay(host, nodes)
    other = Pod(hosts[1], overlay(hosts[1], nodes), "other")
    kills = 0
    while True:
        container = lab.container(f"pod{kills}", process=False)
        wrapper = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={MESSAGES}",
                   "-e", f"inject={MESSAGES}:signal=KILL:when={1 + kills * EVERY}"]
        outcome = host.call("ADD", config, container, wrapper=wrapper)
        if outcome.ok:
            break
        assert outcome.rc != 1, f"not killed but refused: {outcome.describe()}"
        lab.remove(container)
        host.netctl("gc").expect_ok()
        host.assert_nothing_left()
        kills += 1
    assert kills > 5, f"only {kills} kills"
    host.call("DEL", config, container).expect_ok()
    pod = Pod(host, config, "pod")
    for address in other.addresses:
        must_ping(pod, address)
    pod.delete()
    host.assert_nothing_left()


if __name__ == "__main__":
    main(first_add)
