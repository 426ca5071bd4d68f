"""Small catalogues with simulated viewers, the same at every run, for the recommender's tests."""

from functools import cache
from typing import Any

import msgspec

from lightwell.recommender.draws import below, philox
from lightwell.recommender.pipeline import Ranked, rank
from lightwell.recommender.policy import RankingPolicy, default_policy, parse
from lightwell.recommender.record import Request, SlateInputs, Tab, Viewer
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import TrainSettings, VideoFact, WatchFact, build_snapshot

HOUR = 480_000
TOPICS = ("folds", "ink", "tide", "neon", "moss", "glass")
POLICY = default_policy()
SEED = "00112233445566778899aabbccddeeff"


def numbers(seed: int, count: int) -> list[int]:
    """Integers below 2^64, a function of the seed."""
    return philox(seed, 0, count)


def shuffled(items: list, seed: int) -> list:
    """The items in an order given by the seed."""
    return [
        item for _, item in sorted(zip(numbers(seed, len(items)), items, strict=True), key=lambda p: p[0])
    ]


@cache
def catalogue(size: int = 60) -> tuple[VideoFact, ...]:
    """Videos over six topics, several creators a topic, sounds shared across topics."""
    return tuple(
        VideoFact(
            id=f"{number:016x}",
            creator=f"us:{TOPICS[at % 6]}.{at // 6 % max(2, size // 60)}",
            sound=f"{at % 11:016x}" if at % 7 else None,
            tags=[TOPICS[at % 6], "generative"],
            hour=HOUR - 1 - below(number, 60),
            second=at % 3600,
            region="us",
        )
        for at, number in enumerate(numbers(size, size))
    )


@cache
def topic_of(size: int = 60) -> dict[str, str]:
    """Topic by video id."""
    return {fact.id: fact.tags[0] for fact in catalogue(size)}


@cache
def watches(size: int = 60, viewers: int = 60) -> tuple[WatchFact, ...]:
    """Each viewer watches thirty videos: through, if of the one topic they like, and hardly at all if not."""
    facts = []
    for person in range(viewers):
        some = shuffled(list(catalogue(size)), 1000 + person)[:30]
        for at, fact in enumerate(some):
            liked = fact.tags[0] == TOPICS[person % 6]
            facts.append(WatchFact(f"p{person}", fact.id, 200 + at if liked else at, HOUR - 1 - at % 30))
    return tuple(facts)


@cache
def snapshot(size: int = 60, viewers: int = 60) -> Snapshot:
    """The snapshot of that world."""
    return build_snapshot(catalogue(size), watches(size, viewers), TrainSettings(), HOUR)


IDS = [fact.id for fact in catalogue()]
CREATORS = sorted({fact.creator for fact in catalogue()})


def fan(topic: str, events: int = 15, size: int = 60, seed: int = 5) -> Viewer:
    """A viewer who was shown some videos, finished those of one topic and skipped the others."""
    shown = [fact.id for fact in shuffled(list(catalogue(size)), seed)][:events]
    topics = topic_of(size)
    return Viewer(
        region="us", watched=[(video, 250 if topics[video] == topic else 8) for video in shown], seen=shown
    )


def inputs(
    viewer: Viewer | None = None,
    *,
    world: Snapshot | None = None,
    policy: RankingPolicy = POLICY,
    tab: Tab = "for_you",
    k: int = 10,
    seed: str = SEED,
    withdrawn: list[str] | None = None,
) -> SlateInputs:
    """The record of one request."""
    return SlateInputs(
        cell="us",
        snapshot=(world or snapshot()).digest,
        policy=policy.digest,
        seed=seed,
        request=Request(tab=tab, k=k, hour=HOUR),
        viewer=viewer or Viewer(region="us"),
        withdrawn=withdrawn or [],
    )


def ranked(viewer: Viewer | None = None, **options: Any) -> Ranked:
    """Rank one request; options as `inputs`."""
    return rank(
        options.get("world") or snapshot(), options.get("policy") or POLICY, inputs(viewer, **options)
    )


def shown(result: Ranked) -> list[str]:
    """The videos of a slate."""
    return [item.video for item in result.slate.items]


def policy_with(**sections: Any) -> RankingPolicy:
    """The default policy with some sections changed."""
    return parse(msgspec.json.encode(sections))
