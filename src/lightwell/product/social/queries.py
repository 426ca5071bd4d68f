"""Reads of what viewers did, for training in this cell: every event once, none passed over."""

from lightwell.base.db import ReadSession
from lightwell.base.telemetry import log
from lightwell.product.social import event_log
from lightwell.product.social.sealed_events import open_event
from lightwell.product.social.state import StoredEvent
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Resource
from lightwell.residency.keys import KeyDestroyedError, SealError

_log = log("social")
# The keys of a batch's viewers are opened together, and so many the vault keeps.
_MOST_ROWS = 10_000


def events_since(
    cell: Cell, session: ReadSession, sequence: int, limit: int
) -> list[tuple[int, str, StoredEvent]]:
    """Return `(sequence, account_id, event)` of every viewer after `sequence`, for training in this cell.

    Numbers grow in the order in which events become visible (`intake` sees to it), so that the last one
    returned is where to go on from. Fewer than `limit` are returned only when there are no more. Events of
    an erased account, and events whose bytes were altered, cannot be opened and are left out.

    Args:
        cell: the cell.
        session: where to read.
        sequence: the last number known; 0 to begin.
        limit: at most so many events.

    Raises:
        StreamError: events are kept in a stream, and it did not answer.
    """
    permit = cell.decider.decide(
        Principal(kind="process", id="trainer", role="trainer"),
        "train",
        # No owner means all accounts of the cell, which only a process may ask for.
        Resource(category="user.behavior", residency="protected", owner=None),
    )
    found: list[tuple[int, str, StoredEvent]] = []
    while len(found) < limit:
        wanted = min(limit - len(found), _MOST_ROWS)
        rows = event_log.after(cell, session, sequence, wanted)
        cell.vault.open_keys(session, {row[1] for row in rows})
        for number, account_id, event_id, sealed in rows:
            sequence = number
            try:
                event = open_event(cell, permit, session, account_id, event_id, sealed)
            except KeyDestroyedError:
                continue
            except SealError as error:
                _log.error("an event does not open and is left out", error, sequence=number)
                continue
            found.append((number, account_id, event))
        if len(rows) < wanted:
            break
    return found
