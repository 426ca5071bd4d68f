"""HTTP of the feed: a slate with its proof, and one's own slates again, whole."""

from typing import Annotated, Any

from litestar import get
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter

from lightwell.base.errors import not_found
from lightwell.base.threads import in_thread
from lightwell.product.accounts import Account
from lightwell.product.feed import service
from lightwell.product.feed.service import MAX_SLATE, Feed
from lightwell.recommender.record import Tab
from lightwell.residency.cell import Cell

_LEAF_BYTES = 32


@get("/api/feed", cache_control=None)
async def read_feed(
    feed: Feed, account: Account, tab: Tab = "for_you", k: Annotated[int, Parameter(ge=1, le=MAX_SLATE)] = 10
) -> dict[str, Any]:
    """Answer the signed-in viewer's next slate."""
    return await feed.answer(account, tab, k)


@get("/api/slates/{leaf:str}")
@in_thread
def read_own_slate(leaf: str, cell: Cell, account: Account) -> dict[str, Any]:
    """Return the record of one of the viewer's own slates, to check it to the last byte."""
    try:
        raw = bytes.fromhex(leaf)
    except ValueError as error:
        raise not_found("slate of yours") from error
    if len(raw) != _LEAF_BYTES:
        raise not_found("slate of yours")
    with cell.database.read() as session:
        return service.own_slate(cell, session, account, raw)


routes: list[BaseRouteHandler] = [read_feed, read_own_slate]
