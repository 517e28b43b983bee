"""Hand-made Ethernet frames: what no well-behaved socket would send."""

import socket
import struct
import time

from scenario import in_netns

ETH_P_IP = 0x0800
SCTP = 132


def _mac(text):
    return bytes.fromhex(text.replace(":", ""))


def _internet_checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination, source, payload, kind=ETH_P_IP):
    return _mac(destination) + _mac(source) + struct.pack("!H", kind) + payload


def ipv4(source, destination, protocol, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0,
                         socket.inet_aton(source), socket.inet_aton(destination))
    return header[:10] + struct.pack("!H", _internet_checksum(header)) + header[12:] + payload


def udp(source_port, destination_port, payload):
    return struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload  # 0: no checksum


def sctp_init(source_port, destination_port):
    """The first packet of an association."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x1234, 65536, 1, 1, 0x5678)
    header = struct.pack("!HHI", source_port, destination_port, 0)
    return header + struct.pack("<I", _crc32c(header + bytes(4) + chunk)) + chunk


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def send(netns, interface, frame):
    with in_netns(netns), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        raw.send(frame)


def listen(netns, interface):
    """A socket that sees every frame on an interface; receive with `wait_for_frame`."""
    with in_netns(netns):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        raw.bind((interface, 0))
        return raw


def wait_for_frame(raw, wanted, patience):
    """The first frame that `wanted(bytes)` accepts and that came from the other side, or None."""
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        raw.settimeout(left)
        try:
            frame, address = raw.recvfrom(65536)
        except TimeoutError:
            return None
        if address[2] != socket.PACKET_OUTGOING and wanted(frame):
            return frame
    return None
