"""A maker says for whom a video is, and takes it back: at every door, and in the ledger."""

import json
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select, text

from lightwell.oversight import replay
from lightwell.oversight.withdrawals import OpenedWithdrawal, Withdrawals
from lightwell.product import videos
from lightwell.product.accounts import ages
from lightwell.product.feed import records
from lightwell.product.videos import (
    VideoRow,
    WithdrawnVideoRow,
    public_video,
    receive_foreign,
    sealed_media,
    service,
)
from lightwell.recommender.record import seed_of
from lightwell.residency.cell import Cell
from lightwell.wire.commitment import opens
from lightwell.wire.entries import SlateServed, VideoWithdrawn, decode, withdrawal_digest
from tests.factories import clips
from tests.factories.catalogue import insert_catalogue, make_servable, sequence
from tests.factories.ledger import all_entries
from tests.factories.people import sign_up
from tests.factories.uploading import make_video, settled, working
from tests.scenarios.test_recommender_attacks import sources_of

Client = TestClient[Litestar]
YOUNG = (datetime.now(UTC) - timedelta(days=365 * 15)).date().isoformat()


def limit(cell: Cell, video: str, *, adult: bool = False, regions: tuple[str, ...] = ()) -> None:
    with cell.database.write() as session:
        row = session.get_one(VideoRow, video)
        row.adult, row.regions = adult, list(regions)


def slate(client: Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/feed", params={"k": 30, **query})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def shown(client: Client, **query: Any) -> set[str]:
    return {item["video"]["video_id"] for item in slate(client, **query)["items"]}


def record_of(client: Client, answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.get(f"/api/slates/{answer['proof']['leaf']}").json()["inputs"])
    return found


@pytest.fixture
def published(client: Client, cell: Cell) -> list[str]:
    """Twelve videos: the first for adults, the second not for this region, the third for it."""
    found = insert_catalogue(cell, 12)
    limit(cell, found[0], adult=True)
    limit(cell, found[1], regions=("sg",))
    limit(cell, found[2], regions=("us",))
    make_servable(cell)
    return found


@pytest.mark.parametrize("tab", ["for_you", "newest"])
def test_the_feed_keeps_to_the_viewers_age_and_region(client: Client, published: list[str], tab: str) -> None:
    sign_up(client, "young.one", birthday=YOUNG)
    assert shown(client, tab=tab) == set(published[2:])
    client.cookies.clear()
    sign_up(client, "grown.one")
    assert shown(client, tab=tab) == {published[0], *published[2:]}
    assert shown(client, tab="without_profiling") == set(published[2:])


def test_a_record_holds_whether_the_viewer_is_of_age_and_no_birthday(
    client: Client, published: list[str]
) -> None:
    sign_up(client, "grown.one")
    inputs = record_of(client, slate(client))
    assert inputs["viewer"]["adult"] is True
    assert "1994" not in json.dumps(inputs["viewer"] | {"watched": [], "seen": []})
    assert record_of(client, slate(client, tab="without_profiling"))["viewer"]["adult"] is False


def test_whoever_comes_of_age_is_so_on_the_day(client: Client, published: list[str]) -> None:
    today = datetime.now(UTC).date()
    leap = date(2008, 2, 29)
    assert ages.day_of_age(leap) == date(2026, 3, 1)
    # The latest birthday that is of age today, and the one after it.
    born = next(
        day
        for day in (today - timedelta(days=18 * 365 + back) for back in range(10))
        if ages.day_of_age(day) <= today
    )
    for handle, birthday, adult in (("just.now", born, True), ("in.a.day", born + timedelta(days=1), False)):
        client.cookies.clear()
        sign_up(client, handle, birthday=birthday.isoformat())
        assert record_of(client, slate(client))["viewer"]["adult"] is adult


def test_no_other_door_shows_what_is_limited(client: Client, cell: Cell, published: list[str]) -> None:
    adult, abroad, here = published[:3]
    for video, slug in ((adult, "adults-only"), (abroad, "not-in-region")):
        for path in (f"/api/videos/{video}", f"/media/videos/{video}/540.mp4", f"/v/{video}"):
            answer = client.get(path)
            assert answer.status_code == 403, path
            if path.startswith("/v/"):
                assert "for adults" in answer.text or "in this region" in answer.text
            else:
                assert answer.json()["type"] == f"urn:lightwell:problem:{slug}"
    assert client.get(f"/api/videos/{here}").json()["regions"] == ["us"]
    assert adult not in client.get("/@folds.0").text
    assert adult not in client.get("/").text
    sign_up(client, "grown.one")
    assert client.get(f"/api/videos/{adult}").json()["adult"] is True
    assert adult in client.get("/@folds.0").text
    assert client.get(f"/v/{adult}").status_code == 200
    assert client.get(f"/api/videos/{abroad}").status_code == 403


def test_a_maker_says_at_publishing_for_whom_a_video_is(client: Client, cell: Cell) -> None:
    account = sign_up(client, "mira.folds", birthday=YOUNG)
    with working(cell):
        video = make_video(client, clips.portrait().read_bytes(), adult=True, regions=["sg", "us"])
        made = settled(client, video)
    # All regions of the agreement is no limit.
    assert (made["status"], made["adult"], made["regions"]) == ("published", True, [])
    own = client.get(made["media"]["540"])
    assert (own.status_code, own.headers["cache-control"]) == (200, "private, no-store")
    with cell.database.read() as session:
        row = session.get_one(VideoRow, video)
        assert row.opening is not None
        permit = sealed_media.permit_for_owner(cell, account["account_id"])
        opening = cell.vault.unseal(
            permit, session, account["account_id"], "videos", "opening", video, row.opening
        )
        digest = service.publication_digest(row)
        row.adult = False
        assert service.publication_digest(row) != digest
        assert len(opening) == 16
        row.adult = True
        message = public_video(row)
    assert message.adult is True
    client.cookies.clear()
    assert client.get(made["media"]["poster"]).status_code == 403


def test_regions_that_the_agreement_does_not_know_are_refused(client: Client, cell: Cell) -> None:
    sign_up(client)
    answer = client.post(
        "/api/videos", json={"upload_id": secrets.token_hex(8), "regions": ["us", "atlantis"]}
    )
    assert answer.status_code == 422
    assert answer.json()["field"] == "regions"
    assert "atlantis" in answer.json()["detail"]


def test_limits_come_along_from_another_cell(client: Client, cell: Cell) -> None:
    files = ("540.mp4", "720.mp4", "poster.jpg")
    message = videos.PublicVideo(
        video_id="00000000000000aa", origin_cell="sg", creator_handle="far.one", creator_name="Far",
        caption="", hashtags=[], sound_title="", sound_artist="", duration_ms=1000, width=720, height=1280,
        published_at=1_760_000_000_000, adult=True, regions=["sg"], media=dict.fromkeys(files, "ab" * 32),
    )  # fmt: skip
    for name in files:
        cell.objects.put(f"videos/received/{name}", b"film")
    with cell.database.write() as session:
        receive_foreign(session, cell, message, {name: f"videos/received/{name}" for name in files})
    sign_up(client, "grown.one")
    answer = client.get("/api/videos/00000000000000aa")
    assert (answer.status_code, answer.json()["reason"]) == (403, "region")


# --- taken back


def own(cell: Cell, video: str, account_id: str) -> None:
    with cell.database.write() as session:
        session.execute(
            text("UPDATE videos SET account_id = :a WHERE video_id = :v"), {"a": account_id, "v": video}
        )


def withdrawn_entries(cell: Cell) -> list[tuple[int, VideoWithdrawn]]:
    found = enumerate(decode(data) for data in all_entries(cell.settings, cell.database))
    return [(index, entry) for index, entry in found if isinstance(entry, VideoWithdrawn)]


def outcome(cell: Cell, answer: dict[str, Any]) -> str:
    entries = all_entries(cell.settings, cell.database)
    index = entries.index(answer["proof"]["entry"].encode())
    entry = decode(entries[index])
    assert isinstance(entry, SlateServed)
    taken_back = withdrawn_entries(cell)
    with cell.database.read() as session:
        found = records.records_for_replay(cell, session, [bytes.fromhex(entry.commitment)])
        opened = videos.withdrawals_for_replay(
            session, [bytes.fromhex(one.commitment) for _, one in taken_back]
        )
    known = Withdrawals()
    known.take(taken_back, [OpenedWithdrawal(**one) for one in opened], len(entries))
    kept = {one["commitment"]: replay.SlateRecord(**one) for one in found}
    return replay.judge([(index, entry)], kept, sources_of(cell), cell.settings.cell, known)[0].outcome


def test_taking_back_a_published_video_is_an_entry_that_opens_to_it(
    client: Client, cell: Cell, published: list[str]
) -> None:
    account = sign_up(client)
    own(cell, published[5], account["account_id"])
    slate(client)
    assert client.delete(f"/api/videos/{published[5]}").status_code == 204
    sequence(cell)
    ((_, entry),) = withdrawn_entries(cell)
    with cell.database.read() as session:
        (row,) = session.scalars(select(WithdrawnVideoRow)).all()
    commitment = bytes.fromhex(entry.commitment)
    assert opens(commitment, "withdrawal", row.opening, withdrawal_digest(published[5]))
    assert not opens(commitment, "withdrawal", row.opening, withdrawal_digest(published[6]))
    assert client.delete(f"/api/videos/{published[5]}").status_code == 404


def test_a_slate_that_leaves_out_what_was_taken_back_replays_and_one_that_hides_does_not(
    client: Client, cell: Cell, published: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sign_up(client)
    own(cell, published[5], account["account_id"])
    client.delete(f"/api/videos/{published[5]}")
    honest = slate(client)
    assert record_of(client, honest)["withdrawn"] == [published[5]]
    # A cell that would rather not show a video says that it was taken back.
    with cell.database.write() as session:
        session.execute(text("UPDATE videos SET status = 'ready' WHERE video_id = :v"), {"v": published[6]})
    cards = client.app.state.feed._cards
    cards._kept.clear()
    hiding = slate(client)
    assert published[6] in record_of(client, hiding)["withdrawn"]
    sequence(cell)
    assert outcome(cell, honest) == "identical"
    assert outcome(cell, hiding) == "withdrawal-unproven"


def test_a_draft_that_is_removed_leaves_no_entry(client: Client, cell: Cell) -> None:
    sign_up(client)
    with working(cell):
        video = make_video(client, clips.portrait().read_bytes(), publish=False)
        assert settled(client, video)["status"] == "ready"
    assert client.delete(f"/api/videos/{video}").status_code == 204
    sequence(cell)
    assert withdrawn_entries(cell) == []


# --- the viewer's nonce


def test_all_chance_of_a_slate_follows_from_the_viewers_nonce(
    client: Client, cell: Cell, published: list[str]
) -> None:
    sign_up(client)
    nonce = secrets.token_hex(16)
    answers = [slate(client, nonce=nonce) for _ in range(2)]
    found = [record_of(client, answer) for answer in answers]
    assert all((one["nonce"], one["seed"]) == (nonce, seed_of(nonce)) for one in found)
    assert answers[0]["items"] == answers[1]["items"]
    assert answers[0]["proof"]["leaf"] != answers[1]["proof"]["leaf"]


def test_who_gives_no_nonce_reads_so_in_the_record(client: Client, published: list[str]) -> None:
    sign_up(client)
    found = [record_of(client, slate(client)) for _ in range(2)]
    assert [one["nonce"] for one in found] == ["", ""]
    assert found[0]["seed"] != found[1]["seed"]


@pytest.mark.parametrize("nonce", ["0", "g" * 32, "AB" * 16, "0" * 33, "0" * 31 + "\n", " " * 32])
def test_a_nonce_of_another_form_is_refused(client: Client, nonce: str) -> None:
    sign_up(client)
    answer = client.get("/api/feed", params={"nonce": nonce})
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["key"] == "nonce"
