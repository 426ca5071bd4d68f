"""One sealed row a viewer holds the fold of all their events, whatever their number, in whichever process."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import bindparam, select

from lightwell.base.db import ReadSession, Statement, WriteSession, row_writer
from lightwell.base.telemetry import log
from lightwell.product.accounts import AccountRow
from lightwell.product.social import event_log, state
from lightwell.product.social.models import ViewerStateRow
from lightwell.product.social.sealed_events import open_event
from lightwell.product.social.state import Fold, ViewerState
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Resource
from lightwell.residency.keys import KeyDestroyedError, SealError

_log = log("social")
_STATES = ViewerStateRow.__table__.c
_STATE = Statement(select(_STATES.sealed).where(_STATES.account_id == bindparam("account_id")), "account_id")
_STATES_OF = select(_STATES.account_id, _STATES.sealed).where(
    _STATES.account_id.in_(bindparam("accounts", expanding=True))
)
_UPSERT = (
    "INSERT INTO viewer_states (account_id, sequence, sealed) VALUES (?, ?, ?)"
    " ON CONFLICT (account_id) DO UPDATE SET sequence = excluded.sequence, sealed = excluded.sealed"
)
_AT_ONCE = 500


def viewer_state(cell: Cell, session: ReadSession, account_id: str) -> ViewerState:
    """Return the fold of all of a viewer's committed events: one row read, whatever their number.

    Args:
        cell: the viewer's home cell.
        session: where to read the viewer's key if it is not in memory.
        account_id: whose.

    Raises:
        KeyDestroyedError: the viewer was erased.
    """
    permit = permit_to_rank(cell, account_id)
    row = _STATE.one(cell.database, account_id)
    if row is None:
        return ViewerState()
    return state.unpack_state(_unsealed(cell, permit, session, account_id, row[0]))


def load(cell: Cell, session: WriteSession, accounts: Iterable[str]) -> dict[str, Fold]:
    """Return the stored folds of those of `accounts` that have one.

    An erased viewer has none. A fold that cannot be read is made anew from the viewer's events.
    """
    wanted = list(accounts)
    found = {}
    for first in range(0, len(wanted), _AT_ONCE):
        rows = session.connection().execute(_STATES_OF, {"accounts": wanted[first : first + _AT_ONCE]})
        for account_id, sealed in rows.all():
            permit = permit_to_rank(cell, account_id)
            try:
                fold = state.unpack(_unsealed(cell, permit, session, account_id, sealed))
            except KeyDestroyedError:
                continue
            except (SealError, msgspec.DecodeError) as error:
                # Altered, or written by a version that folded otherwise.
                _log.error("a viewer's fold does not open and is made anew", error)
                _, fold = _fold_all(cell, session, permit, account_id)
            found[account_id] = fold
    return found


def store(cell: Cell, session: WriteSession, folds: Iterable[tuple[str, int, Fold]]) -> None:
    """Write folds, each `(account_id, last sequence, fold)`, in place of those that were there.

    Args:
        cell: the viewers' home cell.
        session: the transaction that also stores the events.
        folds: of viewers whose accounts exist.
    """
    rows = [
        (
            account_id,
            sequence,
            cell.vault.seal(session, account_id, "viewer_states", "sealed", account_id, state.pack(fold)),
        )
        for account_id, sequence, fold in folds
    ]
    if rows:
        row_writer(session)(_UPSERT, rows)


def refold(cell: Cell, session: WriteSession, account_id: str) -> ViewerState:
    """Fold all of a viewer's events anew, put the result in the stored fold's place, and return its state.

    What limits floods, and what tells an event reported again in a stream, start afresh.

    Args:
        cell: the viewer's home cell.
        session: the transaction.
        account_id: whose.

    Raises:
        KeyDestroyedError: the viewer was erased.
    """
    session.execute(
        select(AccountRow.account_id)
        .where(AccountRow.account_id == account_id)
        .with_for_update(key_share=True)
    )
    last, fold = _fold_all(cell, session, permit_to_rank(cell, account_id), account_id)
    if last:
        store(cell, session, [(account_id, last, fold)])
    return fold.state


def permit_to_rank(cell: Cell, account_id: str) -> Permit:
    """Return the decision under which the feed reads what one viewer did; `Refused` if there is none."""
    return cell.decider.decide(
        Principal(kind="process", id="feed", role="feed"),
        "rank",
        Resource(category="user.behavior", residency="protected", owner=account_id),
    )


def _fold_all(cell: Cell, session: ReadSession, permit: Permit, account_id: str) -> tuple[int, Fold]:
    last, fold = 0, Fold()
    for sequence, event_id, sealed in event_log.of_viewer(cell, session, account_id):
        last = sequence
        try:
            fold.take(open_event(cell, permit, session, account_id, event_id, sealed))
        except SealError as error:
            _log.error("an event does not open and is left out", error, sequence=sequence)
    return last, fold


def _unsealed(cell: Cell, permit: Permit, session: ReadSession, account_id: str, sealed: bytes) -> bytes:
    return cell.vault.unseal(
        permit, session, account_id, "viewer_states", "sealed", account_id, bytes(sealed)
    )
