"""The quarantine: what the gateway stopped for what it holds stays sealed here, bounded, and never goes on.

Only content is kept, not forms: what a type, a flow or a budget refuses holds nothing to look at. There is no
release. Whoever wants to send again sends something else.
"""

import json
import threading
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any, Final, Literal

from msgspec import Struct
from sqlalchemy import delete, func, select

from lightwell.base.clock import fresh_id, minute_s, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.telemetry import log
from lightwell.ledger.queue import enqueue
from lightwell.residency.cell import Cell
from lightwell.residency.keys_models import AccountKey
from lightwell.residency.quarantine_models import QuarantinedRow
from lightwell.wire import canonical
from lightwell.wire.entries import QuarantineClosed

KEPT_DAYS: Final = 30
"""Long enough for a review, a report within fourteen days, and an answer to that."""
MOST_ITEMS: Final = 500
"""For one peer and one direction: more than people can look at in the days that they are kept."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""For one peer and one direction, so that no peer fills a cell's database or crowds out what others sent."""
MOST_MEDIA_BYTES: Final = 128 * 1024
"""Of a media file only its two ends are kept, this much together: headers and tags lie there."""
EXPIRY_SECONDS: Final = 5.0
OPEN: Final = ("waiting", "reported")
"""The states in which there is something to look at."""

_DAY_MS: Final = 86_400_000
_INDEX: Final = "quarantine.content"
_log = log("quarantine")

Outcome = Literal["discarded", "reported", "expired", "erased"]


class Stopped(Struct, frozen=True):
    """What was stopped: the fields of a message, or a media file by its name, and what was found in it."""

    found: str
    fields: dict[str, Any] | None = None
    media: str = ""
    data: bytes = b""

    def size(self) -> int:
        """Bytes of the whole, however much of it is kept."""
        return len(self.data) if self.fields is None else len(canonical.encode(self.fields))

    def to_bytes(self) -> bytes:
        """JSON of what is kept of it."""
        whole = self.data
        if len(whole) > MOST_MEDIA_BYTES:
            whole = whole[: MOST_MEDIA_BYTES // 2] + whole[-MOST_MEDIA_BYTES // 2 :]
        kept = {"fields": self.fields, "media": self.media, "data": b64encode(whole).decode()}
        return json.dumps(kept | {"found": self.found}).encode()

    @classmethod
    def from_bytes(cls, kept: bytes) -> "Stopped":
        """Read what `to_bytes` made; of a long media file the middle is gone."""
        read = json.loads(kept)
        return cls(read["found"], read["fields"], read["media"], b64decode(read["data"]))


def keep(
    cell: Cell,
    session: WriteSession,
    stopped: Stopped,
    *,
    transfer: str,
    flow: str,
    peer: str,
    outgoing: bool,
    reason: str,
    account_id: str = "",
) -> str:
    """Seal what was stopped, in the transaction that records the refusal.

    The same content of the same peer is kept once, and counted. When a peer's room in one direction is full,
    nothing more of it is kept until something expires or is discarded: what a reviewer has not seen is never
    pushed out by what comes after it. The refusal itself is an entry either way.

    Args:
        cell, session: the cell that stopped it, and its open transaction.
        stopped: what.
        transfer, flow, peer, reason: as the entry of the refusal has them.
        outgoing: whether it was on its way out of this cell.
        account_id: whose it is, if this cell knows; 16 hex characters.

    Returns:
        The item's id, 16 hex characters, or nothing when there was no room.
    """
    direction = "out" if outgoing else "in"
    if stopped.fields is not None:
        content = canonical.digest(stopped.fields)
    else:
        content = canonical.digest({"media": stopped.media, "data": sha256(stopped.data).hexdigest()})
    index = cell.vault.blind_index(_INDEX, f"{direction}/{peer}/{content}")
    known = session.scalar(select(QuarantinedRow).where(QuarantinedRow.content_index == index).limit(1))
    if known is not None:
        known.times += 1
        return known.item_id
    kept = stopped.to_bytes()
    count, total = session.execute(
        select(func.count(), func.coalesce(func.sum(QuarantinedRow.kept_bytes), 0)).where(
            QuarantinedRow.peer == peer,
            QuarantinedRow.outgoing.is_(outgoing),
            QuarantinedRow.state.in_(OPEN),
        )
    ).one()
    if count >= MOST_ITEMS or int(total) + len(kept) > MOST_BYTES:
        _log.warning("the quarantine is full", peer=peer)
        return ""
    item_id = fresh_id()
    has_key = account_id and session.get(AccountKey, account_id) is not None
    if not has_key:
        cell.vault.new_account_key(session, item_id)
    now = now_ms()
    session.add(
        QuarantinedRow(
            item_id=item_id,
            account_id=account_id if has_key else None,
            message=cell.vault.seal(
                session, account_id if has_key else item_id, "quarantine", "message", item_id, kept
            ),
            content_index=index,
            transfer_id=transfer,
            flow=flow,
            peer=peer,
            outgoing=outgoing,
            reason=reason,
            found=stopped.found,
            media=stopped.media,
            size_bytes=stopped.size(),
            kept_bytes=len(kept),
            state="waiting",
            stopped_at=now,
            expires_at=now + KEPT_DAYS * _DAY_MS,
        )
    )
    return item_id


def key_of(row: QuarantinedRow) -> str:
    """Return whose key seals an item: an account's, or its own."""
    return row.account_id or row.item_id


def close(cell: Cell, session: WriteSession, row: QuarantinedRow, outcome: Outcome) -> None:
    """Record what became of an item; unless it is reported, its content goes, and a key of its own with it.

    What is reported stays sealed until its days are over: it is what the report is about.
    """
    row.state = outcome
    if outcome != "reported":
        row.message = row.content_index = None
        row.kept_bytes = 0
        if row.account_id is None:
            cell.vault.destroy(session, row.item_id)
    enqueue(session, QuarantineClosed(at=minute_s(), item=row.item_id, outcome=outcome, looks=row.looks))


def close_due(cell: Cell, session: WriteSession) -> int:
    """Close what is over its days, and what was erased with its account; return how many.

    Of what was closed the facts go too when its days are over: the entries stay.
    """
    now = now_ms()
    rows = session.scalars(
        select(QuarantinedRow)
        .where(QuarantinedRow.state.in_(OPEN))
        .where((QuarantinedRow.expires_at <= now) | QuarantinedRow.message.is_(None))
        .with_for_update()
    ).all()
    for row in rows:
        close(cell, session, row, "erased" if row.message is None else "expired")
    session.flush()
    over = (QuarantinedRow.expires_at <= now) & QuarantinedRow.state.not_in(OPEN)
    session.execute(delete(QuarantinedRow).where(over))
    return len(rows)


def run_expiry(cell: Cell, stop: threading.Event) -> None:
    """Close what is due every few seconds until `stop` is set; looks at it are refused at once anyway."""
    while not stop.wait(EXPIRY_SECONDS):
        try:
            with cell.database.read() as session:
                waiting = _due(session)
            if waiting:
                with cell.database.write() as session:
                    close_due(cell, session)
        except Exception as error:  # noqa: BLE001  a locked or restarting database must not end the watch
            _log.error("closing what is in quarantine failed", error)


def _due(session: ReadSession) -> bool:
    erased = QuarantinedRow.state.in_(OPEN) & QuarantinedRow.message.is_(None)
    found = select(QuarantinedRow.item_id).where((QuarantinedRow.expires_at <= now_ms()) | erased)
    return session.scalar(found.limit(1)) is not None
