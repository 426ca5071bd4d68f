"""Inside the clean room one slate is explained whole: each point, each chance, each video dropped."""

import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from lightwell.apps.cleanroom import app
from lightwell.oversight.cleanroom import CleanRoom
from lightwell.oversight.explained import ExplainedSlate, ExplainError, explain_slate
from tests.factories.seen_cell import SeenCell, cleanroom_settings
from tests.unit.recommender import worlds


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.adopt()
    return cell


def room(folder: Path, cell: SeenCell) -> CleanRoom:
    settings = cleanroom_settings(folder / "room", cell, "http://oversight.test")
    opened = CleanRoom(settings, httpx.Client(transport=httpx.MockTransport(cell.handler)))
    opened.follower.poll()
    return opened


def test_contributions_sum_to_the_score_and_nothing_considered_is_left_out(
    cell: SeenCell, tmp_path: Path
) -> None:
    [entry] = cell.serve(1)
    found = explain_slate(room(tmp_path, cell).open(entry.commitment))
    assert isinstance(found, ExplainedSlate)
    assert found.outcome == "identical"
    assert [item.video for item in found.items] == found.served
    for item in found.items:
        assert sum(part.points for part in item.contributions) == item.score
        assert len(item.words) == len(item.contributions)
        assert 0 < item.propensity <= 1_000_000
    shown, dropped = set(found.served), {video for video, _ in found.dropped}
    assert not shown & dropped
    watched = {video for video, _ in worlds.fan(worlds.TOPICS[0]).watched}
    assert {video for video, reason in found.dropped if reason == "seen"} <= watched
    assert {reason for _, reason in found.dropped} >= {"outranked"}


def test_a_slate_is_found_by_its_entry_too_and_only_slates_are(cell: SeenCell, tmp_path: Path) -> None:
    [entry] = cell.serve(1)
    opened = room(tmp_path, cell)
    index = len(cell.entries) - 1
    assert opened.open(str(index)).entry.commitment == entry.commitment
    for wrong in ("0", "99999", "ab" * 32, entry.commitment[:10], "", "%", "9" * 40):
        with pytest.raises(ExplainError, match="no slate"):
            opened.open(wrong)


@pytest.mark.parametrize("part", ["inputs", "slate", "opening"])
def test_a_slate_whose_record_does_not_open_is_not_explained(
    cell: SeenCell, tmp_path: Path, part: str
) -> None:
    [entry] = cell.serve(1)
    record = cell.records[entry.commitment]
    record[part] = record[part].replace("1", "2", 1)
    with pytest.raises(ExplainError, match="unopened"):
        room(tmp_path, cell).open(entry.commitment)
    cell.records.clear()
    with pytest.raises(ExplainError, match="missing"):
        room(tmp_path / "again", cell).open(entry.commitment)


def test_the_command_prints_it_and_refuses_in_one_line(cell: SeenCell, tmp_path: Path) -> None:
    server = cell.listen()
    try:
        [entry] = cell.serve(1)
        settings = cleanroom_settings(tmp_path / "room", cell, "http://oversight.test")
        opened = CleanRoom(settings)
        opened.follower.poll()
        opened.store.close()
        arguments: list[Any] = ["explain", str(settings.folder), entry.commitment]
        printed = CliRunner().invoke(app, [*arguments, "--json"])
        assert msgspec.json.decode(printed.stdout, type=ExplainedSlate).index == len(cell.entries) - 1
        assert "outranked" in CliRunner().invoke(app, arguments).stdout
        refused = CliRunner().invoke(app, ["explain", str(settings.folder), "ab" * 32])
        assert isinstance(refused.exception, ValueError)
        assert json.loads(printed.stdout)["dropped"]
    finally:
        server.shutdown()
