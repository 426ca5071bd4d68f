"""The authority's word on an appointment counts by its signature alone, whoever delivers it."""

from __future__ import annotations

from typing import Any, Final

from litestar import get, post
from litestar.handlers import BaseRouteHandler
from msgspec import Struct
from sqlalchemy import select

from lightwell.agreement import appointments as papers
from lightwell.agreement.appointments import Paper
from lightwell.agreement.papers import PaperError, signed_by
from lightwell.agreement.roster import Seat
from lightwell.base.clock import now_ms
from lightwell.base.db import WriteSession
from lightwell.base.errors import Problem
from lightwell.base.threads import in_thread
from lightwell.ledger.queue import enqueue
from lightwell.residency import directory
from lightwell.residency.appointments import proposals
from lightwell.residency.appointments_models import AppointmentRow
from lightwell.residency.cell import Cell
from lightwell.wire.entries import AppointmentDecided, minute

_OUTCOMES: Final = {"consent": "consented", "veto": "vetoed"}
_STATUS: Final = {"malformed": 400, "no-such-appointment": 404, "already-decided": 409, "too-late": 409}


def decide(cell: Cell, note: str) -> str:
    """Take a signed consent or veto; grants that rest on a vetoed member end with it.

    Args:
        cell: the cell that the appointment was proposed in.
        note: the paper.

    Returns:
        `consented` or `vetoed`.

    Raises:
        Problem: 4xx `appointment-refused` with member `reason`: `malformed`, `wrong-cell`,
            `no-such-appointment`, `another-person`, `not-empowered`, `already-decided` or `too-late`.
    """
    try:
        paper = papers.read_paper(note)
    except PaperError as error:
        raise _refusal("malformed", f"That is no paper about an appointment: {error}.") from error
    if paper.cell != cell.settings.cell:
        raise _refusal("wrong-cell", "The paper is for another cell.")
    seat = _signer(cell, paper)
    now = now_ms()
    with cell.database.write() as session:
        row = session.scalar(
            select(AppointmentRow).where(AppointmentRow.appointment_id == paper.appointment).with_for_update()
        )
        if row is None:
            raise _refusal("no-such-appointment", "Nobody was proposed under that id.")
        if row.commitment != paper.commitment:
            raise _refusal("another-person", "The paper is about somebody else than the proposal.")
        if row.state != "proposed":
            raise _refusal("already-decided", f"This appointment was {row.state} before.")
        if row.counts_at is not None and now >= row.counts_at and paper.verb == "veto":
            raise _refusal("too-late", "The time for a veto that the agreement gives has passed.")
        _settle(cell, session, row, paper, seat, now)
    return _OUTCOMES[paper.verb]


def _settle(
    cell: Cell, session: WriteSession, row: AppointmentRow, paper: Paper, seat: Seat, now: int
) -> None:
    row.state, row.decided_at = _OUTCOMES[paper.verb], now
    session.flush()
    entry = AppointmentDecided(
        at=minute(now // 1000),
        appointment=row.appointment_id,
        outcome=_OUTCOMES[paper.verb],  # type: ignore[arg-type]  # one of its two literals
        role=seat.role,
        seat=seat.name,
        signature=paper.signature.signature.hex(),
    )
    enqueue(session, entry)
    if paper.verb == "veto":
        directory.settle(cell, session, "changed", ["appointment"])


def _signer(cell: Cell, paper: Paper) -> Seat:
    """Return the seat with a say in appointments whose key made the signature."""
    signed = papers.text(paper.verb, paper.cell, paper.appointment, paper.commitment)
    for seat in cell.roster:
        if seat.role in cell.agreement.appointments.by and signed_by(
            seat, signed, paper.signature.signature.hex()
        ):
            return seat
    raise _refusal("not-empowered", "No seat with a say in appointments has signed this.")


def _refusal(reason: str, detail: str) -> Problem:
    return Problem(_STATUS.get(reason, 403), "appointment-refused", detail, reason=reason)


class Decision(Struct, frozen=True, forbid_unknown_fields=True):
    """A paper, as it is delivered."""

    paper: str


@post("/api/appointments/decisions", status_code=200)
@in_thread
def deliver_decision(data: Decision, cell: Cell) -> dict[str, Any]:
    """Take a consent or veto from anybody who brings one that was signed; refusals as in `decide`."""
    return {"outcome": decide(cell, data.paper)}


@get("/api/appointments")
@in_thread
def list_appointments(cell: Cell) -> dict[str, Any]:
    """List every proposal as the ledger tells it: no name, no key."""
    with cell.database.read() as session:
        names = ("appointment_id", "role", "commitment", "state", "proposed_at", "counts_at", "decided_at")
        return {
            "appointments": [{name: getattr(row, name) for name in names} for row, _ in proposals(session)]
        }


routes: list[BaseRouteHandler] = [deliver_decision, list_appointments]
