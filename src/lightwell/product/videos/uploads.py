"""Resumable uploads: a byte that was acknowledged is durable, sealed, and its owner's alone."""

import secrets
from pathlib import Path

from sqlalchemy import delete, func, select, update

from lightwell.base.clock import fresh_id, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem, not_found
from lightwell.product.videos.containers import SNIFF_BYTES
from lightwell.product.videos.models import UploadPartRow, UploadRow, VideoRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit
from lightwell.residency.in_force import require_allowed

LIFETIME_MS = 24 * 3600 * 1000
MAX_OPEN = 20
PART_BYTES = 2 * 1024 * 1024


def create(cell: Cell, account_id: str, length: int, described: str) -> UploadRow:
    """Begin an upload.

    Args:
        cell: the account's home cell.
        account_id: whose it is.
        length: its size in bytes, known from the beginning.
        described: the client's `Upload-Metadata` header; kept sealed and given back, not used.

    Raises:
        Problem: 413 larger than this cell takes; 403 uploads are suspended; 429 too many unfinished.
    """
    limit = cell.settings.upload_limit_bytes
    if length > limit:
        raise Problem(
            413,
            "upload-too-large",
            f"The file has {length} bytes; at most {limit} are taken.",
            limit_bytes=limit,
        )
    with cell.database.write() as session:
        require_allowed(session, "uploads")
        unused = ~select(VideoRow.video_id).where(VideoRow.upload_id == UploadRow.upload_id).exists()
        open_now = session.scalar(
            select(func.count()).select_from(UploadRow).where(UploadRow.account_id == account_id, unused)
        )
        if (open_now or 0) >= MAX_OPEN:
            raise Problem(
                429,
                "too-many-uploads",
                f"There are {open_now} unfinished uploads; finish or delete one first.",
            )
        upload_id = fresh_id()
        sealed = None
        if described:
            sealed = cell.vault.seal(
                session, account_id, "uploads", "described", upload_id, described.encode("utf-8", "replace")
            )
        row = UploadRow(
            upload_id=upload_id,
            account_id=account_id,
            length=length,
            received=0,
            described=sealed,
            expires_at=now_ms() + LIFETIME_MS,
        )
        session.add(row)
    return row


def find(session: ReadSession, upload_id: str, account_id: str) -> UploadRow:
    """Return one's own upload.

    Raises:
        Problem: 404 there is none, it is somebody else's, or it has expired.
    """
    row = session.get(UploadRow, upload_id)
    if row is None or row.account_id != account_id or row.expires_at <= now_ms():
        raise not_found("upload")
    return row


def describe(cell: Cell, session: ReadSession, permit: Permit, row: UploadRow) -> str:
    """Return the client's own `Upload-Metadata`, "" when it gave none."""
    if row.described is None:
        return ""
    return cell.vault.unseal(
        permit, session, row.account_id, "uploads", "described", row.upload_id, row.described
    ).decode()


def append(cell: Cell, account_id: str, upload_id: str, offset: int, data: bytes) -> int:
    """Store the next bytes; when this returns they survive a crash.

    Args:
        account_id, upload_id: whose and which.
        offset: how many bytes the caller believes are stored already.
        data: what follows; at most `PART_BYTES` at a time.

    Returns:
        The new offset.

    Raises:
        Problem: 404 as `find`; 409 another offset is stored; 413 more than announced; 403 suspended.
    """
    # A random name: of two writers racing at one offset each stores its own part, and one of them loses.
    key = f"uploads/{upload_id}/{offset:012d}-{secrets.token_hex(4)}"
    stored = False
    try:
        with cell.database.read() as reading:
            check_append(reading, upload_id, account_id, offset, len(data))
            sealed = cell.vault.seal(reading, account_id, "uploads", "part", f"{upload_id}/{offset}", data)
        cell.objects.put(key, sealed)
        with cell.database.write() as session:
            check_append(session, upload_id, account_id, offset, len(data))
            session.add(UploadPartRow(upload_id=upload_id, start=offset, length=len(data), object_key=key))
            session.execute(
                update(UploadRow)
                .where(UploadRow.upload_id == upload_id)
                .values(received=offset + len(data), expires_at=now_ms() + LIFETIME_MS)
            )
        stored = True
    finally:
        if not stored:
            cell.objects.delete(key)
    return offset + len(data)


def check_append(session: ReadSession, upload_id: str, account_id: str, offset: int, size: int) -> None:
    """Refuse `size` bytes at `offset` unless they are what the upload waits for; errors as `append`."""
    require_allowed(session, "uploads")
    row = find(session, upload_id, account_id)
    if row.received != offset:
        raise Problem(
            409,
            "wrong-offset",
            f"The upload stands at byte {row.received}, not {offset}.",
            offset=row.received,
        )
    if offset + size > row.length:
        raise Problem(413, "more-than-announced", f"The upload was announced with {row.length} bytes.")


def cancel(cell: Cell, account_id: str, upload_id: str) -> None:
    """Remove an upload and its bytes.

    Raises:
        Problem: 404 as `find`; 409 a video is being made of it.
    """
    with cell.database.write() as session:
        find(session, upload_id, account_id)
        if session.scalar(select(VideoRow.video_id).where(VideoRow.upload_id == upload_id)):
            raise Problem(409, "upload-in-use", "A video is being made of this upload; delete the video.")
        forget(session, upload_id)
    cell.objects.delete_prefix(f"uploads/{upload_id}")


def forget(session: WriteSession, upload_id: str) -> None:
    """Remove the rows of an upload; its objects are removed after the commit, or by the next sweep."""
    session.execute(delete(UploadPartRow).where(UploadPartRow.upload_id == upload_id))
    session.execute(delete(UploadRow).where(UploadRow.upload_id == upload_id))


def first_bytes(cell: Cell, session: ReadSession, permit: Permit, row: UploadRow) -> bytes:
    """Return the first bytes of an upload, enough to tell its container."""
    found = b""
    for part in session.scalars(
        select(UploadPartRow).where(UploadPartRow.upload_id == row.upload_id).order_by(UploadPartRow.start)
    ):
        found += _open_part(cell, session, permit, row.account_id, part)
        if len(found) >= SNIFF_BYTES:
            break
    return found[:SNIFF_BYTES]


def write_to(cell: Cell, session: ReadSession, permit: Permit, row: UploadRow, path: Path) -> None:
    """Open every part of a complete upload into a file.

    Raises:
        Problem: 409 it is not complete; 404 a part is gone.
        SealError: a part was altered.
    """
    parts = session.scalars(
        select(UploadPartRow).where(UploadPartRow.upload_id == row.upload_id).order_by(UploadPartRow.start)
    )
    at = 0
    with path.open("wb") as file:
        for part in parts:
            if part.start != at:
                break
            file.write(_open_part(cell, session, permit, row.account_id, part))
            at += part.length
    if at != row.length:
        raise Problem(409, "upload-incomplete", f"Only {at} of {row.length} bytes have arrived.")


def _open_part(
    cell: Cell, session: ReadSession, permit: Permit, account_id: str, part: UploadPartRow
) -> bytes:
    sealed = cell.objects.get(part.object_key)
    place = f"{part.upload_id}/{part.start}"
    return cell.vault.unseal(permit, session, account_id, "uploads", "part", place, sealed)


def sweep(cell: Cell) -> int:
    """Remove expired uploads that no video needs, and bytes whose upload is gone; return how many uploads."""
    with cell.database.write() as session:
        used = select(VideoRow.video_id).where(VideoRow.upload_id == UploadRow.upload_id).exists()
        expired = list(
            session.scalars(select(UploadRow.upload_id).where(UploadRow.expires_at <= now_ms(), ~used))
        )
        for upload_id in expired:
            forget(session, upload_id)
    # Listed before the rows are read: an upload that begins in between is in the second, not the first.
    stored = {key.split("/")[1] for key in cell.objects.list("uploads")}
    with cell.database.read() as session:
        known = set(session.scalars(select(UploadRow.upload_id)))
    for upload_id in stored - known:
        cell.objects.delete_prefix(f"uploads/{upload_id}")
    return len(expired)
