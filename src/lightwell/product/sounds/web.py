"""HTTP of the sounds library: the list, and each piece as a file."""

from typing import Any

from litestar import Request, Response, get, route
from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler

from lightwell.base import byte_ranges
from lightwell.base.errors import not_found
from lightwell.base.threads import in_thread
from lightwell.product.sounds import queries
from lightwell.residency.cell import Cell


@get("/api/sounds")
@in_thread
def list_sounds(cell: Cell) -> dict[str, Any]:
    """List every sound, by title."""
    with cell.database.read() as session:
        return {"sounds": [queries.view(row) for row in queries.all_sounds(session)]}


@route("/media/sounds/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
@in_thread
def read_sound(request: Request[Any, Any, Any], name: str, cell: Cell) -> Response[bytes | None]:
    """Answer the file of one sound, all or a range of it; it never changes."""
    sound_id, _, kind = name.partition(".")
    if kind != "m4a":
        raise not_found("file")
    with cell.database.read() as session:
        row = queries.get(session, sound_id)
    answer = byte_ranges.answer_to(
        request.headers, row.size_bytes, row.digest, "public, max-age=31536000, immutable"
    )
    if answer.status == 304:
        return Response(None, status_code=304, headers=answer.headers)
    body = b""
    if request.method == "GET":
        body = cell.objects.get_range(queries.object_key(sound_id), answer.start, answer.stop)
    return Response(body, status_code=answer.status, headers=answer.headers, media_type="audio/mp4")


routes: list[BaseRouteHandler] = [list_sounds, read_sound]
