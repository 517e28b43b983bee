"""What bench/plugins measures: one executable at a time, in the place of a chain in which runtimes call it."""

from dataclasses import dataclass, field

import lab

RULES = "execs helpers or programs rules"  # what the reference does, and by what ours is judged: ten times faster
PLAIN = "netlink only"                     # ... or half of the reference's time
PAIR = "add"            # of the kernel's floor: a veth pair with address and route
DEVICE = "add_device"   # one more device, of kind ifb


@dataclass
class Case:
    """`sections(number)` is the chain for one attachment; the one called `measured` is timed, those before it prepare."""

    name: str
    measured: str
    kind: str
    sections: object
    runtime_config: dict = field(default_factory=dict)
    ifname: str = "eth0"
    prepare: object = None  # called with (host's name, number) before ADD, untimed
    is_ipam: bool = False   # the executable that stands in `ipam.type` is called by itself
    floor: str = ""         # what `floor` is asked for: PAIR or DEVICE

    def network(self, number, data_dir):
        """The sections, with the keys that a runtime adds; `data_dir` for the reference's leases."""
        made = []
        for section in self.sections(number):
            section = {"cniVersion": "1.0.0", "name": f"bench-{self.name.replace(' ', '-')}", **section}
            if data_dir and section.get("ipam", {}).get("type") == "host-local":
                section["ipam"] = {**section["ipam"], "dataDir": data_dir}
            made.append(section)
        return made


def pool(number):
    return {"type": "host-local", "ranges": [[{"subnet": f"10.{number}.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}


def bridge(number, **keys):
    return {"type": "bridge", "bridge": f"bn{number}", "isGateway": True, "ipam": pool(number), **keys}


def ports(number):
    return {"portMappings": [{"hostPort": 20000 + number, "containerPort": 80, "protocol": "tcp"}]}


RATES = {"bandwidth": {"ingressRate": 80_000_000, "ingressBurst": 8_000_000,
                       "egressRate": 80_000_000, "egressBurst": 8_000_000}}


def make_device(host, number):
    """host-device's own: one end of a pair, which comes back at DEL."""
    lab.ip("-n", host, "link", "add", f"hd{number}", "type", "veth", "peer", "name", f"hp{number}")


def make_uplink(host, _number):
    """macvlan's: made once."""
    if not lab.link_exists(host, "up0"):
        lab.ip("-n", host, "link", "add", "up0", "type", "veth", "peer", "name", "up1")
        lab.ip("-n", host, "link", "set", "up0", "up")


CASES = [
    Case("bridge", "bridge", PLAIN, lambda n: [bridge(61)], floor=PAIR),
    Case("bridge masquerade", "bridge", RULES, lambda n: [bridge(62, ipMasq=True)], floor=PAIR),
    Case("portmap", "portmap", RULES,
         lambda n: [bridge(63), {"type": "portmap", "capabilities": {"portMappings": True}}], ports),
    Case("firewall", "firewall", RULES, lambda n: [bridge(64), {"type": "firewall"}]),
    Case("tuning", "tuning", PLAIN,
         lambda n: [bridge(65), {"type": "tuning", "mtu": 1400, "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}}]),
    Case("bandwidth", "bandwidth", PLAIN,
         lambda n: [bridge(66), {"type": "bandwidth", "capabilities": {"bandwidth": True}}], lambda n: RATES,
         floor=DEVICE),
    Case("ptp", "ptp", PLAIN, lambda n: [{"type": "ptp", "ipam": pool(67)}], floor=PAIR),
    Case("ptp masquerade", "ptp", RULES, lambda n: [{"type": "ptp", "ipMasq": True, "ipam": pool(68)}],
         floor=PAIR),
    Case("macvlan", "macvlan", PLAIN, lambda n: [{"type": "macvlan", "master": "up0", "ipam": pool(69)}],
         prepare=make_uplink),
    Case("host-device", "host-device", PLAIN, lambda n: [{"type": "host-device", "device": f"hd{n}", "ipam": pool(70)}],
         prepare=make_device),
    Case("loopback", "loopback", PLAIN, lambda n: [{"type": "loopback"}], ifname="lo"),
    Case("host-local", "host-local", PLAIN, lambda n: [{"type": "ptp", "ipam": pool(71)}], is_ipam=True),
    Case("static", "static", PLAIN,
         lambda n: [{"type": "ptp", "ipam": {"type": "static", "addresses": [{"address": "10.72.0.9/16"}]}}], is_ipam=True),
]
