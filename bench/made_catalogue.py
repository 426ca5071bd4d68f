"""A catalogue of any size as arrays, drawn from shapes measured in real viewing; the same for the same seed.

The shapes are those of KuaiRand-Pure (Gao et al., CIKM 2022), exposures of 25-30 April and the history
before them: how popular videos are, how long, how many by one maker, to one sound, with one tag, and what
share of them people watch. Which video neighbours which is drawn, not learnt: neighbours share a topic, and
the popular ones are more often among them.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import counters
from lightwell.recommender.catalogue import belonging
from lightwell.recommender.counters import Rules
from lightwell.recommender.ranker import Ranker
from lightwell.recommender.words import Words

POPULARITY_SIGMA = 1.37
"""Of the logarithm of exposures a video; the top tenth then has over half of them, as there."""
DURATION_MU, DURATION_SIGMA = 11.135, 1.034
"""Of the logarithm of the duration in milliseconds."""
VIDEOS_A_MAKER, VIDEOS_A_SOUND = 1.165, 1.053
TAGS_MEASURED, VIDEOS_MEASURED = 111, 7_583
LONG, LIKE, SHARE = 0.307, 0.0171, 0.0014
WATCH_DECILES = (0.0, 0.0, 0.0116, 0.026, 0.0514, 0.096, 0.184, 0.384, 0.827, 1.0, 1.0)
"""Share of the duration that people watched, at each tenth of the exposures."""
NEIGHBOURS = 200
TREES, LEAF_DEPTH = 100, 5
_CHUNK = 50_000


def made_arrays(videos: int, seed: int = 1) -> dict[str, Any]:
    """Return every array and all words of a base file, for `snapshot.encode_parts`.

    Args:
        videos: how many.
        seed: of the draws.
    """
    draw = np.random.default_rng(seed)
    now = int(time.time())
    ids = np.unique(draw.integers(1 << 40, 1 << 63, size=videos + videos // 100 + 64, dtype=np.uint64))
    ids = np.sort(draw.permutation(ids)[:videos])
    topics = max(4, int(TAGS_MEASURED * (videos / VIDEOS_MEASURED) ** 0.5))
    appeal = draw.lognormal(0.0, POPULARITY_SIGMA, videos)
    topic = draw.integers(0, topics, videos)
    views = draw.poisson(appeal * 40)
    longs = draw.binomial(views, np.clip(draw.beta(3.1, 7.0, videos), 0.02, 0.9))
    age = draw.exponential(20 * 86_400, videos).astype(np.int64)
    lately = np.clip(86_400 / (age + 86_400), 0.01, 1.0)
    found: dict[str, Any] = {
        "views": views,
        "longs": longs,
        "likes": draw.binomial(views, LIKE),
        "shares": draw.binomial(views, SHARE),
        "skips": draw.binomial(views - longs, 0.4),
        **{
            name: (longs * 256 * np.minimum(1.0, lately * part)).astype(np.int64)
            for name, part in (("longs_1h", 0.05), ("longs_6h", 0.3), ("longs_24h", 1.0), ("longs_week", 6.0))
        },
        "views_24h": (views * 256 * lately).astype(np.int64),
    }
    found |= counters.scores(found, Rules())
    tags = np.sort(np.stack([topic, (topic * 7 + draw.integers(0, 9, videos)) % topics]), axis=0).T
    distinct = 1 + (tags[:, 0] != tags[:, 1])
    makers, sounds = int(videos / VIDEOS_A_MAKER) or 1, int(videos / VIDEOS_A_SOUND) or 1
    arrays: dict[str, Any] = {
        "ids": ids,
        "creators": _words("us:maker.", makers),
        "sounds": _words("", sounds, 16),
        "tags": _words("tag", topics),
        "topics": _words("tag", topics),
        "regions": Words.of(["us"]),
        "audiences": Words.of([""]),
        "creator": draw.integers(0, makers, videos),
        "sound": draw.integers(0, sounds, videos),
        "topic": topic,
        "region": np.zeros(videos, dtype=np.int64),
        "audience": np.zeros(videos, dtype=np.int64),
        "published": now - 3600 - age,
        "duration": np.clip(draw.lognormal(DURATION_MU, DURATION_SIGMA, videos), 1_000, 600_000).astype(
            np.int64
        ),
        "tag_starts": np.concatenate(([0], distinct.cumsum())),
        "tag": tags[np.stack([np.ones(videos, dtype=bool), distinct == 2]).T],
        **found,
    }
    arrays["tag_rarity"] = 256 - 256 * np.bincount(arrays["tag"], minlength=topics) // videos
    arrays["rising"] = counters.rising(ids, found, 1000)
    arrays |= belonging(arrays)
    arrays |= _neighbours(topic, appeal, topics, draw)
    return arrays


def made_ranker(features: int, seed: int = 2) -> Ranker:
    """Return as many trees and leaves as a trained ranker has, with drawn questions and small values."""
    draw = np.random.default_rng(seed)
    inner, nodes = (1 << LEAF_DEPTH) - 1, (2 << LEAF_DEPTH) - 1
    at = np.tile(np.arange(nodes), TREES)
    root = np.repeat(np.arange(TREES) * nodes, nodes)
    is_inner = at < inner
    feature = np.where(is_inner, draw.integers(0, features, at.size), -1)
    return Ranker.of(
        ("relevance",),
        {
            "tree_starts": np.array([0, TREES], dtype=np.int32),
            "root": (np.arange(TREES) * nodes).astype(np.int32),
            "feature": feature.astype(np.int16),
            "threshold": np.where(is_inner, draw.integers(0, 120, at.size), 0).astype(np.int32),
            "left": (root + np.where(is_inner, 2 * at + 1, at)).astype(np.int32),
            "right": (root + np.where(is_inner, 2 * at + 2, at)).astype(np.int32),
            "value": draw.integers(-60, 61, at.size).astype(np.int32),
        },
        features,
    )


def _words(before: str, count: int, width: int = 8) -> Words:
    """Numbered words of one width, made without a loop over a million of them."""
    digits = np.arange(count)[:, None] // 10 ** np.arange(width - 1, -1, -1, dtype=np.int64) % 10
    row = np.empty((count, len(before) + width + 1), dtype=np.uint8)
    row[:, : len(before)] = np.frombuffer(before.encode(), dtype=np.uint8)
    row[:, len(before) : -1] = digits + ord("0")
    row[:, -1] = ord("\n")
    return Words(row.tobytes(), np.arange(count + 1, dtype=np.int64) * row.shape[1])


def _neighbours(
    topic: NDArray[np.int64], appeal: NDArray[np.float64], topics: int, draw: np.random.Generator
) -> dict[str, NDArray[Any]]:
    videos = topic.size
    each = min(NEIGHBOURS, videos - 1)
    # Of each topic the most popular first: a low draw to a power picks them more often.
    members = np.lexsort((-appeal, topic))
    starts = topic[members].searchsorted(np.arange(topics + 1))
    near = np.empty((videos, each), dtype=np.int32)
    for first in range(0, videos, _CHUNK):
        own = topic[first : first + _CHUNK]
        among = starts[own + 1] - starts[own]
        place = draw.random((own.size, each), dtype=np.float32) ** np.float32(1.5)
        picked = starts[own][:, None] + (place * among[:, None]).astype(np.int64)
        near[first : first + _CHUNK] = members[picked]
    weight = np.maximum(127 / (1 + np.arange(each) / 40), 1).astype(np.int8)
    return {
        "near_starts": np.arange(videos + 1, dtype=np.int64) * each,
        "near": near.reshape(-1),
        "near_weight": np.tile(weight, videos),
    }
