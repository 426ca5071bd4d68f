"""The one writer of a cell's ledger: queue to tree to files to checkpoint, each durable before the next.

A step that fails leaves what was acknowledged where it was, and the next run carries on from the files and
the database alone. A checkpoint is never signed for a tree that is not on disk, and never public without
its quorum of witnesses.
"""

from __future__ import annotations

import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings, SettingsError
from lightwell.base.telemetry import log
from lightwell.ledger.assignment import Assignment, Batch, Pad, Progress
from lightwell.ledger.errors import ConflictError, LedgerCorruptError
from lightwell.ledger.storage import open_storage, read_exactly, tile_reader
from lightwell.ledger.witnesses import Witnesses
from lightwell.wire import checkpoint as checkpoints
from lightwell.wire import merkle, tiles, trust
from lightwell.wire.checkpoint import Checkpoint, CheckpointError
from lightwell.wire.edge import Edge
from lightwell.wire.keys import NoteError, SigningKey
from lightwell.wire.note import join_note
from lightwell.wire.tiles import CHECKPOINT_PATH, TileError
from lightwell.wire.trust import NO_QUORUM, TrustPolicy

_log = log("ledger.sequencer")

_RETRY_SECONDS = 1.0
_BUNDLES = "tile/entries/"


def origin_of(cell: str) -> str:
    """Return the origin line of a cell's ledger, which is also its key's name."""
    return f"lightwell/{cell}"


def policy_of(settings: CellSettings) -> TrustPolicy:
    """Return whom a cell's writer asks to cosign, and how many it takes.

    Raises:
        SettingsError: the file that the settings name is missing or malformed.
    """
    if not settings.ledger_policy:
        return TrustPolicy(NO_QUORUM)
    file = settings.path(settings.ledger_policy)
    try:
        policy = trust.parse(file.read_bytes())
    except (OSError, trust.TrustError) as error:
        raise SettingsError(f"{file}: {error}") from None
    reachable = {name for name, known in policy.witnesses.items() if known.url}
    if not policy.satisfied(reachable):
        raise SettingsError(f"{file}: the quorum can never be met by the witnesses that have a URL")
    return policy


class Sequencer:
    """Gives queued entries their place and publishes checkpoints over them.

    Of several processes that run one, only that with the database's lease does anything.

    Args:
        settings: the cell's; they say where the ledger lies and which witnesses it needs.
        database: the cell's.
        key: the ledger's signing key, named as the origin.
        pad: adds what a batch lacks to the size that the settings ask for; None adds nothing.

    Raises:
        SettingsError: the trust policy cannot be read.
    """

    def __init__(
        self, settings: CellSettings, database: Database, key: SigningKey, pad: Pad | None = None
    ) -> None:
        self._origin = origin_of(settings.cell)
        if key.name != self._origin:
            raise ValueError(f"the ledger key is named {key.name!r}, not {self._origin!r}")
        self._key = key
        self._interval = settings.checkpoint_milliseconds / 1000
        self._storage = open_storage(settings)
        self._assignment = Assignment(database, settings.ledger_shuffle, settings.ledger_pad_to, pad)
        self._witnesses = Witnesses(policy_of(settings))
        # The tree as the files have it; None until recovered, and again after any failed write.
        self._edge: Edge | None = None
        self._term = 0
        # The published checkpoint, as bytes and as what they say.
        self._note: bytes | None = None
        self._published = Checkpoint(self._origin, 0, merkle.EMPTY_ROOT)
        # In the files, and under no public checkpoint yet.
        self._unpublished: list[Batch] = []
        self._finished: list[str] = []

    def run(self, stop: threading.Event) -> None:
        """Publish a checkpoint at each period's end, if there is anything new, until `stop` is set.

        The periods are fixed: when a checkpoint is made says nothing about when in it an entry came.

        Raises:
            DurabilityError: an fsync failed; the process must end.
            LedgerCorruptError: nothing may be signed until a person has looked.
        """
        try:
            while not stop.wait(self._interval - time.monotonic() % self._interval):
                try:
                    self.run_once()
                except (OSError, SQLAlchemyError) as error:
                    # A full disk or a database that is away: what is queued stays queued.
                    _log.error("checkpoint failed, trying again", error)
                    stop.wait(_RETRY_SECONDS)
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
            The checkpoint that was published; None if there was nothing to do, another process is the
            writer, or the quorum is not met.

        Raises:
            DurabilityError, LedgerCorruptError: as `run`.
            OSError, SQLAlchemyError: this run failed; another may be tried.
        """
        try:
            return self._run_once()
        except BaseException:
            # Whether a commit or a write that failed took place is not known: all memory of it is void.
            self._edge = None
            raise

    def _run_once(self) -> Checkpoint | None:
        if not self._assignment.hold():
            self._edge = None
            return None
        if self._edge is None or self._term != self._assignment.term:
            self._recover()
        edge = self._edge
        assert edge is not None  # noqa: S101  recovery sets it or raises
        if not self._assignment.is_waiting():
            is_due = self._witnesses.due(edge.size) or (
                self._is_behind(edge) and self._witnesses.policy.satisfied(())
            )
            return self._publish(edge) if is_due else None
        batch = self._assignment.assign()
        if batch is None:
            self._edge = None
            return None
        self._integrate(edge, batch)
        return self._publish(edge)

    def _integrate(self, edge: Edge, batch: Batch) -> None:
        """Add a batch to the tree and make its files durable: entries first, then the hashes over them."""
        if not batch.entries:
            return
        if batch.first_index != edge.size:
            raise LedgerCorruptError(f"the batch at {batch.first_index} does not follow {edge.size} entries")
        # From here to the end of the write, memory is ahead of the disk.
        self._edge = None
        files = edge.append(batch.entries, batch.leaves)
        bundles = {path: data for path, data in files.items() if path.startswith(_BUNDLES)}
        try:
            self._storage.write(bundles)
            self._storage.write({path: data for path, data in files.items() if path not in bundles})
        except ConflictError as error:
            raise LedgerCorruptError(f"two trees: {error}") from None
        self._edge = edge
        self._unpublished.append(batch)
        self._finished += [path for path in files if ".p/" not in path]

    def _publish(self, edge: Edge) -> Checkpoint | None:
        """Sign the tree whose files are durable, gather cosignatures, publish, and mark it published."""
        checkpoint = Checkpoint(self._origin, edge.size, edge.root())
        text = checkpoint.text()
        own = self._key.sign_text(text)
        node = tiles.node_reader(tile_reader(self._storage), edge.size)
        cosignatures, has_quorum = self._witnesses.collect(checkpoint, join_note(text, [own]), node)
        if not has_quorum:
            if self._is_behind(edge):
                why = "; ".join(self._witnesses.down()) or "witnesses have not answered yet"
                self._assignment.mark_waiting(f"no quorum of witnesses: {why}", self._witnesses.all)
            return None
        if not self._assignment.hold() or self._assignment.term != self._term:
            # Paused past the lease: the next writer may have published a larger tree already.
            self._edge = None
            return None
        note = join_note(text, [own, *cosignatures]).encode()
        try:
            self._storage.publish(note, self._note)
        except ConflictError as error:
            _log.error("checkpoint not published", error)
            self._edge = None
            return None
        self._note, self._published = note, checkpoint
        self._mark_integrated()
        return checkpoint

    def _is_behind(self, edge: Edge) -> bool:
        return self._note is None or self._published.size < edge.size

    def _mark_integrated(self) -> None:
        published = self._published
        self._assignment.mark_integrated(
            published.size, published.root, self._unpublished, self._witnesses.all
        )
        self._storage.drop_partials(self._finished)
        self._unpublished, self._finished = [], []

    def _recover(self) -> None:
        """Set the tree's edge from the published files and what the database has assigned beyond them."""
        self._finished, self._unpublished = [], []
        self._storage.tidy()
        progress, firsts = self._assignment.recover()
        edge = self._edge_of_files(progress)
        self._assignment.recall(self._witnesses.all)
        batches = [self._assignment.load(first) for first in firsts]
        # Published by a writer that ended before it could say so in the database.
        self._unpublished = [batch for batch in batches if batch.end <= edge.size]
        if edge.size > progress.integrated_size:
            self._mark_integrated()
        self._edge, self._term = edge, self._assignment.term
        for batch in batches:
            if batch.end > edge.size:
                self._integrate(edge, batch)

    def _edge_of_files(self, progress: Progress) -> Edge:
        """Return the tree of the published checkpoint, which must hold all that the database knows of."""
        self._note = self._storage.read(CHECKPOINT_PATH)
        self._published = Checkpoint(self._origin, 0, merkle.EMPTY_ROOT)
        if self._note is None:
            if progress.integrated_size:
                raise LedgerCorruptError(f"the checkpoint of {progress.integrated_size} entries is gone")
            return Edge()
        try:
            key = self._key.verifier()
            self._published = checkpoints.open_checkpoint(
                self._note.decode(), key, origin=self._origin
            ).checkpoint
            edge = Edge.load(lambda path: read_exactly(self._storage, path), self._published.size)
        except (NoteError, CheckpointError, TileError, UnicodeDecodeError, FileNotFoundError) as error:
            raise LedgerCorruptError(f"the published checkpoint or its files are damaged: {error}") from error
        if edge.root() != self._published.root:
            raise LedgerCorruptError(f"the files do not lead to the checkpoint of {edge.size} entries")
        if edge.size > progress.assigned_size:
            raise LedgerCorruptError(
                f"files hold {edge.size} entries, the database only {progress.assigned_size}: "
                "was it restored from an older copy?"
            )
        if edge.size < progress.integrated_size:
            raise LedgerCorruptError(
                f"files hold {edge.size} entries, {progress.integrated_size} were published: "
                "was the ledger restored from an older copy?"
            )
        if edge.size == progress.integrated_size and edge.root() != progress.root:
            raise LedgerCorruptError(f"files and database disagree on the root at {edge.size}")
        return edge
