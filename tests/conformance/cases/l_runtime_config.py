"""Section 1.8: runtimeConfig, args.cni and the capabilities behind them."""

import json
import os
import subprocess

from lab import snapshot
from suite import kinds
from suite.registry import case
from suite.world import error_of, expect, result_of, same_result, silent

UNSUPPORTED = 2
MAPPED = {"capabilities": {"portMappings": True}}


def _publish(world, mapping, snat=True):
    """What the rules say after portmap was given the mapping; then it is taken back."""
    config = world.config("portmap", **MAPPED, snat=snat, runtimeConfig={"portMappings": [mapping]})
    world.add("portmap", config)
    text = json.dumps(snapshot.capture(only=("nft",)))
    silent(world.call("portmap", "CHECK", config))
    world.delete("portmap", config)
    return text


@case("R1.port-mapping", "portMappings: {} is published", "CONVENTIONS", needs=("portmap",), values={
    "tcp": {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
    "udp": {"hostPort": 8080, "containerPort": 53, "protocol": "udp"},
    "sctp": {"hostPort": 8080, "containerPort": 80, "protocol": "sctp"},
    "with-hostIP": {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"},
    "empty-hostIP": {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""},
    "as-containerd-writes-it": {"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""},
    "protocol-in-capitals": {"hostPort": 8080, "containerPort": 80, "protocol": "TCP"}})
def port_mapping(world, value):
    text = _publish(world, value)
    assert "8080" in text and "10.88.0.77" in text, "no rule leads from port 8080 to the container"


@case("R1.bad-port-mapping", "portMappings with {}: refused, nothing changed", "CONVENTIONS", needs=("portmap",), values={
    "container-port-0": {"hostPort": 8080, "containerPort": 0, "protocol": "tcp"},
    "no-container-port": {"hostPort": 8080, "protocol": "tcp"},
    "host-port-65536": {"hostPort": 65536, "containerPort": 80, "protocol": "tcp"},
    "negative-host-port": {"hostPort": -1, "containerPort": 80, "protocol": "tcp"},
    "unknown-protocol": {"hostPort": 8080, "containerPort": 80, "protocol": "icmp"},
    "rule-in-protocol": {"hostPort": 8080, "containerPort": 80, "protocol": "tcp dport 1 accept; add rule x"},
    "hostIP-is-no-address": {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "localhost"},
    "port-is-text": {"hostPort": "8080", "containerPort": 80, "protocol": "tcp"}})
def bad_port_mapping(world, value):
    world.prepare("portmap")
    config = world.config("portmap", **MAPPED, runtimeConfig={"portMappings": [value]})
    before = snapshot.capture(only=("nft",))
    error_of(world.call("portmap", "ADD", config))
    expect(snapshot.diff(before, snapshot.capture(only=("nft",))), [], "changed rules")


@case("R1.two-owners", "a host port that another container has: an error, the first keeps it", "ours", needs=("portmap",))
def two_owners(world):
    mapping = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}
    config = world.config("portmap", **MAPPED, runtimeConfig={"portMappings": [mapping]})
    world.add("portmap", config)
    error_of(world.call("portmap", "ADD", config, container_id="second"))
    silent(world.call("portmap", "CHECK", config))
    world.delete("portmap", config)


@case("R1.no-mappings", "portmap without portMappings passes its prevResult on", "CONVENTIONS", needs=("portmap",),
      values={"absent": {}, "empty": {"runtimeConfig": {"portMappings": []}},
              "null": {"runtimeConfig": {"portMappings": None}}, "runtime-config-null": {"runtimeConfig": None}})
def no_mappings(world, value):
    text = json.dumps({**world.config("portmap", **MAPPED), **value}).encode()
    world.prepare("portmap")
    with world.unchanged():
        same_result(result_of(world.call("portmap", "ADD", stdin=text)), world.previous())


@case("R2.ip-ranges", "ipRanges: the address is of the range that the runtime gives", "CONVENTIONS", needs=("host-local",),
      values={"besides-ranges": {**kinds.POOL},
              "alone": {key: entry for key, entry in kinds.POOL.items() if key != "ranges"}})
def ip_ranges(world, value):
    ranges = [[{"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.20", "rangeEnd": "10.77.0.30", "gateway": "10.77.0.9"}]]
    config = world.config("host-local", ipam=value, capabilities={"ipRanges": True}, runtimeConfig={"ipRanges": ranges})
    first = world.add("host-local", config)["ips"][0]
    expect((first["address"], first["gateway"]), ("10.77.0.20/24", "10.77.0.9"), "the address")
    world.delete("host-local", config)


@case("R3.ips", "ips: {} is the address that is given", "CONVENTIONS", plugins=lambda: ["host-local", "static"], values={
    "with-prefix": "10.88.0.99/24", "second-address": "10.88.0.98/24"})
def ips(world, plugin, value):
    config = world.config(plugin, capabilities={"ips": True}, runtimeConfig={"ips": [value]})
    expect([entry["address"] for entry in world.add(plugin, config)["ips"]], [value], "the address")
    world.delete(plugin, config)


@case("R3.ips-without-prefix", "ips without a prefix length", "CONVENTIONS", needs=("host-local",))
def ips_without_prefix(world):
    config = world.config("host-local", capabilities={"ips": True}, runtimeConfig={"ips": ["10.88.0.99"]})
    expect([entry["address"] for entry in world.add("host-local", config)["ips"]], ["10.88.0.99/24"], "the address")
    world.delete("host-local", config)


@case("R3.bad-ips", "ips: {}: refused", "CONVENTIONS", needs=("host-local",), values={
    "no-address": "nowhere", "of-another-network": "192.0.2.1", "the-gateway": "10.88.0.1",
    "prefix-too-long": "10.88.0.9/33"})
def bad_ips(world, value):
    config = world.config("host-local", capabilities={"ips": True}, runtimeConfig={"ips": [value]})
    world.refuse("host-local", "ADD", (), config)


@case("R3.taken", "ips: an address that another container has: refused, and the owner keeps it", "reference",
      needs=("host-local",))
def taken(world):
    config = world.config("host-local", capabilities={"ips": True}, runtimeConfig={"ips": ["10.88.0.99"]})
    result = world.add("host-local", config)
    world.refuse("host-local", "ADD", (), config, container_id="second")
    silent(world.call("host-local", "CHECK", {**config, "prevResult": result}))
    world.delete("host-local", config)


@case("R4.mac", "mac: {}: refused, nothing changed", "CONVENTIONS", plugins=lambda: [
    name for name in kinds.link_makers() if kinds.KINDS[name].reads_args], values={
        "no-address": "nowhere", "too-short": "02:00:00", "a-group": "01:00:5e:00:00:01", "all-zero": "00:00:00:00:00:00"})
def bad_mac(world, plugin, value):
    world.prepare(plugin)
    config = world.config(plugin, capabilities={"mac": True}, runtimeConfig={"mac": value})
    world.refuse(plugin, "ADD", (), config)


@case("R5.dns", "dns: servers, searches, options of the runtime are in the result", "CONVENTIONS", needs=("bridge",),
      values={
    "CONVENTIONS": {"servers": ["10.96.0.10"], "searches": ["svc.local"], "options": ["ndots:5"]},
    "containerd": {"Servers": ["10.96.0.10"], "Searches": ["svc.local"], "Options": ["ndots:5"]}})
def dns(world, value):
    config = world.config("bridge", capabilities={"dns": True}, runtimeConfig={"dns": value})
    expect(world.add("bridge", config).get("dns"),
           {"nameservers": ["10.96.0.10"], "search": ["svc.local"], "options": ["ndots:5"]}, "dns")
    world.delete("bridge", config)


@case("R6.bandwidth", "bandwidth: rate without burst: refused", "CONVENTIONS", needs=("bandwidth",), values={
    "no-burst": {"ingressRate": 1000}, "no-rate": {"egressBurst": 1000}})
def bandwidth(world, value):
    world.prepare("bandwidth")
    config = world.config("bandwidth", capabilities={"bandwidth": True}, runtimeConfig={"bandwidth": value})
    world.refuse("bandwidth", "ADD", (), config)


@case("R6.shaping", "bandwidth: a tbf with that rate is on the host's end", "CONVENTIONS", needs=("bandwidth",))
def shaping(world):
    config = world.config("bandwidth", capabilities={"bandwidth": True}, runtimeConfig={"bandwidth": {
        "ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 16_000_000, "egressBurst": 800_000}})
    world.add("bandwidth", config)
    shown = subprocess.run(["tc", "-j", "qdisc", "show", "dev", "cf-host0"], check=True, capture_output=True,
                           text=True).stdout
    rates = [entry["options"]["rate"] for entry in json.loads(shown) if entry["kind"] == "tbf"]
    expect(rates, [1_000_000], "bytes a second towards the container")
    silent(world.call("bandwidth", "CHECK", config))
    world.delete("bandwidth", config)


@case("R7.foreign-capabilities", "capabilities that a plugin does not know do no harm: {}", "CONVENTIONS",
      plugins=kinds.attachable, values={
          "cgroupPath": {"cgroupPath": "/kubepods/pod1"}, "annotations": {"io.kubernetes.cri.pod-annotations": {"a": "b"}},
          "deviceID": {"infinibandGUID": "c2:11:22:33:44:55:66:77"}})
def foreign_capabilities(world, plugin, value):
    if plugin == "host-device" and "infinibandGUID" in value:
        value = {"cgroupPath": "/x"}
    config = world.config(plugin, capabilities={key: True for key in value}, runtimeConfig=value)
    world.add(plugin, config)
    world.delete(plugin, config)


@case("R8.null", "null for every key of runtimeConfig counts as absent", "runtimes", plugins=kinds.attachable)
def null(world, plugin):
    keys = ("portMappings", "ips", "mac", "dns", "bandwidth", "ipRanges", "aliases")
    text = json.dumps({**world.config(plugin), "runtimeConfig": dict.fromkeys(keys)}).encode()
    world.prepare(plugin)
    result_of(world.call(plugin, "ADD", stdin=text))
    world.delete(plugin)


@case("R9.labels", "args.cni.labels are taken", "CONVENTIONS", plugins=kinds.attachable)
def labels(world, plugin):
    config = world.config(plugin, args={"cni": {"labels": [{"key": "app", "value": "web"}]}})
    world.add(plugin, config)
    world.delete(plugin, config)


@case("R10.aliases", "aliases ({}) are further names of the container, or code 2", "CONVENTIONS", needs=("bridge",), values={
    "list": ["web", "www"], "by-network": {"conf": ["web", "www"], "other": ["x"]}})
def aliases(world, value):
    config = world.config("bridge", capabilities={"aliases": True}, runtimeConfig={"aliases": value})
    world.prepare("bridge")
    outcome = world.call("bridge", "ADD", config)
    if not outcome.ok:
        error = error_of(outcome, UNSUPPORTED)
        assert "aliases" in error["msg"], error
        return
    tool = f"{world.folder}/netctl"
    assert os.access(tool, os.X_OK), "aliases are accepted, and nothing shows them"
    shown = json.loads(world.runtime.netctl("inspect", "www").expect_ok().stdout)
    assert "web" in json.dumps(shown) and "victim" in json.dumps(shown), shown
    world.delete("bridge", config)


@case("R11.portmap-keys", "portmap: {} has its meaning or is refused with code 2", "reference", needs=("portmap",), values={
    key: (key, value) for key, value in (("masqAll", True), ("conditionsV4", ["-s", "192.0.2.0/24"]),
                                         ("externalSetMarkChain", "CNI-TEST-MARK"))})
def portmap_keys(world, value):
    key, wanted = value
    config = world.config("portmap", **MAPPED, **{key: wanted},
                          runtimeConfig={"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]})
    plain = _publish(world, {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"})
    outcome = world.call("portmap", "ADD", config)
    if outcome.ok:
        assert json.dumps(snapshot.capture(only=("nft",))) != plain, "accepted, and the rules are the same"
        world.delete("portmap", config)
    else:
        error = error_of(outcome, UNSUPPORTED)
        assert key in error["msg"], error


@case("R11.no-mark-bit", "portmap: markMasqBit {} is the number of no bit: refused, and nothing is published", "reference",
      needs=("portmap",), values={"too-high": 32, "negative": -1, "text": "five"})
def no_mark_bit(world, value):
    mapping = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}
    config = world.config("portmap", **MAPPED, markMasqBit=value, runtimeConfig=mapping)
    world.prepare("portmap")
    before = json.dumps(snapshot.capture(only=("nft",)))
    error_of(world.call("portmap", "ADD", config))
    assert json.dumps(snapshot.capture(only=("nft",))) == before, "refused, and yet there are rules"


@case("R11.unknown-backend", "{} that nobody knows is refused", "reference", values={
    "bridge.ipMasqBackend": ("bridge", "ipMasqBackend"), "portmap.backend": ("portmap", "backend")},
      needs=("bridge", "portmap"))
def unknown_backend(world, value):
    plugin, key = value
    world.prepare(plugin)
    mapping = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}
    config = world.config(plugin, **{key: "ipchains"}, **(MAPPED if plugin == "portmap" else {}), runtimeConfig=mapping)
    error = error_of(world.call(plugin, "ADD", config))
    assert "ackend" in error["msg"], error
