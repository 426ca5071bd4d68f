"""A valid order binds every process of the cell at once and after a restart; an invalid one is recorded."""

import threading
from contextlib import suppress
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from lightwell.agreement.orders import (
    Order,
    OrderError,
    check_delivery,
    check_new,
    in_force,
    open_order,
    signed_digest,
)
from lightwell.base.clock import now_ms, now_s
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.base.telemetry import log
from lightwell.ledger.queue import enqueue
from lightwell.residency.cell import Cell
from lightwell.residency.flood import Flood
from lightwell.residency.in_force_models import ObeyedOrder, RefusedOrder, TakenOrder
from lightwell.wire.entries import OrderEffective, OrderRefused, OrderTaken

# Anybody can post a paper; what refusals may add to the ledger is bounded, a flood only gets 429.
REFUSALS_PER_MINUTE: Final = 60
WATCH_SECONDS: Final = 0.5

_STATUS: Final = {"malformed": 400, "replayed": 409, "no-such-order": 409}
_FIELDS: Final = Order.__struct_fields__
_log = log("in_force")


def take(cell: Cell, text: str) -> Order:
    """Take an order: from the commit of this call on, every check in every process obeys it.

    Args:
        cell: the receiving cell.
        text: the signed note as received.

    Returns:
        The order, taken.

    Raises:
        Problem: 4xx with slug `order-refused` and member `reason` as in `OrderError`; the refusal is in
            the ledger's queue when this is raised.
    """
    now = now_s()
    refusal: OrderError
    try:
        with cell.database.write() as session:
            order = open_order(text, cell.roster, cell.agreement)
            check_delivery(order, cell.settings.cell, now)
            check_new(order, taken(session))
            _store(session, order, text)
            enqueue(
                session,
                OrderTaken(
                    at=now,
                    order=order.order,
                    verb=order.verb,
                    scope=order.scope,
                    digest=order.digest,
                    signer=order.signer,
                ),
            )
        return order
    except OrderError as error:
        refusal = error
    except IntegrityError:
        # On PostgreSQL two copies of one order can be judged side by side; the second to commit is a replay.
        refusal = OrderError("replayed", "The same order was taken a moment ago.")
    _record_refusal(cell, text, refusal.reason, now)
    raise Problem(
        _STATUS.get(refusal.reason, 403), "order-refused", refusal.detail, reason=refusal.reason
    ) from refusal


def taken(session: ReadSession) -> list[Order]:
    """Return every order the cell has taken, oldest first."""
    rows = session.execute(
        select(
            TakenOrder.order_id,
            TakenOrder.verb,
            TakenOrder.scope,
            TakenOrder.cell,
            TakenOrder.sequence,
            TakenOrder.issued_at,
            TakenOrder.expires_at,
            TakenOrder.lifts,
            TakenOrder.reason,
            TakenOrder.signer,
            TakenOrder.role,
            TakenOrder.digest,
        ).order_by(TakenOrder.place)
    )
    return [Order(**dict(zip(_FIELDS, row, strict=True))) for row in rows]


def suspended(session: ReadSession) -> list[Order]:
    """Return the orders that bind now, oldest first, read from the database at this moment."""
    return in_force(taken(session), now_s())


def require_allowed(session: ReadSession, scope: str) -> None:
    """Refuse what an order in force suspends.

    Call it inside the transaction that does the thing, so that nothing slips between check and deed.

    Args:
        session: the caller's session.
        scope: `uploads`, `sign_ups`, ... as the agreement's powers name it.

    Raises:
        Problem: 403 `suspended-by-order`, naming the order.
    """
    for order in suspended(session):
        if order.scope == scope:
            what = scope.replace("_", "-")
            raise Problem(
                403,
                "suspended-by-order",
                f"An order of the {order.role} ({order.signer}) has stopped {what} here: {order.reason}",
                order=order.order,
                scope=scope,
                since=order.issued_at,
            )


def order_texts(session: ReadSession) -> list[str]:
    """Return the signed text of every order taken, oldest first, for whoever wants to verify them."""
    return list(session.scalars(select(TakenOrder.text).order_by(TakenOrder.place)))


class OrderWatch:
    """Records, once an order and process, that this process has seen the order and obeys it.

    Args:
        cell: the cell whose orders are watched.
        process: the process's name in the ledger ("web", "worker").
    """

    def __init__(self, cell: Cell, process: str) -> None:
        self._cell = cell
        self._process = process

    def look(self) -> int:
        """Record every order not yet recorded as seen by this process; return how many there were."""
        unseen = (
            select(TakenOrder.order_id)
            .where(
                TakenOrder.order_id.not_in(
                    select(ObeyedOrder.order_id).where(ObeyedOrder.process == self._process)
                )
            )
            .order_by(TakenOrder.place)
        )
        with self._cell.database.read() as session:
            if session.scalars(unseen.limit(1)).first() is None:
                return 0
        with self._cell.database.write() as session:
            found = list(session.scalars(unseen))
            for order_id in found:
                session.add(ObeyedOrder(order_id=order_id, process=self._process, seen_at=now_ms()))
                enqueue(session, OrderEffective(at=now_s(), order=order_id, process=self._process))
        return len(found)

    def run(self, stop: threading.Event) -> None:
        """Look twice a second until `stop` is set; a failed look is logged and tried again."""
        while not stop.wait(WATCH_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  a locked or restarting database must not end the watch
                _log.error("looking for orders failed", error)


def _store(session: WriteSession, order: Order, text: str) -> None:
    session.add(
        TakenOrder(
            order_id=order.order,
            verb=order.verb,
            scope=order.scope,
            cell=order.cell,
            sequence=order.sequence,
            issued_at=order.issued_at,
            expires_at=order.expires_at,
            lifts=order.lifts,
            reason=order.reason,
            signer=order.signer,
            role=order.role,
            digest=order.digest,
            text=text,
            taken_at=now_ms(),
        )
    )
    session.flush()


_refusals = Flood(REFUSALS_PER_MINUTE)


def _record_refusal(cell: Cell, text: str, reason: str, now: int) -> None:
    _refusals.count()
    digest = signed_digest(text)
    # On PostgreSQL two copies can be refused side by side: the entry of one is enough.
    with suppress(IntegrityError), cell.database.write() as session:
        if session.get(RefusedOrder, (digest, reason)) is None:
            session.add(RefusedOrder(digest=digest, reason=reason, refused_at=now_ms()))
            session.flush()
            enqueue(session, OrderRefused(at=now, digest=digest, reason=reason))
    _log.warning("an order was refused", reason=reason)
