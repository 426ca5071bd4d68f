"""Amendments over HTTP: anybody may bring one that its parties signed, and read those that were adopted."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.concurrency import sync_to_thread

from lightwell.base.errors import Problem
from lightwell.base.threads import in_thread
from lightwell.residency import amendments
from lightwell.residency.cell import Cell

_Text = Annotated[str, msgspec.Meta(max_length=400_000)]


class Amendment(msgspec.Struct, forbid_unknown_fields=True):
    """An agreement's file, the roster's, and the paper with the signatures."""

    agreement: _Text
    roster: _Text
    paper: _Text


@post("/api/agreement/amendments", status_code=200)
async def bring_amendment(data: Amendment, cell: Cell) -> dict[str, str | int]:
    """Bring an amendment into force; refusals as in `amendments.amend`."""
    entry = await sync_to_thread(amendments.amend, cell, data.agreement, data.roster, data.paper)
    return {"agreement": entry.agreement, "version": entry.version, "digest": entry.digest}


@get("/api/agreement/{wanted:str}")
@in_thread
def read_adopted(wanted: str, cell: Cell) -> dict[str, str]:
    """Return an agreement that is or was in force, by its digest, with its roster and its signatures."""
    with cell.database.read() as session:
        row = amendments.adopted(session, wanted)
        if row is None:
            raise Problem(404, "not-found", "No agreement of that digest was adopted here.")
        return {"agreement": row.text, "roster": row.roster, "paper": row.paper}


routes = [bring_amendment, read_adopted]
