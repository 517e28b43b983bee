"""A runtime's side of CNI as libcni does it: a result cache on disk, capabilities, DEL in reverse with the cached result,
CHECK, GC with both spellings of the list of the living, STATUS, and VERSION probing.
"""

import base64
import copy
import json
import os

from .plugins import CniFailure, plugin_config

KIND = "cniCacheV1"
_VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")


class VersionTooOld(Exception):
    """The verb is not known to the list's cniVersion."""


def _at_least(conflist, version):
    return _VERSIONS.index(conflist["cniVersion"]) >= _VERSIONS.index(version)


class LibCni:
    """`runtime` calls the executables; `cache` is the folder that libcni keeps in /var/lib/cni."""

    def __init__(self, runtime, cache="/run/lab/cni", path=None):
        self.runtime = runtime
        self.results = f"{cache}/results"
        self.path = path or runtime.folder

    # Verbs

    def validate(self, conflist):
        """VERSION of every plugin; the versions that all support."""
        common = set(_VERSIONS)
        for plugin in conflist["plugins"]:
            outcome = self._call(plugin["type"], "VERSION", {"cniVersion": conflist["cniVersion"]}, netns="dummy",
                                 ifname="dummy", path="dummy")
            common &= set(outcome.json["supportedVersions"])
        assert conflist["cniVersion"] in common, f"{conflist['cniVersion']} is not in {sorted(common)}"
        return common

    def status(self, conflist):
        """STATUS of every plugin; nothing is asked of lists before 1.1.0."""
        if _at_least(conflist, "1.1.0"):
            for plugin in conflist["plugins"]:
                self._call(plugin["type"], "STATUS", plugin_config(conflist, plugin))

    def add(self, conflist, container, ifname="eth0", args=(), capability_args=None):
        result = None
        for plugin in conflist["plugins"]:
            config = plugin_config(conflist, plugin, capability_args, result)
            result = self._call(plugin["type"], "ADD", config, container_id=container.id, netns=container.netns,
                                ifname=ifname, args=_joined(args)).json
        self._remember(conflist, container, ifname, args, capability_args, result)
        return result

    def check(self, conflist, container, ifname="eth0", args=(), capability_args=None):
        if not _at_least(conflist, "0.4.0"):
            raise VersionTooOld("CHECK needs 0.4.0")
        if conflist.get("disableCheck"):
            return
        result = self.cached(conflist["name"], container.id, ifname).get("result")
        for plugin in conflist["plugins"]:
            self._call(plugin["type"], "CHECK", plugin_config(conflist, plugin, capability_args, result),
                       container_id=container.id, netns=container.netns, ifname=ifname, args=_joined(args))

    def delete(self, conflist, container_id, netns="", ifname="eth0", args=(), capability_args=None):
        """In reverse; the first failure ends it, and the cache stays for the next try."""
        found = self.cached(conflist["name"], container_id, ifname)
        result = found.get("result") if _at_least(conflist, "0.4.0") else None
        for plugin in reversed(conflist["plugins"]):
            self._call(plugin["type"], "DEL", plugin_config(conflist, plugin, capability_args, result),
                       container_id=container_id, netns=netns, ifname=ifname, args=_joined(args))
        if found:
            os.unlink(self._file(conflist["name"], container_id, ifname))

    def gc(self, conflist, living):
        """DEL of cached attachments of this network that are not in `living` [(container id, ifname)], then GC. Returns the
        failures, after everything was tried."""
        failures = []
        for cached in self.cached_of(conflist["name"]):
            if (cached["containerId"], cached["ifName"]) in living:
                continue
            old = json.loads(base64.b64decode(cached["config"]))
            try:
                self.delete(old, cached["containerId"], cached.get("netns", ""), cached["ifName"], cached.get("cniArgs", ()),
                            cached.get("capabilityArgs"))
            except CniFailure as failure:
                failures.append(failure)
        if not _at_least(conflist, "1.1.0") or conflist.get("disableGC"):
            return failures
        valid = [{"containerID": container_id, "ifname": ifname} for container_id, ifname in living]
        for plugin in conflist["plugins"]:
            config = plugin_config(conflist, plugin)
            config["cni.dev/valid-attachments"] = config["cni.dev/attachments"] = valid
            try:
                self._call(plugin["type"], "GC", config)
            except CniFailure as failure:
                failures.append(failure)
        return failures

    # The cache

    def cached(self, network, container_id, ifname):
        """{} when there is nothing."""
        try:
            with open(self._file(network, container_id, ifname), encoding="utf-8") as file:
                found = json.load(file)
        except FileNotFoundError:
            return {}
        assert found["kind"] == KIND, found
        return found

    def cached_of(self, network):
        found = []
        for name in sorted(os.listdir(self.results)) if os.path.isdir(self.results) else ():
            with open(f"{self.results}/{name}", encoding="utf-8") as file:
                entry = json.load(file)
            if entry["kind"] == KIND and entry["networkName"] == network:
                found.append(entry)
        return found

    def forget(self, network, container_id, ifname="eth0"):
        """The cache is lost, as after a crash between ADD and its record."""
        os.unlink(self._file(network, container_id, ifname))

    def _remember(self, conflist, container, ifname, args, capability_args, result):
        os.makedirs(self.results, exist_ok=True)
        config = base64.b64encode(json.dumps(conflist).encode()).decode()
        entry = {"kind": KIND, "containerId": container.id, "ifName": ifname, "networkName": conflist["name"],
                 "netns": container.netns, "config": config, "result": result}
        if args:
            entry["cniArgs"] = [list(pair) for pair in args]
        if capability_args:
            entry["capabilityArgs"] = copy.deepcopy(capability_args)
        with open(self._file(conflist["name"], container.id, ifname), "w", encoding="utf-8") as file:
            json.dump(entry, file)

    def _file(self, network, container_id, ifname):
        return f"{self.results}/{network}-{container_id}-{ifname}"

    # A call: every variable is set, if only to an empty text; stdin is compact and has no line end.
    def _call(self, plugin, verb, config, *, container_id="", netns="", ifname="", args="", path=None):
        stdin = json.dumps(config, separators=(",", ":")).encode()
        outcome = self.runtime.call(plugin, verb, None, stdin=stdin, container_id=container_id, netns=netns, ifname=ifname,
                                    args=args, path=path or self.path)
        if not outcome.ok or (verb in ("ADD", "VERSION") and not isinstance(outcome.json, dict)):
            raise CniFailure(outcome)
        return outcome


def _joined(args):
    return ";".join(f"{key}={value}" for key, value in args)
