import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from lightwell.apps.demo.check.planes import Planes
from lightwell.apps.demo.check.run import STEPS, Result, take
from lightwell.apps.demo.check.steps import Clock
from lightwell.apps.demo.checking import running
from lightwell.wire import tiles

PROVING = ("ledger_consistent", "replay_identical")


def check(folder: Path, *more: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "lightwell", "demo", "--check", "--data", str(folder), *more]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def prove(folder: Path, without: frozenset[str] = frozenset()) -> Result:
    """Start the demo in `folder` and take the proving steps alone."""
    with running(Console(quiet=True), folder, without) as (deployment, restart, at_rest):
        planes = Planes(deployment, restart, Clock(240), folder / "no film", at_rest)
        try:
            return take(planes, names=PROVING)
        finally:
            planes.close()


def failed(result: Result) -> set[str]:
    return {step.name for step in result.steps if not step.ok}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo on which the whole journey was taken once and held."""
    folder = tmp_path_factory.mktemp("demo")
    code, said = check(folder / "data", "--json", str(folder / "result.json"))
    assert code == 0, said
    return folder


@pytest.fixture
def copy(used: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(used / "data", tmp_path / "data"))


def test_the_whole_journey_holds_and_is_written_down(used: Path) -> None:
    result = json.loads((used / "result.json").read_text())
    assert [step["name"] for step in result["steps"]] == list(STEPS)
    assert all(step["ok"] for step in result["steps"])
    assert sum(step["seconds"] for step in result["steps"]) < 150
    assert {canary["cell"] for canary in result["canaries"]} == {"us", "sg"}
    assert {canary["category"] for canary in result["canaries"] if canary["cell"] == "us"} >= {
        "user.contact.phone_number",
        "user.contact.email",
        "user.demographic.date_of_birth",
        "user.contact.address",
        "user.device.ip_address",
    }


def test_nothing_is_left_outside_the_three_planes_and_no_canary_in_clear(used: Path) -> None:
    assert {entry.name for entry in (used / "data").iterdir()} == {"us", "sg", "oversight"}
    mails = [
        c["value"].encode()
        for c in json.loads((used / "result.json").read_text())["canaries"]
        if "@" in c["value"]
    ]
    files = [file for file in (used / "data").rglob("*") if file.is_file()]
    assert not [file for file in files for mail in mails if mail in file.read_bytes()]


def test_a_folder_used_before_is_proven_again_from_entry_0(copy: Path) -> None:
    assert failed(prove(copy)) == set()


def newest_files(ledger: Path) -> tuple[Path, Path]:
    """The last tile and the last bundle under the checkpoint; a killed writer may have begun newer ones."""
    size = int((ledger / "checkpoint").read_text("utf-8").split("\n")[1])
    index = (size - 1) // tiles.WIDTH
    width = tiles.width_at(0, index, size)
    return ledger / tiles.tile_path(0, index, width), ledger / tiles.bundle_path(index, width)


def flip(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])


def test_altered_records_tiles_and_entries_fail_by_name(copy: Path) -> None:
    with sqlite3.connect(copy / "us" / "cell.db") as db:
        row, sealed = db.execute("SELECT rowid, sealed FROM slate_records ORDER BY rowid LIMIT 1").fetchone()
        altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
        db.execute("UPDATE slate_records SET sealed = ? WHERE rowid = ?", (altered, row))
    # The newest files are those that a writer would write anew when it starts: that must not hide it.
    tile, _ = newest_files(copy / "us" / "ledger")
    _, bundle = newest_files(copy / "sg" / "ledger")
    flip(tile)
    flip(bundle)
    result = prove(copy)
    assert failed(result) == set(PROVING)
    said = {step.name: step.detail for step in result.steps}
    assert tile.relative_to(copy / "us" / "ledger").as_posix() in said["ledger_consistent"]
    assert "sg, before its processes started" in said["ledger_consistent"]
    assert "1 have no whole record" in said["replay_identical"]


def test_without_the_oversight_server_no_proof_passes(copy: Path) -> None:
    assert failed(prove(copy, frozenset({"oversight"}))) == set(PROVING)


def test_without_the_clean_room_the_replay_fails_by_name(copy: Path) -> None:
    assert failed(prove(copy, frozenset({"cleanroom"}))) == {"replay_identical"}
