"""Staff access: asked for, approved by others, live once its entry is sequenced, and over at its time."""

from __future__ import annotations

import threading
from typing import Final

from sqlalchemy import func, select

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.base.telemetry import log
from lightwell.residency import access_emergency
from lightwell.residency.access_models import AccessApprovalRow, AccessRequestRow, StaffRow
from lightwell.residency.access_rules import (
    DAY_MS,
    Answer,
    Ask,
    approvals_of,
    as_grant,
    check_form,
    end_grant,
    hold_person,
    locked,
    open_grant,
    over_the_day,
    record_refusal,
    record_request,
    refusal_of,
    stands_in_ledger,
)
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Grant, Principal, Refused
from lightwell.residency.subjects import find_account

__all__ = ["Answer", "Ask", "approve", "ask", "end_expired", "live_grant", "revoke", "run_expiry"]

EXPIRY_SECONDS: Final = 1.0
LEGAL_PROCESS: Final = "legal_process"
"""A purpose that only a demand taken in by the regional entity may have; see `lawful`."""
_log = log("access")


def ask(cell: Cell, session: WriteSession, who: Principal, form: Ask, *, lawful: bool = False) -> Answer:
    """Record a request, and its refusal when the agreement does not let this person ask.

    A refusal is returned, not raised, so that its entries are committed; the caller raises afterwards.
    Whether the account exists is looked up only for those who may ask. `lawful`: a demand was taken in.

    Raises:
        Problem: 422 when the form is unusable or names no account; nothing is recorded then.
    """
    now = now_ms()
    check_form(cell, form, cell.agreement.limits.max_grant_minutes)
    purposes = cell.agreement.access.staff.purposes
    purpose = form.purpose if form.purpose in purposes else "other"
    reason = refusal_of(cell, who, "ask", form.fields, purpose, now)
    if not reason and purpose == LEGAL_PROCESS and not lawful:
        reason = "regional-entity-only"
    subject_id = None if reason else find_account(session, form.subject)
    if not reason and subject_id is None:
        raise Problem(422, "no-such-account", "There is no account with that handle.", field="subject")
    staff = hold_person(session, who.id)
    reason = reason or over_the_day(cell, session, staff.person, subject_id, form.minutes, now)
    row = record_request(
        cell, session, who, staff, form, subject_id=subject_id, purpose=purpose, reason=reason, now=now
    )
    session.flush()
    return Answer(row.request_id, row.status, reason)


def approve(
    cell: Cell, session: WriteSession, who: Principal, request_id: str, *, lawful: bool = False
) -> Answer:
    """Count one person's approval; the last one needed grants, and the clock starts.

    A refusal is recorded and returned with status `refused`; the request itself stays pending for others.

    Raises:
        Problem: 404 no such request, 409 it is not pending or this person has approved it already.
    """
    now = now_ms()
    row = locked(session, request_id)
    if row.status != "pending":
        raise Problem(409, "not-pending", f"This request is {row.status}; only pending ones can be approved.")
    if row.emergency:
        return access_emergency.witness(cell, session, who, row, now)
    staff = session.get_one(StaffRow, who.id)
    asker = session.get_one(StaffRow, row.staff_id)
    # The same person under another account, or another person with the same key, is the requester.
    same = staff.person == row.person or staff.vkey == asker.vkey
    wanted = as_grant(row, approvals=0, sequenced=False, staff_id=who.id if same else row.staff_id)
    reason = refusal_of(cell, who, "approve", row.fields, row.purpose, now, row.subject_id, wanted)
    if row.purpose == LEGAL_PROCESS and not lawful:
        reason = reason or "regional-entity-only"
    if not reason and row.requested_at <= now - DAY_MS:
        # Minutes are counted by the day; a request kept for later would escape the count.
        reason = row.reason = "lapsed"
        row.status, row.ended_at = "refused", now
    if reason:
        record_refusal(session, who, request_id, reason, now)
        return Answer(request_id, "refused", reason, approvals_of(cell, session, request_id))
    given = session.scalars(select(AccessApprovalRow).where(AccessApprovalRow.request_id == request_id)).all()
    if any(approval.person == staff.person or approval.vkey == staff.vkey for approval in given):
        raise Problem(409, "already-approved", "You have approved this request already.")
    session.add(
        AccessApprovalRow(
            request_id=request_id, person=staff.person, staff_id=who.id, vkey=staff.vkey, approved_at=now
        )
    )
    session.flush()
    approvals = approvals_of(cell, session, request_id)
    if approvals >= cell.agreement.approvals_needed("grant"):
        open_grant(session, row, approvals, now)
    return Answer(request_id, row.status, "", approvals, row.expires_at)


def revoke(cell: Cell, session: WriteSession, who: Principal, request_id: str) -> Answer:
    """End a grant at once, or withdraw a pending request: by its requester or by whoever could approve it.

    Raises:
        Problem: 404 no such request, 409 it is over already, 403 neither requester nor approver.
    """
    now = now_ms()
    row = locked(session, request_id)
    if who.id != row.staff_id:
        wanted = as_grant(row, approvals=0, sequenced=False)
        reason = refusal_of(cell, who, "approve", row.fields, row.purpose, now, row.subject_id, wanted)
        if reason:
            raise Refused(reason)
    if row.status == "pending":
        row.status, row.reason, row.ended_at = "refused", "withdrawn", now
        record_refusal(session, who, request_id, "withdrawn", now)
    elif row.status == "granted":
        end_grant(session, row, "revoked", now)
    else:
        raise Problem(409, "already-over", f"This request is {row.status}; there is nothing to revoke.")
    return Answer(request_id, row.status, row.reason, approvals_of(cell, session, request_id), row.expires_at)


def end_expired(session: WriteSession, now: int | None = None) -> int:
    """End every grant whose time is over, each with its entry; returns how many. `now` is in milliseconds."""
    now = now_ms() if now is None else now
    over = session.scalars(
        select(AccessRequestRow)
        .where(AccessRequestRow.status == "granted", AccessRequestRow.expires_at <= now)
        .with_for_update(skip_locked=True)
    ).all()
    for row in over:
        end_grant(session, row, "expired", now)
    return len(over)


def run_expiry(cell: Cell, stop: threading.Event) -> None:
    """End expired grants once a second until `stop` is set; reads are refused at the second anyway."""
    while not stop.wait(EXPIRY_SECONDS):
        try:
            with cell.database.read() as session:
                waiting = session.scalar(
                    select(func.count())
                    .select_from(AccessRequestRow)
                    .where(AccessRequestRow.status == "granted", AccessRequestRow.expires_at <= now_ms())
                )
            if waiting:
                with cell.database.write() as session:
                    end_expired(session)
        except Exception as error:  # noqa: BLE001  a locked or restarting database must not end the watch
            _log.error("ending expired grants failed", error)


def live_grant(cell: Cell, session: ReadSession, row: AccessRequestRow) -> Grant | None:
    """Make the grant of a request as tables and ledger have it now; None if it never was granted."""
    if row.decided_leaf is None:
        return None
    return as_grant(
        row,
        approvals=approvals_of(cell, session, row.request_id),
        sequenced=stands_in_ledger(session, row),
    )
