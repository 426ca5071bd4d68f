"""Splits a base snapshot into parts that share no video, and a cover with what is not of any one video."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import ranker as forest
from lightwell.recommender import sections
from lightwell.recommender.counters import rising
from lightwell.recommender.shards_asked import MOST_SHARDS, ranges
from lightwell.recommender.snapshot import MOST_RISING, PER_VIDEO, WORDS, Facts, Snapshot, SnapshotError

PART_MAGIC: Final = b"lightwell/part/v1\n"
COVER_MAGIC: Final = b"lightwell/cover/v1\n"
KINDS: Final = {"creator": "creators", "sound": "sounds", "tag": "tags"}
_CHUNK: Final = 50_000
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)

PART_LAYOUT: Final[Mapping[str, str]] = {
    **PER_VIDEO,
    "place": "<i4",
    "tag_starts": "<i8", "tag": "<i4",
    "near_starts": "<i8", "near": "<i4", "near_weight": "i1",
    **{
        f"by_{kind}{end}": form
        for kind in KINDS for end, form in (("_rows", "<i4"), ("_starts", "<i8"), ("", "<i4"))
    },
    "newest": "<i4", "rising": "<i4",
}  # fmt: skip
"""Arrays of a part. `near_starts` has a row for every video of the whole base, and `near` the neighbours
of each that are this part's; `by_*_rows` are the numbers of the creators that have videos here."""

COVER_LAYOUT: Final[Mapping[str, str]] = {
    "tag_rarity": "<i2",
    "creator_videos": "<i4",
    **dict.fromkeys(WORDS, "u1"),
    **{f"{name}_words": "<i8" for name in WORDS},
    **{f"ranker_{name}": kind for name, kind in forest.ARRAYS.items()},
}  # fmt: skip


class PartFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the header of a part or cover says; number: which part, -1 for the cover. words: how many."""

    base: str
    facts: Facts
    shards: int
    number: int
    words: dict[str, int]


def shard_of(ids: NDArray[np.uint64], shards: int) -> NDArray[np.int64]:
    """Which shard each video belongs to: a function of its id alone, even whatever ids are like."""
    mixed: NDArray[np.int64] = ((ids * _MIX) >> np.uint64(33)).astype(np.int64) % shards
    return mixed


def split(base: Snapshot, shards: int) -> Iterator[tuple[int, Iterator[bytes | memoryview]]]:
    """Yield the cover, numbered -1, and every part, each as the pieces of its file.

    Args:
        base: a snapshot without an update.
        shards: into how many, 1..64.

    Raises:
        SnapshotError: it has an update, or its ready-made orders are not those that merging relies on.
        ValueError: `shards` is out of range.
    """
    if not 1 <= shards <= MOST_SHARDS:
        raise ValueError(f"a catalogue is split into 1..{MOST_SHARDS} parts")
    if base.size != base.base_size:
        raise SnapshotError("snapshot: one with an update cannot be split")
    _check_orders(base)
    owner = shard_of(base.ids, shards)
    words = {name: len(getattr(base, name)) for name in WORDS}
    for number in range(-1, shards):
        facts = PartFacts(base=base.digest, facts=base.facts, shards=shards, number=number, words=words)
        if number < 0:
            magic, layout, arrays = COVER_MAGIC, COVER_LAYOUT, _cover(base)
        else:
            magic, layout, arrays = PART_MAGIC, PART_LAYOUT, _part(base, owner == number)
        ready = {name: np.ascontiguousarray(arrays[name], dtype=kind) for name, kind in layout.items()}
        yield number, sections.write(magic, msgspec.to_builtins(facts), ready, {})


def _cover(base: Snapshot) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "tag_rarity": base.tag_rarity,
        "creator_videos": np.diff(base.by_creator_starts),
    }
    for name in WORDS:
        words = getattr(base, name)
        arrays[name], arrays[f"{name}_words"] = np.frombuffer(words.block, dtype=np.uint8), words.starts
    for name, kind in forest.ARRAYS.items():
        none = np.zeros(1 if name == "tree_starts" else 0, dtype=kind)
        arrays[f"ranker_{name}"] = none if base.ranker is None else getattr(base.ranker, name)
    return arrays


def _part(base: Snapshot, own: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    place = np.flatnonzero(own)
    local = np.full(base.size, -1, dtype=np.int32)
    local[place] = np.arange(place.size)
    arrays: dict[str, NDArray[Any]] = {name: getattr(base, name)[place] for name in PER_VIDEO}
    sizes = np.diff(base.tag_starts)[place]
    arrays |= {
        "place": place,
        "tag_starts": np.append(0, sizes.cumsum()),
        "tag": base.tag[ranges(base.tag_starts[place], sizes)],
        "newest": local[base.newest[own[base.newest]]],
        "rising": local[base.rising[own[base.rising]]],
    }
    for kind in KINDS:
        starts, members = getattr(base, f"by_{kind}_starts"), getattr(base, f"by_{kind}")
        kept = own[members]
        numbers = np.arange(starts.size - 1, dtype=np.int64).repeat(np.diff(starts))[kept]
        rows = np.unique(numbers)
        arrays[f"by_{kind}_rows"], arrays[f"by_{kind}"] = rows, local[members[kept]]
        arrays[f"by_{kind}_starts"] = np.append(numbers.searchsorted(rows), numbers.size)
    return arrays | _edges(base, own, local)


def _edges(base: Snapshot, own: NDArray[np.bool_], local: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """The edges that lead to a part's videos, by the video they come from, the strongest first as before."""
    starts = np.zeros(base.size + 1, dtype=np.int64)
    near, weight = list[NDArray[Any]](), list[NDArray[Any]]()
    for first in range(0, base.size, _CHUNK):
        last = min(first + _CHUNK, base.size)
        begin, end = int(base.near_starts[first]), int(base.near_starts[last])
        to, kept = base.near[begin:end], own[base.near[begin:end]]
        before = np.append(0, kept.cumsum())[base.near_starts[first : last + 1] - begin]
        starts[first + 1 : last + 1] = starts[first] + before[1:]
        near.append(local[to[kept]])
        weight.append(base.near_weight[begin:end][kept])
    nothing = [np.zeros(0, dtype=np.int8)]
    return {
        "near_starts": starts,
        "near": np.concatenate(near or nothing),
        "near_weight": np.concatenate(weight or nothing),
    }


def _check_orders(base: Snapshot) -> None:
    """Refuse a base whose lists are in another order than the one by which parts of them are merged."""
    for starts, members in (
        (np.array([0, base.size]), base.newest),
        *((getattr(base, f"by_{kind}_starts"), getattr(base, f"by_{kind}")) for kind in KINDS),
    ):
        before, after = members[:-1], members[1:]
        earlier = base.published[before] < base.published[after]
        wrong = earlier | ((base.published[before] == base.published[after]) & (before >= after))
        begins = np.zeros(members.size + 1, dtype=np.bool_)
        begins[starts] = True
        if bool((wrong & ~begins[1:-1]).any()):
            raise SnapshotError("snapshot: a list is not newest first and cannot be split")
    found = {"rise": base.rise, "finish": base.finish}
    if not np.array_equal(rising(base.ids, found, MOST_RISING), base.rising):
        raise SnapshotError("snapshot: rising is in another order and cannot be split")
