#!/usr/bin/env python3
"""SIGKILL at random moments of each door and of the plugins that share namespaces: nothing is lost, and nothing is left.

A short-lived executable is killed at a random system call behind the one that reads its input, so that no kill is wasted on
the loading of a process; the daemon is killed a random time after it was given a call, within what that call takes. Then
the caller asks again as runtimes do, or the container is gone for good and `netctl gc` (or Docker's next start) has to do.
A container that lives beside must not notice.

usage: kill_at_random.py [KILLS [SUBJECT...]]    KILLS of each subject (9)
"""

import collections
import functools
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time

from harness import Lab, bridge_conflist, gc, host_ends, port_mapping, snapshot, tool, wait_until
from lab import bin_dir
from lab.docker import PluginDaemon
from sweeps import finish, sweep

REPORT = "/run/lab/stepper.json"
VERSION = "1.0.0"
OWNER = bridge_conflist("owners", "10.88.0.0/24", "br-owners")
HOOKED = bridge_conflist("hooked", "10.89.0.0/24", "br-hooked")
TWICE = "call DEL first"  # an ADD that had come to its end before it was killed


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return sorted(line.split()[4] for line in file if line.split()[4].startswith("/run"))


def records(lab):
    return {row["containerID"]: row for row in lab.runtime.netctl("ps", "--json").expect_ok().json["attachments"]}


class CniDoor:
    """A plugin as a CNI runtime calls it."""

    def __init__(self, lab, plugin, **keys):
        self.lab, self.plugin = lab, plugin
        self.config = {"cniVersion": VERSION, "name": "killed", "type": plugin, **keys}

    def call(self, begins, box, wrapper=()):
        verb = "ADD" if begins else "DEL"
        outcome = self.lab.runtime.call(self.plugin, verb, self.config, box, wrapper=list(wrapper) or None)
        return outcome.rc == 0, outcome.stdout + outcome.stderr


class OtherDoor:
    """An executable that is given a document on stdin."""

    def call(self, begins, box, wrapper=()):
        arguments, document = self.of(begins, box)
        done = subprocess.run([*wrapper, f"{bin_dir()}/{self.program}", *arguments], input=json.dumps(document), text=True,
                              capture_output=True, timeout=60)
        return done.returncode == 0, done.stdout + done.stderr


class HookDoor(OtherDoor):
    program = "netctl-hook"

    def __init__(self, lab):
        with open(f"{lab.conf_dir}/hooked.conflist", "w", encoding="ascii") as file:
            json.dump(HOOKED, file)

    def of(self, begins, box):
        return [], {"ociVersion": "1.0.2", "id": box.id, "status": "creating" if begins else "stopped",
                    "pid": box.pid if begins and box.process else 0, "bundle": "/run",
                    "annotations": {"io.netctl.network": "hooked", "io.netctl.publish": "8089:80"}}


class NetavarkDoor(OtherDoor):
    program = "netctl-netavark"

    def __init__(self, driver, **keys):
        self.network = {"name": "podmans", "id": "ab" * 32, "driver": f"netctl-{driver}", **keys}

    def of(self, begins, box):
        ports = [{"host_ip": "", "host_port": 8090, "container_port": 80, "protocol": "tcp", "range": 1}]
        return ["setup" if begins else "teardown", box.netns], {
            "container_id": box.id, "container_name": box.id, "port_mappings": ports, "network": self.network,
            "network_options": {"interface_name": "eth0", "static_ips": None, "static_mac": None}}


SUBJECTS = {
    "container-share": lambda lab: CniDoor(lab, "container-share", netctl={"share": "web"},
                                           runtimeConfig={"portMappings": [port_mapping(8091, 80)]}),
    "host": lambda lab: CniDoor(lab, "host"),
    "none": lambda lab: CniDoor(lab, "none"),
    "netctl-hook": HookDoor,
    "netctl-netavark": lambda lab: NetavarkDoor(
        "bridge", network_interface="br-podmans", subnets=[{"subnet": "10.90.0.0/24", "gateway": "10.90.0.1"}]),
}


class Beside:
    """A lab with a container that lives all the time, and publishes a port."""

    def __enter__(self):
        self.lab = Lab(duplicate_detection=False).__enter__()
        self.prepare()
        web = self.lab.container("web", process=False)
        self.lab.runtime.chain_add(OWNER, web, runtime_config={"portMappings": [port_mapping(8080, 80)]})
        self.base, self.mounts = snapshot.settled(), mounts()
        return self

    def __exit__(self, *error):
        self.lab.__exit__(*error)

    def finish(self):
        self.lab.runtime.netctl("check").expect_ok()

    def expect_nothing_left(self):
        assert set(records(self.lab)) == {"web"}, records(self.lab)
        assert mounts() == self.mounts, f"{mounts()}, was {self.mounts}"
        assert not os.path.exists("/run/netctl"), "a pin is left"
        snapshot.assert_same(self.base)


class ShortLived(Beside):
    def __init__(self, name):
        self.name, self.rounds = name, 0
        self.moments = {}

    def prepare(self):
        self.door = SUBJECTS[self.name](self.lab)

    def box(self):
        self.rounds += 1
        return self.lab.container(f"{self.name}-{self.rounds}", process=self.name == "netctl-hook")

    def stepped(self, begins, box, *mode):
        done = self.door.call(begins, box, [tool("stepper"), REPORT, *map(str, mode)])
        with open(REPORT, encoding="ascii") as file:
            return done, [line for line in map(json.loads, file) if "n" in line]

    def count(self):
        """For ADD and DEL: the system call that reads the input, and the last one."""
        box = self.box()
        for begins in (True, False):
            (well, text), calls = self.stepped(begins, box, "count")
            assert well, text
            first = next(line["n"] for line in calls if line["name"] == "read" and line["detail"].startswith("pipe:"))
            self.moments[begins] = (first, len(calls))
        self.lab.remove(box)

    def round(self, number):
        if not self.moments:
            self.count()
        chance = random.Random(f"{self.name} {number}")
        begins = number % 2 == 0
        box = self.box()
        if not begins:
            well, text = self.door.call(True, box)
            assert well, text
        first, last = self.moments[begins]
        third = number // 2 % 3  # each third of the run in turn, so that a few kills are spread, too
        moment = first + int((last - first + 1) * (third + chance.random()) / 3)
        _, calls = self.stepped(begins, box, chance.choice(("kill", "kill-after")), moment)
        hit = next((line for line in calls if line["hit"]), None)
        aftermath = chance.choice(("asked again", "gone"))
        try:
            self.after(box, begins, aftermath)
            self.expect_nothing_left()
        except Exception as error:
            what = f"{self.name} {'begin' if begins else 'end'} killed at {hit}, {aftermath}"
            raise AssertionError(f"{what}: {error}") from error
        return f"{('first', 'second', 'last')[third]} third" if hit else "over before"

    def after(self, box, begins, aftermath):
        if aftermath == "asked again":
            for again in ((True, False) if begins else (False,)):
                well, text = self.door.call(again, box)
                assert well or TWICE in text, text
        self.lab.remove(box)
        if aftermath == "gone":
            # The kernel takes the namespace, and the link with it, a little later.
            wait_until(lambda: not host_ends(self.base), "the container is gone")
        if aftermath == "gone" or self.name == "netctl-hook":
            gc(self.lab)  # a hook that comes again finds no record, and by it no network


POOL, NETWORK, ADDRESS = "netctl/10.92.7.0/24", "ab" * 32, "10.92.7.9"
PORTS = {"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostPort": 8092, "HostPortEnd": 8092}]}


def life_of_a_docker_network(number):
    """(call, document) in Docker's order; a hardware address for each round, so that a lease that is left is found."""
    mac = f"02:42:00:00:{number >> 8:02x}:{number & 255:02x}"
    endpoint = {"NetworkID": NETWORK, "EndpointID": f"{number:064x}"}
    gateway = {"PoolID": POOL, "Address": "10.92.7.1", "Options": {"RequestAddressType": "com.docker.network.gateway"}}
    yield "IpamDriver.RequestPool", {"AddressSpace": "netctl", "Pool": "10.92.7.0/24"}
    yield "IpamDriver.RequestAddress", gateway
    yield "NetworkDriver.CreateNetwork", {"NetworkID": NETWORK, "IPv4Data": [
        {"Pool": "10.92.7.0/24", "Gateway": "10.92.7.1/24"}], "Options": {}}
    yield "IpamDriver.RequestAddress", {"PoolID": POOL, "Address": ADDRESS,
                                        "Options": {"com.docker.network.endpoint.macaddress": mac}}
    yield "NetworkDriver.CreateEndpoint", {**endpoint, "Options": PORTS,
                                           "Interface": {"Address": f"{ADDRESS}/24", "MacAddress": mac}}
    yield "NetworkDriver.Join", {**endpoint, "SandboxKey": "/run/docker/netns/later", "Options": PORTS}
    yield "NetworkDriver.ProgramExternalConnectivity", {**endpoint, "Options": PORTS}
    yield "NetworkDriver.RevokeExternalConnectivity", endpoint
    yield "NetworkDriver.Leave", endpoint
    yield "NetworkDriver.DeleteEndpoint", endpoint
    yield "IpamDriver.ReleaseAddress", {"PoolID": POOL, "Address": ADDRESS}
    yield "IpamDriver.ReleaseAddress", {"PoolID": POOL, "Address": "10.92.7.1"}
    yield "IpamDriver.ReleasePool", {"PoolID": POOL}
    yield "NetworkDriver.DeleteNetwork", {"NetworkID": NETWORK}


BEGIN_ENDPOINT, END_ENDPOINT = 3, 7


class DockersDaemon(Beside):
    def __init__(self):
        self.durations = {}

    def prepare(self):
        self.daemon = PluginDaemon(self.lab)
        wait_until(lambda: self.daemon.call("/Plugin.Activate")[0] == 200, "the daemon answers")

    def call(self, path, document):
        status, answer = self.daemon.call(f"/{path}", document)
        assert status == 200 and not answer.get("Err"), (path, document, status, answer)

    def measure(self):
        times = collections.defaultdict(list)
        for number in range(1 << 12, (1 << 12) + 5):
            for place, (path, document) in enumerate(life_of_a_docker_network(number)):
                began = time.monotonic()
                self.call(path, document)
                times[place].append(time.monotonic() - began)
        self.durations = {place: statistics.median(each) for place, each in times.items()}

    def killed(self, path, document, seconds):
        """Whether the daemon died before it had answered."""
        answers = []

        def ask():
            try:
                answers.append(self.daemon.call(f"/{path}", document))
            except (OSError, ValueError):
                pass  # cut off
            except Exception as error:  # http.client's own
                answers.extend([] if "http.client" in type(error).__module__ else [error])

        caller = threading.Thread(target=ask)
        caller.start()
        time.sleep(seconds)
        self.daemon.kill()  # and starts it again: what had not been accepted yet waits for that
        caller.join()
        return not answers

    def round(self, number):
        if not self.durations:
            self.measure()
        chance = random.Random(number)
        self.call("Plugin.Activate", {})  # so that no kill comes while the daemon starts
        calls = list(life_of_a_docker_network(number))
        place = chance.randrange(len(calls))
        for path, document in calls[:place]:
            self.call(path, document)
        # The connection itself takes a part of it, before the daemon has begun.
        cut_off = self.killed(*calls[place], chance.uniform(0, self.durations[place]))
        docker_dies = BEGIN_ENDPOINT <= place < END_ENDPOINT and chance.random() < 0.5
        try:
            if docker_dies:
                place = self.new_docker(calls, place)
            for path, document in calls[place:]:
                self.call(path, document)
            gc(self.lab)
            self.expect_nothing_left()
            assert "10.92.7" not in self.lab.runtime.netctl("ls").expect_ok().stdout
        except Exception as error:
            raise AssertionError(f"{calls[place][0]} killed, {docker_dies=}: {error}") from error
        return f"{calls[place][0].partition('.')[2]}{' and Docker' if docker_dies else ''}" if cut_off else "answered before"

    def new_docker(self, calls, place):
        """The next dockerd takes back the endpoints that it finds in its own books. Returns where its calls go on."""
        self.daemon.call("/Plugin.Activate")
        if place > BEGIN_ENDPOINT + 1:
            return END_ENDPOINT
        # Nothing was written down: it never comes back to that address, and must get it for the next container.
        endpoint = list(life_of_a_docker_network(0xffff))
        for path, document in endpoint[BEGIN_ENDPOINT:END_ENDPOINT]:
            self.call(path, document)
        for path, document in endpoint[END_ENDPOINT:END_ENDPOINT + 4]:
            self.call(path, document)
        return END_ENDPOINT + 4


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    tallies = []
    for name in sys.argv[2:] or [*SUBJECTS, "netctl-docker"]:
        make = DockersDaemon if name == "netctl-docker" else functools.partial(ShortLived, name)
        tallies.append(sweep(f"{name}, {kills} kills", make, [(number,) for number in range(kills)]))
    finish(tallies)


main()
