"""The only door between cells: what no flow of the agreement carries does not cross, and all is recorded."""

import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

import msgspec
from sqlalchemy import select

from lightwell.agreement.model import Flow
from lightwell.base.clock import fresh_id, minute_s, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.labels import declare_prefix
from lightwell.base.settings import Peer
from lightwell.ledger.queue import enqueue
from lightwell.residency.cell import Cell
from lightwell.residency.gateway_models import AwaitedMedia, IncomingTransfer, OutgoingTransfer
from lightwell.residency.gateway_rules import (
    Envelope,
    TransferRefusal,
    check_budget,
    check_media,
    check_message,
    check_queued_budget,
    media_of,
    open_envelope,
    record_refusal,
    require_decision,
    require_flow,
)
from lightwell.residency.messages import Message, says
from lightwell.wire import canonical
from lightwell.wire.entries import TransferReceived, TransferSent

declare_prefix("gateway", "user.content.public", "public")

__all__ = ["Envelope", "Message", "on_receive", "receive", "receive_media", "says", "send", "transfer_state"]

Receiver = Callable[[WriteSession, Cell, Message, Mapping[str, str]], None]
"""Stores a message that was let in. Called in the transaction that records `TransferReceived`; the last
argument is media name -> key in this cell's object store, to be copied: the gateway removes it."""

_receivers: Final[dict[str, Receiver]] = {}


def on_receive(flow: str, receiver: Receiver) -> None:
    """Name who stores the messages of a flow in this process.

    Args:
        flow: the flow's id, such as `public-video`.
        receiver: see `Receiver`; a later call for the same flow replaces it.
    """
    _receivers[flow] = receiver


def send(cell: Cell, peer: str, message: Message, media: Mapping[str, str], account_id: str = "") -> str:
    """Send a message to another cell: recorded when this returns, delivered by the `Courier`.

    Sending the same message to the same peer again is the same transfer. Do not call it inside a write
    transaction: it has its own.

    Args:
        cell: the sending cell.
        peer: the receiving cell's name.
        message: an instance of a `Message` subclass.
        media: for each name in `message.media`, the key of the file in this cell's object store.
        account_id: whose message it is, if anybody's here: what is stopped is sealed under that key.

    Returns:
        The transfer id, 16 hex characters.

    Raises:
        Problem: `transfer-refused` with a `reason` of `gateway_rules.REASONS`; it is in the ledger's queue.
    """
    transfer = fresh_id()
    try:
        return _send(cell, _peer(cell, peer), message, media, transfer)
    except TransferRefusal as refusal:
        record_refusal(
            cell,
            transfer,
            message.flow,
            peer,
            refusal.reason,
            refusal.stopped,
            outgoing=True,
            account_id=account_id,
        )
        raise refusal.problem() from refusal


def recheck(cell: Cell, row: OutgoingTransfer) -> None:
    """Inspect what is queued once more, right before it goes: whoever writes the database is not believed.

    All is checked that was checked when it was queued, under the agreement and the guarded values of now. The
    budget of its day is held against what was queued up to it, itself among it, so that nothing is counted
    twice.

    Args:
        cell: the sending cell.
        row: what is about to go.

    Raises:
        TransferRefusal: it may not go; nothing is recorded yet.
    """
    envelope = open_envelope(row.envelope)
    ends = (envelope.transfer, envelope.flow, envelope.source, envelope.target)
    if ends != (row.transfer_id, row.flow, cell.settings.cell, row.peer):
        raise TransferRefusal("malformed", "The queue says otherwise than the message of itself.")
    flow = require_flow(cell.agreement, envelope.flow, cell.settings.cell, row.peer)
    if len(row.envelope) > flow.max_message_bytes:
        raise TransferRefusal("too-large")
    try:
        keys = msgspec.json.decode(row.media, type=dict[str, str])
    except msgspec.DecodeError as error:
        raise TransferRefusal("malformed", "The queue names no media that can be read.") from error
    with cell.database.read() as session:
        message = check_message(cell, session, flow, envelope.message)
        if getattr(message, "origin_cell", cell.settings.cell) != cell.settings.cell:
            raise TransferRefusal("wrong-sender")
        require_decision(cell, message, flow, row.peer)
        named = media_of(message)
        if set(named.values()) != set(keys):
            raise TransferRefusal("media-unknown", "The message names other media than are queued.")
        media = {name: keys[digest] for name, digest in named.items()}
        size, _ = _check_outgoing_media(cell, session, flow, message, media)
        if size + len(row.envelope) != row.size_bytes:
            raise TransferRefusal("malformed", "The queue gives another size than the message has.")
        check_queued_budget(session, flow, row)


def receive(cell: Cell, sender: str, body: bytes) -> list[str]:
    """Take in a message whose request a peer's gateway key has signed.

    Args:
        cell: the receiving cell.
        sender: the name of the cell whose key signed.
        body: the envelope's bytes.

    Returns:
        The sha256 of media that must be sent first; empty when the message is accepted.

    Raises:
        Problem: `transfer-refused`, with its reason; it is in the ledger's queue.
    """
    transfer = flow_id = ""
    try:
        envelope = open_envelope(body)
        transfer, flow_id = envelope.transfer, envelope.flow
        missing, done = _receive(cell, sender, envelope, body)
    except TransferRefusal as refusal:
        record_refusal(cell, transfer, flow_id, sender, refusal.reason, refusal.stopped)
        raise refusal.problem() from refusal
    for key in done:
        cell.objects.delete(key)
    return missing


def receive_media(cell: Cell, sender: str, digest: str, data: bytes) -> None:
    """Take in a media file that a checked message has announced; errors as `receive`.

    Args:
        cell: the receiving cell.
        sender: the name of the cell whose key signed.
        digest: sha256 in hex, from the request's path.
        data: the file.
    """
    flow_id = ""
    try:
        with cell.database.read() as session:
            row = session.get(AwaitedMedia, (sender, digest))
            if row is None:
                raise TransferRefusal("media-unknown")
            flow_id = row.flow
            flow = cell.agreement.flow(flow_id)
            if flow is None:
                raise TransferRefusal("no-flow")
            if len(data) > flow.max_media_bytes:
                raise TransferRefusal("too-large")
            check_media(cell, session, row.name, digest, data)
    except TransferRefusal as refusal:
        record_refusal(cell, "", flow_id, sender, refusal.reason, refusal.stopped)
        raise refusal.problem() from refusal
    cell.objects.put(_staged(sender, digest), data)
    with cell.database.write() as session:
        kept = session.get(AwaitedMedia, (sender, digest))
        if kept is not None:
            kept.size_bytes = len(data)


def transfer_state(session: ReadSession, transfer_id: str) -> str | None:
    """Return `queued`, `accepted` or `refused` for an outgoing transfer, None if there is none."""
    return session.scalars(
        select(OutgoingTransfer.state).where(OutgoingTransfer.transfer_id == transfer_id)
    ).first()


def _peer(cell: Cell, name: str) -> Peer:
    for peer in cell.settings.peers:
        if peer.cell == name:
            return peer
    raise TransferRefusal("no-flow", "This cell's gateway knows no such cell.")


def _send(cell: Cell, peer: Peer, message: Message, media: Mapping[str, str], transfer: str) -> str:
    flow = require_flow(cell.agreement, message.flow, cell.settings.cell, peer.cell)
    fields = msgspec.to_builtins(message)
    content_digest = canonical.digest(fields)
    with cell.database.read() as session:
        known = _known(session, flow, peer.cell, content_digest)
        if known is not None:
            return known
        checked = check_message(cell, session, flow, fields)
        require_decision(cell, checked, flow, peer.cell)
        size, keys = _check_outgoing_media(cell, session, flow, checked, media)
    envelope = Envelope(
        transfer=transfer,
        flow=flow.id,
        source=cell.settings.cell,
        target=peer.cell,
        salt=secrets.token_hex(16),
        message=fields,
    ).to_bytes()
    if len(envelope) > flow.max_message_bytes:
        raise TransferRefusal("too-large")
    size += len(envelope)
    now = now_ms()
    with cell.database.write() as session:
        known = _known(session, flow, peer.cell, content_digest)
        if known is not None:
            return known
        check_budget(session, flow, peer.cell, size, outgoing=True)
        session.add(
            OutgoingTransfer(
                transfer_id=transfer,
                flow=flow.id,
                peer=peer.cell,
                content_digest=content_digest,
                envelope=envelope,
                media=msgspec.json.encode(keys),
                size_bytes=size,
                state="queued",
                next_try_at=now,
                created_at=now,
            )
        )
        digest = sha256(envelope).hexdigest()
        enqueue(
            session,
            TransferSent(
                at=minute_s(), transfer=transfer, flow=flow.id, peer=peer.cell, digest=digest, size=size
            ),
        )
    return transfer


def _known(session: ReadSession, flow: Flow, peer: str, content_digest: str) -> str | None:
    return session.scalars(
        select(OutgoingTransfer.transfer_id).where(
            OutgoingTransfer.flow == flow.id,
            OutgoingTransfer.peer == peer,
            OutgoingTransfer.content_digest == content_digest,
        )
    ).first()


def _check_outgoing_media(
    cell: Cell, session: ReadSession, flow: Flow, message: Message, media: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    """Return the bytes of all media together, and where each lies by its sha256."""
    named = media_of(message)
    if set(named) != set(media):
        raise TransferRefusal("media-unknown", "The message names other media than were given.")
    total, keys = 0, {}
    for name, digest in named.items():
        size = cell.objects.size(media[name])
        total += size
        if total > flow.max_media_bytes:
            raise TransferRefusal("too-large")
        check_media(cell, session, name, digest, cell.objects.get(media[name]))
        keys[digest] = media[name]
    return total, keys


def _receive(cell: Cell, sender: str, envelope: Envelope, body: bytes) -> tuple[list[str], list[str]]:
    """Return the media still missing, or none and the staged objects that are no longer needed."""
    if envelope.source != sender:
        raise TransferRefusal("wrong-sender")
    if envelope.target != cell.settings.cell:
        raise TransferRefusal("wrong-cell")
    flow = require_flow(cell.agreement, envelope.flow, sender, cell.settings.cell)
    receiver = _receivers.get(flow.id)
    if receiver is None:
        raise TransferRefusal("no-flow", "Nothing here receives messages of this flow.")
    if len(body) > flow.max_message_bytes:
        raise TransferRefusal("too-large")
    digest = sha256(body).hexdigest()
    with cell.database.write() as session:
        known = session.get(IncomingTransfer, (sender, envelope.transfer))
        if known is not None:
            if known.digest != digest:
                raise TransferRefusal("transfer-reused")
            return [], []
        message = check_message(cell, session, flow, envelope.message)
        # A peer speaks of what was made at home, never in another cell's name.
        if getattr(message, "origin_cell", sender) != sender:
            raise TransferRefusal("wrong-sender")
        awaited = {
            name: _announce(session, sender, flow, name, sha) for name, sha in media_of(message).items()
        }
        missing = [row.media_digest for row in awaited.values() if row.size_bytes is None]
        if missing:
            return missing, []
        size = sum(row.size_bytes or 0 for row in awaited.values())
        if size > flow.max_media_bytes:
            raise TransferRefusal("too-large")
        size += len(body)
        check_budget(session, flow, sender, size, outgoing=False)
        staged = {name: _staged(sender, row.media_digest) for name, row in awaited.items()}
        receiver(session, cell, message, staged)
        for row in {row.media_digest: row for row in awaited.values()}.values():
            session.delete(row)
        session.add(
            IncomingTransfer(
                peer=sender,
                transfer_id=envelope.transfer,
                flow=flow.id,
                digest=digest,
                size_bytes=size,
                received_at=now_ms(),
            )
        )
        enqueue(
            session,
            TransferReceived(
                at=minute_s(), transfer=envelope.transfer, flow=flow.id, peer=sender, digest=digest, size=size
            ),
        )
    return [], list(staged.values())


def _announce(session: WriteSession, sender: str, flow: Flow, name: str, digest: str) -> AwaitedMedia:
    row = session.get(AwaitedMedia, (sender, digest))
    if row is None:
        row = AwaitedMedia(
            peer=sender,
            media_digest=digest,
            name=name,
            flow=flow.id,
            size_bytes=None,
            announced_at=now_ms(),
        )
        session.add(row)
        session.flush()
    return row


def _staged(sender: str, digest: str) -> str:
    return f"gateway/{sender}/{digest}"
