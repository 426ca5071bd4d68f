"""The one writer of a cell's ledger: queue to tree to files to checkpoint, each durable before the next.

A step that fails leaves what was acknowledged where it was, and the next run carries on from the files and
the database alone. A checkpoint is never signed for a tree that is not on disk.
"""

from __future__ import annotations

import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.base.telemetry import log
from lightwell.ledger.assignment import Assignment, Progress, Waiting
from lightwell.ledger.files import LedgerFiles
from lightwell.ledger.witnesses import Witnesses
from lightwell.wire import checkpoint as checkpoints
from lightwell.wire import merkle, tiles
from lightwell.wire.checkpoint import Checkpoint, CheckpointError
from lightwell.wire.edge import Edge
from lightwell.wire.note import NoteError, SigningKey, join_note
from lightwell.wire.tiles import TileError

_log = log("ledger.sequencer")

CHECKPOINT_PATH = "checkpoint"
_RETRY_SECONDS = 1.0


class LedgerCorruptError(RuntimeError):
    """Files and database contradict each other: signing on could fork the ledger, so nothing is signed."""


def origin_of(cell: str) -> str:
    """Return the origin line of a cell's ledger, which is also its key's name."""
    return f"lightwell/{cell}"


class Sequencer:
    """Gives queued entries their place and publishes checkpoints over them.

    Of several processes that run one, only that with the database's lease does anything.

    Args:
        settings: the cell's; its ledger lies in the folder's `ledger`.
        database: the cell's.
        key: the ledger's signing key, named as the origin.
    """

    def __init__(self, settings: CellSettings, database: Database, key: SigningKey) -> None:
        self._origin = origin_of(settings.cell)
        if key.name != self._origin:
            raise ValueError(f"the ledger key is named {key.name!r}, not {self._origin!r}")
        self._key = key
        self._interval = settings.checkpoint_milliseconds / 1000
        self._files = LedgerFiles(settings.path("ledger"))
        self._assignment = Assignment(database)
        self._witnesses = Witnesses(settings.witnesses)
        # The tree as the files have it; None until recovered, and again after any failed write.
        self._edge: Edge | None = None
        self._published: Checkpoint | None = None
        # Entries may have their index and be in no file yet, after a crash or when there are many.
        self._assigned_size = 0
        self._finished: list[str] = []
        self._wake = threading.Event()

    def wake(self) -> None:
        """Say that something was queued; only ever makes the next checkpoint come sooner."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Publish checkpoints until `stop` is set, then let go of the lease.

        Raises:
            DurabilityError: an fsync failed; the process must end.
            LedgerCorruptError: nothing may be signed until a person has looked.
        """
        try:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    self.run_once()
                except (OSError, SQLAlchemyError) as error:
                    # A full disk or a database that is away: what is queued stays queued.
                    _log.error("checkpoint failed, trying again", error)
                    stop.wait(_RETRY_SECONDS)
                rest = self._interval - (time.monotonic() - began)
                if rest > 0:
                    stop.wait(rest) if self._wake.is_set() else self._wake.wait(rest)
                self._wake.clear()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the lease, of threads and of connections."""
        self._witnesses.close()
        try:
            self._assignment.release()
        except SQLAlchemyError as error:
            _log.error("lease not released", error)

    def run_once(self) -> Checkpoint | None:
        """Integrate what is queued, at most one batch, and publish a checkpoint over it.

        Returns:
            The checkpoint that was published; None if there was nothing to do or another process is
            the writer.

        Raises:
            DurabilityError, LedgerCorruptError: as `run`.
            OSError, SQLAlchemyError: this run failed; another may be tried.
        """
        if not self._assignment.hold():
            self._edge = None
            return None
        if self._edge is None:
            self._recover()
        edge = self._edge
        assert edge is not None  # noqa: S101  recovery sets it or raises
        is_current = self._published is not None and self._published.size == edge.size == self._assigned_size
        if is_current and not self._assignment.is_waiting():
            return self._publish(edge) if self._witnesses.due(edge.size) else None
        taken = self._assignment.assign()
        if taken is None:
            self._edge = None
            return None
        progress, waiting = taken
        self._assigned_size = progress.assigned_size
        if progress.assigned_size - len(waiting) != edge.size:
            # Assigned before a crash, or by a writer that lost its lease before writing: these go first.
            waiting = self._assignment.entries(edge.size, progress.assigned_size)
        self._integrate(edge, waiting)
        return self._publish(edge)

    def _integrate(self, edge: Edge, waiting: list[Waiting]) -> None:
        """Add entries to the tree and make their files durable."""
        if [one.index for one in waiting] != list(range(edge.size, edge.size + len(waiting))):
            raise LedgerCorruptError(f"assigned entries from {edge.size} on are not in one row")
        if not waiting:
            return
        # From here to the end of the write, memory is ahead of the disk.
        self._edge = None
        files = edge.append([one.entry for one in waiting], [one.leaf_hash for one in waiting])
        self._files.write(files)
        self._edge = edge
        self._finished = [path for path in files if ".p/" not in path]

    def _publish(self, edge: Edge) -> Checkpoint | None:
        """Sign the tree whose files are durable, gather cosignatures, publish, and mark it published."""
        checkpoint = Checkpoint(self._origin, edge.size, edge.root())
        text = checkpoint.text()
        own = self._key.sign_text(text)
        node = tiles.node_reader(self._files.read_tile, edge.size)
        cosignatures = self._witnesses.collect(checkpoint, join_note(text, [own]), node)
        if not self._assignment.hold():
            # Paused past the lease: the next writer may have published a larger tree already.
            self._edge = None
            return None
        self._files.write({CHECKPOINT_PATH: join_note(text, [own, *cosignatures]).encode()})
        self._assignment.mark_integrated(edge.size, checkpoint.root, self._witnesses.all)
        self._published = checkpoint
        self._files.drop_partials(self._finished)
        self._finished = []
        return checkpoint

    def _recover(self) -> None:
        """Set the tree's edge from the published files, or from the database where they fall short."""
        self._finished = []
        self._published = None
        self._files.drop_drafts()
        progress = self._assignment.progress()
        self._assigned_size = progress.assigned_size
        edge = self._edge_of_files()
        if edge.size > progress.assigned_size:
            raise LedgerCorruptError(
                f"files hold {edge.size} entries, the database only {progress.assigned_size}: "
                "was it restored from an older copy?"
            )
        if edge.size < progress.integrated_size:
            # The database knows of a checkpoint that the folder has lost: it is written anew, identically.
            _log.warning("ledger files are behind, writing them anew", size=edge.size)
            edge = self._rebuild(edge, progress)
        if edge.size == progress.integrated_size and edge.root() != progress.root:
            raise LedgerCorruptError(f"files and database disagree on the root at {edge.size}")
        self._assignment.recall(self._witnesses.all)
        self._edge = edge

    def _edge_of_files(self) -> Edge:
        """Return the tree of the published checkpoint, or the empty one if none is whole in the folder."""
        note = self._files.read(CHECKPOINT_PATH)
        if note is None:
            return Edge()
        try:
            opened = checkpoints.open_checkpoint(note.decode(), self._key.verifier(), origin=self._origin)
            edge = Edge.load(self._read_exact, opened.checkpoint.size)
        except (NoteError, CheckpointError, TileError, UnicodeDecodeError, FileNotFoundError) as error:
            _log.error("published checkpoint or its files are damaged", error)
            return Edge()
        if edge.root() != opened.checkpoint.root:
            _log.error("published files do not lead to their checkpoint", size=edge.size)
            return Edge()
        self._published = opened.checkpoint
        return edge

    def _rebuild(self, edge: Edge, progress: Progress) -> Edge:
        """Write the files of entries from `edge` up to the integrated size again, from the database."""
        while edge.size < progress.integrated_size:
            waiting = self._assignment.entries(edge.size, progress.integrated_size)
            if not waiting or any(merkle.leaf_hash(one.entry) != one.leaf_hash for one in waiting):
                raise LedgerCorruptError(f"the database has lost entries from {edge.size} on")
            self._integrate(edge, waiting)
        return edge

    def _read_exact(self, path: str) -> bytes:
        data = self._files.read_tile_file(path)
        if data is None:
            raise FileNotFoundError(path)
        return data
