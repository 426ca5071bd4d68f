"""Orders over HTTP: anybody may deliver a signed order and read those that were taken."""

from typing import Any

from litestar import Request, get, post
from litestar.concurrency import sync_to_thread

from lightwell.agreement.orders import MAX_ORDER_CHARACTERS, Order
from lightwell.base.errors import Problem
from lightwell.base.threads import in_thread
from lightwell.residency import in_force
from lightwell.residency.cell import Cell


@post("/api/orders", status_code=200)
async def deliver_order(request: Request[Any, Any, Any], cell: Cell) -> dict[str, Any]:
    """Take a signed order sent as the request's text; refusals as in `in_force.take`."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > 4 * MAX_ORDER_CHARACTERS:
            raise Problem(413, "order-too-large", "No order is that long.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(400, "order-refused", "An order is UTF-8 text.", reason="malformed") from error
    order = await sync_to_thread(in_force.take, cell, text)
    return {"order": order.order, "verb": order.verb, "scope": order.scope, "effective": True}


@get("/api/orders")
@in_thread
def list_orders(cell: Cell) -> dict[str, Any]:
    """Return every order taken, with its signed text, and which of them bind now."""
    with cell.database.read() as session:
        taken = in_force.taken(session)
        texts = in_force.order_texts(session)
        binding = {order.order for order in in_force.suspended(session)}
    return {
        "orders": [
            _shown(order) | {"in_force": order.order in binding, "text": text}
            for order, text in zip(taken, texts, strict=True)
        ]
    }


def _shown(order: Order) -> dict[str, Any]:
    names = (
        "order",
        "verb",
        "scope",
        "sequence",
        "issued_at",
        "expires_at",
        "lifts",
        "reason",
        "signer",
        "role",
    )
    return {name: getattr(order, name) for name in names}


routes = [deliver_order, list_orders]
