"""Black-box laboratory: private hosts, containers, plugin calls as a runtime makes them, raw kernel snapshots.

Standard library only. A test script puts tests/support on sys.path and then reads:

    from lab import Lab, snapshot
    with Lab() as lab:                      # private network + mount namespace, fresh /run, state and conf folders
        before = snapshot.capture()
        web = lab.container("web")
        result = lab.runtime.chain_add(conflist, web)
        ...
        snapshot.assert_same(before)
"""

from .hosts import Container, Lab, in_netns, namespace_cookie
from .libcni import LibCni
from .plugins import Outcome, Runtime, bin_dir, bridge_conflist
from . import fingerprint, snapshot

__all__ = [
    "Container", "Lab", "LibCni", "Outcome", "Runtime", "bin_dir", "bridge_conflist", "fingerprint", "in_netns",
    "namespace_cookie", "snapshot",
]
