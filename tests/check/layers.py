#!/usr/bin/env python3
"""layers.py [--self-test]: a lower layer never includes a higher one, and C libraries stay behind our own headers.

The tables below are the rule. A folder that is not named there fails the check: a new one has to take its place.
"""

import re
import sys

from sources import ROOT, product_files

# folder -> what its files may include besides their own folder: folders, or single headers of a folder.
BYTES_OF_NETLINK = ("netlink/socket.hpp", "netlink/message.hpp")
LIBRARIES = ("base", "netlink", "iptables", "ipam", "plugins/cni")
EXECUTABLE = (*LIBRARIES, "plugins/engine", "plugins/engine/parts")
VERBS = ("plugins/bridge/bridge.hpp", "plugins/none/none.hpp", "plugins/portmap/portmap.hpp", "plugins/host/host.hpp",
         "plugins/container-share/container_share.hpp")
CHAINED = ("plugins/tuning", "plugins/bandwidth", "plugins/firewall")
MAY_INCLUDE = {
    "base": (),
    "netlink": ("base",),
    "iptables": ("base", *BYTES_OF_NETLINK),
    "ipam": ("base",),
    "plugins/cni": ("base",),
    "plugins/overlay/control": ("base", "netlink"),
    "plugins/overlay": (*EXECUTABLE, "plugins/overlay/control"),
    "plugins/overlay/source": ("base", "plugins/cni", "plugins/overlay", "plugins/overlay/control"),
    "plugins/overlay/agent": (*EXECUTABLE, "plugins/frontdoor", "plugins/overlay", "plugins/overlay/control",
                              "plugins/overlay/source"),
    "plugins/engine": (*LIBRARIES, "plugins/overlay/control"),
    "plugins/engine/parts": EXECUTABLE,
    "plugins/engine/links": EXECUTABLE,
    "plugins/bridge": EXECUTABLE,
    "plugins/none": EXECUTABLE,
    "plugins/host": EXECUTABLE,
    "plugins/container-share": EXECUTABLE,
    "plugins/host-local": EXECUTABLE,
    "plugins/static": EXECUTABLE,
    "plugins/ptp": EXECUTABLE,
    "plugins/macvlan": EXECUTABLE,
    "plugins/host-device": EXECUTABLE,
    "plugins/portmap": EXECUTABLE,
    **dict.fromkeys(CHAINED, EXECUTABLE),
    "plugins/frontdoor": (*EXECUTABLE, *VERBS),
    "plugins/hook": (*EXECUTABLE, "plugins/frontdoor"),
    "plugins/netavark": (*EXECUTABLE, "plugins/frontdoor", "plugins/bridge/bridge_config.hpp",
                         "plugins/container-share/share_options.hpp", "plugins/overlay/overlay.hpp"),
    "plugins/docker": (*EXECUTABLE, "plugins/frontdoor", "plugins/bridge/bridge_config.hpp"),
    "netctl": (*EXECUTABLE, "plugins/frontdoor", "plugins/overlay/control", "plugins/overlay/overlay.hpp"),
}
ENGINE = ("plugins/engine", "plugins/engine/parts", "plugins/engine/links")
OVERLAY = ("plugins/overlay", "plugins/overlay/control", "plugins/overlay/source", "plugins/overlay/agent")
FRONT_ENDS = ("plugins/frontdoor", "plugins/hook", "plugins/netavark", "plugins/docker", "netctl")
EXECUTABLES = ("plugins/bridge", "plugins/none", "plugins/host", "plugins/container-share", "plugins/host-local",
               "plugins/static", "plugins/ptp", "plugins/macvlan", "plugins/host-device", "plugins/portmap", *CHAINED,
               *FRONT_ENDS)
# third party header prefix -> folders that may use it, and whether only behind the scenes (.cpp, *_internal.hpp).
THIRD_PARTY = {
    "libmnl/": (("netlink", "iptables"), True),
    "libnftnl/": (("iptables",), True),
    "lmdb.h": (("ipam",), True),
    "xxhash.h": (("base",), True),
    "nlohmann/": (("ipam", "plugins/cni", *OVERLAY, *ENGINE, *EXECUTABLES), False),
    "spdlog/": ((*ENGINE, *EXECUTABLES), True),
    "fmt/": ((*ENGINE, *EXECUTABLES), True),
    "CLI/": (("netctl",), True),
    "curl/": (("plugins/overlay/source",), True),
    "httplib.h": (("plugins/docker",), True),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def folder_of(path):
    return path.rsplit("/", 1)[0]


def is_internal(path):
    return path.endswith("_internal.hpp")


def judge(path, text):
    """The sentences that say what is wrong with the includes of one file."""
    folder = folder_of(path)
    if folder not in MAY_INCLUDE:
        return [f"{path}: the folder {folder} has no place in the table of layers"]
    problems = []
    for bracket, target in INCLUDE.findall(text):
        problem = judge_own(path, target) if bracket == '"' else judge_third_party(path, target)
        problems += [f"{path}: includes {target}: {problem}"] if problem else []
    return problems


def judge_own(path, target):
    folder, other = folder_of(path), folder_of(target) if "/" in target else ""
    if not other or target.startswith("."):
        return "include by path from the root"
    if other == folder:
        return None
    if is_internal(target):
        return f"it is internal to {other}"
    allowed = MAY_INCLUDE[folder]
    if other in allowed or target in allowed:
        return None
    return f"{folder} may use {', '.join(allowed) or 'nothing of ours'}"


def judge_third_party(path, target):
    for prefix, (folders, hidden) in THIRD_PARTY.items():
        if not target.startswith(prefix):
            continue
        if folder_of(path) not in folders:
            return f"only for {', '.join(folders)}"
        if hidden and path.endswith(".hpp") and not is_internal(path):
            return "a public header must not show it (move it to a .cpp or an *_internal.hpp)"
    return None


def self_test():
    wrong = [
        ("base/a.cpp", '#include "netlink/socket.hpp"'),
        ("base/a.cpp", '#include <nlohmann/json.hpp>'),
        ("netlink/link.cpp", '#include "ipam/store.hpp"'),
        ("netlink/link.hpp", "#include <libmnl/libmnl.h>"),
        ("netlink/link.cpp", "#  include <libnftnl/rule.h>"),
        ("netlink/link.cpp", '#include "../base/error.hpp"'),
        ("netlink/link.cpp", '#include "link.hpp"'),
        ("iptables/ruleset.cpp", '#include "netlink/link.hpp"'),
        ("iptables/policy.hpp", "#include <libnftnl/set.h>"),
        ("ipam/allocator.cpp", '#include "netlink/socket.hpp"'),
        ("ipam/store.hpp", "#include <lmdb.h>"),
        ("plugins/cni/result.cpp", '#include "plugins/engine/plan.hpp"'),
        ("plugins/engine/plan.cpp", '#include "plugins/bridge/config.hpp"'),
        ("plugins/engine/plan.cpp", '#include "iptables/batch_internal.hpp"'),
        ("plugins/portmap/main.cpp", '#include "plugins/bridge/config.hpp"'),
        ("netctl/ls.cpp", '#include "plugins/bridge/config.hpp"'),
        ("plugins/engine/plan.cpp", "#include <CLI/CLI.hpp>"),
        ("plugins/unheard-of/main.cpp", ""),
    ]
    right = [
        ("netlink/link.cpp", '#include <libmnl/libmnl.h>\n#include "base/error.hpp"\n#include "netlink/link.hpp"'),
        ("iptables/batch_internal.hpp", "#include <libnftnl/rule.h>"),
        ("iptables/batch.cpp", '#include "iptables/batch_internal.hpp"\n#include "netlink/socket.hpp"'),
        ("plugins/bridge/main.cpp", '#include "plugins/engine/plan.hpp"\n#include "plugins/cni/plugin.hpp"'),
        ("netctl/ls.cpp", '#include <CLI/CLI.hpp>\n#include "ipam/store.hpp"'),
    ]
    missed = [case for case in wrong if not judge(*case)]
    invented = [case for case in right if judge(*case)]
    for case in missed + invented:
        print(f"self-test: judged wrongly: {case}")
    return not missed and not invented


if not self_test():
    sys.exit(1)
if "--self-test" in sys.argv:
    sys.exit(0)
files = product_files(".cpp", ".hpp")
if not files:
    sys.exit("no source files found")
findings = [problem for path in files for problem in judge(path, (ROOT / path).read_text())]
print("\n".join([*findings, f"{len(files)} files looked at, {len(findings)} problems"]))
sys.exit(1 if findings else 0)
