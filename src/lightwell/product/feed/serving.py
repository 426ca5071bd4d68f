"""What a process ranks from: the newest snapshot and policy whose entries are already in the ledger."""

import threading
import time

from sqlalchemy import func, select

from lightwell.base.errors import Problem
from lightwell.base.telemetry import log
from lightwell.ledger.places import integrated
from lightwell.product.feed.models import RankingPolicyRow, SnapshotRow
from lightwell.recommender.policy import RankingPolicy, parse
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell

_log = log("feed.serving")
_LOOK_SECONDS = 0.5
_NEWEST = select(
    select(func.max(SnapshotRow.number)).scalar_subquery(),
    select(func.max(RankingPolicyRow.number)).scalar_subquery(),
)


class Serving:
    """Holds the snapshot and policy in force; looks for newer ones at most twice a second.

    Args:
        cell: whose feed it is.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._snapshot: Snapshot | None = None
        self._policy: RankingPolicy | None = None
        self._newest: object = None

    def current(self) -> tuple[Snapshot, RankingPolicy]:
        """Return what to rank with.

        Raises:
            Problem: 503, the cell has published no snapshot or policy yet.
        """
        if time.monotonic() - self._looked_at > _LOOK_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._look()
                self._looked_at = time.monotonic()
            finally:
                self._lock.release()
        if self._snapshot is None or self._policy is None:
            raise Problem(503, "feed-not-ready", "The feed is being prepared; ask again in a moment.")
        return self._snapshot, self._policy

    def _look(self) -> None:
        with self._cell.database.read() as session:
            newest = session.execute(_NEWEST).one()
            if newest == self._newest:
                return
            policy = session.execute(
                select(RankingPolicyRow.digest, RankingPolicyRow.body, RankingPolicyRow.leaf)
                .order_by(RankingPolicyRow.number.desc())
                .limit(4)
            ).all()
            snapshots = session.execute(
                select(SnapshotRow.digest, SnapshotRow.leaf).order_by(SnapshotRow.number.desc()).limit(8)
            ).all()
            in_ledger = integrated(session, [row.leaf for row in (*policy, *snapshots)])
        for row in policy:
            if row.leaf in in_ledger:
                if self._policy is None or self._policy.digest != row.digest:
                    self._policy = parse(row.body)
                break
        for digest, leaf in snapshots:
            if leaf in in_ledger:
                if self._snapshot is None or self._snapshot.digest != digest:
                    self._load(digest)
                break
        # Looked through once and for all only when the newest of both are in the ledger.
        if {row.leaf for row in (*policy[:1], *snapshots[:1])} <= in_ledger.keys():
            self._newest = newest

    def _load(self, digest: str) -> None:
        snapshot = Snapshot.from_bytes(self._cell.objects.get(f"snapshots/{digest}"))
        if snapshot.digest != digest:
            # The last good one serves on; an altered file is never ranked from.
            _log.error("snapshot does not match its digest", digest=digest)
            return
        self._snapshot = snapshot
