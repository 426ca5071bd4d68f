"""What the feed shows of each video, kept for a second so that busy slates need no look-up for it."""

import threading
import time
from collections.abc import Collection
from itertools import islice
from typing import Any, Final

from lightwell.base.db import ReadSession
from lightwell.product import videos

Card = dict[str, Any]
KEEP_SECONDS: Final = 1.0
# A look-up costs as much as the rows it brings: each also renews cards that are about to be too old.
_RENEWED: Final = 120
_MOST: Final = 50_000


class Cards:
    """Cards of published videos of one process; counts and withdrawals show a second late at most."""

    def __init__(self) -> None:
        # Oldest first: a renewed card goes to the end.
        self._kept: dict[str, tuple[float, Card]] = {}
        self._lock = threading.Lock()

    def of(self, session: ReadSession, video_ids: Collection[str]) -> dict[str, Card]:
        """Return the cards of those of `video_ids` that are published, by id.

        Args:
            session: where to look up what is not kept.
            video_ids: the videos of a slate.
        """
        now = time.monotonic()
        fresh = {
            video_id: kept[1]
            for video_id in video_ids
            if (kept := self._kept.get(video_id)) is not None and kept[0] > now
        }
        missing = [video_id for video_id in video_ids if video_id not in fresh]
        if not missing:
            return fresh
        with self._lock:
            renewed = self._oldest(now)
        looked_up = videos.views(session, {*missing, *renewed})
        with self._lock:
            for video_id, card in looked_up.items():
                self._kept.pop(video_id, None)
                self._kept[video_id] = (now + KEEP_SECONDS, card)
        return fresh | {video_id: looked_up[video_id] for video_id in missing if video_id in looked_up}

    def _oldest(self, now: float) -> list[str]:
        """Take out the cards that will soon be too old, the oldest first; drop those long unused."""
        renewed: list[str] = []
        for video_id, (until, _) in list(islice(self._kept.items(), _RENEWED * 2)):
            if until > now + KEEP_SECONDS / 2 or len(renewed) == _RENEWED:
                break
            del self._kept[video_id]
            if until > now - 10 * KEEP_SECONDS and len(self._kept) < _MOST:
                renewed.append(video_id)
        return renewed
