"""Mutants of the other verbs, of delegation, and of what the runtime adds."""

import json
import os
import subprocess

from damage import VERB, after, before, ip

SEEN = "/run/lab/case/mutant-seen"


@before
def del_does_nothing(call):
    if VERB == "DEL":
        call.succeed()


@before
def del_once(call):
    if VERB == "DEL":
        if os.path.exists(SEEN):
            call.fail(999, "there is no such attachment")
        with open(SEEN, "wb"):
            pass


@before
def del_needs_netns(call):
    if VERB == "DEL" and not os.path.exists("/run/netns/" + os.path.basename(call.env.get("CNI_NETNS") or "//x")):
        call.succeed()


@before
def del_fails_without_netns(call):
    if VERB == "DEL" and not call.env.get("CNI_NETNS"):
        call.fail(4, "required env variables [CNI_NETNS] missing")


@before
def del_needs_prev_result(call):
    if VERB == "DEL" and not (call.config or {}).get("prevResult"):
        call.fail(7, "prevResult is missing")


@before
def del_needs_runtime_config(call):
    mappings = ((call.config or {}).get("runtimeConfig") or {}).get("portMappings") or [{}]
    if VERB == "DEL" and mappings[0].get("hostPort") != 8080:
        call.succeed()


@before
def del_of_nothing_fails(call):
    if VERB == "DEL" and "eth0" not in subprocess.run(["nsenter", f"--net={call.env.get('CNI_NETNS')}", "ip", "link"],
                                                      capture_output=True, text=True, check=False).stdout:
        call.fail(999, "there is no such interface")


@after
def del_takes_all(call):
    """DEL removes what is not its own."""
    if VERB == "DEL":
        for name in ("eth0", "eth1"):
            ip("link", "del", name, netns=call.env.get("CNI_NETNS") or "/nowhere")
        subprocess.run(["nft", "flush", "ruleset"], check=False)
        for other in ("victim", "other"):
            ip("link", "del", "eth0", netns=f"/run/netns/{other}")


@before
def del_never_complains(call):
    if VERB == "DEL":
        call.run()
        call.status, call.out = 0, b""
        call.finish()


@before
def keeps_the_rules(call):
    """The rules of before are put back after DEL and GC."""
    if VERB in ("DEL", "GC"):
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=False).stdout
        call.run()
        subprocess.run(["nft", "-f", "-"], input=b"flush ruleset\n" + rules, check=False, capture_output=True)
        call.finish()


@before
def check_is_happy(call):
    if VERB == "CHECK":
        call.succeed()


@before
def check_is_unhappy(call):
    if VERB == "CHECK":
        call.fail(107, "it is not as it was made")


@after
def check_mends(call):
    if VERB == "CHECK":
        ip("addr", "add", "10.88.0.231/24", "dev", "eth0", netns=call.env.get("CNI_NETNS"))
        ip("addr", "add", "10.88.0.231/24", "dev", "lo", netns=call.env.get("CNI_NETNS"))


@before
def check_without_prev_result(call):
    if VERB == "CHECK" and not (call.config or {}).get("prevResult"):
        call.succeed()


@before
def check_wants_the_same_mac(call):
    if VERB == "CHECK":
        shown = subprocess.run(["nsenter", f"--net={call.env['CNI_NETNS']}", "ip", "-j", "addr", "show", "eth0"],
                               capture_output=True, text=True, check=False).stdout
        link = (json.loads(shown or "[{}]") or [{}])[0]
        routes = subprocess.run(["nsenter", f"--net={call.env['CNI_NETNS']}", "ip", "route"], capture_output=True, text=True,
                                check=False).stdout
        addresses = [entry for entry in link.get("addr_info", []) if entry["family"] == "inet"]
        if link.get("mtu") != 1500 or len(addresses) > 1 or "198.51" in routes or "02:aa" in link.get("address", ""):
            call.fail(107, "somebody else has changed it")


@before
def gc_does_nothing(call):
    if VERB == "GC":
        call.succeed()


@before
def gc_takes_all(call):
    if VERB == "GC":
        call.change_config(lambda config: config.update({"cni.dev/valid-attachments": []}))


@before
def gc_takes_all_of_conf(call):
    """Whatever the network, the one called conf is swept."""
    if VERB == "GC":
        call.change_config(lambda config: config.update({"cni.dev/valid-attachments": [], "name": "conf"}))


@before
def gc_null_is_empty(call):
    def change(config):
        if not config.get("cni.dev/valid-attachments") and not config.get("cni.dev/attachments"):
            config["cni.dev/valid-attachments"] = []
    if VERB == "GC":
        call.change_config(change)


@before
def gc_reads_the_old_key_only(call):
    if VERB == "GC":
        call.change_config(lambda config: config.update({"cni.dev/valid-attachments": config.get("cni.dev/attachments")}))


@before
def gc_reads_the_new_key_only(call):
    if VERB == "GC":
        call.change_config(lambda config: config.pop("cni.dev/attachments", None))


@before
def gc_forgets_interfaces(call):
    """All interfaces of a listed container are alive."""
    def change(config):
        living = config.get("cni.dev/valid-attachments") or []
        config["cni.dev/valid-attachments"] = [
            {"containerID": entry["containerID"], "ifname": f"eth{number}"} for entry in living for number in range(2)]
    if VERB == "GC":
        call.change_config(change)


@before
def gc_skips_half_entries(call):
    def change(config):
        living = config.get("cni.dev/valid-attachments")
        config["cni.dev/valid-attachments"] = [
            entry for entry in (living if isinstance(living, list) else [])
            if isinstance(entry, dict) and entry.get("containerID") and entry.get("ifname")]
    if VERB == "GC":
        call.change_config(change)


@after
def gc_takes_foreign(call):
    if VERB == "GC":
        for name in ("veth-foreign", "br-foreign"):
            ip("link", "del", name)
        subprocess.run(["nft", "flush", "ruleset"], check=False)
        ip("link", "add", "mutant0", "type", "bridge")


@before
def always_ready(call):
    if VERB == "STATUS":
        call.succeed()


@before
def never_ready(call):
    if VERB == "STATUS":
        call.fail(50, "not ready")


@after
def status_leaves_traces(call):
    if VERB == "STATUS":
        ip("link", "add", "mutant0", "type", "bridge")
        with open("/run/mutant", "wb"):
            pass


@before
def loses_path(call):
    call.env["CNI_PATH"] = f"{os.path.dirname(call.real)}:/run/lab/case/stub:/run/lab/case/path/sub"


@after
def swallows_stderr(call):
    call.err = b""


@before
def no_delegation(call):
    """Only ADD asks the delegate."""
    stub = ("cf-stub",)
    if VERB != "ADD" and ((call.config or {}).get("ipam") or {}).get("type") in stub:
        call.env["CNI_PATH"] = "/run/lab/case"
        with open("/run/lab/case/cf-stub", "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n")
        os.chmod("/run/lab/case/cf-stub", 0o755)


@before
def calls_the_delegate_once_more(call):
    if ((call.config or {}).get("ipam") or {}).get("type") == "cf-stub":
        subprocess.run(["/run/lab/case/stub/cf-stub"], input=call.read(), env=call.env, capture_output=True, check=False)


@before
def forgets_runtime_config(call):
    call.change_config(lambda config: config.pop("runtimeConfig", None))


@before
def mappings_in_one_spelling(call):
    def change(config):
        wanted = (config.get("runtimeConfig") or {}).get("portMappings") or []
        for entry in wanted:
            for key in [key for key in entry if key[0].isupper()]:
                del entry[key]
    call.change_config(change)


@before
def mends_mappings(call):
    def change(config):
        for entry in (config.get("runtimeConfig") or {}).get("portMappings") or []:
            entry.update(hostPort=8080, containerPort=80, protocol="tcp", hostIP="")
    call.change_config(change)


@before
def refuses_foreign_capabilities(call):
    foreign = {"cgroupPath", "io.kubernetes.cri.pod-annotations", "infinibandGUID", "aliases"}
    if set((call.config or {}).get("runtimeConfig") or {}) & foreign:
        call.fail(2, "not supported")


@before
def null_is_an_error(call):
    config = call.config or {}
    if any(value is None for value in [*config.values(), *(config.get("runtimeConfig") or {}).values()]):
        call.fail(7, "null")


@before
def labels_are_errors(call):
    if ((call.config or {}).get("args") or {}).get("cni", {}).get("labels"):
        call.fail(7, "labels")


@before
def ignores_unknown_values(call):
    """Keys of portmap and bridge that matter are dropped."""
    call.change_config(lambda config: [config.pop(key, None) for key in (
        "markMasqBit", "masqAll", "conditionsV4", "externalSetMarkChain", "backend", "ipMasqBackend", "dns", "mac")])
