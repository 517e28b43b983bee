#!/usr/bin/env python3
"""Three hosts, a container on each: all reach all, both IP versions, whatever the mode and the underlay."""

import os

from world import Pod, main, make_hosts, must_ping, nodes_of, overlay, ping, transfer

OVERHEAD_V4, OVERHEAD_V6 = 50, 70
UNDERLAY_MTU = 1500
HEADERS = {4: 28, 6: 48}  # IP and ICMP


def _all_reach_all(pods):
    for source in pods:
        for target in pods:
            for address in target.addresses if source is not target else ():
                must_ping(source, address)
                came_from = transfer(source, target, address)
                assert came_from in source.addresses, f"masqueraded: {came_from} instead of {source.addresses}"


def _mtu_is_right(pods, mtu):
    first, second = pods[:2]
    for pod in pods:
        assert pod.result["interfaces"][-1]["mtu"] == mtu, pod.result["interfaces"]
    for address in second.addresses:
        payload = mtu - HEADERS[6 if ":" in address else 4]
        assert ping(first, address, payload, fragment=False), f"{payload} bytes do not fit to {address}"
        assert not ping(first, address, payload + 1, fragment=False), f"{payload + 1} bytes fit to {address}"


def _overlay(lab, mode, underlay_v6=False, **keys):
    hosts = make_hosts(lab)
    nodes = nodes_of(hosts, mode, underlay_v6=underlay_v6)
    pods = [Pod(host, overlay(host, nodes, mode=mode, **keys), f"pod{host.number}") for host in hosts]
    _all_reach_all(pods)
    _mtu_is_right(pods, UNDERLAY_MTU - (OVERHEAD_V6 if underlay_v6 else OVERHEAD_V4))
    for pod in pods:
        pod.check().expect_ok()
    # The hosts themselves reach containers of other hosts.
    for address in pods[1].addresses:
        hosts[0].run(["ping", "-n", "-c", "1", "-W", "5", address])
    for pod in pods:
        pod.delete()
        pod.delete()
    for host in hosts:
        host.assert_nothing_left()


def routed(lab):
    _overlay(lab, "routed")


def routed_over_ipv6(lab):
    _overlay(lab, "routed", underlay_v6=True)


def l2(lab):
    _overlay(lab, "l2")


def l2_over_ipv6(lab):
    _overlay(lab, "l2", underlay_v6=True, port=8472)


def several_overlays(lab):
    """On one host, over one UDP port: each reaches its own, and not the other."""
    hosts = make_hosts(lab, 2)
    pods = {}
    for second, vni, mode in ((101, 1, "routed"), (102, 2, "l2"), (103, 3, "routed")):
        nodes = nodes_of(hosts, mode, second)
        pods[second] = [Pod(host, overlay(host, nodes, name=f"o{second}", vni=vni, second=second, mode=mode),
                            f"pod{second}-{host.number}") for host in hosts]
        _all_reach_all(pods[second])
    for first in pods[101]:
        first.delete()
    _all_reach_all(pods[102])
    _all_reach_all(pods[103])
    for pod in pods[102] + pods[103]:
        pod.delete()
    for host in hosts:
        host.assert_nothing_left()


if __name__ == "__main__":
    assert os.geteuid() == 0, "needs root"
    main(routed, routed_over_ipv6, l2, l2_over_ipv6, several_overlays)
