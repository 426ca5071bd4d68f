"""A video's life after its draft: settled once by the worker, published once, removed by its maker."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from lightwell.base.clock import minute_s, now_ms
from lightwell.base.db import ReadSession, WriteSession, row_writer
from lightwell.base.errors import Problem, not_found
from lightwell.base.labels import declare_prefix
from lightwell.ledger.queue import enqueue
from lightwell.product.accounts.queries import Account
from lightwell.product.sounds import queries as sound_queries
from lightwell.product.videos import queries, sealed_media, uploads
from lightwell.product.videos.drafts import open_draft
from lightwell.product.videos.media import FILES
from lightwell.product.videos.messages import PublicVideo
from lightwell.product.videos.models import VideoCountRow, VideoRow
from lightwell.product.videos.withdrawals import withdraw
from lightwell.residency.cell import Cell
from lightwell.residency.in_force import require_allowed
from lightwell.residency.messages import Message
from lightwell.wire import canonical, shapes
from lightwell.wire.commitment import commit
from lightwell.wire.entries import VideoPublished

declare_prefix("videos", "user.content.public", "public")

_COUNT = (
    "UPDATE video_counts SET views = views + ?, likes = likes + ?, shares = shares + ? WHERE video_id = ?"
)


class Outcome(msgspec.Struct, frozen=True):
    """What rendering came to: either the facts of the files, or why there are none.

    `media` maps each of the three names to `{"size": bytes, "sha256": hex}`; `sealed` says that the files
    lie sealed among the drafts because the video was not to be published when they were made.
    """

    width: int = 0
    height: int = 0
    duration_ms: int = 0
    media: dict[str, dict[str, Any]] = {}
    sealed: bool = False
    problem_title: str = ""
    problem_detail: str = ""


shapes.settle(Outcome)


def settle(cell: Cell, video_id: str, outcome: Outcome) -> str:
    """Move a video out of `processing`, once: to `published`, `ready` or `refused`.

    Publication, its ledger entry and the end of the upload are one transaction. What is left in the
    object store and belongs to no row is removed afterwards; a second call finishes what a first began.

    Returns:
        The status it has now, "" when it was removed meanwhile.
    """
    with cell.database.write() as session:
        row = session.get(VideoRow, video_id)
        if row is not None and row.status == "processing":
            _settle_row(cell, session, row, outcome)
        status = row.status if row is not None else ""
        upload_id = row.upload_id if row is not None else None
        asked_meanwhile = row is not None and row.status == "ready" and row.publish
    if asked_meanwhile:
        status = _publish_ready(cell, video_id)
    if upload_id is not None:
        cell.objects.delete_prefix(f"uploads/{upload_id}")
    if status != "published":
        cell.objects.delete_prefix(f"videos/{video_id}")
    if status != "ready":
        sealed_media.delete_draft(cell, video_id)
    return status


def _settle_row(cell: Cell, session: WriteSession, row: VideoRow, outcome: Outcome) -> None:
    if outcome.problem_title:
        row.status = "refused"
        row.problem_title, row.problem_detail = outcome.problem_title[:80], outcome.problem_detail[:300]
        row.draft = None
    else:
        row.width, row.height = outcome.width, outcome.height
        row.duration_ms, row.media = outcome.duration_ms, outcome.media
        if row.publish and not outcome.sealed:
            _publish_row(cell, session, row)
        else:
            row.status = "ready"
    if row.upload_id is not None:
        uploads.forget(session, row.upload_id)


def _publish_row(cell: Cell, session: WriteSession, row: VideoRow) -> None:
    if row.account_id is None:
        raise ValueError("a video of another cell is published there")
    draft = open_draft(cell, session, sealed_media.permit_for_media(cell, row.account_id), row)
    row.caption, row.hashtags, row.draft = draft.caption, draft.hashtags, None
    row.adult, row.regions = draft.adult, draft.regions
    if draft.sound_id is not None and draft.sound_volume > 0:
        sound = sound_queries.get(session, draft.sound_id)
        row.sound_id, row.sound_title, row.sound_artist = sound.sound_id, sound.title, sound.artist
    row.status, row.published_at = "published", now_ms()
    opening = secrets.token_bytes(16)
    row.opening = cell.vault.seal(session, row.account_id, "videos", "opening", row.video_id, opening)
    commitment = commit("video", opening, publication_digest(row))
    session.add(VideoCountRow(video_id=row.video_id, views=0, likes=0, shares=0))
    enqueue(session, VideoPublished(at=minute_s(), commitment=commitment.hex()))


def publication_digest(row: VideoRow) -> bytes:
    """Return the SHA-256 of what a `VideoPublished` entry commits to: who published what, and for whom."""
    facts = {
        "adult": row.adult,
        "caption": row.caption,
        "creator": f"{row.origin_cell}:{row.creator_handle}",
        "media": {name: row.media[name]["sha256"] for name in FILES},
        "published_at": row.published_at,
        "regions": row.regions,
        "video": row.video_id,
    }
    return hashlib.sha256(canonical.encode(facts)).digest()


def publish(cell: Cell, account: Account, video_id: str) -> str:
    """Publish a `ready` video, or see to it that one in `processing` will be; return its status.

    Publishing a published one changes nothing.

    Raises:
        Problem: 404 as `queries.own`; 403 not one's own, or suspended; 409 it was refused.
    """
    with cell.database.write() as session:
        require_allowed(session, "uploads")
        row = queries.own(session, video_id, account.account_id)
        if row.status == "refused":
            raise Problem(409, "video-refused", "A refused video cannot be published; upload another.")
        row.publish = True
        status = row.status
    return _publish_ready(cell, video_id) if status == "ready" else status


def _publish_ready(cell: Cell, video_id: str) -> str:
    with cell.database.read() as reading:
        row = reading.get(VideoRow, video_id)
        if row is None or row.status != "ready":
            return row.status if row is not None else ""
        _unseal_files(cell, reading, row)
    with cell.database.write() as session:
        row = session.get(VideoRow, video_id)
        if row is not None and row.status == "ready":
            _publish_row(cell, session, row)
    sealed_media.delete_draft(cell, video_id)
    return row.status if row is not None else ""


def _unseal_files(cell: Cell, session: ReadSession, row: VideoRow) -> None:
    account_id = str(row.account_id)
    permit = sealed_media.permit_for_media(cell, account_id)
    for name in FILES:
        size = row.media[name]["size"]
        parts = sealed_media.read_draft(cell, session, permit, account_id, row.video_id, name, 0, size)
        cell.objects.put(f"videos/{row.video_id}/{name}", b"".join(parts))


def remove(cell: Cell, account: Account, video_id: str) -> None:
    """Remove one's own video of any status, with its files; that a published one goes is an entry.

    Raises:
        Problem: 404, 403 as `queries.own`.
    """
    with cell.database.write() as session:
        queries.own(session, video_id, account.account_id)
        # It may be published at this moment: what goes without its entry looks like what was only hidden.
        row = session.get(VideoRow, video_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise not_found("video")
        upload_id = row.upload_id
        if upload_id is not None:
            uploads.forget(session, upload_id)
        withdraw(session, row)
    cell.objects.delete_prefix(f"videos/{video_id}")
    sealed_media.delete_draft(cell, video_id)
    if upload_id is not None:
        cell.objects.delete_prefix(f"uploads/{upload_id}")


def count(session: WriteSession, changes: Mapping[str, tuple[int, int, int]]) -> None:
    """Add to the counts of published videos; a video without counts is left without.

    Args:
        session: the transaction.
        changes: by video, how views, likes and shares move.
    """
    # In order of id, so that two transactions that count the same videos wait for each other and no more.
    rows = [(*moved, video_id) for video_id, moved in sorted(changes.items())]
    if rows:
        row_writer(session)(_COUNT, rows)


def own_view(cell: Cell, session: ReadSession, row: VideoRow) -> dict[str, Any]:
    """Return a video as its maker sees it, whatever its status.

    Args:
        session: the caller's.
        row: one of the signed-in person's own.
    """
    if row.status == "published":
        return queries.views(session, [row.video_id])[row.video_id]
    caption, hashtags, adult, regions = "", list[str](), False, list[str]()
    if row.draft is not None and row.account_id is not None:
        draft = open_draft(cell, session, sealed_media.permit_for_owner(cell, row.account_id), row)
        caption, hashtags = draft.caption, draft.hashtags
        adult, regions = draft.adult, draft.regions
    problem = None
    if row.problem_title is not None:
        problem = {"title": row.problem_title, "detail": row.problem_detail}
    return {
        "video_id": row.video_id,
        "status": row.status,
        "problem": problem,
        "caption": caption,
        "hashtags": hashtags,
        "creator": {"handle": row.creator_handle, "name": row.creator_name, "cell": row.origin_cell},
        "sound": None,
        "duration_ms": row.duration_ms,
        "width": row.width,
        "height": row.height,
        "published_at": None,
        "adult": adult,
        "regions": regions,
        "counts": {"views": 0, "likes": 0, "shares": 0},
        "media": queries.media_urls(row.video_id) if row.status == "ready" else None,
    }


def receive_foreign(session: WriteSession, cell: Cell, message: Message, media: Mapping[str, str]) -> None:
    """Store a published video of another cell; one that is here already is left as it is.

    Args:
        session: the transaction in which the transfer is recorded.
        cell: the receiving cell.
        message: a `PublicVideo`.
        media: for each of the three file names, the key of its bytes in this cell's object store.

    Raises:
        Problem: 422 another kind of message, a file missing, or a video that claims to be of this cell.
    """
    if not isinstance(message, PublicVideo) or set(message.media) != set(FILES) or set(media) != set(FILES):
        raise Problem(422, "not-a-public-video", "The message is no complete public video.")
    if message.origin_cell == cell.settings.cell:
        raise Problem(422, "wrong-origin", "A video of this cell does not come from another.")
    if session.get(VideoRow, message.video_id) is not None:
        return
    facts: dict[str, Any] = {}
    for name in FILES:
        key = f"videos/{message.video_id}/{name}"
        data = cell.objects.get(media[name])
        cell.objects.put(key, data)
        facts[name] = {"size": len(data), "sha256": message.media[name]}
    session.add(
        VideoRow(
            video_id=message.video_id,
            status="published",
            publish=True,
            created_at=now_ms(),
            origin_cell=message.origin_cell,
            creator_handle=message.creator_handle,
            creator_name=message.creator_name,
            caption=message.caption,
            hashtags=message.hashtags,
            sound_title=message.sound_title or None,
            sound_artist=message.sound_artist or None,
            duration_ms=message.duration_ms,
            width=message.width,
            height=message.height,
            adult=message.adult,
            regions=message.regions,
            media=facts,
            published_at=message.published_at,
        )
    )
    session.flush()
    session.add(VideoCountRow(video_id=message.video_id, views=0, likes=0, shares=0))
