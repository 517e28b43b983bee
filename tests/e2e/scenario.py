"""Runs scenarios, each in a process and on a private host of its own, and judges that each leaves nothing behind.

The host of a scenario has two neighbours that know no way back to any container: `outside` (192.0.2.2 and 2001:db8::2;
the host is 192.0.2.1 and 2001:db8::1 there) and `far` (198.51.100.2, the host is 198.51.100.1).
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from lab import Lab, bridge_conflist, in_netns, snapshot  # noqa: E402,F401 (needs the path above)
from lab.plugins import addresses  # noqa: E402

HOST, OUTSIDE = "192.0.2.1", "192.0.2.2"
HOST_FAR, FAR = "198.51.100.1", "198.51.100.2"
HOST_V6, OUTSIDE_V6 = "2001:db8::1", "2001:db8::2"


def network(name, number, *, netctl=None, dual_stack=False, portmap=True, **bridge_keys):
    """A bridge network 10.<number>.0.0/24 (and fd10:<number>::/64); `netctl` are the keys that only we have."""
    ranges = [[{"subnet": f"10.{number}.0.0/24"}]]
    routes = [{"dst": "0.0.0.0/0"}]
    if dual_stack:
        ranges.append([{"subnet": f"fd10:{number}::/64"}])
        routes.append({"dst": "::/0"})
    if netctl is not None:
        bridge_keys["netctl"] = netctl
    return bridge_conflist(name, bridge=f"br-{name}", portmap=portmap, bridge_keys=bridge_keys,
                           ipam_keys={"ranges": ranges, "routes": routes})


class Attachment:
    def __init__(self, lab, conflist, name, ports, **options):
        self.lab, self.conflist, self.options = lab, conflist, options
        self.container = lab.container(name, process=False)
        self.runtime_config = {"portMappings": list(ports)} if ports else None
        self.result = lab.runtime.chain_add(conflist, self.container, runtime_config=self.runtime_config, **options)
        self.address, *more = addresses(self.result)
        self.address_v6 = more[0] if more else None

    @property
    def netns(self):
        return self.container.netns

    def detach(self):
        self.lab.runtime.chain_del(self.conflist, self.container, result=self.result,
                                   runtime_config=self.runtime_config, **self.options)
        self.lab.remove(self.container)


class Host:
    """What a scenario function is given."""

    def __init__(self, lab):
        self.lab = lab
        # Without duplicate address detection: a second a scenario, for addresses that are not what is looked at.
        run("sysctl", "-q", "net.ipv6.conf.default.accept_dad=0")
        self.outside = lab.outside("outside", HOST, OUTSIDE)
        self.far = lab.outside("far", HOST_FAR, FAR)
        run("sysctl", "-q", "net.ipv6.conf.default.accept_dad=1")
        self._settle()
        self.attachments = []

    def _settle(self):
        """Addresses are usable, and their routes are there, a moment after both ends of a link came up."""
        for link, wanted in (("up-far", "fe80"), ("up-outside", "fe80"), ("up-outside", HOST_V6)):
            if wanted == HOST_V6:
                run("ip", "addr", "add", f"{HOST_V6}/64", "dev", link, "nodad")
                self.outside.run(["ip", "addr", "add", f"{OUTSIDE_V6}/64", "dev", "eth0", "nodad"])
            for _ in range(200):
                routes = run("ip", "-6", "route", "show", "table", "local", "dev", link)
                if f"local {wanted}" in routes and "tentative" not in run("ip", "addr", "show", "dev", link):
                    break
                time.sleep(0.02)

    def attach(self, conflist, name, ports=(), **options):
        made = Attachment(self.lab, conflist, name, ports, **options)
        self.attachments.append(made)
        return made

    def detach(self, attachment):
        self.attachments.remove(attachment)
        attachment.detach()

    def detach_all(self):
        while self.attachments:
            self.detach(self.attachments[-1])


def port(host_port, container_port, protocol="tcp", host_ip=None, count=None):
    mapping = {"hostPort": host_port, "containerPort": container_port, "protocol": protocol}
    if host_ip:
        mapping["hostIP"] = host_ip
    if count:
        mapping["range"] = count
    return mapping


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def expect(found, wanted, what):
    assert found == wanted, f"{what}: {wanted!r} was expected, {found!r} was found"


def who(answer):
    """The name of the service that gave the answer."""
    return answer.split()[0] if answer else None


def link_address(interface, netns_of=None):
    """Of an interface of the host, or of a container."""
    argv = ["ip", "-j", "link", "show", interface]
    text = netns_of.run(argv).stdout if netns_of else run(*argv)
    return json.loads(text)[0]["address"]


def _of_containers(before, after):
    """The difference, without flows between the host and its neighbours: those are the test's own."""
    return [line for line in snapshot.diff(before, after)
            if not line[2:].startswith("conntrack ") or "=10." in line or "=fd10:" in line]


def _play(function):
    with Lab() as lab:
        host = Host(lab)
        before = snapshot.capture()
        function(host)
        host.detach_all()
        snapshot.assert_same(before, f"before and after {function.__name__}", compare=_of_containers)


def main(*functions):
    """Plays all, or those named on the command line; ends the process."""
    wanted = [function for function in functions if not sys.argv[1:] or function.__name__ in sys.argv[1:]]
    failed = []
    for function in wanted:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _play(function)
                status = 0
            except BaseException:  # noqa: B902 (whatever it was, it is this scenario's failure)
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        _, status = os.waitpid(child, 0)
        if status != 0:
            failed.append(function.__name__)
        verdict = "FAILED" if status else "ok"
        print(f"{verdict:6} {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    if failed or not wanted:
        sys.exit(f"{len(failed)} of {len(wanted)} scenarios failed: {' '.join(failed)}")
    sys.exit(0)
