"""Videos: resumable uploads, rendering in a sandbox, publication, and the files viewers stream."""

from lightwell.product.videos.messages import PublicVideo, media_keys, public_video
from lightwell.product.videos.models import UploadPartRow, UploadRow, VideoCountRow, VideoRow
from lightwell.product.videos.queries import (
    Counts,
    PublishedVideo,
    by_creator,
    counts,
    every_published,
    newest,
    published_facts,
    published_here,
    view,
    views,
)
from lightwell.product.videos.service import count, receive_foreign

__all__ = [
    "Counts",
    "PublicVideo",
    "PublishedVideo",
    "UploadPartRow",
    "UploadRow",
    "VideoCountRow",
    "VideoRow",
    "by_creator",
    "count",
    "counts",
    "every_published",
    "media_keys",
    "newest",
    "public_video",
    "published_facts",
    "published_here",
    "receive_foreign",
    "view",
    "views",
]
