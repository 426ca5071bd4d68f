"""HTTP of a video's files: ranges, conditional requests, and no file ever whole in memory."""

from collections.abc import Iterator
from typing import Any

from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler
from litestar.response import Stream

from lightwell.base import byte_ranges
from lightwell.base.errors import not_found
from lightwell.base.threads import in_thread
from lightwell.product.accounts.queries import Account
from lightwell.product.videos import queries, sealed_media
from lightwell.product.videos.audience import require_may_watch
from lightwell.product.videos.media import FILES
from lightwell.product.videos.models import VideoRow
from lightwell.residency.cell import Cell

AnyRequest = Request[Any, Any, Any]

_CHUNK_BYTES = 512 * 1024
_TYPES = {"mp4": "video/mp4", "jpg": "image/jpeg"}
_FOREVER = "public, max-age=31536000, immutable"


@route(
    "/media/videos/{video_id:str}/{name:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
)
@in_thread
def read_media(
    request: AnyRequest, video_id: str, name: str, cell: Cell, maybe_account: Account | None
) -> Response[Any]:
    """Answer one of the three files of a published video, or of one's own that is ready."""
    account_id = maybe_account.account_id if maybe_account else None
    with cell.database.read() as session:
        row = queries.get(session, video_id, account_id)
    if name not in FILES or row.status not in ("published", "ready"):
        raise not_found("file")
    if account_id is None or row.account_id != account_id:
        require_may_watch(cell, maybe_account, row)
    # What not everybody may see is kept by no cache that might show it to the next.
    for_everybody = row.status == "published" and not row.adult and not row.regions
    caching = _FOREVER if for_everybody else "private, no-store"
    facts = row.media[name]
    answer = byte_ranges.answer_to(request.headers, int(facts["size"]), facts["sha256"], caching)
    if answer.status == 304:
        return Response(None, status_code=304, headers=answer.headers)
    media_type = _TYPES[name.rpartition(".")[2]]
    if request.method == "HEAD":
        return Response(b"", status_code=answer.status, headers=answer.headers, media_type=media_type)
    read = _published if row.status == "published" else _own
    body = read(cell, row, name, answer.start, answer.stop)
    return Stream(body, status_code=answer.status, headers=answer.headers, media_type=media_type)


def _published(cell: Cell, row: VideoRow, name: str, start: int, stop: int) -> Iterator[bytes]:
    key = f"videos/{row.video_id}/{name}"
    for at in range(start, stop, _CHUNK_BYTES):
        yield cell.objects.get_range(key, at, min(at + _CHUNK_BYTES, stop))


def _own(cell: Cell, row: VideoRow, name: str, start: int, stop: int) -> Iterator[bytes]:
    account_id = str(row.account_id)
    permit = sealed_media.permit_for_owner(cell, account_id)
    with cell.database.read() as session:
        yield from sealed_media.read_draft(cell, session, permit, account_id, row.video_id, name, start, stop)


routes: list[BaseRouteHandler] = [read_media]
