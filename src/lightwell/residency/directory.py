"""Changes of the staff directory: each is an entry, and live grants that no longer fit end with it."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import delete, select

from lightwell.base.clock import now_ms
from lightwell.base.db import WriteSession
from lightwell.base.errors import Problem, not_found
from lightwell.ledger.queue import enqueue
from lightwell.residency.access_models import (
    AccessRequestRow,
    StaffPasskeyRow,
    StaffRow,
    StaffSessionRow,
)
from lightwell.residency.access_rules import approvals_of, end_grant, record_refusal, refusal_of
from lightwell.residency.appointments import propose
from lightwell.residency.cell import Cell
from lightwell.residency.staff import principal_of
from lightwell.wire.entries import DirectoryChanged, minute

# What the ledger calls each column of the directory.
_WORDS: Final = {
    "place": "place",
    "employer": "employer",
    "role": "role",
    "vetted": "vetting",
    "reports_to": "line",
    "reports_to_entity": "line",
}


class Change(Struct, frozen=True, kw_only=True):
    """What the directory says of a member from now on; what is left unset stays."""

    place: str | UnsetType = UNSET
    employer: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    vetted: bool | UnsetType = UNSET
    reports_to: str | UnsetType | None = UNSET
    reports_to_entity: str | UnsetType | None = UNSET


def change_member(cell: Cell, session: WriteSession, staff_id: str, change: Change) -> int:
    """Change what the directory says of a member.

    Whoever comes into a role that may be vetoed is proposed for it, and counts as nobody until then.
    Grants of the member, of everybody below them and those that any of them approved are judged again.

    Args:
        cell: whose directory.
        session: the caller's transaction.
        staff_id: who.
        change: what is different; a change that changes nothing leaves no entry.

    Returns:
        How many grants and requests ended.

    Raises:
        Problem: 404 no such member; 422 the new superior is not in the directory.
    """
    row = _member(session, staff_id)
    above = change.reports_to
    if isinstance(above, str) and session.get(StaffRow, above) is None:
        raise Problem(422, "unusable-field", "Nobody in the directory has that staff id.", field="reports_to")
    what = set()
    for column, word in _WORDS.items():
        wanted = getattr(change, column)
        if wanted is not UNSET and wanted != getattr(row, column):
            setattr(row, column, wanted)
            what.add(word)
    if not what:
        return 0
    session.flush()
    if "role" in what:
        propose(cell, session, staff_id)
    return settle(cell, session, "changed", sorted(what), row.role if "role" in what else "")


def dismiss(cell: Cell, session: WriteSession, staff_id: str) -> int:
    """End a member's time here: sessions, passkeys and grants end at once.

    Returns:
        How many grants and requests ended.

    Raises:
        Problem: 404 no such member.
    """
    row = _member(session, staff_id)
    row.active = False
    session.execute(delete(StaffSessionRow).where(StaffSessionRow.staff_id == staff_id))
    session.execute(delete(StaffPasskeyRow).where(StaffPasskeyRow.staff_id == staff_id))
    session.flush()
    return settle(cell, session, "left", [])


def settle(cell: Cell, session: WriteSession, change: str, what: list[str], role: str = "") -> int:
    """End what no longer fits the directory, record that it changed, and return how many grants ended.

    Args:
        cell, session: the cell, and the caller's transaction.
        change: `changed` or `left`.
        what: in which respect.
        role: the role that somebody has from now on, if that is what changed.
    """
    now = now_ms()
    open_ones = session.scalars(
        select(AccessRequestRow).where(AccessRequestRow.status.in_(("pending", "granted"))).with_for_update()
    ).all()
    ended = 0
    for row in open_ones:
        if _still_fits(cell, session, row, now):
            continue
        ended += 1
        if row.status == "granted":
            end_grant(session, row, "revoked", now)
        else:
            asker = principal_of(cell, session, session.get_one(StaffRow, row.staff_id))
            row.status, row.reason, row.ended_at = "refused", "directory-changed", now
            record_refusal(session, asker, row.request_id, "directory-changed", now)
    entry = DirectoryChanged(
        at=minute(now // 1000),
        change=change,  # type: ignore[arg-type]  # one of the two literals above
        what=what,
        ended=ended,
        role=role or UNSET,
    )
    enqueue(session, entry)
    return ended


def _still_fits(cell: Cell, session: WriteSession, row: AccessRequestRow, now: int) -> bool:
    staff = session.get_one(StaffRow, row.staff_id)
    who = principal_of(cell, session, staff)
    if not staff.active or who.place != row.place or who.role != row.role:
        return False
    if refusal_of(cell, who, "ask", row.fields, row.purpose, now, row.subject_id):
        return False
    if row.status != "granted" or row.emergency == "alone":
        return True
    needed = (
        cell.agreement.limits.emergency_witnesses.value
        if row.emergency
        else cell.agreement.approvals_needed("grant")
    )
    return approvals_of(cell, session, row.request_id) >= needed


def _member(session: WriteSession, staff_id: str) -> StaffRow:
    row = session.get(StaffRow, staff_id, with_for_update=True)
    if row is None or not row.active:
        raise not_found("member of staff")
    return row
