"""What people did in a stretch of time, as the questions about many count it; only noisy sums go further."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from lightwell.base.db import ReadSession
from lightwell.product import videos
from lightwell.product.social import event_log
from lightwell.product.social.sealed_events import open_event
from lightwell.product.social.state import FULL, StoredEvent
from lightwell.residency.aggregates import Question, Window
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit
from lightwell.residency.keys import KeyDestroyedError, SealError

HASHTAGS_COUNTED: Final = 20
"""The hashtags of most published videos: what is asked about is public before anybody is counted."""

_AT_ONCE: Final = 5000
_HOUR_MS: Final = 3_600_000
_FINISHED: Final = FULL * 9 // 10
_VIEWS: Final = frozenset(("watch", "skip"))


def questions() -> list[Question]:
    """Return the questions this cell can answer; the agreement says which of them may be asked."""
    return [
        Question("accounts_active", 1, _everybody, _active),
        Question("views_by_hour", 2, _hours, _views_by_hour),
        Question("views_by_hashtag", 4, _hashtags, _views_by_hashtag),
        Question("finishes_by_hashtag", 4, _hashtags, _finishes_by_hashtag),
    ]


def _everybody(_session: ReadSession, _window: Window) -> list[str]:
    return ["accounts"]


def _hours(_session: ReadSession, window: Window) -> list[str]:
    first, last = window.start_ms // _HOUR_MS, (window.end_ms - 1) // _HOUR_MS
    return [f"{hour % 24:02d}" for hour in range(first, last + 1)]


def _hashtags(session: ReadSession, _window: Window) -> list[str]:
    tags = Counter(tag for video in videos.every_published(session) for tag in video.hashtags)
    return sorted(sorted(tags), key=lambda tag: -tags[tag])[:HASHTAGS_COUNTED]


def _active(cell: Cell, session: ReadSession, permit: Permit, window: Window) -> Iterator[tuple[str, str]]:
    for account_id, _ in _events(cell, session, permit, window):
        yield account_id, "accounts"


def _views_by_hour(
    cell: Cell, session: ReadSession, permit: Permit, window: Window
) -> Iterator[tuple[str, str]]:
    for account_id, event in _events(cell, session, permit, window):
        if event.kind in _VIEWS:
            yield account_id, f"{event.at // _HOUR_MS % 24:02d}"


def _views_by_hashtag(
    cell: Cell, session: ReadSession, permit: Permit, window: Window
) -> Iterator[tuple[str, str]]:
    return _by_hashtag(cell, session, permit, window, 0)


def _finishes_by_hashtag(
    cell: Cell, session: ReadSession, permit: Permit, window: Window
) -> Iterator[tuple[str, str]]:
    return _by_hashtag(cell, session, permit, window, _FINISHED)


def _by_hashtag(
    cell: Cell, session: ReadSession, permit: Permit, window: Window, least: int
) -> Iterator[tuple[str, str]]:
    tags = {video.video_id: video.hashtags for video in videos.every_published(session)}
    for account_id, event in _events(cell, session, permit, window):
        if event.kind in _VIEWS and event.strength >= least:
            for tag in tags.get(event.video_id, ()):
                yield account_id, tag


def _events(
    cell: Cell, session: ReadSession, permit: Permit, window: Window
) -> Iterator[tuple[str, StoredEvent]]:
    number = 0
    while rows := event_log.after(cell, session, number, _AT_ONCE):
        number = rows[-1][0]
        cell.vault.open_keys(session, {row[1] for row in rows})
        for _, account_id, event_id, sealed in rows:
            try:
                event = open_event(cell, permit, session, account_id, event_id, sealed)
            except (KeyDestroyedError, SealError):
                # An erased account counts no more; altered bytes are the trainer's to report.
                continue
            if window.start_ms <= event.at < window.end_ms:
                yield account_id, event
