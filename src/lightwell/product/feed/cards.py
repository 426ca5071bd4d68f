"""What the feed shows of each video, kept for a second so that busy slates need no look-up for it."""

import time
from collections.abc import Collection
from typing import Any, Final

from lightwell.base.db import ReadSession
from lightwell.product import videos

Card = dict[str, Any]
KEEP_SECONDS: Final = 1.0
_MOST: Final = 50_000


class Cards:
    """Cards of published videos of one process; counts and withdrawals show a second late at most."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Card]] = {}

    def of(self, session: ReadSession, video_ids: Collection[str]) -> dict[str, Card]:
        """Return the cards of those of `video_ids` that are published, by id.

        Args:
            session: where to look up what is not kept.
            video_ids: the videos of a slate.
        """
        now = time.monotonic()
        found: dict[str, Card] = {}
        for video_id in video_ids:
            kept = self._kept.get(video_id)
            if kept is not None and kept[0] > now:
                found[video_id] = kept[1]
        missing = [video_id for video_id in video_ids if video_id not in found]
        if missing:
            if len(self._kept) > _MOST:
                self._kept.clear()
            for video_id, card in videos.views(session, missing).items():
                found[video_id] = card
                self._kept[video_id] = (now + KEEP_SECONDS, card)
        return found
