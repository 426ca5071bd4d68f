"""The feed through HTTP, on both databases: committed, durable, private, replayable, live."""

import hashlib
import itertools
import json
import secrets
import time
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import text, update

from lightwell.ledger.models import LedgerState
from lightwell.ledger.sequencer import Sequencer
from lightwell.oversight.replay import SlateRecord
from lightwell.product.feed.padding import Padding
from lightwell.recommender import pipeline
from lightwell.recommender.policy import parse
from lightwell.recommender.record import read_inputs, slate_bytes
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell
from lightwell.wire import commitment, entries, signed_request
from lightwell.wire.keys import SigningKey, Verifier
from lightwell.wire.merkle import leaf_hash
from lightwell.wire.promise import open_promise
from tests.factories.catalogue import publish_catalogue, sequence, video_id
from tests.factories.ledger import all_entries
from tests.factories.people import sign_up

Client = TestClient[Litestar]
NO_BODY = hashlib.sha256(b"").hexdigest()


def event(kind: str, video: str, watch_ms: int = 0) -> dict[str, Any]:
    return {"event_id": secrets.token_hex(16), "kind": kind, "video_id": video, "watch_ms": watch_ms}


def report(client: Client, *events: dict[str, Any]) -> dict[str, int]:
    answer = client.post("/api/events", json={"events": list(events)})
    assert answer.status_code == 202, answer.text
    body: dict[str, int] = answer.json()
    return body


def slate(client: Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/feed", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def clean_room(client: Client, cell: Cell, path: str) -> Any:
    key = SigningKey.from_text(cell.settings.path("cleanroom.key").read_text())
    return client.get(path, headers=signed_request.headers(key, "GET", path, NO_BODY, int(time.time())))


def test_the_promise_and_the_commitment_of_a_slate_hold(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    answer = slate(client, k=5)
    proof = answer["proof"]
    entry = proof["entry"].encode()
    promise = open_promise(proof["promise"], Verifier.from_vkey(proof["vkey"]))
    assert promise.origin == "lightwell/us"
    assert promise.leaf_hash == leaf_hash(entry) == bytes.fromhex(proof["leaf"])
    shown = [
        {"score": item["score"], "source": item["source"], "video": item["video"]["video_id"]}
        for item in answer["items"]
    ]
    slate_digest = hashlib.sha256(
        json.dumps({"items": shown}, sort_keys=True, separators=(",", ":")).encode()
    ).digest()
    committed = commitment.commit(
        "slate", bytes.fromhex(proof["opening"]), bytes.fromhex(proof["inputs_digest"]), slate_digest
    )
    assert json.loads(entry)["commitment"] == committed.hex()


def test_a_slate_is_durable_with_its_entry_before_it_is_answered(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    leaf = slate(client)["proof"]["leaf"]
    with cell.database.read() as session:
        queued = session.execute(
            text("SELECT count(*) FROM ledger_entries WHERE leaf_hash = :leaf"), {"leaf": bytes.fromhex(leaf)}
        ).scalar()
        kept = session.execute(
            text("SELECT count(*) FROM slate_records WHERE leaf = :leaf"), {"leaf": bytes.fromhex(leaf)}
        ).scalar()
    assert (queued, kept) == (1, 1)


def test_an_entry_names_no_viewer_and_two_slates_share_nothing_stable(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    account = sign_up(client)
    first, second = (json.loads(slate(client)["proof"]["entry"]) for _ in range(2))
    assert account["account_id"] not in json.dumps(first)
    assert first["commitment"] != second["commitment"]
    assert set(first) == {"kind", "v", "at", "commitment", "snapshot", "policy"}
    assert first["at"] % 60 == 0


def test_only_the_viewer_reads_the_record_of_a_slate(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client, "mira.folds")
    answer = slate(client)
    leaf = answer["proof"]["leaf"]
    own = client.get(f"/api/slates/{leaf}").json()
    assert hashlib.sha256(own["inputs"].encode()).hexdigest() == answer["proof"]["inputs_digest"]
    client.cookies.clear()
    assert client.get(f"/api/slates/{leaf}").status_code == 401
    sign_up(client, "somebody.else")
    assert client.get(f"/api/slates/{leaf}").status_code == 404
    assert client.get("/api/slates/zz").status_code == 404


def test_the_clean_room_replays_every_slate_from_its_record_bit_for_bit(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell)
    sign_up(client)
    report(client, event("watch", videos[0], 8000), event("like", videos[4]), event("skip", videos[1], 300))
    slates = [slate(client, tab=tab) for tab in ("for_you", "newest", "following", "for_you")]
    wanted = ",".join(json.loads(answer["proof"]["entry"])["commitment"] for answer in slates)
    answer = clean_room(client, cell, f"/cleanroom/records?commitments={wanted}").json()
    assert len(answer["records"]) == 4
    assert answer["missing"] == []
    for record in answer["records"]:
        inputs = read_inputs(record["inputs"].encode())
        body = clean_room(client, cell, f"/cleanroom/snapshots/{inputs.snapshot}").content
        snapshot = Snapshot.from_bytes(body)
        assert snapshot.digest == inputs.snapshot
        policy = parse(clean_room(client, cell, f"/cleanroom/policies/{inputs.policy}").content)
        assert slate_bytes(pipeline.rank(snapshot, policy, inputs).slate) == record["slate"].encode()
    sequence(cell)
    kinds = [type(entries.decode(entry)).__name__ for entry in all_entries(cell.settings, cell.database)]
    assert "RecordsOpened" in kinds


def test_the_clean_rooms_doors_open_to_its_key_only(client: Client, cell: Cell) -> None:
    path = f"/cleanroom/records?commitments={'0' * 64}"
    assert client.get(path).status_code == 401
    other = SigningKey.generate("cleanroom-us", secrets.token_bytes(32))
    now = int(time.time())
    forged = signed_request.headers(other, "GET", path, NO_BODY, now)
    assert client.get(path, headers=forged).status_code == 401
    key = SigningKey.from_text(cell.settings.path("cleanroom.key").read_text())
    stale = signed_request.headers(key, "GET", path, NO_BODY, now - 3600)
    assert client.get(path, headers=stale).status_code == 401
    for_another_path = signed_request.headers(key, "GET", path + "1", NO_BODY, now)
    assert client.get(path, headers=for_another_path).status_code == 401


def test_a_record_altered_on_disk_is_reported_missing(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    entry = json.loads(slate(client)["proof"]["entry"])
    with cell.database.write() as session:
        sealed = session.execute(text("SELECT sealed FROM slate_records")).scalar()
        broken = bytearray(bytes(sealed))  # type: ignore[arg-type]
        broken[-20] ^= 1
        session.execute(text("UPDATE slate_records SET sealed = :b"), {"b": bytes(broken)})
    answer = clean_room(client, cell, f"/cleanroom/records?commitments={entry['commitment']}").json()
    assert answer == {"records": [], "missing": [entry["commitment"]]}


def test_the_next_slate_reflects_the_swipe_just_made(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    first = slate(client, k=3)["items"]
    shown = [item["video"]["video_id"] for item in first]
    report(client, *(event("watch", video, 8000) for video in shown))
    again = {item["video"]["video_id"] for item in slate(client, k=3)["items"]}
    assert not again & set(shown)


def test_two_viewers_of_distinct_tastes_get_different_feeds(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell, 60)
    feeds = []
    for number, handle in ((0, "first.viewer"), (2, "other.viewer")):
        sign_up(client, handle)
        liked = [event("watch", video, 8000) for video in videos[number:24:4]]
        rest = [event("skip", video, 200) for video in videos[:24] if video not in videos[number:24:4]]
        report(client, *liked, *rest)
        feeds.append([item["video"]["hashtags"][0] for item in slate(client, k=6)["items"]])
        client.cookies.clear()
    assert feeds[0].count("folds") > feeds[1].count("folds")
    assert feeds[1].count("kitchen") > feeds[0].count("kitchen")


def test_reasons_add_up_to_the_score(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell)
    sign_up(client)
    report(client, event("watch", videos[0], 8000), event("like", videos[4]))
    answer = slate(client)
    why = client.get(f"/api/slates/{answer['proof']['leaf']}/why").json()
    assert why["agrees"] is True
    shown = [item["video"]["video_id"] for item in answer["items"]]
    assert [item["video"] for item in why["items"]] == shown
    for item, shown in zip(why["items"], answer["items"], strict=True):
        assert sum(reason["points"] for reason in item["reasons"]) == item["score"] == shown["score"]
        assert all(reason["text"] for reason in item["reasons"])


def test_an_event_is_counted_once_however_often_it_is_sent(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    like = event("like", video_id(3))
    assert report(client, like) == {"accepted": 1, "duplicates": 0}
    assert report(client, like, event("like", video_id(3))) == {"accepted": 1, "duplicates": 1}
    assert client.get(f"/api/videos/{video_id(3)}").json()["counts"]["likes"] == 1
    report(client, event("unlike", video_id(3)), event("unlike", video_id(3)))
    assert client.get(f"/api/videos/{video_id(3)}").json()["counts"]["likes"] == 0


def test_what_a_viewer_did_is_folded_for_its_owner_and_sealed_on_disk(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    report(client, event("watch", video_id(0), 4000), event("follow", video_id(1)))
    report(client, event("hide", video_id(2)))
    state = client.get("/api/me/viewer").json()
    assert state["watched"][0] == {"video_id": video_id(0), "strength": 127}
    assert state["follows"] == ["us:harbour.0"]
    assert state["hidden"] == [video_id(2)]
    with cell.database.read() as session:
        for (sealed,) in session.execute(text("SELECT sealed FROM viewer_events")):
            assert video_id(0).encode() not in bytes(sealed)


@pytest.mark.parametrize(
    "bad",
    [
        event("like", "f" * 16),
        event("watch", video_id(0), -1),
        event("watch", video_id(0), 10**9),
        event("like", video_id(0)) | {"event_id": "short"},
        event("dance", video_id(0)),
        {"kind": "like"},
    ],
)
def test_a_bad_event_is_refused_and_none_of_its_batch_is_kept(
    client: Client, cell: Cell, bad: dict[str, Any]
) -> None:
    publish_catalogue(cell, 4)
    sign_up(client)
    answer = client.post("/api/events", json={"events": [event("like", video_id(1)), bad]})
    assert answer.status_code in (400, 422)
    assert client.get("/api/me/viewer").json()["events"] == 0


@pytest.mark.parametrize("query", [{"k": 0}, {"k": 31}, {"k": "many"}, {"tab": "secret"}])
def test_a_feed_request_out_of_bounds_is_a_problem(client: Client, cell: Cell, query: dict[str, Any]) -> None:
    sign_up(client)
    assert client.get("/api/feed", params=query).status_code == 400


def test_a_feed_without_a_published_snapshot_says_it_is_being_prepared(client: Client) -> None:
    sign_up(client)
    answer = client.get("/api/feed")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:lightwell:problem:feed-not-ready"


def test_nothing_serves_before_its_entry_is_in_the_ledger(client: Client, cell: Cell) -> None:
    from lightwell.product.feed.tasks import Trainer

    sign_up(client)
    Trainer(cell).publish_if_changed()
    assert client.get("/api/feed").status_code == 503
    sequence(cell)
    time.sleep(0.6)
    assert client.get("/api/feed").status_code == 200


def test_a_viewer_who_has_seen_everything_gets_no_error(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell, 6)
    sign_up(client)
    report(client, *(event("watch", video, 8000) for video in videos))
    shown = [item["video"]["video_id"] for item in slate(client)["items"]]
    assert len(shown) == len(set(shown))


def test_padding_fills_batches_and_the_clean_room_alone_can_tell_it(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    settings = msgspec.structs.replace(cell.settings, ledger_pad_to=8)
    key = cell.vault.signing_key("ledger")
    # Another process than the one that made the catalogue servable: it takes the lease over.
    with cell.database.write() as session:
        session.execute(update(LedgerState).values(holder="", lease_until=0))
    sequencer = Sequencer(settings, cell.database, key, Padding(cell).add)
    sizes = []
    for _ in range(3):
        slate(client)
        checkpoint = sequencer.run_once()
        assert checkpoint is not None
        sizes.append(checkpoint.size)
    sequencer.close()
    assert {later - earlier for earlier, later in itertools.pairwise(sizes)} == {8}
    served = [entries.decode(data) for data in all_entries(cell.settings, cell.database)]
    found = [entry for entry in served if isinstance(entry, entries.SlateServed)]
    commitments = ",".join(entry.commitment for entry in found)
    answer = clean_room(client, cell, f"/cleanroom/records?commitments={commitments}")
    judged = [msgspec.convert(record, SlateRecord) for record in answer.json()["records"]]
    assert len(judged) == len(found)
    assert sum(record.padding == "" for record in judged) == 3
    assert len({(e.at, e.snapshot, e.policy, len(e.commitment)) for e in found}) <= 2
