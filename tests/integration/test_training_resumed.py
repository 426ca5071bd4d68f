"""A training that is ended goes on from the parts it had done, or begins anew; the model is the same."""

import os
import secrets
import signal
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from lightwell.product.feed import tasks
from lightwell.product.feed.serving import Serving
from lightwell.product.feed.tasks import Trainer
from lightwell.product.feed.training import Trained, TrainingSettings, train
from lightwell.product.feed.training_parts import Keeping, PartFailedError, SideBySide
from lightwell.product.feed.training_process import TrainingFailedError, TrainingProcess
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.fit.items import GraphSettings
from lightwell.recommender.fit.model import ModelSettings
from lightwell.recommender.fit.trees import TreeSettings
from lightwell.recommender.happened import EVENT, Events, number_of
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell
from tests.factories.catalogue import insert_catalogue, sequence, video_id
from tests.factories.people import sign_up

Client = TestClient[Litestar]
ONE_ENGINE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MINUTE = 29_000_000
VIDEOS = 120
_FEW = TreeSettings(trees=10, leaves=4, least=5, positives=20)
SETTINGS = TrainingSettings(
    model=ModelSettings(graph=GraphSettings(head=60), horizons=2, relevance=_FEW, impression=_FEW)
)


def facts() -> list[VideoFact]:
    return [
        VideoFact(id=video_id(n), creator=f"us:maker{n % 7}", hour=MINUTE // 60 - 500, topic=f"t{n % 4}")
        for n in range(VIDEOS)
    ]


def happened(count: int = 6_000) -> Events:
    draw = np.random.default_rng(3)
    events = np.zeros(count, dtype=EVENT)
    events["viewer"] = draw.integers(1, 120, count)
    video = draw.integers(0, VIDEOS, count)
    events["video"] = video + 1
    events["minute"] = np.sort(MINUTE - draw.integers(0, 5 * 1440, count))
    events["kind"] = number_of("watch")
    is_liked = events["viewer"] % 2 == video % 2
    events["strength"] = np.where(is_liked, 250, 60)
    return events


def finished(child: TrainingProcess) -> tuple[str, str, bytes]:
    return told(child.result(), child.out)


def told(made: Trained, out: Path) -> tuple[str, str, bytes]:
    return made.snapshot, made.events, out.read_bytes()


def test_a_training_that_was_killed_goes_on_from_what_it_kept_and_makes_the_same_model(
    tmp_path: Path,
) -> None:
    here = train(facts(), happened(), SETTINGS, MINUTE, tmp_path / "here")
    wanted = told(here, tmp_path / "here")
    assert msgspec.json.decode(here.manifest)["metrics"]["trees"] > 0
    keeping = Keeping.in_folder(tmp_path / "kept")
    job = (facts(), happened(), SETTINGS, MINUTE)
    killed = TrainingProcess(*job, tmp_path / "killed", keeping=keeping, at_once=1)
    first = tmp_path / "kept" / "stretch-1-of-2"
    deadline = time.monotonic() + 120
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed._child.pid, signal.SIGKILL)
    with pytest.raises(TrainingFailedError):
        killed.result()
    # Its own children have seen it go by then.
    time.sleep(1.5)
    done = {path: path.stat().st_mtime_ns for path in first.parent.iterdir()}
    assert first in done
    assert len(done) < 4
    assert not (tmp_path / "killed").exists()
    assert finished(TrainingProcess(*job, tmp_path / "again", keeping=keeping, at_once=2)) == wanted
    assert {path: path.stat().st_mtime_ns for path in done} == done
    # Another key opens nothing of it: each part is worked on anew, to the same bytes.
    other = Keeping.in_folder(tmp_path / "kept")
    assert finished(TrainingProcess(*job, tmp_path / "other", keeping=other, at_once=2)) == wanted
    assert all(path.stat().st_mtime_ns != before for path, before in done.items())


def test_a_part_that_is_cut_short_or_altered_is_worked_on_again(tmp_path: Path) -> None:
    keeping = Keeping.in_folder(tmp_path / "kept")
    spread = SideBySide(keeping)
    worked = tmp_path / "worked"

    def work(part: str) -> str:
        with worked.open("a") as file:
            file.write(f"{part}\n")
        return part * 2

    assert spread(work, ["one", "two", "three"]) == ["oneone", "twotwo", "threethree"]
    file = tmp_path / "kept" / "one"
    file.write_bytes(file.read_bytes()[:-1])
    other = tmp_path / "kept" / "two"
    other.write_bytes((tmp_path / "kept" / "three").read_bytes())
    assert SideBySide(keeping)(work, ["one", "two", "three"]) == ["oneone", "twotwo", "threethree"]
    assert sorted(worked.read_text().split()) == ["one", "one", "three", "two", "two"]


def test_a_part_that_fails_ends_the_others_and_is_told(tmp_path: Path) -> None:
    def work(part: str) -> str:
        if part == "slow":
            time.sleep(60)
        os._exit(3)

    began = time.monotonic()
    with pytest.raises(PartFailedError, match="bad"):
        SideBySide(None, 2)(work, ["slow", "bad"])
    assert time.monotonic() - began < 30


@ONE_ENGINE
def test_a_killed_training_is_taken_up_again_unless_somebody_in_it_was_erased(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_MODEL_SHARE", 1e9)
    monkeypatch.setattr(tasks, "_HERE_MOST", 0)
    insert_catalogue(cell, 8)
    gone = sign_up(client, "soon.gone")["account_id"]
    watch(client, 1, 2, 3)
    client.cookies.clear()
    sign_up(client, "who.stays")
    watch(client, 1)
    trainer = Trainer(replace(cell, settings=msgspec.structs.replace(cell.settings, model_seconds=0.0)))
    first = killed(trainer)
    watch(client, 4)
    again = killed(trainer)
    assert (again.keeping, again.minute, again.tries) == (first.keeping, first.minute, 2)
    kept = Path(first.keeping.folder)
    kept.mkdir(parents=True, exist_ok=True)
    with cell.database.write() as session:
        cell.vault.destroy(session, gone)
    trainer.publish_if_changed()
    assert trainer._job is not None
    assert trainer._job.keeping != first.keeping
    assert not kept.exists()
    deadline = time.monotonic() + 120
    while trainer._child is not None and time.monotonic() < deadline:
        trainer.publish_if_changed()
        time.sleep(0.05)
    sequence(cell)
    now = Serving(cell).current()[0]
    assert isinstance(now, Snapshot)
    assert int(now.views.sum()) == 2
    assert trainer._job is None


def killed(trainer: Trainer) -> tasks._Job:
    """A training that has begun and was ended."""
    trainer.publish_if_changed()
    assert trainer._child is not None
    trainer._child.end()
    with pytest.raises(TrainingFailedError):
        trainer.publish_if_changed()
    assert trainer._job is not None
    return trainer._job


def watch(client: Client, *numbers: int) -> None:
    events = [
        {"event_id": secrets.token_hex(16), "kind": "watch", "video_id": video_id(number), "watch_ms": 8000}
        for number in numbers
    ]
    assert client.post("/api/events", json={"events": events}).status_code == 202
