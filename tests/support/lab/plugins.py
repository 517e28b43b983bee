"""Calls CNI executables as a runtime does (SPEC.md section 4), alone or as a chain, and the netctl command."""

import copy
import dataclasses
import json
import os
import subprocess
import time

CNI_VERSION = "1.0.0"
_ABSENT = object()


def bin_dir():
    """The folder with the executables under test: $NETCTL_BIN_DIR; it is CNI_PATH as well."""
    folder = os.environ.get("NETCTL_BIN_DIR")
    if not folder:
        raise SystemExit("set NETCTL_BIN_DIR to the folder that holds the plugins, e.g. build/dev/bin")
    return os.path.abspath(folder)


@dataclasses.dataclass
class Outcome:
    """What a call came to. `json` is the parsed stdout, None when stdout is empty or not exactly one document."""

    argv: list
    rc: int
    stdout: str
    stderr: str
    seconds: float
    json: object = None

    def __post_init__(self):
        try:
            self.json = json.loads(self.stdout)
        except ValueError:
            self.json = None

    @property
    def ok(self):
        return self.rc == 0

    @property
    def error_code(self):
        """CNI error code, None when stdout is not one error document."""
        return self.json.get("code") if isinstance(self.json, dict) and "code" in self.json else None

    def expect_ok(self):
        assert self.ok, f"{self.describe()}"
        return self

    def expect_error(self, code=None):
        """One JSON error document on stdout, exit status not 0, all that section 5 of the specification asks for."""
        assert not self.ok, f"success was not expected: {self.describe()}"
        assert isinstance(self.json, dict), f"stdout is not one JSON document: {self.describe()}"
        assert isinstance(self.json.get("code"), int) and self.json.get("msg"), f"not a CNI error: {self.describe()}"
        assert isinstance(self.json.get("cniVersion"), str), f"cniVersion is missing: {self.describe()}"
        assert code is None or self.json["code"] == code, f"code {code} was expected: {self.describe()}"
        return self

    def describe(self):
        return f"{' '.join(self.argv)} -> exit {self.rc}\n  stdout: {self.stdout.strip()}\n  stderr: {self.stderr.strip()}"


class CniFailure(Exception):
    """A plugin of a chain failed; `outcome` is its call."""

    def __init__(self, outcome):
        super().__init__(outcome.describe())
        self.outcome = outcome


def bridge_conflist(name="net", subnet="10.88.0.0/16", bridge="cni-lab0", *, portmap=True, data_dir=None,
                    bridge_keys=None, ipam_keys=None, cni_version=CNI_VERSION):
    """bridge (gateway, masquerade, hairpin) then portmap, in keys that the reference's plugins understand as well."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}
    if data_dir:
        ipam["dataDir"] = data_dir
    ipam.update(ipam_keys or {})
    plugins = [{"type": "bridge", "bridge": bridge, "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}]
    plugins[0].update(bridge_keys or {})
    if portmap:
        plugins.append({"type": "portmap", "capabilities": {"portMappings": True}})
    return {"cniVersion": cni_version, "name": name, "plugins": plugins}


def port_mapping(host_port, container_port, protocol="tcp", host_ip=None):
    mapping = {"hostPort": host_port, "containerPort": container_port, "protocol": protocol}
    if host_ip:
        mapping["hostIP"] = host_ip
    return mapping


def addresses(result):
    """The bare addresses in a result, whatever its version."""
    if "ips" in result:
        return [entry["address"].split("/")[0] for entry in result["ips"]]
    return [result[key]["ip"].split("/")[0] for key in ("ip4", "ip6") if key in result]


class Runtime:
    """Calls executables of `folder` (default $NETCTL_BIN_DIR). `wrapper` is put in front of every command."""

    def __init__(self, folder=None, state_dir=None, wrapper=(), env=None):
        self._folder = folder
        self.state_dir = state_dir
        self.wrapper = list(wrapper)
        self.env = dict(env or {})

    @property
    def folder(self):
        return self._folder or bin_dir()

    def environment(self, verb, container_id, netns, ifname, args="", path=None):
        """CNI_* as a runtime sets them; None leaves the variable out."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("CNI_")}
        if self.state_dir:
            env["NETCTL_STATE_DIR"] = self.state_dir
        env.update(self.env)
        wanted = {"CNI_COMMAND": verb, "CNI_CONTAINERID": container_id, "CNI_NETNS": netns, "CNI_IFNAME": ifname,
                  "CNI_ARGS": args, "CNI_PATH": self.folder if path is None else path}
        env.update({key: value for key, value in wanted.items() if value is not None})
        return env

    def call(self, plugin, verb, config, container=None, *, container_id=_ABSENT, netns=_ABSENT, ifname="eth0", args="",
             path=None, env=None, stdin=None, wrapper=None, timeout=60):
        """One call of one executable. `config` is what stdin carries, unless `stdin` gives raw bytes.

        `container` fills CNI_CONTAINERID and CNI_NETNS; the keyword arguments overrule it, None leaves a variable out.
        """
        if container_id is _ABSENT:
            container_id = container.id if container else None
        if netns is _ABSENT:
            netns = container.netns if container else None
        environment = self.environment(verb, container_id, netns, ifname, args, path)
        for key, value in (env or {}).items():
            if value is None:
                environment.pop(key, None)
            else:
                environment[key] = value
        payload = stdin if stdin is not None else json.dumps(config).encode()
        argv = (self.wrapper if wrapper is None else list(wrapper)) + [os.path.join(self.folder, plugin)]
        return run_process(argv, payload, environment, timeout)

    def chain_add(self, conflist, container, *, ifname="eth0", runtime_config=None, args="", **options):
        """ADD of every plugin in turn, prevResult handed on. Returns the last result; raises CniFailure."""
        result = None
        for plugin in conflist["plugins"]:
            config = plugin_config(conflist, plugin, runtime_config, result)
            outcome = self.call(plugin["type"], "ADD", config, container, ifname=ifname, args=args, **options)
            if not outcome.ok or outcome.json is None:
                raise CniFailure(outcome)
            result = outcome.json
        return result

    def chain_check(self, conflist, container, result, *, ifname="eth0", runtime_config=None, args="", **options):
        for plugin in conflist["plugins"]:
            config = plugin_config(conflist, plugin, runtime_config, result)
            outcome = self.call(plugin["type"], "CHECK", config, container, ifname=ifname, args=args, **options)
            if not outcome.ok:
                raise CniFailure(outcome)

    def chain_del(self, conflist, container, *, result=None, ifname="eth0", runtime_config=None, args="", **options):
        """DEL of every plugin, last first, all of them even if one fails; then raises CniFailure for the first."""
        failed = None
        for plugin in reversed(conflist["plugins"]):
            config = plugin_config(conflist, plugin, runtime_config, result)
            outcome = self.call(plugin["type"], "DEL", config, container, ifname=ifname, args=args, **options)
            failed = failed or (None if outcome.ok else outcome)
        if failed:
            raise CniFailure(failed)

    def chain_gc(self, conflist, living, **options):
        """The CNI verb GC (1.1.0) of every plugin; `living` lists (container id, ifname) pairs."""
        valid = [{"containerID": container_id, "ifname": ifname} for container_id, ifname in living]
        for plugin in conflist["plugins"]:
            config = plugin_config({**conflist, "cniVersion": "1.1.0"}, plugin, None, None)
            # libcni writes both spellings.
            config["cni.dev/valid-attachments"] = config["cni.dev/attachments"] = valid
            outcome = self.call(plugin["type"], "GC", config, ifname=None, **options)
            if not outcome.ok:
                raise CniFailure(outcome)

    def netctl(self, *arguments, env=None, timeout=60, wrapper=()):
        """The command line tool; `json` of the outcome is set for what --json prints."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CNI_")}
        if self.state_dir:
            environment["NETCTL_STATE_DIR"] = self.state_dir
        environment.update(self.env)
        environment.update(env or {})
        argv = list(wrapper) + [os.path.join(self.folder, "netctl"), *map(str, arguments)]
        return run_process(argv, b"", environment, timeout)


def plugin_config(conflist, plugin, runtime_config=None, prev_result=None):
    """One plugin's stdin, made from its list as libcni does: name, version, granted capabilities, prevResult."""
    config = copy.deepcopy(plugin)
    capabilities = config.get("capabilities", {})
    config["name"] = conflist["name"]
    config["cniVersion"] = conflist["cniVersion"]
    granted = {key: value for key, value in (runtime_config or {}).items() if capabilities.get(key)}
    if granted:
        config["runtimeConfig"] = granted
    if prev_result is not None:
        config["prevResult"] = prev_result
    return config


def run_process(argv, payload, environment, timeout):
    began = time.monotonic()
    done = subprocess.run(argv, input=payload, env=environment, capture_output=True, timeout=timeout, check=False)
    seconds = time.monotonic() - began
    return Outcome(argv, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"),
                   seconds)
