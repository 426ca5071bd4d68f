"""`lightwell keys` and `lightwell data map`: what an operator sees and does, against a real cell's folder."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fideslang import DEFAULT_TAXONOMY
from fideslang.models import Dataset
from typer.testing import CliRunner, Result

from lightwell.apps import data as data_command
from lightwell.apps import keys as keys_command
from lightwell.residency import key_rotation
from lightwell.residency.cell import Cell
from tests.factories.cells import AGREEMENTS, found_cell

PEOPLE = [f"{number:016x}" for number in range(20)]


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    opened = found_cell(tmp_path / "us", "sqlite:///cell.db")
    with opened.database.write() as session:
        opened.vault.new_account_keys(session, PEOPLE)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    # The commands close this process's doors for good, which is for a process of their own.
    monkeypatch.setattr("lightwell.residency.doors.Doors.install", lambda *_, **__: None)
    monkeypatch.setattr("lightwell.apps.startup.guard_process", lambda: None)


def run(app: Any, *arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def done(app: Any, *arguments: object) -> Any:
    result = run(app, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_rotation_by_command_is_carried_out_by_the_worker_and_shown(cell: Cell) -> None:
    folder = cell.settings.folder
    stop = threading.Event()
    worker = threading.Thread(target=key_rotation.run, args=(cell, stop, 0.1))
    worker.start()
    try:
        assert done(keys_command.app, "rotate", "--cell", folder, "--wait") == {
            "current": 2,
            "retiring": 1,
            "done": True,
        }
    finally:
        stop.set()
        worker.join()
    status = done(keys_command.app, "status", "--cell", folder)
    assert [(one["version"], one["state"], one["accounts"]) for one in status["versions"]] == [
        (1, "destroyed", 0),
        (2, "current", 20),
    ]
    assert (status["backend"], status["held"]) == ("file", [2])
    shown = run(keys_command.app, "status", "--cell", folder).stdout
    assert "destroyed" in shown
    assert "current" in shown


def test_second_rotation_is_refused_in_one_line(cell: Cell) -> None:
    command = [
        sys.executable,
        "-c",
        "from lightwell.apps.cli import main; main()",
        "keys",
        "rotate",
        "--cell",
    ]
    key_rotation.begin(cell)
    refused = subprocess.run(
        [*command, str(cell.settings.folder)], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    *logged, said = refused.stderr.splitlines()
    assert said == "lightwell: version 1 of the cell key is still being rotated out"
    assert all(json.loads(line)["level"] == "info" for line in logged)
    assert refused.stdout == ""


def test_waiting_without_a_worker_ends_and_says_so(cell: Cell) -> None:
    result = run(keys_command.app, "rotate", "--cell", cell.settings.folder, "--wait", "--seconds", 1)
    assert "is the cell's worker running?" in str(result.exception)
    assert cell.vault.root.versions() == [1, 2]


def test_data_map_answers_what_where_why_how_long_and_what_leaves(cell: Cell) -> None:
    found = done(data_command.app, "map", "--cell", cell.settings.folder)
    assert (found["cell"], found["region"]) == ("us", "us")
    fields = {(one["kind"], one["place"], one["field"]): one for one in found["fields"]}
    email = fields["column", "accounts", "email"]
    assert email == {
        "kind": "column",
        "place": "accounts",
        "field": "email",
        "category": "user.contact.email",
        "residency": "protected",
        "where": "database of cell us in region us",
        "form": "sealed",
        "why": email["why"],
        "kept": "until the account is erased",
        "leaves": [],
    }
    assert {"own_account", "account_support"} <= set(email["why"])
    assert fields["column", "accounts", "email_index"]["form"] == "blind index"
    assert fields["message", "PublicVideo", "caption"]["leaves"] == ["public-video"]
    assert fields["column", "sessions", "token_index"]["kept"] == "until it expires, or the account is erased"
    assert {one["kind"] for one in found["fields"]} == {
        "column",
        "object",
        "prefix",
        "message",
        "log",
        "metric",
        "workflow",
        "cache",
    }


def test_nothing_protected_leaves_by_the_map_and_every_field_has_its_answers(cell: Cell) -> None:
    for one in done(data_command.app, "map", "--cell", cell.settings.folder)["fields"]:
        assert one["why"], one
        assert one["kept"], one
        if one["residency"] == "protected":
            assert one["leaves"] == []
            assert one["form"] != "clear" or one["kind"] == "cache", one
    only = done(data_command.app, "map", "--cell", cell.settings.folder, "--leaving")["fields"]
    assert {one["kind"] for one in only} == {"message"}


def test_map_as_fides_dataset_holds_to_the_published_schema(cell: Cell) -> None:
    result = run(data_command.app, "map", "--cell", cell.settings.folder, "--fides")
    assert result.exit_code == 0, result.output
    (raw,) = yaml.safe_load(result.stdout)["dataset"]
    dataset = Dataset(**raw)
    assert dataset.fides_key == "lightwell_us"
    known = {category.fides_key for category in DEFAULT_TAXONOMY.data_category}
    used = {
        category
        for collection in dataset.collections
        for field in collection.fields
        for category in field.data_categories or []
    }
    assert used <= known
    accounts = next(one for one in dataset.collections if one.name == "accounts")
    email = next(field for field in accounts.fields if field.name == "email")
    assert email.data_categories == ["user.contact.email"]
    key = next(field for field in accounts.fields if field.name == "account_id")
    assert key.fides_meta is not None
    assert key.fides_meta.primary_key is True


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--cell", "nowhere"),
        ("--agreement", "nowhere.toml"),
        ("--cell", "nowhere", "--agreement", AGREEMENTS / "us-2022-draft.toml"),
        ("--agreement", AGREEMENTS / "us-2022-draft.toml", "--json", "--fides"),
    ],
)
def test_unusable_request_for_a_map_is_one_line(arguments: tuple[object, ...]) -> None:
    refused = run(data_command.app, "map", *arguments)
    # `main` prints the first line of these and exits with 2: see the rotation that is refused above.
    assert isinstance(refused.exception, ValueError | OSError)
    assert (refused.stdout, len(str(refused.exception).splitlines())) == ("", 1)
