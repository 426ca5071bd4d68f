"""Rankers with drawn questions over a small world, the same at every run."""

from functools import cache

import numpy as np

from lightwell.recommender import live
from lightwell.recommender.counters import COUNTERS
from lightwell.recommender.features import FEATURES
from lightwell.recommender.ranker import ARRAYS, Ranker
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import TrainSettings, build_base, columns
from tests.unit.recommender.worlds import HOUR, catalogue, numbers, shuffled, watches


def drawn(outcomes: tuple[str, ...], trees: int, leaves: int, seed: int) -> Ranker:
    """Trees that grow leaf by leaf at drawn places, so that some ways are long and some short."""
    found: dict[str, list[int]] = {name: [] for name in ARRAYS}
    found["tree_starts"] = [at * trees for at in range(len(outcomes) + 1)]
    for tree in range(len(outcomes) * trees):
        luck = iter(numbers(seed * 1_000 + tree, 8 * leaves))
        root = len(found["feature"])
        found["root"].append(root)
        open_leaves = [root]
        _leaf(found, next(luck))
        while len(open_leaves) < leaves:
            at = open_leaves.pop(next(luck) % len(open_leaves))
            found["feature"][at] = next(luck) % len(FEATURES)
            found["threshold"][at] = next(luck) % 120
            for side in ("left", "right"):
                found[side][at] = len(found["feature"])
                open_leaves.append(len(found["feature"]))
                _leaf(found, next(luck))
    return Ranker.of(outcomes, {name: np.array(found[name]) for name in ARRAYS}, len(FEATURES))


def _leaf(found: dict[str, list[int]], luck: int) -> None:
    at = len(found["feature"])
    for name, value in (("feature", -1), ("threshold", 0), ("left", at), ("right", at)):
        found[name].append(value)
    found["value"].append(luck % 401 - 200)


@cache
def ranked_world(size: int = 60, viewers: int = 60) -> Snapshot:
    """The small world with a ranker of three outcomes."""
    ranker = drawn(("relevance", "long", "skip"), 12, 16, 7)
    events = columns(watches(size, viewers))
    parts = build_base(
        catalogue(size), events, TrainSettings(), HOUR * 60, ranker=ranker, features=len(FEATURES)
    )
    return Snapshot.from_bytes(b"".join(parts))


@cache
def base_and_update() -> tuple[Snapshot, bytes]:
    """A base of most of the small world with a ranker, and an update that adds the rest."""
    facts = shuffled(list(catalogue()), 77)
    old, new = facts[:45], sorted(facts[45:], key=lambda fact: (fact.published, fact.id))
    ranker = drawn(("relevance", "hide"), 12, 16, 8)
    parts = build_base(
        old, columns(watches()), TrainSettings(), HOUR * 60 - 600, ranker=ranker, features=len(FEATURES)
    )
    base = Snapshot.from_bytes(b"".join(parts))
    more = [np.arange(len(new)), np.zeros(len(new), dtype=np.int64)]
    found = {name: np.concatenate((getattr(base, name), more[name != "views"])) for name in COUNTERS}
    return base, live.encode_update(base, HOUR * 60, new, found)


@cache
def updated_world() -> Snapshot:
    """The base with its update."""
    return live.apply(*base_and_update())
