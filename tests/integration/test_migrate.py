"""Accounts move into their home cell: complete, compared, resumable, erased where they were, and proven."""

import copy
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from lightwell.agreement import moving
from lightwell.agreement.roster import dump_roster
from lightwell.apps.cli import app
from lightwell.apps.scan import search_folders
from lightwell.base.errors import Problem
from lightwell.product.accounts import AccountRow, by_handle, own_details, sign_in
from lightwell.product.accounts.service import Credentials
from lightwell.product.moving import Migration, MoveError
from lightwell.product.videos import VideoRow
from lightwell.product.videos.media import FILES
from lightwell.residency import key_uses, tripwires
from lightwell.residency.cell import Cell
from lightwell.residency.keys import VaultError
from lightwell.residency.keys_models import AccountKey
from lightwell.wire import entries
from tests.factories.catalogue import sequence
from tests.factories.cells import fresh_key
from tests.factories.ledger import all_entries
from tests.factories.moving import VIDEO, arrived, count, found_three, move
from tests.factories.two_cells import PASSWORD, live


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Cell, Cell]]:
    """`sg`, where three people of `us` are kept, and `us`, their home."""
    yield from found_three(tmp_path, "sqlite:///cell.db")


@pytest.fixture
def pair_on_each(tmp_path: Path, database_url: str) -> Iterator[tuple[Cell, Cell]]:
    """The same, the target on either engine."""
    yield from found_three(tmp_path, database_url)


def test_accounts_move_with_all_that_belongs_to_them(pair_on_each: tuple[Cell, Cell]) -> None:
    source, target = pair_on_each
    _, made = move(pair_on_each)
    arrived(source, target)
    assert (made.accounts, made.refused) == (3, 0)
    assert made.tables["accounts"] == 3
    assert made.tables["viewer_events"] == 2
    assert made.tables["videos"] == 2
    assert made.objects == len(FILES) + 1
    with pytest.raises(Problem):
        sign_in(source, Credentials("mira.folds", PASSWORD), "127.0.0.1")


def test_an_email_is_found_by_the_targets_own_index(pair: tuple[Cell, Cell]) -> None:
    move(pair)
    with pytest.raises(Problem) as refusal:
        live(pair[1], "somebody.else", email="MIRA.folds@canary-post.example")
    assert refusal.value.slug == "email-taken"


def test_what_moved_is_guarded_by_the_targets_tripwires(pair: tuple[Cell, Cell]) -> None:
    move(pair)
    target = pair[1]
    with target.database.read() as session:
        # Any address is a pattern; this very one is known by its mark.
        trip = tripwires.find(session, target.vault, ["mira.folds@canary-post.example"])
    assert trip is not None
    assert trip.why == "protected-value"


def test_the_ledgers_of_both_cells_say_what_was_moved(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    _, made = move(pair)
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
    move(pair)
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
    _, made = move(pair)
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


def test_an_account_that_does_not_open_stays_and_the_rest_goes_on(pair: tuple[Cell, Cell]) -> None:
    source, _ = pair
    with source.database.write() as session:
        noor = by_handle(session, "noor.waits")
        assert noor is not None
        session.get_one(AccountRow, noor.account_id).phone = b"\x01\0\0" + bytes(60)
        otis = by_handle(session, "otis")
        assert otis is not None
        source.vault.destroy(session, otis.account_id)
    migration, made = move(pair)
    assert migration.refused() == [("noor.waits", "does-not-open"), ("otis", "does-not-open")]
    assert made.accounts == 1
    assert count(source, AccountRow) == 2


def test_what_opens_otherwise_in_the_target_is_not_erased_in_the_source(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    altering = copy.copy(target.objects)
    keep = target.objects.put

    def put(key: str, data: bytes) -> None:
        keep(key, data[:-1] + b"?" if key.endswith("720.mp4") else data)

    altering.put = put  # type: ignore[method-assign]
    migration, made = move((source, dataclasses.replace(target, objects=altering)))
    assert migration.refused() == [("mira.folds", "opens-otherwise")]
    assert made.accounts == 2
    assert source.objects.get(f"videos/{VIDEO}/720.mp4") == b"film of mira.folds 720.mp4"
    sign_in(source, Credentials("mira.folds", PASSWORD), "127.0.0.1")
    with target.database.read() as session:
        assert by_handle(session, "mira.folds") is None


def test_what_a_migration_opened_is_written_down_in_both_cells(pair: tuple[Cell, Cell]) -> None:
    move(pair)
    for cell in pair:
        with cell.database.read() as session:
            opened = {row.category: row.opened for row in key_uses.uses(session) if row.reason == "migration"}
        assert opened["user.contact.phone_number"] >= 3
        assert opened["user.behavior"] >= 2


def test_clashes_are_refused_one_by_one_and_the_rest_goes_on(pair: tuple[Cell, Cell]) -> None:
    source, target = pair
    live(target, "otis", email="another@canary-post.example")
    live(target, "earlier", email="noor.waits@canary-post.example")
    migration, made = move(pair)
    assert migration.refused() == [("noor.waits", "email-taken"), ("otis", "handle-taken")]
    assert (made.accounts, made.refused) == (1, 2)
    # Who was refused is where they were, whole.
    account, _ = sign_in(source, Credentials("otis", PASSWORD), "127.0.0.1")
    with source.database.read() as session:
        assert own_details(source, session, account)["email"] == "otis@canary-post.example"


def test_only_those_named_are_moved(pair: tuple[Cell, Cell]) -> None:
    _, made = move(pair, ["otis"])
    assert made.accounts == 1
    assert count(pair[0], AccountRow) == 2
    with pytest.raises(MoveError, match="no account 'nobody'"):
        move(pair, ["nobody"])


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
    migration, made = move(pair)
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
    assert shown[-1].items() >= {"doing": "clearing the old pages", "moved": 3, "planned": 3}.items()
    roster = tmp_path / "roster.toml"
    roster.write_text(dump_roster(target.roster), "utf-8")
    checked = run(app, ["migrate", "verify", str(file), "--roster", str(roster), "--json"])
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["leaves"]["MigrationErased"]["cell"] == "sg"
    file.write_text(file.read_text("utf-8").replace('"refused":0', '"refused":1'), "utf-8")
    assert run(app, ["migrate", "verify", str(file), "--roster", str(roster)]).exit_code != 0
