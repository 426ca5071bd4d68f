"""Training in a cell: models and updates, deployed by entry, forgotten with people, refused when damaged."""

import hashlib
import json
import secrets
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from lightwell.base.clock import now_ms, now_s
from lightwell.base.errors import Problem
from lightwell.ledger.queue import enqueue
from lightwell.oversight.replay import SlateRecord, Sources, judge
from lightwell.product.feed import snapshot_files, tasks, training_deploy
from lightwell.product.feed.models import RankingPolicyRow, SnapshotRow
from lightwell.product.feed.serving import Serving
from lightwell.product.feed.tasks import Trainer
from lightwell.product.feed.training import TrainingSettings, events_digest, train
from lightwell.product.feed.training_process import TrainingFailedError, TrainingProcess
from lightwell.product.videos import VideoRow
from lightwell.recommender.policy import dump, parse
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell
from lightwell.wire import entries, signed_request
from lightwell.wire.keys import SigningKey
from tests.factories.catalogue import insert_catalogue, make_servable, publish_catalogue, sequence, video_id
from tests.factories.ledger import all_entries
from tests.factories.people import sign_up

Client = TestClient[Litestar]
NO_BODY = hashlib.sha256(b"").hexdigest()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are trained as often as the settings say, whatever share of a core that is."""
    monkeypatch.setattr(tasks, "_MODEL_SHARE", 1e9)


def report(client: Client, kind: str, *videos: str, watch_ms: int = 8000) -> None:
    events = [
        {"event_id": secrets.token_hex(16), "kind": kind, "video_id": video, "watch_ms": watch_ms}
        for video in videos
    ]
    answer = client.post("/api/events", json={"events": events})
    assert answer.status_code == 202, answer.text


def clean_room(client: Client, cell: Cell, path: str) -> Any:
    key = SigningKey.from_text(cell.settings.path("cleanroom.key").read_text())
    return client.get(path, headers=signed_request.headers(key, "GET", path, NO_BODY, int(time.time())))


def trained_once(cell: Cell, **changes: Any) -> tuple[Cell, Trainer]:
    """A cell whose model stays, so that all that follows are updates."""
    settings = msgspec.structs.replace(cell.settings, **({"model_seconds": 3600.0} | changes))
    cell = replace(cell, settings=settings)
    trainer = Trainer(cell)
    assert trainer.publish_if_changed() is not None
    return cell, trainer


def serving(cell: Cell) -> Snapshot:
    sequence(cell)
    return Serving(cell).current()[0]


def published(cell: Cell) -> list[entries.SnapshotPublished]:
    found = [entries.decode(data) for data in all_entries(cell.settings, cell.database)]
    return [entry for entry in found if isinstance(entry, entries.SnapshotPublished)]


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "altered":
        data[-9] ^= 1
    else:
        data = data[: len(data) // 2]
    path.write_bytes(data)


def test_what_viewers_do_reaches_the_counters_without_a_new_model(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 12)
    sign_up(client)
    cell, trainer = trained_once(cell)
    first = serving(cell)
    report(client, "watch", video_id(3), video_id(5))
    report(client, "like", video_id(3))
    update = trainer.publish_if_changed()
    now = serving(cell)
    assert now.digest == update
    assert now.base == first.base == first.digest
    three, five = now.find([video_id(3), video_id(5)]).tolist()
    assert (now.views[three], now.likes[three], now.longs[five]) == (1, 1, 1)
    assert now.longs_1h[five] == 256
    assert int(first.views.sum()) == 0
    assert trainer.publish_if_changed() is None


def test_a_base_and_its_updates_are_entries_that_say_which_is_which(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 12)
    sign_up(client)
    cell, trainer = trained_once(cell)
    report(client, "watch", video_id(3))
    trainer.publish_if_changed()
    sequence(cell)
    base, update = published(cell)
    assert base.base is msgspec.UNSET
    assert update.base == base.snapshot
    assert update.events != base.events
    folder = cell.settings.folder / "objects" / "models" / base.snapshot
    manifest = (folder / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == base.model
    assert hashlib.sha256((folder / "snapshot").read_bytes()).hexdigest() == base.snapshot
    said = json.loads(manifest)
    assert said["snapshot"] == base.snapshot
    assert (said["events"], said["code"], said["settings_digest"]) == (base.events, base.code, base.settings)
    card = (folder / "card.md").read_bytes()
    assert hashlib.sha256(card).hexdigest() == said["card"]


def add_video(cell: Cell, number: int) -> str:
    with cell.database.write() as session:
        session.add(
            VideoRow(
                video_id=video_id(number),
                account_id=None,
                upload_id=None,
                status="published",
                publish=True,
                created_at=now_ms(),
                origin_cell="us",
                creator_handle="new.maker",
                creator_name="New",
                caption="just made",
                hashtags=["new-subject"],
                duration_ms=8000,
                width=720,
                height=1280,
                media={},
                published_at=now_ms(),
            )
        )
    return video_id(number)


def test_a_new_video_is_shown_within_seconds_and_judged_by_what_follows(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 40)
    sign_up(client)
    cell, trainer = trained_once(cell)
    serving(cell)
    began = time.monotonic()
    fresh = add_video(cell, 400)
    trainer.publish_if_changed()
    now = serving(cell)
    (at,) = now.find([fresh]).tolist()
    assert at >= now.base_size
    assert now.creators[now.creator[at]] == "us:new.maker"
    time.sleep(0.6)
    shown = False
    while not shown and time.monotonic() - began < 60:
        answer = client.get("/api/feed", params={"k": 10}).json()
        shown = any(item["video"]["video_id"] == fresh for item in answer["items"])
    assert shown
    report(client, "watch", fresh)
    trainer.publish_if_changed()
    now = serving(cell)
    assert now.longs[now.find([fresh])[0]] == 1


def test_a_catalogue_that_outgrows_its_model_gets_another_without_waiting(cell: Cell) -> None:
    insert_catalogue(cell, 4)
    cell, trainer = trained_once(cell)
    for number in (400, 401):
        add_video(cell, number)
        newest = trainer.publish_if_changed()
    # The first is a fourth of what the model has, the second is more.
    now = serving(cell)
    assert now.digest == now.base == newest
    assert now.base_size == 6


def test_a_video_taken_down_is_gone_from_the_next_model(cell: Cell) -> None:
    insert_catalogue(cell, 12)
    cell, _ = trained_once(cell, model_seconds=0.0)
    with cell.database.write() as session:
        session.delete(session.get(VideoRow, video_id(3)))
    again = Trainer(cell)
    again.publish_if_changed()
    assert serving(cell).find([video_id(3)]).tolist() == [-1]


def test_slates_of_a_base_with_an_update_replay_from_what_the_clean_room_fetches(
    client: Client, cell: Cell
) -> None:
    insert_catalogue(cell, 30)
    sign_up(client)
    cell, trainer = trained_once(cell)
    sequence(cell)
    add_video(cell, 400)
    report(client, "watch", video_id(3), video_id(7))
    trainer.publish_if_changed()
    sequence(cell)
    time.sleep(0.6)
    answer = client.get("/api/feed", params={"k": 10}).json()
    entry = entries.decode(answer["proof"]["entry"].encode())
    assert isinstance(entry, entries.SlateServed)
    raw = clean_room(client, cell, f"/cleanroom/records?commitments={entry.commitment}").json()["records"]
    records = {one["commitment"]: msgspec.convert(one, SlateRecord) for one in raw}
    fetched = []

    def fetch(kind: str, digest: str) -> bytes | None:
        found = clean_room(client, cell, f"/cleanroom/{kind}/{digest}")
        fetched.append(kind)
        return found.content if found.status_code == 200 else None

    assert judge([(0, entry)], records, Sources(fetch), "us")[0].outcome == "identical"
    assert fetched.count("snapshots") == 2
    missing_base = Sources(
        lambda kind, digest: fetch(kind, digest) if digest != published(cell)[0].snapshot else None
    )
    assert judge([(0, entry)], records, missing_base, "us")[0].outcome == "snapshot-missing"


@pytest.mark.parametrize("how", ["altered", "cut short"])
@pytest.mark.parametrize("small_bytes", [snapshot_files.SMALL_BYTES, 0], ids=["read", "mapped"])
def test_a_damaged_snapshot_is_refused_and_the_last_good_one_serves_on(
    client: Client, cell: Cell, how: str, small_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_files, "SMALL_BYTES", small_bytes)
    insert_catalogue(cell, 12)
    sign_up(client)
    cell, trainer = trained_once(cell)
    good = Snapshot.from_bytes(
        (cell.settings.folder / "objects" / snapshot_files.model_key(published_base(cell))).read_bytes()
    )
    report(client, "watch", video_id(3))
    update = trainer.publish_if_changed()
    assert update is not None
    damage(cell.settings.folder / "objects" / "updates" / update, how)
    assert serving(cell).digest == good.digest
    add_video(cell, 400)
    other = Trainer(cell)
    newest = other.publish_if_changed()
    assert newest is not None
    # The trainer's own copy is whole; a process on another machine would make one now.
    (cell.settings.path("serving") / newest).unlink(missing_ok=True)
    damage(cell.settings.folder / "objects" / snapshot_files.model_key(newest), how)
    assert serving(cell).digest == good.digest


def published_base(cell: Cell) -> str:
    with cell.database.read() as session:
        base = training_deploy.newest_base(session)
    assert base is not None
    return base


def test_a_map_is_shared_and_survives_what_happens_to_the_store(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_files, "SMALL_BYTES", 0)
    insert_catalogue(cell, 12)
    sign_up(client)
    cell, trainer = trained_once(cell)
    base = snapshot_files.open_base(cell, published_base(cell))
    report(client, "watch", video_id(3))
    update = trainer.publish_if_changed()
    assert update is not None
    data = (cell.settings.folder / "objects" / "updates" / update).read_bytes()
    stored = cell.settings.folder / "objects" / snapshot_files.model_key(base.snapshot.digest)
    before = stored.read_bytes()
    stored.write_bytes(b"")
    now = base.with_update(data, update)
    assert int(now.views.sum()) == 1
    assert int(base.snapshot.views.sum()) == 0
    copy = cell.settings.path("serving") / base.snapshot.digest
    assert copy.read_bytes() == before


def test_going_back_is_an_entry_and_lasts_until_let_go(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 12)
    sign_up(client)
    cell, trainer = trained_once(cell, model_seconds=0.0)
    first = serving(cell).base
    report(client, "watch", video_id(3))
    second = trainer.publish_if_changed()
    assert serving(cell).digest == second != first
    time.sleep(1.1)  # an entry of the same second with the same words would be the same entry
    assert training_deploy.roll_back(cell) == first
    with cell.database.read() as session:
        assert training_deploy.held_model(session) == first
    # The entry comes first: until it stands in the ledger the other serves.
    assert Serving(cell).current()[0].digest == second
    assert serving(cell).base == first
    report(client, "watch", video_id(4), video_id(5))
    trainer.publish_if_changed()
    now = serving(cell)
    assert now.base == first
    assert int(now.views.sum()) == 3
    Trainer(cell).publish_if_changed()
    assert serving(cell).base == first
    assert training_deploy.let_go(cell) == second
    assert serving(cell).base == second
    report(client, "watch", video_id(6))
    assert trainer.publish_if_changed() == serving(cell).base not in (first, second)
    with pytest.raises(Problem, match="No model is held"):
        training_deploy.let_go(cell)


def test_going_back_to_a_model_that_is_gone_or_damaged_is_refused(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 12)
    cell, _ = trained_once(cell)
    with pytest.raises(Problem, match="model before"):
        training_deploy.roll_back(cell)
    with pytest.raises(Problem, match="no such"):
        training_deploy.roll_back(cell, "ffff")
    base = published_base(cell)
    damage(cell.settings.folder / "objects" / snapshot_files.model_key(base), "altered")
    with pytest.raises(Problem, match="cannot be read"):
        training_deploy.roll_back(cell, base[:12])


def test_events_of_an_erased_account_are_gone_at_the_next_training(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 12)
    gone = sign_up(client, "soon.gone")["account_id"]
    report(client, "watch", *(video_id(number) for number in range(6)))
    client.cookies.clear()
    sign_up(client, "who.stays")
    report(client, "watch", video_id(0), video_id(1))
    cell, trainer = trained_once(cell, model_seconds=0.0)
    assert int(serving(cell).views.sum()) == 8
    with cell.database.write() as session:
        cell.vault.destroy(session, gone)
    report(client, "watch", video_id(2))
    trainer.publish_if_changed()
    now = serving(cell)
    assert now.digest == now.base
    assert int(now.views.sum()) == 3
    report(client, "watch", video_id(3))
    assert int(_update_of(trainer, cell).views.sum()) == 4


def _update_of(trainer: Trainer, cell: Cell) -> Snapshot:
    trainer.publish_if_changed()
    return serving(cell)


def test_a_trainer_that_starts_again_goes_on_where_the_last_one_was(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 12)
    sign_up(client)
    cell, trainer = trained_once(cell)
    add_video(cell, 400)
    report(client, "watch", video_id(3), video_id(400))
    trainer.publish_if_changed()
    before = serving(cell)
    again = Trainer(cell)
    again.publish_if_changed()
    now = serving(cell)
    for video in (video_id(3), video_id(400)):
        assert now.views[now.find([video])[0]] == before.views[before.find([video])[0]] == 1


def test_a_training_in_its_own_process_makes_the_same_model_and_may_be_killed(
    client: Client, cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_catalogue(cell, 12)
    sign_up(client)
    report(client, "watch", video_id(3), video_id(5))
    _, trainer = trained_once(cell)
    facts, events = trainer._state.everything()
    settings = TrainingSettings()
    here = train(facts, events, settings, 29_000_000, tmp_path / "here")
    child = TrainingProcess(facts, events, settings, 29_000_000, tmp_path / "there")
    there = child.result()
    assert there == here
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()
    assert here.events == events_digest(np.concatenate([events]))
    killed = TrainingProcess(facts, events, settings, 29_000_000, tmp_path / "killed")
    killed.end()
    with pytest.raises(TrainingFailedError):
        killed.result()
    # A cell that trains in a child: the killed one does no harm, the next makes a model.
    monkeypatch.setattr(tasks, "_HERE_MOST", 0)
    cell = replace(cell, settings=msgspec.structs.replace(cell.settings, model_seconds=0.0))
    other = Trainer(cell)
    report(client, "watch", video_id(6))
    other.publish_if_changed()
    assert other._child is not None
    other._child.end()
    with pytest.raises(TrainingFailedError):
        other.publish_if_changed()
    base = published_base(cell)
    deadline = time.monotonic() + 240
    while published_base(cell) == base and time.monotonic() < deadline:
        other.publish_if_changed()
        time.sleep(0.1)
    assert published_base(cell) != base
    assert not list((cell.settings.folder / "training").iterdir())


def test_nothing_serves_under_a_digest_that_its_entry_does_not_name(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 12)
    sign_up(client)
    cell, trainer = trained_once(cell)
    good = serving(cell)
    report(client, "watch", video_id(3))
    update = trainer.publish_if_changed()
    with cell.database.write() as session:
        rows = session.scalars(select(SnapshotRow).order_by(SnapshotRow.number)).all()
        policy = session.scalars(select(RankingPolicyRow)).one()
        rows[1].leaf = rows[0].leaf
        other = parse(b'{"weights":{"new":9}}')
        session.add(RankingPolicyRow(digest=other.digest, body=dump(other), leaf=policy.leaf))
    sequence(cell)
    snapshot, ruling = Serving(cell).current()
    assert snapshot.digest == good.digest != update
    assert ruling.digest == policy.digest


@pytest.mark.parametrize("body", [b"{", b'{"weights":{"new":9}}'])
def test_a_policy_that_is_unreadable_or_not_what_it_is_called_leaves_the_last_one_in_force(
    cell: Cell, body: bytes
) -> None:
    publish_catalogue(cell, 4)
    digest = "ab" * 32
    with cell.database.write() as session:
        before = session.scalars(select(RankingPolicyRow.digest)).one()
        leaf = enqueue(session, entries.PolicyAdopted(at=now_s(), digest=digest, approvals=2))
        session.add(RankingPolicyRow(digest=digest, body=body, leaf=leaf))
    sequence(cell)
    assert Serving(cell).current()[1].digest == before


def test_the_trainer_ends_when_asked_and_clears_what_another_left(cell: Cell) -> None:
    left = cell.settings.folder / "training" / "left"
    left.parent.mkdir()
    left.write_bytes(b"half a model")
    publish_catalogue(cell, 4)
    stop = threading.Event()
    thread = threading.Thread(target=Trainer(cell).run, args=(stop,))
    thread.start()
    time.sleep(0.5)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not left.exists()
    make_servable(cell)
