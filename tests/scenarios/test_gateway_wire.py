import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lightwell.apps.scan import Needles
from tests.conftest import missing
from tests.scenarios.wire import PLANES, Wires, permitted, run


@dataclass
class Seen:
    result: dict[str, Any]
    packets: dict[str, list[bytes]]
    hosts: dict[str, str]
    said: str


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """What went over each wire while the journey was taken between cells in namespaces of their own."""
    if not permitted():
        missing("permission to make network namespaces")
    folder = tmp_path_factory.mktemp("wired")
    wires = Wires(folder)
    try:
        # People connect from addresses beyond oversight's namespace, each from another.
        run("ip", "-n", wires.spaces["oversight"], "route", "add", "local", "10.88.0.0/16", "dev", "lo")
        for cell, via in (("us", "10.77.1.2"), ("sg", "10.77.2.2")):
            run("ip", "-n", wires.spaces[cell], "route", "add", "10.88.0.0/16", "via", via)
        inside = {name: wires.inside(name) for name in wires.spaces if name != "oversight"}
        wiring = {"folder": str(folder), "hosts": wires.hosts, "inside": inside}
        (folder / "wiring.json").write_text(json.dumps(wiring))
        words = [*wires.inside("oversight"), sys.executable, "-m", "tests.scenarios.wired_check"]
        done = subprocess.run(
            [*words, str(folder / "wiring.json")], capture_output=True, text=True, timeout=400, check=False
        )
        said = done.stdout + done.stderr
        assert (folder / "result.json").exists(), said
        packets = {wire: wires.packets(wire) for wire in ("gates", *PLANES[:2])}
        yield Seen(json.loads((folder / "result.json").read_text()), packets, wires.hosts, said)
    finally:
        wires.close()


def ends(packet: bytes) -> tuple[str, str] | None:
    """Return source and target of an IPv4 packet with its Ethernet header, None for any other."""
    if packet[12:14] != b"\x08\x00":
        return None
    return socket.inet_ntoa(packet[26:30]), socket.inet_ntoa(packet[30:34])


def test_journey_holds_with_one_wire_between_the_gateways(seen: Seen) -> None:
    assert {step["name"]: step["ok"] for step in seen.result["steps"] if not step["ok"]} == {}, seen.said


def test_not_one_packet_goes_between_cells_but_from_gateway_to_gateway(seen: Seen) -> None:
    gates = {seen.hosts["us gateway"], seen.hosts["sg gateway"]}
    between = [pair for packet in seen.packets["gates"] if (pair := ends(packet))]
    assert between
    assert all(set(pair) == gates for pair in between)
    for cell, other in (("us", "sg"), ("sg", "us")):
        pairs = {pair for packet in seen.packets[cell] if (pair := ends(packet))}
        assert pairs
        assert all(seen.hosts[cell] in pair for pair in pairs)
        assert not any(seen.hosts[other] in pair for pair in pairs)
        # What a cell itself opens goes to oversight; people come from beyond it.
        assert all(
            other_end == seen.hosts["oversight"]
            or other_end.startswith(("10.88.", f"10.77.{1 + (cell == 'sg')}."))
            for pair in pairs
            for other_end in pair
            if other_end != seen.hosts[cell]
        )


def test_no_canary_of_a_cell_is_in_any_byte_between_cells_or_on_the_others_wire(seen: Seen) -> None:
    for home, other in (("us", "sg"), ("sg", "us")):
        values = [c["value"] for c in seen.result["canaries"] if c["cell"] == home]
        assert values
        needles = Needles(values)
        for wire in ("gates", other):
            assert not [found for packet in seen.packets[wire] for found in needles.search(packet)]
        # The search itself works: its own people's connections to a cell are in clear in this demo.
        own = [found for packet in seen.packets[home] for found in needles.search(packet)]
        assert own
