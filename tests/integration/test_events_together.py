"""Events taken by several processes and transactions at once: none lost, none twice, none passed over."""

import asyncio
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import text

from lightwell.base.db import WriteSession
from lightwell.product import social
from lightwell.residency.cell import Cell
from tests.factories.catalogue import insert_catalogue, video_id
from tests.factories.people import sign_up

Client = TestClient[Litestar]


@pytest.fixture
def other(cell: Cell) -> Iterator[Cell]:
    """The same cell as another process opens it: nothing in memory is shared."""
    opened = Cell.open(cell.settings.folder)
    yield opened
    opened.close()


def watch(video: str, watch_ms: int = 8000) -> social.Event:
    return social.Event(secrets.token_hex(16), "watch", video, watch_ms)


def take(cell: Cell, account: str, *events: social.Event) -> tuple[int, int]:
    with cell.database.write() as session:
        return social.record(cell, session, account, events)


def state(cell: Cell, account: str) -> social.ViewerState:
    with cell.database.read() as session:
        return social.viewer_state(cell, session, account)


def stored_ids(cell: Cell) -> list[str]:
    with cell.database.read() as session:
        return list(session.execute(text("SELECT event_id FROM viewer_events ORDER BY sequence")).scalars())


def test_what_one_process_takes_every_process_knows_at_once(client: Client, cell: Cell, other: Cell) -> None:
    insert_catalogue(cell, 8)
    account = sign_up(client)["account_id"]
    for number in range(4):
        taker, reader = (cell, other) if number % 2 else (other, cell)
        assert len(state(reader, account).seen) == number
        take(taker, account, watch(video_id(number)))
        assert list(state(reader, account).seen)[-1] == video_id(number)
    assert state(cell, account) == state(other, account)


def test_a_batch_sent_to_two_processes_at_once_is_counted_once(
    client: Client, cell: Cell, other: Cell
) -> None:
    insert_catalogue(cell, 8)
    account = sign_up(client)["account_id"]
    for number in range(6):
        events = [watch(video_id(number)), watch(video_id(number + 1))]
        start = threading.Barrier(2)
        answers: queue.Queue[tuple[int, int]] = queue.Queue()

        def send(
            taker: Cell,
            events: list[social.Event] = events,
            start: threading.Barrier = start,
            answers: queue.Queue[tuple[int, int]] = answers,
        ) -> None:
            start.wait()
            answers.put(take(taker, account, *events))

        senders = [threading.Thread(target=send, args=(taker,)) for taker in (cell, other)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(120)
        assert sorted([answers.get(timeout=5), answers.get(timeout=5)]) == [(0, 2), (2, 0)]
    assert state(cell, account).events == 12
    assert len(stored_ids(cell)) == 12
    assert client.get(f"/api/videos/{video_id(3)}").json()["counts"]["views"] == 1


def test_what_was_rolled_back_was_never_there(client: Client, cell: Cell, other: Cell) -> None:
    insert_catalogue(cell, 8)
    account = sign_up(client)["account_id"]
    event = watch(video_id(1))
    session = WriteSession(cell.database.engine)
    assert social.record(cell, session, account, [event]) == (1, 0)
    session.rollback()
    session.close()
    assert state(cell, account) == social.ViewerState()
    assert client.get(f"/api/videos/{video_id(1)}").json()["counts"]["views"] == 0
    # The number that was not used may be another event's now; nothing remembers the first.
    take(other, account, watch(video_id(2)))
    assert list(state(cell, account).seen) == [video_id(2)]
    assert take(cell, account, event) == (1, 0)


def test_no_acknowledged_event_is_lost_when_its_process_is_killed(client: Client, cell: Cell) -> None:
    videos = insert_catalogue(cell, 8)
    account = sign_up(client)["account_id"]
    acknowledged: list[str] = []
    for seed in range(3):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.integration.reporting_viewer"),
                *(str(cell.settings.folder), account, str(seed), *videos),
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(0.05 * seed)
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
        acknowledged += [one for line in lines if line.endswith("\n") for one in line.split()]
    assert acknowledged
    stored = stored_ids(cell)
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    before = state(cell, account)
    assert before.events == len(stored)
    with cell.database.write() as session:
        assert social.refold(cell, session, account) == before
    again = [social.Event(one, "watch", videos[0], 100) for one in acknowledged[-4:]]
    assert take(cell, account, *again) == (0, 4)


def test_a_reader_passes_over_no_event_that_commits_late(client: Client, cell: Cell, other: Cell) -> None:
    if cell.database.is_sqlite:
        pytest.skip("an embedded database has one writer at a time")
    insert_catalogue(cell, 8)
    slow = sign_up(client, "slow.viewer")["account_id"]
    quick = sign_up(client, "quick.viewer")["account_id"]
    numbered, commit = threading.Event(), threading.Event()

    def take_slowly() -> None:
        with cell.database.write() as session:
            social.record(cell, session, slow, [watch(video_id(1))])
            numbered.set()
            assert commit.wait(30)

    late = threading.Thread(target=take_slowly)
    late.start()
    assert numbered.wait(30)
    early = threading.Thread(target=take, args=(other, quick, watch(video_id(2))))
    early.start()
    seen: list[tuple[int, str]] = []
    position = 0

    def read() -> None:
        nonlocal position
        with other.database.read() as session:
            for number, account, _ in social.events_since(other, session, position, 100):
                seen.append((number, account))
                position = number

    for _ in range(5):
        time.sleep(0.05)
        read()
    commit.set()
    late.join(30)
    early.join(30)
    read()
    assert {account for _, account in seen} == {slow, quick}
    assert seen == sorted(seen)


def test_viewers_who_report_the_same_videos_in_two_processes_do_not_stop_each_other(
    client: Client, cell: Cell, other: Cell
) -> None:
    videos = insert_catalogue(cell, 12)
    accounts = [sign_up(client, f"viewer.{n}")["account_id"] for n in range(4)]
    faults: list[Exception] = []

    def send(taker: Cell, mine: list[str], order: int) -> None:
        try:
            for _ in range(12):
                for account in mine:
                    take(taker, account, *(watch(video) for video in videos[::order]))
        except Exception as fault:  # noqa: BLE001  shown to the test, which fails of it
            faults.append(fault)

    threads = [
        threading.Thread(target=send, args=(cell, accounts, 1)),
        threading.Thread(target=send, args=(other, accounts[::-1], -1)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not faults
    assert [state(cell, account).events for account in accounts] == [2 * 12 * 12] * 4


def test_a_viewer_whose_key_is_gone_takes_no_other_batch_along(client: Client, cell: Cell) -> None:
    insert_catalogue(cell, 8)
    gone = sign_up(client, "soon.gone")["account_id"]
    here = sign_up(client, "still.here")["account_id"]
    take(cell, gone, watch(video_id(1)))
    with cell.database.write() as session:
        cell.vault.destroy(session, gone)

    async def both() -> list[tuple[int, int] | BaseException]:
        intake = social.Intake(cell)
        try:
            return await asyncio.gather(
                *(intake.durable(account, [watch(video_id(2))]) for account in (gone, here)),
                return_exceptions=True,
            )
        finally:
            intake.close()

    refused, taken = asyncio.run(both())
    assert taken == (1, 0)
    assert getattr(refused, "status", None) == 401
    assert len(stored_ids(cell)) == 2


def test_a_batch_that_cannot_be_kept_fails_alone(client: Client, cell: Cell, other: Cell) -> None:
    insert_catalogue(cell, 8)
    broken = sign_up(client, "broken.key")["account_id"]
    here = [sign_up(client, f"still.here{n}")["account_id"] for n in range(3)]
    with cell.database.write() as session:
        session.execute(
            text("UPDATE account_keys SET wrapped = :b WHERE account_id = :a"), {"a": broken, "b": b"x" * 60}
        )

    async def together() -> list[tuple[int, int] | BaseException]:
        intake = social.Intake(other)
        try:
            sent = (intake.durable(account, [watch(video_id(2))]) for account in (here[0], broken, *here[1:]))
            return await asyncio.gather(*sent, return_exceptions=True)
        finally:
            intake.close()

    answers = asyncio.run(together())
    assert isinstance(answers.pop(1), BaseException)
    assert answers == [(1, 0)] * 3
