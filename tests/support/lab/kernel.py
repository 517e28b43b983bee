"""The few system calls that python 3.11's os module lacks, by ctypes."""

import contextlib
import ctypes
import os
import signal
import socket

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 0x2, 0x4, 0x1000, 0x4000, 0x40000, 0x100000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
SO_NETNS_COOKIE = 71

# The calling thread's namespace: /proc/self would name the main thread's.
OWN_NETNS = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags):
    """Moves the calling thread into fresh namespaces."""
    _checked(_libc.unshare(flags), "unshare")


def setns(fd, kind=CLONE_NEWNET):
    """Moves the calling thread into the namespace that `fd` holds."""
    _checked(_libc.setns(fd, kind), "setns")


def mount(source, target, kind, flags=0, data=None):
    encode = lambda text: None if text is None else text.encode()
    _checked(_libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data)),
             f"mount {source} on {target}")


def umount(target):
    """Detaches at once; whoever still has it open keeps it."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def die_with_parent():
    """For preexec_fn: nothing that a test starts outlives the test."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@contextlib.contextmanager
def in_netns(path):
    """The calling thread, and what it starts, acts in the namespace at `path`; comes home at the end. None = stay."""
    if path is None:
        yield
        return
    home = os.open(OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            setns(home)
    finally:
        os.close(home)


def namespace_cookie(path=None):
    """SO_NETNS_COOKIE of the namespace at `path` (None: the caller's): unique for one boot, unlike the inode."""
    with in_netns(path), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
