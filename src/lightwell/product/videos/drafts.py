"""A video begins as a sealed draft, from a complete upload and what its maker says of it."""

import re

import msgspec
from sqlalchemy import select

from lightwell.base.clock import fresh_id, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.product.accounts.queries import Account
from lightwell.product.sounds import queries as sound_queries
from lightwell.product.videos import sealed_media, uploads
from lightwell.product.videos.containers import sniff
from lightwell.product.videos.models import UploadRow, VideoRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit
from lightwell.residency.in_force import require_allowed

MAX_CAPTION = 300
MAX_HASHTAGS = 10
_HASHTAG = re.compile(r"#(\w{1,30})")


class NewVideo(msgspec.Struct, forbid_unknown_fields=True):
    """What its maker says of a new video; volumes 0..100, `sound_offset_ms` into the chosen sound.

    `adult`: only adults may see it. `regions`: where it may be shown; none for everywhere.
    """

    upload_id: str
    caption: str = ""
    sound_id: str | None = None
    sound_offset_ms: int = 0
    sound_volume: int = 100
    original_volume: int = 100
    publish: bool = True
    adult: bool = False
    regions: list[str] = []


class Draft(msgspec.Struct):
    """What stands sealed in a row until it is published."""

    caption: str
    hashtags: list[str]
    sound_id: str | None
    sound_offset_ms: int
    sound_volume: int
    original_volume: int
    adult: bool = False
    regions: list[str] = []


_decode_draft = msgspec.json.Decoder(Draft).decode


def begin(cell: Cell, account: Account, wanted: NewVideo) -> VideoRow:
    """Turn a complete upload into a video in `processing`; asking twice gives the same video.

    A file that is plainly no video is refused at once and its upload removed.

    Raises:
        Problem: 403 suspended; 404 no such upload or sound; 409 upload incomplete; 422 a field is not
            usable, or the file is no video.
    """
    caption, hashtags = _check(wanted)
    regions = _check_regions(cell, wanted.regions)
    try:
        with cell.database.write() as session:
            require_allowed(session, "uploads")
            known = session.scalar(select(VideoRow).where(VideoRow.upload_id == wanted.upload_id))
            if known is not None and known.account_id == account.account_id:
                return known
            upload = uploads.find(session, wanted.upload_id, account.account_id)
            _check_upload(cell, session, upload)
            said = Draft(caption, hashtags, *_sound(session, wanted), wanted.adult, regions)
            row = _row(cell, session, account, wanted, said)
            session.add(row)
            return row
    except Problem as problem:
        if problem.status == 422 and problem.slug != "unusable-field":
            uploads.cancel(cell, account.account_id, wanted.upload_id)
        raise


def _row(cell: Cell, session: WriteSession, account: Account, wanted: NewVideo, draft: Draft) -> VideoRow:
    video_id = fresh_id()
    sealed = cell.vault.seal(
        session, account.account_id, "videos", "draft", video_id, msgspec.json.encode(draft)
    )
    return VideoRow(
        video_id=video_id,
        account_id=account.account_id,
        upload_id=wanted.upload_id,
        status="processing",
        publish=wanted.publish,
        created_at=now_ms(),
        draft=sealed,
        origin_cell=cell.settings.cell,
        creator_handle=account.handle,
        creator_name=account.display_name,
        caption="",
        hashtags=[],
        media={},
        duration_ms=0,
        width=0,
        height=0,
    )


def _check(wanted: NewVideo) -> tuple[str, list[str]]:
    def wrong(field: str, detail: str) -> Problem:
        return Problem(422, "unusable-field", detail, field=field)

    caption = wanted.caption.strip()
    if len(caption) > MAX_CAPTION:
        raise wrong("caption", f"A caption has at most {MAX_CAPTION} characters.")
    if not caption.replace("\n", " ").isprintable():
        raise wrong("caption", "A caption has printable characters only.")
    for field in ("sound_volume", "original_volume"):
        if not 0 <= getattr(wanted, field) <= 100:
            raise wrong(field, "A volume is between 0 and 100.")
    if wanted.sound_offset_ms < 0:
        raise wrong("sound_offset_ms", "A sound cannot begin before its beginning.")
    hashtags = list(dict.fromkeys(tag.lower() for tag in _HASHTAG.findall(caption)))
    return caption, hashtags[:MAX_HASHTAGS]


def _check_regions(cell: Cell, wanted: list[str]) -> list[str]:
    """Return the regions in their one order; naming all of them is naming none."""
    known = {region.id for region in cell.agreement.regions}
    unknown = sorted(set(wanted) - known)
    if unknown:
        detail = f"The agreement has no region {unknown[0][:40]!r}; it has {', '.join(sorted(known))}."
        raise Problem(422, "unusable-field", detail, field="regions")
    return sorted(set(wanted)) if set(wanted) != known else []


def _sound(session: ReadSession, wanted: NewVideo) -> tuple[str | None, int, int, int]:
    if wanted.sound_id is None:
        return None, 0, 0, wanted.original_volume
    sound = sound_queries.get(session, wanted.sound_id)
    if wanted.sound_offset_ms >= sound.duration_ms:
        raise Problem(422, "unusable-field", "The sound ends before this offset.", field="sound_offset_ms")
    return wanted.sound_id, wanted.sound_offset_ms, wanted.sound_volume, wanted.original_volume


def _check_upload(cell: Cell, session: ReadSession, upload: UploadRow) -> None:
    if upload.received != upload.length:
        raise Problem(
            409, "upload-incomplete", f"Only {upload.received} of {upload.length} bytes have arrived."
        )
    permit = sealed_media.permit_for_media(cell, upload.account_id)
    sniff(uploads.first_bytes(cell, session, permit, upload))


def open_draft(cell: Cell, session: ReadSession, permit: Permit, row: VideoRow) -> Draft:
    """Return what the maker wrote of a video that is not published.

    Raises:
        ValueError: the row has no draft; it is published or came from another cell.
    """
    if row.draft is None or row.account_id is None:
        raise ValueError("only an unpublished video of this cell has a draft")
    plain = cell.vault.unseal(permit, session, row.account_id, "videos", "draft", row.video_id, row.draft)
    return _decode_draft(plain)
