"""The quarantine over HTTP, for staff signed in at home: a list of facts, single looks, and no release."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from msgspec import Meta, Struct

from lightwell.base.threads import in_thread
from lightwell.residency import quarantine_look
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Refused
from lightwell.residency.quarantine_models import QuarantinedRow


class LookForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Why somebody looks: one of the agreement's purposes for it."""

    reason: Annotated[str, Meta(max_length=40)]


@get("/api/quarantine")
@in_thread
def list_quarantine(cell: Cell, staff: Principal) -> Response[dict[str, Any]]:
    """List what the gateway stopped, without any of its content; a refusal is an entry."""
    with cell.database.write() as session:
        rows, reason = quarantine_look.list_items(cell, session, staff)
        items = [_listed(row) for row in rows]
    if reason:
        raise Refused(reason)
    body = {"items": items, "reasons": cell.agreement.access.quarantine.purposes}
    return Response(body, headers={"cache-control": "no-store"})


@post("/api/quarantine/{item_id:str}/look", status_code=200)
@in_thread
def look_at_item(item_id: str, data: LookForm, cell: Cell, staff: Principal) -> Response[dict[str, Any]]:
    """Show one item with what was found masked; the look is an entry, and so is a refusal."""
    with cell.database.write() as session:
        seen = quarantine_look.look(cell, session, staff, item_id, data.reason)
    if seen.reason:
        raise Refused(seen.reason)
    body = {"item_id": item_id, "shown": seen.shown, "watermark": seen.watermark}
    return Response(body, headers={"cache-control": "no-store"})


@post("/api/quarantine/{item_id:str}/discard", status_code=200)
@in_thread
def discard_item(item_id: str, cell: Cell, staff: Principal) -> dict[str, str]:
    """Destroy the content of an item that was looked at."""
    return _settled(cell, staff, item_id, "discarded")


@post("/api/quarantine/{item_id:str}/report", status_code=200)
@in_thread
def report_item(item_id: str, cell: Cell, staff: Principal) -> dict[str, str]:
    """Report an item that was looked at: an entry says so to everybody, and it stays until it expires."""
    return _settled(cell, staff, item_id, "reported")


def _settled(cell: Cell, staff: Principal, item_id: str, outcome: quarantine_look.Settled) -> dict[str, str]:
    with cell.database.write() as session:
        reason = quarantine_look.settle(cell, session, staff, item_id, outcome)
    if reason:
        raise Refused(reason)
    return {"item_id": item_id, "state": outcome}


def _listed(row: QuarantinedRow) -> dict[str, Any]:
    return {
        "item_id": row.item_id,
        "transfer": row.transfer_id,
        "flow": row.flow,
        "peer": row.peer,
        "outgoing": row.outgoing,
        "reason": row.reason,
        "found": row.found,
        "media": row.media,
        "size_bytes": row.size_bytes,
        "times": row.times,
        "looks": row.looks,
        "state": row.state,
        "stopped_at": row.stopped_at,
        "expires_at": row.expires_at,
    }


routes = [list_quarantine, look_at_item, discard_item, report_item]
