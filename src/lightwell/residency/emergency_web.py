"""Emergencies over HTTP: opened before witnesses or with an alarm, and reviewed by others afterwards."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import post
from msgspec import Meta, Struct

from lightwell.base.threads import in_thread
from lightwell.residency import access_emergency, access_web
from lightwell.residency.access_rules import Ask
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal


class EmergencyForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A request as typed, and whether nobody is at hand to witness it."""

    subject: Annotated[str, Meta(max_length=40)]
    fields: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=50)]
    purpose: Annotated[str, Meta(max_length=40)]
    minutes: int
    ticket: Annotated[str, Meta(max_length=40)] = ""
    alone: bool = False


class ReviewForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the emergency was one."""

    justified: bool


@post("/api/access/emergencies", status_code=201)
@in_thread
def break_glass(data: EmergencyForm, cell: Cell, staff: Principal) -> dict[str, Any]:
    """Open an emergency, or ask colleagues to witness it; a refusal is a 403 problem and an entry."""
    form = Ask(data.subject, data.fields, data.purpose, data.minutes, data.ticket)
    with cell.database.write() as session:
        answer = access_emergency.open_emergency(cell, session, staff, form, alone=data.alone)
    return access_web.answered(answer)


@post("/api/access/requests/{request_id:str}/review", status_code=200)
@in_thread
def review_emergency(request_id: str, data: ReviewForm, cell: Cell, staff: Principal) -> dict[str, Any]:
    """Judge an emergency that is over."""
    with cell.database.write() as session:
        answer = access_emergency.review(cell, session, staff, request_id, justified=data.justified)
    return access_web.answered(answer)


routes = [break_glass, review_emergency]
