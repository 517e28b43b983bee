#!/usr/bin/env python3
"""DEL works, and frees everything, whatever is missing: the namespace, CNI_NETNS, prevResult, runtimeConfig, the bridge, the
table; ten times over; before any ADD. Judged on raw snapshots of host and connection tracking, after real connections
through the published ports.
"""

import json
import socket
import subprocess
import sys
import time

from harness import Lab, bridge_conflist, plugin_config, port_mapping, snapshot, wait_until
from lab.plugins import addresses
from sweeps import in_child

HOST_PORT = 8081
PORTS = {"portMappings": [port_mapping(HOST_PORT, 80), port_mapping(HOST_PORT, 53, "udp")]}
# Answers TCP on 80 with a line, UDP on 53 with what came; keeps connections open, so that their tracking lives.
SERVER = """
import socket, threading
tcp = socket.create_server(("", 80))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 53))
def echo():
    while True:
        data, peer = udp.recvfrom(2048)
        udp.sendto(data, peer)
threading.Thread(target=echo, daemon=True).start()
print("ready", flush=True)
kept = []
while True:
    connection, _ = tcp.accept()
    connection.sendall(b"hello\\n")
    kept.append(connection)
"""


class Scene:
    """An attached container with open connections through its published ports, on a host that was clean before."""

    def __init__(self, lab, conflist, name="web"):
        self.lab = lab
        self.conflist = conflist
        self.container = lab.container(name)
        self.before = snapshot.capture()
        self.result = lab.runtime.chain_add(conflist, self.container, runtime_config=PORTS)
        self.connections = []
        self.connect()

    def connect(self):
        server = self.container.spawn([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"ready\n"
        tcp = socket.create_connection(("127.0.0.1", HOST_PORT), timeout=5)
        assert tcp.recv(16) == b"hello\n"
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.settimeout(5)
        udp.sendto(b"ping", ("127.0.0.1", HOST_PORT))
        assert udp.recv(16) == b"ping"
        self.connections += [tcp, udp]
        self.server = server
        tracked = self.tracked()
        assert any(" tcp " in line for line in tracked) and any(" udp " in line for line in tracked), tracked

    def tracked(self):
        """Connection tracking that names the container: what DEL must take away."""
        address = addresses(self.result)[0]
        return [key for key in snapshot.capture(only=("conntrack4", "conntrack6")) if address in key]

    def stop(self):
        for connection in self.connections:
            connection.close()
        self.server.kill()
        self.server.wait()

    def delete(self, *, without=(), **options):
        """DEL of the chain, last first; `without` names what the runtime fails to hand over."""
        for plugin in reversed(self.conflist["plugins"]):
            config = plugin_config(self.conflist, plugin, None if "runtimeConfig" in without else PORTS,
                                   None if "prevResult" in without else self.result)
            self.lab.runtime.call(plugin["type"], "DEL", config, self.container, **options).expect_ok()

    def assert_nothing_left(self):
        snapshot.assert_same(self.before, "after DEL", patience=5)


def plain(scene):
    scene.delete()


def namespace_gone(scene):
    scene.stop()
    scene.container.remove()
    scene.delete()


def namespace_gone_long_ago(scene):
    namespace = scene.container
    scene.stop()
    namespace.remove()
    wait_until(lambda: not any(key.startswith("link nc") for key in snapshot.capture(only=("ip4",))), "the link is gone")
    scene.delete()


def empty_netns(scene):
    scene.delete(netns="")


def no_netns_variable(scene):
    scene.delete(netns=None)


def no_prev_result(scene):
    scene.delete(without=("prevResult",))


def no_runtime_config(scene):
    scene.delete(without=("runtimeConfig",))


def nothing_but_the_name(scene):
    scene.delete(netns="", without=("prevResult", "runtimeConfig"))


def bridge_removed(scene):
    subprocess.run(["ip", "link", "del", "cni-lab0"], check=True)
    scene.delete()


def link_removed(scene):
    link = scene.result["interfaces"][1]["name"]
    subprocess.run(["ip", "link", "del", link], check=True)
    scene.delete()


def address_removed(scene):
    scene.container.run(["ip", "addr", "flush", "dev", "eth0"])
    scene.delete()


def table_flushed(scene):
    for table in our_tables():
        subprocess.run(["nft", "flush", "table", *table], check=True)
    scene.delete()


def elements_flushed(scene):
    for table in our_tables():
        listing = json.loads(subprocess.run(["nft", "-j", "list", "table", *table], check=True, capture_output=True).stdout)
        for entry in listing["nftables"]:
            for kind in ("set", "map"):
                if kind in entry and entry[kind].get("elem"):
                    subprocess.run(["nft", "flush", kind, *table, entry[kind]["name"]], check=True)
    scene.delete()


def table_deleted(scene):
    for table in our_tables():
        subprocess.run(["nft", "delete", "table", *table], check=True)
    scene.delete()


def everything_removed(scene):
    table_deleted_first = our_tables()
    for table in table_deleted_first:
        subprocess.run(["nft", "delete", "table", *table], check=True)
    subprocess.run(["ip", "link", "del", "cni-lab0"], check=True)
    scene.stop()
    scene.container.remove()
    scene.delete(netns="", without=("prevResult", "runtimeConfig"))


def ten_times(scene):
    for _ in range(10):
        scene.delete()


def renamed_inside(scene):
    scene.container.run(["ip", "link", "set", "eth0", "down"])
    scene.container.run(["ip", "link", "set", "eth0", "name", "other0"])
    scene.delete()


CASES = (plain, namespace_gone, namespace_gone_long_ago, empty_netns, no_netns_variable, no_prev_result, no_runtime_config,
         nothing_but_the_name, bridge_removed, link_removed, address_removed, table_flushed, elements_flushed, table_deleted,
         everything_removed, ten_times, renamed_inside)


def our_tables():
    listing = json.loads(subprocess.run(["nft", "-j", "list", "tables"], check=True, capture_output=True).stdout)
    return [(entry["table"]["family"], entry["table"]["name"]) for entry in listing["nftables"] if "table" in entry]


def conflists():
    """Ports published by the chained portmap, and by the bridge itself."""
    yield "portmap", bridge_conflist()
    yield "bridge", bridge_conflist(portmap=False, bridge_keys={"capabilities": {"portMappings": True}})


def case_in_child(case, conflist):
    with Lab(duplicate_detection=False) as lab:
        scene = Scene(lab, conflist)
        case(scene)
        # The server still holds its ends: what its sockets send after DEL must not be tracked as the old connection.
        left = scene.tracked()
        assert not left, f"tracked connections are left: {left}"
        scene.stop()
        scene.assert_nothing_left()
        # All is free again: the same container, address range and ports.
        if case not in (namespace_gone, namespace_gone_long_ago, everything_removed):
            lab.runtime.chain_add(conflist, scene.container, runtime_config=PORTS)
            lab.runtime.chain_del(conflist, scene.container, runtime_config=PORTS)
            scene.assert_nothing_left()
    yield "passed"


def before_any_add(conflist):
    with Lab(duplicate_detection=False) as lab:
        container = lab.container("never")
        before = snapshot.capture(files=[lab.state_dir])
        for _ in range(3):
            for plugin in reversed(conflist["plugins"]):
                config = plugin_config(conflist, plugin, PORTS, None)
                lab.runtime.call(plugin["type"], "DEL", config, container).expect_ok()
                lab.runtime.call(plugin["type"], "DEL", config, container, netns="").expect_ok()
        lines = [line for line in snapshot.diff(before, snapshot.capture()) if "file" not in line]
        assert not lines, lines
    yield "passed"


def control():
    """The scene must be able to fail: without DEL, links, rules and tracked connections are left."""
    with Lab(duplicate_detection=False) as lab:
        scene = Scene(lab, bridge_conflist())
        assert scene.tracked() and snapshot.diff(scene.before, snapshot.capture()), "an attachment leaves no trace?"
        scene.stop()
    yield "passed"


def report(title, work, failures):
    began = time.monotonic()
    events = list(in_child(work))
    if events != ["passed"]:
        failures.append(title)
    print(f"{'passed' if events == ['passed'] else 'FAILED'}: {title} ({time.monotonic() - began:.1f} s)"
          + ("" if events == ["passed"] else f"\n{events[-1:]}"), flush=True)


def main():
    wanted = sys.argv[1:]
    failures = []
    if not wanted:
        report("positive control", control, failures)
    for publisher, conflist in conflists():
        if not wanted:
            report(f"before any ADD, ports in {publisher}", lambda: before_any_add(conflist), failures)
        for case in CASES:
            if not wanted or case.__name__ in wanted:
                title = f"{case.__name__.replace('_', ' ')}, ports in {publisher}"
                report(title, lambda: case_in_child(case, conflist), failures)
    if failures:
        sys.exit(f"{len(failures)} failed: {failures}")


if __name__ == "__main__":
    main()
