"""The door of the feed: what it refuses, that sign-ins end at once, and what it says at the feed's end."""

import asyncio
import json
import secrets
import threading
from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import bindparam, literal_column, select, text
from sqlalchemy.exc import OperationalError

from lightwell.base.db import Database, Statement
from lightwell.base.errors import Problem
from lightwell.ledger.queue import prepare
from lightwell.product.accounts import Account, current_account
from lightwell.product.feed import cards as feed_cards
from lightwell.product.feed import records, service
from lightwell.product.feed.cards import Cards
from lightwell.product.feed.group_commit import GroupCommit, Prepared
from lightwell.product.feed.models import SlateRecordRow
from lightwell.product.videos import VideoCountRow
from lightwell.recommender import pipeline
from lightwell.residency.cell import Cell
from lightwell.wire import entries
from lightwell.wire.entries import SlateServed
from lightwell.wire.promise import open_promise
from tests.factories.catalogue import insert_catalogue, publish_catalogue
from tests.factories.ledger import all_entries
from tests.factories.people import sign_up

Client = TestClient[Litestar]


def slate(client: Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/feed", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def watch(client: Client, *videos: str) -> None:
    events = [
        {"event_id": secrets.token_hex(16), "kind": "watch", "video_id": video, "watch_ms": 8000}
        for video in videos
    ]
    assert client.post("/api/events", json={"events": events}).status_code == 202


def prepared(account_id: str) -> Prepared:
    commitment = secrets.token_bytes(32)
    entry = SlateServed(at=0, commitment=commitment.hex(), snapshot="0" * 64, policy="0" * 64)
    return Prepared(account_id, commitment, b"sealed", prepare(entry))


@pytest.mark.parametrize("query", ["k=0", "k=31", "k=ten", "k=1e1", "k=%D9%A3", "k=", "tab=secret", "tab="])
def test_a_request_out_of_bounds_is_told_which_field_is_wrong(client: Client, query: str) -> None:
    sign_up(client)
    answer = client.get(f"/api/feed?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["fields"][0]["key"] == query.partition("=")[0]


def test_the_feed_is_read_and_nothing_else(client: Client) -> None:
    sign_up(client)
    for method in ("HEAD", "POST", "PUT", "DELETE", "PATCH"):
        answer = client.request(method, "/api/feed")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["type"] == "urn:lightwell:problem:method-not-allowed"


@pytest.mark.parametrize(
    "cookie", ["", "lightwell_session=", "lightwell_session=\x80", "other=1; lightwell_session=no"]
)
def test_a_stranger_gets_no_slate(client: Client, cookie: str) -> None:
    answer = client.get("/api/feed", headers={"cookie": cookie.encode("latin-1")} if cookie else {})
    assert answer.status_code == 401


def test_a_session_ended_elsewhere_is_over_at_once(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    slate(client)
    with cell.database.write() as session:
        # As another process does it: nothing of this one is told.
        session.execute(text("DELETE FROM sessions"))
    assert client.get("/api/feed").status_code == 401


def test_answers_carry_the_headers_of_every_page_and_are_not_kept(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    headers = client.get("/api/feed").headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "application/json"
    assert "content-security-policy" in headers


def test_who_has_seen_everything_is_told_so_and_shown_nothing_twice(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell, 6)
    sign_up(client)
    first = slate(client)
    assert first["exhausted"] is True
    shown = [item["video"]["video_id"] for item in first["items"]]
    assert len(shown) == len(set(shown))
    watch(client, *videos)
    assert slate(client) | {"proof": None} == {"items": [], "exhausted": True, "proof": None}
    assert slate(client, tab="newest", k=2)["exhausted"] is True


def test_a_full_slate_does_not_say_that_it_is_all(client: Client, cell: Cell) -> None:
    publish_catalogue(cell, 24)
    sign_up(client)
    assert slate(client, k=5)["exhausted"] is False


def test_a_feed_without_profiling_is_ranked_from_a_record_without_the_viewer(
    client: Client, cell: Cell
) -> None:
    videos = publish_catalogue(cell)
    sign_up(client)
    watch(client, *videos[:3])
    assert client.put("/api/me/profiling", json={"profiling": False}).status_code == 200
    answer = slate(client)
    assert answer["items"]
    record = client.get(f"/api/slates/{answer['proof']['leaf']}").json()
    inputs = json.loads(record["inputs"])
    assert inputs["request"]["tab"] == "without_profiling"
    viewer = inputs["viewer"]
    assert viewer.pop("region") == "us"
    assert not any(viewer.values())


def test_a_card_is_what_the_video_itself_answers(client: Client, cell: Cell) -> None:
    publish_catalogue(cell, 4)
    sign_up(client)
    for item in slate(client)["items"]:
        assert item["video"] == client.get(f"/api/videos/{item['video']['video_id']}").json()


def test_what_people_write_cannot_break_out_of_a_card(client: Client, cell: Cell) -> None:
    videos = publish_catalogue(cell, 3)
    caption = '"counts":{"views":0,"likes":0,"shares":0} ☂ \\ "}'
    with cell.database.write() as session:
        session.execute(text("UPDATE videos SET caption = :c"), {"c": caption})
    sign_up(client)
    items = slate(client)["items"]
    assert {item["video"]["caption"] for item in items} == {caption}
    assert {item["video"]["video_id"] for item in items} == set(videos)


def test_a_withdrawn_video_is_gone_from_cards_within_a_second_and_counts_move(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = insert_catalogue(cell, 3)
    moment = [100.0]
    monkeypatch.setattr(feed_cards.time, "monotonic", lambda: moment[0])
    cards = Cards(cell.database)
    assert set(cards.of(videos)) == set(videos)
    with cell.database.write() as session:
        session.execute(text("UPDATE videos SET status = 'ready' WHERE video_id = :v"), {"v": videos[0]})
        session.execute(text("UPDATE video_counts SET likes = 7 WHERE video_id = :v"), {"v": videos[1]})
    assert json.loads(cards.of(videos)[videos[1]].shown)["counts"]["likes"] == 0
    moment[0] += feed_cards.COUNTS_SECONDS + 0.01
    found = cards.of(videos)
    assert set(found) == set(videos[1:])
    assert json.loads(found[videos[1]].shown)["counts"] == {"views": 0, "likes": 7, "shares": 0}


def test_why_is_told_to_the_viewer_alone_and_of_slates_that_exist(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client, "mira.folds")
    leaf = slate(client)["proof"]["leaf"]
    assert client.get(f"/api/slates/{leaf}/why").json()["agrees"] is True
    assert client.get(f"/api/slates/{'0' * 64}/why").status_code == 404
    assert client.get("/api/slates/zz/why").status_code == 404
    client.cookies.clear()
    assert client.get(f"/api/slates/{leaf}/why").status_code == 401
    sign_up(client, "somebody.else")
    assert client.get(f"/api/slates/{leaf}/why").status_code == 404


def test_why_says_so_when_a_record_does_not_lead_to_its_slate(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    leaf = slate(client, k=3)["proof"]["leaf"]
    _reseal(
        cell,
        bytes.fromhex(leaf),
        lambda record: [record[0], record[1].replace(b'"score":', b'"score":1'), record[2]],
    )
    assert client.get(f"/api/slates/{leaf}/why").json()["agrees"] is False


def _reseal(cell: Cell, leaf: bytes, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Alter a sealed record as only somebody with the cell's keys could."""
    import msgspec

    from lightwell.product.feed import records
    from lightwell.product.feed.models import SlateRecordRow
    from lightwell.residency.decide import Principal, Resource

    with cell.database.write() as session:
        row = session.get_one(SlateRecordRow, leaf)
        resource = Resource(
            category="user.behavior.browsing_history", residency="protected", owner=row.account_id
        )
        permit = cell.decider.decide(Principal(kind="process", id="x", role="cleanroom"), "replay", resource)
        record = records.open_record(cell, session, permit, row)
        changed = msgspec.msgpack.encode(change([record.inputs, record.slate, record.opening]))
        row.sealed = cell.vault.seal(
            session, row.account_id, "slate_records", "sealed", row.commitment.hex(), changed
        )


def test_slates_asked_for_together_share_one_transaction_and_each_has_its_promise(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sign_up(client)["account_id"]
    key = cell.vault.signing_key("ledger")
    commits: list[object] = []
    write_rows = cell.database.write_rows
    monkeypatch.setattr(cell.database, "write_rows", lambda: commits.append(1) or write_rows())
    commit = GroupCommit(cell.database, key, "lightwell/us")
    slates = [prepared(account) for _ in range(20)]

    async def ask() -> list[str]:
        return await asyncio.gather(*(commit.durable(one) for one in slates))

    promises = asyncio.run(ask())
    commit.close()
    assert len(commits) == 1
    for one, promise in zip(slates, promises, strict=True):
        assert open_promise(promise, key.verifier()).leaf_hash == one.entry.leaf_hash
    queued = [entry for entry in all_entries(cell.settings, cell.database) if b"SlateServed" in entry]
    assert len(queued) == len(slates)
    assert all(isinstance(entries.decode(entry), SlateServed) for entry in queued)


def test_a_slate_of_an_erased_account_gets_no_promise_and_harms_no_other(client: Client, cell: Cell) -> None:
    account = sign_up(client)["account_id"]
    commit = GroupCommit(cell.database, cell.vault.signing_key("ledger"), "lightwell/us")
    good, gone = prepared(account), prepared("f" * 16)

    async def ask() -> list[str | BaseException]:
        return await asyncio.gather(commit.durable(gone), commit.durable(good), return_exceptions=True)

    refused, promise = asyncio.run(ask())
    commit.close()
    assert isinstance(refused, Problem)
    assert refused.status == 401
    assert isinstance(promise, str)
    with cell.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM slate_records")).scalar() == 1


def test_an_account_without_its_key_is_signed_in_nowhere(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    account = sign_up(client)["account_id"]
    slate(client)
    with cell.database.write() as session:
        cell.vault.destroy(session, account)
    assert client.get("/api/feed").status_code == 401
    assert client.get("/api/me/viewer").status_code == 401


def test_mass_withdrawal_is_recorded_and_ranks_a_few_times_only(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = publish_catalogue(cell, 120)
    with cell.database.write() as session:
        for video in videos[:114]:
            session.execute(text("UPDATE videos SET status = 'ready' WHERE video_id = :v"), {"v": video})
    ranks: list[object] = []
    rank = pipeline.rank
    monkeypatch.setattr(pipeline, "rank", lambda *given: ranks.append(given) or rank(*given))
    sign_up(client)
    answer = slate(client)
    assert {item["video"]["video_id"] for item in answer["items"]} == set(videos[114:])
    assert len(ranks) <= 4
    ranks.clear()
    assert {item["video"]["video_id"] for item in slate(client)["items"]} == set(videos[114:])
    assert len(ranks) <= 3
    assert client.get(f"/api/slates/{answer['proof']['leaf']}/why").json()["agrees"] is True


def test_more_withdrawn_than_a_record_holds_is_shown_as_withdrawn(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = publish_catalogue(cell, 12)
    with cell.database.write() as session:
        session.execute(text("UPDATE videos SET status = 'ready' WHERE video_id <> :v"), {"v": videos[0]})
    monkeypatch.setattr(service, "MOST_WITHDRAWN", 3)
    sign_up(client)
    items = slate(client)["items"]
    assert len(items) == 10
    assert all(item["video"]["status"] in ("published", "withdrawn") for item in items)
    assert "media" not in items[-1]["video"] or "media" not in items[0]["video"]


def test_while_another_process_writes_slates_wait_and_whoever_asks_other_things_does_not(
    client: Client, cell: Cell
) -> None:
    account = sign_up(client)["account_id"]
    commit = GroupCommit(cell.database, cell.vault.signing_key("ledger"), "lightwell/us")
    other = Database(cell.settings.database_url)
    free = threading.Event()
    has_begun = threading.Event()

    def write_for_long() -> None:
        with other.write() as session:
            session.execute(text("UPDATE accounts SET handle = handle"))
            has_begun.set()
            free.wait(10)

    async def ask() -> int:
        # The first one shows that the disk is quick: from then on the loop itself would write.
        await commit.durable(prepared(account))
        writer = asyncio.create_task(asyncio.to_thread(write_for_long))
        await asyncio.to_thread(has_begun.wait, 10)
        slate = asyncio.create_task(commit.durable(prepared(account)))
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.01)
            turns += 1
        # A database with a server has no such turns: nobody waits there.
        assert slate.done() is not cell.database.is_sqlite
        free.set()
        assert await asyncio.wait_for(slate, 10)
        await writer
        return turns

    assert asyncio.run(ask()) == 20
    commit.close()
    other.dispose()


def test_a_viewer_who_leaves_meanwhile_hinders_nobody(client: Client, cell: Cell) -> None:
    account = sign_up(client)["account_id"]
    commit = GroupCommit(cell.database, cell.vault.signing_key("ledger"), "lightwell/us")

    async def ask() -> str:
        leaving = asyncio.create_task(commit.durable(prepared(account)))
        staying = asyncio.create_task(commit.durable(prepared(account)))
        await asyncio.sleep(0)
        leaving.cancel()
        return await asyncio.wait_for(staying, 10)

    assert asyncio.run(ask())
    commit.close()


def test_slates_drafted_together_are_each_their_viewers_own_and_a_strangers_request_ends_alone(
    client: Client, cell: Cell
) -> None:
    publish_catalogue(cell, 40)
    slate_of = {}
    for name in ("ana.quiet", "bo_lines", "cy"):
        account = sign_up(client, name)["account_id"]
        slate_of[str(client.cookies["lightwell_session"])] = account
        slate(client)
    feed = service.Feed(cell)

    async def ask() -> list[bytes | BaseException]:
        tokens = [*slate_of, "nobody's"] * 3
        return await asyncio.gather(
            *(feed.answer(token, "for_you", 5, nonce=f"{at:032x}") for at, token in enumerate(tokens)),
            return_exceptions=True,
        )

    answers = asyncio.run(ask())
    feed.close()
    for at, (account, answer) in enumerate(zip([*slate_of.values(), None] * 3, answers, strict=True)):
        if account is None:
            assert isinstance(answer, Problem)
            assert answer.status == 401
            continue
        assert isinstance(answer, bytes)
        leaf = bytes.fromhex(json.loads(answer)["proof"]["leaf"])
        with cell.database.read() as session:
            row = session.get_one(SlateRecordRow, leaf)
            assert row.account_id == account
            record, _ = records.own_record(cell, session, Account(account, "", ""), leaf)
        assert f"{at:032x}".encode() in record.inputs


def test_a_block_of_statements_reads_once_and_the_next_sees_what_came_since(cell: Cell) -> None:
    if not cell.database.is_sqlite:
        pytest.skip("a database with a server gives each statement what is committed by then")
    (video,) = insert_catalogue(cell, 1)
    counted = Statement(select(VideoCountRow.likes).where(VideoCountRow.video_id == bindparam("v")), "v")
    (before,) = counted.one(cell.database, video) or (None,)
    with cell.database.one_read():
        assert counted.one(cell.database, video) == (before,)
        with cell.database.write() as session:
            session.execute(text("UPDATE video_counts SET likes = likes + 1"))
        assert counted.one(cell.database, video) == (before,)
    assert counted.one(cell.database, video) == (before + 1,)
    wrong = Statement(select(literal_column("nothing_of_that_name")))
    with pytest.raises(OperationalError), cell.database.one_read():
        wrong.one(cell.database)
    assert counted.one(cell.database, video) == (before + 1,)


def test_a_statement_sees_what_is_committed_and_only_that(client: Client, cell: Cell) -> None:
    from sqlalchemy import bindparam, select

    from lightwell.product.accounts import AccountRow

    asked = Statement(
        select(AccountRow.handle).where(AccountRow.account_id == bindparam("account_id")), "account_id"
    )
    account = sign_up(client, "mira.folds")["account_id"]
    assert asked.one(cell.database, account) == ("mira.folds",)
    with cell.database.write() as session:
        session.execute(text("UPDATE accounts SET handle = 'other'"))
        assert asked.one(cell.database, account) == ("mira.folds",)
    assert asked.one(cell.database, account) == ("other",)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(asked.one(cell.database, account)))
    thread.start()
    thread.join()
    assert found == [("other",)]
    assert asked.one(cell.database, "nobody") is None
    with pytest.raises(ValueError, match="values"):
        Statement(select(AccountRow.handle).where(AccountRow.account_id == bindparam("a")), "b").one(
            cell.database, ""
        )


@pytest.mark.postgres
def test_a_statement_outlives_the_servers_closing_of_its_connection(client: Client, cell: Cell) -> None:
    if cell.database.is_sqlite:
        pytest.skip("SQLite has no server")
    sign_up(client)
    assert current_account(cell, "nobody") is None
    with cell.database.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert current_account(cell, "nobody") is None


def test_a_statement_that_fails_says_so(cell: Cell) -> None:
    from sqlalchemy import select

    from lightwell.product.accounts import AccountRow

    with cell.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE accounts RENAME TO elsewhere"))
    try:
        with pytest.raises(Exception, match="accounts") as failed:
            Statement(select(AccountRow.handle)).all(cell.database)
        assert isinstance(failed.value, OperationalError) or not cell.database.is_sqlite
    finally:
        with cell.database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO accounts"))
