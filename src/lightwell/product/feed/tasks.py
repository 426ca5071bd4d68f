"""The trainer of a cell: a model from this cell's own events now and then, what is newer within seconds."""

import hashlib
import secrets
import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from lightwell.base.clock import now_s
from lightwell.base.telemetry import log
from lightwell.product.feed import snapshot_files, training_deploy
from lightwell.product.feed.snapshot_files import UNREADABLE
from lightwell.product.feed.snapshot_retention import drop_snapshots
from lightwell.product.feed.training import Trained, TrainingSettings, train, training_code
from lightwell.product.feed.training_parts import Keeping
from lightwell.product.feed.training_people import holds_erased, mark_models_of_erased
from lightwell.product.feed.training_process import TrainingFailedError, TrainingProcess
from lightwell.product.feed.training_state import TrainingState
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.happened import Events, events_of
from lightwell.recommender.live import FullError
from lightwell.residency.cell import Cell

_log = log("feed.trainer")
# Updates may take at most this share of one core, and whole models this; a larger cell is trained less often.
_SHARE: Final = 0.25
_MODEL_SHARE: Final = 0.1
_BYTES_PER_SECOND: Final = 256 * 1024
"""Updates are kept for as long as slates are: this is what they may add up to."""
_HERE_MOST: Final = 5_000
"""Up to so many videos and events, training is over before a child process would have started."""
_OUTGROWN_BY: Final = 4
_LARGE_UPDATE: Final = 4 * 1024 * 1024
_AT_ONCE_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 60.0
"""How often it is looked for people who were erased, and for snapshots that are kept no longer."""
_MOST_TRIES: Final = 3
_OLD_JOB_SECONDS: Final = 6 * 3600.0


@dataclass(frozen=True)
class _Job:
    """A training in a child process, as long as it has not led to a model; what it has done is kept."""

    facts: list[VideoFact]
    events: Events
    minute: int
    keeping: Keeping
    began_at: float
    tries: int = 1

    def again(self, facts: list[VideoFact], events: Events) -> "_Job | None":
        """The same job once more, unless a video or a viewer in it is gone since, or it is no use."""
        if self.tries >= _MOST_TRIES or time.monotonic() - self.began_at > _OLD_JOB_SECONDS:
            return None
        if {fact.id for fact in self.facts} - {fact.id for fact in facts}:
            return None
        if not np.array_equal(self.events, events[: self.events.size]):
            return None
        return replace(self, tries=self.tries + 1)


class Trainer:
    """Trains models and publishes what is newer than the last one.

    Args:
        cell: the cell to train for.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._settings = TrainingSettings()
        self._code = training_code()
        self._state = TrainingState(cell, self._settings.counts)
        self._folder = cell.settings.path("training")
        self._child: TrainingProcess | None = None
        self._published: object = None
        self._trained_from: object = None
        self._train_after = self._affordable_at = 0.0
        self._began = 0.0
        self._update_bytes = 0
        self._job: _Job | None = None
        self._looked_for_erased_at = self._looked_for_old_at = -_LOOK_SECONDS

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set; a training that is under way then is given up without harm."""
        # What an earlier process left there, it did not finish.
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    self.publish_if_changed()
                    self._drop_old()
                except Exception as error:  # noqa: BLE001  the next round may succeed; the feed serves on
                    _log.error("training failed", error)
                spent = time.monotonic() - began
                size_seconds = self._update_bytes / _BYTES_PER_SECOND
                pause = max(self._cell.settings.snapshot_seconds, spent / _SHARE, size_seconds)
                is_waiting = self._state.base is None or self._state.is_behind
                stop.wait(_AT_ONCE_SECONDS if is_waiting else pause)
        finally:
            if self._child is not None:
                self._child.end()

    def publish_if_changed(self) -> str | None:
        """Publish a model or an update; return the digest of the snapshot, None if nothing was published."""
        self._rest_on_what_serves()
        self._state.read()
        made = self._model()
        if made is not None:
            return made
        if self._state.base is None:
            return None
        try:
            return self._update()
        except FullError:
            self._train_after = 0.0
            return self._model(is_due=True)

    def _drop_old(self) -> None:
        """Delete, once in a while, the bytes of snapshots that are not kept any longer."""
        if time.monotonic() - self._looked_for_old_at >= _LOOK_SECONDS:
            drop_snapshots(self._cell)
            self._looked_for_old_at = time.monotonic()

    def _rest_on_what_serves(self) -> None:
        """Take up the base that serves: at the start, and when people have gone back to another."""
        with self._cell.database.read() as session:
            base = training_deploy.held_model(session) or training_deploy.newest_base(session)
        if base is None or (self._state.base is not None and self._state.base.digest == base):
            return
        try:
            self._state.rest_on(snapshot_files.open_base(self._cell, base).snapshot)
        except UNREADABLE as error:
            _log.error("the model that serves cannot be read; another is trained", error, digest=base)
            self._train_after = 0.0

    def _model(self, *, is_due: bool = False) -> str | None:
        """Carry a training one step on; return the digest of a model that is now published."""
        if self._child is not None:
            return self._finish(self._child) if self._child.is_done() else None
        with self._cell.database.read() as session:
            held = training_deploy.held_model(session)
        if self._state.is_behind:
            return None
        is_of_erased = self._serves_erased()
        if held is not None and self._state.base is not None and not is_of_erased:
            return None
        if not (is_due or self._is_due(is_of_erased=is_of_erased)):
            return None
        self._began, self._trained_from = time.monotonic(), self._now()
        facts, events = self._state.everything()
        self._folder.mkdir(exist_ok=True)
        out = self._folder / secrets.token_hex(8)
        if len(facts) + events.size > _HERE_MOST:
            self._train_beside(facts, events, out)
            return None
        minute = now_s() // 60
        return self._deploy(train(facts, events, self._settings, minute, out), out, events)

    def _train_beside(self, facts: list[VideoFact], events: Events, out: Path) -> None:
        """Train in a child process, which goes on where one that was ended had got to."""
        job = None if self._job is None else self._job.again(facts, events)
        if job is None:
            self._end_job()
            keeping = Keeping.in_folder(self._folder / secrets.token_hex(8))
            job = _Job(facts, events, now_s() // 60, keeping, time.monotonic())
        self._job = job
        self._child = TrainingProcess(
            job.facts, job.events, self._settings, job.minute, out, keeping=job.keeping
        )

    def _end_job(self) -> None:
        if self._job is not None:
            shutil.rmtree(self._job.keeping.folder, ignore_errors=True)
            self._job = None

    def _serves_erased(self) -> bool:
        """Whether the model that serves learned from somebody erased since; looked for now and then."""
        base = self._state.base
        if base is None:
            return False
        if time.monotonic() - self._looked_for_erased_at >= _LOOK_SECONDS:
            self._looked_for_erased_at = time.monotonic()
            with self._cell.database.write() as session:
                mark_models_of_erased(session)
        with self._cell.database.read() as session:
            return holds_erased(session, base.digest)

    def _is_due(self, *, is_of_erased: bool) -> bool:
        base = self._state.base
        if base is None:
            return True
        # A young catalogue soon outgrows its model: what is added has no neighbours until the next.
        is_outgrown = self._state.added * _OUTGROWN_BY > base.size
        if time.monotonic() < (self._affordable_at if is_outgrown else self._train_after):
            return False
        return is_of_erased or self._now() != self._trained_from or self._update_bytes > _LARGE_UPDATE

    def _now(self) -> tuple[int, int]:
        base = self._state.base
        return self._state.sequence, self._state.added + (0 if base is None else base.size)

    def _finish(self, child: TrainingProcess) -> str | None:
        self._child = None
        try:
            made = child.result()
        except TrainingFailedError:
            self._trained_from = None
            self._train_after = time.monotonic() + self._cell.settings.model_seconds
            child.out.unlink(missing_ok=True)
            raise
        events = events_of([]) if self._job is None else self._job.events
        self._end_job()
        return self._deploy(made, child.out, events)

    def _deploy(self, made: Trained, out: Path, events: Events) -> str:
        try:
            training_deploy.deploy_model(self._cell, made, out, np.unique(events["viewer"]))
        finally:
            out.unlink(missing_ok=True)
        spent = time.monotonic() - self._began
        self._affordable_at = time.monotonic() + spent / _MODEL_SHARE
        self._train_after = max(self._affordable_at, time.monotonic() + self._cell.settings.model_seconds)
        self._rest_on_what_serves()
        self._published, self._update_bytes = self._freshness(), 0
        return made.snapshot

    def _freshness(self) -> object:
        # Counters lose weight as time passes: once an hour is news enough when nothing else happens.
        return (*self._now(), now_s() // 3600)

    def _update(self) -> str | None:
        base, fresh = self._state.base, self._freshness()
        if base is None or fresh == self._published:
            return None
        data = self._state.update(now_s() // 60)
        digest = hashlib.sha256(data).hexdigest()
        training_deploy.deploy_update(
            self._cell,
            digest,
            data,
            base=base.digest,
            events=self._state.events_digest,
            settings=self._settings.digest,
            code=self._code,
            videos=base.size + self._state.added,
        )
        self._published, self._update_bytes = fresh, len(data)
        return digest
