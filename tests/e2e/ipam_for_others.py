#!/usr/bin/env python3
"""Our `host-local` and `static` as the IPAM of the reference's bridge, ptp and macvlan: ADD, traffic, CHECK, DEL."""

import json
import os
import pathlib

import traffic
from lab import Runtime, bin_dir
from lab.plugins import addresses
from scenario import expect, main, run
from traffic import ask_tcp

REFERENCE = "/usr/lib/cni"
FOLDER = "/run/lab/mixed"
FORWARDING = pathlib.Path("/proc/sys/net/ipv4/ip_forward")
MAINS = {"bridge": {"bridge": "br-theirs", "isGateway": True}, "ptp": {}, "macvlan": {"master": "up-outside"}}


def mixed_folder(host):
    """As an administrator who wants only the IPAM plugins of this project arranges it."""
    folder = pathlib.Path(FOLDER)
    folder.mkdir(exist_ok=True)
    for source, names in ((REFERENCE, MAINS), (bin_dir(), ("host-local", "static"))):
        for name in names:
            if not (folder / name).exists():
                os.symlink(f"{source}/{name}", folder / name)
    return Runtime(FOLDER, state_dir=host.lab.state_dir)


def network(main_plugin, ipam):
    return {"cniVersion": "1.0.0", "name": f"theirs-{main_plugin}",
            "plugins": [{"type": main_plugin, **MAINS[main_plugin], "ipam": ipam}]}


def pool(number):
    return {"type": "host-local", "ranges": [[{"subnet": f"10.{number}.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}


def holders(host):
    return host.lab.runtime.netctl("ps", "--json").expect_ok().json["attachments"]


def host_local_serves_every_main_plugin(host):
    runtime, forwarding = mixed_folder(host), FORWARDING.read_text(encoding="ascii")
    for number, main_plugin in enumerate(MAINS, 41):
        net = network(main_plugin, pool(number))
        boxes = [host.lab.container(f"{main_plugin}-{name}", process=False) for name in ("one", "two")]
        results = [runtime.chain_add(net, box) for box in boxes]
        found = [addresses(result)[0] for result in results]
        expect(found, [f"10.{number}.0.2", f"10.{number}.0.3"], f"{main_plugin}: addresses")
        for box, address in zip(boxes, found):
            shown = json.loads(box.run(["ip", "-j", "-4", "addr", "show", "eth0"]).stdout)
            expect(shown[0]["addr_info"][0]["local"], address, f"{main_plugin}: on the interface")
        traffic.tcp_service(f"two-{main_plugin}", boxes[1].netns, 80)
        answer = ask_tcp(boxes[0].netns, found[1], 80)
        expect(answer, f"two-{main_plugin} {found[0]}", f"{main_plugin}: container to container")
        for box, result in zip(boxes, results):
            runtime.chain_check(net, box, result)
        expect(len(holders(host)), 2, f"{main_plugin}: held addresses")
        for box, result in zip(boxes, results):
            runtime.chain_del(net, box, result=result)
            runtime.chain_del(net, box)
            host.lab.remove(box)
        expect(holders(host), [], f"{main_plugin}: after DEL")
    run("ip", "link", "del", "br-theirs")
    FORWARDING.write_text(forwarding, encoding="ascii")


def static_serves_every_main_plugin(host):
    runtime, forwarding = mixed_folder(host), FORWARDING.read_text(encoding="ascii")
    for number, main_plugin in enumerate(MAINS, 51):
        ipam = {"type": "static", "addresses": [{"address": f"10.{number}.0.7/24", "gateway": f"10.{number}.0.1"}]}
        net = network(main_plugin, ipam)
        box = host.lab.container(main_plugin, process=False)
        result = runtime.chain_add(net, box)
        expect(addresses(result), [f"10.{number}.0.7"], f"{main_plugin}: the address")
        runtime.chain_check(net, box, result)
        runtime.chain_del(net, box, result=result)
        host.lab.remove(box)
    run("ip", "link", "del", "br-theirs")
    FORWARDING.write_text(forwarding, encoding="ascii")


def a_failed_main_plugin_gives_the_address_back(host):
    runtime = mixed_folder(host)
    net = network("macvlan", pool(61))
    box = host.lab.container("box", process=False)
    box.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"])
    config = {"cniVersion": "1.0.0", "name": net["name"], **net["plugins"][0]}
    assert not runtime.call("macvlan", "ADD", config, box).ok, "the name was taken"
    expect(holders(host), [], "after a failure")
    host.lab.remove(box)


main(host_local_serves_every_main_plugin, static_serves_every_main_plugin, a_failed_main_plugin_gives_the_address_back)
