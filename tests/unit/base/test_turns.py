"""Writers of one database wait for each other in turn; rows they write are kept whole or not at all."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from lightwell.base.db import Database, Model, Write
from lightwell.base.turns import Turn
from lightwell.residency.presence_models import Reservation

_INSERT = f"INSERT INTO {Reservation.__tablename__} (work, since) VALUES (?, ?)"
_HOLD = """
import sys
from pathlib import Path
from lightwell.base.turns import Turn
with Turn(Path(sys.argv[1])).taken():
    print("held", flush=True)
    sys.stdin.read()
"""


_FORK_AND_HOLD = """
import os, sys, time
from pathlib import Path
from lightwell.base.turns import Turn
with Turn(Path(sys.argv[1])).taken():
    child = os.fork()
    if not child:
        os.close(1)
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def database(database_url: str) -> Database:
    made = Database(database_url)
    Model.metadata.create_all(made.engine, [Model.metadata.tables["reservations"]])
    return made


def _started(code: str, file: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that runs some code about a file, and the first line that it said."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code, str(file)], **pipes)  # type: ignore[call-overload]
    return process, process.stdout.readline()


def _works(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.execute(text("SELECT work FROM reservations")).scalars())


def _write_and(database: Database, then: Callable[[Write], object]) -> None:
    with database.write_rows() as write:
        write(_INSERT, [("d", 1)])
        then(write)


def test_a_turn_is_had_by_one_process_at_a_time_and_by_the_next_when_that_one_is_killed(
    tmp_path: Path,
) -> None:
    turn = Turn(tmp_path / "x")
    other, said = _started(_HOLD, tmp_path / "x")
    assert said == "held\n"
    with turn.taken_if_free() as is_mine:
        assert not is_mine
    threading.Timer(0.2, other.kill).start()
    began = time.monotonic()
    with turn.taken():
        assert time.monotonic() - began > 0.1
    other.communicate()
    with turn.taken_if_free() as is_mine:
        assert is_mine
    turn.close()


def test_a_turn_ends_with_its_process_though_one_that_it_forked_lives_on(tmp_path: Path) -> None:
    holder, said = _started(_FORK_AND_HOLD, tmp_path / "x")
    child = int(said)
    turn = Turn(tmp_path / "x")
    try:
        with turn.taken_if_free() as is_mine:
            assert not is_mine
        holder.kill()
        holder.wait()
        with turn.taken_if_free() as is_mine:
            assert is_mine
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        turn.close()


def test_a_turn_is_had_by_one_thread_at_a_time_which_may_take_it_again(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "x")
    seen: list[bool] = []

    def look() -> None:
        with turn.taken_if_free() as is_mine:
            seen.append(is_mine)

    def look_from_elsewhere() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    with turn.taken(), turn.taken():
        look()
        look_from_elsewhere()
    look_from_elsewhere()
    assert seen == [True, False, True]
    turn.close()


def test_rows_written_together_are_all_kept_or_none(database: Database) -> None:
    with database.write_rows() as write:
        write(_INSERT, [("a", 1), ("b", 2)])
        write(_INSERT, [("c", 3)])
    assert _works(database) == ["a", "b", "c"]
    for fault, then in (
        (IntegrityError, lambda write: write(_INSERT, [("a", 2)])),
        (DBAPIError, lambda write: write("INSERT INTO nowhere VALUES (?)", [(1,)])),
        (ZeroDivisionError, lambda _: 1 // 0),
    ):
        with pytest.raises(fault):
            _write_and(database, then)
    assert _works(database) == ["a", "b", "c"]
    with database.write_rows() as write:
        write(_INSERT, [("d", 1)])
    assert _works(database) == ["a", "b", "c", "d"]
    database.dispose()


def test_a_writer_waits_for_one_that_takes_no_turn(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    Model.metadata.create_all(database.engine, [Model.metadata.tables["reservations"]])
    stranger = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    stranger.execute("BEGIN IMMEDIATE")
    stranger.execute(_INSERT, ("stranger", 1))
    threading.Timer(0.2, lambda: stranger.execute("COMMIT")).start()
    with database.turn_if_free() as is_mine, database.write_rows() as write:
        assert is_mine
        write(_INSERT, [("mine", 1)])
    assert _works(database) == ["mine", "stranger"]
    database.dispose()


def test_a_tended_log_begins_anew_though_its_writer_leaves_it_alone(tmp_path: Path) -> None:
    writer, tender = (Database(f"sqlite:///{tmp_path / 'x.db'}") for _ in range(2))
    Model.metadata.create_all(writer.engine, [Model.metadata.tables["reservations"]])
    writer.leave_log_alone()
    log = tmp_path / "x.db-wal"

    def write_some(round_number: int) -> None:
        for number in range(30):
            with writer.write_rows() as write:
                write(_INSERT, [(f"{round_number} {number} {at} {'x' * 1000}", 1) for at in range(60)])

    write_some(0)
    # More than an embedded database's own thousand pages, so that the commits left it alone.
    grown = log.stat().st_size
    assert grown > 2_000 * 4096
    for round_number in range(1, 4):
        tender.tend_log()
        write_some(round_number)
    assert log.stat().st_size < 2 * grown
    tender.tend_log()
    alone = tmp_path / "alone.db"
    alone.write_bytes((tmp_path / "x.db").read_bytes())
    with sqlite3.connect(alone) as copied:
        assert copied.execute("SELECT count(*) FROM reservations").fetchone() == (4 * 30 * 60,)
    for database in (writer, tender):
        database.dispose()
