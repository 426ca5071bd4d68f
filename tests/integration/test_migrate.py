"""Accounts move into their home cell: complete, compared, resumable, erased where they were, and proven."""

import copy
import dataclasses
import json
import random
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from sqlalchemy import event as happening
from sqlalchemy import func, select
from typer.testing import CliRunner

from lightwell.agreement import moving
from lightwell.agreement.roster import dump_roster
from lightwell.apps.cli import app, main
from lightwell.apps.demo.check.search import search_folders
from lightwell.base.errors import Problem
from lightwell.product import social
from lightwell.product.accounts import Account, AccountRow, by_handle, own_details, sign_in
from lightwell.product.accounts.service import Credentials
from lightwell.product.moving import Migration, MovedRow, MoveError, Progress, ending
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.product.videos.media import FILES
from lightwell.residency import key_uses, presence
from lightwell.residency.cell import Cell
from lightwell.residency.keys import VaultError
from lightwell.residency.keys_models import AccountKey
from lightwell.residency.presence import NotAloneError
from lightwell.wire import entries
from tests.factories.catalogue import sequence
from tests.factories.cells import fresh_key
from tests.factories.ledger import all_entries
from tests.factories.two_cells import PASSWORD, found_pair, live, publish, watch

VIDEO = "00000000000f00d0"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Cell, Cell]]:
    """`sg`, where three people of `us` are kept, and `us`, their home."""
    yield from _found(tmp_path, "sqlite:///cell.db")


@pytest.fixture
def pair_on_each(tmp_path: Path, database_url: str) -> Iterator[tuple[Cell, Cell]]:
    """The same, the target on either engine."""
    yield from _found(tmp_path, database_url)


@pytest.fixture
def pair_from_each(tmp_path: Path, database_url: str) -> Iterator[tuple[Cell, Cell]]:
    """The same, the source on either engine."""
    yield from _found(tmp_path, "sqlite:///cell.db", database_url)


def _found(
    folder: Path, target_url: str, source_url: str = "sqlite:///cell.db"
) -> Iterator[tuple[Cell, Cell]]:
    source, target = found_pair(folder, source_url, target_url)
    mira, noor = live(source, "mira.folds"), live(source, "noor.waits")
    live(source, "otis")
    publish(source, mira, "mira.folds", VIDEO)
    watch(
        source,
        noor,
        social.Event(secrets.token_hex(16), "watch", VIDEO, 7000),
        social.Event(secrets.token_hex(16), "follow", VIDEO),
    )
    yield source, target
    source.close()
    target.close()


def _move(pair: tuple[Cell, Cell], handles: list[str] | None = None) -> tuple[Migration, moving.Certificate]:
    migration = Migration(*pair, "us", pause_seconds=0)
    return migration, migration.run(handles)


def _count(cell: Cell, model: Any) -> int:
    with cell.database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def _arrived(source: Cell, target: Cell) -> None:
    """Everything of the three is in the target, once, and opens there."""
    account, _ = sign_in(target, Credentials("mira.folds", PASSWORD), "127.0.0.1")
    with target.database.read() as session:
        details = own_details(target, session, account)
        assert details["email"] == "mira.folds@canary-post.example"
        assert details["address"] == "12 mira.folds Canary Row"
        noor = by_handle(session, "noor.waits")
        assert noor is not None
        state = social.viewer_state(target, session, noor.account_id)
        assert list(state.watched) == [VIDEO]
        # Followed as somebody of the source; she is of the target now.
        assert list(state.follows) == ["us:mira.folds"]
        assert state.events == 2
        video = session.get_one(VideoRow, VIDEO)
        assert (video.origin_cell, video.account_id) == ("us", account.account_id)
        counts = session.get_one(VideoCountRow, VIDEO)
        assert (counts.views, counts.likes, counts.shares) >= (30, 20, 10)
    for name in FILES:
        assert target.objects.get(f"videos/{VIDEO}/{name}") == f"film of mira.folds {name}".encode()
    assert _count(target, AccountRow) == 3
    assert _count(source, AccountRow) == 0
    assert _count(source, AccountKey) == 0
    assert _count(source, VideoRow) == 0
    assert not list(source.objects.list("videos"))
    assert not list(source.objects.list("drafts"))
    assert _count(target, MovedRow) == 0


def test_accounts_move_with_all_that_belongs_to_them(pair_on_each: tuple[Cell, Cell]) -> None:
    source, target = pair_on_each
    _, made = _move(pair_on_each)
    _arrived(source, target)
    assert (made.accounts, made.refused) == (3, 0)
    assert made.tables["accounts"] == 3
    assert made.tables["viewer_events"] == 2
    assert made.tables["videos"] == 2
    assert made.objects == len(FILES) + 1
    with pytest.raises(Problem):
        sign_in(source, Credentials("mira.folds", PASSWORD), "127.0.0.1")


def test_an_email_is_found_by_the_targets_own_index(pair: tuple[Cell, Cell]) -> None:
    _move(pair)
    with pytest.raises(Problem) as refusal:
        live(pair[1], "somebody.else", email="MIRA.folds@canary-post.example")
    assert refusal.value.slug == "email-taken"


def test_the_ledgers_of_both_cells_say_what_was_moved(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    _, made = _move(pair)
    for cell, kinds in ((source, {"MigrationSent", "MigrationErased"}), (target, {"MigrationReceived"})):
        sequence(cell)
        texts = [data.decode() for data in all_entries(cell.settings, cell.database)]
        facts = [entries.decode(text.encode()) for text in texts]
        assert kinds <= {type(fact).__name__ for fact in facts}
        assert {made.sent, made.erased} <= set(texts) or made.received in texts
        assert "mira" not in "".join(texts)
    with source.database.read() as session:
        assert session.get(VideoRow, VIDEO) is None
    assert "VideoWithdrawn" in "".join(d.decode() for d in all_entries(source.settings, source.database))


def test_a_scan_of_the_sources_bytes_finds_nothing_of_what_was_moved(pair: tuple[Cell, Cell]) -> None:
    source, _ = pair
    values = ["mira.folds", "noor.waits", "the canary caption of", "Canary Row", "canary-post.example"]
    with source.database.read() as session:
        sealed = session.scalars(select(AccountRow.email)).all()
    folder = source.settings.folder
    before = {values[find.value] for find in search_folders([folder], values)[0]}
    assert {"mira.folds", "noor.waits", "the canary caption of"} <= before
    _move(pair)
    found, size = search_folders([folder], values)
    assert size > 10_000
    assert not found, found
    raw = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert not [one for one in sealed if bytes(one) in raw]


def test_a_backup_of_the_source_opens_nothing_afterwards(pair: tuple[Cell, Cell], tmp_path: Path) -> None:
    source, _ = pair
    with source.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(source.settings.folder / "cell.db", tmp_path / "backup.db")
    _, made = _move(pair)
    assert made.key_versions == ["1"]
    source.close()
    for name in ("cell.db-wal", "cell.db-shm"):
        (source.settings.folder / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", source.settings.folder / "cell.db")
    restored = Cell.open(source.settings.folder)
    with restored.database.read() as session:
        row = session.scalars(select(AccountKey)).first()
        assert row is not None
        with pytest.raises(VaultError):
            restored.vault.hold(row.account_id, row.generation, row.wrapped)
    restored.close()


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


class Steps:
    """Counts every statement, commit and object that a migration touches, and ends it at the chosen one."""

    def __init__(self, *cells: Cell) -> None:
        self.taken, self.last = 0, 0
        for cell in cells:
            happening.listen(cell.database.engine, "before_cursor_execute", self.take)
            happening.listen(cell.database.engine, "commit", self.take)

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
    killed = subprocess.run([sys.executable, "-c", _CHILD, *map(str, folders), "6"], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    opened = Cell.open(folders[0]), Cell.open(folders[1])
    _move(opened)
    _arrived(*opened)
    for cell in opened:
        cell.close()


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
        steps.taken, steps.last = 0, chance.randint(1, MOST_STEPS) if deaths < 12 else 0
        try:
            migration = Migration(dying[0], dying[1], "us", pause_seconds=0, at_once=1)
            made = migration.run()
            break
        except Death:
            deaths += 1
            steps.last = 0
            _is_whole_somewhere(source, target, emails)
    steps.last = 0
    assert deaths >= 3, f"seed {seed}"
    _arrived(source, target)
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
    assert _count(target, AccountRow) == 0
    steps = Steps(source, target)
    steps.last = 80
    with pytest.raises(Death):
        Migration(source, target, "us", pause_seconds=0).run()
    steps.last = 0
    refused = _process(source)
    assert "an unfinished migration has cell sg to itself" in refused.communicate()[1]
    assert refused.returncode == 1
    _move(pair)
    presence.require_free(source)
    _arrived(source, target)


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
            _move(pair_from_each)
    _move(pair_from_each)
    assert _count(target, AccountRow) == 3


def test_it_does_not_end_while_a_reader_keeps_the_sources_old_pages(
    pair: tuple[Cell, Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pair
    monkeypatch.setattr(ending, "_BUSY_SECONDS", 0.2)
    reader = sqlite3.connect(source.settings.folder / "cell.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM accounts").fetchone()
    with pytest.raises(MoveError, match="somebody reads the source's database"):
        _move(pair)
    reader.close()
    _move(pair)
    _arrived(source, target)
    assert not search_folders([source.settings.folder], ["mira.folds", "canary caption of"])[0]


def test_an_account_that_does_not_open_stays_and_the_rest_goes_on(pair: tuple[Cell, Cell]) -> None:
    source, _ = pair
    with source.database.write() as session:
        noor = by_handle(session, "noor.waits")
        assert noor is not None
        session.get_one(AccountRow, noor.account_id).phone = b"\x01\0\0" + bytes(60)
        otis = by_handle(session, "otis")
        assert otis is not None
        source.vault.destroy(session, otis.account_id)
    migration, made = _move(pair)
    assert migration.refused() == [("noor.waits", "does-not-open"), ("otis", "does-not-open")]
    assert made.accounts == 1
    assert _count(source, AccountRow) == 2


def test_what_opens_otherwise_in_the_target_is_not_erased_in_the_source(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    altering = copy.copy(target.objects)
    keep = target.objects.put

    def put(key: str, data: bytes) -> None:
        keep(key, data[:-1] + b"?" if key.endswith("720.mp4") else data)

    altering.put = put  # type: ignore[method-assign]
    migration, made = _move((source, dataclasses.replace(target, objects=altering)))
    assert migration.refused() == [("mira.folds", "opens-otherwise")]
    assert made.accounts == 2
    assert source.objects.get(f"videos/{VIDEO}/720.mp4") == b"film of mira.folds 720.mp4"
    sign_in(source, Credentials("mira.folds", PASSWORD), "127.0.0.1")
    with target.database.read() as session:
        assert by_handle(session, "mira.folds") is None


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


def test_what_a_migration_opened_is_written_down_in_both_cells(pair: tuple[Cell, Cell]) -> None:
    _move(pair)
    for cell in pair:
        with cell.database.read() as session:
            opened = {row.category: row.opened for row in key_uses.uses(session) if row.reason == "migration"}
        assert opened["user.contact.phone_number"] >= 3
        assert opened["user.behavior"] >= 2


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


def test_clashes_are_refused_one_by_one_and_the_rest_goes_on(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    live(target, "otis", email="another@canary-post.example")
    live(target, "earlier", email="noor.waits@canary-post.example")
    migration, made = _move(pair)
    assert migration.refused() == [("noor.waits", "email-taken"), ("otis", "handle-taken")]
    assert (made.accounts, made.refused) == (1, 2)
    # Who was refused is where they were, whole.
    account, _ = sign_in(source, Credentials("otis", PASSWORD), "127.0.0.1")
    with source.database.read() as session:
        assert own_details(source, session, account)["email"] == "otis@canary-post.example"


def test_only_those_named_are_moved(pair: tuple[Cell, Cell]) -> None:
    _, made = _move(pair, ["otis"])
    assert made.accounts == 1
    assert _count(pair[0], AccountRow) == 2
    with pytest.raises(MoveError, match="no account 'nobody'"):
        _move(pair, ["nobody"])


def test_data_never_leaves_its_home_region(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    with pytest.raises(MoveError, match="are at home in us"):
        Migration(target, source, "us")
    with pytest.raises(MoveError, match="does not leave it"):
        Migration(target, source, "sg")
    with pytest.raises(MoveError, match="no region 'eu'"):
        Migration(source, target, "eu")


def test_a_cell_takes_nobody_under_another_agreement_or_without_its_term(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    with pytest.raises(MoveError, match="no term S9"):
        Migration(source, target, "us", term="S9")
    file = target.settings.path("agreement.toml")
    text = file.read_text("utf-8")
    start = text.index('[[access.processes]]\nrole = "migration"')
    for cell in pair:
        cell.settings.path("agreement.toml").write_text(
            text[:start] + text[text.index("# ---", start) :], "utf-8"
        )
    without = [Cell.open(cell.settings.folder) for cell in pair]
    with pytest.raises(MoveError, match="lets no process move"):
        Migration(without[0], without[1], "us")
    with pytest.raises(MoveError, match="different agreements"):
        Migration(source, without[1], "us")
    for cell in without:
        cell.close()


def test_a_certificate_is_checked_by_whoever_has_the_roster(pair: tuple[Cell, Cell], tmp_path: Path) -> None:
    source, target = pair
    migration, made = _move(pair)
    note = migration.note()
    assert moving.read(note, target.roster) == made
    forged = [
        note.replace('"accounts":3', '"accounts":2'),
        note.rsplit("— ", 1)[0],
        moving.sign(
            msgspec.structs.replace(made, accounts=4),
            source.vault.signing_key("ledger"),
            target.vault.signing_key("ledger"),
        ),
        moving.sign(made, source.vault.signing_key("ledger"), fresh_key("lightwell/us")),
        moving.sign(
            msgspec.structs.replace(made, key_versions=[]),
            source.vault.signing_key("ledger"),
            target.vault.signing_key("ledger"),
        ),
        "nothing of the kind",
    ]
    for wrong in forged:
        with pytest.raises(moving.CertificateError):
            moving.read(wrong, target.roster)
    with pytest.raises(moving.CertificateError, match="no ledger key"):
        moving.read(note, [seat for seat in target.roster if seat.cell != "sg"])


def test_the_command_moves_refuses_and_verifies(pair: tuple[Cell, Cell], tmp_path: Path) -> None:
    source, target = pair
    folders = ["--from", str(source.settings.folder), "--to", str(target.settings.folder)]
    run = CliRunner().invoke
    # One way of saying which accounts, no more.
    assert run(app, ["migrate", *folders]).exit_code != 0
    file = tmp_path / "certificate.note"
    done = run(
        app,
        ["migrate", *folders, "--region", "us", "--certificate", str(file), "--pause", "0", "--json"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["accounts"], told["refused"]) == (3, [])
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    shown = [line for line in lines if "accounts_per_second" in line]
    assert [line["doing"] for line in shown][-1] == "clearing the old pages"
    assert all((line["moved"], line["planned"]) == (3, 3) for line in shown)
    roster = tmp_path / "roster.toml"
    roster.write_text(dump_roster(target.roster), "utf-8")
    checked = run(app, ["migrate", "verify", str(file), "--roster", str(roster), "--json"])
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["leaves"]["MigrationErased"]["cell"] == "sg"
    file.write_text(file.read_text("utf-8").replace('"refused":0', '"refused":1'), "utf-8")
    assert run(app, ["migrate", "verify", str(file), "--roster", str(roster)]).exit_code != 0
