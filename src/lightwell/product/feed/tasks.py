"""The trainer of a cell: a model from this cell's own events now and then, what is newer within seconds."""

import hashlib
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import Final

from lightwell.base.clock import now_s
from lightwell.base.telemetry import log
from lightwell.product.feed import snapshot_files, training_deploy
from lightwell.product.feed.snapshot_files import UNREADABLE
from lightwell.product.feed.training import Trained, TrainingSettings, train, training_code
from lightwell.product.feed.training_process import TrainingFailedError, TrainingProcess
from lightwell.product.feed.training_state import TrainingState
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

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set; a training that is under way then is given up without harm."""
        # What an earlier process left there, it did not finish.
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    self.publish_if_changed()
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
            if training_deploy.held_model(session) is not None and self._state.base is not None:
                return None
        if self._state.is_behind or not (is_due or self._is_due()):
            return None
        self._began, self._trained_from = time.monotonic(), self._now()
        facts, events = self._state.everything()
        minute = now_s() // 60
        self._folder.mkdir(exist_ok=True)
        out = self._folder / secrets.token_hex(8)
        if len(facts) + events.size > _HERE_MOST:
            self._child = TrainingProcess(facts, events, self._settings, minute, out)
            return None
        return self._deploy(train(facts, events, self._settings, minute, out), out)

    def _is_due(self) -> bool:
        base = self._state.base
        if base is None:
            return True
        # A young catalogue soon outgrows its model: what is added has no neighbours until the next.
        is_outgrown = self._state.added * _OUTGROWN_BY > base.size
        if time.monotonic() < (self._affordable_at if is_outgrown else self._train_after):
            return False
        return self._now() != self._trained_from or self._update_bytes > _LARGE_UPDATE

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
        return self._deploy(made, child.out)

    def _deploy(self, made: Trained, out: Path) -> str:
        try:
            training_deploy.deploy_model(self._cell, made, out)
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
