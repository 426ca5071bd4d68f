"""Private bytes in the object store: sealed with their owner's key, in parts that open only in place."""

from collections.abc import Iterator
from typing import BinaryIO

from lightwell.base.db import ReadSession
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Resource
from lightwell.residency.labels import declare_object

CATEGORY = "user.content.private"
PART_BYTES = 1024 * 1024

declare_object("uploads", "part", CATEGORY)
declare_object("drafts", "part", CATEGORY)


def permit_for_media(cell: Cell, account_id: str) -> Permit:
    """Ask for permission to make an account's upload playable.

    Raises:
        Refused: the agreement does not allow it.
    """
    principal = Principal(kind="process", id="media", role="media")
    return cell.decider.decide(principal, "transcode", _content(cell, account_id))


def permit_for_owner(cell: Cell, account_id: str) -> Permit:
    """Ask for permission to show people their own unpublished things; errors as `permit_for_media`."""
    principal = Principal(kind="account", id=account_id, role="self")
    return cell.decider.decide(principal, "use_own", _content(cell, account_id))


def _content(cell: Cell, account_id: str) -> Resource:
    return Resource(category=CATEGORY, region=cell.settings.region, owner=account_id, residency="protected")


def put_draft(
    cell: Cell, session: ReadSession, account_id: str, video_id: str, name: str, file: BinaryIO
) -> None:
    """Seal a rendered file part by part under `drafts/{video_id}/{name}/`.

    Args:
        session: any session of the cell, for the account's key.
        account_id, video_id, name: whose, of which video, which of its files.
        file: open for reading, at its beginning.
    """
    number = 0
    while data := file.read(PART_BYTES):
        sealed = cell.vault.seal(session, account_id, "drafts", "part", f"{video_id}/{name}/{number}", data)
        cell.objects.put(_draft_key(video_id, name, number), sealed)
        number += 1


def read_draft(
    cell: Cell,
    session: ReadSession,
    permit: Permit,
    account_id: str,
    video_id: str,
    name: str,
    start: int,
    stop: int,
) -> Iterator[bytes]:
    """Yield the bytes `[start, stop)` of a file that `put_draft` stored, opened part by part.

    Raises:
        Problem: 404, it is not there.
        SealError: it was altered.
    """
    for number in range(start // PART_BYTES, -(-stop // PART_BYTES)):
        row = f"{video_id}/{name}/{number}"
        sealed = cell.objects.get(_draft_key(video_id, name, number))
        data = cell.vault.unseal(permit, session, account_id, "drafts", "part", row, sealed)
        first = number * PART_BYTES
        yield data[max(start - first, 0) : stop - first]


def delete_draft(cell: Cell, video_id: str) -> None:
    """Remove the sealed files of a video."""
    cell.objects.delete_prefix(f"drafts/{video_id}")


def _draft_key(video_id: str, name: str, number: int) -> str:
    return f"drafts/{video_id}/{name}/{number:06d}"
