"""Writes the vectors of this folder: run `python conformance/slates/make.py`; each time the same bytes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from lightwell.recommender.draws import philox
from lightwell.recommender.features import FEATURES
from lightwell.recommender.pipeline import rank
from lightwell.recommender.policy import default_policy, dump
from lightwell.recommender.ranker import Ranker
from lightwell.recommender.record import Request, SlateInputs, Tab, Viewer, inputs_bytes, slate_bytes
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import TrainSettings, VideoFact, WatchFact, build_base, columns

HERE = Path(__file__).parent
HOUR = 472_222
TOPICS = ("folds", "ink", "tide")
COLUMN = {feature.name: at for at, feature in enumerate(FEATURES)}
_BLOCK = 64


def _trees() -> Ranker:
    """Two outcomes of two trees of one and two questions."""
    # (feature, at most, left, right) of a question, or the value of a leaf; a node's place is its number.
    nodes: list[tuple[str, int, int, int, int] | int] = [
        ("graph_trend", 40, 1, 2, 60), -300, ("creator_long", 0, 3, 4, 240), 120, 500,
        ("long_share", 70, 6, 7, 10), -200, 260,
        ("topic_rate", 90, 9, 10, 30), -150, 210,
        ("age", 24, 12, 13, -20), 80, -120,
    ]  # fmt: skip
    asked = [node if isinstance(node, tuple) else ("", 0, at, at, node) for at, node in enumerate(nodes)]
    names = ("threshold", "left", "right", "value")
    arrays = {name: np.array([node[1 + at] for node in asked]) for at, name in enumerate(names)}
    arrays["feature"] = np.array([COLUMN[node[0]] if node[0] else -1 for node in asked])
    arrays |= {"tree_starts": np.array([0, 2, 4]), "root": np.array([0, 5, 8, 11])}
    return Ranker.of(("relevance", "skip"), arrays, len(FEATURES))


def _snapshot() -> Snapshot:
    luck = philox(1, 0, 30)
    videos = [
        VideoFact(
            id=f"{number:016x}",
            creator=f"us:{TOPICS[at % 3]}.{at // 3 % 2}",
            sound=f"{at % 5:016x}" if at % 4 else None,
            tags=[TOPICS[at % 3], "made"],
            hour=HOUR - 1 - at * 7,
            second=at,
            region="us",
        )
        for at, number in enumerate(luck)
    ]
    watches = [
        WatchFact(f"p{person}", video.id, 240 if at % 3 == person % 3 else 10, HOUR - 1 - (at + person) % 40)
        for person in range(12)
        for at, video in enumerate(videos)
        if (at * 5 + person) % 4
    ]
    parts = build_base(
        videos, columns(watches), TrainSettings(), HOUR * 60, ranker=_trees(), features=len(FEATURES)
    )
    return Snapshot.from_bytes(b"".join(parts))


def _records(snapshot: Snapshot, policy: str) -> list[SlateInputs]:
    ids = [snapshot.name(at) for at in range(snapshot.size)]
    some = Viewer(
        region="us",
        watched=[(video, (at * 83) % 256) for at, video in enumerate(ids[:9])],
        seen=ids[:9],
        likes=ids[2:3],
        hidden=ids[4:5],
        follows=["us:ink.1"],
        muted=["us:tide.0"],
        own="us:folds.0",
    )
    gone = [f"{at:016x}" for at in range(10)]
    everything = Viewer(region="us", watched=[(video, 200) for video in ids[:5]], seen=ids + gone)
    asked: list[tuple[Viewer, Tab, int]] = [
        (Viewer(region="us"), "for_you", 6),
        (some, "for_you", 6),
        (some, "for_you", 6),
        (everything, "for_you", 4),
        (some, "following", 6),
        (some, "newest", 6),
        (Viewer(region="us"), "without_profiling", 6),
    ]
    return [
        SlateInputs(
            cell="us",
            snapshot=snapshot.digest,
            policy=policy,
            seed=hashlib.sha256(b"conformance slate %d" % at).hexdigest()[:32],
            request=Request(tab=tab, k=k, hour=HOUR),
            viewer=viewer,
            withdrawn=ids[20:21],
        )
        for at, (viewer, tab, k) in enumerate(asked)
    ]


def vectors() -> dict[str, Any]:
    """A snapshot and a policy with the slates they give."""
    snapshot, policy = _snapshot(), default_policy()
    data = snapshot.to_bytes()
    blocks = [(at, data[at : at + _BLOCK]) for at in range(0, len(data), _BLOCK)]
    slates = []
    for record in _records(snapshot, policy.digest):
        ranked = rank(snapshot, policy, record)
        slates.append(
            {
                "inputs": inputs_bytes(record).decode(),
                "slate": slate_bytes(ranked.slate).decode(),
                "reasons": [[[part.code, part.points] for part in parts] for parts in ranked.reasons],
                "propensities": ranked.propensities,
                "dropped": [list(pair) for pair in ranked.dropped],
            }
        )
    return {
        "snapshot": {
            "digest": snapshot.digest,
            "size": len(data),
            "blocks": [[at, block.hex()] for at, block in blocks if any(block)],
        },
        "policy": dump(policy).decode(),
        "slates": slates,
    }


def render() -> str:
    """Return the text of the vector file."""
    return json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    (HERE / "slates.json").write_text(render(), "ascii")
