"""New entries and the checkpoint over them are kept together, under the root it signed, or not at all."""

import sqlite3
import time
from collections.abc import Sequence

from lightwell.oversight import rules, times, tree
from lightwell.oversight.store import Store, record_finding
from lightwell.wire import entries as kinds
from lightwell.wire import merkle
from lightwell.wire.checkpoint import Checkpoint


def take(
    store: Store,
    cell: str,
    checkpoint: Checkpoint,
    note: str,
    new: Sequence[bytes],
    *,
    grace_seconds: float,
    shuffled: bool,
) -> bool:
    """Store new entries and the head in one transaction, and raise what they break.

    Args:
        store: where they are kept.
        cell: whose ledger.
        checkpoint: what the note says; its size is that of the tree we have, and the new entries.
        note: the signed checkpoint.
        new: the entries, as bytes.
        grace_seconds, shuffled: as in `times.judge`.

    Returns:
        False if the root is not that of the entries; everything is as it was then.
    """
    try:
        with store.write() as db:
            size = checkpoint.size - len(new)
            leaves = [merkle.leaf_hash(data) for data in new]
            breaches, stated = _insert(db, cell, size, new, leaves)
            tree.extend(db, cell, size, leaves)
            if tree.root_at(db, cell, checkpoint.size) != checkpoint.root:
                raise _WrongRoot
            breaches += _judge_times(db, cell, stated, grace_seconds, shuffled)
            keep_head(db, cell, checkpoint, note)
            for breach in breaches:
                record_finding(
                    db,
                    cell,
                    breach.key,
                    area=breach.area,
                    title=breach.title,
                    detail=breach.detail,
                    entries=breach.entries,
                    gather=breach.gather,
                )
    except _WrongRoot:
        return False
    return True


def keep_head(db: sqlite3.Connection, cell: str, checkpoint: Checkpoint, note: str) -> None:
    """Keep a checkpoint, whose entries are stored, as the head; `db` is inside a transaction."""
    db.execute(
        """INSERT INTO heads (cell, size, root, note, grown_at, checks) VALUES (?, ?, ?, ?, ?, 1)
        ON CONFLICT (cell) DO UPDATE SET size = excluded.size, root = excluded.root,
          note = excluded.note, grown_at = excluded.grown_at, checks = checks + 1""",
        (cell, checkpoint.size, checkpoint.root, note, time.time()),
    )


def _insert(
    db: sqlite3.Connection, cell: str, size: int, new: Sequence[bytes], leaves: Sequence[bytes]
) -> tuple[list[rules.Breach], list[tuple[int, int]]]:
    """Store entries; return what they break and (index, time) of each that states a time."""
    breaches: list[rules.Breach] = []
    stated: list[tuple[int, int]] = []
    counts: dict[str, int] = {}
    for index, (data, leaf) in enumerate(zip(new, leaves, strict=True), start=size):
        try:
            entry = kinds.decode(data)
            kind = entry.kind if isinstance(entry, kinds.UnknownEntry) else type(entry).__name__
        except kinds.EntryError as error:
            entry, kind = None, "Malformed"
            breaches.append(
                rules.Breach(
                    f"malformed-{index}", "ledger", "An entry is not well formed", str(error), [index]
                )
            )
        db.execute(
            "INSERT INTO entries (cell, idx, kind, leaf, data) VALUES (?, ?, ?, ?, ?)",
            (cell, index, kind, leaf, data),
        )
        counts[kind] = counts.get(kind, 0) + 1
        breaches += rules.digest_entry(db, cell, index, entry)
        if isinstance(at := getattr(entry, "at", None), int):
            stated.append((index, at))
    for kind, n in counts.items():
        db.execute(
            """INSERT INTO kinds (cell, kind, n) VALUES (?, ?, ?)
            ON CONFLICT (cell, kind) DO UPDATE SET n = n + excluded.n""",
            (cell, kind, n),
        )
    return breaches, stated


def _judge_times(
    db: sqlite3.Connection, cell: str, stated: list[tuple[int, int]], grace_seconds: float, shuffled: bool
) -> list[rules.Breach]:
    row = db.execute("SELECT at, idx FROM latest WHERE cell = ?", (cell,)).fetchone()
    latest, breaches = times.judge(
        stated,
        times.Latest(row["at"], row["idx"]) if row else None,
        read_at=time.time(),
        grace_seconds=grace_seconds,
        shuffled=shuffled,
    )
    if latest is not None:
        db.execute("INSERT OR REPLACE INTO latest VALUES (?, ?, ?)", (cell, latest.at, latest.index))
    return breaches


class _WrongRoot(Exception):  # noqa: N818  it rolls a transaction back and goes no further
    pass
