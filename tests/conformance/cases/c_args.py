"""E20, E21: CNI_ARGS, and which of several wishes counts."""

from suite import kinds
from suite.registry import case
from suite.world import error_of, expect

ENVIRONMENT = 4
KUBERNETES = ("K8S_POD_NAME=p1", "K8S_POD_NAMESPACE=default", "K8S_POD_INFRA_CONTAINER_ID=c0ffee", "K8S_POD_UID=7")
MAC_1, MAC_2, MAC_3 = "02:aa:00:00:00:01", "02:aa:00:00:00:02", "02:aa:00:00:00:03"
takers = kinds.where(reads_args=True, can_add=True)
mac_takers = lambda: [name for name in kinds.link_makers() if kinds.KINDS[name].reads_args]


@case("E20.malformed", "CNI_ARGS with a malformed pair ({}): an error, nothing changed", "libcni args", plugins=takers,
      values={"no-equals": "IP", "two-equals": "IgnoreUnknown=1;A=B=C", "empty-pair": "IgnoreUnknown=1;;", "no-key": "=x",
              "ignore-is-no-boolean": "IgnoreUnknown=maybe"})
def malformed(world, plugin, value):
    world.prepare(plugin)
    world.refuse(plugin, "ADD", (), args=value)


@case("E20.code", "a malformed CNI_ARGS is a bad environment variable: code 4", "SPEC 5", plugins=takers)
def code(world, plugin):
    world.prepare(plugin)
    for text in ("IP", "A=B=C", ";;;"):
        error = world.refuse(plugin, "ADD", ENVIRONMENT, args=text)
        assert "CNI_ARGS" in error["msg"], error


@case("E20.unknown-key", "an unknown key in CNI_ARGS is an error that names it", "libcni args", plugins=takers, values={
    "alone": "WHO=knows", "not-ignored": "IgnoreUnknown=0;WHO=knows", "false": "WHO=knows;IgnoreUnknown=false"})
def unknown_key(world, plugin, value):
    world.prepare(plugin)
    error = world.refuse(plugin, "ADD", (), args=value)
    assert "WHO=knows" in error["msg"] + error.get("details", ""), error


@case("E20.ignored", "IgnoreUnknown={} lets unknown keys pass", "libcni args", plugins=takers,
      values={"1": "1", "true": "true", "TRUE": "TRUE", "True": "True"})
def ignored(world, plugin, value):
    world.add(plugin, args=f"WHO=knows;IgnoreUnknown={value};A=")
    world.delete(plugin, args=f"IgnoreUnknown={value};WHO=knows")


@case("E20.kubernetes", "what containerd and CRI-O pass for a pod, in any order", "libcni args", plugins=kinds.attachable,
      values={"ignore-first": ("IgnoreUnknown=1", *KUBERNETES), "ignore-last": (*KUBERNETES[::-1], "IgnoreUnknown=1")})
def kubernetes(world, plugin, value):
    world.add(plugin, args=";".join(value))
    world.delete(plugin, args=";".join(value))


@case("E20.empty", "an empty CNI_ARGS, or none", "SPEC 2", plugins=kinds.attachable)
def empty(world, plugin):
    world.add(plugin, args="")
    world.delete(plugin, env={"CNI_ARGS": None})


@case("E20.del-with-bad-args", "DEL with a malformed CNI_ARGS still says so", "ours", plugins=takers)
def del_with_bad_args(world, plugin):
    error_of(world.call(plugin, "DEL", args="IP"))


def _mac_of(world, plugin, **options):
    result = world.add(plugin, **options)
    found = [entry["mac"] for entry in result["interfaces"] if entry.get("sandbox")]
    world.delete(plugin)
    return found


def _mac_config(world, plugin, runtime=None, args=None):
    more = {"capabilities": {"mac": True}}
    if runtime:
        more["runtimeConfig"] = {"mac": runtime}
    if args:
        more["args"] = {"cni": {"mac": args}}
    return world.config(plugin, **more)


@case("E21.mac-of-cni-args", "CNI_ARGS MAC is the interface's address", "CONVENTIONS", plugins=mac_takers)
def mac_of_cni_args(world, plugin):
    expect(_mac_of(world, plugin, args=f"MAC={MAC_1};IgnoreUnknown=1"), [MAC_1], "the MAC address")


@case("E21.mac-of-runtime-config", "runtimeConfig.mac is the interface's address", "CONVENTIONS", plugins=mac_takers)
def mac_of_runtime_config(world, plugin):
    expect(_mac_of(world, plugin, config=_mac_config(world, plugin, runtime=MAC_1)), [MAC_1], "the MAC address")


@case("E21.runtime-config-first", "runtimeConfig.mac beats CNI_ARGS MAC", "CONVENTIONS", plugins=mac_takers)
def runtime_config_first(world, plugin):
    found = _mac_of(world, plugin, config=_mac_config(world, plugin, runtime=MAC_1), args=f"MAC={MAC_2};IgnoreUnknown=1")
    expect(found, [MAC_1], "the MAC address")


@case("E21.args-cni-mac", "runtimeConfig.mac beats args.cni.mac beats CNI_ARGS MAC", "CONVENTIONS", needs=("bridge",))
def args_cni_mac(world):
    foreign = f"MAC={MAC_3};IgnoreUnknown=1"
    expect(_mac_of(world, "bridge", config=_mac_config(world, "bridge", MAC_1, MAC_2), args=foreign), [MAC_1], "of three")
    expect(_mac_of(world, "bridge", config=_mac_config(world, "bridge", None, MAC_2), args=foreign), [MAC_2], "of two")


@case("E21.mac-in-the-kernel", "the address in the result is the one that the interface has", "SPEC 5", plugins=mac_takers)
def mac_in_the_kernel(world, plugin):
    world.add(plugin, config=_mac_config(world, plugin, runtime=MAC_1))
    expect(world.mac_of("eth0", world.victim), MAC_1, "the MAC address of eth0")
    world.delete(plugin)


def _address(world, config, args):
    result = world.add("host-local", config, args=args)
    world.delete("host-local", config)
    return [entry["address"] for entry in result["ips"]]


@case("E21.ip-of-cni-args", "CNI_ARGS IP is the address that is given", "CONVENTIONS", needs=("host-local",))
def ip_of_cni_args(world):
    expect(_address(world, world.config("host-local"), "IP=10.88.0.77"), ["10.88.0.77/24"], "the address")


@case("E21.ip-of-args", "args.cni.ips beats CNI_ARGS IP", "CONVENTIONS", needs=("host-local",))
def ip_of_args(world):
    config = world.config("host-local", args={"cni": {"ips": ["10.88.0.66"]}})
    expect(_address(world, config, "IP=10.88.0.77"), ["10.88.0.66/24"], "the address")


@case("E21.ip-of-runtime-config", "runtimeConfig.ips beats CNI_ARGS IP", "CONVENTIONS", needs=("host-local",))
def ip_of_runtime_config(world):
    config = world.config("host-local", capabilities={"ips": True}, runtimeConfig={"ips": ["10.88.0.55/24"]})
    expect(_address(world, config, "IP=10.88.0.77"), ["10.88.0.55/24"], "the address")
