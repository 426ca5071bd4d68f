"""What another cell is told of a published video: what its viewers see, and nothing else."""

from typing import Annotated, ClassVar

from msgspec import Meta, field

from lightwell.product.videos.media import FILES
from lightwell.product.videos.models import VideoRow
from lightwell.residency.messages import Message, says

_PUBLIC = says("user.content.public", "public")
_SYSTEM = says("system", "public")
_LAST_MS = 2**53 - 1


class PublicVideo(Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One published video; `media` maps the names of its files to their sha256, times in milliseconds.

    `adult`: only adults may see it. `regions`: where it may be shown; none for everywhere.
    """

    flow: ClassVar[str] = "public-video"

    video_id: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z", max_length=16, extra=_SYSTEM)]
    origin_cell: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,40}\Z", max_length=40, extra=_SYSTEM)]
    creator_handle: Annotated[
        str,
        Meta(pattern=r"\A[a-z0-9_.]{2,24}\Z", max_length=24, extra=says("user.account.username", "public")),
    ]
    creator_name: Annotated[str, Meta(max_length=50, extra=says("user.account.settings", "public"))]
    caption: Annotated[str, Meta(max_length=300, extra=_PUBLIC)]
    hashtags: Annotated[list[Annotated[str, Meta(max_length=30)]], Meta(max_length=10, extra=_PUBLIC)]
    sound_title: Annotated[str, Meta(max_length=80, extra=_PUBLIC)]
    sound_artist: Annotated[str, Meta(max_length=80, extra=_PUBLIC)]
    duration_ms: Annotated[int, Meta(ge=0, le=120_000, extra=_SYSTEM)]
    width: Annotated[int, Meta(ge=1, le=4096, extra=_SYSTEM)]
    height: Annotated[int, Meta(ge=1, le=4096, extra=_SYSTEM)]
    published_at: Annotated[int, Meta(ge=0, le=_LAST_MS, extra=_SYSTEM)]
    adult: Annotated[bool, Meta(extra=_PUBLIC)] = False
    regions: Annotated[
        list[Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,40}\Z", max_length=40)]],
        Meta(max_length=50, extra=_PUBLIC),
    ] = field(default_factory=list)
    media: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"\A(540\.mp4|720\.mp4|poster\.jpg)\Z", max_length=10)],
            Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", max_length=64)],
        ],
        Meta(max_length=3, extra=_SYSTEM),
    ]


def public_video(row: VideoRow) -> PublicVideo:
    """Return the message about a video that was published in this cell.

    Raises:
        ValueError: it is not published, or came from another cell.
    """
    if row.status != "published" or row.account_id is None or row.published_at is None:
        raise ValueError("only a video published here is told to other cells")
    return PublicVideo(
        video_id=row.video_id,
        origin_cell=row.origin_cell,
        creator_handle=row.creator_handle,
        creator_name=row.creator_name,
        caption=row.caption,
        hashtags=row.hashtags,
        sound_title=row.sound_title or "",
        sound_artist=row.sound_artist or "",
        duration_ms=row.duration_ms,
        width=row.width,
        height=row.height,
        published_at=row.published_at,
        adult=row.adult,
        regions=row.regions,
        media={name: row.media[name]["sha256"] for name in FILES},
    )


def media_keys(video_id: str) -> dict[str, str]:
    """Return where the files named in the message lie in the object store, by name."""
    return {name: f"videos/{video_id}/{name}" for name in FILES}
