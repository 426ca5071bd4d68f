"""How fast accounts move into another cell, beside plain SQL that copies and deletes the same rows."""

import os
import secrets
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import event, insert
from tests.factories.two_cells import found_pair

import lightwell.apps.worker  # noqa: F401  it imports every model
from lightwell.base.clock import now_ms
from lightwell.base.db import Model
from lightwell.product.accounts import AccountRow
from lightwell.product.moving import Migration
from lightwell.product.moving import Progress as Stand
from lightwell.product.moving.found import AT_ONCE
from lightwell.residency import tripwires
from lightwell.residency.cell import Cell

ACCOUNTS = int(os.environ.get("LIGHTWELL_BENCH_ACCOUNTS", "10000"))
_FILLED_AT_ONCE = 500
_TABLES = ("accounts", "account_keys", "guarded_values")
_HASH = b"$argon2id$v=19$m=19456,t=2,p=1$" + b"A" * 66


def _fill(cell: Cell, count: int) -> None:
    """Insert accounts with every protected field, as signing up does but for the hashing."""
    table = Model.metadata.tables[AccountRow.__tablename__]
    for first in range(0, count, _FILLED_AT_ONCE):
        ids = [secrets.token_hex(8) for _ in range(min(_FILLED_AT_ONCE, count - first))]
        with cell.database.write() as session:
            cell.vault.new_account_keys(session, ids)
            rows: list[dict[str, Any]] = []
            guarded: dict[str, list[str]] = {}
            for number, account_id in enumerate(ids, first):
                plain = {
                    "password": _HASH,
                    "email": b"person%d@post.example" % number,
                    "phone": b"+1415%07d" % number,
                    "birthday": b"1990-01-01",
                    "address": b"%d Atrium Lane, Austin" % number,
                    "sign_in_ip": b"127.0.0.1",
                    "device": b"a browser",
                }
                sealed = {
                    name: cell.vault.seal(session, account_id, "accounts", name, account_id, value)
                    for name, value in plain.items()
                }
                guarded[account_id] = [plain[name].decode() for name in ("email", "phone", "address")]
                index = cell.vault.blind_index("accounts.email", plain["email"].decode())
                rows.append(
                    sealed
                    | {
                        "account_id": account_id,
                        "handle": f"person{number}",
                        "display_name": f"Person {number}",
                        "created_at": now_ms(),
                        "email_index": index,
                    }
                )
            session.execute(insert(table), rows)
            tripwires.guard_all(session, cell.vault, guarded)


def _written() -> int:
    """Bytes that this process has had written to disks so far."""
    for line in Path("/proc/self/io").read_text("ascii").splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


def _floor(source: Path, target: Path) -> float:
    """Seconds to copy the rows by plain SQL, as durably, and to delete them: nothing is opened."""
    connection = sqlite3.connect(target, isolation_level=None)
    connection.execute("ATTACH DATABASE ? AS source", (str(source),))
    for name in ("main", "source"):
        connection.execute(f"PRAGMA {name}.journal_mode=WAL")
        connection.execute(f"PRAGMA {name}.synchronous=FULL")
        connection.execute(f"PRAGMA {name}.cache_size=-131072")
    connection.execute("PRAGMA wal_autocheckpoint=131072")
    ids = [row[0] for row in connection.execute("SELECT account_id FROM source.accounts ORDER BY 1")]
    began = time.perf_counter()
    for first in range(0, len(ids), AT_ONCE):
        some = ids[first : first + AT_ONCE]
        among = f"WHERE account_id BETWEEN '{some[0]}' AND '{some[-1]}'"
        for steps in (
            [f"INSERT INTO main.{name} SELECT * FROM source.{name} {among}" for name in _TABLES],
            [f"DELETE FROM source.{name} {among}" for name in _TABLES],
        ):
            connection.execute("BEGIN IMMEDIATE")
            for step in steps:
                connection.execute(step)
            connection.execute("COMMIT")
    connection.execute("VACUUM source")
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def measure() -> list[dict[str, Any]]:
    """Move `LIGHTWELL_BENCH_ACCOUNTS` accounts (10,000) from one embedded cell to another."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = found_pair(folder, "sqlite:///cell.db", "sqlite:///cell.db")
        _fill(source, ACCOUNTS)
        plain = [folder / f"plain-{cell.settings.cell}.db" for cell in (source, target)]
        for copy, cell in zip(plain, (source, target), strict=True):
            with cell.database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            copy.write_bytes((cell.settings.folder / "cell.db").read_bytes())
        commits = 0

        def count(_: Any) -> None:
            nonlocal commits
            commits += 1

        for cell in (source, target):
            event.listen(cell.database.engine, "commit", count)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        before, began, used = _written(), time.perf_counter(), time.process_time()
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("moving", total=ACCOUNTS)

            def tell(stand: Stand) -> None:
                bar.update(task, description=stand.doing, completed=stand.moved)

            made = Migration(source, target, "us", tell=tell, pause_seconds=0).run()
        seconds, busy = time.perf_counter() - began, time.process_time() - used
        written = _written() - before
        source.close()
        target.close()
        floor = _floor(*plain)
    return [
        _row("migrate_accounts", made.accounts, "accounts", "higher"),
        _row("migrate_accounts_per_second", round(made.accounts / seconds), "accounts/s", "higher"),
        _row("migrate_accounts_per_processor_second", round(made.accounts / busy), "accounts/s", "higher"),
        _row("migrate_processor_share", round(busy / seconds, 3), "of the time", "lower"),
        _row("migrate_plain_sql_per_second", round(made.accounts / floor), "accounts/s", "higher"),
        _row("migrate_plain_sql_share", round(floor / seconds, 3), "of the time", "higher"),
        _row("migrate_megabytes_written", round(written / 1e6, 1), "MB", "lower"),
        _row("migrate_commits", commits, "commits", "lower"),
    ]


def _row(name: str, value: float, unit: str, better: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "better": better,
        "goal": 2000 if name == "migrate_accounts_per_second" else None,
        "peer": None,
        "ratio": None,
    }
