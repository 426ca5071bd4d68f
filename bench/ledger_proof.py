"""Measures proofs from a large ledger: the time, and how many tiles it takes, for any entry.

Once by the entry's place, as any reader of the files makes a proof; and once by its hash, which is all that
`/ledger/proof` does for one request but HTTP: look the hash up in the database, read the checkpoint, make the
proof. Each is verified outside the time.
"""

from __future__ import annotations

import math
import random
import time
from typing import Any

from bench.ledger_append import BUILT, ENTRIES, KEY, append, settings_of
from lightwell.base.db import Database
from lightwell.ledger.places import integrated
from lightwell.ledger.storage import open_storage, read_exactly, tile_reader
from lightwell.wire import checkpoint as checkpoints
from lightwell.wire import merkle, tiles
from lightwell.wire.checkpoint import Checkpoint

PROOFS = 5_000
GOAL_P99_MS = 5.0


def measure() -> list[dict[str, Any]]:
    if _head() is None:
        append(BUILT, ENTRIES)
    database = Database(f"sqlite:///{BUILT / 'cell.db'}")
    storage = open_storage(settings_of(BUILT))
    head = _head()
    assert head is not None
    dice = random.Random(7)
    taken, by_hash, most = [], [], 0
    reads: list[int] = []
    read = tile_reader(storage)

    def counted_read(level: int, at: int, width: int) -> bytes:
        reads.append(level)
        return read(level, at, width)

    for _ in range(PROOFS):
        index = dice.randrange(head.size)
        leaf = _leaf(storage, head, index)
        reads.clear()
        began = time.perf_counter()
        with database.read() as session:
            found = integrated(session, [leaf])[leaf]
        note = storage.read(tiles.CHECKPOINT_PATH)
        proving = time.perf_counter()
        proof = tiles.inclusion_proof(counted_read, found, head.size)
        ended = time.perf_counter()
        taken.append(ended - proving)
        by_hash.append(ended - began)
        most = max(most, len(reads))
        assert note is not None
        assert found == index
        merkle.verify_inclusion(leaf, index, head.size, proof, head.root)
    database.dispose()
    levels = math.ceil(math.log(head.size, 256))
    return [
        _row("ledger_proof_p99", taken, f"of an entry by its place, {head.size:,} entries"),
        _row("ledger_proof_by_hash_p99", by_hash, f"of an entry by its hash, {head.size:,} entries"),
        {
            "name": "ledger_proof_reads",
            "value": most,
            "unit": f"tiles read for one proof at most, in a tree {levels} tiles high",
            "better": "lower",
            "goal": 2 * levels,
            "peer": None,
            "ratio": round(most / (2 * levels), 2),
        },
    ]


def _row(name: str, taken: list[float], what: str) -> dict[str, Any]:
    taken.sort()
    p99, median = 1000 * taken[int(0.99 * PROOFS)], 1000 * taken[PROOFS // 2]
    return {
        "name": name,
        "value": round(p99, 2),
        "unit": f"ms, proof {what} (median {median:.2f} ms)",
        "better": "lower",
        "goal": GOAL_P99_MS,
        "peer": None,
        "ratio": round(p99 / GOAL_P99_MS, 2),
    }


def _head() -> Checkpoint | None:
    """Return the checkpoint of the ledger built before, None if there is none of the size wanted."""
    file = BUILT / "ledger" / tiles.CHECKPOINT_PATH
    if not file.exists():
        return None
    head = checkpoints.open_checkpoint(file.read_text(), KEY.verifier()).checkpoint
    return head if head.size == ENTRIES else None


def _leaf(storage: Any, head: Checkpoint, index: int) -> bytes:
    tile, within = divmod(index, tiles.WIDTH)
    width = tiles.width_at(0, tile, head.size)
    bundle = tiles.decode_bundle(read_exactly(storage, tiles.bundle_path(tile, width)), width)
    return merkle.leaf_hash(bundle[within])
