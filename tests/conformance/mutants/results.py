"""Mutants of ADD: its result, and what it makes."""

import os

from damage import VERB, after, before, ip


def _result(change):
    """A mutant that changes the result of ADD."""
    def damage(call):
        if VERB == "ADD" and call.status == 0:
            call.change_answer(change)
    damage.__name__, damage.__doc__ = change.__name__, change.__doc__
    return after(damage)


@_result
def drops_cni_version(result):
    result.pop("cniVersion", None)


@_result
def drops_routes(result):
    result.pop("routes", None)
    for key in ("ip4", "ip6"):
        result.get(key, {}).pop("routes", None)


@_result
def drops_dns(result):
    result.pop("dns", None)


@_result
def empty_dns(result):
    result.setdefault("dns", {})


@_result
def drops_gateways(result):
    for entry in [*result.get("ips", []), result.get("ip4", {}), result.get("ip6", {})]:
        entry.pop("gateway", None)


@_result
def empty_gateways(result):
    for entry in result.get("routes", []):
        entry.setdefault("gw", "")


@_result
def drops_interfaces(result):
    result.pop("interfaces", None)


@_result
def names_interfaces(result):
    result.setdefault("interfaces", [{"name": "eth0"}])


@_result
def index_off_by_one(result):
    for entry in result.get("ips", []):
        if "interface" in entry:
            entry["interface"] = max(0, entry["interface"] - 1)


@_result
def drops_ips(result):
    for key in ("ips", "ip4"):
        result.pop(key, None)


@_result
def one_address_only(result):
    if "ips" in result:
        result["ips"] = result["ips"][:1]
    result.pop("ip6", None)


@_result
def ip_version_always(result):
    for entry in result.get("ips", []):
        entry["version"] = "4"


@_result
def ip_version_never(result):
    for entry in result.get("ips", []):
        entry.pop("version", None)


@_result
def another_mac(result):
    for entry in result.get("interfaces", []):
        entry["mac"] = "02:de:ad:00:00:01"


@_result
def no_sandbox(result):
    for entry in result.get("interfaces", []):
        entry.pop("sandbox", None)


@_result
def sandbox_everywhere(result):
    for entry in result.get("interfaces", []):
        entry["sandbox"] = os.environ["CNI_NETNS"]


@_result
def resolved_sandbox(result):
    for entry in result.get("interfaces", []):
        if "sandbox" in entry:
            entry["sandbox"] = os.path.realpath(entry["sandbox"])


@_result
def new_keys_everywhere(result):
    for entry in result.get("routes", []) + result.get("interfaces", []):
        entry.setdefault("mtu", 1400)


@_result
def new_keys_nowhere(result):
    for entry in result.get("routes", []) + result.get("interfaces", []):
        for key in ("mtu", "advmss", "priority", "table", "scope", "socketPath", "pciID"):
            entry.pop(key, None)


@_result
def zero_is_absent(result):
    for entry in result.get("routes", []):
        for key in [key for key, value in entry.items() if value == 0]:
            del entry[key]


@_result
def extra_key(result):
    result["mutant"] = True


@_result
def another_address(result):
    for entry in result.get("ips", []):
        entry["address"] = "10.88.0.250/24"
    if "ip4" in result:
        result["ip4"]["ip"] = "10.88.0.250/24"


@before
def always_one_address(call):
    """Whoever asks gets the same."""
    if VERB == "ADD":
        call.env["CNI_CONTAINERID"] = "everybody"


@after
def leaves_a_link_when_it_fails(call):
    if VERB == "ADD" and call.status != 0:
        ip("link", "add", "mutant0", "type", "bridge")
        ip("link", "add", "mutant0", "type", "bridge", netns=call.env.get("CNI_NETNS") or "/nowhere")


@after
def never_up(call):
    if VERB == "ADD":
        ip("link", "set", call.env.get("CNI_IFNAME", ""), "down", netns=call.env.get("CNI_NETNS"))
        ip("link", "set", "lo", "down", netns=call.env.get("CNI_NETNS"))


@before
def forgets_masquerade(call):
    call.change_config(lambda config: config.update(ipMasq=False))


@before
def takes_the_name(call):
    """What is called CNI_IFNAME gives way."""
    if VERB in ("ADD", "DEL"):
        ip("link", "del", call.env.get("CNI_IFNAME", ""), netns=call.env.get("CNI_NETNS") or "/nowhere")
