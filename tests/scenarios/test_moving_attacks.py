"""Attempts on what was deleted or copied: a dump restored elsewhere, an account back from a backup."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from lightwell.agreement.load import parse
from lightwell.apps.web import build_app
from lightwell.base.settings import load
from lightwell.product.accounts import AccountRow
from lightwell.product.rights import erase_again
from lightwell.product.rights.deletion import erase_returned
from lightwell.residency import key_rotation
from lightwell.residency.cell import Cell, CellError
from lightwell.residency.decide import Decider, Principal, Refused, Resource
from lightwell.residency.keys import KeyVault, VaultError
from lightwell.residency.keys_models import AccountKey
from lightwell.wire import entries
from tests.factories.catalogue import sequence
from tests.factories.cells import AGREEMENTS, found_cell
from tests.factories.ledger import all_entries
from tests.factories.people import PASSWORD, sign_up


@pytest.fixture
def lived_in(tmp_path: Path) -> tuple[Path, Path]:
    """A cell's folder, and a copy of its database from when `mira.folds` still had an account."""
    cell = found_cell(tmp_path / "us", "sqlite:///cell.db")
    backup = tmp_path / "backup.db"
    with TestClient(build_app(cell), base_url="http://us.test") as client:
        sign_up(client, "stays.here")
        client.cookies.clear()
        sign_up(client, "mira.folds", phone="+1 415 555 0177")
        with cell.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(tmp_path / "us" / "cell.db", backup)
        assert client.request("DELETE", "/api/me", json={"password": PASSWORD}).status_code == 200
        sequence(cell)
    return tmp_path / "us", backup


def _restored(folder: Path, backup: Path) -> Cell:
    for name in ("cell.db-wal", "cell.db-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.copy(backup, folder / "cell.db")
    return Cell.open(folder)


def _erased(cell: Cell) -> list[str]:
    facts = [entries.decode(data) for data in all_entries(cell.settings, cell.database)]
    return [fact.commitment for fact in facts if isinstance(fact, entries.AccountErased)]


def test_a_deleted_account_that_a_backup_brings_back_is_erased_again(lived_in: tuple[Path, Path]) -> None:
    folder, backup = lived_in
    cell = Cell.open(folder)
    erased = _erased(cell)
    cell.close()
    assert len(erased) == 1
    cell = _restored(folder, backup)
    with cell.database.read() as session:
        back = session.scalar(select(AccountRow.account_id).where(AccountRow.handle == "mira.folds"))
    assert back is not None
    assert erase_returned(cell, erased) == [back]
    assert erase_returned(cell, erased) == []
    with TestClient(build_app(cell), base_url="http://us.test") as client:
        gone = client.post("/api/session", json={"handle": "mira.folds", "password": PASSWORD})
        assert gone.status_code == 401
        stays = client.post("/api/session", json={"handle": "stays.here", "password": PASSWORD})
        assert stays.status_code == 200


def test_a_worker_that_starts_on_an_old_copy_erases_again_who_had_left(lived_in: tuple[Path, Path]) -> None:
    folder, backup = lived_in
    _restored(folder, backup).close()
    # Its ledger is ahead of the copy, so that it signs nothing and ends; what it does first is enough.
    ended = subprocess.run(
        [sys.executable, "-m", "lightwell.apps.worker", str(folder)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "had been deleted were back" in ended.stderr, ended.stderr
    assert "LedgerCorruptError" in ended.stderr
    cell = Cell.open(folder)
    with cell.database.read() as session:
        assert list(session.scalars(select(AccountRow.handle))) == ["stays.here"]
    cell.close()


def test_one_row_put_back_is_found_though_the_ledger_was_read_before(lived_in: tuple[Path, Path]) -> None:
    folder, backup = lived_in
    cell = Cell.open(folder)
    assert erase_again(cell) == 0
    with cell.database.engine.connect() as connection:
        connection.exec_driver_sql(f"ATTACH DATABASE '{backup}' AS old")
        for table in ("account_keys", "accounts"):
            connection.exec_driver_sql(f"INSERT OR IGNORE INTO {table} SELECT * FROM old.{table}")
        connection.commit()
    assert erase_again(cell) == 1
    assert erase_again(cell) == 0
    with cell.database.read() as session:
        assert list(session.scalars(select(AccountRow.handle))) == ["stays.here"]
    cell.close()


def test_a_backup_opens_nothing_once_the_cell_key_was_rotated(lived_in: tuple[Path, Path]) -> None:
    folder, backup = lived_in
    cell = Cell.open(folder)
    key_rotation.begin(cell)
    for _ in range(10):
        key_rotation.work(cell, pause_seconds=0)
    assert key_rotation.wait_until_done(cell, 5)
    cell.close()
    cell = _restored(folder, backup)
    with cell.database.read() as session:
        for row in session.scalars(select(AccountKey)):
            with pytest.raises(VaultError):
                cell.vault.hold(row.account_id, row.generation, row.wrapped)
    cell.close()


def test_a_dump_restored_elsewhere_opens_nothing_without_the_cells_keys(
    lived_in: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, backup = lived_in
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("cell.toml", "agreement.toml", "roster.toml"):
        shutil.copy(folder / name, elsewhere / name)
    shutil.copy(backup, elsewhere / "cell.db")
    with pytest.raises(CellError):
        Cell.open(elsewhere)
    # With keys of one's own making the roster does not know the cell, and the accounts' keys do not open.
    vault = KeyVault.create(elsewhere, load(elsewhere).cell)
    with pytest.raises(CellError, match="seat to another key"):
        Cell.open(elsewhere)
    original = _restored(folder, backup)
    with original.database.read() as session:
        rows = session.scalars(select(AccountKey)).all()
    assert rows
    for row in rows:
        with pytest.raises(VaultError):
            vault.hold(row.account_id, row.generation, row.wrapped)
    original.close()


@pytest.mark.parametrize("file", sorted(AGREEMENTS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_agreement_lets_the_migration_move_accounts_and_nothing_else_do_so(file: Path) -> None:
    decider = Decider(parse(file.read_text("utf-8")))
    email = Resource(category="user.contact.email", residency="protected")
    moving = Principal(kind="process", id="migration", role="migration")
    decider.decide(moving, "move", email, "migration")
    attempts = [
        (Principal(kind="process", id="trainer", role="trainer"), "move", "migration"),
        (Principal(kind="staff", id="a" * 16, role="migration", vetted=True), "move", "migration"),
        (moving, "move", "training"),
        (moving, "train", "training"),
        (moving, "cross", "migration"),
    ]
    for who, action, purpose in attempts:
        with pytest.raises(Refused):
            decider.decide(who, action, email, purpose)
