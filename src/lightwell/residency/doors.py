"""A process opens connections to the addresses on its list only; any other is refused and recorded.

Two doors stand behind each other. An audit hook, which cannot be removed once it is set, sees what goes
through Python (sockets, look-ups, programs started, foreign libraries loaded), knows addresses, and records
what it refuses. What compiled code does by itself it does not see; there the kernel stands (`kernel_doors`),
which knows ports and kinds of sockets, not addresses. A network around the process closes addresses as well.
"""

import contextlib
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from lightwell.base.clock import minute_s
from lightwell.base.db import Database
from lightwell.base.telemetry import log
from lightwell.ledger.queue import enqueue_many
from lightwell.residency import kernel_doors
from lightwell.wire.entries import ConnectionRefused

FLUSH_SECONDS: Final = 1.0
KEPT_REFUSALS: Final = 1000

_CONNECTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS: Final = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_PROGRAMS: Final = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pty.spawn"})
_LIBRARIES: Final = "ctypes.dlopen"
_WATCHED: Final = _CONNECTS | _LOOKUPS | _PROGRAMS | {_LIBRARIES}
_DEFAULT_PORTS: Final = {
    "http": 80,
    "https": 443,
    "postgresql": 5432,
    "postgresql+psycopg": 5432,
    "nats": 4222,
}
_LOCALHOST: Final = ("127.0.0.1", "::1")

_log = log("doors")


class DoorClosedError(PermissionError):
    """A connection or look-up that is not on the process's list."""


class Doors:
    """The list of one process, and what it refused.

    Args:
        process: the process's name in the ledger ("web", "worker").
        urls: where this process may connect to; scheme, host and port count, the rest does not. URLs
            without a host (an SQLite file, a Unix socket) open nothing.
    """

    def __init__(self, process: str, urls: Iterable[str]) -> None:
        self.process = process
        self._names: dict[str, set[int]] = {}
        self._addresses: set[tuple[str, int]] = set()
        self._refused: deque[tuple[int, str]] = deque(maxlen=KEPT_REFUSALS)
        self._installed = False
        self._programs: frozenset[str] | None = None
        self.closed_by: list[str] = []
        """Which parts of the kernel stand behind the audit hook, once it is installed."""
        self._looking_up = threading.local()
        for url in urls:
            self._allow(url)

    def install(self, programs: Iterable[str] | None = None) -> None:
        """Guard this process from now until it ends; calling it again changes nothing.

        Args:
            programs: file names of the programs it may start, such as `bwrap`; None leaves that open.
        """
        if not self._installed:
            self._installed = True
            self._programs = None if programs is None else frozenset(programs)
            self.closed_by = kernel_doors.close(self.ports(), names=self.asks_names())
            sys.addaudithook(self._audit)

    def ports(self) -> set[int]:
        """Return every port that this process may connect to, at whatever address."""
        named = {port for ports in self._names.values() for port in ports}
        return named | {port for _, port in self._addresses}

    def asks_names(self) -> bool:
        """Say whether any destination has a name that must be looked up, so that datagrams are needed."""
        return any(name != "localhost" for name in self._names)

    def permits(self, host: str, port: int) -> bool:
        """Say whether a connection to a numeric address or listed name may be opened."""
        address = _numeric(host)
        if address is None:
            return port in self._names.get(host.lower().rstrip("."), ())
        return (address, port) in self._addresses

    def drain(self) -> list[ConnectionRefused]:
        """Take what was refused since the last call, one entry for each second and kind of refusal."""
        found: dict[tuple[int, str], None] = {}
        while self._refused:
            found[self._refused.popleft()] = None
        return [ConnectionRefused(at=at, process=self.process, reason=reason) for at, reason in found]

    def flush(self, database: Database) -> int:
        """Queue an entry for what was refused since the last call; return how many entries."""
        entries = self.drain()
        if entries:
            with database.write() as session:
                enqueue_many(session, entries)
        return len(entries)

    def run(self, database: Database, stop: threading.Event) -> None:
        """Flush every second until `stop` is set, and once more then."""
        while not stop.wait(FLUSH_SECONDS):
            with contextlib.suppress(Exception):
                self.flush(database)
        self.flush(database)

    def _allow(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            return
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        if port is None:
            raise ValueError(f"no port is known for the scheme of {parts.scheme}://{parts.hostname}")
        address = _numeric(parts.hostname)
        if address is not None:
            self._addresses.add((address, port))
            return
        self._names.setdefault(parts.hostname, set()).add(port)
        if parts.hostname == "localhost":
            self._addresses.update((address, port) for address in _LOCALHOST)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _WATCHED or getattr(self._looking_up, "now", False):
            return
        if event in _LOOKUPS:
            self._check_lookup(args[0])
        elif event in _PROGRAMS:
            self._check_program(args[0])
        elif event == _LIBRARIES:
            self._check_library(args[0])
        else:
            self._check_connect(args[0], args[1])

    def _check_connect(self, sock: socket.socket, address: Any) -> None:
        # A Unix socket ends on this machine; so does a connected datagram, which names no address again.
        if sock.family == socket.AF_UNIX or address is None:
            return
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            self._refuse("connect-other-family")
        host, port = _text(address[0]), address[1]
        if isinstance(port, int) and self.permits(host, port):
            return
        self._refuse(f"connect-off-list:{port}" if isinstance(port, int) else "connect-off-list")

    def _check_program(self, program: Any) -> None:
        if self._programs is None:
            return
        name = _text(program if isinstance(program, str | bytes) else getattr(program, "__fspath__", str)())
        if name.rpartition("/")[2] not in self._programs:
            # A command line may hold anything, so the refusal does not repeat it.
            self._refuse("program-off-list")

    def _check_library(self, name: Any) -> None:
        # The C library opens sockets without a word to Python; by then all that needs it has loaded it.
        if self._programs is not None and (name is None or "libc" in _text(name)):
            self._refuse("library-off-list")

    def _check_lookup(self, asked: Any) -> None:
        name = _text(asked).lower().rstrip(".")
        # No name, or one that is an address already, asks nobody.
        if not name or _numeric(name) is not None or name == "localhost":
            return
        ports = self._names.get(name)
        if ports is None:
            # The name itself could carry data out, so not even the refusal repeats it.
            self._refuse("lookup-off-list")
            return
        self._looking_up.now = True
        try:
            answers = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
        except OSError:
            answers = []
        finally:
            self._looking_up.now = False
        for answer in answers:
            address = _numeric(str(answer[4][0]))
            if address is not None:
                self._addresses.update((address, port) for port in ports)

    def _refuse(self, reason: str) -> None:
        self._refused.append((minute_s(), reason))
        _log.warning("a connection was refused", reason=reason, process=self.process)
        raise DoorClosedError(f"{reason}: this process may not do that")


def _text(host: Any) -> str:
    if host is None:
        return ""
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)


def _numeric(host: str) -> str | None:
    """Return an address in its one form (IPv4 in IPv6 as IPv4), None for a name."""
    try:
        address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
