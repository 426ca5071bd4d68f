"""Events kept in NATS JetStream by a setting: sealed, counted once, in order, refused while it is away."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import text

from lightwell.apps.web import build_app
from lightwell.base.db import WriteSession
from lightwell.base.settings import write
from lightwell.base.stream import Stream, StreamError
from lightwell.product import social
from lightwell.residency.cell import Cell, CellError
from tests import nats_server
from tests.conftest import missing
from tests.factories.catalogue import insert_catalogue, video_id
from tests.factories.cells import found_cell
from tests.factories.events import event, known_of, report
from tests.factories.people import sign_up

Client = TestClient[Litestar]
pytestmark = pytest.mark.nats


@pytest.fixture
def server() -> Iterator[nats_server.NatsServer]:
    if not nats_server.is_installed():
        missing("NATS")
    running = nats_server.NatsServer()
    yield running
    running.stop()


@pytest.fixture
def streaming(database_url: str, tmp_path: Path, server: nats_server.NatsServer) -> Iterator[Cell]:
    """A founded cell that keeps its events in the server's stream."""
    founded = found_cell(tmp_path / "us", database_url)
    write(msgspec.structs.replace(founded.settings, events=server.url))
    founded.close()
    opened = Cell.open(tmp_path / "us")
    yield opened
    opened.close()


@pytest.fixture
def browser(streaming: Cell) -> Iterator[Client]:
    with TestClient(build_app(streaming), base_url="http://us.test") as opened:
        yield opened


def events(cell: Cell, after: int = 0, limit: int = 1000) -> list[tuple[int, str, social.StoredEvent]]:
    with cell.database.read() as session:
        return social.events_since(cell, session, after, limit)


def test_events_go_to_the_stream_sealed_and_none_to_the_table(
    browser: Client, streaming: Cell, server: nats_server.NatsServer
) -> None:
    insert_catalogue(streaming, 8)
    account = sign_up(browser)["account_id"]
    report(browser, event("watch", video_id(1), 8000), event("like", video_id(2)))
    report(browser, event("follow", video_id(3)))
    assert known_of(browser)["likes"] == [video_id(2)]
    found = events(streaming)
    assert [(who, stored.kind, stored.video_id) for _, who, stored in found] == [
        (account, "watch", video_id(1)),
        (account, "like", video_id(2)),
        (account, "follow", video_id(3)),
    ]
    assert events(streaming, after=found[1][0], limit=1) == found[2:]
    with streaming.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM viewer_events")).scalar() == 0
    beside = Stream(server.url, "lightwell-us-events", "lightwell.us.events")
    for _, _, content in beside.read(0, 100):
        for shown in (video_id(1).encode(), bytes.fromhex(video_id(1)), b"watch", b"harbour"):
            assert shown not in content
    beside.close()
    with streaming.database.write() as session:
        stored = social.viewer_state(streaming, session, account)
        assert social.refold(streaming, session, account) == stored


def test_an_event_reported_again_is_counted_once_in_fold_counts_and_stream(
    browser: Client, streaming: Cell
) -> None:
    insert_catalogue(streaming, 8)
    sign_up(browser)
    batch = [event("watch", video_id(1), 8000), event("share", video_id(1))]
    assert report(browser, *batch) == {"accepted": 2, "duplicates": 0}
    report(browser, *(event("watch", video_id(n), 8000) for n in range(8)))
    assert report(browser, *batch, event("like", video_id(1))) == {"accepted": 1, "duplicates": 2}
    assert known_of(browser)["events"] == 11
    assert len(events(streaming)) == 11
    counts = browser.get(f"/api/videos/{video_id(1)}").json()["counts"]
    assert counts == {"views": 1, "likes": 1, "shares": 1}


def test_a_crash_after_the_stream_and_before_the_fold_loses_and_doubles_nothing(
    browser: Client, streaming: Cell
) -> None:
    insert_catalogue(streaming, 8)
    account = sign_up(browser)["account_id"]
    cut_off = [event("watch", video_id(1), 8000), event("like", video_id(2))]
    session = WriteSession(streaming.database.engine)
    social.record(streaming, session, account, [msgspec.convert(one, social.Event) for one in cut_off])
    session.rollback()
    session.close()
    assert known_of(browser)["events"] == 0
    assert len(events(streaming)) == 2
    # The browser was not answered and reports again.
    assert report(browser, *cut_off) == {"accepted": 2, "duplicates": 0}
    assert report(browser, *cut_off) == {"accepted": 0, "duplicates": 2}
    assert known_of(browser)["likes"] == [video_id(2)]
    assert len(events(streaming)) == 2


def test_nothing_is_acknowledged_while_the_stream_is_away(
    browser: Client, streaming: Cell, server: nats_server.NatsServer
) -> None:
    insert_catalogue(streaming, 8)
    sign_up(browser)
    report(browser, event("like", video_id(1)))
    server.halt()
    late = event("like", video_id(2))
    answer = browser.post("/api/events", json={"events": [late]})
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:lightwell:problem:events-not-kept"
    assert known_of(browser)["likes"] == [video_id(1)]
    server.start()
    for _ in range(1000):
        time.sleep(0.1)
        answer = browser.post("/api/events", json={"events": [late]})
        if answer.status_code == 202:
            break
    assert answer.json() == {"accepted": 1, "duplicates": 0}
    assert [stored.video_id for _, _, stored in events(streaming)] == [video_id(1), video_id(2)]


def test_a_stream_that_is_away_is_an_error_and_no_hang() -> None:
    stream = Stream("nats://127.0.0.1:9", "nowhere", "nowhere")
    with pytest.raises(StreamError):
        stream.append([("a", "b", b"c")])
    stream.close()


def test_an_erased_viewers_events_in_the_stream_train_nothing(browser: Client, streaming: Cell) -> None:
    insert_catalogue(streaming, 8)
    erased = sign_up(browser, "soon.gone")["account_id"]
    report(browser, *(event("watch", video_id(n), 8000) for n in range(6)))
    sign_up(browser, "still.here")
    report(browser, event("watch", video_id(7), 8000))
    with streaming.database.write() as session:
        streaming.vault.destroy(session, erased)
    assert [stored.video_id for _, _, stored in events(streaming, limit=3)] == [video_id(7)]


def test_a_place_for_events_that_is_neither_table_nor_nats_is_refused(tmp_path: Path) -> None:
    founded = found_cell(tmp_path / "us", f"sqlite:///{tmp_path / 'test.db'}")
    write(msgspec.structs.replace(founded.settings, events="kafka://127.0.0.1"))
    founded.close()
    with pytest.raises(CellError, match="nats://host:port"):
        Cell.open(tmp_path / "us")
