#!/usr/bin/env python3
"""`static` as an executable of its own, and as the addressing of a bridge network in one process."""

import json

from scenario import expect, main, network, run


def call(host, verb, config, container, **options):
    return host.lab.runtime.call("static", verb, {"cniVersion": "1.0.0", "name": "fixed", **config}, container, **options)


def alone(host):
    container = host.lab.container("alone", process=False)
    block = {"type": "static", "addresses": [{"address": "10.75.0.7/24", "gateway": "10.75.0.1"}, {"address": "fd75::7/64"}],
             "routes": [{"dst": "0.0.0.0/0"}], "dns": {"nameservers": ["192.0.2.53"]}}
    result = call(host, "ADD", {"ipam": block}, container).expect_ok().json
    expect([ip["address"] for ip in result["ips"]], ["10.75.0.7/24", "fd75::7/64"], "addresses")
    expect((result["ips"][0]["gateway"], result["routes"], result["dns"]),
           ("10.75.0.1", block["routes"], block["dns"]), "the rest")
    assert "interfaces" not in result, result
    call(host, "CHECK", {"ipam": block, "prevResult": result}, container).expect_ok()
    result["ips"][0]["gateway"] = "10.75.0.9"
    refused = call(host, "CHECK", {"ipam": block, "prevResult": result}, container).expect_error(107)
    assert "Failed to match addr 10.75.0.7 on interface eth0" in refused.json["msg"], refused.json
    call(host, "CHECK", {"ipam": block}, container).expect_error(7)
    for _ in range(2):
        call(host, "DEL", {"ipam": block}, container, netns="").expect_ok()
    refused = call(host, "ADD", {}, container).expect_error(7)
    assert "IPAM config missing 'ipam' key" in refused.json["msg"], refused.json
    expect(call(host, "ADD", {"ipam": {"type": "static"}}, container).expect_ok().json.get("ips", []), [], "no address")
    call(host, "ADD", {"ipam": block}, container, args="COLOUR=red").expect_error(4)
    call(host, "ADD", {"ipam": block}, container, args="COLOUR=red;IgnoreUnknown=1").expect_ok()
    host.lab.remove(container)


def under_a_bridge_without_an_exec(host):
    net = network("fixed", 76, portmap=False)
    net["plugins"][0]["ipam"] = {"type": "static", "addresses": [{"address": "10.76.0.7/24", "gateway": "10.76.0.1"}],
                                 "routes": [{"dst": "0.0.0.0/0"}]}
    # A CNI_PATH without a `static` in it: nothing is started.
    run("mkdir", "-p", "/run/lab/empty")
    one = host.attach(net, "one", path="/run/lab/empty")
    expect(one.address, "10.76.0.7", "the address")
    shown = json.loads(one.container.run(["ip", "-j", "-4", "route", "show", "default"]).stdout)
    expect(shown[0]["gateway"], "10.76.0.1", "the gateway")
    host.detach(one)
    net["plugins"][0]["ipam"] = {"type": "static"}
    container = host.lab.container("none", process=False)
    config = {"cniVersion": "1.0.0", "name": "fixed", **net["plugins"][0]}
    refused = host.lab.runtime.call("bridge", "ADD", config, container).expect_error(7)
    assert "names no address" in refused.json["msg"], refused.json
    host.lab.remove(container)


main(alone, under_a_bridge_without_an_exec)
