"""What the feed shows of each video, as ready-made JSON, so that a busy slate costs one short read for it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, select

from lightwell.base.db import Database, Statement
from lightwell.base.labels import declare_cache
from lightwell.product import videos
from lightwell.product.videos import PublishedVideo, VideoCountRow, VideoRow

declare_cache("feed.cards", "published videos", "user.content.public", "public")

COUNTS_SECONDS: Final = 1.0
"""Counts and withdrawals show so much late at most."""
FACTS_SECONDS: Final = 60.0
_MOST: Final = 30_000
_MOST_GONE: Final = 2_000
_AMONG: Final = 250
_SIZES: Final = (2, 10, 30, 90, _AMONG)
_VIDEO, _COUNT = VideoRow.__table__.c, VideoCountRow.__table__.c
_JOINED: Final = VideoRow.__table__.outerjoin(VideoCountRow.__table__, _VIDEO.video_id == _COUNT.video_id)
_PUBLISHED: Final = "published"
_NO_COUNTS: Final = b'{"views":0,"likes":0,"shares":0}'
_encode = msgspec.json.Encoder().encode


class Card(msgspec.Struct, gc=False):
    """One published video: the JSON that `GET /api/videos/{id}` answers, but for its counts."""

    creator: str
    """As `cell:handle`."""
    before: bytes
    after: bytes
    facts_until: float
    shown: bytes
    """The JSON whole, with the counts of `shown_until` less `COUNTS_SECONDS`."""
    shown_until: float = 0.0


class Cards:
    """Cards of published videos of one process.

    Args:
        database: the cell's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[str, Card] = {}
        # Found to be published no more, and until when that is remembered; the oldest first.
        self._gone: dict[str, float] = {}
        self._lock = threading.Lock()

    def of(self, video_ids: Sequence[str]) -> dict[str, Card]:
        """Return the cards of those of `video_ids` that are published, by id."""
        now = time.monotonic()
        kept = self._kept
        found: dict[str, Card] = {}
        old: list[str] = []
        unknown: list[str] = []
        for video_id in video_ids:
            card = kept.get(video_id)
            if card is None or card.facts_until < now:
                unknown.append(video_id)
            elif card.shown_until < now:
                old.append(video_id)
            else:
                found[video_id] = card
        if unknown:
            found |= self._read(unknown, now)
        if old:
            found |= self._count({video_id: kept[video_id] for video_id in old if video_id in kept}, now)
        return found

    def missing(self, video_ids: Sequence[str]) -> set[str]:
        """Return those of `video_ids` that are not published, and those found so in the last minute."""
        now = time.monotonic()
        gone = set(video_ids)
        for first in range(0, len(video_ids), _AMONG):
            some = video_ids[first : first + _AMONG]
            rows = _status_of(_AMONG).all(self._database, *_padded(some, _AMONG))
            gone -= {video_id for video_id, status in rows if status == _PUBLISHED}
        with self._lock:
            for video_id in gone:
                self._gone[video_id] = now + FACTS_SECONDS
            while self._gone and (len(self._gone) > _MOST_GONE or self._gone[next(iter(self._gone))] < now):
                del self._gone[next(iter(self._gone))]
            return gone | self._gone.keys()

    def _count(self, cards: dict[str, Card], now: float) -> dict[str, Card]:
        """Renew the counts of cards whose facts are known; return those that are published still."""
        found: dict[str, Card] = {}
        for video_id, status, *counts in self._rows(_counts_of, list(cards)):
            if status == _PUBLISHED:
                found[video_id] = _counted(cards[video_id], counts, now)
        for video_id in cards.keys() - found.keys():
            self._kept.pop(video_id, None)
        return found

    def _read(self, video_ids: Sequence[str], now: float) -> dict[str, Card]:
        """Read all that is shown of videos; return the cards of those that are published."""
        found: dict[str, Card] = {}
        for status, views, likes, shares, *facts in self._rows(_facts_of, video_ids):
            if status == _PUBLISHED:
                found[facts[0]] = _counted(_card(facts, now + FACTS_SECONDS), (views, likes, shares), now)
        with self._lock:
            for video_id in video_ids:
                self._kept.pop(video_id, None)
            self._kept |= found
            if len(self._kept) > _MOST:
                # The oldest go: they were put there first.
                for video_id in list(islice(self._kept, _MOST // 10)):
                    del self._kept[video_id]
        return found

    def _rows(
        self, statement: Callable[[int], Statement], video_ids: Sequence[str]
    ) -> Iterator[tuple[Any, ...]]:
        """What statements read of videos, some hundreds at a time."""
        for first in range(0, len(video_ids), _AMONG):
            some = video_ids[first : first + _AMONG]
            size = next(size for size in _SIZES if size >= len(some))
            yield from statement(size).all(self._database, *_padded(some, size))


def _padded(video_ids: Sequence[str], size: int) -> list[str]:
    """Always so many values, whatever is asked, so that there are few statements."""
    return [*video_ids, *[video_ids[0]] * (size - len(video_ids))]


def nothing(video_id: str) -> Card:
    """The card of a video that has been taken down: its id, and nothing that could be shown."""
    return Card("", b"", b"", 0.0, _encode({"video_id": video_id, "status": "withdrawn"}))


def _counted(card: Card, counts: Sequence[int | None], now: float) -> Card:
    views, likes, shares = (count or 0 for count in counts)
    counted = b'{"views":%d,"likes":%d,"shares":%d}' % (views, likes, shares)
    card.shown = b"".join((card.before, counted, card.after))
    card.shown_until = now + COUNTS_SECONDS
    return card


def _card(row: Sequence[Any], until: float) -> Card:
    facts = dict(zip(PublishedVideo.__struct_fields__, row, strict=True))
    for name in ("hashtags", "regions"):
        if not isinstance(facts[name], list):
            # An embedded database keeps lists as text, and gives them so to whoever asks its driver.
            facts[name] = msgspec.json.decode(facts[name])
    facts["adult"] = bool(facts["adult"])
    fact = PublishedVideo(**facts)
    # What people wrote cannot hold this text: their quotation marks are escaped.
    before, counts, after = _encode(videos.view(fact)).partition(_NO_COUNTS)
    if not counts:
        raise ValueError("a video is shown without its counts")
    return Card(f"{fact.origin_cell}:{fact.creator_handle}", before, after, until, b"")


@cache
def _facts_of(count: int) -> Statement:
    """The statement that reads all that is shown of so many videos, and whether they are published."""
    counts = (_COUNT.views, _COUNT.likes, _COUNT.shares)
    facts = (_VIDEO[name] for name in PublishedVideo.__struct_fields__)
    return _among(select(_VIDEO.status, *counts, *facts).select_from(_JOINED), count)


@cache
def _counts_of(count: int) -> Statement:
    """The statement that reads which of so many videos are published, and their counts."""
    columns = (_VIDEO.video_id, _VIDEO.status, _COUNT.views, _COUNT.likes, _COUNT.shares)
    return _among(select(*columns).select_from(_JOINED), count)


@cache
def _status_of(count: int) -> Statement:
    """The statement that reads which of so many videos are published."""
    return _among(select(_VIDEO.video_id, _VIDEO.status), count)


def _among(read: Any, count: int) -> Statement:
    names = tuple(f"video_{number}" for number in range(count))
    # That they are published is looked at afterwards: an embedded database, asked for both, may choose to
    # walk all that are published.
    return Statement(read.where(_VIDEO.video_id.in_([bindparam(name) for name in names])), *names)
