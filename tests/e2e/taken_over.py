#!/usr/bin/env python3
"""A node that ran the reference plugins: its containers' DEL, GC and addresses; Debian's executables make the past."""

import json
import os
import subprocess

from scenario import expect, snapshot
from lab import Lab, Runtime, bin_dir, bridge_conflist
from lab.plugins import CniFailure, addresses

REFERENCE = "/usr/lib/cni"
LEASES = "/var/lib/cni/networks"


def chain(name="old", subnet="10.88.0.0/16", bridge="cni-old0", **ipam_keys):
    conflist = bridge_conflist(name, subnet, bridge, bridge_keys={"macspoofchk": True}, ipam_keys=ipam_keys)
    conflist["plugins"].append({"type": "firewall"})
    conflist["plugins"].append({"type": "bandwidth", "capabilities": {"bandwidth": True}})
    return conflist


def ours(conflist):
    """The same list as our executables see it: shaping and filtering have executables of their own."""
    return {**conflist, "plugins": [p for p in conflist["plugins"] if p["type"] in ("bridge", "portmap")]}


def settings(number):
    return {"portMappings": [{"hostPort": number, "containerPort": 80, "protocol": "tcp"},
                             {"hostPort": number, "containerPort": 53, "protocol": "udp"}],
            "bandwidth": {"ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 8000000, "egressBurst": 800000}}


class Node:
    def __init__(self, lab):
        self.lab = lab
        self.past = Runtime(REFERENCE)
        self.now = Runtime(state_dir=lab.state_dir)

    def old(self, conflist, name, number, ifname="eth0", container=None):
        """A container that the reference attached."""
        container = container or self.lab.container(name, process=False)
        container.result = self.past.chain_add(conflist, container, ifname=ifname, runtime_config=settings(number))
        return container


def lines_about(container, *words):
    """What of the host's tables and links mentions the container: its id, its address, chains of its name."""
    text = subprocess.run("nft list ruleset; iptables-save; ip6tables-save; ip -o link; ls -R /var/lib/cni",
                          shell=True, check=True, capture_output=True, text=True).stdout
    wanted = (container.id, addresses(container.result)[0], *words)
    return [line for line in text.splitlines() if any(word in line for word in wanted)]


def del_removes_exactly_one(node):
    conflist = chain()
    stays = node.old(conflist, "stayscontainer", 8081)
    before = snapshot.settled(contents=[LEASES])
    leaves = node.old(conflist, "leavescontainer", 8082)
    veth = leaves.result["interfaces"][1]["name"]
    assert len(lines_about(leaves, veth)) > 15, lines_about(leaves, veth)
    with open(f"{LEASES}/old/last_reserved_ip.0", "w", encoding="ascii") as file:
        file.write("10.88.0.2")  # a hint where to search next, not a lease
    for _ in range(2):  # DEL is idempotent
        node.now.chain_del(ours(conflist), leaves, result=leaves.result)
    expect(lines_about(leaves, veth), [], "what mentions the container after its DEL")
    node.lab.remove(leaves)
    snapshot.assert_same(before, "before the container and after its DEL", contents=[LEASES])
    # The other one is whole: the reference itself says so (its portmap cannot check one family alone), and can remove it.
    without_ports = {**conflist, "plugins": [p for p in conflist["plugins"] if p["type"] != "portmap"]}
    node.past.chain_check(without_ports, stays, stays.result, runtime_config=settings(8081))
    node.past.chain_del(conflist, stays, result=stays.result, runtime_config=settings(8081))


def del_without_namespace_or_result(node):
    conflist = chain()
    gone = node.old(conflist, "gonecontainer", 8083)
    veth = gone.result["interfaces"][1]["name"]
    node.lab.remove(gone)
    for netns in ("", gone.netns):
        node.now.chain_del(ours(conflist), gone, netns=netns)
    snapshot.wait_same({}, 0.5, compare=lambda *_: lines_about(gone, veth))
    expect(lines_about(gone, veth), [], "what mentions a container whose namespace is gone")


def del_of_one_interface_leaves_the_other(node):
    conflist = chain()
    conflist["plugins"] = conflist["plugins"][:2]
    two = node.old(conflist, "twointerfaces", 8084)
    first = two.result
    node.old(conflist, None, 8085, ifname="eth1", container=two)
    second = two.result
    node.now.chain_del(ours(conflist), two, ifname="eth1", result=second)
    expect(sorted(os.listdir(f"{LEASES}/old")), ["10.88.0.2", "last_reserved_ip.0", "lock"], "lease files")
    two.result = second
    left = [line for line in lines_about(two, second["interfaces"][1]["name"]) if "twointerfaces" not in line]
    # The chain of published ports belongs to both interfaces; the reference too would keep it.
    expect([line for line in left if "dnat" not in line.lower()], [], "rules of eth1's address")
    assert two.run(["ip", "link", "show", "eth0"]).stdout
    node.now.chain_del(ours(conflist), two, result=first)
    expect(lines_about(two), [], "what mentions the container after both")


def addresses_of_living_containers_are_not_given_out(node):
    conflist = chain(ranges=[[{"subnet": "10.88.0.0/29"}]])  # .2 to .6
    old = [node.old(conflist, f"oldcontainer{number}", 8090 + number) for number in range(2)]
    fresh = []
    for number in range(3):
        web = node.lab.container(f"fresh{number}", process=False)
        web.result = node.now.chain_add(ours(conflist), web)
        fresh.append(web)
    given = sorted(addresses(web.result)[0] for web in fresh)
    expect(given, ["10.88.0.4", "10.88.0.5", "10.88.0.6"], "addresses beside the old containers'")
    late = node.lab.container("late", process=False)
    config = {"cniVersion": "1.1.0", "name": "old", **conflist["plugins"][0]}
    refused = node.now.call("bridge", "ADD", config, late).expect_error(101)
    assert "10.88.0.0/29" in refused.json["msg"], refused.json
    status = node.now.call("bridge", "STATUS", config, ifname=None).expect_error(50)
    assert "no IP addresses" in status.json["msg"], status.json
    taken = node.now.call("bridge", "ADD", config, late, args="IP=10.88.0.2").expect_error(102)
    assert "container oldcontainer," in taken.json["msg"] and f"{LEASES}/old/10.88.0.2" in taken.json["msg"], taken.json
    node.now.chain_del(ours(conflist), old[0], result=old[0].result)
    late.result = node.now.chain_add(ours(conflist), late)
    expect(addresses(late.result)[0], "10.88.0.2", "the address of the one that went")


def check_says_why_it_cannot(node):
    conflist = chain()
    old = node.old(conflist, "oldcontainer", 8086)
    for plugin in ("bridge", "portmap"):
        with_result = {**ours(conflist), "plugins": [p for p in ours(conflist)["plugins"] if p["type"] == plugin]}
        try:
            node.now.chain_check(with_result, old, old.result, runtime_config=settings(8086))
        except CniFailure as failure:
            failure.outcome.expect_error(107)
            assert "other CNI plugins" in failure.outcome.json["msg"], failure.outcome.describe()
        else:
            raise AssertionError(f"CHECK of {plugin} succeeded without a record")


def gc_frees_what_is_not_listed(node):
    conflist = {**chain(), "cniVersion": "1.0.0"}
    listed = node.old(conflist, "listedcontainer", 8087)
    before = snapshot.settled(contents=[LEASES])
    unlisted = node.old(conflist, "unlistedcontainer", 8088)
    node.lab.remove(unlisted)
    with open(f"{LEASES}/old/last_reserved_ip.0", "w", encoding="ascii") as file:
        file.write("10.88.0.2")
    torn = f"{LEASES}/old/10.88.0.77"
    with open(torn, "w", encoding="ascii"):
        pass
    for key in (None, "null"):  # without a list nothing is provably dead
        config = {**ours(conflist)["plugins"][0], "name": "old", "cniVersion": "1.1.0"}
        if key:
            config["cni.dev/valid-attachments"] = None
        node.now.call("bridge", "GC", config, ifname=None).expect_ok()
        assert os.path.exists(f"{LEASES}/old/10.88.0.3"), "GC without a list removed a lease"
    node.now.chain_gc(ours(conflist), [(listed.id, "eth0")])
    assert os.path.exists(torn), "a lease file that names nobody was removed"
    os.unlink(torn)
    snapshot.assert_same(before, "before the container and after GC", contents=[LEASES])


def other_data_directory_is_taken_over_by_bridge(node):
    folder = "/run/leases"
    conflist = chain(dataDir=folder)
    old = node.old(conflist, "elsewherecontainer", 8089)
    veth = old.result["interfaces"][1]["name"]
    node.now.chain_del(ours(conflist), old, result=old.result)
    expect(lines_about(old, veth), [], "what mentions the container")
    expect(sorted(os.listdir(f"{folder}/old")), ["last_reserved_ip.0", "lock"], "lease files")


def portmap_goes_by_the_result_where_no_lease_is_found(node):
    conflist = chain(dataDir="/run/leases")
    stays = node.old(conflist, "stayscontainer", 8095)
    before = snapshot.settled()
    old = node.old(conflist, "elsewherecontainer", 8096)
    alone = {**conflist, "plugins": [p for p in conflist["plugins"] if p["type"] == "portmap"]}
    ports = lambda: [line for line in lines_about(old) if "dnat" in line.lower() or "CNI-DN" in line]
    assert len(ports()) > 3, lines_about(old)
    for _ in range(2):
        node.now.chain_del(alone, old, result=old.result)
    expect(ports(), [], "rules of its published ports")
    node.past.chain_del({**conflist, "plugins": [p for p in conflist["plugins"] if p["type"] != "portmap"]}, old,
                        result=old.result, runtime_config=settings(8096))
    node.lab.remove(old)
    snapshot.assert_same(before, "before the container and after its DEL")
    node.past.chain_del(conflist, stays, result=stays.result, runtime_config=settings(8095))


def stand_alone_host_local_takes_leases_over(node):
    config = {"cniVersion": "1.0.0", "name": "pool", "type": "ptp",
              "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]}}
    node.past.call("host-local", "ADD", config, container_id="one", netns="/run/netns/none").expect_ok()
    answer = node.now.call("host-local", "ADD", config, container_id="two", netns="/run/netns/none").expect_ok().json
    expect(addresses(answer), ["10.77.0.3", "fd77::3"], "addresses beside the reference's leases")
    node.now.call("host-local", "DEL", config, container_id="another", netns="").expect_ok()
    expect(len(os.listdir(f"{LEASES}/pool")), 5, "files after the DEL of somebody else")
    node.now.call("host-local", "DEL", config, container_id="one", netns="", ifname="eth1").expect_ok()
    expect(len(os.listdir(f"{LEASES}/pool")), 5, "files after the DEL of another interface")
    node.now.call("host-local", "DEL", config, container_id="one", netns="").expect_ok()
    expect(sorted(os.listdir(f"{LEASES}/pool")), ["last_reserved_ip.0", "last_reserved_ip.1", "lock"], "files left")
    # As versions before 0.7 wrote it: the id alone.
    with open(f"{LEASES}/pool/10.77.0.9", "w", encoding="ascii") as file:
        file.write("ancient")
    node.now.call("host-local", "DEL", config, container_id="ancient", netns="").expect_ok()
    assert not os.path.exists(f"{LEASES}/pool/10.77.0.9"), "the lease of an old version is left"


NFT_OF_NEWER_VERSIONS = """
table inet cni_plugins_masquerade {
  chain masq_checks {
    ip saddr 10.88.0.2 ip daddr != 10.88.0.0/16 masquerade comment "MASQ_ONE, net: old, if: eth0, id: one"
    ip saddr 10.88.0.3 ip daddr != 10.88.0.0/16 masquerade comment "MASQ_TWO, net: old, if: eth0, id: two"
  }
}
table ip cni_hostport {
  chain hostports {
    tcp dport 8080 dnat to 10.88.0.2:80 comment "one"
    tcp dport 8081 dnat to 10.99.0.2:80 comment "one"
    tcp dport 8082 dnat to 10.88.0.3:80 comment "two"
  }
  chain masquerading {
    type nat hook postrouting priority srcnat;
    ip saddr 10.88.0.2 ip daddr 10.88.0.2 masquerade comment "one"
    ip saddr 127.0.0.1 ip daddr 10.88.0.2 masquerade comment "one"
    ip saddr 127.0.0.1 ip daddr 10.99.0.2 masquerade comment "one"
  }
}
"""


def rules_of_newer_versions_go_too(node):
    """Debian's package knows iptables only; these are the rules that the reference's nftables back end writes."""
    import hashlib
    digest = lambda text: hashlib.sha512(text.encode()).hexdigest()[:16]
    rules = NFT_OF_NEWER_VERSIONS
    for word, container in (("MASQ_ONE", "one"), ("MASQ_TWO", "two")):
        rules = rules.replace(word, f"{digest('old')}-{digest('eth0:' + container)}")
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    os.makedirs(f"{LEASES}/old")
    for address, container in (("10.88.0.2", "one"), ("10.88.0.3", "two")):
        with open(f"{LEASES}/old/{address}", "w", encoding="ascii", newline="") as file:
            file.write(f"{container}\r\neth0")
    node.now.chain_del(ours(chain()), node.lab.container("one", process=False))
    left = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    assert "10.88.0.2" not in left, left
    for kept in ("8081", "8082", "127.0.0.1 ip daddr 10.99.0.2", "id: two"):
        assert kept in left, f"{kept} of another attachment was removed:\n{left}"


def main(*scenarios):
    import sys
    import time
    import traceback
    failed = []
    for scenario in [s for s in scenarios if not sys.argv[1:] or s.__name__ in sys.argv[1:]]:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with Lab(private_trees=("/var/lib",), duplicate_detection=False) as lab:
                    subprocess.run(["rm", "-rf", "/var/lib/cni"], check=True)
                    os.mkdir("/var/lib/cni")
                    scenario(Node(lab))
                status = 0
            except BaseException:  # noqa: B902
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(status)
        status = os.waitpid(child, 0)[1]
        if status:
            failed.append(scenario.__name__)
        print(f"{'FAILED' if status else 'ok':6} {scenario.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    sys.exit(f"failed: {' '.join(failed)}" if failed else 0)


main(del_removes_exactly_one, del_without_namespace_or_result, del_of_one_interface_leaves_the_other,
     addresses_of_living_containers_are_not_given_out, check_says_why_it_cannot, gc_frees_what_is_not_listed,
     other_data_directory_is_taken_over_by_bridge, portmap_goes_by_the_result_where_no_lease_is_found,
     stand_alone_host_local_takes_leases_over,
     rules_of_newer_versions_go_too)
