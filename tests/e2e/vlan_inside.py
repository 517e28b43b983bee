#!/usr/bin/python3
"""What bridge_vlan.py runs as the first process of a small machine: the VLAN keys of `bridge`, with packets and snapshots.

The machine is user-mode-linux with the host's files, read-only. Prints "passed NAME" or "FAILED NAME" and a reason for each
scenario, and "the end" before it switches the machine off.
"""

import ctypes
import json
import os
import pathlib
import subprocess
import sys
import traceback

NEEDED = ("net/bridge/bridge", "drivers/net/veth", "net/8021q/8021q", "net/netfilter/nf_tables", "net/netfilter/nft_ct",
          "net/netfilter/nf_conntrack_netlink")


def prepare():
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run"), ("tmpfs", "/tmp")):
        subprocess.run(["mount", "-t", kind, kind, place], check=True)
    root = pathlib.Path("/usr/lib/uml/modules", os.uname().release)
    lines = (line.split(":", 1) for line in (root / "modules.dep").read_text(encoding="ascii").splitlines())
    needs = {module: rest.split() for module, rest in lines}
    loaded = set()
    for wanted in NEEDED:
        module = f"kernel/{wanted}.ko"
        for one in [*reversed(needs.get(module, [])), module]:
            if one not in loaded and (root / one).exists():
                subprocess.run(["busybox", "insmod", root / one], check=True)
                loaded.add(one)


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def vlans(port):
    """{VLAN: flags} of a port of a bridge."""
    shown = json.loads(run("bridge", "-j", "-d", "vlan", "show", "dev", port) or "[]")
    found = {}
    for entry in shown[0]["vlans"] if shown else []:
        for vlan in range(entry["vlan"], entry.get("vlanEnd", entry["vlan"]) + 1):
            found[vlan] = sorted(entry.get("flags", []))
    return found


UNTAGGED, TAGGED = ["Egress Untagged", "PVID"], []


class Scenarios:
    def __init__(self, lab, snapshot):
        self.lab, self.snapshot = lab, snapshot
        run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    def network(self, name, number, version="1.0.0", **keys):
        ipam = {"type": "host-local", "ranges": [[{"subnet": f"10.{number}.0.0/24"}]]}
        return {"cniVersion": version, "name": name, "plugins": [{"type": "bridge", "bridge": "br0", "ipam": ipam, **keys}]}

    def attach(self, net, name):
        box = self.lab.container(name, process=False)
        result = self.lab.runtime.chain_add(net, box)
        return box, result

    def detach(self, net, box):
        self.lab.runtime.chain_del(net, box)
        self.lab.remove(box)

    def check_fails(self, net, box, result):
        config = {"cniVersion": net["cniVersion"], "name": net["name"], **net["plugins"][0], "prevResult": result}
        return self.lab.runtime.call("bridge", "CHECK", config, box).expect_error(107)

    @staticmethod
    def pings(box, address):
        return box.run(["ping", "-c", "1", "-W", "2", address], check=False).returncode == 0

    @staticmethod
    def address(result):
        return result["ips"][0]["address"].split("/")[0]

    def access_ports_and_their_gateway(self):
        red = self.network("red", 31, vlan=100, isGateway=True, isDefaultGateway=True, preserveDefaultVlan=False)
        blue = self.network("blue", 31, vlan=200, preserveDefaultVlan=False)
        one, result = self.attach(red, "one")
        two, second = self.attach(red, "two")
        other, _ = self.attach(blue, "other")
        bridge, end, inside, gateway = result["interfaces"]
        assert (bridge["name"], inside["name"], gateway["name"]) == ("br0", "eth0", "br0.100"), result["interfaces"]
        assert result["ips"][0]["interface"] == 2, result["ips"]
        assert vlans(end["name"]) == {100: UNTAGGED}, vlans(end["name"])
        assert "10.31.0.1/24" in run("ip", "addr", "show", "br0.100")
        assert "inet " not in run("ip", "addr", "show", "br0"), "the bridge itself has an address"
        assert json.loads(run("ip", "-j", "link", "show", "br0.100"))[0]["address"] == gateway["mac"]
        assert self.pings(one, "10.31.0.1"), "to the gateway"
        assert self.pings(one, self.address(second)), "to the neighbour in the same VLAN"
        other.run(["ip", "addr", "flush", "dev", "eth0"])
        other.run(["ip", "addr", "add", "10.31.0.99/24", "dev", "eth0"])
        assert not self.pings(other, self.address(result)), "from another VLAN"
        self.lab.runtime.chain_check(red, one, result)
        run("bridge", "vlan", "del", "dev", end["name"], "vid", "100")
        refused = self.check_fails(red, one, result)
        assert "is not an untagged port of VLAN 100" in refused.json["msg"], refused.json
        for net, box in ((red, one), (red, two), (blue, other)):
            self.detach(net, box)

    def trunks_pass_what_they_list(self):
        trunk = self.network("trunk", 32, vlanTrunk=[{"minID": 10, "maxID": 12}, {"id": 20}])
        one, result = self.attach(trunk, "one")
        two, second = self.attach(trunk, "two")
        end = result["interfaces"][1]["name"]
        assert vlans(end) == {1: UNTAGGED, 10: TAGGED, 11: TAGGED, 12: TAGGED, 20: TAGGED}, vlans(end)
        assert self.pings(one, self.address(second)), "without a tag, in the default VLAN"
        for vlan, passes in ((11, True), (13, False)):
            for box, last in ((one, 1), (two, 2)):
                box.run(["ip", "link", "add", "link", "eth0", "name", f"eth0.{vlan}", "type", "vlan", "id", str(vlan)])
                box.run(["ip", "addr", "add", f"172.16.{vlan}.{last}/24", "dev", f"eth0.{vlan}"])
                box.run(["ip", "link", "set", f"eth0.{vlan}", "up"])
            assert self.pings(one, f"172.16.{vlan}.2") == passes, f"VLAN {vlan}"
        self.lab.runtime.chain_check(trunk, one, result)
        self.detach(trunk, one)
        self.detach(trunk, two)

    def the_default_vlan_stays_or_goes(self):
        for number, keep in ((33, True), (34, False)):
            for name, keys, own in ((f"acc{number}", {"vlan": 100}, {100: UNTAGGED}),
                                    (f"tr{number}", {"vlanTrunk": [{"id": 20}]}, {20: TAGGED})):
                net = self.network(name, number, preserveDefaultVlan=keep, **keys)
                box, result = self.attach(net, "box")
                kept = {1: UNTAGGED if 20 in own else ["Egress Untagged"]} if keep else {}
                found = vlans(result["interfaces"][1]["name"])
                assert found == {**kept, **own}, f"{name}: {found}"
                self.detach(net, box)

    def a_bridge_that_was_deleted_is_made_anew(self):
        net = self.network("again", 35, vlan=100, isGateway=True, preserveDefaultVlan=False)
        one, result = self.attach(net, "one")
        run("ip", "link", "del", "br0")
        two, second = self.attach(net, "two")
        assert vlans(result["interfaces"][1]["name"]) == {100: UNTAGGED}
        assert self.pings(one, self.address(second)) and self.pings(one, "10.35.0.1")
        run("ip", "link", "del", "br0.100")
        three, _ = self.attach(net, "three")
        assert self.pings(one, "10.35.0.1"), "the gateway is made anew, too"
        for box in (one, two, three):
            self.detach(net, box)

    def bridges_of_others_are_not_switched(self):
        run("ip", "link", "add", "br0", "type", "bridge")
        net = self.network("foreign", 36, vlan=100)
        box = self.lab.container("box", process=False)
        config = {"cniVersion": "1.0.0", "name": "foreign", **net["plugins"][0]}
        before = self.capture()
        refused = self.lab.runtime.call("bridge", "ADD", config, box).expect_error(7)
        assert "does not filter VLANs" in refused.json["msg"], refused.json
        self.snapshot.assert_same(before, "a refusal", **self.what())
        run("ip", "link", "set", "br0", "type", "bridge", "vlan_filtering", "1")
        self.lab.runtime.call("bridge", "ADD", config, box).expect_ok()
        self.detach(net, box)
        assert "br0" in run("ip", "link", "show", "br0"), "an adopted bridge stays"
        run("ip", "link", "del", "br0")

    @staticmethod
    def what():
        return {"only": ("ip4", "ip6", "fdb", "vlan", "sysctl")}

    def capture(self):
        return self.snapshot.settled(**self.what())

    def play(self):
        for name in ("access_ports_and_their_gateway", "trunks_pass_what_they_list", "the_default_vlan_stays_or_goes",
                     "a_bridge_that_was_deleted_is_made_anew", "bridges_of_others_are_not_switched"):
            before = self.capture()
            try:
                getattr(self, name)()
                self.snapshot.assert_same(before, f"before and after {name}", **self.what())
                print(f"passed {name}", flush=True)
            except BaseException:  # noqa: B902 (whatever it was, it is this scenario's failure)
                print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
                break


def main():
    prepare()
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
    from lab import Lab, snapshot  # noqa: E402 (needs /proc)
    with Lab(duplicate_detection=False) as lab:
        Scenarios(lab, snapshot).play()


if __name__ == "__main__":
    if os.getpid() != 1:
        sys.exit("bridge_vlan.py starts this inside a machine of its own")
    try:
        main()
        print("the end", flush=True)
    except BaseException:  # noqa: B902 (the machine must be switched off)
        traceback.print_exc(file=sys.stdout)
    sys.stdout.flush()
    RB_POWER_OFF = 0x4321FEDC
    ctypes.CDLL(None).reboot(ctypes.c_int(RB_POWER_OFF))
