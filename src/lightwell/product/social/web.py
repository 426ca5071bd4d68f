"""HTTP of social: report events, read what the feed knows of oneself."""

from typing import Any

import msgspec
from litestar import get, post
from litestar.handlers import BaseRouteHandler

from lightwell.base.threads import in_thread
from lightwell.product.accounts import Account
from lightwell.product.social import service
from lightwell.product.social.service import Event
from lightwell.residency.cell import Cell


class Events(msgspec.Struct, forbid_unknown_fields=True):
    """A batch of events."""

    events: list[Event]


@post("/api/events", status_code=202)
@in_thread
def report_events(data: Events, cell: Cell, account: Account) -> dict[str, int]:
    """Keep a batch of the signed-in viewer's events; it is durable when this answers."""
    with cell.database.write() as session:
        accepted, duplicates = service.record(cell, session, account.account_id, data.events)
    return {"accepted": accepted, "duplicates": duplicates}


@get("/api/me/viewer")
@in_thread
def read_viewer_state(cell: Cell, account: Account) -> dict[str, Any]:
    """Return all that the feed knows of the signed-in viewer, newest last."""
    with cell.database.read() as session:
        state = service.viewer_state(cell, session, account.account_id)
    return {
        "events": state.events,
        "watched": [{"video_id": video, "strength": strength} for video, strength in state.watched.items()],
        "seen": list(state.seen),
        "likes": list(state.likes),
        "follows": list(state.follows),
        "hidden": list(state.hidden),
    }


routes: list[BaseRouteHandler] = [report_events, read_viewer_state]
