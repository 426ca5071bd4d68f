"""Builds a base snapshot from published videos and events: the same facts give the same bytes."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.catalogue import VideoFact, catalogue
from lightwell.recommender.counters import COUNTERS, Counters, Rules, rising, scores
from lightwell.recommender.graph import Graph, build_graph
from lightwell.recommender.happened import FOLLOW, Events, counted, events_of, number_of
from lightwell.recommender.integers import Ints
from lightwell.recommender.ranker import Ranker
from lightwell.recommender.snapshot import MOST_RISING, Snapshot, encode_parts

__all__ = ["VideoFact"]  # where it has always been found


class TrainError(ValueError):
    """Facts that contradict themselves: two videos of one id, a strength out of range."""


class WatchFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event: an opaque viewer, a video id, strength 0..255, whole hours since 1970, one of `KINDS`."""

    viewer: str
    video: str
    strength: int
    hour: int
    kind: str = "watch"


Small = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class TrainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What training does with events, named in its manifest by digest.

    finish, some: strengths from which a watch is long, or counts as a weak positive; below it is a skip.
    finish_weight, some_weight, skip_weight: their weights in the graph, 0..15.
    neighbours, shrink: see `build_graph`. edges: neighbours of all videos together, at most.
    rules: how scores follow from counters.
    """

    v: int = 2
    finish: Small = 192
    some: Small = 48
    finish_weight: Annotated[int, msgspec.Meta(ge=0, le=15)] = 4
    some_weight: Annotated[int, msgspec.Meta(ge=0, le=15)] = 2
    skip_weight: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0
    neighbours: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 200
    edges: Annotated[int, msgspec.Meta(ge=1, le=300_000_000)] = 200_000_000
    shrink: Small = 40
    rules: Rules = Rules()

    @property
    def digest(self) -> str:
        """SHA-256 of the settings, in hex."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a snapshot was made from, by digest: fields of a `SnapshotPublished` entry."""

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
        events: what viewers did; the order has no meaning. Those of unknown videos or later than `hour` are
            left out, and one viewer's watches of one video in one hour count once, the strongest of them.
        settings: see `TrainSettings`.
        hour: whole hours since 1970.

    Raises:
        TrainError: two videos of one id, or a strength outside 0..255.
    """
    return Snapshot.from_bytes(b"".join(build_base(videos, columns(events), settings, hour * 60)))


def build_base(
    videos: Iterable[VideoFact],
    events: Events,
    settings: TrainSettings,
    minute: int,
    *,
    graph: Graph | None = None,
    ranker: Ranker | None = None,
    features: int = 0,
) -> Iterator[bytes | memoryview]:
    """Build the base file that stands at `minute`, and yield it piece by piece.

    Args:
        videos, settings: as `build_snapshot`.
        events: what viewers did, in the order in which it was accepted.
        minute: whole minutes since 1970; later events are left out.
        graph: neighbours of the videos in order of id, instead of those fitted here.
        ranker, features: trees fitted from the same events, and how many features they read.

    Raises:
        TrainError: two videos of one id.
    """
    facts = sorted(videos, key=lambda fact: fact.id)
    for before, after in pairwise(facts):
        if before.id == after.id:
            raise TrainError(f"video {after.id} is given twice")
    arrays = catalogue(facts)
    events, at = known(events, arrays["ids"], minute)
    counters = Counters(len(facts), minute)
    for name, chosen in counted(events, settings.finish).items():
        counters.add(name, at[chosen], events["minute"][chosen].astype(np.int64))
    found = counters.at(minute)
    found |= scores(found, settings.rules)
    arrays |= {name: found[name] for name in (*COUNTERS, "trend", "rise", "finish")}
    arrays["rising"] = rising(arrays["ids"], found, MOST_RISING)
    graph = graph or fit_graph(events, at, len(facts), settings)
    arrays |= {"near_starts": graph.starts, "near": graph.near, "near_weight": graph.weight}
    return encode_parts(minute, arrays, rules=settings.rules, ranker=ranker, features=features)


def known(events: Events, ids: NDArray[np.uint64], minute: int) -> tuple[Events, Ints]:
    """Keep the events of known videos up to a minute; with them, the position of each one's video."""
    if not ids.size or not events.size:
        return events[:0], np.zeros(0, dtype=np.int64)
    at = ids.searchsorted(events["video"])
    at[at == ids.size] = 0
    keep = (ids[at] == events["video"]) & (events["minute"] <= minute)
    return events[keep], at[keep]


def columns(events: Iterable[WatchFact]) -> Events:
    """Make columns of facts; viewers are numbered in order of their names.

    Raises:
        TrainError: a strength outside 0..255, an unknown kind.
    """
    facts = list(events)
    viewers = {name: number for number, name in enumerate(sorted({fact.viewer for fact in facts}))}
    rows = []
    for fact in facts:
        kind = number_of(fact.kind)
        if not 0 <= fact.strength <= 255:
            raise TrainError(f"strength {fact.strength} is not in 0..255")
        if kind < 0:
            raise TrainError(f"no event is called {fact.kind!r}")
        rows.append((viewers[fact.viewer], int(fact.video, 16), fact.hour * 60, kind, fact.strength))
    return events_of(rows)


def fit_graph(events: Events, at: Ints, videos: int, settings: TrainSettings) -> Graph:
    """One row a viewer and video, the strongest watch of all time, weighted, into the co-watch graph."""
    chosen = np.flatnonzero(events["kind"] != FOLLOW)
    strength = events["strength"][chosen].astype(np.int64)
    _, viewer = np.unique(events["viewer"][chosen], return_inverse=True)
    video = at[chosen]
    order = np.lexsort((-strength, video, viewer))
    viewer, video, strength = viewer[order].astype(np.int64), video[order], strength[order]
    first = np.ones(viewer.size, dtype=np.bool_)
    first[1:] = (viewer[1:] != viewer[:-1]) | (video[1:] != video[:-1])
    level = np.where(strength >= settings.some, settings.some_weight, settings.skip_weight)
    weight = np.where(strength >= settings.finish, settings.finish_weight, level)
    keep = first & (weight > 0)
    return build_graph(
        viewer[keep], video[keep], weight[keep],
        videos=videos, most=min(settings.neighbours, max(settings.edges // max(videos, 1), 1)),
        shrink=settings.shrink,
    )  # fmt: skip


def manifest(snapshot: Snapshot, events: Iterable[WatchFact], settings: TrainSettings, code: str) -> Manifest:
    """Name what a snapshot was built from.

    Args:
        snapshot, events, settings: as given to `build_snapshot`; the order of events has no meaning.
        code: digest of the training code, from `code_digest`.
    """
    lines = sorted(f"{e.viewer} {e.video} {e.strength} {e.hour} {e.kind}\n" for e in events)
    return Manifest(
        snapshot=snapshot.digest,
        events=hashlib.sha256("".join(lines).encode()).hexdigest(),
        settings=settings.digest,
        code=code,
        videos=snapshot.size,
    )


def code_digest(files: Mapping[str, bytes]) -> str:
    """Digest of source files by name: SHA-256 over "sha256 name" lines in name order."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()} {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
