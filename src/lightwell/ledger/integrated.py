"""Tells which entries stand in the published tree, and where; until then nothing may rely on them."""

from collections.abc import Collection

from sqlalchemy import func, select

from lightwell.base.db import ReadSession
from lightwell.ledger.models import LedgerEntry, LedgerState


def integrated(session: ReadSession, leaves: Collection[bytes]) -> dict[bytes, int]:
    """Return the index of those of `leaves` that are under a published checkpoint, by leaf hash.

    Args:
        session: any session of the cell; what it sees is what it answers.
        leaves: 32-byte leaf hashes as `queue.enqueue` returned them, at most some hundreds. Equal entries
            have equal hashes: the first one's index stands for all.
    """
    if not leaves:
        return {}
    size = select(LedgerState.integrated_size).scalar_subquery()
    rows = session.execute(
        select(LedgerEntry.leaf_hash, func.min(LedgerEntry.entry_index))
        .where(LedgerEntry.leaf_hash.in_(list(leaves)), LedgerEntry.entry_index < size)
        .group_by(LedgerEntry.leaf_hash)
    )
    return {leaf: index for leaf, index in rows if index is not None}
