"""Which entry has which index is decided once, in the database, by the one process that holds the lease.

Because an index is given in a committed transaction before any file is written, even a writer that was
paused past its lease can only write what the next one writes too: two writers cannot fork the tree.
"""

from __future__ import annotations

import os
import secrets
import socket
from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from lightwell.base.clock import now_ms
from lightwell.base.db import Database, ReadSession, WriteSession
from lightwell.ledger.errors import LedgerCorruptError
from lightwell.ledger.models import LedgerBatch, LedgerEntry, LedgerState, WitnessState
from lightwell.ledger.places import record_places
from lightwell.ledger.witnesses import Witness
from lightwell.wire.merkle import EMPTY_ROOT

LEASE_MILLISECONDS = 4_000
BATCH = 8_192
"""Entries taken at once: bounds memory, and how long one transaction holds the database."""
WAITING_BATCHES = 16
"""Batches that may be in the files and under no public checkpoint: more wait in the queue for a quorum."""

_STATE = 1
_LIVING: set[str] = set()
"""Holders within this process."""


@dataclass(frozen=True)
class Batch:
    """Entries that have their indices: `first_index` and the ones after it."""

    first_index: int
    entry_ids: Sequence[int]
    leaves: Sequence[bytes]
    """32-byte leaf hashes."""
    entries: Sequence[bytes]

    @property
    def end(self) -> int:
        """The index after the last."""
        return self.first_index + len(self.entry_ids)


@dataclass(frozen=True)
class Progress:
    """How far the ledger is, as the database knows."""

    assigned_size: int
    integrated_size: int
    root: bytes


Pad: TypeAlias = Callable[[int], None]
"""`pad(count)` queues `count` entries that look like others and say nothing, or none."""


class Assignment:
    """The sequencer's side of the ledger's tables.

    Args:
        database: the cell's.
        shuffle: whether the entries of a batch take a random order instead of that of the queue.
        pad_to: `pad` is called to make a batch's size a multiple of this.
        pad: see `Pad`; None adds nothing.
    """

    def __init__(
        self, database: Database, shuffle: bool = False, pad_to: int = 1, pad: Pad | None = None
    ) -> None:
        self._database = database
        self._shuffle = shuffle
        self._pad_to = min(max(pad_to, 1), BATCH)
        self._pad = pad
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        _LIVING.add(self.holder)
        self._renew_at = 0
        self.term = 0
        """The term of the lease that is held; what was read under an earlier one is void."""
        # Ids of queued entries that have an index: they are not to be taken a second time.
        self._taken: dict[int, Sequence[int]] = {}

    def hold(self) -> bool:
        """Take or renew the lease; False while another live process holds it."""
        now = now_ms()
        if now < self._renew_at:
            return True
        with self._database.write() as session:
            state = _locked_state(session)
            if state.holder != self.holder:
                if state.lease_until >= now and not _is_dead(state.holder):
                    return False
                state.holder = self.holder
                state.term += 1
            self.term = state.term
            self._extend(state, now)
        return True

    def is_waiting(self) -> bool:
        """Say whether any entry has no index yet: one cheap read, so that an idle ledger costs little."""
        with self._database.read() as session:
            taken = sum(map(len, self._taken.values()))
            return len(session.execute(_IDS.limit(taken + 1)).all()) > taken

    def assign(self) -> Batch | None:
        """Give the next indices to entries without one, at most `BATCH` of them.

        Returns:
            The batch, without entries if none waits or too many are not public yet; None if the lease is
            lost.
        """
        # Only the lease's holder takes entries from the queue: what is read of it stays true until then, and
        # other writers need not wait for it.
        is_full = len(self._taken) >= WAITING_BATCHES
        rows = [] if is_full else self._next_rows()
        if self._shuffle:
            secrets.SystemRandom().shuffle(rows)
        ids = array("q", (row[0] for row in rows))
        packed = _pack(ids)
        with self._database.write() as session:
            state = self._held_state(session)
            if state is None:
                return None
            first = state.assigned_size
            if rows:
                session.connection().execute(_ADD_BATCH, {"first_index": first, "entry_ids": packed})
                state.assigned_size = first + len(rows)
        if rows:
            self._taken[first] = ids
        return Batch(first, ids, [row[1] for row in rows], [row[2] for row in rows])

    def _next_rows(self) -> list[Row[int, bytes, bytes]]:
        """Read the oldest entries without an index; what they lack in number is added first."""
        taken = {one for ids in self._taken.values() for one in ids}
        with self._database.read() as session:
            rows = _waiting(session, taken)
        if self._pad and (over := len(rows) % self._pad_to):
            wanted = len(rows) + self._pad_to - over
            self._pad(self._pad_to - over)
            # Others may have come meanwhile: those beyond the number wait for the next batch.
            with self._database.read() as session:
                rows = _waiting(session, taken)[:wanted]
        return rows

    def recover(self) -> tuple[Progress, list[int]]:
        """Return how far the ledger is and where the batches begin that are not known to be public."""
        with self._database.read() as session:
            state = session.get(LedgerState, _STATE)
            rows = session.execute(_BATCHES).all()
        self._taken = {first: _unpack(raw) for first, raw in rows}
        if state is None:
            return Progress(0, 0, EMPTY_ROOT), []
        return Progress(state.assigned_size, state.integrated_size, state.root), list(self._taken)

    def load(self, first_index: int) -> Batch:
        """Return a batch that `recover` named.

        Raises:
            LedgerCorruptError: an entry of it is gone.
        """
        ids = self._taken[first_index]
        found: dict[int, tuple[bytes, bytes]] = {}
        with self._database.read() as session:
            for at in range(0, len(ids), 500):
                some = _QUEUE.where(LedgerEntry.entry_id.in_(ids[at : at + 500]))
                found |= {one: (leaf, entry) for one, leaf, entry in session.execute(some)}
        if len(found) != len(ids):
            raise LedgerCorruptError(f"the database has lost entries of the batch at {first_index}")
        return Batch(first_index, ids, [found[i][0] for i in ids], [found[i][1] for i in ids])

    def mark_integrated(
        self, size: int, root: bytes, batches: Sequence[Batch], witnesses: Sequence[Witness]
    ) -> None:
        """Record that the checkpoint of `size` is public; what it covers leaves the queue.

        Args:
            size: of the published tree.
            root: its root.
            batches: those that it covers and that were not public before.
            witnesses: what each said.
        """
        with self._database.write() as session:
            state = self._held_state(session)
            if state is None:
                # The next holder finds the checkpoint in the files and does this itself.
                return
            state.integrated_size, state.root, state.integrated_at = size, root, now_ms()
            state.waits_for = ""
            for batch in batches:
                _drop_entries(session, batch.entry_ids)
                session.connection().execute(_DROP_BATCH, {"first": batch.first_index})
                record_places(session, batch.first_index, batch.leaves)
            _merge_witnesses(session, witnesses)
        for batch in batches:
            self._taken.pop(batch.first_index, None)

    def mark_waiting(self, why: str, witnesses: Sequence[Witness]) -> None:
        """Record why the newest tree is not public: a quorum that is not met, say."""
        with self._database.write() as session:
            state = self._held_state(session)
            if state is not None:
                state.waits_for = why
                _merge_witnesses(session, witnesses)

    def recall(self, witnesses: Sequence[Witness]) -> None:
        """Fill in what each witness cosigned before this process began."""
        with self._database.read() as session:
            for witness in witnesses:
                known = session.get(WitnessState, witness.url)
                if known is not None:
                    witness.cosigned_size, witness.cosigned_at = known.cosigned_size, known.cosigned_at

    def release(self) -> None:
        """Let another process take the lease at once; this one will not ask for it again."""
        _LIVING.discard(self.holder)
        with self._database.write() as session:
            session.execute(
                update(LedgerState).where(LedgerState.holder == self.holder).values(holder="", lease_until=0)
            )
        self._renew_at = 0

    def _held_state(self, session: WriteSession) -> LedgerState | None:
        """Return the locked state, the lease renewed; None if another has held it since `hold`."""
        state = _locked_state(session)
        if state.holder != self.holder or state.term != self.term:
            self._renew_at = 0
            return None
        self._extend(state, now_ms())
        return state

    def _extend(self, state: LedgerState, now: int) -> None:
        state.lease_until = now + LEASE_MILLISECONDS
        self._renew_at = now + LEASE_MILLISECONDS // 3


def published(session: ReadSession) -> LedgerState | None:
    """Return the ledger's state row, None before the first sequencer has run."""
    return session.get(LedgerState, _STATE)


def count_waiting(session: ReadSession) -> int:
    """Return how many entries are queued and not yet public."""
    return session.execute(select(func.count()).select_from(LedgerEntry)).scalar_one()


_QUEUE = select(LedgerEntry.entry_id, LedgerEntry.leaf_hash, LedgerEntry.entry).order_by(LedgerEntry.entry_id)
_IDS = select(LedgerEntry.entry_id)
_BATCHES = select(LedgerBatch.first_index, LedgerBatch.entry_ids).order_by(LedgerBatch.first_index)
# Through the tables, not the mapped classes: nothing here needs an object a row.
_ADD_BATCH = insert(LedgerBatch.__table__)  # type: ignore[arg-type]
_DROP_BATCH = delete(LedgerBatch.__table__).where(  # type: ignore[arg-type]
    LedgerBatch.__table__.c.first_index == bindparam("first")
)
_DROP_ENTRY = delete(LedgerEntry.__table__).where(  # type: ignore[arg-type]
    LedgerEntry.__table__.c.entry_id == bindparam("id")
)
_DROP_RANGE = delete(LedgerEntry.__table__).where(  # type: ignore[arg-type]
    LedgerEntry.__table__.c.entry_id.between(bindparam("low"), bindparam("high"))
)


def _waiting(session: ReadSession, taken: Collection[int]) -> list[Row[int, bytes, bytes]]:
    """Return id, leaf hash and bytes of the oldest entries that are not in `taken`, at most `BATCH`."""
    found = session.execute(_QUEUE.limit(BATCH + len(taken)))
    return [row for row in found if row[0] not in taken][:BATCH]


def _drop_entries(session: WriteSession, ids: Sequence[int]) -> None:
    low, high = min(ids), max(ids)
    connection = session.connection()
    if high - low + 1 == len(ids):
        # Ids are never shared: a range without a gap holds these entries and no other.
        connection.execute(_DROP_RANGE, {"low": low, "high": high})
    else:
        connection.execute(_DROP_ENTRY, [{"id": one} for one in ids])


def _merge_witnesses(session: WriteSession, witnesses: Sequence[Witness]) -> None:
    for witness in witnesses:
        session.merge(
            WitnessState(
                url=witness.url,
                cosigned_size=witness.cosigned_size,
                cosigned_at=witness.cosigned_at,
                problem=witness.problem,
            )
        )


def _pack(ids: array[int]) -> bytes:
    # Eight bytes a number on every machine Python runs on, in an order we fix.
    return b"".join(one.to_bytes(8, "little") for one in ids)


def _unpack(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]


def _locked_state(session: WriteSession) -> LedgerState:
    state = session.get(LedgerState, _STATE, with_for_update=True)
    if state is None:
        state = LedgerState(state_id=_STATE, root=EMPTY_ROOT, assigned_size=0, integrated_size=0)
        state.holder, state.lease_until, state.term, state.waits_for = "", 0, 0, ""
        session.add(state)
        session.flush()
    return state


def _is_dead(holder: str) -> bool:
    """Say whether the holder was a process of this machine that is gone: no need to wait for its lease."""
    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # The number may be our own, used before by another life of the same container.
    return int(pid) == os.getpid() and holder not in _LIVING
