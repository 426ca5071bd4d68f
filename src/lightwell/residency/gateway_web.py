"""The gateway's HTTP: what another cell's gateway has signed, and nothing else, is let in."""

import re
from hashlib import sha256
from typing import Any

from litestar import Request, post, put
from litestar.concurrency import sync_to_thread
from litestar.params import FromPath

from lightwell.agreement.roster import seats_of
from lightwell.base.clock import now_s
from lightwell.base.errors import Problem
from lightwell.residency import gateway
from lightwell.residency.cell import Cell
from lightwell.residency.flood import Flood
from lightwell.residency.gateway_rules import MAX_ENVELOPE_BYTES, REASONS, record_refusal
from lightwell.wire.keys import Verifier
from lightwell.wire.signed_request import RequestSignatureError, check

_unsigned = Flood(per_minute=60)


@post("/gateway/transfers", status_code=200)
async def take_transfer(request: Request[Any, Any, Any], cell: Cell) -> dict[str, Any]:
    """Accept a message from a peer, or name the media that must come first (409 `media-missing`)."""
    body = await _read(request, MAX_ENVELOPE_BYTES)
    sender = await sync_to_thread(_sender, cell, request, sha256(body).hexdigest())
    missing = await sync_to_thread(gateway.receive, cell, sender, body)
    if missing:
        raise Problem(
            409, "media-missing", "Send these media files first, then the message again.", missing=missing
        )
    return {"accepted": True}


@put("/gateway/media/{digest:str}", status_code=200, request_max_body_size=None)
async def take_media(request: Request[Any, Any, Any], cell: Cell, digest: FromPath[str]) -> dict[str, Any]:
    """Accept a media file that a message of the same peer has announced."""
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise Problem(404, "not-found", "A media file is named by its sha256 in hex.")
    # The signature covers the digest, so that it is known who sends before the first byte is kept.
    sender = await sync_to_thread(_sender, cell, request, digest)
    limit = max((flow.max_media_bytes for flow in cell.agreement.flows), default=0)
    body = await _read(request, limit)
    await sync_to_thread(gateway.receive_media, cell, sender, digest, body)
    return {"stored": True}


async def _read(request: Request[Any, Any, Any], limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Problem(413, "transfer-refused", REASONS["too-large"], reason="too-large")
    return bytes(body)


def _sender(cell: Cell, request: Request[Any, Any, Any], body_digest: FromPath[str]) -> str:
    """Return the name of the peer whose gateway key signed the request."""
    named = request.headers.get("lightwell-key", "")
    known = {peer.gateway_vkey: peer.cell for peer in cell.settings.peers}
    for vkey, peer in known.items():
        verifier = Verifier.from_vkey(vkey)
        if verifier.name != named:
            continue
        # Settings say whom we talk to, the roster says whose key that is: both must agree.
        if vkey not in {seat.vkey for seat in seats_of(cell.roster, "gateway", peer)}:
            break
        try:
            check(verifier, request.headers, request.method, request.scope["path"], body_digest, now_s())
        except RequestSignatureError as error:
            raise _refuse_unsigned(cell, peer, str(error)) from error
        return peer
    raise _refuse_unsigned(cell, "unknown", REASONS["bad-signature"])


def _refuse_unsigned(cell: Cell, peer: str, detail: str) -> Problem:
    _unsigned.count()
    record_refusal(cell, "", "", peer, "bad-signature")
    return Problem(401, "unsigned-request", detail, reason="bad-signature")


routes = [take_transfer, take_media]
