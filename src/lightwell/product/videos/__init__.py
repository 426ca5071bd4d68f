"""Videos: resumable uploads, rendering in a sandbox, publication, and the files viewers stream."""

from lightwell.product.videos.audience import may_watch, require_may_watch
from lightwell.product.videos.messages import PublicVideo, media_keys, public_video
from lightwell.product.videos.models import (
    UploadPartRow,
    UploadRow,
    VideoCountRow,
    VideoRow,
    WithdrawnVideoRow,
)
from lightwell.product.videos.queries import (
    Counts,
    PublishedVideo,
    by_creator,
    count_published,
    counts,
    every_published,
    newest,
    played,
    published_facts,
    published_here,
    published_since,
    view,
    views,
)
from lightwell.product.videos.service import count, receive_foreign
from lightwell.product.videos.withdrawals import withdraw, withdrawals_for_replay

__all__ = [
    "Counts",
    "PublicVideo",
    "PublishedVideo",
    "UploadPartRow",
    "UploadRow",
    "VideoCountRow",
    "VideoRow",
    "WithdrawnVideoRow",
    "by_creator",
    "count",
    "count_published",
    "counts",
    "every_published",
    "may_watch",
    "media_keys",
    "newest",
    "played",
    "public_video",
    "published_facts",
    "published_here",
    "published_since",
    "receive_foreign",
    "require_may_watch",
    "view",
    "views",
    "withdraw",
    "withdrawals_for_replay",
]
