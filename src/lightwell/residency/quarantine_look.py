"""Reviewers at home look at what the gateway stopped: one item a look, masked, and each look an entry."""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec import Struct
from sqlalchemy import select

from lightwell.base.clock import fresh_id, minute_s, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem, not_found
from lightwell.ledger.queue import enqueue
from lightwell.residency import tripwires
from lightwell.residency.access_models import StaffRow
from lightwell.residency.access_read import Watermark
from lightwell.residency.access_rules import record_refusal
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Refused, Resource
from lightwell.residency.gateway_rules import country_of
from lightwell.residency.inspection import inspect
from lightwell.residency.labels import label_of
from lightwell.residency.quarantine import OPEN, Stopped, close, key_of
from lightwell.residency.quarantine_masks import MASK, masked
from lightwell.residency.quarantine_models import QuarantinedRow
from lightwell.wire.entries import QuarantineOpened

Settled = Literal["discarded", "reported"]
LISTED: Final = 200
"""The newest so many are listed."""
_MOST_RUNS: Final = 200
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e\x80-\xff]{7,400}")
_ITEM: Final = re.compile(r"[0-9a-f]{16}")


class Shown(Struct, frozen=True):
    """One field of a message, or one readable run of a media file; `masked` says that it is not all there."""

    field: str
    text: str
    masked: bool


class Look(Struct, frozen=True):
    """What one look shows, or why it shows nothing."""

    shown: list[Shown]
    reason: str = ""
    watermark: Watermark | None = None


def list_items(cell: Cell, session: WriteSession, who: Principal) -> tuple[list[QuarantinedRow], str]:
    """Return what was stopped, newest first, or the reason why this person may not see it; nothing is opened.

    A refusal is returned, not raised, so that its entry is committed.
    """
    _, reason = _permit(cell, session, who, None, fresh_id(), "")
    if reason:
        return [], reason
    rows = session.scalars(
        select(QuarantinedRow).order_by(QuarantinedRow.stopped_at.desc()).limit(LISTED)
    ).all()
    return list(rows), ""


def look(cell: Cell, session: WriteSession, who: Principal, item_id: str, purpose: str) -> Look:
    """Unseal one item, and queue the entry of the look in the same transaction.

    The caller shows it only after the transaction has committed. A refusal is returned, not raised, so that
    its entry is committed.

    Args:
        cell, session: the cell that keeps it, and an open transaction.
        who: a member of staff, as the directory knows them now.
        item_id: which one.
        purpose: one of the agreement's for this.

    Raises:
        Problem: 404 there is no such item; 410 its content is gone.
    """
    row = _row(session, item_id)
    permit, reason = _permit(cell, session, who, row, item_id, purpose)
    if permit is None:
        return Look([], reason)
    row = _open_row(row)
    plain = cell.vault.unseal(
        permit, session, key_of(row), "quarantine", "message", row.item_id, row.message or b""
    )
    row.looks += 1
    entry = QuarantineOpened(
        at=minute_s(), item=row.item_id, place=who.place, role=who.role, reason=purpose, look=row.looks
    )
    enqueue(session, entry)
    mark = Watermark(session.get_one(StaffRow, who.id).name, now_ms(), row.item_id, row.looks)
    return Look(_shown(cell, session, row, Stopped.from_bytes(plain)), "", mark)


def settle(cell: Cell, session: WriteSession, who: Principal, item_id: str, outcome: Settled) -> str:
    """Discard an item, or report it: then it stays sealed until it expires. Return why not, or nothing.

    Raises:
        Problem: 404 there is no such item; 410 its content is gone; 409 nobody has looked at it, or it was
            reported before.
    """
    row = _row(session, item_id)
    _, reason = _permit(cell, session, who, row, item_id, "")
    if reason:
        return reason
    row = _open_row(row)
    if row.state == "reported":
        raise Problem(409, "already-reported", "This was reported; it stays until it expires.")
    if not row.looks:
        raise Problem(409, "not-looked-at", "Nobody has looked at this yet; look first.")
    close(cell, session, row, outcome)
    return ""


def _permit(
    cell: Cell, session: WriteSession, who: Principal, row: QuarantinedRow | None, item_id: str, purpose: str
) -> tuple[Permit | None, str]:
    """Ask the decider; a refusal is recorded as every other one of staff."""
    known = _ITEM.fullmatch(item_id) is not None
    purposes = cell.agreement.access.quarantine.purposes
    resource = Resource(
        category=label_of("quarantine", "message").category,
        region=cell.settings.region,
        owner=key_of(row) if row is not None else "",
        residency="protected",
    )
    now = now_ms()
    try:
        permit = cell.decider.decide(
            who, "look_quarantined", resource, purpose or next(iter(purposes), ""), now=now
        )
    except Refused as refused:
        record_refusal(session, who, item_id if known else fresh_id(), refused.reason, now)
        return None, refused.reason
    return permit, ""


def _row(session: WriteSession, item_id: str) -> QuarantinedRow | None:
    if _ITEM.fullmatch(item_id) is None:
        return None
    return session.get(QuarantinedRow, item_id, with_for_update=True)


def _open_row(row: QuarantinedRow | None) -> QuarantinedRow:
    if row is None:
        raise not_found("item in quarantine")
    if row.state not in OPEN or row.message is None or row.expires_at <= now_ms():
        raise Problem(410, "not-kept", "The content of this is gone; what became of it is in the ledger.")
    return row


def _shown(cell: Cell, session: ReadSession, row: QuarantinedRow, stopped: Stopped) -> list[Shown]:
    """Return every text of an item in order, masked where the gateway's own inspection finds something."""
    if stopped.fields is not None:
        named = [pair for name, value in stopped.fields.items() for pair in _flat(name, value)]
    else:
        runs = _PRINTABLE.findall(stopped.data)[:_MOST_RUNS]
        named = [(stopped.media, run.decode("utf-8", "replace")) for run in runs]
    marks, country = tripwires.marks_of(session, cell.vault), country_of(cell)

    def find(texts: Sequence[str]) -> str:
        trip = inspect(marks, texts, country)
        return "" if trip is None else trip.why

    texts = [text for _, text in named]
    if row.reason == "tripwire" and not find(texts):
        # Whose value it was has been erased since; where it stands, nobody knows any more.
        kept = [MASK if text else "" for text in texts]
    else:
        kept = masked(texts, find)
    return [Shown(name, shown, shown != text) for (name, text), shown in zip(named, kept, strict=True)]


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Return the texts of a field with names, in the order in which the gateway looks at them."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flat(f"{name} {key}", item)]
    if isinstance(value, list):
        return [pair for number, item in enumerate(value, 1) for pair in _flat(f"{name} {number}", item)]
    return [(name, "" if value is None else str(value))]
