"""How one result is brought from one version to another, seen from outside; and the recorded answers.

Two ways lead through a plugin. An IPAM delegate answers in a version of its own, and `bridge` prints its result in that of
the configuration: every pair of versions. A prevResult is passed on by `loopback`: pairs of versions of one shape, and a
refusal for the others.
"""

import json
import pathlib

from .stub import Stub
from .world import SCRATCH, VERSIONS

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
PAIRS = {f"{old}-to-{new}": (old, new) for old in VERSIONS for new in VERSIONS}
REFUSED = "refused"


def document(kind, version):
    """`kind`: "address" (what an IPAM plugin answers) or "previous" (a whole result)."""
    return json.loads((GOLDEN / "documents" / f"{kind}-{version}.json").read_text())


def golden(way, pair):
    return json.loads((GOLDEN / way / f"{pair}.json").read_text())


def through_bridge(world, old, new):
    answer = document("address", old)
    stub = Stub(f"{SCRATCH}/stub", world.folder, answer=answer)
    # The Debian 12 reference forgets the delegate's dns: with the same in the configuration, dns is converted there too.
    config = {"cniVersion": new, "name": "conf", "type": "bridge", "bridge": "cni-cf0", "ipam": stub.ipam,
              "dns": answer["dns"]}
    outcome = world.call("bridge", "ADD", config, path=stub.path)
    world.delete("bridge", config, path=stub.path)
    return _normal(outcome)


def through_loopback(world, old, new):
    config = {"cniVersion": new, "name": "conf", "type": "loopback", "prevResult": document("previous", old)}
    return _normal(world.call("loopback", "ADD", config, ifname="lo"))


def _normal(outcome):
    """The result without what differs from call to call: addresses of interfaces, the name of the host's end."""
    if not outcome.ok:
        return REFUSED
    result = outcome.json
    assert isinstance(result, dict), f"stdout is not one JSON document: {outcome.describe()}"
    for entry in result.get("interfaces", []):
        if entry["name"] not in ("cni-cf0", "eth0", "cf-host0"):
            entry["name"] = "HOST-END"
        if not entry.get("mac", "").startswith("02:00:00:00:00:"):
            entry["mac"] = "MAC"
    return result
