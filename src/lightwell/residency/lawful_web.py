"""HTTP of lawful process, for staff of the regional entity at home: take in, approve, answer."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import get, post
from litestar.handlers import BaseRouteHandler
from msgspec import Meta, Struct, to_builtins

from lightwell.base.threads import in_thread
from lightwell.residency import lawful
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Refused


class DemandForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A demand, as typed; see `lawful.Demand`."""

    authority: Annotated[str, Meta(max_length=200)]
    basis: Annotated[str, Meta(max_length=200)]
    subject: Annotated[str, Meta(max_length=40)]
    fields: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=50)]


@post("/api/lawful/requests", status_code=201)
@in_thread
def register(data: DemandForm, cell: Cell, staff: Principal) -> dict[str, Any]:
    """Take a demand in."""
    form = lawful.Demand(data.authority, data.basis, data.subject, data.fields)
    with cell.database.write() as session:
        found = lawful.register(cell, session, staff, form)
    if found.status == "refused":
        raise Refused(found.reason)
    return dict(to_builtins(found))


@post("/api/lawful/requests/{request_id:str}/approve", status_code=200)
@in_thread
def approve(request_id: str, cell: Cell, staff: Principal) -> dict[str, Any]:
    """Approve another's demand."""
    with cell.database.write() as session:
        found = lawful.approve(cell, session, staff, request_id)
    if found.status == "refused":
        raise Refused(found.reason)
    return dict(to_builtins(found))


@get("/api/lawful/requests/{request_id:str}/answer")
@in_thread
def answer(request_id: str, cell: Cell, staff: Principal) -> dict[str, Any]:
    """Answer a demand, once, with the granted fields."""
    with cell.database.write() as session:
        found = lawful.answer(cell, session, staff, request_id)
    if found.reason:
        raise Refused(found.reason)
    return dict(to_builtins(found))


routes: list[BaseRouteHandler] = [register, approve, answer]
