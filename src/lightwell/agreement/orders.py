"""Orders: signed instructions that only an empowered seat can give, and which of them are in force."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

import msgspec

from lightwell.agreement.model import Agreement
from lightwell.agreement.roster import Seat
from lightwell.wire import canonical
from lightwell.wire.keys import NoteError, SigningKey, Verifier
from lightwell.wire.note import open_note, sign_note, split_note

HEADER: Final = "lightwell/order/v1\n"
MAX_ORDER_CHARACTERS: Final = 16_384
# An order is delivered while it is news: one that turns up later is an old paper used again.
DELIVERY_SECONDS: Final = 86_400
CLOCK_SKEW_SECONDS: Final = 300

# Who can undo whose orders: a seat lifts, extends or stays orders of its own rank or below.
RANK: Final = {"board": 1, "authority": 2, "court": 3}
STARTING_VERBS: Final = frozenset({"suspend", "restrict"})
TARGETING_VERBS: Final = frozenset({"lift", "stay", "extend"})

_ID = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class OrderError(ValueError):
    """An order that is refused.

    Args:
        reason: `malformed`, `unknown-signer`, `bad-signature`, `not-empowered`, `wrong-cell`, `expired`,
            `back-dated`, `replayed`, `no-such-order` or `outranked`.
        detail: one sentence for the sender.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One opened order; the first nine fields are what was signed, times in seconds since the epoch."""

    order: str
    verb: str
    scope: str
    cell: str
    sequence: int
    issued_at: int
    expires_at: int | None
    lifts: str | None
    reason: str
    signer: str
    role: str
    digest: str


_SIGNED_FIELDS: Final = Order.__struct_fields__[:9]


def make_order(
    key: SigningKey,
    *,
    order: str,
    verb: str,
    scope: str,
    cell: str,
    sequence: int,
    issued_at: int,
    reason: str,
    expires_at: int | None = None,
    lifts: str | None = None,
) -> str:
    """Return the signed note of an order.

    Args:
        key: the signer's note key.
        order: 16 hex characters, fresh for each order.
        verb: `suspend`, `restrict`, `lift`, `stay` or `extend`.
        scope: what it is about: `uploads`, `sign_ups`, ...
        cell: the cell it is meant for.
        sequence: greater than that of every earlier order of the same signer to this cell.
        issued_at: seconds since the epoch.
        reason: one line, at most 500 characters, public.
        expires_at: seconds since the epoch when it ends by itself.
        lifts: the order that a `lift`, `stay` or `extend` is about; None for all of its scope.

    Raises:
        OrderError: `malformed`, when a value is not allowed in an order.
    """
    body = {
        "order": order,
        "verb": verb,
        "scope": scope,
        "cell": cell,
        "sequence": sequence,
        "issued_at": issued_at,
        "expires_at": expires_at,
        "lifts": lifts,
        "reason": reason,
    }
    _check_body(body)
    return sign_note(HEADER + canonical.encode(body).decode() + "\n", key)


def open_order(text: str, roster: Sequence[Seat], agreement: Agreement) -> Order:
    """Open an order and check its form, its signature and its signer's power.

    Whether it is for this cell, in time, new and not outranked is asked by `check_delivery` and
    `check_new`.

    Args:
        text: the signed note as received.
        roster: who holds which key.
        agreement: says which role may give which order.

    Raises:
        OrderError: see there.
    """
    if len(text) > MAX_ORDER_CHARACTERS:
        raise OrderError("malformed", f"An order has at most {MAX_ORDER_CHARACTERS} characters.")
    try:
        signed_text, _ = split_note(text)
    except NoteError as error:
        raise OrderError("malformed", f"Not a signed note: {error}.") from error
    body = _parse_body(signed_text)
    seats = _signers(text, roster)
    for seat in seats:
        if agreement.empowers(seat.role, body["verb"], body["scope"]):
            return Order(**body, signer=seat.name, role=seat.role, digest=signed_digest(text))
    raise OrderError(
        "not-empowered",
        f"The agreement gives {seats[0].name} no power to {body['verb']} {body['scope']}.",
    )


def signed_digest(text: str) -> str:
    """Return the sha256 (hex) of a paper's signed text, or of all of it when it is no signed note.

    Further signature lines do not change it.
    """
    with suppress(NoteError):
        text, _ = split_note(text)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_delivery(order: Order, cell: str, now: int) -> None:
    """Refuse an order for another cell, one that has run out, or one delivered long after it was issued.

    Args:
        order: as `open_order` returned it.
        cell: the name of the receiving cell.
        now: seconds since the epoch.

    Raises:
        OrderError: `wrong-cell`, `expired` or `back-dated`.
    """
    if order.cell != cell:
        raise OrderError("wrong-cell", f"The order is for cell {order.cell!r}, this is {cell!r}.")
    if order.expires_at is not None and order.expires_at <= now:
        raise OrderError("expired", "The order ended before it arrived.")
    if not now - DELIVERY_SECONDS <= order.issued_at <= now + CLOCK_SKEW_SECONDS:
        raise OrderError("back-dated", "The order was issued more than a day ago, or in the future.")


def check_new(order: Order, taken: Sequence[Order]) -> None:
    """Refuse an order that was taken before, that goes back in its signer's sequence, or that it outranks.

    Args:
        order: as `open_order` returned it.
        taken: every order this cell has taken, oldest first.

    Raises:
        OrderError: `replayed`, `no-such-order` or `outranked`.
    """
    for earlier in taken:
        if earlier.order == order.order:
            raise OrderError("replayed", "An order with this id was taken before.")
        if earlier.signer == order.signer and earlier.sequence >= order.sequence:
            raise OrderError(
                "replayed",
                f"The signer's last order had sequence {earlier.sequence}; this one has {order.sequence}.",
            )
    if order.verb in TARGETING_VERBS:
        targets = _targets(order, taken)
        if not targets:
            raise OrderError("no-such-order", f"There is no order for this one to {order.verb}.")
        if not any(_outranks(order, target) for target in targets):
            raise OrderError("outranked", f"A seat of role {order.role!r} cannot {order.verb} that order.")


def in_force(taken: Iterable[Order], now: int) -> list[Order]:
    """Return the suspensions and restrictions that bind at `now`, oldest first.

    An order binds until it expires, is lifted by a seat of its rank or above, or is stayed by a seat
    above it. When a stay ends, expires or is lifted, the order it stayed binds again.

    Args:
        taken: orders in the order in which the cell took them.
        now: seconds since the epoch.
    """
    history: list[Order] = []
    started: dict[str, Order] = {}
    stays: dict[str, Order] = {}
    for order in taken:
        if order.verb in STARTING_VERBS:
            started[order.order] = order
        elif order.verb == "stay":
            stays[order.order] = order
        else:
            for target in _targets(order, history):
                if not _outranks(order, target):
                    continue
                if order.verb == "lift":
                    started.pop(target.order, None)
                    stays.pop(target.order, None)
                elif target.order in started:
                    started[target.order] = msgspec.structs.replace(target, expires_at=order.expires_at)
        history.append(order)
    live_stays = [stay for stay in stays.values() if _lives(stay, now)]
    return [
        order
        for order in started.values()
        if _lives(order, now)
        and not any(order in _targets(stay, [order]) and _outranks(stay, order) for stay in live_stays)
    ]


def _lives(order: Order, now: int) -> bool:
    return order.expires_at is None or order.expires_at > now


def _outranks(order: Order, target: Order) -> bool:
    mine, theirs = RANK.get(order.role, 0), RANK.get(target.role, 0)
    return mine > theirs or (mine == theirs and order.verb != "stay")


def _targets(order: Order, others: Iterable[Order]) -> list[Order]:
    """Return what a lift, stay or extend is about: the order it names, or all of its scope."""
    if order.lifts is not None:
        return [other for other in others if other.order == order.lifts]
    return [other for other in others if other.scope == order.scope and other.verb in STARTING_VERBS]


def _parse_body(signed_text: str) -> dict[str, Any]:
    if not signed_text.startswith(HEADER):
        raise OrderError("malformed", f"An order begins with the line {HEADER.strip()!r}.")
    line = signed_text[len(HEADER) : -1]
    try:
        body = canonical.decode(line.encode())
    except canonical.CanonicalError as error:
        raise OrderError("malformed", f"The order's JSON is {error}.") from error
    if not isinstance(body, dict) or set(body) != set(_SIGNED_FIELDS):
        raise OrderError("malformed", f"An order has exactly the fields {', '.join(_SIGNED_FIELDS)}.")
    _check_body(body)
    return body


def _check_body(body: dict[str, Any]) -> None:
    def refuse(what: str) -> OrderError:
        return OrderError("malformed", f"The order's {what}.")

    if not (isinstance(body["order"], str) and _ID.fullmatch(body["order"])):
        raise refuse("id is not 16 hex characters")
    if body["verb"] not in STARTING_VERBS | TARGETING_VERBS:
        raise refuse("verb is none that a cell knows")
    for name in ("scope", "cell"):
        if not (isinstance(body[name], str) and _NAME.fullmatch(body[name])):
            raise refuse(f"{name} is not a lowercase name")
    for name in ("sequence", "issued_at"):
        if type(body[name]) is not int or not 0 <= body[name] < 2**53:
            raise refuse(f"{name} is not a whole number")
    if body["expires_at"] is not None and (
        type(body["expires_at"]) is not int or not body["issued_at"] < body["expires_at"] < 2**53
    ):
        raise refuse("expires_at is neither null nor a time after issued_at")
    lifts = body["lifts"]
    if lifts is not None and not (isinstance(lifts, str) and _ID.fullmatch(lifts)):
        raise refuse("lifts is neither null nor 16 hex characters")
    if lifts is not None and body["verb"] not in TARGETING_VERBS:
        raise refuse("lifts is given, but its verb is about no other order")
    reason = body["reason"]
    if not (isinstance(reason, str) and len(reason) <= 500 and reason.isprintable()):
        raise refuse("reason is not one line of at most 500 characters")


def _signers(text: str, roster: Sequence[Seat]) -> list[Seat]:
    """Return the seats whose keys signed, refusing a note with any wrong signature of a known name."""
    seats = {seat.vkey: seat for seat in roster if seat.role in RANK}
    verifiers = [Verifier.from_vkey(vkey) for vkey in seats]
    try:
        opened = open_note(text, verifiers)
    except NoteError as error:
        _, lines = split_note(text)
        if {line.name for line in lines} & {verifier.name for verifier in verifiers}:
            raise OrderError("bad-signature", "A signature does not fit the order and the roster.") from error
        raise OrderError("unknown-signer", "No seat that can give orders has signed this.") from error
    return [seats[line.verifier.vkey()] for line in opened.signatures if line.verifier is not None]
