#!/usr/bin/env python3
"""tuning, chained behind bridge and behind the reference's bridge: settings appear in the container and go with DEL."""

import json
import shutil

from scenario import expect, main, network, run, snapshot
from lab.plugins import Runtime, plugin_config

REFERENCE = "/usr/lib/cni"
EVERYTHING = {"type": "tuning", "sysctl": {"net.core.somaxconn": "500", "net.ipv4.conf.IFNAME.arp_filter": "1"},
              "mac": "02:00:00:00:00:77", "mtu": 1400, "promisc": True, "allmulti": True, "txQLen": 77}


def chain(name, number, tuning, cni_version="1.1.0"):
    net = network(name, number, portmap=False)
    net["cniVersion"] = cni_version
    net["plugins"].append(tuning)
    return net


def link_of(container, interface="eth0"):
    return json.loads(container.run(["ip", "-d", "-j", "link", "show", interface]).stdout)[0]


def sysctl_of(container, key):
    return container.run(["sysctl", "-n", key]).stdout.strip()


def settings_of(container):
    link = link_of(container)
    return (link["address"], link["mtu"], link.get("txqlen", 0), "PROMISC" in link["flags"], "ALLMULTI" in link["flags"],
            sysctl_of(container, "net.core.somaxconn"), sysctl_of(container, "net.ipv4.conf.eth0.arp_filter"))


def del_from_the_record(lab, net, container):
    """As a runtime does that knows nothing any more: no namespace, no result, no capabilities."""
    config = plugin_config(net, net["plugins"][-1])
    lab.runtime.call("tuning", "DEL", config, container, netns=None).expect_ok()


def everything_is_set_and_put_back(host):
    net = chain("tuned", 50, EVERYTHING)
    plain = host.attach(chain("tuned", 50, {"type": "tuning"}), "plain")
    tuned = host.attach(net, "tuned")
    expect(settings_of(tuned.container), ("02:00:00:00:00:77", 1400, 77, True, True, "500", "1"), "settings")
    own = [entry for entry in tuned.result["interfaces"] if entry["name"] == "eth0"]
    expect([(entry["mac"], entry["mtu"]) for entry in own], [("02:00:00:00:00:77", 1400)], "the result")
    expect(tuned.result["ips"][0]["address"], f"{tuned.address}/24", "the rest of the result")
    host.lab.runtime.chain_check(net, tuned.container, tuned.result)
    host.lab.runtime.chain_gc(net, [("tuned", "eth0"), ("plain", "eth0")])
    expect(settings_of(tuned.container)[1], 1400, "after GC")
    for _ in range(2):
        del_from_the_record(host.lab, net, tuned.container)
        assert settings_of(tuned.container)[1:] == settings_of(plain.container)[1:], settings_of(tuned.container)
    assert settings_of(tuned.container)[0] != "02:00:00:00:00:77"


def check_sees_what_was_changed(host):
    net = chain("drift", 51, EVERYTHING)
    tuned = host.attach(net, "tuned")
    for change, wanted in ((["ip", "link", "set", "eth0", "mtu", "1401"], "mtu of eth0 is 1401 instead of 1400"),
                           (["ip", "link", "set", "eth0", "promisc", "off"], "promisc of eth0 is false"),
                           (["sysctl", "-q", "-w", "net.core.somaxconn=501"], "net/core/somaxconn is")):
        tuned.container.run(change)
        config = plugin_config(net, net["plugins"][-1], None, tuned.result)
        found = host.lab.runtime.call("tuning", "CHECK", config, tuned.container).expect_error(107)
        assert wanted in found.stdout, found.describe()


def the_hardware_address_comes_from_whom_the_runtime_says(host):
    bare = {"type": "tuning", "capabilities": {"mac": True}}
    for number, (args, capability, wanted) in enumerate((
            ("IgnoreUnknown=1;K8S_POD_NAME=w;MAC=02:00:00:00:00:21", None, "02:00:00:00:00:21"),
            ("IgnoreUnknown=1;MAC=02:00:00:00:00:21", "02:00:00:00:00:22", "02:00:00:00:00:22"))):
        net = chain("macs", 52, bare)
        container = host.lab.container(f"mac{number}", process=False)
        granted = {"mac": capability} if capability else None
        result = host.lab.runtime.chain_add(net, container, args=args, runtime_config=granted)
        expect(link_of(container)["address"], wanted, args)
        assert wanted in json.dumps(result), result
        host.lab.runtime.chain_check(net, container, result, args=args, runtime_config=granted)
        host.lab.runtime.chain_del(net, container)
        host.lab.remove(container)


def bad_values_change_nothing(host):
    attached = host.attach(chain("bad", 53, {"type": "tuning"}), "web")
    before = settings_of(attached.container)
    outside = snapshot.capture()
    for keys in ({"sysctl": {"kernel.core_pattern": "x"}}, {"sysctl": {"net/../kernel/core_pattern": "x"}},
                 {"sysctl": {"net.core.rmem_max": "4096"}}, {"sysctl": {"net.core.somaxconn": 5}},
                 {"sysctl": {"net.core.somaxconn": "many"}}, {"sysctl": {"net.ipv4.no_such_key": "1"}},
                 {"mac": "01:00:00:00:00:01"}, {"mac": "02:"}, {"mtu": "x"}, {"mtu": -1}, {"mtu": 1 << 40},
                 {"promisc": 1}, {"allmulti": "on"}, {"txQLen": -1}, {"dataDir": 1},
                 {"args": {"cni": {"sysctl": {"kernel.pid_max": "1"}}}}):
        net = chain("bad", 53, {"type": "tuning", "mtu": 1300, **keys})
        config = plugin_config(net, net["plugins"][-1], None, attached.result)
        host.lab.runtime.call("tuning", "ADD", config, attached.container).expect_error(7)
        expect(settings_of(attached.container), before, f"after {keys}")
        # An error here would keep the runtime from calling the DEL of the plugins before.
        host.lab.runtime.call("tuning", "DEL", config, attached.container).expect_ok()
    twice = (b'{"cniVersion":"1.0.0","name":"bad","type":"tuning",'
             b'"sysctl":{"net.core.somaxconn":"1","net.core.somaxconn":"2"}}')
    host.lab.runtime.call("tuning", "ADD", None, attached.container, stdin=twice).expect_error(7)
    single = {"cniVersion": "1.0.0", "name": "bad", "type": "tuning", "mtu": 1300}
    assert "prevResult" in host.lab.runtime.call("tuning", "ADD", single, attached.container).expect_error(7).stdout
    own = plugin_config(chain("bad", 53, EVERYTHING), EVERYTHING, None, attached.result)
    host.lab.runtime.call("tuning", "ADD", own, attached.container, netns="/proc/self/ns/net").expect_error(8)
    snapshot.assert_same(outside, "host before and after what was refused")


def behind_a_plugin_that_is_not_ours(host):
    foreign = Runtime(REFERENCE)
    net = chain("foreign", 54, EVERYTHING, "0.4.0")
    bridge = {**net["plugins"][0], "ipMasq": False, "ipam": {**net["plugins"][0]["ipam"], "dataDir": "/run/lab/leases"}}
    container = host.lab.container("web", process=False)
    result = foreign.call("bridge", "ADD", plugin_config(net, bridge), container).expect_ok().json
    before = settings_of(container)
    config = plugin_config(net, EVERYTHING, None, result)
    tuned = host.lab.runtime.call("tuning", "ADD", config, container).expect_ok().json
    expect([entry["mac"] for entry in tuned["interfaces"] if entry.get("sandbox")], ["02:00:00:00:00:77"], "the result")
    expect(settings_of(container), ("02:00:00:00:00:77", 1400, 77, True, True, "500", "1"), "settings")
    host.lab.runtime.call("tuning", "CHECK", {**config, "prevResult": tuned}, container).expect_ok()
    del_from_the_record(host.lab, net, container)
    expect(settings_of(container), before, "after DEL")
    foreign.call("bridge", "DEL", plugin_config(net, bridge, None, tuned), container).expect_ok()
    host.lab.remove(container)
    run("ip", "link", "del", bridge["bridge"])
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
        file.write("0")
    shutil.rmtree("/run/lab/leases")


main(everything_is_set_and_put_back, check_sees_what_was_changed, the_hardware_address_comes_from_whom_the_runtime_says,
     bad_values_change_nothing, behind_a_plugin_that_is_not_ours)
