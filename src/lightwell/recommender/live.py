"""What is newer than a base snapshot, as one small file: videos added since, and counters as of now."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.counters import (
    ALL_TIME,
    COUNTERS,
    MOST_COUNTED,
    WINDOWS,
    decayed,
    rising,
    scores,
)
from lightwell.recommender.integers import Ints
from lightwell.recommender.snapshot import (
    MOST_RISING,
    PER_VIDEO,
    ROWS,
    WORDS,
    Facts,
    Snapshot,
    SnapshotError,
    search,
)

MAGIC: Final = b"lightwell/update/v2\n"
_MOST_HEADER: Final = 4096
_MOST_WORDS: Final = 64 * 1024 * 1024

_ADDED: Final = ("ids", "creator", "sound", "topic", "region", "audience", "published", "duration")
Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """base: digest of the base it belongs to. words: bytes of the new words, as JSON."""

    base: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}\\Z")]
    minute: Number
    added: Number
    touched: Number
    tags: Number
    words: Annotated[int, msgspec.Meta(ge=0, le=_MOST_WORDS)]


_decode_header = msgspec.json.Decoder(_Header).decode


class _NewWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    creators: list[str] = []
    sounds: list[str] = []
    tags: list[str] = []
    topics: list[str] = []
    regions: list[str] = []
    audiences: list[str] = []


_decode_new_words = msgspec.json.Decoder(_NewWords).decode


class FullError(ValueError):
    """The base has no room for so many more videos or tags: time for a new base."""


def encode_update(
    base: Snapshot, minute: int, added: Sequence[VideoFact], found: Mapping[str, NDArray[np.int64]]
) -> bytes:
    """Write all that is newer than a base.

    Args:
        base: a snapshot without an update.
        minute: whole minutes since 1970 at which the counters stand.
        added: videos that the base does not have, by (published, id).
        found: every name of `COUNTERS`, of the base's videos and then of the added ones.

    Raises:
        FullError: the base has no room for them.
    """
    more = {name: _Numbering(getattr(base, name)) for name in WORDS}
    tags_of = [[more["tags"].of(tag) for tag in sorted(set(fact.tags))] for fact in added]
    tags = [tag for some in tags_of for tag in some]
    if len(added) > base.facts.room or len(tags) > base.facts.room_tags:
        raise FullError("the base has no room for more videos")
    columns: dict[str, Any] = {
        "ids": np.array([int(fact.id, 16) for fact in added], dtype=np.uint64),
        "creator": [more["creators"].of(fact.creator) for fact in added],
        "sound": [more["sounds"].of(fact.sound) for fact in added],
        "topic": [more["topics"].of(fact.subject) for fact in added],
        "region": [more["regions"].number(fact.region) for fact in added],
        "audience": [more["audiences"].number(fact.audience) for fact in added],
        "published": [fact.published for fact in added],
        "duration": [fact.duration for fact in added],
        "tag_counts": [len(some) for some in tags_of],
        "tag": tags,
    }
    # What never moved since the base is what the base says, less what time took of it.
    moved = np.zeros(found["views"].size, dtype=np.bool_)
    for name in ALL_TIME:
        moved[: base.size] |= found[name][: base.size] != getattr(base, name)
        moved[base.size :] |= found[name][base.size :] != 0
    touched = np.flatnonzero(moved)
    columns["touched"] = np.diff(touched, prepend=0)
    columns |= {name: found[name][touched] for name in COUNTERS}
    words = msgspec.json.encode(_NewWords(**{name: more[name].added for name in WORDS}))
    header = _Header(base.digest, minute, len(added), touched.size, len(tags), len(words))
    body = b"".join(
        _planes(np.asarray(columns[name], dtype=kind), kind) for name, kind, _ in _columns(header)
    )
    head = msgspec.json.encode(header, order="sorted")
    return MAGIC + len(head).to_bytes(4, "little") + head + zlib.compress(body + words, 1)


def base_of(data: bytes) -> str | None:
    """The digest of the base an update belongs to; None for bytes that are no update.

    Raises:
        SnapshotError: it begins as an update and is none.
    """
    return None if data[: len(MAGIC)] != MAGIC else _header(data)[0].base


def apply(base: Snapshot, data: bytes, rows: memoryview | None = None, expect: str | None = None) -> Snapshot:
    """Give the snapshot that is a base and what is newer.

    Args:
        base: the base the update names.
        data: what `encode_update` gave.
        rows: the base file's first `base.rows_bytes` bytes, to be written to: a private map of that file, so
            that what stays the same is shared. They are copied if not given.
        expect: the digest the update must have, in hex.

    Raises:
        SnapshotError: not an update, cut short, inconsistent, of another digest or for another base.
    """
    update = read_update(data, base.digest, base.facts, expect)
    header, columns, words = update.header, update.columns, update.words
    if base.base_size != base.size:
        raise SnapshotError("update: there is no room for a second one")
    if rows is None:
        rows = base.copy_rows()
    parts = _words(base, words)
    update.check(base.size, base.ids, {name: len(parts[name]) for name in WORDS})
    arrays = {
        name: np.frombuffer(rows, dtype=kind, offset=base.places[name].at, count=_length(base, header, name))
        for name, kind in ROWS.items()
    }
    _write(base, header, columns, arrays)
    counted = scores({name: arrays[name] for name in COUNTERS}, base.facts.rules)
    for name, values in counted.items():
        arrays[name][:] = values
    for array in arrays.values():
        array.flags.writeable = False
    parts |= arrays
    parts["newest"] = newest_of(base.newest, base.published, arrays["published"], arrays["ids"])
    parts["rising"] = _kept(rising(arrays["ids"], arrays, MOST_RISING).astype(np.int32))
    same = ("near", "near_weight", "by_creator", "by_sound", "by_tag", "ranker", "base", "base_size")
    parts |= {name: getattr(base, name) for name in same} | {"minute": header.minute}
    return Snapshot(data, update.digest, base.facts, base.places, parts)


@dataclass(frozen=True)
class Update:
    """What an update says, before it is held against its base.

    columns: the added videos, in order; the positions of those counted, as steps; their counters.
    words: by kind, those the base does not have.
    """

    digest: str
    header: "_Header"
    columns: Mapping[str, NDArray[Any]]
    words: "_NewWords"

    def check(self, size: int, ids: NDArray[np.uint64], words: Mapping[str, int]) -> None:
        """Refuse what points outside its array.

        Args:
            size: how many videos the base has.
            ids: those of them that must not be added again, ascending: of a part of the base, its own.
            words: by kind, how many there are, the new ones included.

        Raises:
            SnapshotError: what is out of range.
        """
        _check(size, ids, self.header, self.columns, words)


def read_update(data: bytes, base: str, facts: Facts, expect: str | None = None) -> Update:
    """Read an update.

    Args:
        data: what `encode_update` gave.
        base: digest of the base it must belong to.
        facts: what that base's header says.
        expect: the digest the update must have, in hex.

    Raises:
        SnapshotError: not an update, cut short, of another digest or for another base.
    """
    digest = hashlib.sha256(data).hexdigest()
    if expect not in (None, digest):
        raise SnapshotError(f"update: digest is {digest}, expected {expect}")
    header, at = _header(data)
    if header.base != base:
        raise SnapshotError(f"update: it is for base {header.base}, not {base}")
    if header.added > facts.room or header.tags > facts.room_tags:
        raise SnapshotError("update: the base has no room for it")
    columns, words = _body(header, facts.videos + header.added, data[at:])
    return Update(digest, header, columns, words)


class _Numbering:
    """Numbers of words: those of the base, then new ones in order of first use."""

    def __init__(self, words: Any) -> None:
        self._words = words
        self._new: dict[str, int] = {}

    @property
    def added(self) -> list[str]:
        return list(self._new)

    def of(self, word: str | None) -> int:
        """The number of a word, -1 for none."""
        return self.number(word) if word else -1

    def number(self, word: str) -> int:
        known: int = self._words.number(word)
        return known if known >= 0 else self._new.setdefault(word, len(self._words) + len(self._new))


def _columns(header: _Header) -> Iterator[tuple[str, str, int]]:
    """Name, type and length of every array of an update's body, in order."""
    for name in _ADDED:
        yield name, PER_VIDEO[name], header.added
    yield "tag_counts", "<u2", header.added
    yield "tag", "<i4", header.tags
    yield "touched", "<u4", header.touched
    for name in COUNTERS:
        yield name, PER_VIDEO[name], header.touched


def _planes(values: NDArray[Any], kind: str) -> bytes:
    """The first bytes of all values, then the second ones and so on: most are then runs of zeros."""
    raw = np.ascontiguousarray(values, dtype=kind).view(np.uint8)
    return raw.reshape(-1, np.dtype(kind).itemsize).T.tobytes()


def _header(data: bytes) -> tuple[_Header, int]:
    start = len(MAGIC) + 4
    size = int.from_bytes(data[len(MAGIC) : start], "little")
    if data[: len(MAGIC)] != MAGIC or size > _MOST_HEADER or start + size > len(data):
        raise SnapshotError("update: not an update file")
    try:
        return _decode_header(data[start : start + size]), start + size
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"update header: {error}") from error


def _body(header: _Header, size: int, packed: bytes) -> tuple[dict[str, NDArray[Any]], _NewWords]:
    if header.touched > size:
        raise SnapshotError("update: more videos counted than there are")
    lengths = [(name, np.dtype(kind), count) for name, kind, count in _columns(header)]
    whole = sum(kind.itemsize * count for _, kind, count in lengths) + header.words
    unpack = zlib.decompressobj()
    try:
        # Never more than announced, whatever the bytes would grow to.
        body = unpack.decompress(packed, whole + 1)
        if len(body) != whole or not unpack.eof or unpack.unused_data:
            raise SnapshotError("update: cut short or too long")
        columns, at = {}, 0
        for name, kind, count in lengths:
            raw = np.frombuffer(body, np.uint8, kind.itemsize * count, at).reshape(kind.itemsize, count)
            columns[name] = np.ascontiguousarray(raw.T).reshape(-1).view(kind)
            at += kind.itemsize * count
        return columns, _decode_new_words(body[at:])
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"update: {error}") from error


def _length(base: Snapshot, header: _Header, name: str) -> int:
    if name == "tag":
        return base.tag.size + header.tags
    return base.size + header.added + name.endswith("_starts")


def _words(base: Snapshot, new: _NewWords) -> dict[str, Any]:
    """Words, and what has one element for each word, with the new ones."""
    parts: dict[str, Any] = {}
    for name in WORDS:
        words, added = getattr(base, name), getattr(new, name)
        if len(set(added)) != len(added) or any(words.number(word) >= 0 for word in added):
            raise SnapshotError("update: a new word is not new")
        parts[name] = words.with_more(added) if added else words
    for kind in ("creator", "sound", "tag"):
        starts = getattr(base, f"by_{kind}_starts")
        more = len(parts[f"{kind}s"]) + 1 - starts.size
        parts[f"by_{kind}_starts"] = _longer(starts, more, int(starts[-1]))
    parts["tag_rarity"] = _longer(base.tag_rarity, len(parts["tags"]) - base.tag_rarity.size, 256)
    return parts


def _longer(values: NDArray[Any], more: int, value: int) -> NDArray[Any]:
    return _kept(np.append(values, np.full(more, value, dtype=values.dtype))) if more else values


def _kept(values: NDArray[Any]) -> NDArray[Any]:
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    return values


def _check(
    size: int,
    known: NDArray[np.uint64],
    header: _Header,
    columns: Mapping[str, NDArray[Any]],
    words: Mapping[str, int],
) -> None:
    """Refuse what points outside its array, so that neither applying nor ranking can fail on it."""
    for name, least, below in (
        ("creator", 0, words["creators"]),
        ("sound", -1, words["sounds"]),
        ("topic", -1, words["topics"]),
        ("region", 0, words["regions"]),
        ("audience", 0, words["audiences"]),
        ("tag", 0, words["tags"]),
        ("published", 0, 1 << 40),
        ("duration", 0, 1 << 31),
        *((name, 0, 1 + MOST_COUNTED) for name in ALL_TIME),
        *((name, 0, 1 + MOST_COUNTED * 256) for name in WINDOWS),
    ):
        values = columns[name]
        if values.size and (int(values.min()) < least or int(values.max()) >= below):
            raise SnapshotError(f"update: {name} is out of range")
    if int(columns["tag_counts"].sum(dtype=np.int64)) != header.tags:
        raise SnapshotError("update: tags do not fit")
    steps = columns["touched"].astype(np.int64)
    if steps.size and (not bool((steps[1:] > 0).all()) or int(steps.sum()) >= size + header.added):
        raise SnapshotError("update: counters of videos that are not there")
    ids, published = columns["ids"], columns["published"]
    order = np.lexsort((ids, published))
    twice = np.unique(ids).size != ids.size
    if twice or not np.array_equal(order, np.arange(ids.size)) or bool((search(known, ids) >= 0).any()):
        raise SnapshotError("update: added videos are not new, each once, in order")


def _write(
    base: Snapshot, header: _Header, columns: Mapping[str, NDArray[Any]], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Put the added videos behind the base's, and every counter as of now."""
    size = base.size
    for name in _ADDED:
        arrays[name][size:] = columns[name]
    arrays["near_starts"][size + 1 :] = base.near_starts[size]
    ends = columns["tag_counts"].astype(np.int64).cumsum()
    arrays["tag_starts"][size + 1 :] = base.tag_starts[size] + ends
    arrays["tag"][base.tag.size :] = columns["tag"]
    touched = columns["touched"].astype(np.int64).cumsum()
    for name in COUNTERS:
        if name in WINDOWS:
            arrays[name][:size] = decayed(name, getattr(base, name), base.minute, header.minute)
        arrays[name][size:] = 0
        arrays[name][touched] = columns[name]


def newest_of(
    newest: NDArray[np.int32],
    before: NDArray[np.int64],
    published: NDArray[np.int64],
    ids: NDArray[np.uint64],
) -> NDArray[np.int32]:
    """All videos by time and id: the added ones sorted into the head of the base's order, then its rest.

    Args:
        newest: the base's order.
        before, published: seconds since 1970 of its videos, and of those and the added ones.
        ids: of them all.
    """
    size = before.size
    if published.size == size:
        return newest
    times = -before[newest]
    head = int(times.searchsorted(-int(published[size:].min()), side="right"))
    added = np.arange(size, published.size, dtype=np.int64)
    first: Ints = np.concatenate((newest[:head].astype(np.int64), added))
    first = first[np.lexsort((ids[first], -published[first]))]
    return _kept(np.concatenate((first.astype(np.int32), newest[head:])))
