"""How fast accounts move into another cell, beside what the disk needs for the bytes it was given."""

import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import insert
from tests.factories.two_cells import found_pair

import lightwell.apps.worker  # noqa: F401  it imports every model
from lightwell.base.clock import now_ms
from lightwell.base.db import Model
from lightwell.product.accounts import AccountRow
from lightwell.product.moving import Migration
from lightwell.product.moving import Progress as Stand
from lightwell.residency.cell import Cell

ACCOUNTS = int(os.environ.get("LIGHTWELL_BENCH_ACCOUNTS", "5000"))
_AT_ONCE = 500
_HASH = b"$argon2id$v=19$m=19456,t=2,p=1$" + b"A" * 66


def _fill(cell: Cell, count: int) -> None:
    """Insert accounts with every protected field, as signing up does but for the hashing."""
    table = Model.metadata.tables[AccountRow.__tablename__]
    for first in range(0, count, _AT_ONCE):
        ids = [secrets.token_hex(8) for _ in range(min(_AT_ONCE, count - first))]
        with cell.database.write() as session:
            cell.vault.new_account_keys(session, ids)
            rows: list[dict[str, Any]] = []
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


def _written() -> int:
    """Bytes that this process has had written to disks so far."""
    for line in Path("/proc/self/io").read_text("ascii").splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


def _floor(folder: Path, size: int, portions: int) -> float:
    """Seconds to write so many bytes in so many portions, each durable before the next."""
    block = os.urandom(max(size // max(portions, 1), 1))
    began = time.perf_counter()
    with (folder / "floor").open("wb", buffering=0) as file:
        for _ in range(portions):
            file.write(block)
            os.fsync(file.fileno())
    return time.perf_counter() - began


def measure() -> list[dict[str, Any]]:
    """Move `LIGHTWELL_BENCH_ACCOUNTS` accounts (5,000) from one embedded cell to another."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = found_pair(folder, "sqlite:///cell.db", "sqlite:///cell.db")
        _fill(source, ACCOUNTS)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        before, began, used = _written(), time.perf_counter(), time.process_time()
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("moving", total=ACCOUNTS)

            def tell(stand: Stand) -> None:
                bar.update(task, description=stand.doing, completed=stand.moved)

            made = Migration(source, target, "us", tell=tell, pause_seconds=0).run()
        seconds, busy = time.perf_counter() - began, time.process_time() - used
        written = _written() - before
        # Each hundred accounts are made durable five times: copied, compared, erased, and marked.
        floor = _floor(folder, written, 5 * -(-ACCOUNTS // 100))
        source.close()
        target.close()
    return [
        _row("migrate_accounts_per_second", round(made.accounts / seconds), "accounts/s", "higher"),
        _row("migrate_disk_share", round(floor / seconds, 3), "of the time", "higher"),
        _row("migrate_processor_share", round(busy / seconds, 3), "of the time", "lower"),
        _row("migrate_megabytes_written", round(written / 1e6, 1), "MB", "lower"),
    ]


def _row(name: str, value: float, unit: str, better: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "better": better,
        "goal": None,
        "peer": None,
        "ratio": None,
    }
