"""What a front knows of a catalogue that shards hold: words, trees, and the newest and most risen videos."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import kernels, sections
from lightwell.recommender import ranker as forest
from lightwell.recommender.live import read_update
from lightwell.recommender.ranker import Ranker, RankerError
from lightwell.recommender.sections import SectionsError
from lightwell.recommender.shards_asked import ROW, Answer
from lightwell.recommender.shards_split import COVER_LAYOUT, COVER_MAGIC, PartFacts
from lightwell.recommender.snapshot import MOST_RISING, PER_VIDEO, WORDS, Snapshot, SnapshotError
from lightwell.recommender.tables import Tables, hold
from lightwell.recommender.words import Words, WordsError

_KINDS: Final = ("creator", "sound", "tag")
_NONE: Final[dict[str, NDArray[Any]]] = {
    "near_starts": np.zeros(1, dtype=np.int64),
    "near": np.zeros(0, dtype=np.int32),
    "near_weight": np.zeros(0, dtype=np.int8),
    **{f"by_{kind}_starts": np.zeros(1, dtype=np.int64) for kind in _KINDS},
    **{f"by_{kind}": np.zeros(0, dtype=np.int32) for kind in _KINDS},
}

_COLUMNS: Final = (*PER_VIDEO, "place")

Positions = NDArray[np.int32]


class AnswersError(ValueError):
    """Answers that do not fit what was asked, or one another."""


@dataclass(frozen=True)
class Found:
    """An answer, read: its rows and their tags, cut into its parts."""

    raw: bytes
    rows: NDArray[Any]
    tag: Positions
    ends: list[int]
    numbers: Positions
    met: NDArray[np.int32]

    @classmethod
    def of(cls, answer: Answer) -> "Found":
        """Read an answer.

        Raises:
            AnswersError: its arrays do not fit one another.
        """
        try:
            rows, tag = np.frombuffer(answer.rows, ROW), np.frombuffer(answer.tags, np.int32)
            numbers, met = np.frombuffer(answer.numbers, np.int32), np.frombuffer(answer.met, np.int32)
        except ValueError as error:
            raise AnswersError("an array is not whole") from error
        ends, tags = list(accumulate(answer.parts)), int(rows["tags"].sum(dtype=np.int64))
        if (ends or [0])[-1] != rows.size or tags != tag.size or met.size % 3:
            raise AnswersError("arrays do not fit")
        return cls(answer.rows, rows, tag, ends, numbers, met.reshape(3, -1))

    def slice(self, first: int, last: int) -> NDArray[Any]:
        """The rows of some of its parts."""
        return self.rows[self.ends[first - 1] if first else 0 : self.ends[last - 1]]

    def numbers_of(self, at: int) -> Positions:
        """Under which number each row of a list was found."""
        before = self.ends[1]
        return self.numbers[self.ends[1 + at] - before : self.ends[2 + at] - before]


def unknown_rows(front: "Front", found: Sequence[Found]) -> tuple[NDArray[Any], Positions]:
    """The rows of some answers that are not in the window, each video once, and their tags."""
    window = front.window
    if window is None or not found:
        return np.zeros(0, dtype=ROW), np.zeros(0, dtype=np.int32)
    rows, tag = gather(found)
    ids, first = np.unique(rows["ids"], return_index=True)
    at = np.minimum(window.ids.searchsorted(ids), max(window.ids.size - 1, 0))
    new = first[window.ids[at] != ids] if window.ids.size else first
    rows, tag, _ = pick(rows, tag, new)
    return rows, tag


def gather(found: Sequence[Found]) -> tuple[NDArray[Any], Positions]:
    """All rows of some answers and the tags of each, one after the other."""
    # As plain bytes: numpy compares the fields of records each time it joins them.
    return (
        np.frombuffer(b"".join(one.raw for one in found), dtype=ROW),
        np.concatenate([one.tag for one in found]),
    )


@dataclass(frozen=True, eq=False)
class Window:
    """The newest videos down to a depth and those risen most, merged from all shards, ascending by id.

    at: by shard, where the videos of its part of the window are here.
    tables: of the first excerpt made with it, whose ready-made heads all others share.
    """

    depth: int
    columns: dict[str, NDArray[Any]]
    ids: NDArray[np.uint64]
    tag: Positions
    tag_starts: NDArray[np.int64]
    newest: Positions
    rising: Positions
    at: list[Positions]
    tables: list[Tables]


class Front:
    """What of one snapshot is at hand without asking: the same for the life of its digest.

    Attributes:
        digest: of the snapshot. base: of its base.
        size: videos in all, of all shards. base_size: those of the base.
    """

    def __init__(
        self,
        digest: str,
        about: PartFacts,
        size: int,
        minute: int,
        parts: dict[str, Any],
        ranker: Ranker | None,
    ) -> None:
        self.digest, self.base, self.about = digest, about.base, about
        self.shards = about.shards
        self.size, self.base_size, self.minute = size, about.facts.videos, minute
        self.parts, self.ranker = parts, ranker
        self.window: Window | None = None

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, expect: str) -> "Front":
        """Read the cover that `split` gave.

        Args:
            data: its bytes, or a read-only map of the file.
            expect: their SHA-256, in hex.

        Raises:
            SnapshotError: another file, cut short, altered or inconsistent.
        """
        view = memoryview(data)
        if hashlib.sha256(view).hexdigest() != expect:
            raise SnapshotError("cover: its bytes are not those that were split")
        try:
            head, arrays = sections.read(COVER_MAGIC, COVER_LAYOUT, view)
            about = msgspec.convert(head.facts, PartFacts)
            parts: dict[str, Any] = {name: arrays[name] for name in ("tag_rarity", "creator_videos")}
            for name in WORDS:
                parts[name] = Words(arrays[name].data, arrays[f"{name}_words"])
            trees = {name: arrays[f"ranker_{name}"] for name in forest.ARRAYS}
            facts = about.facts
            ranker = Ranker.of(facts.outcomes, trees, facts.features) if facts.outcomes else None
        except (SectionsError, WordsError, RankerError, msgspec.ValidationError) as error:
            raise SnapshotError(f"cover: {error}") from error
        kernels.warm()
        return cls(about.base, about, facts.videos, facts.minute, parts, ranker)

    def with_update(self, data: bytes, expect: str) -> "Front":
        """What is at hand of the base and an update of it.

        Raises:
            SnapshotError: as `live.apply`.
        """
        update = read_update(data, self.base, self.about.facts, expect)
        parts = dict(self.parts)
        for name in WORDS:
            words, added = parts[name], getattr(update.words, name)
            if len(set(added)) != len(added) or any(words.number(word) >= 0 for word in added):
                raise SnapshotError("update: a new word is not new")
            parts[name] = words.with_more(added) if added else words
        rarity = parts["tag_rarity"]
        # A tag that is new is as rare as can be: see `live.apply`.
        more = np.full(len(parts["tags"]) - rarity.size, 256, dtype=rarity.dtype)
        parts["tag_rarity"] = np.concatenate((rarity, more)) if more.size else rarity
        size = self.base_size + update.header.added
        return Front(update.digest, self.about, size, update.header.minute, parts, self.ranker)

    def look_out(self, depth: int, found: Sequence[Found]) -> None:
        """Take the window of every shard, down to a depth, as what all newest and risen videos are found in.

        Args:
            depth: how many of each shard's newest videos there are, at least.
            found: by shard, answers whose rows are those of its window.
        """
        rows, tag = gather(found)
        order = rows["ids"].argsort()
        rows, tag, starts = pick(rows, tag, order)
        place = np.empty(order.size, dtype=np.int32)
        place[order] = np.arange(order.size, dtype=np.int32)
        cuts = np.cumsum([one.rows.size for one in found])[:-1]
        ids, key = rows["ids"], rows["rise"].astype(np.int64) * 1024 + rows["finish"]
        self.window = Window(
            depth,
            {name: np.ascontiguousarray(rows[name]) for name in _COLUMNS},
            np.ascontiguousarray(ids),
            tag,
            starts,
            np.lexsort((ids, -rows["published"]))[:depth].astype(np.int32),
            np.lexsort((ids, -key))[:MOST_RISING].astype(np.int32),
            [part.copy() for part in np.split(place, cuts)],
            [],
        )


class Excerpt(Snapshot):
    """Some videos of a snapshot, under its digest: first the window, ascending by id, then those found since.

    It is read as a snapshot is, but its lists and its graph are empty: shards have those.
    """

    def __init__(self, front: Front, rows: NDArray[Any], tag: Positions) -> None:
        """Take the rows found, none of which is in the window, and their tags."""
        window = front.window
        if window is None:
            raise AnswersError("no window was taken yet")
        self.rows, size = rows, window.ids.size
        columns = {}
        for name, first in window.columns.items():
            columns[name] = both = np.empty(size + rows.size, dtype=first.dtype)
            both[:size], both[size:] = first, rows[name]
        self.place: Positions = columns.pop("place")
        """Of each video its position in the whole base, -1 of those added later."""
        starts = np.empty(size + rows.size + 1, dtype=np.int64)
        starts[: size + 1] = window.tag_starts
        starts[size + 1 :] = window.tag_starts[-1] + rows["tags"].cumsum(dtype=np.int64)
        parts: dict[str, Any] = {"tag_starts": starts, "tag": np.concatenate((window.tag, tag))}
        parts |= columns | _NONE
        parts |= {"newest": window.newest, "rising": window.rising, "ranker": front.ranker}
        parts |= front.parts | {"minute": front.minute, "base": front.base, "base_size": size}
        super().__init__(b"", front.digest, front.about.facts, {}, parts)
        tables = Tables(self)
        if window.tables:
            tables.share_heads(window.tables[0])
        else:
            window.tables.append(tables)
        hold(self, tables)


def pick(
    rows: NDArray[Any], tag: Positions, order: NDArray[np.int64]
) -> tuple[NDArray[Any], Positions, NDArray[np.int64]]:
    """Some rows in an order, their tags, and where each row's tags begin."""
    ends = rows["tags"].cumsum(dtype=np.int64)
    sizes = rows["tags"][order].astype(np.int64)
    starts = np.append(0, sizes.cumsum())
    begin = ends[order] - sizes
    at = np.arange(int(starts[-1]), dtype=np.int64) + (begin - starts[:-1]).repeat(sizes)
    return rows[order], tag[at], starts
