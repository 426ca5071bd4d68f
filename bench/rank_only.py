"""How long one process ranks a slate of 10, at three sizes of catalogue, and how long kernels take to load.

The catalogue has the shapes of real viewing (`bench.made_catalogue`), 200 neighbours a video and 100 trees;
each viewer has watched 50 videos. `LIGHTWELL_BENCH_SIZES` names other sizes, with commas between.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import msgspec
import numpy as np
from rich.progress import Progress

from bench.made_catalogue import made_arrays, made_ranker
from lightwell.recommender import kernels
from lightwell.recommender.features import FEATURES
from lightwell.recommender.pipeline import rank
from lightwell.recommender.policy import RankingPolicy, default_policy
from lightwell.recommender.record import Request, SlateInputs, Viewer
from lightwell.recommender.snapshot import Snapshot, encode

SIZES = (10_000, 100_000, 1_000_000)
VIEWERS, WATCHED = 1_000, 50
GOAL_MS = 1.0


def measure() -> list[dict[str, Any]]:
    sizes = [int(size) for size in os.environ.get("LIGHTWELL_BENCH_SIZES", "").split(",") if size] or SIZES
    empty, kept = _ready()
    rows = [
        _row("rank_kernels_empty_cache", empty, "s to import and compile, nothing kept", None),
        _row("rank_kernels_kept", kept, "s to import and load what is kept", None),
    ]
    kernels.warm()
    with Progress() as progress:
        task = progress.add_task("ranking", total=len(sizes))
        for size in sizes:
            found = times(size)
            goal = GOAL_MS if size == max(sizes) else None
            rows.append(_row(f"rank_only_{size}", statistics.median(found), "ms a slate, median", goal))
            late = sorted(found)[int(0.99 * len(found))]
            rows.append(_row(f"rank_only_{size}_p99", late, "ms a slate, 99th of 100", None))
            progress.advance(task)
    rows.append({**next(row for row in reversed(rows) if "p99" not in row["name"]), "name": "rank_only"})
    return rows


def times(size: int) -> list[float]:
    """Return the milliseconds that each of many viewers' slates took, in a catalogue of this size."""
    snapshot = made_snapshot(size)
    policy = default_policy()
    records = made_records(snapshot, policy, VIEWERS)
    for record in records[:50]:
        rank(snapshot, policy, record)
    found = []
    for record in records:
        begun = time.perf_counter()
        rank(snapshot, policy, record)
        found.append((time.perf_counter() - begun) * 1e3)
    return found


def made_snapshot(size: int) -> Snapshot:
    """Return a snapshot of so many videos with a ranker."""
    ranker = made_ranker(len(FEATURES))
    data = encode(int(time.time()) // 60, made_arrays(size), ranker=ranker, features=len(FEATURES))
    return Snapshot.from_bytes(data)


def made_records(snapshot: Snapshot, policy: RankingPolicy, count: int) -> list[SlateInputs]:
    """Return records of viewers who each watched videos of a few topics, some of them long."""
    draw = np.random.default_rng(5)
    topics = len(snapshot.topics)
    by_topic = np.argsort(snapshot.topic, kind="stable")
    starts = np.searchsorted(snapshot.topic[by_topic], np.arange(topics + 1))
    records = []
    for _ in range(count):
        liked = draw.integers(0, topics, 4)
        some = [by_topic[starts[topic] : starts[topic + 1]] for topic in liked]
        of_topics = np.concatenate(some)
        at = np.concatenate((draw.choice(of_topics, WATCHED - 15), draw.integers(0, snapshot.size, 15)))
        watched = [snapshot.name(int(video)) for video in dict.fromkeys(draw.permutation(at).tolist())]
        strengths = draw.choice([0, 20, 90, 220, 255], len(watched)).tolist()
        records.append(
            SlateInputs(
                cell="us",
                snapshot=snapshot.digest,
                policy=policy.digest,
                seed=draw.bytes(16).hex(),
                request=Request(k=10, hour=snapshot.hour),
                viewer=Viewer(region="us", watched=list(zip(watched, strengths, strict=True)), seen=watched),
            )
        )
    return [msgspec.convert(msgspec.to_builtins(record), SlateInputs) for record in records]


def _ready() -> tuple[float, float]:
    """Return the seconds a new process needs before it can rank, without and with kept kernels."""
    code = "from lightwell.recommender import kernels; kernels.warm()"
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for _ in range(2):
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", code], env=os.environ | {"NUMBA_CACHE_DIR": folder}, check=True
            )
            found.append(time.perf_counter() - begun)
    return found[0], found[1]


def _row(name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    blank = {"peer": None, "ratio": None}
    return {"name": name, "value": round(value, 3), "unit": unit, "better": "lower", "goal": goal, **blank}
