#!/usr/bin/env python3
"""`host-device`: a device of the host moves into a container and comes back as it was, whatever happens meanwhile."""

import json
import pathlib

import traffic
from scenario import expect, main, run
from traffic import ask_tcp

IPAM = {"type": "static", "addresses": [{"address": "10.70.0.7/24", "gateway": "10.70.0.1"}]}


def config_for(name, ipam=IPAM, **keys):
    made = {"cniVersion": "1.0.0", "name": name, "type": "host-device", **keys}
    return {**made, "ipam": ipam} if ipam else made


def make_device(host, name="wire0", **options):
    """A veth of the host whose other end is in a namespace: a cable with a neighbour 10.70.0.1 behind it."""
    neighbour = host.lab.container(f"behind-{name}", process=False)
    run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", neighbour.netns)
    neighbour.run(["ip", "addr", "add", "10.70.0.1/24", "dev", "eth0"])
    neighbour.run(["ip", "link", "set", "eth0", "up"])
    run("ip", "addr", "add", "10.70.0.99/24", "dev", name)
    run("ip", "link", "set", name, "alias", "the operator's words", "mtu", "1400", "up")
    return neighbour


def look(name):
    """What has to be again as it was. Index and link-local address may be new."""
    link = json.loads(run("ip", "-d", "-j", "addr", "show", "dev", name))[0]
    addresses = sorted(f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global")
    return {"mtu": link["mtu"], "mac": link["address"], "alias": link.get("ifalias"), "up": "UP" in link["flags"],
            "addresses": addresses, "master": link.get("master")}


def exists(name):
    return pathlib.Path(f"/proc/sys/net/ipv4/conf/{name}").exists()


def remove(host, *containers):
    for container in containers:
        host.lab.remove(container)


def there_and_back(host):
    neighbour, before = make_device(host), look("wire0")
    traffic.tcp_service("neighbour", neighbour.netns, 80)
    runtime, container = host.lab.runtime, host.lab.container("box", process=False)
    for selector in ({"device": "wire0"}, {"hwaddr": before["mac"]}):
        config = config_for("dev", **selector)
        result = runtime.call("host-device", "ADD", config, container).expect_ok().json
        assert not exists("wire0")
        expect([i["name"] for i in result["interfaces"]], ["eth0"], "interfaces")
        expect(result["interfaces"][0]["mac"], before["mac"], "its own hardware address")
        expect(ask_tcp(container.netns, "10.70.0.1", 80), "neighbour 10.70.0.7", "the cable, from inside")
        runtime.call("host-device", "CHECK", {**config, "prevResult": result}, container).expect_ok()
        runtime.call("host-device", "ADD", config, container).expect_error(105)
        runtime.call("host-device", "DEL", config, container).expect_ok()
        expect(look("wire0"), before, f"back again, {selector}")
        runtime.call("host-device", "DEL", config, container).expect_ok()
    run("ip", "link", "del", "wire0")
    remove(host, container, neighbour)


def del_without_a_path(host):
    neighbour, before = make_device(host), look("wire0")
    container = host.lab.container("box", process=False)
    config = config_for("dev", device="wire0")
    host.lab.runtime.call("host-device", "ADD", config, container).expect_ok()
    host.lab.runtime.call("host-device", "DEL", config, container, netns="").expect_ok()
    expect(look("wire0"), before, "back, although CNI_NETNS was empty")
    run("ip", "link", "del", "wire0")
    remove(host, container, neighbour)


def a_port_of_a_bridge(host):
    neighbour = make_device(host)
    run("ip", "link", "add", "br-own", "type", "bridge")
    run("ip", "link", "set", "wire0", "master", "br-own")
    before = look("wire0")
    container = host.lab.container("box", process=False)
    config = config_for("dev", device="wire0")
    host.lab.runtime.call("host-device", "ADD", config, container).expect_ok()
    host.lab.runtime.call("host-device", "DEL", config, container).expect_ok()
    expect(look("wire0"), before, "a port again")
    run("ip", "link", "del", "wire0")
    run("ip", "link", "del", "br-own")
    remove(host, container, neighbour)


def the_names_are_taken(host):
    neighbour, before = make_device(host), look("wire0")
    runtime, container = host.lab.runtime, host.lab.container("box", process=False)
    config = config_for("dev", device="wire0")
    container.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth9"])
    runtime.call("host-device", "ADD", config, container).expect_error(104)
    expect(look("wire0"), before, "untouched")
    container.run(["ip", "link", "del", "eth0"])
    runtime.call("host-device", "ADD", config, container).expect_ok()
    run("ip", "link", "add", "wire0", "type", "bridge")  # somebody takes both names on the host meanwhile
    run("ip", "link", "add", "eth0", "type", "bridge")
    outcome = runtime.call("host-device", "DEL", config, container).expect_ok()
    assert "its name was taken" in outcome.stderr, outcome.stderr
    back = [link["ifname"] for link in json.loads(run("ip", "-j", "link")) if link.get("ifalias") == before["alias"]]
    expect(len(back), 1, "back under another name")
    expect(look(back[0]), before, "otherwise as it was")
    for name in ("wire0", "eth0", back[0]):
        run("ip", "link", "del", name)
    remove(host, container, neighbour)


def back_by_itself(host):
    """As the kernel does with hardware when a namespace ends: it is back under a name of the kernel's choice."""
    neighbour, before = make_device(host), look("wire0")
    container = host.lab.container("box", process=False)
    config = config_for("dev", device="wire0")
    host.lab.runtime.call("host-device", "ADD", config, container).expect_ok()
    # This process itself is in the container's namespace while it runs a command there.
    at_home = host.lab.spawn(["sleep", "infinity"])
    container.run(["ip", "link", "set", "eth0", "netns", str(at_home.pid), "name", "dev17"])
    at_home.kill()
    at_home.wait()
    host.lab.remove(container)
    shown = host.lab.runtime.netctl("ps", "--json").expect_ok()
    assert '"dead"' in shown.stdout, shown.stdout
    host.lab.runtime.netctl("gc").expect_ok()
    expect(look("wire0"), before, "found by its alias, and given its name")
    run("ip", "link", "del", "wire0")
    remove(host, neighbour)


def virtual_devices_end(host):
    neighbour = make_device(host)
    container = host.lab.container("box", process=False)
    config = config_for("dev", device="wire0")
    host.lab.runtime.call("host-device", "ADD", config, container).expect_ok()
    host.lab.remove(container)
    outcome = host.lab.runtime.call("host-device", "DEL", config, container).expect_ok()
    assert not exists("wire0")
    remove(host, neighbour)
    assert outcome.json is None, outcome.stdout


def by_bus(host):
    """/sys/bus made of folders: what a PCI device looks like from there, with a kernel's and with a userspace driver."""
    neighbour, before = make_device(host), look("wire0")
    bus = pathlib.Path("/run/lab/bus/pci/devices")
    (bus / "0000:00:1f.6" / "net" / "wire0").mkdir(parents=True)
    (bus / "0000:00:1f.7" / "virtio3" / "net" / "wire0").mkdir(parents=True)
    (bus / "0000:00:1f.8").mkdir()
    (bus / "0000:00:1f.8" / "driver").symlink_to("/run/lab/bus/pci/drivers/vfio-pci")
    run("mount", "--bind", "/run/lab/bus", "/sys/bus")
    runtime, container = host.lab.runtime, host.lab.container("box", process=False)
    for keys in ({"pciBusID": "0000:00:1f.6"}, {"pciBusID": "none", "runtimeConfig": {"deviceID": "0000:00:1f.7"}}):
        config = config_for("dev", **keys)
        runtime.call("host-device", "ADD", config, container).expect_ok()
        container.run(["ip", "link", "show", "eth0"])
        runtime.call("host-device", "DEL", config, container).expect_ok()
        expect(look("wire0"), before, f"back again, {keys}")
    for keys in ({"pciBusID": "0000:00:1f.8"}, {"device": "wire0", "DPDKMode": True}):
        config = config_for("dpdk", **keys)
        result = runtime.call("host-device", "ADD", config, container).expect_ok().json
        expect([ip["address"] for ip in result["ips"]], ["10.70.0.7/24"], "addresses are handed out")
        assert not result.get("interfaces"), result
        expect(container.run(["ip", "link", "show", "eth0"], check=False).returncode != 0, True, "nothing moved")
        runtime.call("host-device", "CHECK", {**config, "prevResult": result}, container).expect_ok()
        runtime.call("host-device", "DEL", config, container).expect_ok()
    refused = runtime.call("host-device", "ADD", config_for("dev", pciBusID="0000:00:1f.9"), container).expect_error(7)
    assert "there is no PCI or auxiliary device" in refused.json["msg"], refused.json
    runtime.call("host-device", "ADD", config_for("dev", device="lo"), container).expect_error(7)
    runtime.call("host-device", "ADD", config_for("dev", device="nowhere"), container).expect_error(7)
    run("umount", "/sys/bus")
    run("ip", "link", "del", "wire0")
    remove(host, container, neighbour)


main(there_and_back, del_without_a_path, a_port_of_a_bridge, the_names_are_taken, back_by_itself, virtual_devices_end,
     by_bus)
