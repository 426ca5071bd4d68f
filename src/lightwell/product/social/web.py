"""HTTP of social: report events, read what the feed knows of oneself, choose whether it may use it."""

import secrets
from typing import Any

import msgspec
from litestar import asgi, get, put
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler
from litestar.types import HTTPScope, Receive, Send

from lightwell.base.errors import Problem
from lightwell.base.threads import in_thread
from lightwell.product.accounts import Account
from lightwell.product.accounts.raw_requests import (
    answer_json,
    read_body,
    refuse_foreign_origin,
    signed_in,
)
from lightwell.product.social import folds, service
from lightwell.product.social.reported import Event
from lightwell.product.social.tastes import Tastes, tastes_of
from lightwell.residency.cell import Cell

MAX_BODY_BYTES = 128 * 1024


class Events(msgspec.Struct, forbid_unknown_fields=True):
    """A batch of events."""

    events: list[Event]


_decode = msgspec.json.Decoder(Events).decode


class Profiling(msgspec.Struct, forbid_unknown_fields=True):
    """Whether the feed may use what its viewer did."""

    profiling: bool


@asgi("/api/events", copy_scope=False)
async def report_events(scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Keep a batch of the signed-in viewer's events; it is durable when this answers.

    Written against ASGI itself: a framework's work for each request would cost as much as keeping the events.
    """
    if scope["method"] != "POST":
        raise MethodNotAllowedException(headers={"allow": "POST"})
    refuse_foreign_origin(scope)
    state = scope["litestar_app"].state
    account = await signed_in(state.cell, scope)
    events = _read(await read_body(receive, MAX_BODY_BYTES))
    accepted, duplicates = await state.intake.durable(account.account_id, events)
    await answer_json(send, 202, b'{"accepted":%d,"duplicates":%d}' % (accepted, duplicates))


def _read(body: bytes) -> list[Event]:
    try:
        return _decode(body).events
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The place and the rule are named; what was sent is not repeated.
        message, _, place = str(error).partition(" - at ")
        if message.startswith("Invalid enum value"):
            message = "This is not one of the values it may have"
        raise Problem(
            400,
            "bad-request",
            "The request does not have the form that this address takes.",
            fields=[{"key": place.strip("`") or "$", "message": message}],
        ) from error


@get("/api/me/viewer")
@in_thread
def read_viewer_state(cell: Cell, account: Account) -> dict[str, Any]:
    """Return all that the feed knows of the signed-in viewer, newest last."""
    with cell.database.read() as session:
        state = folds.viewer_state(cell, session, account.account_id)
    return {
        "events": state.events,
        "watched": [{"video_id": video, "strength": strength} for video, strength in state.watched.items()],
        "seen": list(state.seen),
        "likes": list(state.likes),
        "follows": list(state.follows),
        "hidden": list(state.hidden),
        "blocked": list(state.blocked),
        "muted": list(state.muted),
        "without_profiling": state.without_profiling,
        "adult": account.adult,
    }


@get("/api/me/viewer/tastes")
@in_thread
def read_tastes(cell: Cell, account: Account) -> Tastes:
    """Return what that says of the signed-in viewer's tastes, in counts of watched videos."""
    with cell.database.read() as session:
        return tastes_of(session, folds.viewer_state(cell, session, account.account_id))


@put("/api/me/profiling")
@in_thread
def choose_profiling(data: Profiling, cell: Cell, account: Account) -> dict[str, bool]:
    """Keep the signed-in viewer's choice; the next slate goes by it, in every process."""
    with cell.database.write() as session:
        service.choose_profiling(cell, session, account.account_id, secrets.token_hex(16), on=data.profiling)
    return {"profiling": data.profiling}


routes: list[BaseRouteHandler] = [report_events, read_viewer_state, read_tastes, choose_profiling]
