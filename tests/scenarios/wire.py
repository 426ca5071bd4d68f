"""Network namespaces wired cell to cell at their gateways alone, and everything that goes over each wire."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

PLANES = ("us", "sg", "oversight")
_CAPTURE = """
import socket, struct, sys
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sniffer.bind((sys.argv[1], 0))
with open(sys.argv[2], "wb", buffering=0) as file:
    while True:
        packet = sniffer.recv(65535)
        file.write(struct.pack(">I", len(packet)) + packet)
"""


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


def permitted() -> bool:
    """Say whether this user may make network namespaces and listen on their wires."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "-n", "true"], check=False).returncode == 0


class Wires:
    """Five namespaces: a cell's processes and its gateway each in one of their own, oversight in the fifth.

    There is one wire between the two gateways, one from each cell to its own gateway, and one from each to
    oversight, where its people are too. No namespace forwards, so what has no wire has no way.
    """

    def __init__(self, folder: Path) -> None:
        mark = f"lw{os.getpid() % 10000}"
        self.folder = folder
        self.spaces = {
            name: f"{mark}-{name.replace(' ', '-')}" for name in (*PLANES, "us gateway", "sg gateway")
        }
        self.hosts: dict[str, str] = {}
        self._captures: list[subprocess.Popen[bytes]] = []
        for space in self.spaces.values():
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        self._wire("us gateway", "10.77.0.1", "sg gateway", "10.77.0.2", "gates")
        self._wire("us", "10.77.1.1", "oversight", "10.77.1.2", "us")
        self._wire("sg", "10.77.2.1", "oversight", "10.77.2.2", "sg")
        # Each cell's gateway reaches the cell's own stores, on the address that the cell has.
        self._wire("us", "10.77.3.1", "us gateway", "10.77.3.2", "inus")
        self._wire("sg", "10.77.4.1", "sg gateway", "10.77.4.2", "insg")
        run("ip", "-n", self.spaces["us gateway"], "route", "add", "10.77.1.1", "via", "10.77.3.1")
        run("ip", "-n", self.spaces["sg gateway"], "route", "add", "10.77.2.1", "via", "10.77.4.1")
        # Oversight answers on one address, which each cell has a route to.
        run("ip", "-n", self.spaces["oversight"], "addr", "add", "10.77.9.9/32", "dev", "lo")
        for cell, via in (("us", "10.77.1.2"), ("sg", "10.77.2.2")):
            run("ip", "-n", self.spaces[cell], "route", "add", "10.77.9.9/32", "via", via)
        self.hosts |= {"oversight": "10.77.9.9"}

    def _wire(self, one: str, address: str, other: str, there: str, name: str) -> None:
        first, second = self.spaces[one], self.spaces[other]
        ends = (f"{name[:5]}{os.getpid() % 10000}a", f"{name[:5]}{os.getpid() % 10000}b")
        run("ip", "link", "add", ends[0], "netns", first, "type", "veth", "peer", ends[1], "netns", second)
        for space, end, host in ((first, ends[0], address), (second, ends[1], there)):
            run("ip", "-n", space, "addr", "add", f"{host}/30", "dev", end)
            run("ip", "-n", space, "link", "set", end, "up")
        self.hosts.setdefault(one, address)
        if other != "oversight":
            self.hosts.setdefault(other, there)
        words = [*self.inside(one), sys.executable, "-c", _CAPTURE, ends[0], str(self.folder / f"{name}.cap")]
        self._captures.append(subprocess.Popen(words))

    def inside(self, name: str) -> tuple[str, ...]:
        """Return the words before a command that is to run in a namespace."""
        return ("ip", "netns", "exec", self.spaces[name])

    def packets(self, wire: str, captured: int) -> list[bytes]:
        """Return the packets seen on `gates`, `us` or `sg`, with their Ethernet headers.

        Args:
            wire: which.
            captured: only those in so many bytes of the capture.
        """
        data = (self.folder / f"{wire}.cap").read_bytes()[:captured]
        found, at = [], 0
        while at + 4 <= len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            found.append(data[at + 4 : at + 4 + size])
            at += 4 + size
        return found

    def close(self) -> None:
        """Take everything down again."""
        time.sleep(0.2)
        for capture in self._captures:
            capture.kill()
            capture.wait()
        for space in self.spaces.values():
            with contextlib.suppress(subprocess.CalledProcessError):
                run("ip", "netns", "del", space)
