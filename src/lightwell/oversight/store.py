"""Everything followed and found, in one SQLite file: what is written here was verified first and is kept."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict, Unpack

import msgspec

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS heads (
  cell TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL,
  grown_at REAL NOT NULL, checks INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  cell TEXT NOT NULL, idx INTEGER NOT NULL, kind TEXT NOT NULL, leaf BLOB NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (cell, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_kind ON entries (cell, kind, idx);
CREATE INDEX IF NOT EXISTS entries_by_leaf ON entries (leaf);
CREATE TABLE IF NOT EXISTS nodes (
  cell TEXT NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY (cell, level, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kinds (
  cell TEXT NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (cell, kind)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS named (
  cell TEXT NOT NULL, digest TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (cell, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS witnessed (
  cell TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL,
  at REAL NOT NULL, cosignatures TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS views (
  cell TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL, shown_to TEXT NOT NULL,
  at REAL NOT NULL, contradicts INTEGER NOT NULL, PRIMARY KEY (cell, size, root)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latest (
  cell TEXT PRIMARY KEY, at INTEGER NOT NULL, idx INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
  cell TEXT NOT NULL, run TEXT NOT NULL, wanted_at REAL NOT NULL, audited_size INTEGER NOT NULL,
  done_at REAL, tiles_done_at REAL, PRIMARY KEY (cell, run)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
  cell TEXT NOT NULL, run TEXT NOT NULL, idx INTEGER NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (cell, run, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS verdicts_by_outcome ON verdicts (cell, run, outcome, idx);
CREATE INDEX IF NOT EXISTS verdicts_by_time ON verdicts (cell, run, at);
CREATE TABLE IF NOT EXISTS verdict_counts (
  cell TEXT NOT NULL, run TEXT NOT NULL, outcome TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (cell, run, outcome)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ranker_calls (
  cell TEXT NOT NULL, idx INTEGER NOT NULL, failed INTEGER NOT NULL, most_failures INTEGER NOT NULL,
  PRIMARY KEY (cell, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS findings (
  id INTEGER PRIMARY KEY, cell TEXT NOT NULL, key TEXT NOT NULL, area TEXT NOT NULL, state TEXT NOT NULL,
  title TEXT NOT NULL, detail TEXT NOT NULL, entries TEXT NOT NULL, opened_at REAL NOT NULL,
  closed_at REAL, UNIQUE (cell, key));
CREATE TABLE IF NOT EXISTS transfers (
  cell TEXT NOT NULL, idx INTEGER NOT NULL, side TEXT NOT NULL, transfer TEXT NOT NULL, flow TEXT NOT NULL,
  peer TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (cell, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS transfers_by_id ON transfers (transfer, side);
CREATE TABLE IF NOT EXISTS requests (
  cell TEXT NOT NULL, request TEXT NOT NULL, seen_idx INTEGER NOT NULL, purpose TEXT NOT NULL DEFAULT '',
  fields TEXT NOT NULL DEFAULT '[]', place TEXT NOT NULL DEFAULT '', role TEXT NOT NULL DEFAULT '',
  at INTEGER NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT 'pending', reason TEXT NOT NULL DEFAULT '',
  approvals INTEGER NOT NULL DEFAULT 0, expires_at INTEGER NOT NULL DEFAULT 0, decided_idx INTEGER,
  decided_at INTEGER, uses INTEGER NOT NULL DEFAULT 0, last_use_idx INTEGER, ended TEXT, ended_idx INTEGER,
  ended_at INTEGER, PRIMARY KEY (cell, request)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agreements (
  cell TEXT NOT NULL, digest TEXT NOT NULL, text TEXT NOT NULL, roster TEXT NOT NULL,
  roster_digest TEXT NOT NULL, idx INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (cell, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reports (
  id INTEGER PRIMARY KEY, cell TEXT NOT NULL, issued_at INTEGER NOT NULL, size INTEGER NOT NULL,
  text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS position (
  cell TEXT PRIMARY KEY, idx INTEGER NOT NULL, audited_run TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
"""
_ENTRIES_SHOWN: Final = 50


class Finding(msgspec.Struct, frozen=True):
    """Something the monitor found: what, where it shows, and whether it still holds."""

    cell: str
    key: str
    area: str
    state: str
    title: str
    detail: str
    entries: list[int]
    opened_at: float
    closed_at: float | None


class Said(TypedDict):
    """What a finding says, as `record_finding` takes it."""

    area: str
    title: str
    detail: str
    entries: NotRequired[Sequence[int]]
    state: NotRequired[str]
    gather: NotRequired[bool]


class Head(msgspec.Struct, frozen=True):
    """The largest tree of a cell that was verified: every smaller one followed is a prefix of it."""

    size: int
    root: bytes
    note: str
    grown_at: float
    checks: int


class Store:
    """One SQLite file; any number of readers, one writer at a time, every write a durable transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        self._lock = threading.RLock()
        self._writer = self._connect()
        self._writer.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)
        with self.write() as db:
            # A folder from before the witness kept what it had answered.
            if "cosignatures" not in {row["name"] for row in db.execute("PRAGMA table_info(witnessed)")}:
                db.execute("ALTER TABLE witnessed ADD COLUMN cosignatures TEXT NOT NULL DEFAULT ''")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.row_factory = sqlite3.Row
        # FULL, not NORMAL: a witness that forgets what it cosigned could be rolled back by a power cut.
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give the one write connection inside a transaction that commits on exit and rolls back on error."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # On a full disk SQLite has rolled back by itself.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = self._connect()
        return reader

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's read connection inside a transaction, so that all reads see one state."""
        reader = self._reader()
        reader.execute("BEGIN")
        try:
            yield reader
        finally:
            reader.execute("ROLLBACK")

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows of a query, read outside any transaction of the writer."""
        return self._reader().execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query or None."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def number(self, sql: str, *values: Any) -> int:
        """Return the first column of the first row as an integer, 0 if there is none."""
        found = self.row(sql, *values)
        return int(found[0] or 0) if found else 0

    def close(self) -> None:
        """Close the write connection; readers close with their threads."""
        with self._lock:
            self._writer.close()

    # --- the ledger as followed

    def head(self, cell: str) -> Head | None:
        """Return the verified head of a cell's ledger, None before the first checkpoint."""
        row = self.row("SELECT size, root, note, grown_at, checks FROM heads WHERE cell = ?", cell)
        return Head(**{name: row[name] for name in Head.__struct_fields__}) if row else None

    def kinds(self, cell: str) -> dict[str, int]:
        """Return how many entries of each kind a cell's followed ledger holds."""
        return {r["kind"]: r["n"] for r in self.rows("SELECT kind, n FROM kinds WHERE cell = ?", cell)}

    def entry(self, cell: str, index: int) -> sqlite3.Row | None:
        """Return the row (idx, kind, leaf, data) of one entry."""
        return self.row("SELECT idx, kind, leaf, data FROM entries WHERE cell = ? AND idx = ?", cell, index)

    def entries(
        self, cell: str, kinds: Sequence[str] = (), start: int = 0, limit: int = 1000, newest: bool = False
    ) -> list[sqlite3.Row]:
        """Return rows (idx, kind, leaf, data) of a cell in order of index.

        Args:
            cell: the cell.
            kinds: only these kinds; all if empty.
            start: first index wanted; with `newest`, the last index wanted if it is above 0.
            limit: at most this many rows.
            newest: from the end instead of from the start.
        """
        where, values = ["cell = ?"], [cell]
        if kinds:
            where.append(f"kind IN ({','.join('?' * len(kinds))})")
            values += kinds
        order = "DESC" if newest else "ASC"
        if start:
            where.append("idx <= ?" if newest else "idx >= ?")
        # Only column names and question marks are put together here, never a value.
        sql = f"SELECT idx, kind, leaf, data FROM entries WHERE {' AND '.join(where)} ORDER BY idx {order} LIMIT ?"  # noqa: S608, E501
        return self.rows(sql, *values, *([start] if start else []), limit)

    # --- findings

    def raise_finding(self, cell: str, key: str, **said: Unpack[Said]) -> None:
        """Record a finding in a transaction of its own; the arguments are those of `record_finding`."""
        with self.write() as db:
            record_finding(db, cell, key, **said)

    def close_finding(self, cell: str, key: str) -> None:
        """Mark an open finding as cleared up; a breach stays a breach."""
        with self.write() as db:
            db.execute(
                """UPDATE findings SET state = 'closed', closed_at = ?
                WHERE cell = ? AND key = ? AND state = 'open'""",
                (time.time(), cell, key),
            )

    def findings(self, cell: str, area: str | None = None) -> list[Finding]:
        """Return a cell's findings, newest first; of one area if given."""
        rows = self.rows(
            "SELECT * FROM findings WHERE cell = ? AND (? IS NULL OR area = ?) ORDER BY id DESC",
            cell,
            area,
            area,
        )
        return [
            Finding(
                cell=row["cell"],
                key=row["key"],
                area=row["area"],
                state=row["state"],
                title=row["title"],
                detail=row["detail"],
                entries=msgspec.json.decode(row["entries"], type=list[int]),
                opened_at=row["opened_at"],
                closed_at=row["closed_at"],
            )
            for row in rows
        ]


def record_finding(
    db: sqlite3.Connection,
    cell: str,
    key: str,
    *,
    area: str,
    title: str,
    detail: str,
    entries: Sequence[int] = (),
    state: str = "breach",
    gather: bool = False,
) -> None:
    """Record a finding once; the same key again changes its text and entries, never its age.

    Args:
        db: the write connection, inside a transaction.
        cell: the cell it is about.
        key: what makes it the same finding when seen again.
        area: "ledger", "replay", "access", "transfers", "orders", "agreement" or "feed".
        title: what is wrong, in a few words.
        detail: how it shows, in one or two sentences.
        entries: indices of the entries that show it.
        state: "breach", or "open" while it may still clear up.
        gather: keep the entries it showed before and add these, up to 50.
    """
    if gather:
        row = db.execute("SELECT entries FROM findings WHERE cell = ? AND key = ?", (cell, key)).fetchone()
        before = msgspec.json.decode(row["entries"], type=list[int]) if row else []
        entries = list(dict.fromkeys([*before, *entries]))[:_ENTRIES_SHOWN]
    db.execute(
        """INSERT INTO findings (cell, key, area, state, title, detail, entries, opened_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (cell, key) DO UPDATE SET state = excluded.state, title = excluded.title,
          detail = excluded.detail, entries = excluded.entries, closed_at = NULL""",
        (cell, key, area, state, title, detail, _numbers(entries), time.time()),
    )


def _numbers(values: Sequence[int]) -> str:
    return msgspec.json.encode(list(values)).decode()
