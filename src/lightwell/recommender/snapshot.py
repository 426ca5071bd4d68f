"""The immutable, content-addressed state the recommender ranks from, in one file read without copying."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.integers import Ints

MAGIC: Final = b"lightwell/snapshot/v1\n"
_ALIGN: Final = 64

# Every array of a snapshot and its type; "words" are newline-ended UTF-8 strings.
LAYOUT: Final[Mapping[str, str]] = {
    "ids": "<u8",
    "creators": "words",
    "sounds": "words",
    "tags": "words",
    "topics": "words",
    "regions": "words",
    "creator": "<i4",
    "sound": "<i4",
    "topic": "<i4",
    "region": "<i4",
    "published": "<i8",
    "views": "<i8",
    "longs": "<i8",
    "longs_6h": "<i8",
    "longs_24h": "<i8",
    "longs_week": "<i8",
    "rise": "<i2",
    "finish": "<i2",
    "tag_starts": "<i8",
    "tag": "<i4",
    "tag_rarity": "<i2",
    "near_starts": "<i8",
    "near": "<i4",
    "near_weight": "u1",
    "by_creator_starts": "<i8",
    "by_creator": "<i4",
    "by_sound_starts": "<i8",
    "by_sound": "<i4",
    "by_tag_starts": "<i8",
    "by_tag": "<i4",
    "newest": "<i4",
    "rising": "<i4",
}

# (starts, list, the array whose length gives the rows, the array whose length bounds the values)
_TABLES: Final = (
    ("tag_starts", "tag", "ids", "tags"),
    ("near_starts", "near", "ids", "ids"),
    ("by_creator_starts", "by_creator", "creators", "ids"),
    ("by_sound_starts", "by_sound", "sounds", "ids"),
    ("by_tag_starts", "by_tag", "tags", "ids"),
)
_PER_VIDEO: Final = (
    "creator", "sound", "topic", "region", "published", "views", "longs",
    "longs_6h", "longs_24h", "longs_week", "rise", "finish",
)  # fmt: skip


class SnapshotError(ValueError):
    """Bytes that are not a snapshot, are cut short or altered, or are not the one asked for."""


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    at: int
    size: int


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hour: int
    sections: list[_Section]


class Snapshot:
    """Videos, counters, item graph and ready-made orders; read-only, the same for the life of its digest.

    Arrays (all indexed by a video's position in `ids`, which ascends, unless said):
        creator, sound, topic, region: position in the words of that kind; sound and topic -1 where none.
        published: seconds since 1970. views, longs: counts. longs_6h, longs_24h, longs_week: long watches
        that lose half their weight in that time, in 256ths.
        rise 0..255: recent long watches beyond the usual. finish -256..256: share watched through, less the
        catalogue's, in 256ths.
        tag_starts, tag: each video's tags; tag_rarity, by tag: 256 less the share of videos that carry it.
        near_starts, near, near_weight: neighbours in the co-watch graph, strongest first, weight 1..255.
        by_creator, by_sound, by_tag (with *_starts): videos of each, newest first.
        newest, rising: videos in that order; `rising` holds only those with points, then the best finished.
    """

    hour: int
    ids: NDArray[np.uint64]
    creators: tuple[str, ...]
    sounds: tuple[str, ...]
    tags: tuple[str, ...]
    topics: tuple[str, ...]
    regions: tuple[str, ...]
    creator: NDArray[np.int32]
    sound: NDArray[np.int32]
    topic: NDArray[np.int32]
    region: NDArray[np.int32]
    published: NDArray[np.int64]
    views: NDArray[np.int64]
    longs: NDArray[np.int64]
    longs_6h: NDArray[np.int64]
    longs_24h: NDArray[np.int64]
    longs_week: NDArray[np.int64]
    rise: NDArray[np.int16]
    finish: NDArray[np.int16]
    tag_starts: NDArray[np.int64]
    tag: NDArray[np.int32]
    tag_rarity: NDArray[np.int16]
    near_starts: NDArray[np.int64]
    near: NDArray[np.int32]
    near_weight: NDArray[np.uint8]
    by_creator_starts: NDArray[np.int64]
    by_creator: NDArray[np.int32]
    by_sound_starts: NDArray[np.int64]
    by_sound: NDArray[np.int32]
    by_tag_starts: NDArray[np.int64]
    by_tag: NDArray[np.int32]
    newest: NDArray[np.int32]
    rising: NDArray[np.int32]

    def __init__(self, data: bytes | memoryview) -> None:
        """Read a snapshot; use `from_bytes`, which also checks the digest."""
        self._data = data
        self._read(memoryview(data))
        self._check()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, expect: str | None = None) -> "Snapshot":
        """Read a snapshot without copying its arrays.

        Args:
            data: what `to_bytes` gave, or a read-only map of that file.
            expect: the digest it must have, in hex.

        Raises:
            SnapshotError: not a snapshot, cut short, inconsistent, or of another digest.
        """
        if expect is not None:
            found = hashlib.sha256(data).hexdigest()
            if found != expect:
                raise SnapshotError(f"snapshot: digest is {found}, expected {expect}")
        return cls(data)

    def to_bytes(self) -> bytes:
        """The bytes this snapshot was read from; their SHA-256 is its digest."""
        return bytes(self._data)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self._data).hexdigest()

    @property
    def size(self) -> int:
        """How many videos the catalogue has."""
        return int(self.ids.size)

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
        missing = np.full(len(ids), -1, dtype=np.int64)
        if not self.size or not ids:
            return missing
        wanted = np.frombuffer(raw, dtype=">u8").astype(np.uint64)
        at = self.ids.searchsorted(wanted)
        at[at == self.size] = 0
        return np.where(self.ids[at] == wanted, at, missing)

    @cached_property
    def creator_numbers(self) -> dict[str, int]:
        """Creator key to its position in `creators`."""
        return {key: number for number, key in enumerate(self.creators)}

    def _read(self, view: memoryview) -> None:
        if bytes(view[: len(MAGIC)]) != MAGIC:
            raise SnapshotError("snapshot: not a snapshot file")
        start = len(MAGIC) + 8
        size = int.from_bytes(view[len(MAGIC) : start], "little")
        if start + size > len(view):
            raise SnapshotError("snapshot: cut short in its header")
        try:
            header = msgspec.json.decode(view[start : start + size], type=_Header)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SnapshotError(f"snapshot header: {error}") from error
        if [section.name for section in header.sections] != list(LAYOUT):
            raise SnapshotError("snapshot: sections are not those of version 1")
        self.hour = header.hour
        for section in header.sections:
            body = view[section.at : section.at + section.size]
            if section.at < 0 or section.size < 0 or len(body) != section.size:
                raise SnapshotError(f"snapshot: cut short in {section.name}")
            setattr(self, section.name, _from_section(LAYOUT[section.name], body, section.name))

    def _check(self) -> None:
        """Refuse positions that point outside their array, so that ranking cannot fail on a bad file."""
        count = self.size
        if count > 1 and not bool((self.ids[1:] > self.ids[:-1]).all()):
            raise SnapshotError("snapshot: ids do not ascend")
        for name in _PER_VIDEO:
            if getattr(self, name).size != count:
                raise SnapshotError(f"snapshot: {name} has another length than ids")
        for name, least, words in (
            ("creator", 0, self.creators),
            ("sound", -1, self.sounds),
            ("topic", -1, self.topics),
            ("region", 0, self.regions),
        ):
            _within(getattr(self, name), least, len(words), name)
        for starts_name, list_name, rows_of, values_of in _TABLES:
            starts, values = getattr(self, starts_name), getattr(self, list_name)
            shape = starts.size == len(getattr(self, rows_of)) + 1
            if not shape or starts[0] or starts[-1] != values.size or bool((starts[1:] < starts[:-1]).any()):
                raise SnapshotError(f"snapshot: {starts_name} does not fit")
            _within(values, 0, len(getattr(self, values_of)), list_name)
        if self.near_weight.size != self.near.size or self.tag_rarity.size != len(self.tags):
            raise SnapshotError("snapshot: weights do not fit")
        for name in ("newest", "rising"):
            _within(getattr(self, name), 0, count, name)
        if self.newest.size != count:
            raise SnapshotError("snapshot: newest does not list the catalogue")


def encode(hour: int, arrays: Mapping[str, Any]) -> bytes:
    """Write a snapshot file.

    Args:
        hour: whole hours since 1970 at which its counters stand.
        arrays: every name of `LAYOUT`; words as sequences of str without newlines, the rest as arrays.
    """
    bodies = [_to_section(kind, arrays[name]) for name, kind in LAYOUT.items()]
    # The header holds offsets that depend on its own length; they are laid out after a fixed, padded header.
    space = 8192 - len(MAGIC) - 8
    sections, at = [], 8192
    for name, body in zip(LAYOUT, bodies, strict=True):
        sections.append(_Section(name, at, len(body)))
        at += -(-len(body) // _ALIGN) * _ALIGN
    header = msgspec.json.encode(_Header(hour, sections), order="sorted")
    if len(header) > space:
        raise SnapshotError("snapshot: header too long")
    parts = [MAGIC, len(header).to_bytes(8, "little"), header.ljust(space, b"\0")]
    parts += [body.ljust(-(-len(body) // _ALIGN) * _ALIGN, b"\0") for body in bodies]
    return b"".join(parts)


def _to_section(kind: str, value: Any) -> bytes:
    if kind != "words":
        return np.ascontiguousarray(value, dtype=kind).tobytes()
    if any("\n" in word for word in value):
        raise SnapshotError("snapshot: words hold no newline")
    return "".join(f"{word}\n" for word in value).encode()


def _from_section(kind: str, body: memoryview, name: str) -> Any:
    if kind != "words":
        dtype = np.dtype(kind)
        if len(body) % dtype.itemsize:
            raise SnapshotError(f"snapshot: {name} is not whole")
        array = np.frombuffer(body, dtype=dtype)
        array.flags.writeable = False
        return array
    try:
        words = bytes(body).decode().split("\n")
    except UnicodeDecodeError as error:
        raise SnapshotError(f"snapshot: {name} is not UTF-8") from error
    if words.pop():
        raise SnapshotError(f"snapshot: {name} is not whole")
    return tuple(words)


def _within(values: NDArray[Any], least: int, below: int, name: str) -> None:
    if values.size and (int(values.min()) < least or int(values.max()) >= below):
        raise SnapshotError(f"snapshot: {name} points outside its array")
