"""HTTP of resumable uploads: tus 1.0.0 with creation, termination and expiration."""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from litestar import Request, Response, delete, head, patch, post, route
from litestar.concurrency import sync_to_thread
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from lightwell.base.errors import Problem
from lightwell.base.threads import in_thread
from lightwell.product.accounts.queries import Account
from lightwell.product.videos import sealed_media, uploads
from lightwell.product.videos.models import UploadRow
from lightwell.residency.cell import Cell

AnyRequest = Request[Any, Any, Any]

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
_CONTENT_TYPE = "application/offset+octet-stream"
_MAX_METADATA = 4096
_NUMBER = re.compile(r"\d{1,18}")


@route(
    ["/api/uploads", "/api/uploads/{upload_id:str}"], http_method=[HttpMethod.OPTIONS], sync_to_thread=False
)
def describe_server(cell: Cell) -> Response[None]:
    """Say which versions and extensions of tus are understood, and how large an upload may be."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(cell.settings.upload_limit_bytes),
    }
    return Response(None, status_code=204, headers=headers)


@post("/api/uploads", status_code=201)
@in_thread
def create_upload(request: AnyRequest, cell: Cell, account: Account) -> Response[None]:
    """Begin an upload of a length known from the beginning; larger than the limit is refused here."""
    _check_version(request)
    if "upload-defer-length" in request.headers:
        raise _wrong("Upload-Defer-Length is not supported; give Upload-Length.")
    length = _number(request, "upload-length")
    described = request.headers.get("upload-metadata", "")
    _check_metadata(described)
    row = uploads.create(cell, account.account_id, length, described)
    headers = {**_state(row), "Location": f"/api/uploads/{row.upload_id}"}
    return Response(None, status_code=201, headers=headers)


@head("/api/uploads/{upload_id:str}")
async def read_upload(request: AnyRequest, upload_id: str, cell: Cell, account: Account) -> Response[None]:
    """Say how many bytes are durable."""
    _check_version(request)
    row, described = await sync_to_thread(_find_described, cell, upload_id, account.account_id)
    headers = {**_state(row), "Upload-Length": str(row.length), "Cache-Control": "no-store"}
    if described:
        headers["Upload-Metadata"] = described
    # Litestar wants a HEAD handler typed as without a body, but would write None as four bytes of JSON.
    answer: Response[Any] = Response(b"", status_code=200, headers=headers, media_type="text/plain")
    return answer


@patch("/api/uploads/{upload_id:str}", status_code=204, request_max_body_size=None)
async def continue_upload(
    request: AnyRequest, upload_id: str, cell: Cell, account: Account
) -> Response[None]:
    """Take bytes from the given offset on; each part is durable before the next is read."""
    _check_version(request)
    if request.headers.get("content-type", "").split(";")[0].strip() != _CONTENT_TYPE:
        raise Problem(415, "wrong-content-type", f"The body of a PATCH has Content-Type {_CONTENT_TYPE}.")
    offset = _number(request, "upload-offset")
    announced = request.headers.get("content-length", "")
    row = await sync_to_thread(_find, cell, upload_id, account.account_id)
    await sync_to_thread(_check_start, cell, row, offset, int(announced) if announced.isdigit() else 0)
    async for part in _parts(request):
        offset = await sync_to_thread(uploads.append, cell, account.account_id, upload_id, offset, part)
    row = await sync_to_thread(_find, cell, upload_id, account.account_id)
    return Response(None, status_code=204, headers=_state(row))


@delete("/api/uploads/{upload_id:str}", status_code=204)
@in_thread
def end_upload(request: AnyRequest, upload_id: str, cell: Cell, account: Account) -> Response[None]:
    """Remove an upload and its bytes."""
    _check_version(request)
    uploads.cancel(cell, account.account_id, upload_id)
    return Response(None, status_code=204, headers={"Tus-Resumable": VERSION})


async def _parts(request: AnyRequest) -> AsyncIterator[bytes]:
    """Yield the body in parts of `uploads.PART_BYTES`; what came before a broken connection is a part too."""
    held = bytearray()
    try:
        async for chunk in request.stream():
            held += chunk
            while len(held) >= uploads.PART_BYTES:
                yield bytes(held[: uploads.PART_BYTES])
                del held[: uploads.PART_BYTES]
    except (HTTPException, ConnectionError):
        pass
    if held:
        yield bytes(held)


def _find(cell: Cell, upload_id: str, account_id: str) -> UploadRow:
    with cell.database.read() as session:
        return uploads.find(session, upload_id, account_id)


def _find_described(cell: Cell, upload_id: str, account_id: str) -> tuple[UploadRow, str]:
    with cell.database.read() as session:
        row = uploads.find(session, upload_id, account_id)
        permit = sealed_media.permit_for_owner(cell, account_id)
        return row, uploads.describe(cell, session, permit, row)


def _check_start(cell: Cell, row: UploadRow, offset: int, announced: int) -> None:
    with cell.database.read() as session:
        uploads.check_append(session, row.upload_id, row.account_id, offset, announced)


def _state(row: UploadRow) -> dict[str, str]:
    expires = datetime.fromtimestamp(row.expires_at / 1000, UTC)
    return {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(row.received),
        "Upload-Expires": format_datetime(expires, usegmt=True),
    }


def _check_version(request: AnyRequest) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        problem = Problem(
            412, "tus-version", f"This server speaks tus {VERSION}; send Tus-Resumable: {VERSION}."
        )
        problem.headers["Tus-Version"] = VERSION
        raise problem


def _number(request: AnyRequest, header: str) -> int:
    value = request.headers.get(header, "")
    if not _NUMBER.fullmatch(value):
        raise _wrong(f"The header {header.title()} must be a number of bytes.")
    return int(value)


def _check_metadata(described: str) -> None:
    if len(described) > _MAX_METADATA:
        raise _wrong(f"Upload-Metadata has at most {_MAX_METADATA} characters.")
    for pair in described.split(",") if described else ():
        key, _, value = pair.strip().partition(" ")
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise _wrong("Upload-Metadata is a list of keys and Base64 values.") from error
        if not key or not key.isascii():
            raise _wrong("A key of Upload-Metadata is not empty and in ASCII.")


def _wrong(detail: str) -> Problem:
    return Problem(400, "wrong-tus-request", detail)


routes: list[BaseRouteHandler] = [
    describe_server,
    create_upload,
    read_upload,
    continue_upload,
    end_upload,
]
