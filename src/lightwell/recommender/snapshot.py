"""The immutable, content-addressed state the recommender ranks from: a base file, and what is newer."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import ranker as forest
from lightwell.recommender import sections
from lightwell.recommender.counters import ALL_TIME, COUNTERS, MOST_COUNTED, Rules
from lightwell.recommender.integers import Ints
from lightwell.recommender.ranker import Ranker, RankerError
from lightwell.recommender.sections import Section, SectionsError
from lightwell.recommender.words import Words, WordsError

MAGIC: Final = b"lightwell/snapshot/v3\n"
MOST_RISING: Final = 1_000
_LEAST_ROOM: Final = 256

WORDS: Final = ("creators", "sounds", "tags", "topics", "regions", "audiences")

PER_VIDEO: Final[Mapping[str, str]] = {
    "ids": "<u8",
    "creator": "<i4", "sound": "<i4", "topic": "<i4", "region": "<i4", "audience": "<i4",
    "published": "<i8", "duration": "<i4",
    "views": "<i8", "longs": "<i8", "likes": "<i8", "shares": "<i8", "skips": "<i8",
    "longs_1h": "<i8", "longs_6h": "<i8", "longs_24h": "<i8", "longs_week": "<i8", "views_24h": "<i8",
    "trend": "<u2", "rise": "<i2", "finish": "<i2",
}  # fmt: skip
"""Arrays of one element a video, and their types."""

# These lie first in the file, each followed by room, so that later videos are added by writing behind.
ROWS: Final[Mapping[str, str]] = {**PER_VIDEO, "tag_starts": "<i8", "near_starts": "<i8", "tag": "<i4"}

LAYOUT: Final[Mapping[str, str]] = {
    **ROWS,
    "tag_rarity": "<i2",
    "near": "<i4",
    "near_weight": "i1",
    "by_creator_starts": "<i8", "by_creator": "<i4",
    "by_sound_starts": "<i8", "by_sound": "<i4",
    "by_tag_starts": "<i8", "by_tag": "<i4",
    "newest": "<i4",
    "rising": "<i4",
    **dict.fromkeys(WORDS, "u1"),
    **{f"{name}_words": "<i8" for name in WORDS},
    **{f"ranker_{name}": kind for name, kind in forest.ARRAYS.items()},
}  # fmt: skip
"""Every array of a base file, in order. `creators` is a block of words, `creators_words` their starts."""

# (starts, list, the array whose length gives the rows, the array whose length bounds the values)
_TABLES: Final = (
    ("near_starts", "near", "ids", "ids"),
    ("tag_starts", "tag", "ids", "tags"),
    ("by_creator_starts", "by_creator", "creators", "ids"),
    ("by_sound_starts", "by_sound", "sounds", "ids"),
    ("by_tag_starts", "by_tag", "tags", "ids"),
)


class SnapshotError(ValueError):
    """Bytes that are not a snapshot, are cut short or altered, or are not the one asked for."""


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the header of a base file says.

    minute: whole minutes since 1970 at which its counters stand. videos: how many it has. room: how many
    more may be added. room_tags: how many tags these may carry in all. rules: how scores follow from
    counters. outcomes: of the ranker, none if it has none. features: how many the ranker reads.
    """

    minute: int
    videos: int
    room: int
    room_tags: int
    rules: Rules
    outcomes: tuple[str, ...] = ()
    features: int = 0


# Worked out here and once: two threads that come to it first together would crash.
msgspec.json.Decoder(Facts)


class Snapshot:
    """Videos, counters, item graph, ranker and ready-made orders; the same for the life of its digest.

    It is a base, or a base with one update (see `live`). Videos of the base come first, ascending by id,
    then those the update adds, by time of publication and id. All arrays are read-only; unless said, they
    have one element a video.

    Attributes:
        base_size: how many videos are of the base. base: the digest of the base file, in hex.
        creator, sound, topic, region, audience: number of the word of that kind; sound and topic -1 where
        none. An audience is a word as `audience` writes it.
        published: seconds since 1970. duration: milliseconds, 0 where unknown.
        views, longs, likes, shares, skips: counts of all time.
        longs_1h, longs_6h, longs_24h, longs_week, views_24h: counts that lose half their weight in that time,
        in 256ths.
        trend: long watches of the last day against those of all time, 256 where that is as usual.
        rise 0..255: recent long watches beyond the usual. finish -256..256: share watched through, less the
        catalogue's, in 256ths.
        tag_starts, tag: each video's tags; tag_rarity, by tag: 256 less the share of videos that carry it.
        near_starts, near, near_weight: neighbours in the item graph, the strongest first, weight -127..127;
        added videos have none.
        by_creator, by_sound, by_tag (with *_starts): videos of the base of each, newest first.
        newest: all videos in that order. rising: at most 1,000 videos, risen most first, then best finished.
    """

    minute: int
    base: str
    base_size: int
    ids: NDArray[np.uint64]
    creators: Words
    sounds: Words
    tags: Words
    topics: Words
    regions: Words
    audiences: Words
    creator: NDArray[np.int32]
    sound: NDArray[np.int32]
    topic: NDArray[np.int32]
    region: NDArray[np.int32]
    audience: NDArray[np.int32]
    published: NDArray[np.int64]
    duration: NDArray[np.int32]
    views: NDArray[np.int64]
    longs: NDArray[np.int64]
    likes: NDArray[np.int64]
    shares: NDArray[np.int64]
    skips: NDArray[np.int64]
    longs_1h: NDArray[np.int64]
    longs_6h: NDArray[np.int64]
    longs_24h: NDArray[np.int64]
    longs_week: NDArray[np.int64]
    views_24h: NDArray[np.int64]
    trend: NDArray[np.uint16]
    rise: NDArray[np.int16]
    finish: NDArray[np.int16]
    tag_starts: NDArray[np.int64]
    tag: NDArray[np.int32]
    tag_rarity: NDArray[np.int16]
    near_starts: NDArray[np.int64]
    near: NDArray[np.int32]
    near_weight: NDArray[np.int8]
    by_creator_starts: NDArray[np.int64]
    by_creator: NDArray[np.int32]
    by_sound_starts: NDArray[np.int64]
    by_sound: NDArray[np.int32]
    by_tag_starts: NDArray[np.int64]
    by_tag: NDArray[np.int32]
    newest: NDArray[np.int32]
    rising: NDArray[np.int32]
    ranker: Ranker | None

    def __init__(
        self,
        data: bytes | memoryview,
        digest: str,
        facts: Facts,
        places: Mapping[str, Section],
        parts: Mapping[str, Any],
    ) -> None:
        """Take parts that were checked; use `from_bytes`, or `live.apply` for a base with an update.

        Args:
            data: the bytes whose SHA-256 is the digest: the base file, or the update.
            digest: their digest.
            facts: of the base.
            places: where each array lies in the base file.
            parts: the attributes named above.
        """
        self._data = data
        self.digest = digest
        self.facts = facts
        self.places = places
        for name, part in parts.items():
            setattr(self, name, part)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, expect: str | None = None) -> "Snapshot":
        """Read a base file without copying its arrays.

        Args:
            data: what `encode` gave, or a read-only map of that file.
            expect: the digest it must have, in hex.

        Raises:
            SnapshotError: not a snapshot, cut short, inconsistent, or of another digest.
        """
        view = memoryview(data)
        digest = hashlib.sha256(view).hexdigest()
        if expect not in (None, digest):
            raise SnapshotError(f"snapshot: digest is {digest}, expected {expect}")
        try:
            head, arrays = sections.read(MAGIC, LAYOUT, view)
            facts = msgspec.convert(head.facts, Facts)
            parts = _cut(facts, arrays)
            _check(parts)
            ranker = {name: parts.pop(f"ranker_{name}") for name in forest.ARRAYS}
            parts["ranker"] = Ranker.of(facts.outcomes, ranker, facts.features) if facts.outcomes else None
        except (SectionsError, WordsError, RankerError, msgspec.ValidationError) as error:
            raise SnapshotError(f"snapshot: {error}") from error
        parts |= {"base": digest, "base_size": facts.videos, "minute": facts.minute}
        return cls(data, digest, facts, {place.name: place for place in head.sections}, parts)

    def to_bytes(self) -> bytes:
        """The bytes of the base file, or of the update; their SHA-256 is the digest."""
        return bytes(self._data)

    @property
    def rows_bytes(self) -> int:
        """How many bytes at the base file's beginning hold what an update changes."""
        last = self.places["tag"]
        return last.at + last.size

    def copy_rows(self) -> memoryview:
        """A copy of these bytes of a base, to be written to."""
        return memoryview(bytearray(memoryview(self._data)[: self.rows_bytes]))

    @property
    def size(self) -> int:
        """How many videos the catalogue has."""
        return int(self.ids.size)

    @property
    def hour(self) -> int:
        """Whole hours since 1970 at which the counters stand."""
        return self.minute // 60

    def name(self, video: int) -> str:
        """The id of the video at a position."""
        return f"{int(self.ids[video]):016x}"

    def find(self, ids: Sequence[str]) -> Ints:
        """Positions of the given ids (16 hex characters each), -1 for those not in the catalogue.

        Raises:
            ValueError: an id is not hexadecimal or not 16 characters.
        """
        joined = "".join(ids)
        # Reading skips spaces and takes capitals, which would give one video two ids.
        raw = bytes.fromhex(joined)
        if len(raw) != 8 * len(ids) or raw.hex() != joined:
            raise ValueError("video ids are 16 lowercase hex characters")
        wanted = np.frombuffer(raw, dtype=">u8").astype(np.uint64)
        found = search(self.ids[: self.base_size], wanted)
        if self.size > self.base_size:
            order, added = self._added_by_id
            later = search(added, wanted)
            found = np.where(later >= 0, order[later], found)
        return found

    def creator_number(self, key: str) -> int:
        """The number of a creator "cell:handle", -1 for one without a video here."""
        return self.creators.number(key)

    @cached_property
    def _added_by_id(self) -> tuple[Ints, NDArray[np.uint64]]:
        added = self.ids[self.base_size :]
        order = added.argsort(kind="stable")
        return order + self.base_size, added[order]


def encode(
    minute: int,
    arrays: Mapping[str, Any],
    *,
    rules: Rules | None = None,
    ranker: Ranker | None = None,
    features: int = 0,
) -> bytes:
    """Write a base file; `encode_parts`, joined."""
    return b"".join(encode_parts(minute, arrays, rules=rules, ranker=ranker, features=features))


def encode_parts(
    minute: int,
    arrays: Mapping[str, Any],
    *,
    rules: Rules | None = None,
    ranker: Ranker | None = None,
    features: int = 0,
) -> Iterator[bytes | memoryview]:
    """Yield a base file piece by piece.

    Args:
        minute: whole minutes since 1970 at which its counters stand.
        arrays: every name of `LAYOUT` but those of the ranker and the starts of words: arrays, and for each
            kind of words the words, ascending (or ready-made `Words`).
        rules: how scores follow from counters.
        ranker: trees, if there are any.
        features: how many features these read.

    Raises:
        SnapshotError: a word holds a newline, or words do not ascend.
    """
    given = dict(arrays)
    for name in WORDS:
        try:
            words = given[name] if isinstance(given[name], Words) else Words.of(given[name])
        except WordsError as error:
            raise SnapshotError(f"snapshot: {name}: {error}") from error
        given[name] = np.frombuffer(words.block, dtype=np.uint8)
        given[f"{name}_words"] = words.starts
    for name, kind in forest.ARRAYS.items():
        # Of no ranker, no trees: the starts of none of them are a single zero.
        none = np.zeros(1 if name == "tree_starts" else 0, dtype=kind)
        given[f"ranker_{name}"] = none if ranker is None else getattr(ranker, name)
    ready = {name: np.ascontiguousarray(given[name], dtype=kind) for name, kind in LAYOUT.items()}
    videos = ready["ids"].size
    room = max(_LEAST_ROOM, videos // 8)
    facts = Facts(
        minute=minute,
        videos=videos,
        room=room,
        room_tags=8 * room,
        rules=rules or Rules(),
        outcomes=() if ranker is None else ranker.outcomes,
        features=features,
    )
    rooms = dict.fromkeys(ROWS, room) | {"tag": facts.room_tags}
    yield from sections.write(MAGIC, msgspec.to_builtins(facts), ready, rooms)


def search(ids: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> Ints:
    """Where each wanted id is among ascending ids, -1 where it is not."""
    missing = np.full(wanted.size, -1, dtype=np.int64)
    if not ids.size or not wanted.size:
        return missing
    at = ids.searchsorted(wanted)
    at[at == ids.size] = 0
    return np.where(ids[at] == wanted, at, missing)


def _cut(facts: Facts, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Give each array of a base its length without the room behind it, and words their form."""
    videos, parts = facts.videos, dict[str, Any](arrays)
    if videos < 0 or facts.room < 0 or facts.room_tags < 0:
        raise SnapshotError("snapshot: a negative size")
    for name in ROWS:
        used = videos + name.endswith("_starts")
        if name != "tag":
            if arrays[name].size != used + facts.room:
                raise SnapshotError(f"snapshot: {name} has another length than ids")
            parts[name] = arrays[name][:used]
    tags = int(parts["tag_starts"][-1])
    if tags < 0 or tags + facts.room_tags != arrays["tag"].size:
        raise SnapshotError("snapshot: tag has another length than tag_starts say")
    parts["tag"] = arrays["tag"][:tags]
    for name in WORDS:
        parts[name] = Words(arrays[name].data, parts.pop(f"{name}_words"))
        parts[name].check()
    return parts


def _check(parts: Mapping[str, Any]) -> None:
    """Refuse positions that point outside their array, so that ranking cannot fail on a bad file."""
    ids = parts["ids"]
    if ids.size > 1 and not bool((ids[1:] > ids[:-1]).all()):
        raise SnapshotError("snapshot: ids do not ascend")
    for name, least, words in (
        ("creator", 0, "creators"),
        ("sound", -1, "sounds"),
        ("topic", -1, "topics"),
        ("region", 0, "regions"),
        ("audience", 0, "audiences"),
    ):
        _within(parts[name], least, len(parts[words]), name)
    for starts_name, list_name, rows_of, values_of in _TABLES:
        starts, values = parts[starts_name], parts[list_name]
        shape = starts.size == len(parts[rows_of]) + 1
        if not shape or starts[0] or starts[-1] != values.size or bool((starts[1:] < starts[:-1]).any()):
            raise SnapshotError(f"snapshot: {starts_name} does not fit")
        _within(values, 0, len(parts[values_of]), list_name)
    if parts["near_weight"].size != parts["near"].size or parts["tag_rarity"].size != len(parts["tags"]):
        raise SnapshotError("snapshot: weights do not fit")
    if parts["near_weight"].size and int(parts["near_weight"].min()) < -127:
        raise SnapshotError("snapshot: a weight is below -127")
    for name in COUNTERS:
        _within(parts[name], 0, 1 + MOST_COUNTED * (1 if name in ALL_TIME else 256), name)
    _within(parts["rise"], 0, 256, "rise")
    _within(parts["finish"], -256, 257, "finish")
    _within(parts["tag_rarity"], 0, 257, "tag_rarity")
    _within(parts["duration"], 0, 1 << 31, "duration")
    _within(parts["published"], 0, 1 << 40, "published")
    for name in ("newest", "rising"):
        _within(parts[name], 0, ids.size, name)
    if parts["newest"].size != ids.size or parts["rising"].size > MOST_RISING:
        raise SnapshotError("snapshot: newest or rising does not fit the catalogue")


def _within(values: NDArray[Any], least: int, below: int, name: str) -> None:
    if values.size and (int(values.min()) < least or int(values.max()) >= below):
        raise SnapshotError(f"snapshot: {name} points outside its array")
