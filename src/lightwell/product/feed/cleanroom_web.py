"""HTTP for the partner's clean room in the cell: slate records, snapshots, policies, by signed request."""

import hashlib
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from litestar.response import Stream
from sqlalchemy import select

from lightwell.base.clock import minute_s, now_s
from lightwell.base.errors import Problem, not_found
from lightwell.base.settings import MIB
from lightwell.base.threads import in_thread
from lightwell.ledger.queue import enqueue
from lightwell.product import videos
from lightwell.product.feed import snapshot_files
from lightwell.product.feed.models import RankingPolicyRow
from lightwell.product.feed.records import records_for_replay
from lightwell.residency.cell import Cell
from lightwell.wire import signed_request
from lightwell.wire.entries import RecordsOpened
from lightwell.wire.keys import Verifier

MAX_RECORDS = 100
_NO_BODY = hashlib.sha256(b"").hexdigest()
_PIECE = 4 * MIB


def require_clean_room(request: Request[Any, Any, Any], cell: Cell) -> None:
    """Refuse a request that the clean room's key has not signed just now.

    Raises:
        Problem: 401, with what is wrong.
    """
    query = request.scope.get("query_string", b"").decode("latin-1")
    path = request.scope["path"] + (f"?{query}" if query else "")
    sent = {name.lower(): value for name, value in request.headers.items()}
    verifier = Verifier.from_vkey(cell.settings.cleanroom_vkey)
    try:
        signed_request.check(verifier, sent, request.method, path, _NO_BODY, now_s())
    except signed_request.RequestSignatureError as error:
        raise Problem(401, "unsigned-request", f"This door opens to the clean room only: {error}.") from error


@get("/cleanroom/records")
@in_thread
def read_records(
    request: Request[Any, Any, Any], cell: Cell, commitments: Annotated[str, Parameter(max_length=6500)]
) -> dict[str, Any]:
    """Open up to 100 slate records; that it happened, and how many, is an entry."""
    require_clean_room(request, cell)
    wanted, raw = _asked(commitments)
    with cell.database.read() as session:
        records = records_for_replay(cell, session, raw)
    with cell.database.write() as writing:
        opened = RecordsOpened(at=minute_s(), by="cleanroom", reason="replay", count=len(records))
        enqueue(writing, opened)
    found = {record["commitment"] for record in records}
    return {"records": records, "missing": [text for text in wanted if text not in found]}


@get("/cleanroom/withdrawals")
@in_thread
def read_withdrawals(
    request: Request[Any, Any, Any], cell: Cell, commitments: Annotated[str, Parameter(max_length=6500)]
) -> dict[str, Any]:
    """Open up to 100 `VideoWithdrawn` entries: which video each of them takes back."""
    require_clean_room(request, cell)
    _, raw = _asked(commitments)
    with cell.database.read() as session:
        return {"withdrawals": videos.withdrawals_for_replay(session, raw)}


@get("/cleanroom/snapshots/{digest:str}")
@in_thread
def read_snapshot(request: Request[Any, Any, Any], cell: Cell, digest: str) -> Stream:
    """Return a published snapshot as it served: a base, or an update that names its base."""
    require_clean_room(request, cell)
    with cell.database.read() as session:
        base = snapshot_files.published_base(session, digest)
    key = snapshot_files.key_of(digest, base)
    size = cell.objects.size(key)
    # Piece by piece: a base may be larger than a web process should grow.
    pieces = (cell.objects.get_range(key, at, min(size, at + _PIECE)) for at in range(0, size, _PIECE))
    return Stream(pieces, media_type="application/octet-stream", headers={"Content-Length": str(size)})


@get("/cleanroom/policies/{digest:str}")
@in_thread
def read_policy(request: Request[Any, Any, Any], cell: Cell, digest: str) -> Response[bytes]:
    """Return a version of the ranking policy."""
    require_clean_room(request, cell)
    with cell.database.read() as session:
        body = session.scalar(select(RankingPolicyRow.body).where(RankingPolicyRow.digest == digest))
    if body is None:
        raise not_found("policy")
    return Response(body, media_type="application/json")


def _asked(commitments: str) -> tuple[list[str], list[bytes]]:
    wanted = commitments.split(",")
    if len(wanted) > MAX_RECORDS:
        raise Problem(422, "too-many-records", f"At most {MAX_RECORDS} commitments a request.")
    try:
        return wanted, [bytes.fromhex(text) for text in wanted]
    except ValueError as error:
        raise Problem(422, "bad-commitment", "A commitment is 64 hex characters.") from error


routes: list[BaseRouteHandler] = [read_records, read_withdrawals, read_snapshot, read_policy]
