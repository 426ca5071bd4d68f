"""Builds a snapshot from published videos and watches: the same facts in any order give the same bytes."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

import msgspec
import numpy as np

from lightwell.recommender.graph import build_graph
from lightwell.recommender.integers import ONE, Ints, as_ints, half_life_table, isqrt
from lightwell.recommender.snapshot import Snapshot, encode

_WEEK_HOURS = 168
_TABLE_HOURS = 60 * 24  # Older than this a long watch weighs nothing in any of the three windows.
_MOST_RISING = 2_000


class TrainError(ValueError):
    """Facts that contradict themselves: two videos of one id, a strength out of range."""


class VideoFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One published video.

    creator: "cell:handle". sound: sound id or None. hour: whole hours since 1970 of publication; second:
    seconds into that hour (0..3599), which order its videos. topic: its subject; the first tag stands in.
    """

    id: str
    creator: str
    sound: str | None = None
    tags: Sequence[str] = ()
    hour: int
    second: int = 0
    region: str = ""
    topic: str = ""


class WatchFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One watch: an opaque viewer, a video id, strength 0..255, whole hours since 1970."""

    viewer: str
    video: str
    strength: int
    hour: int


Small = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class TrainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What training does with watches, named in its manifest by digest.

    finish, some: strengths from which a watch is long, or counts as a weak positive; below it is a skip.
    finish_weight, some_weight, skip_weight: their weights in the graph, 0..15.
    neighbours, shrink: see `build_graph`. prior_views: views' worth of the catalogue's share in `finish`.
    """

    v: int = 1
    finish: Small = 192
    some: Small = 48
    finish_weight: Annotated[int, msgspec.Meta(ge=0, le=15)] = 4
    some_weight: Annotated[int, msgspec.Meta(ge=0, le=15)] = 2
    skip_weight: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0
    neighbours: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    shrink: Small = 40
    prior_views: Small = 8
    rise_half: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 5


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a snapshot was made from, by digest: the fields of a `SnapshotPublished` entry."""

    snapshot: str
    events: str
    settings: str
    code: str
    videos: int


def build_snapshot(
    videos: Iterable[VideoFact], events: Iterable[WatchFact], settings: TrainSettings, hour: int
) -> Snapshot:
    """Build the snapshot that stands at `hour`.

    Args:
        videos: every published video; the order has no meaning.
        events: watches; the order has no meaning. Those of unknown videos or later than `hour` are left out,
            and one viewer's watches of one video in one hour count once, the strongest of them.
        settings: see `TrainSettings`.
        hour: whole hours since 1970.

    Raises:
        TrainError: two videos of one id, or a strength outside 0..255.
    """
    facts = sorted(videos, key=lambda fact: fact.id)
    for before, after in pairwise(facts):
        if before.id == after.id:
            raise TrainError(f"video {after.id} is given twice")
    arrays = _catalogue(facts)
    viewer, video, strength, when = _watches(facts, events, hour)
    arrays |= _counters(len(facts), video, strength, when, settings, hour)
    graph = _graph(viewer, video, strength, len(facts), settings)
    arrays |= {"near_starts": graph.starts, "near": graph.near, "near_weight": graph.weight}
    # Rising first; then, so that a quiet catalogue still has an order, what is finished most; then id.
    order = np.lexsort((np.arange(len(facts)), -arrays["finish"], -arrays["rise"]))
    arrays["rising"] = order[:_MOST_RISING]
    return Snapshot(encode(hour, arrays))


def manifest(snapshot: Snapshot, events: Iterable[WatchFact], settings: TrainSettings, code: str) -> Manifest:
    """Name what a snapshot was built from.

    Args:
        snapshot, events, settings: as given to `build_snapshot`; the order of events has no meaning.
        code: digest of the training code, from `code_digest`.
    """
    lines = sorted(f"{e.viewer} {e.video} {e.strength} {e.hour}\n" for e in events)
    return Manifest(
        snapshot=snapshot.digest,
        events=hashlib.sha256("".join(lines).encode()).hexdigest(),
        settings=hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest(),
        code=code,
        videos=snapshot.size,
    )


def code_digest(files: Mapping[str, bytes]) -> str:
    """Digest of source files by name: SHA-256 over "sha256 name" lines in name order."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()} {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _catalogue(facts: list[VideoFact]) -> dict[str, Any]:
    """Words, their numbers, each video's tags and the lists of each creator, sound and tag."""
    topic_of = [fact.topic or next(iter(fact.tags), "") for fact in facts]
    tags_of = [sorted(set(fact.tags)) for fact in facts]
    creators = _numbers(fact.creator for fact in facts)
    sounds = _numbers(fact.sound for fact in facts if fact.sound)
    topics = _numbers(topic for topic in topic_of if topic)
    regions = _numbers(fact.region for fact in facts)
    tags = _numbers(tag for found in tags_of for tag in found)
    published = as_ints([fact.hour * 3600 + fact.second for fact in facts])
    creator = as_ints([creators[fact.creator] for fact in facts])
    sound = as_ints([sounds[fact.sound] if fact.sound else -1 for fact in facts])
    newest = np.lexsort((np.arange(len(facts)), -published))
    tag = as_ints([tags[name] for found in tags_of for name in found])
    tag_starts = as_ints([0, *(len(found) for found in tags_of)]).cumsum()
    owner = np.arange(len(facts), dtype=np.int64).repeat(np.diff(tag_starts))
    carried = np.bincount(tag, minlength=len(tags))[: len(tags)]
    arrays = {
        "ids": np.array([int(fact.id, 16) for fact in facts], dtype=np.uint64),
        "creators": list(creators), "sounds": list(sounds), "tags": list(tags),
        "topics": list(topics), "regions": list(regions),
        "creator": creator, "sound": sound, "published": published, "newest": newest,
        "topic": as_ints([topics[topic] if topic else -1 for topic in topic_of]),
        "region": as_ints([regions[fact.region] for fact in facts]),
        "tag_starts": tag_starts, "tag": tag,
        "tag_rarity": 256 - 256 * carried // max(len(facts), 1),
    }  # fmt: skip
    # Walking the videos newest first and sorting stably by kind leaves each list newest first.
    rank = np.empty(len(facts), dtype=np.int64)
    rank[newest] = np.arange(len(facts))
    for name, kinds, numbers, members in (
        ("by_creator", len(creators), creator, np.arange(len(facts))),
        ("by_sound", len(sounds), sound[sound >= 0], (sound >= 0).nonzero()[0]),
        ("by_tag", len(tags), tag, owner),
    ):
        order = np.lexsort((rank[members], numbers))
        arrays[name] = members[order]
        arrays[f"{name}_starts"] = numbers[order].searchsorted(np.arange(kinds + 1))
    return arrays


def _numbers(words: Iterable[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(sorted(set(words)))}


def _watches(facts: list[VideoFact], events: Iterable[WatchFact], hour: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Columns viewer, video, strength, hour; sorted; the strongest of each viewer, video and hour."""
    number = {fact.id: at for at, fact in enumerate(facts)}
    kept: dict[tuple[str, int, int], int] = {}
    for event in events:
        if not 0 <= event.strength <= 255:
            raise TrainError(f"strength {event.strength} is not in 0..255")
        at = number.get(event.video)
        if at is not None and event.hour <= hour:
            key = (event.viewer, at, event.hour)
            kept[key] = max(kept.get(key, 0), event.strength)
    viewers = _numbers(viewer for viewer, _, _ in kept)
    rows = sorted((viewers[viewer], at, when, strength) for (viewer, at, when), strength in kept.items())
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return table[:, 0], table[:, 1], table[:, 3], table[:, 2]


def _counters(
    count: int, video: Ints, strength: Ints, when: Ints, settings: TrainSettings, hour: int
) -> dict[str, Any]:
    """Views, long watches, long watches by half-life, and the two scores made of them."""
    long = strength >= settings.finish
    age = np.minimum(hour - when[long], _TABLE_HOURS - 1)
    views = np.bincount(video, minlength=count)[:count].astype(np.int64)
    longs = np.bincount(video[long], minlength=count)[:count].astype(np.int64)
    windows = {}
    for name, half in (("longs_6h", 6), ("longs_24h", 24), ("longs_week", _WEEK_HOURS)):
        sums = np.zeros(count, dtype=np.int64)
        np.add.at(sums, video[long], half_life_table(half, _TABLE_HOURS)[age])
        windows[name] = sums * 256 // ONE
    # At a steady pace the day's window holds a seventh of the week's; a quarter above that, a rise begins.
    rise = np.maximum(windows["longs_24h"] - windows["longs_week"] * 5 // 28, 0)
    half = max(settings.rise_half * 256, int(rise.max(initial=0)) // 3)
    mean = 256 * int(longs.sum()) // max(int(views.sum()), 1)
    prior = max(settings.prior_views, 1)
    # A rise flattens by its root, so that the one biggest hit does not hide every other.
    return {
        "views": views,
        "longs": longs,
        "rise": isqrt(255 * 255 * rise // (rise + half)),
        "finish": (256 * longs + prior * mean) // (views + prior) - mean,
        **windows,
    }


def _graph(viewer: Ints, video: Ints, strength: Ints, count: int, settings: TrainSettings) -> Any:
    """One row a viewer and video, the strongest watch over all hours, weighted, into the graph."""
    order = np.lexsort((-strength, video, viewer))
    viewer, video, strength = viewer[order], video[order], strength[order]
    first = np.ones(viewer.size, dtype=np.bool_)
    first[1:] = (viewer[1:] != viewer[:-1]) | (video[1:] != video[:-1])
    level = np.where(strength >= settings.some, settings.some_weight, settings.skip_weight)
    weight = np.where(strength >= settings.finish, settings.finish_weight, level)
    keep = first & (weight > 0)
    return build_graph(
        viewer[keep], video[keep], weight[keep],
        videos=count, most=settings.neighbours, shrink=settings.shrink,
    )  # fmt: skip
