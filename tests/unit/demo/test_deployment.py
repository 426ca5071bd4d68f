import socket
from pathlib import Path

import pytest

from lightwell.agreement.roster import seats_of
from lightwell.apps.demo import deployment as laying
from lightwell.apps.demo.deployment import existing, prepare
from lightwell.base.settings import load
from lightwell.product import sounds
from lightwell.residency.cell import Cell


@pytest.fixture(autouse=True)
def _no_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    # The library has tests of its own; making it takes seconds.
    monkeypatch.setattr(sounds, "ensure_library", lambda cell, progress=None: 0)


def everything(folder: Path) -> dict[str, bytes]:
    names = ("*.toml", "*.key", "keys/*")
    return {str(f): f.read_bytes() for name in names for f in folder.rglob(name) if f.is_file()}


def test_nothing_is_laid_out_outside_the_three_planes(tmp_path: Path) -> None:
    prepare(tmp_path, fixed_ports=False)
    assert {entry.name for entry in tmp_path.iterdir()} == {"us", "sg", "oversight"}


def test_preparing_again_changes_no_key_and_no_setting(tmp_path: Path) -> None:
    first = prepare(tmp_path, fixed_ports=False)
    before = everything(tmp_path)
    assert existing(tmp_path) == first
    assert prepare(tmp_path, fixed_ports=False) == first
    assert everything(tmp_path) == before


def test_every_cell_opens_and_knows_the_others_key(tmp_path: Path) -> None:
    deployment = prepare(tmp_path, fixed_ports=False)
    for name, other in (("us", "sg"), ("sg", "us")):
        cell = Cell.open(deployment.cell(name))
        assert [peer.cell for peer in cell.settings.peers] == [other]
        assert cell.settings.peers[0].gateway_vkey == seats_of(cell.roster, "gateway", other)[0].vkey
        cell.close()


def test_a_port_taken_since_is_replaced_everywhere(tmp_path: Path) -> None:
    first = prepare(tmp_path, fixed_ports=False)
    port = int(first.urls["sg"].rsplit(":", 1)[1])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        second = prepare(tmp_path, fixed_ports=False)
    assert second.urls["sg"] != first.urls["sg"]
    assert second.urls["us"] == first.urls["us"]
    assert load(tmp_path / "us").peers[0].url == second.gateways["sg"]
    assert load(tmp_path / "sg").url == second.urls["sg"]


def test_a_changed_setting_of_a_cell_is_kept(tmp_path: Path) -> None:
    prepare(tmp_path, fixed_ports=False)
    file = tmp_path / "us" / "cell.toml"
    text = file.read_text().replace("upload_limit_bytes = 536870912", "upload_limit_bytes = 1000000")
    file.write_text(text)
    prepare(tmp_path, fixed_ports=False)
    assert load(tmp_path / "us").upload_limit_bytes == 1_000_000


def test_private_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    prepare(tmp_path, fixed_ports=False)
    keys = [*tmp_path.rglob("*.key")]
    assert len(keys) >= 15
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)


def test_a_process_left_out_is_not_among_the_children(tmp_path: Path) -> None:
    deployment = prepare(tmp_path, fixed_ports=False)
    names = {child.name for child in deployment.children()}
    assert names == {
        "us web",
        "us worker",
        "us gateway",
        "us clean room",
        "sg web",
        "sg worker",
        "sg gateway",
        "sg clean room",
        "oversight",
    }
    assert names - {c.name for c in deployment.children(frozenset({"cleanroom"}))} == {
        "us clean room",
        "sg clean room",
    }
    assert names - {c.name for c in deployment.children(frozenset({"oversight"}))} == {"oversight"}


def test_the_agreement_is_adopted_once(tmp_path: Path) -> None:
    for _ in range(2):
        deployment = prepare(tmp_path, fixed_ports=False)
    cell = Cell.open(deployment.cell("us"))
    with cell.database.read() as session:
        from lightwell.ledger.models import LedgerEntry

        kinds = [row.entry for row in session.query(LedgerEntry)]
    cell.close()
    assert sum(b'"AgreementAdopted"' in entry for entry in kinds) == 1
    assert laying.AGREEMENT.encode() in b"".join(kinds)
