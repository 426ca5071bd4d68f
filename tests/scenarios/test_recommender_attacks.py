"""Attempts to bend the feed, or to break it for others: each is refused, harms nobody else, or shows."""

import asyncio
import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select, text

from lightwell.base.clock import now_ms
from lightwell.base.errors import Problem
from lightwell.ledger.queue import prepare
from lightwell.oversight import replay
from lightwell.product.feed import records, snapshot_files
from lightwell.product.feed.cards import COUNTS_SECONDS
from lightwell.product.feed.group_commit import GroupCommit, Prepared
from lightwell.product.feed.models import RankingPolicyRow, SnapshotRow
from lightwell.product.feed.tasks import Trainer
from lightwell.product.social.state import MAX_COUNTED_LIKES, Fold, StoredEvent
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.recommender import pipeline
from lightwell.recommender.counters import ALL_TIME
from lightwell.residency.cell import Cell
from lightwell.wire import entries
from lightwell.wire.entries import SlateServed
from lightwell.wire.promise import open_promise
from tests.factories.catalogue import TASTES, publish_catalogue, sequence, video_id
from tests.factories.events import event, report
from tests.factories.people import sign_up

Client = TestClient[Litestar]
LOOKS_AGAIN_SECONDS = 0.6


def slate(client: Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/feed", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def record_of(client: Client, answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/slates/{answer['proof']['leaf']}").json()
    return found


def entry_of(answer: dict[str, Any]) -> SlateServed:
    entry = entries.decode(answer["proof"]["entry"].encode())
    assert isinstance(entry, SlateServed)
    return entry


def served(client: Client) -> tuple[str, str]:
    time.sleep(LOOKS_AGAIN_SECONDS)
    entry = entry_of(slate(client))
    return entry.snapshot, entry.policy


def insert_more(cell: Cell, first: int, count: int) -> None:
    """Publish videos after the catalogue's, as uploads would while it is served."""
    ids = [video_id(number) for number in range(first, first + count)]
    with cell.database.write() as session:
        for number, its_id in enumerate(ids, first):
            session.add(
                VideoRow(
                    video_id=its_id,
                    status="published",
                    publish=True,
                    created_at=now_ms(),
                    origin_cell=cell.settings.cell,
                    creator_handle=f"new.{number % 3}",
                    creator_name="New",
                    caption="",
                    hashtags=["fresh", TASTES[number % len(TASTES)]],
                    sound_id=None,
                    duration_ms=9000,
                    width=720,
                    height=1280,
                    media={},
                    published_at=now_ms(),
                )
            )
        session.flush()
        session.add_all(VideoCountRow(video_id=its_id) for its_id in ids)


# --- a hand on the scales


def test_a_policy_that_no_entry_names_does_not_serve(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    before = served(client)
    with cell.database.write() as session:
        body, leaf = session.execute(text("SELECT body, leaf FROM ranking_policies")).one()
        changed = json.loads(bytes(body))
        changed["weights"]["follow"] += 1
        raw = json.dumps(changed, sort_keys=True, separators=(",", ":")).encode()
        # The row names a leaf that really stands in the ledger, but it is another policy's.
        session.execute(
            text("INSERT INTO ranking_policies (digest, body, leaf) VALUES (:digest, :body, :leaf)"),
            {"digest": hashlib.sha256(raw).hexdigest(), "body": raw, "leaf": bytes(leaf)},
        )
    assert served(client) == before


def test_a_policy_row_that_is_no_policy_leaves_the_last_good_one_serving(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    before = served(client)
    with cell.database.write() as session:
        session.execute(
            text(
                "INSERT INTO ranking_policies (digest, body, leaf)"
                " SELECT :digest, :body, leaf FROM ranking_policies"
            ),
            {"digest": "ff" * 32, "body": b"{}"},
        )
    assert served(client) == before


def test_a_snapshot_that_no_entry_names_does_not_serve(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell)
    sign_up(client)
    before = served(client)
    report(client, *(event("watch", video, 8000) for video in videos[:8]))
    trainer = Trainer(cell)
    made = trainer.publish_if_changed()
    assert made is not None
    with cell.database.write() as session:
        # The newest snapshot's own entry waits; its row names one that is there already.
        session.execute(
            text(
                "UPDATE snapshots SET leaf = (SELECT leaf FROM snapshots WHERE digest = :old)"
                " WHERE digest = :new"
            ),
            {"old": before[0], "new": made},
        )
    assert served(client) == before
    sequence(cell)
    assert served(client) == before


# --- one viewer against the others


def prepared(account_id: str) -> Prepared:
    committed = secrets.token_bytes(32)
    entry = SlateServed(at=1_700_000_040, commitment=committed.hex(), snapshot="ab" * 32, policy="cd" * 32)
    return Prepared(account_id, committed, b"sealed", prepare(entry))


@pytest.fixture
def group_commit(cell: Cell) -> Iterator[GroupCommit]:
    opened = GroupCommit(cell.database, cell.vault.signing_key("ledger"), "lightwell/us")
    yield opened
    opened.close()


def test_a_viewer_who_is_erased_meanwhile_spoils_no_slate_of_others(
    client: Client, cell: Cell, group_commit: GroupCommit
) -> None:
    account = sign_up(client)["account_id"]
    slates = [prepared(account), prepared("erased"), prepared(account)]

    async def commit_together() -> list[Any]:
        waits = [group_commit.durable(one) for one in slates]
        return await asyncio.gather(*waits, return_exceptions=True)

    first, erased, last = asyncio.run(commit_together())
    verifier = cell.vault.signing_key("ledger").verifier()
    for one, promise in ((slates[0], first), (slates[2], last)):
        assert open_promise(promise, verifier).leaf_hash == one.entry.leaf_hash
    assert isinstance(erased, Problem)
    assert erased.status == 401
    with cell.database.read() as session:
        kept = session.execute(text("SELECT leaf FROM slate_records")).scalars()
        assert {bytes(leaf) for leaf in kept} == {one.entry.leaf_hash for one in (slates[0], slates[2])}
        queued = set(map(bytes, session.execute(text("SELECT leaf_hash FROM ledger_entries")).scalars()))
    assert slates[1].entry.leaf_hash not in queued, "an entry without its record would be a slate missing"


def test_whoever_is_erased_is_signed_out_everywhere_and_gets_no_error(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    account = sign_up(client)["account_id"]
    answer = slate(client)
    report(client, event("watch", video_id(1), 8000))
    with cell.database.write() as session:
        cell.vault.destroy(session, account)
    leaf = answer["proof"]["leaf"]
    for path in ("/api/feed", "/api/me/viewer", f"/api/slates/{leaf}", f"/api/slates/{leaf}/why"):
        assert client.get(path).status_code in (401, 404, 410), path
    body = {"events": [event("watch", video_id(2), 8000)]}
    assert client.post("/api/events", json=body).status_code == 401


# --- input that means harm


HOSTILE_BODIES = [
    b"",
    b"null",
    b'"\xff',
    b"[" * 50_000,
    b'{"events":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    b'{"events":[{"event_id":"\\ud800","kind":"watch"}]}',
    b'{"events":[{"event_id":"%b","kind":"watch","video_id":"%b","watch_ms":%b}]}'
    % (b"0" * 32, b"0" * 15 + b"1", b"9" * 40),
    b'{"profiling":"perhaps"}',
    b'{"file":"\\ud800","paper":"\\u0000"}',
    b"x" * 200_000,
]


def test_no_input_of_the_feed_gives_a_server_error(client: Client, cell: Cell) -> None:
    publish_catalogue(cell, 8)
    sign_up(client)
    for query in (
        *("k=0", "k=31", "k=-1", "k=1e1", "k=%C2%B2", "k=", "k=%00", "k=1%00", "tab=", "tab=nope", "tab=%00"),
        *("%", "&&&", "a" * 8_000, "&".join(f"a{number}=1" for number in range(3_000)), "k=1&k=nope"),
    ):
        assert client.get(f"/api/feed?{query}").status_code in (200, 400), query
    for leaf in ("zz", "%00", "%C3%A9", "00" * 31, "00" * 32, "0x" + "00" * 31):
        for path in (f"/api/slates/{leaf}", f"/api/slates/{leaf}/why", f"/api/videos/{leaf}"):
            assert client.get(path).status_code in (400, 404), path
    for method, path in (
        *(("POST", "/api/events"), ("PUT", "/api/me/profiling"), ("POST", "/api/policies")),
        *(("POST", "/api/policies/approvals"), ("POST", "/api/policies/adoptions")),
    ):
        for body in HOSTILE_BODIES:
            answer = client.request(method, path, content=body, headers={"content-type": "application/json"})
            assert 400 <= answer.status_code < 500, (path, body[:40], answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/me/viewer").json()["events"] == 0, "nothing half-written"


CRAFTED = """
import numpy as np
from lightwell.recommender import pipeline
from lightwell.recommender.policy import default_policy
from lightwell.recommender.record import Request, SlateInputs, Viewer
from lightwell.recommender.snapshot import LAYOUT, WORDS, Snapshot, SnapshotError, encode
from lightwell.recommender.train import TrainSettings, VideoFact, build_snapshot

facts = [VideoFact(id=f"{n:016x}", creator=f"us:c{n}", sound=None, tags=[], hour=480_000) for n in range(3)]
honest = build_snapshot(facts, [], TrainSettings(), 480_100)
# Each round brings the sum to zero again, as if the neighbour had not been met before.
weights = np.array(([-127] * 258 + [-2]) * 2_000, dtype=np.int8)
arrays = {name: getattr(honest, name) for name in LAYOUT if hasattr(honest, name)}
arrays |= {
    "near": np.ones(weights.size, dtype=np.int32),
    "near_weight": weights,
    "near_starts": np.array([0, weights.size, weights.size, weights.size]),
}
arrays |= {name: list(getattr(honest, name)) for name in WORDS}
try:
    crafted = Snapshot.from_bytes(encode(honest.minute, arrays))
except SnapshotError:
    raise SystemExit("refused")
policy = default_policy()
for strength in (10, 255):
    for _ in range(50):
        inputs = SlateInputs(
            cell="us", snapshot=crafted.digest, policy=policy.digest, seed="0" * 32,
            request=Request(hour=480_101), viewer=Viewer(region="us", watched=[(facts[0].id, strength)]),
        )
        pipeline.rank(crafted, policy, inputs)
raise SystemExit("ranked")
"""


def test_a_crafted_snapshot_cannot_reach_beyond_its_arrays() -> None:
    # In a process of its own: where it could, that process would crash, or worse.
    done = subprocess.run(
        [sys.executable, "-c", CRAFTED], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr.strip() in ("refused", "ranked"), (done.returncode, done.stderr)


# --- what a replay shows


def sources_of(cell: Cell) -> replay.Sources:
    def fetch(kind: str, digest: str) -> bytes | None:
        with cell.database.read() as session:
            if kind == "policies":
                query = select(RankingPolicyRow.body).where(RankingPolicyRow.digest == digest)
                return session.scalar(query)
            base = session.scalar(select(SnapshotRow.base).where(SnapshotRow.digest == digest).limit(1))
        return None if base is None else cell.objects.get(snapshot_files.key_of(digest, base))

    return replay.Sources(fetch)


def verdicts(cell: Cell, answers: list[dict[str, Any]]) -> list[str]:
    slates = [(at, entry_of(answer)) for at, answer in enumerate(answers)]
    with cell.database.read() as session:
        found = records.records_for_replay(
            cell, session, [bytes.fromhex(entry.commitment) for _, entry in slates]
        )
    kept = {one["commitment"]: replay.SlateRecord(**one) for one in found}
    return [verdict.outcome for verdict in replay.judge(slates, kept, sources_of(cell), cell.settings.cell)]


def test_every_slate_replays_while_the_catalogue_and_the_viewer_move(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell, 40)
    sign_up(client)
    trainer = Trainer(cell)
    answers = []
    for turn in range(4):
        answers += [slate(client, tab=tab, k=7) for tab in ("for_you", "newest", "following")]
        answers.append(slate(client, tab="without_profiling"))
        kinds = ("watch", "skip", "like", "follow", "share", "hide", "mute", "block")
        report(
            client,
            *(
                event(kind, videos[(9 * turn + at) % 40], 8000 if at % 2 else 200)
                for at, kind in enumerate(kinds)
            ),
        )
        insert_more(cell, 40 + 5 * turn, 5)
        trainer.publish_if_changed()
        sequence(cell)
        time.sleep(LOOKS_AGAIN_SECONDS)
    assert len({entry_of(answer).snapshot for answer in answers}) > 1
    assert verdicts(cell, answers) == ["identical"] * len(answers)


def test_an_altered_snapshot_or_update_is_refused_by_its_digest_and_the_last_good_one_serves(
    client: Client, cell: Cell
) -> None:
    videos = publish_catalogue(cell, 40)
    sign_up(client)
    before = served(client)
    report(client, *(event("watch", video, 8000) for video in videos[:8]))
    made = Trainer(cell).publish_if_changed()
    assert made is not None
    with cell.database.read() as session:
        base = session.scalar(select(SnapshotRow.base).where(SnapshotRow.digest == made).limit(1))
    assert base is not None
    key = snapshot_files.key_of(made, base)
    whole = cell.objects.get(key)
    for altered in (whole[:-1], whole[:100], b"", whole[:-1] + bytes([whole[-1] ^ 1]), whole + b"\0"):
        cell.objects.put(key, altered)
        sequence(cell)
        assert served(client) == before
        assert sources_of(cell).snapshot(made) is None


def test_a_viewer_who_wants_no_profiling_leaves_nothing_personal_in_the_record(
    client: Client, cell: Cell
) -> None:
    publish_catalogue(cell, 40)
    sign_up(client)
    report(client, *(event(kind, video_id(3), 8000) for kind in ("watch", "like", "follow")))
    assert client.put("/api/me/profiling", json={"profiling": False}).status_code == 200
    inputs = json.loads(record_of(client, slate(client))["inputs"])
    assert inputs["request"]["tab"] == "without_profiling"
    assert {name for name, value in inputs["viewer"].items() if value} == {"region"}


def test_nothing_of_creators_whom_the_viewer_shut_out_is_shown_anywhere(client: Client, cell: Cell) -> None:
    publish_catalogue(cell, 40)
    sign_up(client)
    report(client, event("follow", video_id(0)), event("follow", video_id(1)))
    report(client, event("block", video_id(0)), event("mute", video_id(1)))
    known = client.get("/api/me/viewer").json()
    shut_out = {*known["blocked"], *known["muted"]}
    assert len(shut_out) == 2
    for tab in ("for_you", "newest", "following"):
        makers = [item["video"]["creator"] for item in slate(client, tab=tab, k=30)["items"]]
        assert not shut_out & {f"{maker['cell']}:{maker['handle']}" for maker in makers}, tab


# --- counting


def test_a_trainer_that_starts_anew_counts_what_the_running_one_did(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell, 40)
    sign_up(client)
    running = Trainer(cell)
    running.publish_if_changed()
    for turn in range(3):
        report(client, *(event("watch", videos[(7 * turn + at) % 40], 8000) for at in range(9)))
        insert_more(cell, 40 + 3 * turn, 3)
        running.publish_if_changed()
    states = []
    for trainer in (running, Trainer(cell)):
        made = trainer.publish_if_changed()
        with cell.database.read() as session:
            newest = session.execute(
                select(SnapshotRow.digest, SnapshotRow.base).order_by(SnapshotRow.number.desc()).limit(1)
            ).one()
        states.append(sources_of(cell).snapshot(made or newest.digest))
    first, second = states
    assert first is not None
    assert second is not None
    order = [state.ids.argsort() for state in (first, second)]
    for name in ("ids", *ALL_TIME):
        ours, theirs = (getattr(state, name)[at] for state, at in zip(states, order, strict=True))
        assert ours.tolist() == theirs.tolist(), name


def test_one_viewer_counts_as_one_like_of_a_video_however_often_they_like(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell, 8)
    sign_up(client)
    for _ in range(3):
        report(
            client, *(event(kind, video) for video in videos for kind in ("like", "unlike", "like", "like"))
        )
    assert [client.get(f"/api/videos/{video}").json()["counts"]["likes"] for video in videos] == [1] * 8


def test_likes_beyond_what_is_remembered_of_a_viewer_are_counted_once_at_most() -> None:
    fold, counted = Fold(), 0
    everything = [f"{number:016x}" for number in range(MAX_COUNTED_LIKES + 5)]
    for video in everything * 3:
        liked = StoredEvent("like", video, "us:maker", 255, 0, 1_700_000_000_000)
        counted += fold.counts(liked)[1]
        fold.take(liked)
    assert counted <= len(everything)
    for video in everything:
        unliked = StoredEvent("unlike", video, "us:maker", 0, 0, 1_700_000_000_000)
        counted += fold.counts(unliked)[1]
        fold.take(unliked)
    assert counted == 0, "what was counted is taken back exactly"


def test_videos_withdrawn_in_number_cost_no_request_many_rankings(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_catalogue(cell, 400)
    sign_up(client)
    slate(client)
    with cell.database.write() as session:
        session.execute(
            text("UPDATE videos SET status = 'withdrawn' WHERE video_id > :last"), {"last": video_id(19)}
        )
    time.sleep(COUNTS_SECONDS + 0.1)
    slate(client, k=30)
    rankings = []
    true_rank = pipeline.rank

    def counted_rank(*given: Any) -> Any:
        rankings.append(1)
        return true_rank(*given)

    monkeypatch.setattr(pipeline, "rank", counted_rank)
    answer = slate(client, k=30)
    assert {item["video"]["video_id"] for item in answer["items"]} <= {video_id(n) for n in range(20)}
    assert len(rankings) <= 4
