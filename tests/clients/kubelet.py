"""Pods, as a kubelet makes and ends them through CRI."""

import json
import os

import cri
from client import image
from lab.containerd import SOCKET
from lab.processes import cgroup_parent, wait_until

LOGS = "/run/podlogs"


class Kubelet:
    """Makes pods; gives each a name of its own."""

    def __init__(self):
        self.client = cri.Client(SOCKET)
        self._made = 0
        os.makedirs(LOGS, exist_ok=True)

    def network_ready(self):
        try:
            conditions = self.client.call("Status")["status"]["conditions"]
        except cri.Refused:
            return False  # the daemon is still starting
        return any(condition["type"] == "NetworkReady" and condition.get("status") for condition in conditions)

    def wait_ready(self):
        wait_until(self.network_ready, "containerd calls the network ready", 60)

    def wait_network(self, name):
        """Until the runtime has read the configuration of that network."""
        wait_until(lambda: f'"Name":"{name}"' in self.client.call("Status", verbose=True)["info"]["cniconfig"],
                   f"containerd reads the configuration of {name}", 60)

    def reconnect(self):
        """After a restart of the daemon."""
        self.client.close()
        self.client = cri.Client(SOCKET)
        self.wait_ready()

    def pod(self, name, **options):
        self._made += 1
        return Pod(self, name, f"uid-{self._made}", **options)

    def pods(self):
        return [item["id"] for item in self.client.call("ListPodSandbox").get("items", [])]


class Pod:
    """A running sandbox. `ports` are (host port, container port, protocol, host address)."""

    def __init__(self, kubelet, name, uid, ports=(), annotations=None, network=cri.POD):
        self._kubelet = kubelet
        self.config = {
            "metadata": {"name": name, "uid": uid, "namespace": "default", "attempt": 0},
            "hostname": name if network == cri.POD else "",
            "log_directory": LOGS, "labels": {"app": name}, "annotations": annotations or {},
            "dns_config": {"servers": ["10.96.0.10"], "searches": ["svc.local"]},
            "port_mappings": [{"host_port": host_port, "container_port": port, "protocol": protocol, "host_ip": address}
                              for host_port, port, protocol, address in ports],
            "linux": {"cgroup_parent": cgroup_parent(), "security_context": {"namespace_options": {"network": network}}},
        }
        self.id = self._call("RunPodSandbox", config=self.config)["pod_sandbox_id"]

    def _call(self, method, **request):
        return self._kubelet.client.call(method, **request)

    def status(self):
        return self._call("PodSandboxStatus", pod_sandbox_id=self.id, verbose=True)

    @property
    def address(self):
        return self.status()["status"]["network"]["ip"]

    @property
    def info(self):
        """What the runtime tells about itself: pid, cniResult, the specification it gave to runc."""
        return json.loads(self.status()["info"]["info"])

    @property
    def netns(self):
        """The path under which the runtime holds the pod's network namespace."""
        namespaces = self.info["runtimeSpec"]["linux"]["namespaces"]
        return next(entry["path"] for entry in namespaces if entry["type"] == "network")

    def container(self, name, *command):
        config = {"metadata": {"name": name}, "image": {"image": image.NAME}, "command": list(command),
                  "log_path": f"{self.id}-{name}.log", "linux": {}}
        made = self._call("CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config)
        self._call("StartContainer", container_id=made["container_id"])
        return Container(self._kubelet, made["container_id"])

    def stop(self):
        self._call("StopPodSandbox", pod_sandbox_id=self.id)

    def remove(self):
        self._call("RemovePodSandbox", pod_sandbox_id=self.id)


class Container:
    def __init__(self, kubelet, container_id):
        self._kubelet = kubelet
        self.id = container_id

    def _exec(self, command):
        return self._kubelet.client.call("ExecSync", container_id=self.id, cmd=list(command), timeout=30)

    def succeeds(self, *command):
        return self._exec(command)["exit_code"] == 0

    def run(self, *command):
        """Its stdout; the command has to succeed."""
        done = self._exec(command)
        assert done["exit_code"] == 0, f"{' '.join(command)}: {done}"
        return done["stdout"]
