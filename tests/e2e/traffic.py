"""Services and clients for tests: a service answers "<its name> <the address it sees>", a client returns that or None."""

import contextlib
import socket
import threading

from scenario import in_netns

PATIENCE = 2.0  # for what has to come
IMPATIENCE = 0.6  # for what must not come


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _plain(address):
    """An IPv4 client of an IPv6 socket looks like ::ffff:192.0.2.1."""
    return address.removeprefix("::ffff:")


def _open(netns, family, kind):
    """A socket stays in the namespace in which it was opened."""
    with in_netns(netns):
        return socket.socket(family, kind)


class Service:
    """Answers on all addresses of a namespace (None: the caller's), or on one. Threads end with the process."""

    def __init__(self, name, netns, port, kind=socket.SOCK_STREAM, address="::"):
        self.name = name
        self.heard = []  # (payload, source address), for datagrams
        self.socket = _open(netns, _family(address), kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        if kind == socket.SOCK_STREAM:
            self.socket.listen(64)
        work = self._serve_streams if kind == socket.SOCK_STREAM else self._serve_datagrams
        threading.Thread(target=work, daemon=True).start()

    def _serve_streams(self):
        while True:
            connection, peer = self.socket.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(self._answer(peer))

    def _serve_datagrams(self):
        while True:
            payload, peer = self.socket.recvfrom(2048)
            self.heard.append((payload, _plain(peer[0])))
            with contextlib.suppress(OSError):
                self.socket.sendto(self._answer(peer), peer)

    def _answer(self, peer):
        return f"{self.name} {_plain(peer[0])}".encode()


def tcp_service(name, netns, port, **options):
    return Service(name, netns, port, socket.SOCK_STREAM, **options)


def udp_service(name, netns, port, **options):
    return Service(name, netns, port, socket.SOCK_DGRAM, **options)


def ask_tcp(netns, address, port, patience=PATIENCE):
    """What the service at address:port answers to a client in `netns`; None when there is no answer."""
    with _open(netns, _family(address), socket.SOCK_STREAM) as client:
        client.settimeout(patience)
        try:
            client.connect((address, port))
            return client.recv(200).decode() or None
        except OSError:
            return None


def ask_udp(netns, address, port, patience=PATIENCE):
    with UdpClient(netns, address, port) as client:
        return client.ask(patience)


class UdpClient:
    """Keeps its source port from question to question, as a resolver or a game does."""

    def __init__(self, netns, address, port):
        self.socket = _open(netns, _family(address), socket.SOCK_DGRAM)
        self.target = (address, port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, patience=PATIENCE):
        self.socket.settimeout(patience)
        try:
            self.socket.connect(self.target)
            self.socket.send(b"?")
            return self.socket.recv(200).decode()
        except OSError:
            return None
