"""Whoever may be vetoed counts only once the public body consented, or its time for a veto has passed."""

from __future__ import annotations

import secrets

from sqlalchemy import select

from lightwell.agreement.appointments import Person
from lightwell.base.clock import fresh_id, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.ledger.queue import enqueue
from lightwell.residency.access_models import StaffRow
from lightwell.residency.appointments_models import AppointmentRow
from lightwell.residency.cell import Cell
from lightwell.wire.commitment import OPENING_SIZE
from lightwell.wire.entries import AppointmentProposed, minute

_DAY_MS = 86_400_000


def propose(cell: Cell, session: WriteSession, staff_id: str) -> AppointmentRow | None:
    """Propose a member for the role that the directory gives them, and queue its entry.

    Args:
        cell: its agreement says which roles may be vetoed.
        session: the caller's transaction.
        staff_id: who, as entered.

    Returns:
        The proposal, or None where nobody has a veto over the role.
    """
    agreed = cell.agreement.appointments
    row = session.get_one(StaffRow, staff_id)
    if not agreed.bind(row.role):
        return None
    now = now_ms()
    opening = secrets.token_bytes(OPENING_SIZE)
    made = AppointmentRow(
        appointment_id=fresh_id(),
        staff_id=staff_id,
        role=row.role,
        commitment=person_of(row, row.role).commitment(opening),
        opening=opening,
        state="proposed",
        proposed_at=now,
        # Whole minutes, as the entry tells them: rounded up, so that no day is cut short.
        counts_at=(now // 60_000 + 1) * 60_000 + agreed.days * _DAY_MS
        if agreed.counts == "no-veto"
        else None,
    )
    session.add(made)
    session.flush()
    enqueue(
        session,
        AppointmentProposed(
            at=minute(now // 1000),
            appointment=made.appointment_id,
            role=row.role,
            commitment=made.commitment,
            counts_at=(made.counts_at or 0) // 1000,
        ),
    )
    return made


def is_appointed(cell: Cell, session: ReadSession, row: StaffRow, now: int | None = None) -> bool:
    """Say whether a member counts in their role; where a veto is agreed, one never proposed does not.

    Args:
        cell: its agreement says which roles may be vetoed.
        session: any session of the cell.
        row: the member.
        now: milliseconds since the epoch.
    """
    if not cell.agreement.appointments.bind(row.role):
        return True
    newest = session.scalars(
        select(AppointmentRow)
        .where(AppointmentRow.staff_id == row.staff_id, AppointmentRow.role == row.role)
        .order_by(AppointmentRow.proposed_at.desc())
        .limit(1)
    ).first()
    if newest is None or newest.state == "vetoed":
        return False
    if newest.state == "consented":
        return True
    # What was proposed while silence was enough does not count by it once the agreement asks for consent.
    silent = cell.agreement.appointments.counts == "no-veto" and newest.counts_at is not None
    return silent and newest.counts_at <= (now_ms() if now is None else now)  # type: ignore[operator]


def person_of(row: StaffRow, role: str) -> Person:
    """Return what a commitment says of a member who is proposed for a role."""
    return Person(row.name, row.vkey, role, row.employer, row.place)


def proposals(session: ReadSession) -> list[tuple[AppointmentRow, StaffRow]]:
    """Return every proposal with the member it is about, oldest first."""
    found = session.execute(
        select(AppointmentRow, StaffRow)
        .join(StaffRow, StaffRow.staff_id == AppointmentRow.staff_id)
        .order_by(AppointmentRow.proposed_at, AppointmentRow.appointment_id)
    )
    return [(row[0], row[1]) for row in found]
