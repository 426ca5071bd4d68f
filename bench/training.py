"""Measures training: a whole model from many events, in a process of its own.

`LIGHTWELL_BENCH_EVENTS` and `LIGHTWELL_BENCH_VIDEOS` change how many there are.
"""

import contextlib
import os
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.made_catalogue import LIKE, POPULARITY_SIGMA, VIDEOS_A_MAKER, WATCH_DECILES
from lightwell.product.feed.training import TrainingSettings
from lightwell.product.feed.training_parts import Keeping
from lightwell.product.feed.training_process import TrainingProcess
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.happened import EVENT, Events, number_of

EVENTS, VIDEOS, VIEWERS = 10_000_000, 1_000_000, 200_000
GOAL_SECONDS, GOAL_GIB = 20 * 60, 8.0
NOW_MINUTE = 29_000_000
DAYS = 10
_TOPICS = 400
_LIKINGS = 3


def measure() -> list[dict[str, Any]]:
    events = int(os.environ.get("LIGHTWELL_BENCH_EVENTS", EVENTS))
    videos = int(os.environ.get("LIGHTWELL_BENCH_VIDEOS", VIDEOS))
    facts = made_facts(videos)
    happened = made_events(facts, events)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "base"
        began = time.monotonic()
        child = TrainingProcess(
            facts,
            happened,
            TrainingSettings(),
            NOW_MINUTE,
            out,
            keeping=Keeping.in_folder(Path(folder) / "kept"),
        )
        memory = _Memory()
        made = child.result()
        seconds = time.monotonic() - began
        most = memory.end()
        size = out.stat().st_size
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    what = f"{events:,} events, {made.videos:,} videos"
    return [
        _row("training", seconds, f"s for {what}", GOAL_SECONDS),
        _row("training_cpu", used.ru_utime + used.ru_stime, f"s of CPU for {what}", None),
        _row("training_memory", most / (1 << 20), f"GiB at most of all its processes for {what}", GOAL_GIB),
        _row("training_snapshot", size / (1 << 30), f"GiB of base snapshot for {what}", None),
    ]


class _Memory:
    """Looks every two seconds at what all processes below this one hold, shared pages counted once."""

    def __init__(self) -> None:
        self._most = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """Stop looking; return the most there was, in KiB."""
        self._stop.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._stop.wait(2):
            self._most = max(self._most, sum(map(_proportional, _below(os.getpid()))))


def _below(parent: int) -> list[int]:
    """The processes started by a process, and by those."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, new = [], [parent]
    while new:
        new = [pid for pid, above in parents.items() if above in new]
        found += new
    return found


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _row(name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "better": "lower",
        "goal": goal,
        "peer": None,
        "ratio": round(value / goal, 2) if goal else None,
    }


def made_facts(videos: int) -> list[VideoFact]:
    """Published videos over a month, each of a maker and a topic."""
    draw = np.random.default_rng(5)
    ids = np.unique(draw.integers(1 << 40, 1 << 63, size=videos + videos // 100 + 64, dtype=np.uint64))[
        :videos
    ]
    makers = draw.integers(0, int(videos / VIDEOS_A_MAKER) or 1, videos).tolist()
    topics = draw.integers(0, _TOPICS, videos).tolist()
    ages = draw.integers(60, 30 * 86_400, videos).tolist()
    facts = []
    for video_id, maker, topic, age in zip(ids.tolist(), makers, topics, ages, strict=True):
        hour, second = divmod(NOW_MINUTE * 60 - age, 3600)
        facts.append(
            VideoFact(
                id=f"{video_id:016x}",
                creator=f"us:maker.{maker}",
                tags=[f"tag{topic}"],
                hour=hour,
                second=second,
                region="us",
                duration=15_000,
            )
        )
    return facts


def made_events(facts: list[VideoFact], count: int) -> Events:
    """Watches, skips and likes over ten days; viewers mostly watch long what is of their few topics."""
    draw = np.random.default_rng(6)
    ids = np.array([int(fact.id, 16) for fact in facts], dtype=np.uint64)
    topic = np.array([int(fact.tags[0][3:]) for fact in facts])
    appeal = draw.lognormal(0.0, POPULARITY_SIGMA, ids.size).cumsum()
    events = np.zeros(count, dtype=EVENT)
    viewer = draw.integers(0, min(VIEWERS, max(count // 50, 1)), count)
    video = appeal.searchsorted(draw.random(count) * appeal[-1])
    liking = draw.integers(0, _TOPICS, (viewer.max() + 1, _LIKINGS))
    is_liked = (liking[viewer] == topic[video][:, None]).any(axis=1)
    watched = np.interp(draw.random(count), np.linspace(0, 1, len(WATCH_DECILES)), WATCH_DECILES)
    strength = np.where(is_liked, np.maximum(watched, draw.random(count) ** 0.3), watched)
    events["viewer"] = viewer + 1
    events["video"] = ids[video]
    events["minute"] = np.sort(NOW_MINUTE - draw.integers(0, DAYS * 1440, count))
    events["strength"] = (255 * strength).astype(np.uint8)
    kind = np.where(strength < 0.05, number_of("skip"), number_of("watch"))
    events["kind"] = np.where(draw.random(count) < LIKE, number_of("like"), kind)
    return events
