"""One part of a catalogue: it answers about its own videos alone, as the whole would answer about them."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import kernels, sections
from lightwell.recommender.counters import COUNTERS, WINDOWS, Totals, decayed, rising, scores, totals
from lightwell.recommender.live import newest_of, read_update
from lightwell.recommender.sections import SectionsError
from lightwell.recommender.shards_asked import MOST_MESSAGE_BYTES, ROW, Answer, Ask, AskedList, ranges
from lightwell.recommender.shards_split import KINDS, PART_LAYOUT, PART_MAGIC, PartFacts, shard_of
from lightwell.recommender.snapshot import MOST_RISING, PER_VIDEO, WORDS, SnapshotError
from lightwell.recommender.tables import borrow, give_back

_NO_VIDEO: Final = np.zeros(0, dtype=np.int32)
_NO_STARTS: Final = np.zeros(1, dtype=np.int64)
_NO_IDS: Final = np.zeros(0, dtype=np.uint64)
_MOST_WINDOWS: Final = 8

Positions = NDArray[np.int32]
Sums = tuple[NDArray[np.int64], NDArray[np.int64]]


class AskedError(ValueError):
    """A question that cannot be answered: arrays that do not fit, or an answer longer than may be sent."""


class Part:
    """One part of a base, or of a base with an update; answers are the same for the life of its digest.

    Attributes:
        digest: of the whole snapshot.
        ids, published, duration ...: as in `Snapshot`, of the videos of this part; positions are its own.
        newest, rising: all its videos, newest first; those risen most.
    """

    ids: NDArray[np.uint64]
    published: NDArray[np.int64]
    place: Positions
    tag_starts: NDArray[np.int64]
    tag: Positions
    trend: NDArray[np.uint16]
    newest: Positions
    rising: Positions

    def __init__(self, digest: str, about: PartFacts, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.digest = digest
        self.about = about
        self.arrays = dict(arrays)
        for name in ("ids", "published", "place", "tag_starts", "tag", "trend", "newest", "rising"):
            setattr(self, name, arrays[name])
        self.base_size = int(np.count_nonzero(self.place >= 0))
        added = np.arange(self.base_size, self.ids.size, dtype=np.int32)
        self._added = added[self.ids[self.base_size :].argsort()]
        self._windows: dict[int, Positions] = {}

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, expect: str) -> "Part":
        """Read a part's file without copying its arrays.

        Args:
            data: what `split` gave, or a read-only map of that file.
            expect: the SHA-256 it must have, in hex.

        Raises:
            SnapshotError: another file, cut short, altered or inconsistent.
        """
        view = memoryview(data)
        if hashlib.sha256(view).hexdigest() != expect:
            raise SnapshotError("part: its bytes are not those that were split")
        try:
            head, arrays = sections.read(PART_MAGIC, PART_LAYOUT, view)
            about = msgspec.convert(head.facts, PartFacts)
        except (SectionsError, msgspec.ValidationError) as error:
            raise SnapshotError(f"part: {error}") from error
        kernels.warm()
        return cls(about.base, about, arrays)

    @property
    def size(self) -> int:
        """How many videos it has."""
        return int(self.ids.size)

    def totals(self) -> Totals:
        """What other parts need to know of its counters."""
        return totals({name: self.arrays[name] for name in COUNTERS})

    def with_update(self, data: bytes, expect: str) -> "Part":
        """This part of the base and its share of an update; its scores are as of the base until `settle`.

        Args:
            data: the whole update.
            expect: the digest it must have, in hex.

        Raises:
            SnapshotError: as `live.apply`.
        """
        about, base = self.about, self.arrays
        update = read_update(data, about.base, about.facts, expect)
        columns, whole = update.columns, about.facts.videos
        words = {name: about.words[name] + len(getattr(update.words, name)) for name in WORDS}
        update.check(whole, self.ids, words)
        own = np.flatnonzero(shard_of(columns["ids"], about.shards) == about.number)
        more = {name: np.zeros(own.size, dtype=kind) for name, kind in PER_VIDEO.items()}
        more |= {name: columns[name][own] for name in PER_VIDEO if name in columns and name not in COUNTERS}
        more["place"] = np.full(own.size, -1, dtype=np.int32)
        arrays = {name: np.concatenate((base[name], values)) for name, values in more.items()}
        sizes = columns["tag_counts"].astype(np.int64)
        ends = sizes.cumsum()
        arrays["tag"] = np.concatenate((base["tag"], columns["tag"][ranges((ends - sizes)[own], sizes[own])]))
        arrays["tag_starts"] = np.append(base["tag_starts"], base["tag_starts"][-1] + sizes[own].cumsum())
        touched = columns["touched"].astype(np.int64).cumsum()
        # What is added has its number behind the whole base's, and ours behind ours.
        numbers = np.concatenate((self.place, whole + own))
        at = numbers.searchsorted(touched)
        ours = np.flatnonzero(numbers[np.minimum(at, numbers.size - 1)] == touched) if numbers.size else own
        for name in COUNTERS:
            if name in WINDOWS:
                minutes = about.facts.minute, update.header.minute
                arrays[name][: self.size] = decayed(name, base[name], *minutes)
            arrays[name][at[ours]] = columns[name][ours]
        arrays["newest"] = newest_of(self.newest, self.published, arrays["published"], arrays["ids"])
        kept = (name for name in PART_LAYOUT if name not in arrays)
        return Part(update.digest, about, arrays | {name: base[name] for name in kept})

    def settle(self, of_all: Totals) -> "Part":
        """The same with scores as they follow from the counters of all parts."""
        counted = scores({name: self.arrays[name] for name in COUNTERS}, self.about.facts.rules, of_all)
        arrays = self.arrays | counted
        arrays["rising"] = rising(self.ids, arrays, MOST_RISING).astype(np.int32)
        return Part(self.digest, self.about, arrays)

    def answer(self, ask: Ask) -> Answer:
        """Answer a question about this snapshot.

        Raises:
            AskedError: what is asked for does not fit, or is more than a message may hold.
        """
        find, seen = _read(ask.find, np.uint64), _read(ask.seen, np.uint64)
        watched, kinds = _read(ask.watched, np.int32), _read(ask.kinds, np.int32)
        whole = self.about.facts.videos
        outside = watched.size and not 0 <= int(watched.min()) <= int(watched.max()) < whole
        if watched.size != kinds.size or outside or self.digest != ask.snapshot:
            raise AskedError("history")
        found = kernels.gather.find(self.ids, self.base_size, self._added, find)
        lists = [self._list(wanted, seen) for wanted in ask.lists]
        window = self._window(ask.window) if ask.window else _NO_VIDEO
        near, sums_of, end = self._walk(ask, watched, kinds, seen)
        parts = [found[found >= 0], near, *(videos for _, videos in lists), window[: ask.whole * window.size]]
        videos = np.concatenate(parts)
        sums, (long, other) = sums_of(videos), sums_of(window)
        end()
        if videos.size * (ROW.itemsize + 64) > MOST_MESSAGE_BYTES:
            raise AskedError("too-long")
        some = np.flatnonzero((long != 0) | (other != 0))
        rows, tags = self._rows(videos, *sums)
        return Answer(
            rows=rows.tobytes(),
            tags=tags.tobytes(),
            parts=[part.size for part in parts],
            numbers=np.concatenate([_NO_VIDEO, *(numbers for numbers, _ in lists)]).tobytes(),
            met=np.stack((some, long[some], other[some])).astype(np.int32).tobytes(),
        )

    def _walk(
        self, ask: Ask, watched: Positions, kinds: Positions, seen: NDArray[np.uint64]
    ) -> tuple[Positions, Callable[[Positions], Sums], Callable[[], None]]:
        """Follow the history's edges: the strongest neighbours, the sums of any videos, and how to end it."""
        if not watched.size:
            return _NO_VIDEO, _no_sums, lambda: None
        starts, weight, whole = (
            self.arrays["near_starts"],
            self.arrays["near_weight"],
            self.about.facts.videos,
        )
        room = kernels.gather.room_for(starts, whole, watched, self.size)
        table = borrow(2 * room)
        met = kernels.gather.sum_neighbours(
            starts, self.arrays["near"], weight, whole, watched, kinds, room, table
        )
        near = kernels.gather.best_neighbours(
            met, table, ask.long, ask.other, self.trend, self.ids, seen, ask.near
        )

        def end() -> None:
            kernels.gather.clear(met, table)
            give_back(table)

        return near, lambda videos: kernels.gather.sums_of(table, room, videos), end

    def _rows(self, videos: Positions, long: NDArray[Any], other: NDArray[Any]) -> tuple[Any, Positions]:
        rows = np.empty(videos.size, dtype=ROW)
        for name in (*PER_VIDEO, "place"):
            rows[name] = self.arrays[name][videos]
        starts = self.tag_starts[videos]
        sizes = self.tag_starts[videos + 1] - starts
        rows["tags"], rows["long"], rows["other"] = sizes, long, other
        return rows, self.tag[ranges(starts, sizes)]

    def _window(self, depth: int) -> Positions:
        """The newest videos down to a depth, and those risen most, ascending by position."""
        found = self._windows.get(depth)
        if found is None:
            if len(self._windows) >= _MOST_WINDOWS:
                self._windows.clear()
            found = np.union1d(self.newest[:depth], self.rising).astype(np.int32)
            self._windows[depth] = found
        return found

    def _list(self, wanted: AskedList, seen: NDArray[np.uint64]) -> tuple[Positions, Positions]:
        """Numbers and videos of a list; of a list with a cut the newest, which may be all that count."""
        rows = _read(wanted.rows, np.int32)
        if rows.size > 1 and not bool((rows[1:] > rows[:-1]).all()):
            raise AskedError("rows")
        kind, skip = wanted.kind, seen if wanted.skip else _NO_IDS
        here = self.arrays[f"by_{kind}_rows"]
        at = here.searchsorted(rows)
        at = at[here[np.minimum(at, here.size - 1)] == rows] if here.size else at[:0]
        starts, members = self.arrays[f"by_{kind}_starts"], self.arrays[f"by_{kind}"]
        most = min(wanted.most, members.size)
        numbers, videos = [_NO_VIDEO], [_NO_VIDEO]
        # Of tags a video has several: each list is then asked for alone, to know which one brought it.
        for some in [at] if kind != "tag" else at.reshape(-1, 1):
            heads = kernels.gather.of_rows(
                starts, members, some.astype(np.int32), most, 0, _NO_VIDEO, self.ids, skip
            )
            videos.append(heads)
            single = np.full(heads.size, here[some[0]], dtype=np.int32) if kind == "tag" else None
            numbers.append(self.arrays[kind][heads] if single is None else single)
        added = self._added_of(kind, rows)
        numbers.append(np.full(added.size, -1, dtype=np.int32))
        number, video = np.concatenate(numbers), np.concatenate([*videos, added])
        if wanted.cut and video.size > wanted.cut:
            newest = np.lexsort((self.ids[video], -self.published[video]))[: wanted.cut]
            number, video = number[newest], video[newest]
        return number, video

    def _added_of(self, kind: str, rows: Positions) -> Positions:
        if self.base_size == self.size:
            return _NO_VIDEO
        if kind != "tag":
            mask = kernels.gather.among(rows, self.arrays[kind][self.base_size :])
            return (np.flatnonzero(mask) + self.base_size).astype(np.int32)
        first = int(self.tag_starts[self.base_size])
        at = np.flatnonzero(kernels.gather.among(rows, self.tag[first:])) + first
        return np.unique(self.tag_starts.searchsorted(at, side="right") - 1).astype(np.int32)


def _no_sums(videos: Positions) -> Sums:
    nothing = np.zeros(videos.size, dtype=np.int64)
    return nothing, nothing


def _read(data: bytes, kind: type) -> Any:
    """The array that bytes are.

    Raises:
        AskedError: they are not whole.
    """
    if len(data) % np.dtype(kind).itemsize:
        raise AskedError("array")
    return np.frombuffer(data, dtype=kind)


assert set(KINDS) <= {*PER_VIDEO, "tag"}  # noqa: S101 - the columns that lists are by
