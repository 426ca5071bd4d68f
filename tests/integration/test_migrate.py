"""Accounts move into their home cell: complete, compared, resumable, erased where they were, and proven."""

import json
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event as happening
from sqlalchemy import func, select
from typer.testing import CliRunner

from lightwell.agreement import moving
from lightwell.agreement.roster import dump_roster
from lightwell.apps.cli import app
from lightwell.apps.scan import search_folders
from lightwell.base.errors import Problem
from lightwell.product import social
from lightwell.product.accounts import AccountRow, by_handle, own_details, sign_in
from lightwell.product.accounts.service import Credentials
from lightwell.product.moving import Migration, MovedRow, MoveError, Progress
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.product.videos.media import FILES
from lightwell.residency.cell import Cell
from lightwell.residency.keys import VaultError
from lightwell.residency.keys_models import AccountKey
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


def _found(folder: Path, target_url: str) -> Iterator[tuple[Cell, Cell]]:
    source, target = found_pair(folder, "sqlite:///cell.db", target_url)
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
    """Ends a run between two statements; nothing of ours catches it."""


def _run_until(folders: tuple[Path, Path], at: int) -> bool:
    """Migrate until the so many-th commit is about to be made; say whether it came to its end before."""
    cells = [Cell.open(folder) for folder in folders]
    left = at

    def commit(_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Death

    for cell in cells:
        happening.listen(cell.database.engine, "commit", commit)
    try:
        Migration(cells[0], cells[1], "us", pause_seconds=0).run()
    except Death:
        return False
    finally:
        for cell in cells:
            cell.close()
    return True


def test_a_migration_killed_at_any_commit_goes_on_and_loses_nothing(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    folders = (source.settings.folder, target.settings.folder)
    source.close()
    target.close()
    killed = subprocess.run([sys.executable, "-c", _CHILD, *map(str, folders), "4"], timeout=240, check=False)
    assert killed.returncode == -signal.SIGKILL
    # Each run dies at another commit; two deaths at one place do no harm either.
    for at in (1, 2, 3, 3, 4, 2, 3, 5):
        assert not _run_until(folders, at)
    assert _run_until(folders, 1000)
    opened = Cell.open(folders[0]), Cell.open(folders[1])
    _arrived(*opened)
    for cell in opened:
        sequence(cell)
        kinds = [type(entries.decode(data)).__name__ for data in all_entries(cell.settings, cell.database)]
        for kind in ("MigrationSent", "MigrationReceived", "MigrationErased"):
            assert kinds.count(kind) <= 1
        cell.close()


def test_what_happens_to_an_account_after_it_was_copied_is_not_lost(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    with source.database.read() as session:
        noor = by_handle(session, "noor.waits")
    assert noor is not None
    late = [secrets.token_hex(16)]

    def one_more(stand: Progress) -> None:
        if late and stand.doing == "moving":
            with source.database.read() as session:
                if by_handle(session, "noor.waits") is not None:
                    watch(source, noor.account_id, social.Event(late.pop(), "like", VIDEO))

    Migration(source, target, "us", tell=one_more, pause_seconds=0).run()
    with target.database.read() as session:
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
    roster = tmp_path / "roster.toml"
    roster.write_text(dump_roster(target.roster), "utf-8")
    checked = run(app, ["migrate", "verify", str(file), "--roster", str(roster), "--json"])
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["leaves"]["MigrationErased"]["cell"] == "sg"
    file.write_text(file.read_text("utf-8").replace('"refused":0', '"refused":1'), "utf-8")
    assert run(app, ["migrate", "verify", str(file), "--roster", str(roster)]).exit_code != 0
