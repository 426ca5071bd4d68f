"""Break-glass: read first, for minutes, before witnesses or with an alarm; others review it, and it ends."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select, text

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.ledger.queue import enqueue
from lightwell.residency.access_models import (
    AccessApprovalRow,
    AccessRequestRow,
    AccessReviewRow,
    StaffRow,
)
from lightwell.residency.access_rules import (
    DAY_MS,
    Answer,
    Ask,
    approvals_of,
    as_grant,
    check_form,
    hold_person,
    locked,
    open_grant,
    over_the_day,
    record_refusal,
    record_request,
    refusal_of,
)
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.residency.subjects import find_account
from lightwell.wire.entries import AccessReviewed, minute

# Two people who break the glass for one account side by side are put in order.
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(5281963447282)"


def open_emergency(
    cell: Cell, session: WriteSession, who: Principal, form: Ask, *, alone: bool = False
) -> Answer:
    """Ask for an emergency; `alone` opens it at once and raises the alarm, otherwise witnesses open it.

    Args:
        cell: the cell of the account.
        session: the caller's transaction; it is committed whatever the answer.
        who: the asker, vetted and at home like any other.
        form: as for a plain request, with the fewer minutes of an emergency.
        alone: nobody is at hand.

    Returns:
        `granted`, `pending` for witnesses, or `refused`, which is returned, not raised, so that its entries
        are committed.

    Raises:
        Problem: 422 when the form is unusable or names no account; nothing is recorded then.
    """
    now = now_ms()
    check_form(cell, form, cell.agreement.limits.max_emergency_minutes)
    rule = cell.agreement.access.emergency
    purpose = form.purpose if form.purpose in cell.agreement.access.staff.purposes else "other"
    reason = refusal_of(cell, who, "ask", form.fields, purpose, now)
    if not reason and purpose not in rule.purposes:
        reason = "purpose-not-agreed"
    subject_id = None if reason else find_account(session, form.subject)
    if not reason and subject_id is None:
        raise Problem(422, "no-such-account", "There is no account with that handle.", field="subject")
    if not cell.database.is_sqlite:
        session.execute(text(_ONE_AT_A_TIME))
    staff = hold_person(session, who.id)
    reason = (
        reason
        or _chain(session, staff.person, subject_id, now)
        or over_the_day(cell, session, staff.person, subject_id, form.minutes, now)
    )
    row = record_request(
        cell,
        session,
        who,
        staff,
        form,
        subject_id=subject_id,
        purpose=purpose,
        reason=reason,
        now=now,
        emergency="alone" if alone else "witnessed",
    )
    if alone and not reason:
        _open(cell, session, row, 0, now)
    session.flush()
    return Answer(row.request_id, row.status, reason, 0, row.expires_at)


def witness(cell: Cell, session: WriteSession, who: Principal, row: AccessRequestRow, now: int) -> Answer:
    """Count one witness of a pending emergency; the last one needed opens it, and the clock starts.

    Args:
        cell: the cell.
        session: the caller's transaction, which holds `row` locked.
        who: the witness; a refusal of theirs is recorded and returned.
        row: a pending emergency.
        now: milliseconds since the epoch.

    Raises:
        Problem: 409 this person is a witness already.
    """
    staff = session.get_one(StaffRow, who.id)
    asker = session.get_one(StaffRow, row.staff_id)
    reason = refusal_of(cell, who, "ask", row.fields, row.purpose, now, row.subject_id)
    if reason == "role-not-allowed":
        wanted = as_grant(row, approvals=0, sequenced=False)
        reason = refusal_of(cell, who, "approve", row.fields, row.purpose, now, row.subject_id, wanted)
    if not reason and who.role not in cell.agreement.access.emergency.witness_roles:
        reason = "role-not-allowed"
    if not reason and (staff.person == row.person or staff.vkey == asker.vkey):
        reason = "self-approval"
    if not reason and row.requested_at <= now - DAY_MS:
        reason = row.reason = "lapsed"
        row.status, row.ended_at = "refused", now
    if reason:
        record_refusal(session, who, row.request_id, reason, now)
        return Answer(row.request_id, "refused", reason, approvals_of(cell, session, row.request_id))
    given = session.scalars(
        select(AccessApprovalRow).where(AccessApprovalRow.request_id == row.request_id)
    ).all()
    if any(each.person == staff.person or each.vkey == staff.vkey for each in given):
        raise Problem(409, "already-approved", "You are a witness of this already.")
    session.add(
        AccessApprovalRow(
            request_id=row.request_id,
            person=staff.person,
            staff_id=who.id,
            vkey=staff.vkey,
            approved_at=now,
        )
    )
    session.flush()
    witnesses = approvals_of(cell, session, row.request_id)
    if witnesses >= cell.agreement.limits.emergency_witnesses.value:
        _open(cell, session, row, witnesses, now)
    return Answer(row.request_id, row.status, "", witnesses, row.expires_at)


def review(cell: Cell, session: WriteSession, who: Principal, request_id: str, *, justified: bool) -> Answer:
    """Judge an emergency that is over; the last reviewer needed settles it, one against it is enough.

    A refusal is recorded and returned with status `refused`.

    Raises:
        Problem: 404 no such request; 409 it is no emergency, still open, settled, or judged by this person.
    """
    now = now_ms()
    row = locked(session, request_id)
    if not row.emergency or row.decided_leaf is None:
        raise Problem(409, "no-emergency", "Only an emergency that was opened is reviewed.")
    if row.status == "granted":
        raise Problem(409, "still-open", "This emergency is still open; end it, then review it.")
    if row.review:
        raise Problem(409, "already-reviewed", f"This emergency was found {row.review}.")
    staff = session.get_one(StaffRow, who.id)
    wanted = as_grant(row, approvals=0, sequenced=False)
    reason = refusal_of(cell, who, "approve", row.fields, row.purpose, now, row.subject_id, wanted)
    if not reason and _took_part(session, row, staff):
        reason = "same-person"
    if reason:
        record_refusal(session, who, request_id, reason, now)
        return Answer(request_id, "refused", reason)
    judged = list(session.scalars(select(AccessReviewRow).where(AccessReviewRow.request_id == request_id)))
    if any(each.person == staff.person or each.vkey == staff.vkey for each in judged):
        raise Problem(409, "already-reviewed", "You have reviewed this already.")
    mine = AccessReviewRow(
        request_id=request_id, person=staff.person, vkey=staff.vkey, justified=justified, reviewed_at=now
    )
    session.add(mine)
    judged.append(mine)
    fit = all(each.justified for each in judged)
    if not fit or len(judged) >= cell.agreement.approvals_needed("grant"):
        row.review = "justified" if fit else "unjustified"
        entry = AccessReviewed(
            at=minute(now // 1000),
            request=request_id,
            outcome="justified" if fit else "unjustified",
            reviewers=len(judged),
        )
        enqueue(session, entry)
    return Answer(request_id, row.review or "pending", "", len(judged))


def _open(cell: Cell, session: WriteSession, row: AccessRequestRow, witnesses: int, now: int) -> None:
    period = cell.agreement.limits.emergency_review_minutes.value * 60
    row.review_by = (now // 1000 + period) * 1000
    open_grant(session, row, witnesses, now)


def _chain(session: ReadSession, person: str, subject_id: str | None, now: int) -> str:
    """Give the reason why an emergency would follow another too closely, whoever opened that one."""
    others = session.scalars(
        select(AccessRequestRow).where(
            AccessRequestRow.emergency != "",
            AccessRequestRow.status != "refused",
            (AccessRequestRow.person == person) | (AccessRequestRow.subject_id == subject_id),
        )
    ).all()
    if any(not row.review for row in others):
        return "emergency-open"
    recent = [row for row in others if row.subject_id == subject_id and row.requested_at > now - DAY_MS]
    return "emergency-chain" if recent else ""


def _took_part(session: ReadSession, row: AccessRequestRow, staff: StaffRow) -> bool:
    """Say whether this person, or their key, asked for the emergency or witnessed it."""
    asker = session.get_one(StaffRow, row.staff_id)
    people, keys = {row.person}, {asker.vkey}
    for each in session.scalars(
        select(AccessApprovalRow).where(AccessApprovalRow.request_id == row.request_id)
    ):
        people.add(each.person)
        keys.add(each.vkey)
    return staff.person in people or staff.vkey in keys
