"""Valid inputs of every executable with all the keys it reads, and what can be made wrong with them."""

import copy

PREVIOUS = {
    "cniVersion": "1.0.0",
    "interfaces": [{"name": "cni-lab0", "mac": "02:00:00:00:00:01"},
                   {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/victim"}],
    "ips": [{"interface": 1, "address": "10.87.0.77/24", "gateway": "10.87.0.1"}],
    "routes": [{"dst": "0.0.0.0/0", "gw": "10.87.0.1"}],
    "dns": {"nameservers": ["192.0.2.53"], "domain": "example", "search": ["example"], "options": ["ndots:2"]},
}
IPAM = {
    "type": "host-local",
    "dataDir": "/run/lab/pool",
    "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.10", "rangeEnd": "10.88.0.20", "gateway": "10.88.0.1"}]],
    "routes": [{"dst": "0.0.0.0/0", "gw": "10.88.0.1"}],
}
MAPPING = {"hostPort": 8099, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"}
DNS = {"nameservers": ["192.0.2.53"], "domain": "example", "search": ["example"], "options": ["ndots:2"]}
COMMON = {"cniVersion": "1.0.0", "name": "inputs"}

VALID = {
    "bridge": {
        **COMMON, "type": "bridge", "bridge": "cni-in0", "isGateway": True, "isDefaultGateway": False,
        "forceAddress": False, "ipMasq": True, "ipMasqBackend": "nftables", "hairpinMode": True, "promiscMode": False,
        "mtu": 1400, "vlan": 0, "vlanTrunk": [], "preserveDefaultVlan": False, "portIsolation": True,
        "macspoofchk": False, "enabledad": False, "disableContainerInterface": False, "mac": "02:00:00:00:00:05",
        "dns": DNS, "ipam": IPAM, "capabilities": {"portMappings": True, "ips": True, "mac": True},
        "runtimeConfig": {"portMappings": [MAPPING], "ips": ["10.88.0.15/24"], "mac": "02:00:00:00:00:07",
                          "aliases": {"inputs": ["web"]},
                          "dns": {"servers": ["192.0.2.54"], "searches": ["example"], "options": ["ndots:1"]}},
        "args": {"cni": {"labels": [{"key": "app", "value": "web"}]}},
        "netctl": {"isolation": True, "internal": False, "localhostPublish": True,
                   "masqueradeExclude": ["192.0.2.0/24"], "exclude": ["10.88.0.19"], "disableIPv6": False},
    },
    "portmap": {
        **COMMON, "type": "portmap", "capabilities": {"portMappings": True}, "snat": True, "masqAll": False,
        "backend": "nftables", "conditionsV4": [], "conditionsV6": [],
        "runtimeConfig": {"portMappings": [MAPPING]}, "prevResult": PREVIOUS,
    },
    "host-local": {**COMMON, "type": "anything", "ipam": IPAM, "args": {"cni": {"ips": ["10.88.0.16"]}}},
    "static": {
        **COMMON, "type": "anything",
        "ipam": {"type": "static", "addresses": [{"address": "10.88.0.15/24", "gateway": "10.88.0.1"}],
                 "routes": [{"dst": "0.0.0.0/0", "gw": "10.88.0.1"}], "dns": DNS},
        "runtimeConfig": {"ips": ["10.88.0.16/24"]},
    },
    "ptp": {
        **COMMON, "type": "ptp", "ipMasq": True, "ipMasqBackend": "nftables", "mtu": 1400, "dns": DNS, "ipam": IPAM,
        "capabilities": {"portMappings": True}, "runtimeConfig": {"portMappings": [MAPPING]},
        "netctl": {"masqueradeExclude": ["192.0.2.0/24"], "exclude": ["10.88.0.19"], "disableIPv6": False,
                   "localhostPublish": True},
    },
    "macvlan": {
        **COMMON, "type": "macvlan", "master": "spare0", "mode": "bridge", "mtu": 1400, "mac": "02:00:00:00:00:05",
        "linkInContainer": False, "bcqueuelen": 100, "dns": DNS, "ipam": IPAM,
        "runtimeConfig": {"mac": "02:00:00:00:00:07", "ips": ["10.88.0.15/24"]},
    },
    "host-device": {
        **COMMON, "type": "host-device", "device": "spare0", "hwaddr": "02:00:00:00:00:05",
        "kernelpath": "/sys/devices/pci0000:00/0000:00:1f.6", "pciBusID": "0000:00:1f.6", "DPDKMode": False,
        "dns": DNS, "ipam": IPAM, "runtimeConfig": {"deviceID": "0000:00:1f.7"},
    },
    "none": {**COMMON, "type": "none"},
    "loopback": {**COMMON, "type": "loopback"},
}

# Carried along or for others to read: any type will do, as the reference has it.
FREE_FORM = {("capabilities",), ("prevResult",), ("type",), ("args",)}
# Both forms are in use: a list, and lists by network.
EITHER_FORM = {("runtimeConfig", "aliases"): "list"}
WRONG = {"bool": True, "number": 7, "negative": -1, "fraction": 1.5, "huge": 1e300, "string": "bad value",
         "empty string": "", "list": ["bad"], "list of numbers": [1], "list of lists": [[[[]]]],
         "object": {"bad": 1}, "nested": {"a": {"b": [{}]}}}
KIND = {bool: "bool", int: "number", float: "number", str: "string", list: "list", dict: "object"}


def paths_of(value, path=()):
    """Every place in a document, the inner ones too."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key), inner
        yield from paths_of(inner, (*path, key))


def replaced(document, path, value):
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def wrong_types(document):
    """(path, name of the wrong type, document with it) for every key and every JSON type that is not its own."""
    for path, value in paths_of(document):
        if path[:1] in FREE_FORM and path[:1] != ("prevResult",):
            continue
        own = KIND[type(value)]
        for name, wrong in WRONG.items():
            kind = KIND[type(wrong)]
            if EITHER_FORM.get(path) == name:
                continue
            # A fraction or a number out of range is no port and no MTU.
            if kind == own and not (own == "number" and name in ("negative", "fraction", "huge")):
                continue
            # An empty string stands for "not set" to many writers of configurations; null as well.
            if name != "empty string":
                yield path, name, replaced(document, path, wrong)


BAD_VALUES = {
    "bridge": [
        (("vlan",), 4095), (("vlan",), -1), (("vlanTrunk",), [{"id": 0}]), (("vlanTrunk",), [{"minID": 3}]),
        (("vlanTrunk",), [{"minID": 3, "maxID": 2}]), (("vlanTrunk",), [{"id": 4095}]),
        (("bridge",), "longer-than-15-bytes"), (("bridge",), "a/b"), (("bridge",), ".."), (("bridge",), "a b"),
        (("mtu",), 70000), (("mac",), "02:00"), (("mac",), "ff:ff:ff:ff:ff:ff"), (("ipMasqBackend",), "ipchains"),
        (("ipam", "ranges", 0, 0, "subnet"), "10.88.0.0/33"), (("ipam", "ranges", 0, 0, "subnet"), "10.88.0.0"),
        (("ipam", "ranges", 0, 0, "rangeStart"), "10.99.0.1"), (("ipam", "ranges", 0, 0, "gateway"), "nowhere"),
        (("ipam", "ranges", 0, 0, "rangeEnd"), "10.88.0.2"), (("ipam", "ranges", 0), []),
        (("ipam", "type"), "../host-local"), (("ipam", "routes", 0, "dst"), "everywhere"),
        (("runtimeConfig", "portMappings", 0, "hostPort"), 65536),
        (("runtimeConfig", "portMappings", 0, "protocol"), "icmp"),
        (("runtimeConfig", "portMappings", 0, "hostIP"), "localhost"),
        (("runtimeConfig", "portMappings", 0, "containerPort"), 0),
        (("runtimeConfig", "ips", 0), "10.88.0.300"), (("netctl", "masqueradeExclude", 0), "x"), (("promiscMode",), True),
        (("name",), ""), (("name",), "../net"), (("name",), "a/b"), (("name",), ".net"), (("name",), "net\n"),
        (("name",), "n\0"),
    ],
    "portmap": [(("backend",), "pf"), (("prevResult", "ips", 0, "address"), "10.87.0.77/99"), (("name",), "-net")],
    "host-local": [(("ipam", "ranges", 0, 0, "subnet"), "fd00::/129"), (("ipam",), {}), (("args", "cni", "ips", 0), "x")],
    "static": [(("ipam", "addresses", 0, "address"), "10.88.0.15"),
               (("ipam", "addresses", 0, "address"), "10.88.0.15/33"), (("ipam", "addresses", 0, "address"), "::/0"),
               (("ipam", "addresses", 0, "gateway"), "nowhere"), (("ipam", "addresses", 0, "gateway"), "fd00::1"),
               (("runtimeConfig", "ips", 0), "10.88.0.16"), (("ipam", "routes", 0, "dst"), "everywhere")],
    "ptp": [(("ipam",), {}), (("ipam", "type"), ""), (("ipMasqBackend",), "ipchains"), (("mtu",), 70000),
            (("ipam", "ranges", 0, 0, "subnet"), "10.88.0.0/33"), (("netctl", "masqueradeExclude", 0), "x")],
    "macvlan": [(("master",), "nowhere"), (("master",), "a/b"), (("mode",), "source"), (("mode",), "Bridge"),
                (("mtu",), 1501), (("mtu",), 70000), (("mac",), "ff:ff:ff:ff:ff:ff"), (("bcqueuelen",), 1 << 33)],
    "host-device": [(("device",), "nowhere"), (("device",), "lo"), (("device",), "a b"), (("hwaddr",), "02:00"),
                    (("kernelpath",), "/etc/net"), (("kernelpath",), "/sys/devices/../../etc"),
                    (("pciBusID",), "../.."), (("runtimeConfig", "deviceID"), "a/b")],
    "none": [(("name",), "a b")],
    "loopback": [(("name",), "")],
}
