"""A small client of the Container Runtime Interface, the gRPC protocol in which a kubelet drives its runtime.

Debian has neither crictl nor a compiled form of the protocol for Python, so the few messages that a pod's life needs are
declared here (runtime.v1 of k8s.io/cri-api; fields that nothing here sends or reads are left out, as protobuf allows).
Requests and answers are plain dictionaries in the protocol's own names.
"""

import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # before grpc is imported: every fork here is followed by an exec

import grpc  # noqa: E402
from google.protobuf import descriptor_pb2, json_format, message_factory  # noqa: E402

PACKAGE = "runtime.v1"
TCP, UDP, SCTP = 0, 1, 2
POD, NODE = 0, 2  # whose network namespace a pod has

# field=number, then :kind unless it is a string, `[]` for a list. Enumerations travel as int32.
MESSAGES = {
    "DNSConfig": "servers=1[] searches=2[] options=3[]",
    "PortMapping": "protocol=1:int32 container_port=2:int32 host_port=3:int32 host_ip=4",
    "NamespaceOption": "network=1:int32 pid=2:int32 ipc=3:int32",
    "LinuxSandboxSecurityContext": "namespace_options=1:NamespaceOption",
    "LinuxPodSandboxConfig": "cgroup_parent=1 security_context=2:LinuxSandboxSecurityContext",
    "PodSandboxMetadata": "name=1 uid=2 namespace=3 attempt=4:uint32",
    "PodSandboxConfig": "metadata=1:PodSandboxMetadata hostname=2 log_directory=3 dns_config=4:DNSConfig"
                        " port_mappings=5:PortMapping[] labels=6:map annotations=7:map linux=8:LinuxPodSandboxConfig",
    "RunPodSandboxRequest": "config=1:PodSandboxConfig",
    "RunPodSandboxResponse": "pod_sandbox_id=1",
    "StopPodSandboxRequest": "pod_sandbox_id=1",
    "StopPodSandboxResponse": "",
    "RemovePodSandboxRequest": "pod_sandbox_id=1",
    "RemovePodSandboxResponse": "",
    "PodSandboxStatusRequest": "pod_sandbox_id=1 verbose=2:bool",
    "PodIP": "ip=1",
    "PodSandboxNetworkStatus": "ip=1 additional_ips=2:PodIP[]",
    "PodSandboxStatus": "id=1 metadata=2:PodSandboxMetadata state=3:int32 network=5:PodSandboxNetworkStatus",
    "PodSandboxStatusResponse": "status=1:PodSandboxStatus info=2:map",
    "PodSandbox": "id=1 metadata=2:PodSandboxMetadata state=3:int32",
    "ListPodSandboxRequest": "",
    "ListPodSandboxResponse": "items=1:PodSandbox[]",
    "ImageSpec": "image=1",
    "ContainerMetadata": "name=1 attempt=2:uint32",
    "LinuxContainerConfig": "",
    "ContainerConfig": "metadata=1:ContainerMetadata image=2:ImageSpec command=3[] args=4[] log_path=11"
                       " linux=15:LinuxContainerConfig",
    "CreateContainerRequest": "pod_sandbox_id=1 config=2:ContainerConfig sandbox_config=3:PodSandboxConfig",
    "CreateContainerResponse": "container_id=1",
    "StartContainerRequest": "container_id=1",
    "StartContainerResponse": "",
    "ExecSyncRequest": "container_id=1 cmd=2[] timeout=3:int64",
    "ExecSyncResponse": "stdout=1:bytes stderr=2:bytes exit_code=3:int32",
    "StatusRequest": "verbose=1:bool",
    "RuntimeCondition": "type=1 status=2:bool reason=3 message=4",
    "RuntimeStatus": "conditions=1:RuntimeCondition[]",
    "StatusResponse": "status=1:RuntimeStatus info=2:map",
    "VersionRequest": "version=1",
    "VersionResponse": "version=1 runtime_name=2 runtime_version=3",
}


def _declare_field(message, text):
    field = message.field.add()
    text, listed = (text[:-2], True) if text.endswith("[]") else (text, False)
    text, _, kind = text.partition(":")
    field.name, number = text.split("=")
    field.number = int(number)
    field.label = field.LABEL_REPEATED if listed or kind == "map" else field.LABEL_OPTIONAL
    if kind == "map":
        entry = message.nested_type.add()
        entry.name = "".join(word.capitalize() for word in field.name.split("_")) + "Entry"
        entry.options.map_entry = True
        for name in ("key=1", "value=2"):
            _declare_field(entry, name)
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{message.name}.{entry.name}"
    elif kind in MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{(kind or 'string').upper()}")


def _classes():
    file = descriptor_pb2.FileDescriptorProto(name="runtime/v1/pods.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add()
        message.name = name
        for field in fields.split():
            _declare_field(message, field)
    made = message_factory.GetMessages([file])
    return {name: made[f"{PACKAGE}.{name}"] for name in MESSAGES}


CLASSES = _classes()


class Refused(Exception):
    """The runtime answered with an error; `text` is what a kubelet would write into its log."""

    def __init__(self, method, error):
        self.text = error.details()
        super().__init__(f"{method}: {error.code().name}: {self.text}")


class Client:
    """One connection; any number of threads may use it at once."""

    def __init__(self, socket):
        # containerd's HTTP/2 server refuses the path of a socket as the name of a host.
        self._channel = grpc.insecure_channel(f"unix://{socket}", options=[("grpc.default_authority", "localhost")])

    def close(self):
        self._channel.close()

    def call(self, method, timeout=120, **request):
        """An rpc of RuntimeService; the answer as a dictionary, without fields that have their default."""
        answer_class = CLASSES[f"{method}Response"]
        invoke = self._channel.unary_unary(f"/{PACKAGE}.RuntimeService/{method}",
                                           request_serializer=lambda message: message.SerializeToString(),
                                           response_deserializer=answer_class.FromString)
        message = json_format.ParseDict(request, CLASSES[f"{method}Request"]())
        try:
            answer = invoke(message, timeout=timeout)
        except grpc.RpcError as error:
            raise Refused(method, error) from error
        if method == "ExecSync":
            return {"stdout": answer.stdout.decode(), "stderr": answer.stderr.decode(), "exit_code": answer.exit_code}
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)
