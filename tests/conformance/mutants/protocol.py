"""Mutants of the protocol: environment, stdin, stdout, versions, results."""

import json
import os
import re
import signal
import sys
import time

from damage import VERB, after, before, ip, is_set

GOOD = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")


@before
def harmless(call):
    """The control: nothing is damaged, and every case must pass."""


@after
def harmless_too(call):
    """The control of those that touch the answer."""


@after
def prints_for_another(call):
    """The executable never learns that its result could not be printed."""


@before
def refuses_everything(call):
    call.fail(999, "I do not feel like it")


@before
def accepts_everything(call):
    call.succeed()


@after
def failure_is_success(call):
    if call.status != 0:
        call.status = 0


@after
def error_without_a_change_of_status(call):
    """Exit status 0 and an empty stdout instead of an error."""
    if call.status != 0:
        call.status, call.out = 0, b""


@after
def another_code(call):
    if call.status != 0:
        call.change_answer(lambda error: error.update(code=998))


@after
def code_is_text(call):
    if call.status != 0:
        call.change_answer(lambda error: error.update(code=str(error.get("code"))))


@after
def empty_message(call):
    if call.status != 0:
        call.change_answer(lambda error: error.update(msg=""))


@after
def message_without_names(call):
    if call.status != 0:
        call.change_answer(lambda error: error.update(msg="something went wrong here", details=""))


@after
def error_without_version(call):
    if call.status != 0:
        call.change_answer(lambda error: error.pop("cniVersion", None))


@after
def error_of_the_newest_version(call):
    if call.status != 0:
        call.change_answer(lambda error: error.update(cniVersion="1.1.0"))


@after
def error_on_stderr(call):
    if call.status != 0:
        call.err, call.out = call.err + call.out, b""


@after
def dies_instead_of_failing(call):
    if call.status != 0:
        call.status, call.out = -signal.SIGSEGV, b""


@after
def two_documents(call):
    call.out += call.out


@after
def log_on_stdout(call):
    call.out = b"time=now level=info msg=hello\n" + call.out


@after
def chatty(call):
    if call.status == 0 and VERB != "ADD" and VERB != "VERSION":
        call.out += b"{}"


@after
def silent_add(call):
    if call.status == 0:
        call.out = b""


@before
def any_command_is_add(call):
    if VERB not in ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"):
        call.succeed()


@before
def no_command_is_an_error(call):
    if not VERB:
        call.fail(4, "CNI_COMMAND is missing")


@before
def names_one_variable(call):
    missing = [name for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME") if not is_set(name)]
    if VERB in ("ADD", "CHECK", "DEL") and missing:
        call.fail(4, f"required env variables [{missing[0]}] missing")


@before
def needs_a_path(call):
    if not is_set("CNI_PATH") and VERB != "VERSION":
        call.fail(4, "required env variables [CNI_PATH] missing")


@before
def needs_every_variable(call):
    missing = [name for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME") if not is_set(name)]
    if missing and VERB:
        call.fail(4, f"required env variables {missing} missing")


@before
def mends_names(call):
    """Bad ids and names are made good instead of being refused."""
    for name, good in (("CNI_CONTAINERID", "mended"), ("CNI_IFNAME", "mended0")):
        text = call.env.get(name, "")
        if not GOOD.fullmatch(text) or len(text) > 15 and name == "CNI_IFNAME":
            call.env[name] = good
    if "%" in call.env.get("CNI_IFNAME", ""):
        call.env["CNI_IFNAME"] = "mended0"
    call.change_config(lambda config: config.update(name="mended") if not isinstance(config.get("name"), str)
                       or not GOOD.fullmatch(config["name"]) else None)


@before
def refuses_odd_names(call):
    for name in ("CNI_CONTAINERID", "CNI_IFNAME"):
        text = call.env.get(name, "x" * 5)
        if text and (not 3 < len(text) < 15 or set(text) & set("_.-@")):
            call.fail(4, f"{name} looks odd")


@before
def cuts_long_ids(call):
    if len(call.env.get("CNI_CONTAINERID", "")) > 1:
        call.env["CNI_CONTAINERID"] = call.env["CNI_CONTAINERID"][:-1]


@before
def any_type(call):
    def change(config):
        if not GOOD.fullmatch(str(config.get("type", "x"))):
            config["type"] = "x"
        if isinstance(config.get("ipam"), dict) and "/" in str(config["ipam"].get("type")):
            for folder in call.env.get("CNI_PATH", "").split(":"):
                os.system(f"cd {folder} && {config['ipam']['type']} </dev/null >/dev/null 2>&1")
    call.change_config(change)


@before
def own_namespace_is_fine(call):
    call.env["CNI_NETNS_OVERRIDE"] = "1"


@before
def own_namespace_never(call):
    call.env["CNI_NETNS_OVERRIDE"] = ""


@before
def any_namespace_is_fine(call):
    if VERB == "ADD" and not os.path.exists(f"/run/netns/{os.path.basename(call.env.get('CNI_NETNS', ''))}"):
        call.succeed()


@before
def works_elsewhere(call):
    """Everything, delegates too, runs in a network namespace of its own."""
    if VERB in ("ADD", "DEL", "CHECK", "GC", "STATUS"):
        call.read()
        os.environ.update(call.env)
        import ctypes
        ctypes.CDLL(None).unshare(0x40000000)


@before
def reads_one_piece(call):
    if VERB != "VERSION":
        call.stdin = os.read(0, 50_000)


@before
def takes_the_first_document(call):
    text = call.read().decode(errors="replace").lstrip()
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
        call.stdin = json.dumps(found if isinstance(found, dict) else {}).encode()
    except (ValueError, RecursionError):
        call.stdin = b'{"cniVersion":"1.0.0","name":"conf"}'


@before
def no_white_space(call):
    if call.read()[:1].isspace():
        call.fail(6, "the first byte is no brace")


@before
def waits_for_stdin(call):
    if VERB == "VERSION":
        sys.stdin.buffer.read()


@before
def stdin_never_fails(call):
    try:
        call.read()
    except (OSError, ValueError, AttributeError):
        call.stdin = b'{"cniVersion":"1.0.0","name":"conf","type":"x"}'


@before
def dies_of_signals(call):
    """Runs the real executable as a child and dies alone."""
    call.run()
    call.finish()


@before
def unknown_keys_are_errors(call):
    if set(call.config or {}) & {"cni.dev/something", "x", "padding", "example", "cni.dev/attachments"}:
        call.fail(7, "unknown key")


@before
def drops_foreign_keys(call):
    foreign = ("example", "capabilities", "args", "cni.dev/valid-attachments")
    call.change_config(lambda config: [config.pop(key, None) for key in foreign])


@before
def trace_is_an_error(call):
    if call.env.get("TRACEPARENT"):
        call.fail(999, "tracing is not supported")


@before
def changes_before_it_refuses(call):
    ip("link", "add", "mutant0", "type", "bridge")


@before
def ignores_args(call):
    call.env["CNI_ARGS"] = ""


@before
def unknown_args_are_fine(call):
    call.env["CNI_ARGS"] = ";".join(part for part in call.env.get("CNI_ARGS", "").split(";")
                                    if part.split("=")[0] in ("IP", "MAC") and part.count("=") == 1)


@before
def args_are_never_fine(call):
    if call.env.get("CNI_ARGS"):
        call.fail(4, "CNI_ARGS: unknown args")


@before
def args_first(call):
    """CNI_ARGS beat everything else."""
    def change(config):
        for key, other in (("IP", "ips"), ("MAC", "mac")):
            if key + "=" in call.env.get("CNI_ARGS", ""):
                config.get("runtimeConfig", {}).pop(other, None)
                config.get("args", {}).get("cni", {}).pop(other, None)
    call.change_config(change)


@after
def one_version_only(call):
    if VERB == "VERSION":
        call.change_answer(lambda answer: answer.update(cniVersion="0.4.0", supportedVersions=["0.4.0"]))


@after
def always_the_newest(call):
    if call.status == 0:
        call.change_answer(lambda answer: answer.update(cniVersion="1.1.0"))


@after
def version_of_the_input(call):
    """VERSION says what it was asked with, even if nobody knows it."""
    if VERB == "VERSION":
        call.change_answer(lambda answer: answer.update(cniVersion="9.9.9",
                                                        supportedVersions=[*answer["supportedVersions"], "9.9.9"]))


@before
def no_version_is_the_newest(call):
    call.change_config(lambda config: config.update(cniVersion=config.get("cniVersion") or "1.1.0"))


@before
def strange_versions_are_fine(call):
    known = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", "")

    def change(config):
        if config.get("cniVersion", "") not in known:
            config["cniVersion"] = "1.0.0"
    call.change_config(change)


@before
def every_verb_in_every_version(call):
    if VERB in ("CHECK", "GC", "STATUS"):
        call.change_config(lambda config: config.update(cniVersion="1.1.0"))


@before
def no_1_1(call):
    if (call.config or {}).get("cniVersion") == "1.1.0":
        call.fail(1, "incompatible CNI versions", 1)


@before
def slow(call):
    if VERB == "VERSION" or call.env.get("CNI_CONTAINERID") == "victim":
        time.sleep(12 if VERB == "VERSION" else 6)
