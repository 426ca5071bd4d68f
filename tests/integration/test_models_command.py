"""`lightwell recommender models`, `rollback` and `release` on a real cell, as an operator types them."""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lightwell.product.feed import tasks
from lightwell.product.feed.serving import Serving
from lightwell.product.feed.tasks import Trainer
from lightwell.product.videos import VideoRow
from lightwell.residency.cell import Cell
from tests.factories.catalogue import insert_catalogue, sequence

ONE_ENGINE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lightwell", "recommender", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def said(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(*arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == 2, done.stdout
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@ONE_ENGINE
def test_an_operator_sees_the_models_goes_back_and_lets_go(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_MODEL_SHARE", 1e9)
    folder = str(cell.settings.folder)
    cell = replace(cell, settings=msgspec.structs.replace(cell.settings, model_seconds=0.0))
    insert_catalogue(cell, 6)
    first = Trainer(cell).publish_if_changed()
    sequence(cell)
    change_a_video(cell)
    second = Trainer(cell).publish_if_changed()
    sequence(cell)
    listed = said("models", "--data", folder)
    assert [(row["digest"], row["serves"], row["held"]) for row in listed] == [
        (second, True, False),
        (first, False, False),
    ]
    assert said("rollback", "--data", folder)["digest"] == first
    sequence(cell)
    assert Serving(cell).current()[0].digest == first
    assert [row["held"] for row in said("models", "--data", folder)] == [False, True]
    assert "model before" in refused("rollback", "--data", folder)
    assert "no such model" in refused("rollback", "ffffff", "--data", folder)
    assert said("release", "--data", folder)["digest"] == second
    assert "No model is held" in refused("release", "--data", folder)
    assert "cell.toml" in refused("models", "--data", folder + "/nowhere")


def change_a_video(cell: Cell) -> None:
    with cell.database.write() as session:
        row = session.get(VideoRow, f"{1:016x}")
        assert row is not None
        row.hashtags = ["another"]
