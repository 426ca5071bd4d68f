"""HTTP of the feed: a slate with its proof, one's own slates again, whole, and why each video is in them."""

import re
from typing import Any, Final, get_args
from urllib.parse import parse_qsl

from litestar import asgi, get
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler
from litestar.types import HTTPScope, Receive, Send

from lightwell.base.errors import Problem, not_found
from lightwell.base.threads import in_thread
from lightwell.product.accounts import Account
from lightwell.product.accounts.raw_requests import answer_json, token_of
from lightwell.product.feed import records
from lightwell.product.feed.reasons import reasons_of
from lightwell.product.feed.service import MAX_SLATE, Feed
from lightwell.recommender.record import Tab
from lightwell.residency.cell import Cell

_LEAF_BYTES: Final = 32
_NONCE: Final = re.compile(r"[0-9a-f]{32}").fullmatch
_TABS: Final[dict[str, Tab]] = {tab: tab for tab in get_args(Tab)}


@asgi("/api/feed", copy_scope=False)
async def read_feed(scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Answer the signed-in viewer's next slate: `tab`, `k` from 1 to 30 (10 unless told), and a `nonce`.

    Written against ASGI itself: a framework's work for each request would cost as much as all the feed's.
    """
    if scope["method"] != "GET":
        raise MethodNotAllowedException(headers={"allow": "GET"})
    state = scope["litestar_app"].state
    token = token_of(scope)
    tab, k, nonce = _asked(scope["query_string"])
    await answer_json(send, 200, await state.feed.answer(token, tab, k, nonce))


@get("/api/slates/{leaf:str}")
@in_thread
def read_own_slate(leaf: str, cell: Cell, account: Account) -> dict[str, Any]:
    """Return the record of one of the viewer's own slates, to check it to the last byte."""
    raw = _leaf(leaf)
    with cell.database.read() as session:
        record, commitment = records.own_record(cell, session, account, raw)
    return records.shown(record, commitment, raw)


@get("/api/slates/{leaf:str}/why")
@in_thread
def read_reasons(leaf: str, cell: Cell, feed: Feed, account: Account) -> dict[str, Any]:
    """Say why each video is in one of the viewer's own slates, by ranking its record again."""
    with cell.database.read() as session:
        record, _ = records.own_record(cell, session, account, _leaf(leaf))
        return reasons_of(feed.serving, session, record)


def _asked(query: bytes) -> tuple[Tab, int, str]:
    """Read which tab, how many and the viewer's nonce; anything else in the query means nothing here."""
    asked = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}
    tab = _TABS.get(asked.get("tab", "for_you"))
    if tab is None:
        raise _unusable("tab", f"must be one of {', '.join(_TABS)}")
    text = asked.get("k", "10")
    k = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    if not 1 <= k <= MAX_SLATE:
        raise _unusable("k", f"must be a whole number from 1 to {MAX_SLATE}")
    nonce = asked.get("nonce", "")
    if nonce and not _NONCE(nonce):
        raise _unusable("nonce", "must be 32 hex characters: 16 random bytes")
    return tab, k, nonce


def _unusable(key: str, message: str) -> Problem:
    detail = "The request does not have the form that this address takes."
    return Problem(400, "bad-request", detail, fields=[{"key": key, "message": message}])


def _leaf(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError as error:
        raise not_found("slate of yours") from error
    if len(raw) != _LEAF_BYTES:
        raise not_found("slate of yours")
    return raw


routes: list[BaseRouteHandler] = [read_feed, read_own_slate, read_reasons]
