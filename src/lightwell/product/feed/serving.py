"""What a process ranks from: the newest snapshot and policy whose entries are already in the ledger."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET
from sqlalchemy import func, select

from lightwell.base.db import Statement
from lightwell.base.errors import Problem
from lightwell.base.labels import declare_cache
from lightwell.base.telemetry import log
from lightwell.ledger.published import published_entries
from lightwell.product.feed import snapshot_files
from lightwell.product.feed.models import RankingPolicyRow, SnapshotRow
from lightwell.product.feed.snapshot_files import SMALL_BYTES, UNREADABLE, Base
from lightwell.recommender import pipeline
from lightwell.recommender.pipeline import Ranked
from lightwell.recommender.policy import RankingPolicy, parse
from lightwell.recommender.record import SlateInputs
from lightwell.recommender.shards_front import Front
from lightwell.recommender.shards_rank import Best
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell
from lightwell.wire.entries import Entry, PolicyAdopted, SnapshotPublished, UnknownEntry

declare_cache("feed.serving", "snapshots", "system.operations", "interop")

_log = log("feed.serving")
_LOOK_SECONDS: Final = 0.5
_TRY_AGAIN_SECONDS: Final = 60.0
_BASES_KEPT: Final = 2
_LOADED_KEPT: Final = 4
_CANDIDATES: Final = 8
_NEWEST: Final = Statement(
    select(
        select(func.max(SnapshotRow.number)).scalar_subquery(),
        select(func.max(RankingPolicyRow.number)).scalar_subquery(),
    )
)

Named = tuple[str, str]
"""A snapshot's digest and that of its base."""

RankedFrom = Snapshot | Front
"""A snapshot whole, or what a web process knows of one that shards hold."""


class Serving:
    """Holds the snapshot and policy in force; looks for newer ones at most twice a second.

    A large snapshot is read and checked by a thread of its own while the one before serves on; so does it
    when the new one is altered, cut short or gone.

    Args:
        cell: whose feed it is.
    """

    asks_others = False
    """Whether other processes are asked, and waited for, with each request."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._looked_at = 0.0
        self._snapshot: RankedFrom | None = None
        self._policy: RankingPolicy | None = None
        self._newest: object = None
        self._wanted: list[Named] = []
        self._entries: dict[bytes, Entry | UnknownEntry] = {}
        self._bases: OrderedDict[str, Base] = OrderedDict()
        self._loaded: OrderedDict[str, Snapshot] = OrderedDict()
        self._unreadable: dict[str, float] = {}

    def rank(self, snapshot: RankedFrom, policy: RankingPolicy, inputs: SlateInputs) -> Ranked:
        """Rank a request; see `pipeline.rank`."""
        return pipeline.rank(whole(snapshot), policy, inputs)

    def features_of(
        self, snapshot: RankedFrom, policy: RankingPolicy, inputs: SlateInputs, most: int
    ) -> Best:
        """What a ranker by others is asked with; see `pipeline.features_of`."""
        return pipeline.features_of(whole(snapshot), policy, inputs, most)

    def close(self) -> None:
        """End what it holds open."""

    def current(self) -> tuple[RankedFrom, RankingPolicy]:
        """Return what to rank with.

        Raises:
            Problem: 503, the cell has published no snapshot or policy yet, or the first is being read.
        """
        if self._is_due():
            try:
                self._look()
                self._follow()
                self._looked_at = time.monotonic()
            finally:
                self._lock.release()
        if self._snapshot is None or self._policy is None:
            raise _not_ready()
        return self._snapshot, self._policy

    def named(self) -> tuple[str, str]:
        """Return the digests of the snapshot and the policy in force, without reading the snapshot.

        Raises:
            Problem: 503, the cell has published no snapshot or policy yet.
        """
        if self._is_due():
            try:
                self._look()
                self._looked_at = time.monotonic()
            finally:
                self._lock.release()
        if not self._wanted or self._policy is None:
            raise _not_ready()
        return self._wanted[0][0], self._policy.digest

    def load(self, digest: str) -> RankedFrom:
        """Return a snapshot that has been published, whether it serves or not; it may take a while.

        Raises:
            Problem: 404, none of this digest was published or its bytes are gone; 410, it is kept no longer.
            SnapshotError: its bytes were altered.
        """
        if self._snapshot is not None and self._snapshot.digest == digest:
            return self._snapshot
        with self._cell.database.read() as session:
            base = snapshot_files.published_base(session, digest)
        with self._loading:
            return self._read(digest, base)

    def _is_due(self) -> bool:
        if not self._wanted or self._snapshot is None or self._policy is None:
            # With nothing to rank from yet, every request looks, after whoever is looking just now: what has
            # been published must not be said to be missing.
            return self._lock.acquire(timeout=1)
        return time.monotonic() - self._looked_at > _LOOK_SECONDS and self._lock.acquire(blocking=False)

    def _look(self) -> None:
        """Learn which snapshots and which policy stand in the ledger, the newest first."""
        newest = _NEWEST.one(self._cell.database)
        if newest == self._newest:
            return
        with self._cell.database.read() as session:
            policies = session.execute(
                select(RankingPolicyRow.digest, RankingPolicyRow.body, RankingPolicyRow.leaf)
                .order_by(RankingPolicyRow.number.desc())
                .limit(_CANDIDATES)
            ).all()
            snapshots = session.execute(
                select(SnapshotRow.digest, SnapshotRow.base, SnapshotRow.leaf)
                .order_by(SnapshotRow.number.desc())
                .limit(_CANDIDATES)
            ).all()
            leaves = {row.leaf for row in (*policies, *snapshots)}
            unknown = leaves - self._entries.keys()
            found = published_entries(self._cell.settings, session, unknown)
        self._entries = {leaf: one for leaf, one in (self._entries | found).items() if leaf in leaves}
        self._take_policy([row for row in policies if self._names_policy(row)])
        self._wanted = [(row.digest, row.base) for row in snapshots if self._names_snapshot(row)]
        # Looked through once and for all only when the newest of both are in the ledger.
        if {row.leaf for row in (*policies[:1], *snapshots[:1])} <= self._entries.keys():
            self._newest = newest

    def _names_policy(self, row: Any) -> bool:
        """Whether the entry a row points to says that just this policy may serve: a row may say anything."""
        entry = self._entries.get(row.leaf)
        return isinstance(entry, PolicyAdopted) and entry.digest == row.digest

    def _names_snapshot(self, row: Any) -> bool:
        entry = self._entries.get(row.leaf)
        if not isinstance(entry, SnapshotPublished) or entry.snapshot != row.digest:
            return False
        base = entry.snapshot if entry.base is UNSET else entry.base
        return bool(row.base == base)

    def _take_policy(self, rows: Sequence[Any]) -> None:
        """Take the newest policy that can be read and is the one it is called; else keep the last."""
        for row in rows:
            if self._policy is not None and self._policy.digest == row.digest:
                return
            try:
                policy = parse(row.body)
                if policy.digest == row.digest:
                    self._policy = policy
                    return
                _log.error("a ranking policy has another digest", digest=row.digest)
            except ValueError as error:
                _log.error("a ranking policy cannot be read", error, digest=row.digest)

    def _follow(self) -> None:
        """Read the newest snapshot that can be read: at once if it is small, else beside what serves."""
        wanted = self._next()
        if wanted is None or not self._loading.acquire(blocking=False):
            return
        if self._is_small(wanted):
            self._switch()
        else:
            threading.Thread(target=self._switch, name="snapshot", daemon=True).start()

    def _next(self) -> Named | None:
        """The snapshot to read; None if the one that serves is the newest that can be read."""
        now = time.monotonic()
        for named in self._wanted:
            if self._snapshot is not None and self._snapshot.digest == named[0]:
                return None
            if self._unreadable.get(named[0], 0) <= now:
                return named
        return None

    def _put_aside(self, digest: str, error: BaseException) -> None:
        """Leave a snapshot alone for a while: the last good one serves on; an altered file never does."""
        _log.error("a snapshot cannot be read", error, digest=digest)
        self._unreadable[digest] = time.monotonic() + _TRY_AGAIN_SECONDS

    def _is_small(self, named: Named) -> bool:
        digest, base = named
        try:
            held = self._bases.get(base)
            if held is not None and held.file is not None:
                return False
            sizes = [0 if held else self._cell.objects.size(snapshot_files.model_key(base))]
            if digest != base:
                sizes.append(self._cell.objects.size(snapshot_files.update_key(digest)))
        except UNREADABLE:
            return True
        return sum(sizes) <= SMALL_BYTES

    def _switch(self) -> None:
        """Serve the newest readable snapshot; the caller holds `_loading`, which is released here."""
        try:
            while (wanted := self._next()) is not None:
                try:
                    found = self._read(*wanted)
                    pipeline.make_ready(found)
                    self._snapshot = found
                except UNREADABLE as error:
                    self._put_aside(wanted[0], error)
        finally:
            self._loading.release()

    def _read(self, digest: str, base: str) -> Snapshot:
        found = self._loaded.get(digest)
        if found is None:
            held = self._bases.get(base)
            if held is None:
                held = self._bases[base] = snapshot_files.open_base(self._cell, base)
            self._bases.move_to_end(base)
            found = held.snapshot
            if digest != base:
                data = self._cell.objects.get(snapshot_files.update_key(digest))
                found = held.with_update(data, digest)
            self._loaded[digest] = found
            # A large update is some fifty megabytes of this process alone.
            kept = 1 if held.file is not None else _LOADED_KEPT
            for kinds, most in ((self._bases, _BASES_KEPT), (self._loaded, kept)):
                while len(kinds) > most:
                    kinds.popitem(last=False)
        return found


def whole(snapshot: RankedFrom) -> Snapshot:
    """The snapshot itself; what shards hold is not ranked here."""
    if not isinstance(snapshot, Snapshot):
        raise TypeError("a snapshot that shards hold is ranked by asking them")
    return snapshot


def _not_ready() -> Problem:
    return Problem(503, "feed-not-ready", "The feed is being prepared; ask again in a moment.")
