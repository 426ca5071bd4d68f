"""One ledger, one view: every tree that its key signed for others is held against the one we follow."""

import sqlite3
import time
from typing import Final

import msgspec

from lightwell.oversight import tree
from lightwell.oversight.entry_view import day
from lightwell.oversight.follow import FollowStatus
from lightwell.oversight.store import Store, record_finding
from lightwell.wire.checkpoint import Checkpoint

WITNESS: Final = "the witness"
_HIDDEN: Final = "hidden-entries"
_KEPT: Final = 256


class Contradiction(msgspec.Struct, frozen=True):
    """A tree the ledger signed that is not the one we follow; with our checkpoint, anybody can check it.

    `root` is hex, `note` the signed checkpoint, `shown_to` who was given it, `at` when, in seconds since the
    epoch.
    """

    size: int
    root: str
    note: str
    shown_to: str
    at: float


def remember(db: sqlite3.Connection, cell: str, checkpoint: Checkpoint, note: str, shown_to: str) -> None:
    """Keep a checkpoint that the ledger signed for somebody else, until it was compared.

    Args:
        db: the write connection, inside a transaction.
        cell: whose ledger.
        checkpoint: what the note says.
        note: the signed checkpoint; its signature was checked.
        shown_to: who was given it.
    """
    # Only the ledger can fill this, and then with trees that it does not show: the first ones say enough.
    db.execute(
        """INSERT OR IGNORE INTO views (cell, size, root, note, shown_to, at, contradicts)
        SELECT ?, ?, ?, ?, ?, ?, 0 WHERE (SELECT count(*) FROM views WHERE cell = ?) < ?""",
        (cell, checkpoint.size, checkpoint.root, note, shown_to, time.time(), cell, _KEPT),
    )


def is_ours(store: Store, cell: str, size: int, root: bytes) -> bool:
    """Say whether the first `size` entries we follow, which must be there, have this root."""
    with store.read() as db:
        return tree.root_at(db, cell, size) == root


def raise_split(store: Store, cell: str, size: int, shown_to: str) -> None:
    """Record that somebody was shown another signed tree of `size` entries than we are."""
    with store.write() as db:
        record_split(db, cell, size, shown_to)


def record_split(db: sqlite3.Connection, cell: str, size: int, shown_to: str) -> None:
    """Do as `raise_split` in a transaction of the caller's, which also keeps the tree that shows it."""
    record_finding(
        db,
        cell,
        f"split-view-{size}",
        area="ledger",
        title="The ledger shows two readers different trees",
        detail=f"{shown_to[0].upper()}{shown_to[1:]} was shown another signed tree of {size} entries "
        "than the monitor.",
    )


def contradictions(store: Store, cell: str) -> list[Contradiction]:
    """Return the trees the ledger signed that are not the one we follow, by size."""
    rows = store.rows("SELECT * FROM views WHERE cell = ? AND contradicts = 1 ORDER BY size", cell)
    return [
        Contradiction(row["size"], bytes(row["root"]).hex(), row["note"], row["shown_to"], row["at"])
        for row in rows
    ]


class Crosscheck:
    """Compares one cell's ledger as it is shown to us with what its key signed for others."""

    def __init__(self, store: Store, cell: str, grace_seconds: float) -> None:
        """Take how long the cell may go on showing us less than it signed for, seconds."""
        self._store = store
        self._cell = cell
        self._grace = grace_seconds
        self._compared = (-1, b"")
        self._shown_at = 0.0
        self._behind_since = 0.0
        self._said: tuple[int, int] | None = None

    def check(self, status: FollowStatus) -> None:
        """Raise what contradicts the tree we follow, and what was signed for and is not shown to us.

        Args:
            status: how following goes, after a poll.
        """
        self._compare()
        if status.shown_at != self._shown_at:
            self._look_for_hidden(status)
            self._shown_at = status.shown_at

    def _compare(self) -> None:
        head = self._store.head(self._cell)
        if head is None:
            return
        rows = self._store.rows(
            "SELECT * FROM views WHERE cell = ? AND size <= ? AND contradicts = 0", self._cell, head.size
        )
        for row in rows:
            key = (self._cell, row["size"], row["root"])
            if is_ours(self._store, self._cell, row["size"], bytes(row["root"])):
                with self._store.write() as db:
                    db.execute("DELETE FROM views WHERE cell = ? AND size = ? AND root = ?", key)
                continue
            with self._store.write() as db:
                record_split(db, self._cell, row["size"], row["shown_to"])
                db.execute("UPDATE views SET contradicts = 1 WHERE cell = ? AND size = ? AND root = ?", key)
        self._compare_witnessed(head.size)

    def _compare_witnessed(self, size: int) -> None:
        row = self._store.row(
            "SELECT size, root, note, at FROM witnessed WHERE cell = ? AND size <= ?", self._cell, size
        )
        if row is None or (row["size"], bytes(row["root"])) == self._compared:
            return
        if not is_ours(self._store, self._cell, row["size"], bytes(row["root"])):
            with self._store.write() as db:
                record_split(db, self._cell, row["size"], WITNESS)
                db.execute(
                    "INSERT OR IGNORE INTO views VALUES (?, ?, ?, ?, ?, ?, 1)",
                    (self._cell, row["size"], row["root"], row["note"], WITNESS, row["at"]),
                )
        self._compared = row["size"], bytes(row["root"])

    def _look_for_hidden(self, status: FollowStatus) -> None:
        signed = self._store.number(
            """SELECT max(size) FROM (SELECT size FROM witnessed WHERE cell = ?
            UNION ALL SELECT size FROM views WHERE cell = ?)""",
            self._cell, self._cell,
        )  # fmt: skip
        if status.shown_size >= signed:
            self._behind_since = 0.0
            if self._said != (0, 0):
                self._store.close_finding(self._cell, _HIDDEN)
                self._said = 0, 0
            return
        # Time in which nothing was read proves nothing: a cell that was away has hidden nothing meanwhile.
        if not self._behind_since or status.shown_at - self._shown_at > self._grace:
            self._behind_since = status.shown_at
        if status.shown_at - self._behind_since <= self._grace or self._said == (signed, status.shown_size):
            return
        self._said = signed, status.shown_size
        self._store.raise_finding(
            self._cell,
            _HIDDEN,
            area="ledger",
            title="The cell has not shown us entries that it signed for",
            detail=f"Its key has signed a tree of {signed} entries for others; since "
            f"{day(self._behind_since)} it has shown us {status.shown_size} at most.",
            # It may still show them: a checkpoint that waits for its quorum looks the same from here.
            state="open",
        )
