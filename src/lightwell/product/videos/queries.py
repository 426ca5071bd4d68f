"""Reads of videos, and the one shape in which they are shown to viewers."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select

from lightwell.base.db import ReadSession
from lightwell.base.errors import Problem, not_found
from lightwell.product.videos.models import VideoCountRow, VideoRow

_IN_AT_MOST = 500


class PublishedVideo(msgspec.Struct, frozen=True):
    """What is publicly known of a published video; `published_at` in milliseconds since the epoch.

    `adult`: only adults may see it. `regions`: where it may be shown; none for everywhere.
    """

    video_id: str
    origin_cell: str
    creator_handle: str
    creator_name: str
    caption: str
    hashtags: list[str]
    sound_id: str | None
    sound_title: str | None
    sound_artist: str | None
    duration_ms: int
    width: int
    height: int
    published_at: int
    adult: bool
    regions: list[str]


class Counts(msgspec.Struct, frozen=True):
    """How often a video was viewed, liked and shared."""

    views: int = 0
    likes: int = 0
    shares: int = 0


_PUBLIC = tuple(getattr(VideoRow, name) for name in PublishedVideo.__struct_fields__)
_NO_COUNTS = Counts()
# Slates look these up all the time: written once, on the tables themselves, without the ORM's share of work.
_VIDEOS, _COUNTS = VideoRow.__table__.c, VideoCountRow.__table__.c
# Written so that no index on the status is used: SQLite, asked for some ids among what is published, may
# otherwise walk all of it.
_IS_PUBLISHED = _VIDEOS.status.concat("") == "published"
_FACTS_OF = select(*(_VIDEOS[name] for name in PublishedVideo.__struct_fields__)).where(
    _VIDEOS.video_id.in_(bindparam("ids", expanding=True)), _IS_PUBLISHED
)
_PLAYED = select(_VIDEOS.video_id, _VIDEOS.origin_cell, _VIDEOS.creator_handle, _VIDEOS.duration_ms).where(
    _VIDEOS.video_id.in_(bindparam("ids", expanding=True)), _IS_PUBLISHED
)
_COUNTS_OF = select(_COUNTS.video_id, _COUNTS.views, _COUNTS.likes, _COUNTS.shares).where(
    _COUNTS.video_id.in_(bindparam("ids", expanding=True))
)


def published_facts(session: ReadSession, video_ids: Iterable[str]) -> dict[str, PublishedVideo]:
    """Return the published ones among `video_ids`, by id."""
    found: dict[str, PublishedVideo] = {}
    wanted = list(video_ids)
    for first in range(0, len(wanted), _IN_AT_MOST):
        some = wanted[first : first + _IN_AT_MOST]
        for row in session.connection().execute(_FACTS_OF, {"ids": some}):
            found[row[0]] = PublishedVideo(*row)
    return found


def played(session: ReadSession, video_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return creator key (`cell:handle`) and length in ms of the published ones among `video_ids`, by id."""
    found: dict[str, tuple[str, int]] = {}
    wanted = list(video_ids)
    for first in range(0, len(wanted), _IN_AT_MOST):
        some = wanted[first : first + _IN_AT_MOST]
        rows = session.connection().execute(_PLAYED, {"ids": some}).all()
        for video_id, cell, handle, duration_ms in rows:
            found[video_id] = (f"{cell}:{handle}", duration_ms)
    return found


def published_here(session: ReadSession, since: int = 0) -> list[VideoRow]:
    """Return the videos this cell published at or after a time, the oldest first; what peers are told of.

    Args:
        since: milliseconds since the epoch.
    """
    statement = (
        select(VideoRow)
        .where(
            VideoRow.status == "published",
            VideoRow.account_id.is_not(None),
            VideoRow.published_at >= since,
        )
        .order_by(VideoRow.published_at, VideoRow.video_id)
    )
    return list(session.scalars(statement))


def every_published(session: ReadSession) -> Iterator[PublishedVideo]:
    """Yield every published video in order of id; what the trainer builds its catalogue from."""
    statement = select(*_PUBLIC).where(VideoRow.status == "published").order_by(VideoRow.video_id)
    for row in session.execute(statement):
        yield PublishedVideo(*row)


def published_since(session: ReadSession, since: int) -> list[PublishedVideo]:
    """Return the videos published at or after a time, in order of id; those that came from peers too.

    Args:
        since: milliseconds since the epoch.
    """
    statement = (
        select(*_PUBLIC)
        .where(VideoRow.status == "published", VideoRow.published_at >= since)
        .order_by(VideoRow.video_id)
    )
    return [PublishedVideo(*row) for row in session.execute(statement)]


def count_published(session: ReadSession) -> int:
    """Return how many videos are published."""
    return session.execute(select(func.count()).where(VideoRow.status == "published")).scalar_one()


def newest(session: ReadSession, limit: int, before: int | None = None) -> list[PublishedVideo]:
    """Return the latest published videos, newest first.

    Args:
        limit: at most so many.
        before: only those published before this time, milliseconds since the epoch.
    """
    statement = select(*_PUBLIC).where(VideoRow.status == "published")
    if before is not None:
        statement = statement.where(VideoRow.published_at < before)
    statement = statement.order_by(VideoRow.published_at.desc(), VideoRow.video_id).limit(limit)
    return [PublishedVideo(*row) for row in session.execute(statement)]


def by_creator(session: ReadSession, origin_cell: str, handle: str, limit: int = 60) -> list[PublishedVideo]:
    """Return a creator's published videos, newest first."""
    statement = (
        select(*_PUBLIC)
        .where(
            VideoRow.status == "published",
            VideoRow.origin_cell == origin_cell,
            VideoRow.creator_handle == handle,
        )
        .order_by(VideoRow.published_at.desc(), VideoRow.video_id)
        .limit(limit)
    )
    return [PublishedVideo(*row) for row in session.execute(statement)]


def counts(session: ReadSession, video_ids: Iterable[str]) -> dict[str, Counts]:
    """Return the counts of those of `video_ids` that have any, by id."""
    found: dict[str, Counts] = {}
    wanted = list(video_ids)
    for first in range(0, len(wanted), _IN_AT_MOST):
        some = wanted[first : first + _IN_AT_MOST]
        for video_id, views, likes, shares in session.connection().execute(_COUNTS_OF, {"ids": some}):
            found[video_id] = Counts(views, likes, shares)
    return found


def get(session: ReadSession, video_id: str, account_id: str | None) -> VideoRow:
    """Return a video that the asker may know of: a published one, or one's own.

    Args:
        video_id: which.
        account_id: who asks, None for somebody who is not signed in.

    Raises:
        Problem: 404 otherwise.
    """
    row = session.get(VideoRow, video_id)
    if row is None or (row.status != "published" and (account_id is None or row.account_id != account_id)):
        raise not_found("video")
    return row


def own(session: ReadSession, video_id: str, account_id: str) -> VideoRow:
    """Return one's own video.

    Raises:
        Problem: 404 there is none that the asker may know of; 403 it is somebody else's.
    """
    row = get(session, video_id, account_id)
    if row.account_id != account_id:
        raise Problem(403, "not-yours", "Only its maker may change a video.")
    return row


def mine(session: ReadSession, account_id: str, limit: int = 100) -> list[VideoRow]:
    """Return an account's videos of every status, latest first."""
    statement = (
        select(VideoRow)
        .where(VideoRow.account_id == account_id)
        .order_by(VideoRow.created_at.desc(), VideoRow.video_id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def waiting(session: ReadSession, limit: int = 100) -> list[str]:
    """Return the ids of videos in `processing`, the oldest first."""
    statement = (
        select(VideoRow.video_id)
        .where(VideoRow.status == "processing")
        .order_by(VideoRow.created_at, VideoRow.video_id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def views(session: ReadSession, video_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the published ones among `video_ids` as viewers are shown them, by id."""
    facts = published_facts(session, video_ids)
    counted = counts(session, facts)
    return {video_id: view(fact, counted.get(video_id, _NO_COUNTS)) for video_id, fact in facts.items()}


def view(fact: PublishedVideo, counted: Counts = _NO_COUNTS) -> dict[str, Any]:
    """Return a published video as `GET /api/videos/{id}` answers it."""
    return {
        "video_id": fact.video_id,
        "status": "published",
        "problem": None,
        "caption": fact.caption,
        "hashtags": fact.hashtags,
        "creator": {"handle": fact.creator_handle, "name": fact.creator_name, "cell": fact.origin_cell},
        "sound": {
            "sound_id": fact.sound_id,
            "title": fact.sound_title or "Original sound",
            "artist": fact.sound_artist or fact.creator_name,
        },
        "duration_ms": fact.duration_ms,
        "width": fact.width,
        "height": fact.height,
        "published_at": fact.published_at,
        "adult": fact.adult,
        "regions": fact.regions,
        "counts": msgspec.structs.asdict(counted),
        "media": media_urls(fact.video_id),
    }


def media_urls(video_id: str) -> dict[str, str]:
    """Return where the three files of a video are served."""
    base = f"/media/videos/{video_id}"
    return {"540": f"{base}/540.mp4", "720": f"{base}/720.mp4", "poster": f"{base}/poster.jpg"}
