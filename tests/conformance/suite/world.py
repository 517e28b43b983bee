"""What a case is given: a private host with the executables of one folder, and the means to call and to judge them."""

import contextlib
import json
import os
import shutil
import subprocess

from lab import fingerprint
from lab.plugins import Outcome, Runtime  # noqa: F401 (Outcome: for the cases' annotations)

from .kinds import KINDS
from .stub import Stub

SCRATCH = "/run/lab/case"
BASE_VERSION = "1.0.0"  # what both sides know
NEWEST = "1.1.0"
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
HOST_MAC, CONTAINER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
NETWORK = "conf"
_UNSET = object()


def before_version(limit):
    return VERSIONS[:VERSIONS.index(limit)]


class World:
    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = folder
        self.runtime = Runtime(folder, state_dir=lab.state_dir)
        self.victim = None

    # Life of a case

    def begin(self):
        self.victim = self.lab.container("victim", process=False)
        os.mkdir(SCRATCH)

    def end(self):
        """Takes away what the suite itself has made; what the case left behind is noticed by the runner."""
        for name in ("cf-master", "cf-device", "cf-host0"):
            if os.path.exists(f"/proc/sys/net/ipv4/conf/{name}"):
                # What a case has moved or removed is gone by itself.
                subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
        for container in list(self.lab.containers):
            self.lab.remove(container)
        if os.path.exists(self.victim.netns):
            os.unlink(self.victim.netns)
        shutil.rmtree(SCRATCH)
        for folder in (self.lab.state_dir, "/run/lab/pool"):
            shutil.rmtree(folder, ignore_errors=True)

    def container(self, name):
        return self.lab.container(name, process=False)

    def lose(self, container):
        """The namespace of a container is gone, as after a crash of its runtime."""
        self.lab.remove(container)

    # Input

    def config(self, plugin, version=BASE_VERSION, name=NETWORK, **keys):
        """The minimal configuration of `plugin`; a chained one gets a prevResult. None as a value takes a key out."""
        config = {"cniVersion": version, "name": name, "type": plugin, **json.loads(json.dumps(KINDS[plugin].config))}
        if KINDS[plugin].is_chained:
            config["prevResult"] = self.previous(version if version in VERSIONS else BASE_VERSION)
        config.update(keys)
        return {key: value for key, value in config.items() if value is not None}

    def previous(self, version=BASE_VERSION, container=None):
        """A result as an earlier plugin of the chain would have left it, of the interface that prepare() makes."""
        if version in ("0.1.0", "0.2.0"):
            return {"cniVersion": version, "dns": {},
                    "ip4": {"ip": "10.88.0.77/24", "gateway": "10.88.0.1", "routes": [{"dst": "0.0.0.0/0"}]}}
        address = {"interface": 1, "address": "10.88.0.77/24", "gateway": "10.88.0.1"}
        if version in before_version("1.0.0"):
            address["version"] = "4"
        result = {"cniVersion": version, "ips": [address], "routes": [{"dst": "0.0.0.0/0"}], "interfaces": [
            {"name": "cf-host0", "mac": HOST_MAC},
            {"name": "eth0", "mac": CONTAINER_MAC, "sandbox": (container or self.victim).netns}]}
        if version in before_version("1.0.0"):
            result["dns"] = {}
        return result

    def prepare(self, plugin, container=None):
        """Makes what has to be there before an ADD of this plugin."""
        inside = (container or self.victim).netns
        kind = KINDS[plugin]
        if plugin == "macvlan" and not os.path.exists("/proc/sys/net/ipv4/conf/cf-master"):
            ip("link add cf-master type bridge", "link set cf-master up")
        if plugin == "host-device":
            ip("link add cf-device type veth peer name cf-peer")
        if kind.is_chained:
            ip(f"link add cf-host0 address {HOST_MAC} type veth peer name eth0 address {CONTAINER_MAC} netns {inside}",
               "addr add 10.88.0.1/24 dev cf-host0", "link set cf-host0 up")
            ip("addr add 10.88.0.77/24 dev eth0", "link set eth0 up", "route add default via 10.88.0.1", netns=inside)

    # Calls

    def call(self, plugin, verb, config=None, container=_UNSET, **options):
        """One call. ADD, CHECK and DEL are about `container` (the victim); `options` as of Runtime.call."""
        about_one = verb in ("ADD", "DEL", "CHECK")
        if container is _UNSET:
            container = self.victim if about_one else None
        if not about_one:
            options.setdefault("ifname", None)
        if config is None and "stdin" not in options:
            version = NEWEST if verb in ("GC", "STATUS") else BASE_VERSION
            config = self.config(plugin, version)
        options.setdefault("timeout", 30)
        return self.runtime.call(plugin, verb, config, container, **options)

    def add(self, plugin, config=None, container=_UNSET, **options):
        """ADD that has to succeed, on a prepared host; the parsed result."""
        self.prepare(plugin, None if container is _UNSET else container)
        return result_of(self.call(plugin, "ADD", config, container, **options))

    def delete(self, plugin, config=None, container=_UNSET, **options):
        succeed(self.call(plugin, "DEL", config, container, **options))

    def stub(self, **answers):
        return Stub(f"{SCRATCH}/stub", self.folder, **answers)

    # Judgements

    @contextlib.contextmanager
    def unchanged(self, generation=True):
        """Nothing in the host's network or the victim's may be different after what happens inside."""
        look = lambda: (fingerprint.take(generation=generation), fingerprint.take(self.victim.netns))
        before = look()
        yield
        changes = [line for one, other in zip(before, look()) for line in fingerprint.difference(one, other)]
        assert not changes, "the network was changed:\n  " + "\n  ".join(changes)

    def refuse(self, plugin, verb, codes, config=None, **options):
        """The call must fail with one of `codes`, in the protocol's form, and leave everything as it was."""
        with self.unchanged():
            return error_of(self.call(plugin, verb, config, **options), codes)

    def links(self, container=None, netns=_UNSET):
        """Names of the interfaces in a container (None: the host), without lo."""
        place = container.netns if container else None
        return sorted(entry[1] for entry in fingerprint.take(place) if entry[0] == "link" and entry[1] != "lo")

    def mac_of(self, ifname, container=None):
        for entry in fingerprint.take(container.netns if container else None):
            if entry[:2] == ("link", ifname):
                return ":".join(f"{byte:02x}" for byte in entry[entry.index(1, 5) + 1])
        raise AssertionError(f"there is no interface {ifname}")


def ip(*commands, netns=None):
    argv = ["ip", *(["-n", netns.rsplit("/", 1)[1]] if netns else []), "-batch", "-"]
    subprocess.run(argv, input="\n".join(commands), text=True, check=True, capture_output=True)


def succeed(outcome):
    assert outcome.ok, f"it must succeed: {outcome.describe()}"
    return outcome


def silent(outcome):
    succeed(outcome)
    assert not outcome.stdout.strip(), f"stdout must be empty: {outcome.describe()}"
    return outcome


def result_of(outcome):
    succeed(outcome)
    assert isinstance(outcome.json, dict), f"stdout is not one JSON document: {outcome.describe()}"
    return outcome.json


def error_of(outcome, codes=()):
    """The error object of a failed call. `codes`: one number or several."""
    assert not outcome.ok, f"it must fail: {outcome.describe()}"
    found = outcome.json
    assert isinstance(found, dict), f"stdout is not one JSON document: {outcome.describe()}"
    assert type(found.get("code")) is int and found["code"] > 0, f"no error code: {outcome.describe()}"
    assert isinstance(found.get("msg"), str) and found["msg"], f"no message: {outcome.describe()}"
    wanted = (codes,) if isinstance(codes, int) else codes
    assert not wanted or found["code"] in wanted, f"code {' or '.join(map(str, wanted))} expected: {outcome.describe()}"
    return found


def same_result(found, wanted):
    """Equal, where an empty dns is as good as none."""
    plain = lambda result: {key: value for key, value in result.items() if key != "dns" or value}
    expect(plain(found), plain(wanted), "the result")


def expect(found, wanted, what):
    assert found == wanted, f"{what}: {wanted!r} expected, {found!r} found"
