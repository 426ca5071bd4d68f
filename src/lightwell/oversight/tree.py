"""The Merkle tree over the entries we keep: roots and proofs come from our copy, never from the cell."""

import sqlite3
from collections.abc import Sequence
from itertools import pairwise

from lightwell.wire import merkle, tiles
from lightwell.wire.tiles import HEIGHT, WIDTH


class MissingNodeError(LookupError):
    """Our copy does not hold the hashes that were asked for."""


def extend(db: sqlite3.Connection, cell: str, old_size: int, leaves: Sequence[bytes]) -> None:
    """Store the nodes at every eighth level that the new leaves complete; the entries are stored already.

    Args:
        db: the write connection, inside a transaction.
        cell: whose ledger.
        old_size: leaves before.
        leaves: the new 32-byte leaf hashes, in order.
    """
    size, level = old_size + len(leaves), 0
    while True:
        first, last = (old_size >> (HEIGHT * (level + 1))), (size >> (HEIGHT * (level + 1)))
        if first == last:
            return
        for index in range(first, last):
            below = _hashes(db, cell, level, index << HEIGHT, WIDTH)
            db.execute(
                "INSERT OR REPLACE INTO nodes (cell, level, idx, hash) VALUES (?, ?, ?, ?)",
                (cell, level + 1, index, _fold(below)),
            )
        level += 1


def root_at(db: sqlite3.Connection, cell: str, size: int) -> bytes:
    """Return the RFC 6962 root of the first `size` entries of our copy.

    Raises:
        MissingNodeError: our copy has fewer entries than `size`.
    """
    return tiles.root(lambda level, index, width: read_tile(db, cell, level, index, width), size)


def read_tile(db: sqlite3.Connection, cell: str, level: int, index: int, width: int) -> bytes:
    """Return the bytes of a hash tile (`width` hashes of 32 bytes) as C2SP tlog-tiles defines it.

    Raises:
        MissingNodeError: our copy does not hold the whole tile.
    """
    return b"".join(_hashes(db, cell, level, index << HEIGHT, width))


def _hashes(db: sqlite3.Connection, cell: str, level: int, start: int, count: int) -> list[bytes]:
    if level == 0:
        sql = "SELECT idx, leaf FROM entries WHERE cell = ? AND idx >= ? AND idx < ? ORDER BY idx"
        rows = db.execute(sql, (cell, start, start + count)).fetchall()
    else:
        sql = "SELECT idx, hash FROM nodes WHERE cell = ? AND level = ? AND idx >= ? AND idx < ? ORDER BY idx"
        rows = db.execute(sql, (cell, level, start, start + count)).fetchall()
    if len(rows) != count or any(b[0] != a[0] + 1 for a, b in pairwise(rows)):
        raise MissingNodeError(f"level {level}, hashes {start} to {start + count} of {cell}")
    return [bytes(row[1]) for row in rows]


def _fold(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [merkle.node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]
