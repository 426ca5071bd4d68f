"""Bytes of snapshots stay as long as slates may be replayed from them, and go when none can be."""

import hashlib
import secrets
import time
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import update

from lightwell.base.errors import Problem
from lightwell.ledger.queue import enqueue
from lightwell.oversight.replay import SlateRecord, Sources, judge
from lightwell.product.feed import snapshot_files, snapshot_retention, tasks
from lightwell.product.feed.models import SnapshotRow
from lightwell.product.feed.serving import Serving
from lightwell.product.feed.snapshot_retention import drop_snapshots
from lightwell.product.feed.tasks import Trainer
from lightwell.product.feed.training_models import ModelPeopleRow
from lightwell.residency.cell import Cell
from lightwell.wire import entries, signed_request
from lightwell.wire.keys import SigningKey
from tests.factories.catalogue import insert_catalogue, sequence, video_id
from tests.factories.ledger import all_entries
from tests.factories.people import sign_up

Client = TestClient[Litestar]
DAY_MS = 86_400_000
ONE_ENGINE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def few_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_MODEL_SHARE", 1e9)
    monkeypatch.setattr(snapshot_retention, "_NEWEST_KEPT", 1)


def watch(client: Client, number: int) -> None:
    event = {"event_id": secrets.token_hex(16), "kind": "watch", "video_id": video_id(number)}
    assert client.post("/api/events", json={"events": [event | {"watch_ms": 8000}]}).status_code == 202


def served(client: Client, cell: Cell, count: int) -> list[str]:
    """A base and updates of it, each served; their digests in order."""
    insert_catalogue(cell, 12)
    sign_up(client)
    cell = replace(cell, settings=msgspec.structs.replace(cell.settings, model_seconds=3600.0))
    trainer = Trainer(cell)
    found = []
    for number in range(count):
        digest = trainer.publish_if_changed()
        assert digest is not None
        found.append(digest)
        watch(client, number)
    sequence(cell)
    return found


def age(cell: Cell, *days: float) -> None:
    """Let snapshots have been published so many days ago, in their order."""
    now = int(time.time() * 1000)
    with cell.database.write() as session:
        for number, ago in enumerate(days, 1):
            session.execute(
                update(SnapshotRow)
                .where(SnapshotRow.number == number)
                .values(created_at=now - int(ago * DAY_MS))
            )


def is_there(cell: Cell, digest: str, base: str) -> bool:
    return cell.objects.exists(snapshot_files.key_of(digest, base))


def clean_room(client: Client, cell: Cell, path: str) -> Any:
    key = SigningKey.from_text(cell.settings.path("cleanroom.key").read_text())
    nothing = hashlib.sha256(b"").hexdigest()
    return client.get(path, headers=signed_request.headers(key, "GET", path, nothing, int(time.time())))


def test_only_snapshots_that_no_replay_can_need_are_deleted(client: Client, cell: Cell) -> None:
    base, *updates = served(client, cell, 5)
    days = cell.agreement.limits.slate_replay_days.value
    # The second served until the third came, within the days; the margin is a day.
    age(cell, days + 300, days + 200, days + 100, days - 10, 0)
    assert drop_snapshots(cell) == 1
    assert [is_there(cell, one, base) for one in (base, *updates)] == [True, False, True, True, True]
    assert drop_snapshots(cell) == 0
    # Entries stay, and what is kept still serves.
    stored = [entries.decode(data) for data in all_entries(cell.settings, cell.database)]
    assert updates[0] in [one.snapshot for one in stored if isinstance(one, entries.SnapshotPublished)]
    assert Serving(cell).current()[0].digest == updates[-1]
    answer = clean_room(client, cell, f"/cleanroom/snapshots/{updates[0]}")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (410, "snapshot-not-kept")
    assert "kept no longer" in answer.json()["detail"]
    assert clean_room(client, cell, f"/cleanroom/snapshots/{updates[1]}").status_code == 200
    with pytest.raises(Problem, match="kept no longer"):
        Serving(cell).load(updates[0])


@ONE_ENGINE
def test_a_slate_of_a_snapshot_that_is_gone_is_one_that_cannot_be_replayed(
    client: Client, cell: Cell
) -> None:
    base, *updates = served(client, cell, 2)
    answer = client.get("/api/feed", params={"k": 5}).json()
    entry = entries.decode(answer["proof"]["entry"].encode())
    assert isinstance(entry, entries.SlateServed)
    assert entry.snapshot == updates[0]
    raw = clean_room(client, cell, f"/cleanroom/records?commitments={entry.commitment}").json()["records"]
    records = {one["commitment"]: msgspec.convert(one, SlateRecord) for one in raw}

    def fetch(kind: str, digest: str) -> bytes | None:
        found = clean_room(client, cell, f"/cleanroom/{kind}/{digest}")
        return found.content if found.status_code == 200 else None

    assert judge([(0, entry)], records, Sources(fetch), "us")[0].outcome == "identical"
    trainer = Trainer(replace(cell, settings=msgspec.structs.replace(cell.settings, model_seconds=3600.0)))
    watch(client, 7)
    trainer.publish_if_changed()
    age(cell, 1000, 900, 800)
    assert drop_snapshots(cell) == 1
    assert not is_there(cell, updates[0], base)
    assert judge([(0, entry)], records, Sources(fetch), "us")[0].outcome == "snapshot-missing"


@ONE_ENGINE
def test_a_base_stays_while_a_later_update_or_people_may_need_it(client: Client, cell: Cell) -> None:
    base, update_of_it = served(client, cell, 2)
    trainer = Trainer(replace(cell, settings=msgspec.structs.replace(cell.settings, model_seconds=0.0)))
    newest = trainer.publish_if_changed()
    assert newest is not None
    age(cell, 1000, 900, 800)
    assert drop_snapshots(cell) == 1
    assert is_there(cell, base, base)
    assert not is_there(cell, update_of_it, base)
    with cell.database.write() as session:
        session.delete(session.get(ModelPeopleRow, base))
    assert drop_snapshots(cell) == 1
    assert not is_there(cell, base, base)
    # What it was made from is still told.
    assert cell.objects.exists(snapshot_files.model_key(base, "manifest.json"))


@ONE_ENGINE
def test_a_snapshot_that_serves_again_is_kept(client: Client, cell: Cell) -> None:
    base, first, *_ = served(client, cell, 4)
    with cell.database.write() as session:
        entry = entries.SnapshotPublished(
            at=int(time.time()), snapshot=first, events="0" * 64, settings="0" * 64, code="0" * 64,
            videos=12, base=base,
        )  # fmt: skip
        leaf = enqueue(session, entry)
        session.add(SnapshotRow(digest=first, base=base, leaf=leaf, created_at=int(time.time() * 1000)))
    age(cell, 1000, 900, 800, 700)
    assert drop_snapshots(cell) == 1
    assert is_there(cell, first, base)
