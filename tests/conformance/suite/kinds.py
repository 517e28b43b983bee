"""The executables that the suite knows: a minimal configuration of each, and what kind of work it does.

An executable of the folder under test that is not named here still goes through all cases that need no successful ADD.
"""

import dataclasses

POOL = {"type": "host-local", "dataDir": "/run/lab/pool", "ranges": [[{"subnet": "10.88.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}]}
STATIC = {"type": "static", "addresses": [{"address": "10.88.0.5/24", "gateway": "10.88.0.1"}]}


@dataclasses.dataclass(frozen=True)
class Kind:
    config: dict = dataclasses.field(default_factory=dict)
    makes_link: bool = False    # ADD puts an interface called CNI_IFNAME into the container
    gives_addresses: bool = False  # an IPAM plugin
    is_chained: bool = False    # wants a prevResult
    enters_netns: bool = True   # looks at CNI_NETNS
    reads_args: bool = False    # has keys of its own in CNI_ARGS
    can_add: bool = True        # the minimal configuration is enough for an ADD in the suite's world
    keeps_link: bool = False    # DEL cannot be judged by the link alone: it was there before ADD
    oldest: str = "0.1.0"       # the oldest version that the reference takes
    helpers: tuple = ()         # other executables that ADD needs


KINDS = {
    "bridge": Kind({"bridge": "cni-cf0", "isGateway": True, "ipMasq": True, "ipam": POOL}, makes_link=True,
                   reads_args=True),
    "ptp": Kind({"ipMasq": True, "ipam": POOL}, makes_link=True),
    "macvlan": Kind({"master": "cf-master", "ipam": POOL}, makes_link=True, reads_args=True),
    "host-device": Kind({"device": "cf-device"}, makes_link=True, keeps_link=True),
    "loopback": Kind(),
    "none": Kind(),
    "host-local": Kind({"ipam": POOL}, gives_addresses=True, enters_netns=False, reads_args=True),
    "static": Kind({"ipam": STATIC}, gives_addresses=True, enters_netns=False, reads_args=True),
    "portmap": Kind(is_chained=True, enters_netns=False),
    "tuning": Kind({"mtu": 1400}, is_chained=True, reads_args=True),
    "bandwidth": Kind(is_chained=True, enters_netns=False, oldest="0.3.0"),
    "firewall": Kind(is_chained=True, enters_netns=False, oldest="0.4.0"),
    "host": Kind(can_add=False),
    "container-share": Kind({"netctl": {"container": "somebody"}}, can_add=False),
}
# What a folder that replaces the reference's has to hold, as far as this suite goes.
DROP_IN = ("bridge", "ptp", "macvlan", "host-device", "host-local", "static", "loopback", "portmap", "tuning", "bandwidth",
           "firewall")


def add_unknown(names):
    for name in names:
        KINDS.setdefault(name, Kind(can_add=False, enters_netns=False))


def every():
    return list(KINDS)


def where(**wanted):
    """A selector: the executables whose kind has all these values."""
    return lambda: [name for name, kind in KINDS.items()
                    if all(getattr(kind, key) == value for key, value in wanted.items())]


attachable = where(can_add=True)
link_makers = where(makes_link=True)
chained = where(is_chained=True, can_add=True)
ipams = where(gives_addresses=True)
entering = where(enters_netns=True, can_add=True)
