"""Tells which entries stand in the published tree, and where; until then nothing may rely on them."""

from collections.abc import Collection

from sqlalchemy import select

from lightwell.base.db import ReadSession
from lightwell.ledger.models import LedgerEntry, LedgerState


def integrated(session: ReadSession, leaves: Collection[bytes]) -> dict[bytes, int]:
    """Return the index of those of `leaves` that are under a published checkpoint, by leaf hash.

    Args:
        session: any session of the cell.
        leaves: leaf hashes as `queue.enqueue` returned them, at most some hundreds.
    """
    size = session.scalar(select(LedgerState.integrated_size)) or 0
    rows = session.execute(
        select(LedgerEntry.leaf_hash, LedgerEntry.entry_index).where(
            LedgerEntry.leaf_hash.in_(list(leaves)), LedgerEntry.entry_index < size
        )
    )
    return {leaf: index for leaf, index in rows if index is not None}
