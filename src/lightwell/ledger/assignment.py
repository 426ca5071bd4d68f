"""Which entry has which index is decided once, in the database, by the one process that holds the lease.

Because an index is given in a committed transaction before any file is written, even a writer that was
paused past its lease can only write what the next one writes too: two writers cannot fork the tree.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, update

from lightwell.base.clock import now_ms
from lightwell.base.db import Database, ReadSession, WriteSession
from lightwell.ledger.models import LedgerEntry, LedgerState, WitnessState
from lightwell.ledger.witnesses import Witness
from lightwell.wire.merkle import EMPTY_ROOT

LEASE_MILLISECONDS = 4_000
BATCH = 8_192
"""Entries taken at once: bounds memory, and how long one transaction holds the database."""

_STATE = 1
_LIVING: set[str] = set()
"""Holders within this process."""


@dataclass(frozen=True)
class Waiting:
    """An entry that has its index."""

    index: int
    leaf_hash: bytes
    entry: bytes


@dataclass(frozen=True)
class Progress:
    """How far the ledger is, as the database knows."""

    assigned_size: int
    integrated_size: int
    root: bytes


class Assignment:
    """The sequencer's side of the ledger's tables.

    Args:
        database: the cell's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        _LIVING.add(self.holder)
        self._renew_at = 0

    def hold(self) -> bool:
        """Take or renew the lease; False while another live process holds it."""
        now = now_ms()
        if now < self._renew_at:
            return True
        with self._database.write() as session:
            return self._hold(session, now) is not None

    def is_waiting(self) -> bool:
        """Say whether any entry has no index yet: one cheap read, so that an idle ledger costs little."""
        with self._database.read() as session:
            return session.execute(_WAITING.limit(1)).first() is not None

    def assign(self) -> tuple[Progress, list[Waiting]] | None:
        """Give the next indices to entries without one, oldest first, at most `BATCH` of them.

        Returns:
            Progress after it and what was assigned; None if another process holds the lease.
        """
        with self._database.write() as session:
            state = self._hold(session, now_ms())
            if state is None:
                return None
            rows = session.execute(_WAITING.limit(BATCH)).all()
            first = state.assigned_size
            if rows:
                session.connection().execute(
                    _GIVE_INDEX,
                    [{"id": entry_id, "place": first + at} for at, (entry_id, _, _) in enumerate(rows)],
                )
                state.assigned_size = first + len(rows)
            progress = Progress(state.assigned_size, state.integrated_size, state.root)
        taken = [Waiting(first + at, leaf, entry) for at, (_, leaf, entry) in enumerate(rows)]
        return progress, taken

    def progress(self) -> Progress:
        """Return how far the ledger is."""
        with self._database.read() as session:
            state = session.get(LedgerState, _STATE)
            if state is None:
                return Progress(0, 0, EMPTY_ROOT)
            return Progress(state.assigned_size, state.integrated_size, state.root)

    def entries(self, start: int, end: int) -> list[Waiting]:
        """Return the entries with indices `[start, end)`, at most `BATCH` of them, in order."""
        end = min(end, start + BATCH)
        with self._database.read() as session:
            rows = session.execute(
                select(LedgerEntry.entry_index, LedgerEntry.leaf_hash, LedgerEntry.entry)
                .where(LedgerEntry.entry_index >= start, LedgerEntry.entry_index < end)
                .order_by(LedgerEntry.entry_index)
            )
            return [Waiting(index or 0, leaf, entry) for index, leaf, entry in rows]

    def mark_integrated(self, size: int, root: bytes, witnesses: list[Witness]) -> None:
        """Record that the checkpoint of `size` is published; entries below it are integrated from here on."""
        with self._database.write() as session:
            # A slower writer that lost its lease must not move the mark back.
            session.execute(
                update(LedgerState)
                .where(LedgerState.state_id == _STATE, LedgerState.integrated_size <= size)
                .values(integrated_size=size, root=root, integrated_at=now_ms())
            )
            for witness in witnesses:
                session.merge(
                    WitnessState(
                        vkey=witness.verifier.vkey(),
                        cosigned_size=witness.cosigned_size,
                        cosigned_at=witness.cosigned_at,
                        problem=witness.problem,
                    )
                )

    def recall(self, witnesses: list[Witness]) -> None:
        """Fill in what each witness cosigned before this process began."""
        with self._database.read() as session:
            for witness in witnesses:
                known = session.get(WitnessState, witness.verifier.vkey())
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

    def _hold(self, session: WriteSession, now: int) -> LedgerState | None:
        state = _locked_state(session)
        free = state.lease_until < now or state.holder == self.holder or _is_dead(state.holder)
        if not free:
            self._renew_at = 0
            return None
        state.holder = self.holder
        state.lease_until = now + LEASE_MILLISECONDS
        self._renew_at = now + LEASE_MILLISECONDS // 3
        return state


_WAITING = (
    select(LedgerEntry.entry_id, LedgerEntry.leaf_hash, LedgerEntry.entry)
    .where(LedgerEntry.entry_index.is_(None))
    .order_by(LedgerEntry.entry_id)
)
# Through the table, not the mapped class: this way the driver sends all rows of a batch at once.
_TABLE = LedgerEntry.__table__
_GIVE_INDEX = (
    update(LedgerEntry.__table__)  # type: ignore[arg-type]
    .where(_TABLE.c.entry_id == bindparam("id"))
    .values(entry_index=bindparam("place"))
)


def published(session: ReadSession) -> LedgerState | None:
    """Return the ledger's state row, None before the first sequencer has run."""
    return session.get(LedgerState, _STATE)


def count_waiting(session: ReadSession) -> int:
    """Return how many entries have no index yet."""
    return session.execute(
        select(func.count()).select_from(LedgerEntry).where(LedgerEntry.entry_index.is_(None))
    ).scalar_one()


def _locked_state(session: WriteSession) -> LedgerState:
    state = session.get(LedgerState, _STATE, with_for_update=True)
    if state is None:
        state = LedgerState(state_id=_STATE, root=EMPTY_ROOT, assigned_size=0, integrated_size=0)
        state.holder, state.lease_until = "", 0
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
