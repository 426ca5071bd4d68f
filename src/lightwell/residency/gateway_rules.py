"""What both ends of a transfer check: form, flow, labels, decision, tripwires, media and budget."""

import re
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import msgspec
from phonenumbers import SUPPORTED_REGIONS
from sqlalchemy import func, select

from lightwell.agreement.model import Agreement, Flow, covers
from lightwell.base.clock import minute_s, now_ms
from lightwell.base.db import ReadSession
from lightwell.base.errors import Problem
from lightwell.ledger.queue import enqueue
from lightwell.residency import media_metadata, tripwires
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Refused, Resource
from lightwell.residency.decoding import strings
from lightwell.residency.gateway_models import IncomingTransfer, OutgoingTransfer
from lightwell.residency.messages import Message, message_type
from lightwell.residency.quarantine import Stopped, keep
from lightwell.wire import canonical
from lightwell.wire.entries import TransferRefused
from lightwell.wire.shapes import settle

MAX_ENVELOPE_BYTES: Final = 65_536
DAY_MS: Final = 86_400_000

REASONS: Final = {
    "malformed": "The message does not fit its type.",
    "unknown-field": "The message has a field that its type does not know.",
    "no-flow": "No flow of the agreement carries this there.",
    "wrong-sender": "The message was signed by another cell than it names.",
    "wrong-cell": "The message is for another cell.",
    "transfer-reused": "Another message had this transfer id.",
    "too-large": "The message or its media is larger than its flow allows.",
    "label": "A field's label and the agreement do not agree that it may cross.",
    "decision": "The agreement does not allow this data to cross.",
    "tripwire": "The message holds what looks like protected data.",
    "media-unknown": "The flow does not carry media of this name.",
    "media-metadata": "The media carries metadata, or is not what its name says.",
    "media-digest": "The media is not the bytes that the message names.",
    "over-budget": "The flow's budget for today is spent.",
    "bad-signature": "No gateway that this cell knows has signed this request.",
}

_Id = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]
_Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,59}\Z")]
_Salt = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_GATEWAY: Final = Principal(kind="process", id="gateway", role="gateway")
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e\x80-\xff]{7,}")


class TransferRefusal(Exception):  # noqa: N818  the word of the ledger's entry
    """A message that may not cross, with one of `REASONS`; `detail` never repeats what was in it.

    `stopped` is what it held, when that is the reason: it goes into the quarantine and nowhere else.
    """

    def __init__(self, reason: str, detail: str = "", stopped: Stopped | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.stopped = stopped
        self.detail = detail or REASONS[reason]

    def problem(self) -> Problem:
        """Return the problem document for the other side or the caller."""
        status = {"malformed": 400, "unknown-field": 400, "too-large": 413, "over-budget": 429}
        return Problem(status.get(self.reason, 403), "transfer-refused", self.detail, reason=self.reason)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What travels: a message with its flow and ends; the salt keeps its digest in the ledger unguessable."""

    v: Literal[1] = 1
    transfer: _Id
    flow: _Name
    source: _Name
    target: _Name
    salt: _Salt
    message: dict[str, Any]

    def to_bytes(self) -> bytes:
        """Return the canonical JSON that is signed, hashed and sent."""
        return canonical.encode(msgspec.to_builtins(self))


settle(Envelope)


def open_envelope(data: bytes) -> Envelope:
    """Parse what a peer sent.

    Raises:
        TransferRefusal: `malformed` or `too-large`.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise TransferRefusal("too-large")
    try:
        return msgspec.convert(canonical.decode(data), Envelope)
    except (canonical.CanonicalError, msgspec.ValidationError) as error:
        raise TransferRefusal("malformed") from error


def region_of(agreement: Agreement, cell: str) -> str:
    """Return the region a cell's name tells: the name itself or its part before the first hyphen.

    Raises:
        TransferRefusal: `no-flow`, it is no region of the agreement.
    """
    region = cell.partition("-")[0]
    if region not in agreement.region_ids():
        raise TransferRefusal("no-flow")
    return region


def require_flow(agreement: Agreement, flow_id: str, source: str, target: str) -> Flow:
    """Return the flow that runs from cell `source` to cell `target`, or refuse with `no-flow`."""
    flow = agreement.flow_between(flow_id, region_of(agreement, source), region_of(agreement, target))
    if flow is None:
        raise TransferRefusal("no-flow")
    return flow


def check_message(cell: Cell, session: ReadSession, flow: Flow, fields: dict[str, Any]) -> Message:
    """Turn a message's fields into its type, and refuse what its flow does not carry.

    Args:
        cell: the checking cell, at either end.
        session: any session of it.
        flow: as `require_flow` returned it.
        fields: the message as JSON values.

    Raises:
        TransferRefusal: `malformed`, `unknown-field`, `no-flow`, `label`, `media-unknown` or `tripwire`.
    """
    kind = message_type(flow.message)
    if kind is None or kind.flow != flow.id:
        raise TransferRefusal("no-flow")
    if flow.fields and set(flow.fields) != set(kind.__struct_fields__):
        raise TransferRefusal("label", "The message type and the agreement's list of fields differ.")
    unknown = set(fields) - set(kind.__struct_fields__)
    if unknown:
        raise TransferRefusal("unknown-field")
    try:
        message = msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise TransferRefusal("malformed") from error
    for label in kind.labels.values():
        agreed = cell.agreement.residency(label.category)
        # A label looser than the agreement's class, an unclassed category or one off the flow's list lies.
        if (
            agreed in (None, "protected")
            or (agreed == "interop" and label.residency == "public")
            or not covers(flow.categories, label.category)
        ):
            raise TransferRefusal("label")
    for name, digest in media_of(message).items():
        if name not in flow.media or not _DIGEST.fullmatch(digest):
            raise TransferRefusal("media-unknown")
    trip = tripwires.find(session, cell.vault, texts_to_inspect(fields), country_of(cell))
    if trip is not None:
        stopped = Stopped(trip.why, fields=fields)
        raise TransferRefusal("tripwire", f"{REASONS['tripwire']} ({trip.why})", stopped)
    return message


def texts_to_inspect(fields: dict[str, Any]) -> list[str]:
    """Return the texts and numbers of a message in the order of its fields; the names of media are left out.

    The names are of a closed list, which the type has checked, and repeat in every message.
    """
    found: list[str] = []
    for value in fields.values():
        if isinstance(value, dict):
            found += [str(item) for item in value.values()]
        else:
            found += strings(value)
    return found


def country_of(cell: Cell) -> str:
    """Return the numbering plan of the cell's region, none where a region is no country."""
    region = cell.settings.region.upper()
    return region if region in SUPPORTED_REGIONS else ""


def require_decision(cell: Cell, message: Message, flow: Flow, target: str) -> None:
    """Ask the agreement's policies about every category that the message would take to cell `target`.

    Raises:
        TransferRefusal: `decision`.
    """
    bound_for = region_of(cell.agreement, target)
    for label in set(message.labels.values()):
        resource = Resource(category=label.category, residency=label.residency, bound_for=bound_for)
        try:
            cell.decider.decide(_GATEWAY, "cross", resource, purpose=flow.id, now=now_ms())
        except Refused as error:
            raise TransferRefusal("decision", error.detail) from error


def media_of(message: Message) -> dict[str, str]:
    """Return the media that a message names: file name -> sha256 in hex; empty for a message without."""
    found: dict[str, str] = getattr(message, "media", {})
    return found


def check_media(cell: Cell, session: ReadSession, name: str, digest: str, data: bytes) -> None:
    """Refuse media that is not what was announced, carries metadata or holds a protected value.

    Args:
        cell, session: the checking cell.
        name: the media's name in its flow, such as `540.mp4`.
        digest: the sha256 that the message names, in hex.
        data: the whole file.

    Raises:
        TransferRefusal: `media-digest`, `media-metadata` or `tripwire`.
    """
    if sha256(data).hexdigest() != digest:
        raise TransferRefusal("media-digest")
    try:
        heads = media_metadata.headers(name, data)
    except media_metadata.MetadataError as error:
        stopped = Stopped(str(error), media=name, data=data)
        raise TransferRefusal("media-metadata", f"{REASONS['media-metadata']} ({error})", stopped) from error
    texts = [run.decode("utf-8", "replace") for run in _PRINTABLE.findall(heads)]
    trip = tripwires.find_exact(session, cell.vault, texts)
    if trip is not None:
        raise TransferRefusal("tripwire", stopped=Stopped(trip.why, media=name, data=data))


def check_budget(session: ReadSession, flow: Flow, peer: str, size_bytes: int, *, outgoing: bool) -> None:
    """Refuse what would pass the flow's count or bytes of this UTC day with this peer.

    Raises:
        TransferRefusal: `over-budget`.
    """
    table: type[OutgoingTransfer] | type[IncomingTransfer]
    table, at = (
        (OutgoingTransfer, OutgoingTransfer.created_at)
        if outgoing
        else (IncomingTransfer, IncomingTransfer.received_at)
    )
    now = now_ms()
    count, total = session.execute(
        select(func.count(), func.coalesce(func.sum(table.size_bytes), 0)).where(
            table.flow == flow.id, table.peer == peer, at >= now - now % DAY_MS
        )
    ).one()
    if count >= flow.daily_messages or int(total) + size_bytes > flow.daily_bytes:
        raise TransferRefusal("over-budget")


def check_queued_budget(session: ReadSession, flow: Flow, row: OutgoingTransfer) -> None:
    """Refuse what was queued although its day's count or bytes with this peer were spent before it.

    Raises:
        TransferRefusal: `over-budget`.
    """
    table = OutgoingTransfer
    day = row.created_at - row.created_at % DAY_MS
    before = (table.created_at < row.created_at) | (
        (table.created_at == row.created_at) & (table.transfer_id <= row.transfer_id)
    )
    count, total = session.execute(
        select(func.count(), func.coalesce(func.sum(table.size_bytes), 0)).where(
            table.flow == flow.id, table.peer == row.peer, table.created_at >= day, before
        )
    ).one()
    if count > flow.daily_messages or int(total) > flow.daily_bytes:
        raise TransferRefusal("over-budget")


def record_refusal(
    cell: Cell,
    transfer: str,
    flow: str,
    peer: str,
    reason: str,
    stopped: Stopped | None = None,
    *,
    outgoing: bool = False,
    account_id: str = "",
) -> None:
    """Put a refusal in the ledger's queue, repeating nothing that a peer could have written freely.

    Args:
        cell, transfer, flow, peer, reason: what was refused, and why.
        stopped: what goes into the quarantine in the same transaction.
        outgoing: whether it was on its way out of this cell.
        account_id: whose it is, if this cell knows.
    """
    entry = TransferRefused(
        at=minute_s(),
        transfer=transfer if re.fullmatch(r"[0-9a-f]{16}", transfer) else "",
        flow=flow if cell.agreement.flow(flow) is not None else "unknown",
        peer=peer if peer in {other.cell for other in cell.settings.peers} else "unknown",
        reason=reason,
    )
    with cell.database.write() as session:
        enqueue(session, entry)
        if stopped is not None:
            keep(
                cell,
                session,
                stopped,
                transfer=entry.transfer,
                flow=entry.flow,
                peer=entry.peer,
                outgoing=outgoing,
                reason=reason,
                account_id=account_id,
            )
