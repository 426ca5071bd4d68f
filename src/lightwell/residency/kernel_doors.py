"""The kernel refuses a process, and all it starts, every socket and connection that its list has no port for.

Landlock (Linux 6.7 and later) lets TCP connect to listed ports only. A seccomp filter refuses every other
kind of socket that leaves the machine (datagrams, raw packets, MPTCP, SCTP, virtual machines), data sent
while a connection opens, and the ways around a filter: rings of system calls, other processes' memory and
sockets. It binds compiled code as it binds Python, needs no privilege and cannot be taken back. Neither knows
addresses.

Formats: landlock(7), seccomp(2), and the numbers in the kernel's user headers.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38
_LANDLOCK_CREATE: Final = 444
_LANDLOCK_ADD: Final = 445
_LANDLOCK_RESTRICT: Final = 446
_LANDLOCK_VERSION: Final = 1
_NET_PORT_RULE: Final = 2
_CONNECT_TCP: Final = 1 << 1
_NETWORK_ABI: Final = 4

_FILTER: Final = 1
_ALL_THREADS: Final = 1
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | 13
"""Answer EACCES."""
_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_SET: Final = 0x45
_AND: Final = 0x54
_RETURN: Final = 0x06
_AF: Final = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16}
_STREAM: Final = 1
_DATAGRAM: Final = 2
_KIND_MASK: Final = 0xF
_TCP: Final = 6
_UDP: Final = 17
_FAST_OPEN: Final = 0x20000000

_CALLS: Final = {
    "x86_64": {
        "arch": 0xC000003E,
        "seccomp": 317,
        "socket": 41,
        "sendto": 44,
        "sendmsg": 46,
        "sendmmsg": 307,
        # io_uring_setup, ptrace, process_vm_readv and _writev, pidfd_getfd, bpf, setns
        "never": (425, 101, 310, 311, 438, 321, 308),
    },
    "aarch64": {
        "arch": 0xC00000B7,
        "seccomp": 277,
        "socket": 198,
        "sendto": 206,
        "sendmsg": 211,
        "sendmmsg": 269,
        "never": (425, 117, 270, 271, 438, 280, 268),
    },
}


def close(ports: Iterable[int], *, names: bool) -> list[str]:
    """Close what this kernel can close, for this process from now on, and for every process it starts.

    Call it before threads are started: Landlock binds the calling thread and what that one starts.

    Args:
        ports: TCP ports that may be connected to, at any address.
        names: whether datagrams stay open, for looking up names.

    Returns:
        Which of `landlock` and `seccomp` closed; neither on another system than Linux.
    """
    if not sys.platform.startswith("linux"):
        return []
    calls = _CALLS.get(platform.machine())
    libc = ctypes.CDLL(None, use_errno=True)
    if calls is None or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return []
    closed = []
    if _landlock(libc, ports):
        closed.append("landlock")
    if _seccomp(libc, calls, names=names):
        closed.append("seccomp")
    return closed


def landlock_version() -> int:
    """Return the version of this kernel's Landlock, 0 without; from 4 on it closes ports."""
    found: int = ctypes.CDLL(None, use_errno=True).syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    return max(0, found)


def _landlock(libc: ctypes.CDLL, ports: Iterable[int]) -> bool:
    if landlock_version() < _NETWORK_ABI:
        return False
    handled = struct.pack("=QQ", 0, _CONNECT_TCP)
    rules = libc.syscall(_LANDLOCK_CREATE, handled, len(handled), 0)
    if rules < 0:
        return False
    try:
        for port in ports:
            rule = struct.pack("=QQ", _CONNECT_TCP, port)
            if libc.syscall(_LANDLOCK_ADD, rules, _NET_PORT_RULE, rule, 0) != 0:
                return False
        return bool(libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _seccomp(libc: ctypes.CDLL, calls: dict[str, object], *, names: bool) -> bool:
    code = _filter(calls, names=names)
    program = _Program(len(code) // 8, code)
    answer = libc.syscall(calls["seccomp"], _FILTER, _ALL_THREADS, ctypes.byref(program))
    return bool(answer == 0)


def _filter(calls: dict[str, object], *, names: bool) -> bytes:
    """Return the filter as classic BPF: words of `struct seccomp_data` are compared, then it is answered."""

    def one(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value & 0xFFFFFFFF)

    def argument(number: int) -> bytes:
        return one(_LOAD, 16 + 8 * number)

    def refuse_unless(parts: list[tuple[int]], then: bytes) -> bytes:
        """Compare the loaded word with each allowed value; fall through to `then` if it is one of them."""
        made = b""
        for at, (value,) in enumerate(parts):
            made += one(_EQUAL, value, len(parts) - at, 0)
        return made + one(_RETURN, _REFUSE) + then

    kinds = [(_STREAM,), (_DATAGRAM,)] if names else [(_STREAM,)]
    protocols = [(0,), (_TCP,), (_UDP,)] if names else [(0,), (_TCP,)]
    internet = (
        argument(1)
        + one(_AND, _KIND_MASK)
        + refuse_unless(kinds, argument(2) + refuse_unless(protocols, one(_RETURN, _ALLOW)))
    )
    local = argument(0)
    for family in ("unix", "netlink"):
        local += one(_EQUAL, _AF[family], 0, 1) + one(_RETURN, _ALLOW)
    sockets = local + refuse_unless([(_AF["inet"],), (_AF["inet6"],)], internet)

    def no_fast_open(flags: int) -> bytes:
        return argument(flags) + one(_SET, _FAST_OPEN, 0, 1) + one(_RETURN, _REFUSE) + one(_RETURN, _ALLOW)

    branches = [(calls["socket"], sockets), (calls["sendto"], no_fast_open(3))]
    branches += [(calls["sendmsg"], no_fast_open(2)), (calls["sendmmsg"], no_fast_open(3))]
    code = one(_LOAD, 4) + one(_EQUAL, int(str(calls["arch"])), 1, 0) + one(_RETURN, _REFUSE)
    code += one(_LOAD, 0)
    never = calls["never"]
    for number in never if isinstance(never, tuple) else ():
        code += one(_EQUAL, number, 0, 1) + one(_RETURN, _REFUSE)
    # Numbers of the 32-bit pointer variant (bit 30) name the same calls again.
    code += one(_SET, 0x40000000, 0, 1) + one(_RETURN, _REFUSE)
    for number, branch in branches:
        code += one(_EQUAL, int(str(number)), 0, len(branch) // 8) + branch
    return code + one(_RETURN, _ALLOW)
