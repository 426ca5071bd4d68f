"""Staff access: asked for, approved by others, live once its entry is sequenced, and over at its time."""

from __future__ import annotations

import re
import threading
from typing import Final, Literal

from msgspec import Struct
from sqlalchemy import func, select

from lightwell.agreement.model import ancestry
from lightwell.base.clock import fresh_id, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem, not_found
from lightwell.base.telemetry import log
from lightwell.ledger.places import integrated
from lightwell.ledger.queue import enqueue
from lightwell.residency.access_models import AccessApprovalRow, AccessRequestRow, StaffRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Grant, Principal, Refused, Resource
from lightwell.residency.subjects import find_account, places
from lightwell.wire.entries import AccessDecided, AccessEnded, AccessRequested, minute

EXPIRY_SECONDS: Final = 1.0
_DAY_MS: Final = 86_400_000
_FIELD: Final = re.compile(r"(user|system)(\.[a-z][a-z0-9_]{0,39}){0,5}")
_TICKET: Final = re.compile(r"[A-Z][A-Z0-9]{0,7}-[0-9]{1,6}")
_log = log("access")


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """A request to see protected fields of one account for some minutes.

    `ticket` is empty or of the form ABC-123: a free text could carry what it should not.
    """

    subject: str
    fields: list[str]
    purpose: str
    minutes: int
    ticket: str = ""


class Answer(Struct, frozen=True):
    """What became of a request; `reason` is `agreement.policy.REASONS`' code where it was refused."""

    request_id: str
    status: str
    reason: str
    approvals: int = 0
    expires_at: int | None = None


def ask(cell: Cell, session: WriteSession, who: Principal, form: Ask) -> Answer:
    """Record a request, and its refusal when the agreement does not let this person ask.

    A refusal is returned, not raised, so that its entries are committed; the caller raises afterwards.
    Whether the account exists is looked up only for those who may ask.

    Raises:
        Problem: 422 when the form is unusable or names no account; nothing is recorded then.
    """
    now = now_ms()
    _check_form(cell, form)
    purposes = cell.agreement.access.staff.purposes
    purpose = form.purpose if form.purpose in purposes else "other"
    reason = _refusal(cell, who, "ask", form.fields, purpose)
    subject_id = None if reason else find_account(session, form.subject)
    if not reason and subject_id is None:
        raise Problem(422, "no-such-account", "There is no account with that handle.", field="subject")
    # Locked, so that two requests side by side cannot both count the same minutes as free.
    staff = session.get_one(StaffRow, who.id, with_for_update=True)
    if not reason and _minutes_today(session, staff.person, subject_id, now) + form.minutes > (
        cell.agreement.limits.max_grant_minutes_per_day.value
    ):
        reason = "chain-too-long"
    row = AccessRequestRow(
        request_id=fresh_id(),
        staff_id=who.id,
        person=staff.person,
        place=who.place,
        role=who.role,
        subject_id=subject_id,
        subject_handle=form.subject if subject_id else None,
        fields=_named(cell, form.fields),
        purpose=purpose,
        minutes=form.minutes,
        ticket=form.ticket,
        status="refused" if reason else "pending",
        reason=reason,
        requested_at=now,
        uses=0,
    )
    session.add(row)
    entry = AccessRequested(
        at=minute(now // 1000),
        request=row.request_id,
        place=who.place,
        role=who.role,
        fields=row.fields,
        purpose=purpose,
    )
    enqueue(session, entry)
    if reason:
        record_refusal(session, who, row.request_id, reason, now)
    session.flush()
    return Answer(row.request_id, row.status, reason)


def approve(cell: Cell, session: WriteSession, who: Principal, request_id: str) -> Answer:
    """Count one person's approval; the last one needed grants, and the clock starts.

    A refusal is recorded and returned with status `refused`; the request itself stays pending for others.

    Raises:
        Problem: 404 no such request, 409 it is not pending or this person has approved it already.
    """
    now = now_ms()
    row = _locked(session, request_id)
    if row.status != "pending":
        raise Problem(409, "not-pending", f"This request is {row.status}; only pending ones can be approved.")
    staff = session.get_one(StaffRow, who.id)
    asker = session.get_one(StaffRow, row.staff_id)
    # The same person under another account, or another person with the same key, is the requester.
    same = staff.person == row.person or staff.vkey == asker.vkey
    wanted = _grant(row, approvals=0, sequenced=False, staff_id=who.id if same else row.staff_id)
    reason = _refusal(cell, who, "approve", row.fields, row.purpose, row.subject_id, wanted)
    if not reason and row.requested_at <= now - _DAY_MS:
        # Minutes are counted by the day; a request kept for later would escape the count.
        reason = row.reason = "lapsed"
        row.status, row.ended_at = "refused", now
    if reason:
        record_refusal(session, who, request_id, reason, now)
        return Answer(request_id, "refused", reason, _approvals(session, request_id))
    given = session.scalars(select(AccessApprovalRow).where(AccessApprovalRow.request_id == request_id)).all()
    if any(approval.person == staff.person or approval.vkey == staff.vkey for approval in given):
        raise Problem(409, "already-approved", "You have approved this request already.")
    session.add(
        AccessApprovalRow(
            request_id=request_id, person=staff.person, staff_id=who.id, vkey=staff.vkey, approved_at=now
        )
    )
    session.flush()
    approvals = _approvals(session, request_id)
    if approvals >= cell.agreement.approvals_needed("grant"):
        expires_seconds = now // 1000 + row.minutes * 60
        row.status, row.granted_at, row.expires_at = "granted", now, expires_seconds * 1000
        entry = AccessDecided(
            at=minute(now // 1000),
            request=request_id,
            outcome="granted",
            reason="approved",
            place=row.place,
            role=row.role,
            approvals=approvals,
            expires_at=expires_seconds,
        )
        row.decided_leaf = enqueue(session, entry)
    return Answer(request_id, row.status, "", approvals, row.expires_at)


def revoke(cell: Cell, session: WriteSession, who: Principal, request_id: str) -> Answer:
    """End a grant at once, or withdraw a pending request: by its requester or by whoever could approve it.

    Raises:
        Problem: 404 no such request, 409 it is over already, 403 neither requester nor approver.
    """
    now = now_ms()
    row = _locked(session, request_id)
    if who.id != row.staff_id:
        wanted = _grant(row, approvals=0, sequenced=False)
        reason = _refusal(cell, who, "approve", row.fields, row.purpose, row.subject_id, wanted)
        if reason:
            raise Refused(reason)
    if row.status == "pending":
        row.status, row.reason, row.ended_at = "refused", "withdrawn", now
        record_refusal(session, who, request_id, "withdrawn", now)
    elif row.status == "granted":
        _end(session, row, "revoked", now)
    else:
        raise Problem(409, "already-over", f"This request is {row.status}; there is nothing to revoke.")
    return Answer(request_id, row.status, row.reason, _approvals(session, request_id), row.expires_at)


def end_expired(session: WriteSession, now: int | None = None) -> int:
    """End every grant whose time is over, each with its entry; returns how many. `now` is in milliseconds."""
    now = now_ms() if now is None else now
    over = session.scalars(
        select(AccessRequestRow)
        .where(AccessRequestRow.status == "granted", AccessRequestRow.expires_at <= now)
        .with_for_update(skip_locked=True)
    ).all()
    for row in over:
        _end(session, row, "expired", now)
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


def live_grant(session: ReadSession, row: AccessRequestRow) -> Grant | None:
    """Make the grant of a request as tables and ledger have it now; None if it never was granted."""
    if row.decided_leaf is None:
        return None
    sequenced = row.decided_leaf in integrated(session, [row.decided_leaf])
    return _grant(row, approvals=_approvals(session, row.request_id), sequenced=sequenced)


def record_refusal(session: WriteSession, who: Principal, request_id: str, reason: str, now: int) -> None:
    """Queue the entry of a refusal: of asking, approving or reading."""
    entry = AccessDecided(
        at=minute(now // 1000),
        request=request_id,
        outcome="refused",
        reason=reason,
        place=who.place,
        role=who.role,
        approvals=0,
        expires_at=0,
    )
    enqueue(session, entry)


def _end(session: WriteSession, row: AccessRequestRow, why: Literal["expired", "revoked"], now: int) -> None:
    row.status, row.reason, row.ended_at = why, why, now
    enqueue(session, AccessEnded(at=minute(now // 1000), request=row.request_id, why=why))


def _grant(row: AccessRequestRow, *, approvals: int, sequenced: bool, staff_id: str | None = None) -> Grant:
    return Grant(
        request_id=row.request_id,
        staff_id=staff_id or row.staff_id,
        place=row.place,
        subject=row.subject_id or "",
        categories=tuple(row.fields),
        purpose=row.purpose,
        approvals=approvals,
        granted_at=row.granted_at or 0,
        expires_at=row.expires_at or 0,
        sequenced=sequenced,
        ended=row.status != "granted",
    )


def _refusal(
    cell: Cell,
    who: Principal,
    action: str,
    fields: list[str],
    purpose: str,
    subject_id: str | None = "",
    grant: Grant | None = None,
) -> str:
    """Give the reason why this may not be done with one of the fields, or nothing."""
    for field in fields:
        resource = Resource(category=field, region=cell.settings.region, owner=subject_id)
        try:
            cell.decider.decide(who, action, resource, purpose, grant=grant, now=now_ms())
        except Refused as refused:
            return refused.reason
    return ""


def _check_form(cell: Cell, form: Ask) -> None:
    limits = cell.agreement.limits

    def unusable(field: str, detail: str) -> Problem:
        return Problem(422, "unusable-field", detail, field=field)

    most = limits.max_grant_fields.value
    if not 1 <= len(form.fields) <= most or len(set(form.fields)) != len(form.fields):
        raise unusable("fields", f"Name one to {most} different fields.")
    for field in form.fields:
        if not _FIELD.fullmatch(field):
            raise unusable("fields", "A field is a data category such as user.contact.email.")
    if not 1 <= form.minutes <= limits.max_grant_minutes.value:
        raise unusable("minutes", f"Ask for 1 to {limits.max_grant_minutes.value} minutes.")
    if form.ticket and not _TICKET.fullmatch(form.ticket):
        raise unusable("ticket", "A ticket is written like SUP-1042.")
    if not 1 <= len(form.subject) <= 24:
        raise unusable("subject", "Name the account by its handle.")


def _named(cell: Cell, fields: list[str]) -> list[str]:
    """Name fields as the ledger may: each by its own name if agreement or data map has it, else by the
    nearest ancestor that the agreement lists. A made-up name could carry what the ledger must not hold.
    """
    known = {name for entry in cell.agreement.classes for name in entry.categories} | set(places())
    return sorted({next((name for name in ancestry(field) if name in known), "unlisted") for field in fields})


def _minutes_today(session: ReadSession, person: str, subject_id: str | None, now: int) -> int:
    granted = select(func.coalesce(func.sum(AccessRequestRow.minutes), 0)).where(
        AccessRequestRow.person == person,
        AccessRequestRow.subject_id == subject_id,
        AccessRequestRow.status != "refused",
        func.coalesce(AccessRequestRow.granted_at, AccessRequestRow.requested_at) > now - _DAY_MS,
    )
    return int(session.scalar(granted) or 0)


def _approvals(session: ReadSession, request_id: str) -> int:
    """Count distinct people and distinct keys, whichever is fewer."""
    counts = session.execute(
        select(
            func.count(AccessApprovalRow.person.distinct()), func.count(AccessApprovalRow.vkey.distinct())
        ).where(AccessApprovalRow.request_id == request_id)
    ).one()
    return min(counts[0], counts[1])


def _locked(session: WriteSession, request_id: str) -> AccessRequestRow:
    row = session.scalar(
        select(AccessRequestRow).where(AccessRequestRow.request_id == request_id).with_for_update()
    )
    if row is None:
        raise not_found("access request")
    return row
