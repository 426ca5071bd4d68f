import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lightwell.apps.scan import Needles
from tests.conftest import missing
from tests.scenarios.cell_stores import programs
from tests.scenarios.wire import Wires, permitted, run


@dataclass
class Seen:
    result: dict[str, Any]
    packets: dict[str, list[bytes]]
    hosts: dict[str, str]
    said: str
    home: dict[str, Any]
    scan: dict[str, Any]
    planted: dict[str, Any]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """What went over each wire while the journey was taken between cells in namespaces of their own."""
    if not permitted():
        missing("permission to make network namespaces")
    if programs() is None:
        missing("PostgreSQL, SeaweedFS or NATS")
    folder = tmp_path_factory.mktemp("wired")
    wires = Wires(folder)
    stack = ExitStack()
    try:
        # People connect from addresses beyond oversight's namespace, each from another.
        run("ip", "-n", wires.spaces["oversight"], "route", "add", "local", "10.88.0.0/16", "dev", "lo")
        for cell, via in (("us", "10.77.1.2"), ("sg", "10.77.2.2")):
            run("ip", "-n", wires.spaces[cell], "route", "add", "10.88.0.0/16", "via", via)
        inside = {name: wires.inside(name) for name in wires.spaces if name != "oversight"}
        stores = stack.enter_context(own_stores(wires))
        wiring = {"folder": str(folder), "hosts": wires.hosts, "inside": inside, "stores": stores}
        (folder / "wiring.json").write_text(json.dumps(wiring))
        words = [*wires.inside("oversight"), sys.executable, "-m", "tests.scenarios.wired_check"]
        done = subprocess.run(
            [*words, str(folder / "wiring.json")], capture_output=True, text=True, timeout=400, check=False
        )
        said = done.stdout + done.stderr
        assert (folder / "result.json").exists(), said
        captured = json.loads((folder / "captured.json").read_text())
        packets = {wire: wires.packets(wire, size) for wire, size in captured.items()}
        files = ("home.json", "scan.json", "planted.json")
        scans = [json.loads((folder / file).read_text()) for file in files]
        yield Seen(json.loads((folder / "result.json").read_text()), packets, wires.hosts, said, *scans)
    finally:
        stack.close()
        wires.close()


@contextmanager
def own_stores(wires: Wires) -> Iterator[dict[str, Any]]:
    """A PostgreSQL, an S3 and a NATS server in each cell's namespace; gives where they are, by cell."""
    homes = {cell: Path(tempfile.mkdtemp(prefix=f"lightwell-{cell}-stores-")) for cell in ("us", "sg")}
    running = []
    try:
        for cell, home in homes.items():
            home.chmod(0o755)
            words = [*wires.inside(cell), sys.executable, "-m", "tests.scenarios.cell_stores"]
            command = [*words, str(home), wires.hosts[cell]]
            running.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        found = {}
        for (cell, home), process in zip(homes.items(), running, strict=True):
            for _ in range(900):
                if (home / "stores.json").exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            found[cell] = json.loads((home / "stores.json").read_text()) | {"folder": str(home)}
        yield found
    finally:
        for process in running:
            assert process.stdin is not None
            process.stdin.close()
        for process in running:
            process.wait()
        for home in homes.values():
            shutil.rmtree(home, ignore_errors=True)


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


KINDS = {
    "user.name",
    "user.contact.phone_number",
    "user.contact.email",
    "user.device.ip_address",
    "user.biometric",
    "user.location.precise",
}


def test_no_canary_is_in_any_store_log_backup_or_page_of_the_other_cell_or_oversight(seen: Seen) -> None:
    assert {c["category"] for c in seen.result["canaries"] if c["cell"] == "us"} >= KINDS
    assert [find for place in seen.scan["places"] for find in place["finds"]] == []
    read = {place["place"]: place for place in seen.scan["places"]}
    wanted = ("postgresql", "s3://", "nats://", "/oversight", "-stores-", "/backup", "/access?cell=us")
    for part in wanted:
        assert any(part in place and found["bytes"] > 100 for place, found in read.items()), part
    # Each value was looked for in many forms, and under the keys that sg, oversight and us hold.
    assert seen.scan["forms"] > 200 * seen.scan["canaries"]


def test_at_home_only_marks_under_the_cells_own_key_are_found(seen: Seen) -> None:
    [place] = seen.home["places"]
    forms = {find["form"].partition(" of us")[0] for find in place["finds"]}
    assert "blind index accounts.email" in forms
    assert all(form.startswith(("blind index ", "tripwire mark ")) for form in forms), forms


def test_a_canary_put_into_any_store_of_theirs_is_found_there(seen: Seen) -> None:
    found = {place["place"].partition(":")[0]: place["finds"] for place in seen.planted["places"]}
    [logs] = [place["finds"] for place in seen.planted["places"] if place["place"].endswith("/logs")]
    assert any("user.name" in f["canary"] and "SHA-1" in f["form"] for f in found["postgresql"])
    assert any("user.biometric" in f["canary"] and "hex" in f["form"] for f in found["s3"])
    assert any("user.location" in f["canary"] and f["form"] == "plain" for f in found["nats"])
    assert any("user.name" in f["canary"] and f["form"] == "reversed" for f in logs)
