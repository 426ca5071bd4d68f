"""Events through HTTP, on both databases: counted once, folded as they come, limited, refused when wrong."""

import dataclasses
import random
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import text

from lightwell.apps.web import build_app
from lightwell.product import social
from lightwell.product.social import state
from lightwell.product.social.state import MAX_LIKES
from lightwell.residency.cell import Cell
from tests.factories.catalogue import insert_catalogue, publish_catalogue, video_id
from tests.factories.events import event, known_of, report
from tests.factories.people import sign_up

Client = TestClient[Litestar]
KINDS = ["watch", "skip", "like", "unlike", "follow", "unfollow", "share", "hide", "unhide"]
KINDS += ["block", "unblock", "mute", "unmute"]


@pytest.fixture
def narrow(cell: Cell) -> Iterator[Client]:
    """A client of the cell where one viewer may report 200 events at once and then 500 a second."""
    settings = msgspec.structs.replace(cell.settings, viewer_events_at_once=200, viewer_events_per_second=500)
    app = build_app(dataclasses.replace(cell, settings=settings))
    with TestClient(app, base_url="http://us.test") as opened:
        yield opened


def counts(client: Client, video: str) -> dict[str, int]:
    found: dict[str, int] = client.get(f"/api/videos/{video}").json()["counts"]
    return found


def all_events(cell: Cell, after: int = 0, limit: int = 100_000) -> list[tuple[int, str, social.StoredEvent]]:
    with cell.database.read() as session:
        return social.events_since(cell, session, after, limit)


def test_stored_state_is_the_fold_of_all_events(client: Client, cell: Cell) -> None:
    videos = insert_catalogue(cell, 300)
    account = sign_up(client)["account_id"]
    rng = random.Random(4)
    for _ in range(12):
        batch = [event(rng.choice(KINDS), rng.choice(videos), rng.randrange(9000)) for _ in range(90)]
        report(client, *batch)
    client.put("/api/me/profiling", json={"profiling": False})
    with cell.database.read() as session:
        stored = social.viewer_state(cell, session, account)
    with cell.database.write() as session:
        again = social.refold(cell, session, account)
    assert stored.events == 12 * 90 + 1
    assert again == stored
    # Dictionaries compare without order; the order is part of the state.
    assert [list(getattr(again, name)) for name in ("watched", "seen", "likes", "follows", "hidden")] == [
        list(getattr(stored, name)) for name in ("watched", "seen", "likes", "follows", "hidden")
    ]
    with cell.database.read() as session:
        assert social.viewer_state(cell, session, account) == stored


def test_state_is_read_from_one_row_not_from_the_events(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 8)
    sign_up(client)
    report(client, event("watch", video_id(1), 8000), event("like", video_id(2)))
    before = known_of(client)
    with cell.database.write() as session:
        session.execute(text("DELETE FROM viewer_events"))
    assert known_of(client) == before
    with cell.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM viewer_states")).scalar() == 1


def test_state_on_disk_shows_neither_videos_nor_creators(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    sign_up(client)
    report(client, event("watch", video_id(1), 8000), event("follow", video_id(1)))
    with cell.database.read() as session:
        sealed = bytes(session.execute(text("SELECT sealed FROM viewer_states")).scalar_one())
    for shown in (video_id(1).encode(), bytes.fromhex(video_id(1)), b"harbour"):
        assert shown not in sealed


def test_state_of_one_viewer_does_not_open_as_anothers(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    first = sign_up(client, "first.viewer")["account_id"]
    report(client, event("watch", video_id(1), 8000))
    second = sign_up(client, "other.viewer")["account_id"]
    report(client, event("watch", video_id(2), 8000))
    with cell.database.write() as session:
        session.execute(
            text(
                "UPDATE viewer_states SET sealed = (SELECT sealed FROM viewer_states WHERE account_id = :a)"
                " WHERE account_id = :b"
            ),
            {"a": first, "b": second},
        )
    with cell.database.read() as session, pytest.raises(ValueError, match="does not open here"):
        social.viewer_state(cell, session, second)


def test_a_state_altered_on_disk_is_made_anew_from_the_events(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    sign_up(client)
    report(client, event("watch", video_id(1), 8000), event("like", video_id(2)))
    with cell.database.write() as session:
        sealed = bytearray(session.execute(text("SELECT sealed FROM viewer_states")).scalar_one())
        sealed[-1] ^= 1
        session.execute(text("UPDATE viewer_states SET sealed = :b"), {"b": bytes(sealed)})
    report(client, event("watch", video_id(3), 8000))
    state = known_of(client)
    assert (state["events"], state["likes"]) == (3, [video_id(2)])
    assert state["seen"] == [video_id(1), video_id(2), video_id(3)]


def test_an_altered_event_is_left_out_of_training_and_of_a_fold_made_anew(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    account = sign_up(client)["account_id"]
    report(client, event("watch", video_id(1), 8000), event("like", video_id(2)))
    with cell.database.write() as session:
        session.execute(text("UPDATE viewer_events SET sealed = :b WHERE sequence = 1"), {"b": b"\x01" * 80})
    assert [stored.video_id for _, _, stored in all_events(cell)] == [video_id(2)]
    with cell.database.write() as session:
        assert list(social.refold(cell, session, account).seen) == [video_id(2)]


def test_an_erased_viewers_events_train_nothing_and_stop_nobody(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 8)
    erased = sign_up(client, "soon.gone")["account_id"]
    report(client, *(event("watch", video_id(n), 8000) for n in range(6)))
    kept = sign_up(client, "still.here")["account_id"]
    report(client, event("watch", video_id(7), 8000))
    with cell.database.write() as session:
        cell.vault.destroy(session, erased)
    # A batch smaller than the gap: it neither ends there nor stands still.
    found = all_events(cell, limit=2)
    assert [(account, stored.video_id) for _, account, stored in found] == [(kept, video_id(7))]
    with cell.database.write() as session:
        session.execute(text("DELETE FROM accounts WHERE account_id = :a"), {"a": erased})
    with cell.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM viewer_states")).scalar() == 1
        assert session.execute(text("SELECT count(*) FROM viewer_events")).scalar() == 1


def test_a_number_is_not_given_again_when_the_newest_events_are_erased(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    erased = sign_up(client, "soon.gone")["account_id"]
    report(client, event("watch", video_id(0), 8000), event("watch", video_id(1), 8000))
    last = all_events(cell)[-1][0]
    with cell.database.write() as session:
        session.execute(text("DELETE FROM accounts WHERE account_id = :a"), {"a": erased})
    sign_up(client, "still.here")
    report(client, event("watch", video_id(2), 8000))
    assert [stored.video_id for _, _, stored in all_events(cell, after=last)] == [video_id(2)]


def test_a_batch_sent_again_is_known_and_moves_nothing(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    sign_up(client)
    batch = [event("watch", video_id(0), 8000), event("share", video_id(0)), event("like", video_id(1))]
    assert report(client, *batch) == {"accepted": 3, "duplicates": 0}
    state = known_of(client)
    assert report(client, *batch) == {"accepted": 0, "duplicates": 3}
    assert report(client, batch[0], batch[0], event("like", video_id(2))) == {"accepted": 1, "duplicates": 2}
    assert known_of(client)["events"] == state["events"] + 1
    assert counts(client, video_id(0)) == {"views": 1, "likes": 0, "shares": 1}


def test_one_viewer_moves_the_counts_of_a_video_once_an_hour(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    sign_up(client)
    for _ in range(3):
        report(client, *(event(kind, video_id(0), 8000) for kind in ("watch", "share", "skip", "watch")))
    assert counts(client, video_id(0)) == {"views": 1, "likes": 0, "shares": 1}
    repeats = [(stored.kind, stored.repeat) for _, _, stored in all_events(cell)]
    assert [kind for kind, repeat in repeats if not repeat] == ["watch", "share"]
    assert len(repeats) == 12


def test_a_like_counts_once_even_after_more_likes_than_the_feed_is_told_of(
    client: Client, cell: Cell
) -> None:
    videos = insert_catalogue(cell, MAX_LIKES + 20)
    sign_up(client)
    for first in range(0, len(videos), 100):
        report(client, *(event("like", video) for video in videos[first : first + 100]))
    assert len(known_of(client)["likes"]) == MAX_LIKES
    report(client, event("like", videos[0]))
    assert counts(client, videos[0])["likes"] == 1
    report(client, event("unlike", videos[1]), event("unlike", videos[1]))
    assert counts(client, videos[1])["likes"] == 0


def test_likes_that_are_not_remembered_are_not_counted_again(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MAX_LIKES", 5)
    monkeypatch.setattr(state, "MAX_COUNTED_LIKES", 10)
    videos = insert_catalogue(cell, 30)
    sign_up(client)
    for _ in range(3):
        report(client, *(event("like", video) for video in videos))
    assert sum(counts(client, video)["likes"] for video in videos) == 10
    report(client, *(event("unlike", video) for video in videos))
    assert [counts(client, video)["likes"] for video in videos] == [0] * 30
    assert known_of(client)["likes"] == []


def test_what_was_imported_is_folded_once_with_its_own_times(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 8)
    account = sign_up(client)["account_id"]
    hour = 3_600_000
    past = [
        social.StoredEvent("watch", video_id(n % 4), "us:folds.0", 200, 5000, (400_000 + n) * hour)
        for n in range(3000)
    ]
    for stored in (3000, 0):
        with cell.database.write() as session:
            assert social.import_past(cell, session, account, past) == stored
    found = all_events(cell)
    assert [one.at for _, _, one in found] == [one.at for one in past]
    assert not any(one.repeat for _, _, one in found)
    assert list(known_of(client)["seen"])[-1] == video_id(3)
    assert report(client, event("like", video_id(5))) == {"accepted": 1, "duplicates": 0}
    with cell.database.write() as session:
        refolded = social.refold(cell, session, account)
    assert refolded.events == 3001


def test_a_flood_from_one_viewer_is_told_when_to_come_back(narrow: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    sign_up(narrow, "flooding.viewer")
    report(narrow, *(event("watch", video_id(0), 100) for _ in range(200)))
    refused = narrow.post("/api/events", json={"events": [event("like", video_id(1)) for _ in range(200)]})
    assert refused.status_code == 429
    assert refused.json()["type"] == "urn:lightwell:problem:too-many-events"
    assert int(refused.headers["retry-after"]) >= 1
    assert known_of(narrow)["events"] == 200
    flooding = dict(narrow.cookies)
    narrow.cookies.clear()
    sign_up(narrow, "calm.viewer")
    report(narrow, event("like", video_id(2)))
    narrow.cookies.clear()
    narrow.cookies.update(flooding)
    time.sleep(int(refused.headers["retry-after"]) + 0.1)
    report(narrow, event("like", video_id(1)))
    assert known_of(narrow)["events"] == 201


def test_the_limit_of_one_viewer_holds_across_processes(narrow: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    account = sign_up(narrow)["account_id"]
    report(narrow, *(event("watch", video_id(0), 100) for _ in range(200)))
    slow = msgspec.structs.replace(cell.settings, viewer_events_at_once=200, viewer_events_per_second=1)
    other = dataclasses.replace(cell, settings=slow)
    events = [msgspec.convert(event("like", video_id(1)), social.Event) for _ in range(100)]
    with cell.database.write() as session, pytest.raises(Exception, match="More events than one person"):
        social.record(other, session, account, events)


@pytest.mark.parametrize(
    ("bad", "slug"),
    [
        (event("like", "0" * 15), "unknown-video"),
        (event("like", "0" * 15 + "\x00"), "unknown-video"),
        (event("like"), "unknown-video"),
        (event("like", "e" * 16), "unknown-video"),
        (event("watch", video_id(0), -1), "absurd-watch-time"),
        (event("watch", video_id(0), 2**63), "absurd-watch-time"),
        (event("watch", video_id(0), 600_001), "absurd-watch-time"),
        (event("watch", video_id(0)) | {"watch_ms": 2**70}, "absurd-watch-time"),
        (event("watch", video_id(0)) | {"watch_ms": 5.5}, "bad-request"),
        (event("watch", video_id(0), 5, at_ms=4_102_444_800_000), "bad-request"),
        (event("follow", creator="us:folds.0"), "bad-creator"),
        (event("unblock", video_id(0), creator="us:folds.0"), "bad-creator"),
        (event("unblock", creator="US:folds 0"), "bad-creator"),
        (event("profiling", video_id(0)), "bad-request"),
        (event("like", video_id(0)) | {"event_id": "G" * 32}, "bad-event-id"),
    ],
)
def test_a_wrong_event_is_refused_with_its_reason_and_nothing_is_kept(
    client: Client, cell: Cell, bad: dict[str, Any], slug: str
) -> None:
    insert_catalogue(cell, 4)
    sign_up(client)
    answer = client.post("/api/events", json={"events": [event("like", video_id(1)), bad]})
    assert answer.status_code in (400, 422)
    assert answer.json()["type"] == f"urn:lightwell:problem:{slug}"
    assert known_of(client)["events"] == 0
    assert all_events(cell) == []


@pytest.mark.parametrize("many", [0, 201])
def test_a_batch_holds_1_to_200_events(client: Client, cell: Cell, many: int) -> None:
    insert_catalogue(cell, 4)
    sign_up(client)
    answer = client.post("/api/events", json={"events": [event("like", video_id(1)) for _ in range(many)]})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:lightwell:problem:bad-batch"


def test_whoever_is_not_signed_in_reports_nothing(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    answer = client.post("/api/events", json={"events": [event("like", video_id(1))]})
    assert answer.status_code == 401
    assert client.put("/api/me/profiling", json={"profiling": False}).status_code == 401


def test_blocking_and_muting_a_maker_can_be_undone_without_a_video_of_theirs(
    client: Client, cell: Cell
) -> None:
    insert_catalogue(cell, 8)
    sign_up(client)
    report(client, event("follow", video_id(0)), event("follow", video_id(1)))
    report(client, event("block", video_id(0)), event("mute", video_id(2)))
    state = known_of(client)
    assert (state["blocked"], state["muted"]) == (["us:folds.0"], ["us:kitchen.0"])
    assert state["follows"] == ["us:harbour.0"]
    with cell.database.write() as session:
        session.execute(text("DELETE FROM videos"))
    report(client, event("unblock", creator="us:folds.0"), event("unmute", creator="us:kitchen.0"))
    report(client, event("unfollow", creator="us:harbour.0"))
    state = known_of(client)
    assert (state["blocked"], state["muted"], state["follows"]) == ([], [], [])


def test_next_slate_shows_no_maker_who_was_just_blocked_or_muted(client: Client, cell: Cell) -> None:
    publish_catalogue(cell, 24)
    sign_up(client)
    makers = [item["video"]["creator"]["handle"] for item in client.get("/api/feed?k=20").json()["items"]]
    assert {"folds.0", "kitchen.0"} <= set(makers)
    report(client, event("block", video_id(0)), event("mute", video_id(2)))
    for tab in ("for_you", "newest"):
        shown = client.get("/api/feed", params={"k": 20, "tab": tab}).json()["items"]
        assert shown
        assert not {"folds.0", "kitchen.0"} & {item["video"]["creator"]["handle"] for item in shown}


def test_record_of_a_slate_without_profiling_holds_nothing_the_viewer_did(client: Client, cell: Cell) -> None:
    publish_catalogue(cell, 24)
    sign_up(client)
    report(
        client, event("watch", video_id(1), 8000), event("like", video_id(2)), event("follow", video_id(3))
    )
    client.put("/api/me/profiling", json={"profiling": False})
    leaf = client.get("/api/feed").json()["proof"]["leaf"]
    inputs = client.get(f"/api/slates/{leaf}").json()["inputs"]
    for number in (1, 2, 3):
        assert video_id(number) not in inputs
    assert "signals.0" not in inputs
    assert "without_profiling" in inputs


def test_what_was_hidden_can_be_shown_again(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 4)
    sign_up(client)
    report(client, event("hide", video_id(0)), event("hide", video_id(1)))
    report(client, event("unhide", video_id(0)))
    assert known_of(client)["hidden"] == [video_id(1)]


def test_the_choice_against_profiling_is_kept(client: Client, cell: Cell) -> None:
    sign_up(client)
    assert known_of(client)["without_profiling"] is False
    assert client.put("/api/me/profiling", json={"profiling": False}).json() == {"profiling": False}
    assert known_of(client)["without_profiling"] is True
    assert client.put("/api/me/profiling", json={"profiling": True}).status_code == 200
    assert known_of(client)["without_profiling"] is False
    assert client.put("/api/me/profiling", json={"profiling": "no"}).status_code == 400
