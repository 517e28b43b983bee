"""Three members of etcd, four hosts: whatever dies, comes back or is cut off, no block has two owners and traffic flows.

The hosts ping each other's addresses in the overlay all the while: what the kernel holds must not depend on who is alive.
"""

import json
import signal
import socket
import subprocess
import time

import etcd_server
from agent_lab import SLACK, SWITCH, Lab, Switch, say, wait_until

LEASE = 4  # seconds
CONVERGENCE = 10  # seconds after healing


class Traffic:
    """Echoes from one host to another, ten a second, until they are judged."""

    def __init__(self, source, target):
        self.process = source.machine.spawn(["ping", "-n", "-q", "-i", "0.1", "-I", source.overlay_address,
                                             target.overlay_address], stdout=subprocess.PIPE, text=True)

    def judge(self):
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=30)
        totals = next(line for line in output.splitlines() if " transmitted, " in line)
        sent, received = (int(word.split()[0]) for word in totals.split(", ")[:2])
        assert sent > 20 and sent - received <= 1, output  # the last one may be on its way
        return sent


def owners(etcd):
    prefix = "/netctl/v1/default/net/lab/"
    keys = etcd.keys(prefix)
    blocks = {key: json.loads(value)["node"] for key, value in keys.items() if key.startswith(prefix + "block/")}
    assert len(set(blocks.values())) == len(blocks), f"a node has two blocks: {blocks}"
    return blocks


def start(hosts, etcd):
    for host in hosts:
        host.configure({"type": "etcd", "endpoints": etcd.endpoints, "leaseSeconds": LEASE})
        host.start()
        host.settle()
    for host in hosts:
        host.settle(len(hosts))


def start_to_programmed(host, peers):
    """An agent on a host that has no device yet."""
    began = time.monotonic()
    host.start()
    while not host.is_settled(peers):
        assert time.monotonic() - began < 20, (host.status(), host.log)
        time.sleep(0.002)
    seconds = time.monotonic() - began
    assert seconds < 0.3 * SLACK, seconds
    say(f"from agent start to {peers - 1} peers programmed: {seconds * 1000:.0f} ms")


def leader_dies(etcd, hosts):
    leader = etcd.leader()
    leader.kill()
    began = time.monotonic()
    wait_until(lambda: try_put(etcd), "the others elected a leader")
    for host in hosts:
        host.settle(len(hosts), seconds=CONVERGENCE * SLACK)
    say(f"leader killed: all settled {time.monotonic() - began:.1f} s later")
    etcd.start()


def try_put(etcd):
    try:
        return etcd.put("/elsewhere", "x")
    except OSError:
        return 0


def quorum_is_lost(etcd, hosts):
    before = [host.entries() for host in hosts]
    for member in etcd.members[1:]:
        member.kill()
    wait_until(lambda: all(host.status().get("trouble") for host in hosts), "all agents notice", 60)
    hosts[0].kill()
    hosts[0].start()
    time.sleep(LEASE + 1)  # longer than what anybody is taken for alive
    wait_until(lambda: hosts[0].status().get("trouble"), "the agent that started without etcd says so")
    assert [host.entries() for host in hosts] == before, "entries changed while etcd could not be asked"
    etcd.start()
    converge(hosts, "quorum lost and back")


def converge(hosts, what):
    began = time.monotonic()
    for host in hosts:
        host.settle(len(hosts), seconds=CONVERGENCE * SLACK)
    say(f"{what}: settled {time.monotonic() - began:.1f} s later")


def cluster_restarts(etcd, hosts):
    before = owners(etcd)
    etcd.stop()
    etcd.start()
    converge(hosts, "whole cluster restarted")
    assert owners(etcd) == before


def agent_dies(etcd, hosts):
    before, entries = owners(etcd), hosts[1].entries()
    hosts[1].kill()
    assert hosts[1].entries() == entries
    began = time.monotonic()
    hosts[1].start()
    hosts[1].settle(len(hosts))
    say(f"agent killed and restarted: settled {time.monotonic() - began:.2f} s later")
    assert owners(etcd) == before
    hosts[1].terminate()
    wait_until(lambda: not is_alive(hosts[0], hosts[1].name), "its lease ends", 60)
    assert hosts[1].entries() == entries, "the end of an agent changed the kernel's entries"
    assert hosts[1].name in [node["node"] for node in hosts[0].status()["nodes"]]
    hosts[1].start()
    hosts[1].settle(len(hosts))
    assert owners(etcd) == before


def is_alive(host, name):
    return next((node["alive"] for node in host.status()["nodes"] if node["node"] == name), None)


def host_is_cut_off(etcd, hosts):
    """For longer than its lease: it keeps its block, and everybody keeps its entries."""
    lone = hosts[-1]
    before, entries = owners(etcd), [host.entries() for host in hosts]
    lone.cut_off()
    wait_until(lambda: not is_alive(hosts[0], lone.name), "its lease ends", 60)
    wait_until(lambda: lone.status()["trouble"], "it notices", 60)
    assert [host.entries() for host in hosts] == entries and owners(etcd) == before
    lone.heal()
    converge(hosts, "host cut off for longer than its lease")
    wait_until(lambda: is_alive(hosts[0], lone.name), "it is alive again", CONVERGENCE * SLACK)
    assert owners(etcd) == before
    lone.reaches(hosts[0].overlay_address)


def node_is_removed(switch, etcd, hosts):
    """The network has four blocks, all taken. A fifth host gets the one of a node that was declared gone, and that node,
    back again, is refused: its guard is the revision of what it owned, not its clock."""
    lone, late = hosts[-1], switch.host("late", subnets=["10.64.0.0/22"])
    late.configure({"type": "etcd", "endpoints": etcd.endpoints, "leaseSeconds": LEASE})
    late.start()
    wait_until(lambda: "all 4 blocks" in late.status().get("trouble", ""), "the late host finds all blocks taken")
    answer = hosts[0].netctl("node", "rm", "lab", lone.name, check=False)
    assert answer.returncode == 1 and "is alive" in answer.stderr, answer
    block = lone.blocks
    lone.cut_off()
    wait_until(lambda: hosts[0].netctl("node", "rm", "lab", lone.name, check=False).returncode == 0, "it can be removed", 60)
    late.settle(len(hosts))
    assert late.blocks == block
    lone.heal()
    wait_until(lambda: "all 4 blocks" in lone.status()["trouble"], "the node that was removed owns nothing",
               CONVERGENCE * SLACK)
    assert lone.device is None and lone.blocks == []
    assert sorted(owners(etcd).values()) == sorted([host.name for host in hosts[:-1]] + [late.name])
    hosts[0].reaches(late.overlay_address)
    lone.kill()
    say("node removed: its block went to another one, and it was refused when it came back")


def one_name_twice(switch, etcd, hosts):
    twin = switch.host(hosts[0].name, subnets=["10.64.0.0/22"])
    before = owners(etcd)
    twin.configure({"type": "etcd", "endpoints": etcd.endpoints, "leaseSeconds": LEASE})
    twin.start()
    wait_until(lambda: "another machine takes part" in twin.status().get("trouble", ""), "the twin is refused")
    assert twin.device is None and owners(etcd) == before and hosts[0].is_settled()
    twin.configure({"type": "etcd", "endpoints": etcd.endpoints, "leaseSeconds": LEASE}, node="other", vni=8)
    twin.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "agreed on" in twin.status().get("trouble", ""), "another VNI is refused")
    assert twin.device is None and owners(etcd) == before
    twin.kill()
    say("one name twice, and another configuration: refused, nothing programmed")


def command_line(host, nodes):
    """With the agent, and without."""
    answer = json.loads(host.netctl("node", "ls", "--json").stdout)["nodes"]
    assert sorted(node["node"] for node in answer) == sorted(nodes), answer
    assert all(node["alive"] for node in answer), answer
    table = host.netctl("overlay", "status").stdout
    assert host.blocks[0] in table and table.rstrip().endswith("ok"), table
    host.netctl("overlay", "sync", "lab")
    unknown = host.netctl("node", "rm", "lab", "nobody", check=False)
    assert unknown.returncode == 1 and "has no node nobody" in unknown.stderr, unknown
    block = host.blocks[0]
    host.terminate()
    assert "does not run" in host.netctl("overlay", "status", "lab").stdout
    assert block in host.netctl("node", "ls").stdout
    for words in (["overlay", "sync"], ["node", "rm", "lab", "nobody"]):
        refused = host.netctl(*words, check=False)
        assert refused.returncode == 1 and "does not run" in refused.stderr, refused


def supervisor(host):
    """READY, WATCHDOG and STATUS come as datagrams."""
    path = f"{host.folder}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(path)
        ear.settimeout(20)
        host.start("--metrics-port", "9477", NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
        heard = []
        while "READY=1" not in heard or heard.count("WATCHDOG=1") < 3 or not any("STATUS=" in text for text in heard):
            heard.append(ear.recv(4096).decode())
        host.settle()
        metrics = host.machine.run(["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:9477/metrics"]).stdout
        assert 'netctl_overlay_ok{network="lab"} 1' in metrics, metrics
        host.terminate()
        ear.setblocking(False)
        while "STOPPING=1" not in heard:
            heard.append(ear.recv(4096).decode())


def main():
    program = etcd_server.unpacked()
    with Lab(duplicate_detection=False) as lab:
        etcd = etcd_server.Cluster(program, "/run/lab/etcd", 3, address=SWITCH)
        switch = Switch(lab)
        etcd.start()
        hosts = [switch.host(subnets=["10.64.0.0/22"]) for _ in range(4)]
        start(hosts[:3], etcd)
        hosts[3].configure({"type": "etcd", "endpoints": etcd.endpoints, "leaseSeconds": LEASE})
        start_to_programmed(hosts[3], 4)
        traffic = Traffic(hosts[0], hosts[1]), Traffic(hosts[1], hosts[2])
        leader_dies(etcd, hosts)
        quorum_is_lost(etcd, hosts)
        cluster_restarts(etcd, hosts)
        agent_dies(etcd, hosts)
        host_is_cut_off(etcd, hosts)
        one_name_twice(switch, etcd, hosts)
        node_is_removed(switch, etcd, hosts)
        say(f"{sum(each.judge() for each in traffic)} echoes, none lost")
        command_line(hosts[0], [host.name for host in hosts[:3]] + ["late"])
        supervisor(hosts[0])
        etcd.stop()


main()
