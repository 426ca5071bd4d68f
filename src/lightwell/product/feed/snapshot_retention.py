"""Bytes of snapshots are kept as long as a slate ranked from them may be replayed, and then deleted.

How many days that is, the agreement says. Rows and ledger entries stay for ever, and so do manifests and
model cards: what served when is never forgotten, only the bytes go.
"""

from typing import Final

from sqlalchemy import func, select, update

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession
from lightwell.product.feed.models import SnapshotRow
from lightwell.product.feed.snapshot_files import model_key, update_key
from lightwell.product.feed.training_models import ModelHoldRow, ModelPeopleRow
from lightwell.residency.cell import Cell

_DAY_MS: Final = 86_400_000
_MARGIN_DAYS: Final = 1
"""A process that could not read what was newer may have ranked from an older snapshot for some time."""
_NEWEST_KEPT: Final = 16
"""Whatever their age: there may have been nothing newer since, or nothing that can be read."""
_AT_ONCE: Final = 1_000


def drop_snapshots(cell: Cell) -> int:
    """Delete the bytes of snapshots that no slate of the replay period can have been ranked from.

    Bytes go before their row is marked: ended in between, the next call does both again.

    Args:
        cell: whose snapshots they are; its agreement's `slate_replay_days` counts.

    Returns:
        How many updates and bases were deleted; at most a thousand at once.
    """
    days = cell.agreement.limits.slate_replay_days.value + _MARGIN_DAYS
    before = now_ms() - days * _DAY_MS
    with cell.database.read() as session:
        first = _first_needed(session, before)
        old = session.execute(
            select(SnapshotRow.digest, SnapshotRow.base)
            .where(SnapshotRow.number < first, SnapshotRow.dropped_at.is_(None))
            .order_by(SnapshotRow.number)
            .limit(_AT_ONCE)
        ).all()
        kept = _needed(session, first, {digest for digest, _ in old})
    gone = dict.fromkeys(digest for digest, _ in old if digest not in kept)
    bases = {digest for digest, base in old if digest == base}
    for digest in gone:
        cell.objects.delete(model_key(digest) if digest in bases else update_key(digest))
    with cell.database.write() as writing:
        writing.execute(
            update(SnapshotRow)
            .where(SnapshotRow.digest.in_(list(gone)), SnapshotRow.number < first)
            .values(dropped_at=now_ms())
        )
    return len(gone)


def _first_needed(session: ReadSession, before: int) -> int:
    """The row that served at a time: it and all later ones may have been ranked from since."""
    serving = select(func.max(SnapshotRow.number)).where(SnapshotRow.created_at < before)
    newest = select(func.max(SnapshotRow.number))
    return min(session.scalar(serving) or 0, (session.scalar(newest) or 0) - _NEWEST_KEPT + 1)


def _needed(session: ReadSession, first: int, among: set[str]) -> set[str]:
    """Which snapshots' bytes stay: those that later rows name, their bases, and models to go back to."""
    later = SnapshotRow.number >= first
    held = select(ModelHoldRow.digest).order_by(ModelHoldRow.number.desc()).limit(1)
    kept = {*session.scalars(select(ModelPeopleRow.digest)), *session.scalars(held)}
    kept |= set(session.scalars(select(SnapshotRow.digest).where(later, SnapshotRow.digest.in_(among))))
    bases = select(SnapshotRow.base).where(later, SnapshotRow.base.in_(among)).distinct()
    return kept | set(session.scalars(bases))
