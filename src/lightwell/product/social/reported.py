"""What a browser may report of its viewer: the form of events, and what is wrong whatever the cell holds."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from lightwell.base.errors import Problem
from lightwell.product.social.state import FULL

EventKind = Literal[
    "watch",
    "skip",
    "like",
    "unlike",
    "follow",
    "unfollow",
    "share",
    "hide",
    "unhide",
    "block",
    "unblock",
    "mute",
    "unmute",
]
MAX_BATCH = 200
MAX_WATCH_MS = 10 * 60 * 1000
# These may name a creator in a video's place: none of the creator's videos may be left to name.
_UNDO = frozenset({"unfollow", "unblock", "unmute"})
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_VIDEO_ID = re.compile(r"[0-9a-f]{16}")
_CREATOR = re.compile(r"[a-z0-9-]{1,40}:[a-z0-9_.]{2,24}")


class Event(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser reports; `event_id` is 32 hex characters it chose at random, so a repeat is known.

    It names no time: an event's time is when this cell took it, so that none comes from the future.
    """

    event_id: str
    kind: EventKind
    video_id: str = ""
    watch_ms: int = 0
    creator: str = ""


class Batch(msgspec.Struct):
    """What one viewer reports in one request."""

    account_id: str
    events: Sequence[Event]


def check(events: Sequence[Event]) -> None:
    """Refuse a batch that is wrong whatever the cell holds.

    Raises:
        Problem: 422, an absurd watch time, a malformed id, none or too many events.
    """
    if not 1 <= len(events) <= MAX_BATCH:
        raise Problem(422, "bad-batch", f"A batch holds 1 to {MAX_BATCH} events.")
    for event in events:
        if not _EVENT_ID.fullmatch(event.event_id):
            raise Problem(422, "bad-event-id", "An event id is 32 small hex characters.")
        if not 0 <= event.watch_ms <= MAX_WATCH_MS:
            raise Problem(422, "absurd-watch-time", f"A watch time lies between 0 and {MAX_WATCH_MS} ms.")
        if event.creator:
            if event.video_id or event.kind not in _UNDO or not _CREATOR.fullmatch(event.creator):
                kinds = ", ".join(sorted(_UNDO))
                raise Problem(
                    422, "bad-creator", f"Only {kinds} may name a creator, as cell:handle, and no video then."
                )
        elif not _VIDEO_ID.fullmatch(event.video_id):
            raise Problem(422, "unknown-video", "A video's id is 16 small hex characters.")


def strength_of(event: Event, duration_ms: int) -> int:
    """How much of the video was watched, 0..255; a like or a share counts as all of it."""
    if event.kind in ("like", "share"):
        return FULL
    if event.kind not in ("watch", "skip"):
        return 0
    watched = min(FULL, event.watch_ms * FULL // max(1, duration_ms))
    return min(watched, FULL // 8) if event.kind == "skip" else watched
