#!/usr/bin/env python3
"""floor_test.py FLOOR: the floor does the whole job with exactly the messages of its table, and undoes all of it."""

import re
import socket
import subprocess
import sys
import tempfile

import lab

# bench/README.md lists them one by one; a number that grows makes every bound over the floor easier to meet.
EXPECTED_MESSAGES = {"add": 10, "del": 5}
ADDRESS = "10.77.0.2"
HOST_PORT = 8081
SERVER = """
import socket
listener = socket.create_server(("", 8080))
print("listening", flush=True)
connection, _ = listener.accept()
connection.sendall(b"published")
connection.close()
"""


def netlink_messages(argv):
    """Runs argv under strace; returns how many netlink messages its processes sent."""
    with tempfile.NamedTemporaryFile("r") as trace:
        subprocess.run(["strace", "-f", "-v", "-qq", "-o", trace.name, "-e", "trace=sendto,sendmsg,sendmmsg,write",
                        *argv], check=True)
        lines = [line for line in trace if re.search(r"\b(sendto|sendmsg|sendmmsg|write)\(", line)]
    return sum(line.count("{nlmsg_len=") for line in lines)


def fetch_published_port(netns):
    """What a client on the host reads from the published port while a server waits inside."""
    server = subprocess.Popen(["ip", "netns", "exec", netns, sys.executable, "-c", SERVER],
                              stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline().strip() == "listening"
        with socket.create_connection(("10.77.0.1", HOST_PORT), timeout=10) as client:
            return client.recv(100)
    finally:
        server.kill()
        server.communicate()


def listing(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def host_state():
    links = re.findall(r"^\d+: ([^:@]+)", listing("ip", "-o", "link"), re.MULTILINE)
    return sorted(links), listing("nft", "list", "ruleset")


def main():
    floor = sys.argv[1]
    lab.enter_private_world()
    subprocess.run([floor, "setup"], check=True)
    container = lab.make_netns(["container"])[0]
    promised = dict(line.split() for line in listing(floor, "count").splitlines())
    assert promised == {verb: str(count) for verb, count in EXPECTED_MESSAGES.items()}, promised

    before = host_state()
    sent = netlink_messages([floor, "add", str(container), str(HOST_PORT), ADDRESS])
    assert sent == EXPECTED_MESSAGES["add"], f"ADD sent {sent} messages"
    assert fetch_published_port("container") == b"published"
    assert "netctl:1:floor" in listing("ip", "-d", "link")
    sent = netlink_messages([floor, "del", str(HOST_PORT), ADDRESS])
    assert sent == EXPECTED_MESSAGES["del"], f"DEL sent {sent} messages"
    assert host_state() == before, "DEL left something behind"


main()
