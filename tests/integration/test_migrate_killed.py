"""A migration that is killed, disturbed or run beside other processes loses nothing and doubles nothing."""

import copy
import dataclasses
import random
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event as happening

from lightwell.agreement import moving
from lightwell.apps.cli import main
from lightwell.apps.scan import search_folders
from lightwell.product import social
from lightwell.product.accounts import Account, AccountRow, by_handle, own_details, sign_in
from lightwell.product.accounts.service import Credentials
from lightwell.product.moving import Migration, MoveError, Progress, ending
from lightwell.product.videos import VideoCountRow
from lightwell.residency import presence
from lightwell.residency.cell import Cell
from lightwell.residency.presence import NotAloneError
from lightwell.wire import entries
from tests.factories.catalogue import sequence
from tests.factories.ledger import all_entries
from tests.factories.moving import VIDEO, arrived, count, found_three, move
from tests.factories.two_cells import PASSWORD, watch


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Cell, Cell]]:
    """`sg`, where three people of `us` are kept, and `us`, their home."""
    yield from found_three(tmp_path, "sqlite:///cell.db")


@pytest.fixture
def pair_from_each(tmp_path: Path, database_url: str) -> Iterator[tuple[Cell, Cell]]:
    """The same, the source on either engine."""
    yield from found_three(tmp_path, "sqlite:///cell.db", database_url)


_CHILD = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
import lightwell.apps.worker
from lightwell.product.moving import Migration
from lightwell.residency.cell import Cell

cells = [Cell.open(Path(folder)) for folder in sys.argv[1:3]]
left = int(sys.argv[3])

def commit(_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

for cell in cells:
    event.listen(cell.database.engine, "commit", commit)
Migration(*cells, "us", pause_seconds=0).run()
"""


class Death(BaseException):
    """Ends a run between two steps; nothing of ours catches it."""


# Less than a third of what a migration of three takes.
MOST_STEPS = 90
MOST_COMMITS = 8
MOST_DEATHS = 14


class Steps:
    """Counts every statement, commit and object that a migration touches, and ends it at the chosen one."""

    def __init__(self, *cells: Cell) -> None:
        self.taken, self.last = 0, 0
        self.commits, self.last_commit = 0, 0
        for cell in cells:
            happening.listen(cell.database.engine, "before_cursor_execute", self.take)
            happening.listen(cell.database.engine, "commit", self.take_commit)

    def die_at(self, step: int = 0, commit: int = 0) -> None:
        """Begin to count anew, and end it at that step or before that commit; 0 is never."""
        self.taken, self.last = 0, step
        self.commits, self.last_commit = 0, commit

    def take_commit(self, *_: object) -> None:
        """Take the step that makes all before it durable."""
        self.commits += 1
        if self.commits == self.last_commit:
            raise Death
        self.take()

    def take(self, *_: object) -> None:
        """Take a step; die if it is the last one."""
        self.taken += 1
        if self.taken == self.last:
            raise Death

    def on_objects(self, cell: Cell) -> Cell:
        """Return the cell with an object store whose calls are steps too."""
        objects = copy.copy(cell.objects)
        for name in ("get", "put", "list", "delete"):
            setattr(objects, name, self._with_step(getattr(cell.objects, name)))
        return dataclasses.replace(cell, objects=objects)

    def _with_step(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            self.take()
            return call(*given)

        return called


def _is_whole_somewhere(source: Cell, target: Cell, emails: dict[str, str]) -> None:
    """Each account is in the source as it was, or, if it is not there, opens in the target."""
    for handle, email in emails.items():
        for cell in (source, target):
            cell.vault.forget()
            with cell.database.read() as session:
                row = by_handle(session, handle)
                if row is None:
                    continue
                account = Account(row.account_id, handle, handle)
                assert own_details(cell, session, account)["email"] == email
                break
        else:
            pytest.fail(f"{handle} is in neither cell")


def test_a_migration_that_is_killed_goes_on_and_loses_nothing(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    folders = (source.settings.folder, target.settings.folder)
    source.close()
    target.close()
    killed = subprocess.run([sys.executable, "-c", _CHILD, *map(str, folders), "6"], timeout=240, check=False)
    assert killed.returncode == -signal.SIGKILL
    opened = Cell.open(folders[0]), Cell.open(folders[1])
    move(opened)
    arrived(*opened)
    for cell in opened:
        cell.close()


def test_one_that_was_killed_when_all_was_done_but_told_tells_it_again(pair: tuple[Cell, Cell]) -> None:
    _, made = move(pair)
    again, told = move(pair)
    assert told == made
    assert moving.read(again.note(), pair[1].roster) == made
    presence.require_free(pair[0])


def test_a_migration_killed_at_random_steps_loses_nothing_and_doubles_nothing(
    pair_from_each: tuple[Cell, Cell],
) -> None:
    source, target = pair_from_each
    emails = {handle: f"{handle}@canary-post.example" for handle in ("mira.folds", "noor.waits", "otis")}
    seed = secrets.randbelow(2**32)
    chance = random.Random(seed)
    steps = Steps(source, target)
    dying = [steps.on_objects(cell) for cell in (source, target)]
    deaths = 0
    while True:
        # Each run dies at another step, the last one at none.
        if deaths % 2:
            steps.die_at(step=chance.randint(1, MOST_STEPS))
        else:
            steps.die_at(commit=chance.randint(1, MOST_COMMITS))
        if deaths == MOST_DEATHS:
            steps.die_at()
        try:
            migration = Migration(dying[0], dying[1], "us", pause_seconds=0, at_once=1)
            made = migration.run()
            break
        except Death:
            deaths += 1
            steps.die_at()
            _is_whole_somewhere(source, target, emails)
    steps.die_at()
    assert deaths >= 3, f"seed {seed}"
    arrived(source, target)
    assert moving.read(migration.note(), target.roster) == made, f"seed {seed}"
    assert (made.accounts, made.refused, made.tables["viewer_events"]) == (3, 0, 2), f"seed {seed}"
    for cell in (source, target):
        sequence(cell)
        kinds = [type(entries.decode(data)).__name__ for data in all_entries(cell.settings, cell.database)]
        for kind in ("MigrationSent", "MigrationReceived", "MigrationErased"):
            assert kinds.count(kind) <= 1, f"seed {seed}"


_PROCESS = """
import sys
from pathlib import Path
from lightwell.apps.startup import open_cell
from lightwell.residency.cell import CellError

try:
    open_cell(Path(sys.argv[1]), "worker")
except CellError as error:
    sys.exit(f"refused: {error}")
print("open", flush=True)
sys.stdin.read()
"""


def _process(cell: Cell) -> "subprocess.Popen[str]":
    """Start a process of a cell, which works on it until its input ends; it has printed `open` or ended."""
    command = [sys.executable, "-c", _PROCESS, str(cell.settings.folder)]
    pipe = subprocess.PIPE
    started = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert started.stdout is not None
    started.stdout.readline()
    return started


def test_nobody_is_moved_while_a_process_of_the_source_runs_and_none_starts_until_it_is_done(
    pair: tuple[Cell, Cell], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = pair
    folders = ["--from", str(source.settings.folder), "--to", str(target.settings.folder)]
    running = _process(source)
    monkeypatch.setattr(sys, "argv", ["lightwell", "migrate", *folders, "--region", "us"])
    with pytest.raises(SystemExit) as ended:
        main()
    running.communicate()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "processes of cell sg run" in told
    assert count(target, AccountRow) == 0
    steps = Steps(source, target)
    steps.die_at(step=80)
    with pytest.raises(Death):
        Migration(source, target, "us", pause_seconds=0).run()
    steps.die_at()
    refused = _process(source)
    assert "an unfinished migration has cell sg to itself" in refused.communicate()[1]
    assert refused.returncode == 1
    move(pair)
    presence.require_free(source)
    arrived(source, target)


@pytest.mark.postgres
def test_nobody_is_moved_while_others_are_connected_to_the_sources_server(
    tmp_path: Path, pair_from_each: tuple[Cell, Cell]
) -> None:
    source, target = pair_from_each
    if source.database.is_sqlite:
        return
    with psycopg.connect(source.database.url.replace("+psycopg", "")) as other:
        other.execute("SELECT 1")
        with pytest.raises(NotAloneError, match="1 others are connected to the database of cell sg"):
            move(pair_from_each)
    move(pair_from_each)
    assert count(target, AccountRow) == 3


def test_it_does_not_end_while_a_reader_keeps_the_sources_old_pages(
    pair: tuple[Cell, Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pair
    monkeypatch.setattr(ending, "_BUSY_SECONDS", 0.2)
    reader = sqlite3.connect(source.settings.folder / "cell.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM accounts").fetchone()
    with pytest.raises(MoveError, match="somebody reads the source's database"):
        move(pair)
    reader.close()
    move(pair)
    arrived(source, target)
    assert not search_folders([source.settings.folder], ["mira.folds", "canary caption of"])[0]


def test_what_happens_to_an_account_after_it_was_copied_is_not_lost(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    with source.database.read() as session:
        noor = by_handle(session, "noor.waits")
    assert noor is not None
    late = [secrets.token_hex(16)]

    def one_more(stand: Progress) -> None:
        if late and stand.doing == "moving":
            with source.database.read() as session:
                is_there = by_handle(session, "noor.waits") is not None
            if is_there:
                watch(source, noor.account_id, social.Event(late.pop(), "like", VIDEO))
                with source.database.write() as session:
                    session.get_one(VideoCountRow, VIDEO).shares += 5

    Migration(source, target, "us", tell=one_more, pause_seconds=0).run()
    assert not late
    with target.database.read() as session:
        assert session.get_one(VideoCountRow, VIDEO).shares == 15
        assert list(social.viewer_state(target, session, noor.account_id).likes) == [VIDEO]


def test_an_account_that_lived_on_in_both_cells_is_told_and_erased_in_neither(
    pair: tuple[Cell, Cell],
) -> None:
    source, target = pair

    def live_on(stand: Progress) -> None:
        if stand.doing == "moving":
            for cell in pair:
                with cell.database.read() as session:
                    if by_handle(session, "otis") is None:
                        return
            for cell in pair:
                sign_in(cell, Credentials("otis", PASSWORD), "127.5.5.5")

    migration = Migration(source, target, "us", tell=live_on, pause_seconds=0)
    migration.run()
    assert migration.refused() == [("otis", "changed-in-both")]
    for cell in pair:
        sign_in(cell, Credentials("otis", PASSWORD), "127.0.0.1")
