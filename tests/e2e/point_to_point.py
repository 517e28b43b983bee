#!/usr/bin/env python3
"""`ptp`: a link a container, without a bridge: who reaches whom, whose address the world sees, published ports."""

import json

import traffic
from scenario import HOST, HOST_V6, OUTSIDE, OUTSIDE_V6, expect, main, port, run
from traffic import IMPATIENCE, ask_tcp


def routed(name, number, *, ipam=None, portmap=True, cni_version="1.0.0", **keys):
    """A ptp network 10.<number>.0.0/24 and fd10:<number>::/64."""
    ipam = ipam or {"type": "host-local",
                    "ranges": [[{"subnet": f"10.{number}.0.0/24"}], [{"subnet": f"fd10:{number}::/64"}]],
                    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}
    plugins = [{"type": "ptp", "ipMasq": True, "ipam": ipam, **keys}]
    if portmap:
        plugins.append({"type": "portmap", "capabilities": {"portMappings": True}})
    return {"cniVersion": cni_version, "name": name, "plugins": plugins}


def containers_host_and_world(host):
    net = routed("way", 90)
    one, two = host.attach(net, "one"), host.attach(net, "two")
    traffic.tcp_service("two", two.netns, 80)
    traffic.tcp_service("host", None, 80)
    traffic.tcp_service("outside", host.outside.netns, 80)
    expect(ask_tcp(one.netns, two.address, 80), f"two {one.address}", "container to container")
    expect(ask_tcp(one.netns, two.address_v6, 80), f"two {one.address_v6}", "container to container, IPv6")
    expect(ask_tcp(one.netns, "10.90.0.1", 80), f"host {one.address}", "container to its gateway")
    expect(ask_tcp(None, two.address, 80), "two 10.90.0.1", "host to container")
    expect(ask_tcp(one.netns, OUTSIDE, 80), f"outside {HOST}", "masquerade")
    expect(ask_tcp(one.netns, OUTSIDE_V6, 80), f"outside {HOST_V6}", "masquerade, IPv6")
    host.lab.runtime.chain_check(net, one.container, one.result)
    host.detach(two)
    expect(ask_tcp(one.netns, OUTSIDE, 80), f"outside {HOST}", "masquerade, with the neighbour gone")


def the_result_is_the_references(host):
    net = routed("shape", 91, mtu=1400)
    one = host.attach(net, "one")
    end, inside = one.result["interfaces"]
    expect((end.get("sandbox", ""), inside["name"], inside["sandbox"]), ("", "eth0", one.netns), "interfaces")
    expect([ip["interface"] for ip in one.result["ips"]], [1, 1], "interface of the addresses")
    expect([ip["gateway"] for ip in one.result["ips"]], ["10.91.0.1", "fd10:91::1"], "gateways")
    found = json.loads(run("ip", "-j", "addr", "show", "dev", end["name"]))[0]
    mine = {f"{a['local']}/{a['prefixlen']}" for a in found["addr_info"] if a["scope"] == "global"}
    expect(mine, {"10.91.0.1/32", "fd10:91::1/128"}, "addresses of the host's end")
    expect(found["mtu"], 1400, "MTU of the host's end")
    expect(run("ip", "route", "show", "dev", end["name"]).split()[:3], [one.address, "proto", "110"], "the host's route")
    routes = one.container.run(["ip", "-4", "route"]).stdout
    assert f"10.91.0.0/24 via 10.91.0.1 dev eth0" in routes and "10.91.0.1 dev eth0" in routes, routes
    assert "default via 10.91.0.1" in routes, routes
    assert "proto kernel" not in routes, f"the connected route is there: {routes}"


def published_ports_lead_to_it(host):
    net = routed("ports", 92)
    web, client = host.attach(net, "web", [port(8092, 80)]), host.attach(net, "client")
    traffic.tcp_service("web", web.netns, 80)
    expect(ask_tcp(host.outside.netns, HOST, 8092), "web 192.0.2.2", "from outside")
    expect(ask_tcp(None, "127.0.0.1", 8092), "web 10.92.0.1", "from the host, by 127.0.0.1")
    # As with the reference: whoever comes from the network's own subnet is seen as the gateway.
    expect(ask_tcp(client.netns, HOST, 8092), "web 10.92.0.1", "from another container")
    expect(ask_tcp(web.netns, HOST, 8092), "web 10.92.0.1", "from itself")
    end = web.result["interfaces"][0]["name"]
    rules = run("nft", "list", "set", "inet", "netctl", "guarded_links")
    assert end in rules, rules
    host.lab.runtime.chain_check(net, web.container, web.result, runtime_config=web.runtime_config)
    host.detach(web)
    for name in ("guarded_links", "own_links", "same_links"):
        assert end not in run("nft", "list", "set", "inet", "netctl", name), f"{end} is left in {name}"
    expect(ask_tcp(host.outside.netns, HOST, 8092, IMPATIENCE), None, "after DEL")


def portmap_alone_is_taken_back(host):
    """DEL of the chained plugin, and the link lives on: without its guard there must be no route_localnet."""
    net = routed("alone", 93, ipMasq=False)
    web = host.attach(net, "web", [port(8093, 80)])
    end = web.result["interfaces"][0]["name"]
    expect(run("sysctl", "-n", f"net.ipv4.conf.{end}.route_localnet").strip(), "1", "with ports")
    config = {"cniVersion": "1.0.0", "name": "alone", "type": "portmap"}
    host.lab.runtime.call("portmap", "DEL", config, web.container).expect_ok()
    expect(run("sysctl", "-n", f"net.ipv4.conf.{end}.route_localnet").strip(), "0", "without ports")
    assert end not in run("nft", "list", "ruleset"), "elements of the link are left"
    traffic.tcp_service("web", web.netns, 80)
    expect(ask_tcp(None, web.address, 80), "web 10.93.0.1", "the link itself")


def addresses_of_the_configuration(host):
    net = routed("fixed", 94, ipam={"type": "static", "addresses": [{"address": "10.94.0.7/24", "gateway": "10.94.0.1"}],
                                    "routes": [{"dst": "0.0.0.0/0"}]})
    one = host.attach(net, "one")
    expect(one.address, "10.94.0.7", "static")


def bad_gateways_change_nothing(host):
    net = routed("nogw", 96, ipam={"type": "static", "addresses": [{"address": "10.96.0.7/24"}]}, portmap=False)
    container = host.lab.container("none", process=False)
    config = {"cniVersion": "1.0.0", "name": "nogw", **net["plugins"][0]}
    refused = host.lab.runtime.call("ptp", "ADD", config, container).expect_error(7)
    assert "needs a gateway" in refused.json["msg"], refused.json
    host.lab.remove(container)


main(containers_host_and_world, the_result_is_the_references, published_ports_lead_to_it, portmap_alone_is_taken_back,
     addresses_of_the_configuration, bad_gateways_change_nothing)
