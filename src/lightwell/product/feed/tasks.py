"""The trainer of a cell: builds a snapshot from this cell's own events and publishes it, entry first."""

import threading
import time
from pathlib import Path

import msgspec
from sqlalchemy import func, select

from lightwell import recommender
from lightwell.base.clock import now_ms, now_s
from lightwell.base.telemetry import log
from lightwell.ledger.queue import enqueue
from lightwell.product import social, videos
from lightwell.product.feed.models import SnapshotRow
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import (
    Manifest,
    TrainSettings,
    VideoFact,
    WatchFact,
    build_snapshot,
    code_digest,
    manifest,
)
from lightwell.residency.cell import Cell
from lightwell.wire.entries import SnapshotPublished

_log = log("feed.trainer")
_BATCH = 2000
_HOUR_MS = 3_600_000
# Training may take at most this share of one core; a larger catalogue is trained less often.
_SHARE = 0.25


class Trainer:
    """Keeps the events read so far, and publishes a new snapshot when videos or events have changed.

    Args:
        cell: the cell to train for.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._watches: list[WatchFact] = []
        self._sequence = 0
        self._code = _training_code()
        self._last: tuple[str, int, int] | None = None

    def run(self, stop: threading.Event) -> None:
        """Publish snapshots until `stop` is set."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                self.publish_if_changed()
            except Exception as error:  # noqa: BLE001  the next round may succeed; the feed serves on
                _log.error("training failed", error)
            spent = time.monotonic() - began
            stop.wait(max(self._cell.settings.snapshot_seconds, spent / _SHARE))

    def publish_if_changed(self) -> str | None:
        """Train and publish; return the new snapshot's digest, or None when nothing has changed."""
        self._read_events()
        with self._cell.database.read() as session:
            facts = [
                VideoFact(
                    id=row.video_id,
                    creator=f"{row.origin_cell}:{row.creator_handle}",
                    sound=row.sound_id,
                    tags=list(row.hashtags),
                    hour=row.published_at // _HOUR_MS,
                    second=row.published_at % _HOUR_MS // 1000,
                    region=row.origin_cell,
                )
                for row in videos.every_published(session)
            ]
        hour = now_s() // 3600
        state = (",".join(fact.id for fact in facts), self._sequence, hour)
        if state == self._last:
            return None
        settings = TrainSettings()
        snapshot = build_snapshot(facts, self._watches, settings, hour)
        self._publish(snapshot, manifest(snapshot, self._watches, settings, self._code))
        self._last = state
        return snapshot.digest

    def _read_events(self) -> None:
        while True:
            with self._cell.database.read() as session:
                batch = social.events_since(self._cell, session, self._sequence, _BATCH)
            for sequence, account_id, event in batch:
                self._sequence = sequence
                if event.kind in ("watch", "skip", "like", "share", "hide"):
                    self._watches.append(
                        WatchFact(account_id, event.video_id, event.strength, event.at // _HOUR_MS)
                    )
            if len(batch) < _BATCH:
                return

    def _publish(self, snapshot: Snapshot, made: Manifest) -> None:
        # Bytes first, then the row with its entry: a row never names a snapshot that is not there.
        self._cell.objects.put(f"snapshots/{snapshot.digest}", snapshot.to_bytes())
        with self._cell.database.write() as session:
            if session.scalar(select(func.count()).where(SnapshotRow.digest == snapshot.digest)):
                return
            leaf = enqueue(session, SnapshotPublished(at=now_s(), **msgspec.structs.asdict(made)))
            session.add(SnapshotRow(digest=snapshot.digest, leaf=leaf, created_at=now_ms()))


def _training_code() -> str:
    # The recommender's own source as it runs here; a changed line is another digest in the ledger.
    folder = Path(recommender.__file__).parent
    return code_digest({path.name: path.read_bytes() for path in folder.glob("*.py")})
