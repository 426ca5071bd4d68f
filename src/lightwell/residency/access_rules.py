"""What every door to staff access shares: its form, its counts by the day, its refusals and its end."""

from __future__ import annotations

import re
from typing import Final, Literal, cast

from msgspec import Struct
from sqlalchemy import func, select

from lightwell.agreement.figures import Figure
from lightwell.agreement.model import ancestry
from lightwell.base.clock import fresh_id
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem, not_found
from lightwell.ledger.places import integrated
from lightwell.ledger.queue import enqueue, prepare
from lightwell.residency.access_models import AccessApprovalRow, AccessRequestRow, StaffRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Grant, Principal, Refused, Resource
from lightwell.residency.staff import line_excluded, principal_of
from lightwell.residency.subjects import places
from lightwell.wire.entries import AccessDecided, AccessEnded, AccessOpened, AccessRequested, minute

DAY_MS: Final = 86_400_000
_FIELD: Final = re.compile(r"(user|system)(\.[a-z][a-z0-9_]{0,39}){0,5}")
_TICKET: Final = re.compile(r"[A-Z][A-Z0-9]{0,7}-[0-9]{1,6}")


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


def check_form(cell: Cell, form: Ask, longest: Figure) -> None:
    """Refuse a form that says nothing usable.

    Args:
        cell: its agreement bounds fields and minutes.
        form: as it came.
        longest: the most minutes this door gives.

    Raises:
        Problem: 422, naming the field.
    """
    limits = cell.agreement.limits

    def unusable(field: str, detail: str) -> Problem:
        return Problem(422, "unusable-field", detail, field=field)

    most = limits.max_grant_fields.value
    if not 1 <= len(form.fields) <= most or len(set(form.fields)) != len(form.fields):
        raise unusable("fields", f"Name one to {most} different fields.")
    for field in form.fields:
        if not _FIELD.fullmatch(field):
            raise unusable("fields", "A field is a data category such as user.contact.email.")
    if not 1 <= form.minutes <= longest.value:
        raise unusable("minutes", f"Ask for 1 to {longest.value} minutes.")
    if form.ticket and not _TICKET.fullmatch(form.ticket):
        raise unusable("ticket", "A ticket is written like SUP-1042.")
    if not 1 <= len(form.subject) <= 24:
        raise unusable("subject", "Name the account by its handle.")


def ledger_names(cell: Cell, fields: list[str]) -> list[str]:
    """Name fields as the ledger may: each by its own name if agreement or data map has it, else by the
    nearest ancestor that the agreement lists. A made-up name could carry what the ledger must not hold.
    """
    known = {name for entry in cell.agreement.classes for name in entry.categories} | set(places())
    return sorted({next((name for name in ancestry(field) if name in known), "unlisted") for field in fields})


def hold_person(session: WriteSession, staff_id: str) -> StaffRow:
    """Lock all accounts of one natural person until commit, so that none counts beside another."""
    staff = session.get_one(StaffRow, staff_id)
    session.scalars(select(StaffRow.staff_id).where(StaffRow.person == staff.person).with_for_update()).all()
    return staff


def over_the_day(
    cell: Cell, session: ReadSession, person: str, subject_id: str | None, minutes: int, now: int
) -> str:
    """Give the reason why one more grant would be too much in 24 hours, or nothing.

    Args:
        cell: its agreement sets the limits.
        session: one that holds the person (`hold_person`).
        person: who asks, under whichever account.
        subject_id: whose data.
        minutes: for how long.
        now: milliseconds since the epoch.
    """
    limits = cell.agreement.limits
    mine = (
        AccessRequestRow.person == person,
        AccessRequestRow.status != "refused",
        func.coalesce(AccessRequestRow.granted_at, AccessRequestRow.requested_at) > now - DAY_MS,
    )
    total = select(func.coalesce(func.sum(AccessRequestRow.minutes), 0))
    used = session.scalar(total.where(*mine, AccessRequestRow.subject_id == subject_id)) or 0
    if int(used) + minutes > limits.max_grant_minutes_per_day.value:
        return "chain-too-long"
    subjects = set(session.scalars(select(AccessRequestRow.subject_id).where(*mine).distinct()))
    if len(subjects | {subject_id}) > limits.max_grant_subjects_per_day.value:
        return "bulk-search"
    return ""


def refusal_of(
    cell: Cell,
    who: Principal,
    action: str,
    fields: list[str],
    purpose: str,
    now: int,
    subject_id: str | None = "",
    grant: Grant | None = None,
) -> str:
    """Give the reason why this may not be done with one of the fields, or nothing."""
    for field in fields:
        resource = Resource(category=field, region=cell.settings.region, owner=subject_id)
        try:
            cell.decider.decide(who, action, resource, purpose, grant=grant, now=now)
        except Refused as refused:
            return refused.reason
    return ""


def as_grant(row: AccessRequestRow, *, approvals: int, sequenced: bool, staff_id: str | None = None) -> Grant:
    """Make the grant that a request is or would be; `staff_id` names another as its holder."""
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
        emergency=cast(Literal["", "witnessed", "alone"], row.emergency),
    )


def approvals_of(cell: Cell, session: ReadSession, request_id: str) -> int:
    """Count the approvals or witnesses of a request that still count: people or keys, whichever is fewer.

    Whoever has left, moved away, lost vetting or come under an excluded entity since counts no more.
    """
    given = session.scalars(select(AccessApprovalRow).where(AccessApprovalRow.request_id == request_id)).all()
    excluded = cell.agreement.excluded.entities
    people, keys = set(), set()
    for approval in given:
        staff = session.get_one(StaffRow, approval.staff_id)
        at_home = staff.place == cell.settings.region
        if (
            staff.active
            and staff.vetted
            and at_home
            and principal_of(cell, session, staff).appointed
            and not line_excluded(session, staff, excluded)
        ):
            people.add(approval.person)
            keys.add(approval.vkey)
    return min(len(people), len(keys))


def locked(session: WriteSession, request_id: str) -> AccessRequestRow:
    """Return a request, locked until commit; raises Problem 404 when there is none."""
    row = session.scalar(
        select(AccessRequestRow).where(AccessRequestRow.request_id == request_id).with_for_update()
    )
    if row is None:
        raise not_found("access request")
    return row


def record_request(
    cell: Cell,
    session: WriteSession,
    who: Principal,
    staff: StaffRow,
    form: Ask,
    *,
    subject_id: str | None,
    purpose: str,
    reason: str,
    now: int,
    emergency: str = "",
) -> AccessRequestRow:
    """Store a request and queue its entry, and the entry of its refusal if `reason` is not empty.

    Args:
        cell, session: the cell of the account, and the caller's transaction.
        who, staff: the asker, as decided about and as held in the directory.
        form: what was asked for; of its fields only names that the ledger may hold are kept.
        subject_id: whose data, None where that was not looked up.
        purpose: as it is recorded. reason: why it is refused. now: milliseconds since the epoch.
        emergency: empty, `witnessed` or `alone`.
    """
    row = AccessRequestRow(
        request_id=fresh_id(),
        staff_id=who.id,
        person=staff.person,
        place=who.place,
        role=who.role,
        subject_id=subject_id,
        subject_handle=form.subject if subject_id else None,
        fields=ledger_names(cell, form.fields),
        purpose=purpose,
        minutes=form.minutes,
        ticket=form.ticket,
        status="refused" if reason else "pending",
        reason=reason,
        requested_at=now,
        uses=0,
        emergency=emergency,
        review="",
    )
    session.add(row)
    enqueue(session, request_entry(row))
    if reason:
        record_refusal(session, who, row.request_id, reason, now)
    return row


def request_entry(row: AccessRequestRow) -> AccessRequested:
    """Return the entry of a request, as its row has it."""
    return AccessRequested(
        at=minute(row.requested_at // 1000),
        request=row.request_id,
        place=row.place,
        role=row.role,
        fields=row.fields,
        purpose=row.purpose,
    )


def opening_entry(row: AccessRequestRow) -> AccessDecided | AccessOpened:
    """Return the entry that opened a request, as its row has it; only for one that was opened."""
    opened, expires = (row.granted_at or 0) // 1000, (row.expires_at or 0) // 1000
    if row.emergency:
        return AccessOpened(
            at=minute(opened),
            request=row.request_id,
            place=row.place,
            role=row.role,
            witnesses=row.opened_with,
            alarmed=row.emergency == "alone",
            expires_at=expires,
            review_by=(row.review_by or 0) // 1000,
        )
    return AccessDecided(
        at=minute(opened),
        request=row.request_id,
        outcome="granted",
        reason="approved",
        place=row.place,
        role=row.role,
        approvals=row.opened_with,
        expires_at=expires,
    )


def open_grant(session: WriteSession, row: AccessRequestRow, approvals: int, now: int) -> None:
    """Start the clock of a request, and queue the entry without which nothing is read under it."""
    row.status, row.granted_at, row.opened_with = "granted", now, approvals
    row.expires_at = (now // 1000 + row.minutes * 60) * 1000
    row.decided_leaf = enqueue(session, opening_entry(row))


def stands_in_ledger(session: ReadSession, row: AccessRequestRow) -> bool:
    """Say whether the ledger holds the request and its opening just as the row has them now.

    A row that was altered afterwards (another field, a later end) hashes to entries that were never made.
    """
    leaves = [prepare(request_entry(row)).leaf_hash, prepare(opening_entry(row)).leaf_hash]
    return set(leaves) <= set(integrated(session, leaves))


def record_refusal(session: WriteSession, who: Principal, request_id: str, reason: str, now: int) -> None:
    """Queue the entry of a refusal: of asking, approving, witnessing, reviewing or reading."""
    enqueue(session, _refusal(request_id, reason, who.place, who.role, now))


def decision_leaf(row: AccessRequestRow) -> bytes | None:
    """Return the leaf hash of the entry that decided a request; None while it waits for a decision.

    That of a refusal follows from the row: it was made when the request was.
    """
    if row.status == "refused" and row.decided_leaf is None:
        entry = _refusal(row.request_id, row.reason, row.place, row.role, row.requested_at)
        return prepare(entry).leaf_hash
    return row.decided_leaf


def _refusal(request_id: str, reason: str, place: str, role: str, now: int) -> AccessDecided:
    return AccessDecided(
        at=minute(now // 1000),
        request=request_id,
        outcome="refused",
        reason=reason,
        place=place,
        role=role,
        approvals=0,
        expires_at=0,
    )


def end_grant(
    session: WriteSession, row: AccessRequestRow, why: Literal["expired", "revoked"], now: int
) -> None:
    """End a grant with its entry; no process reads under it once this is committed."""
    row.status, row.reason, row.ended_at = why, why, now
    enqueue(session, AccessEnded(at=minute(now // 1000), request=row.request_id, why=why))
