"""Measures the memory of a large snapshot: what processes share, and what each more of them adds.

`LIGHTWELL_BENCH_VIDEOS` changes how many videos there are.
"""

import hashlib
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.made_catalogue import made_arrays
from lightwell.product.feed.snapshot_files import Base
from lightwell.recommender import kernels, live
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.counters import COUNTERS
from lightwell.recommender.pipeline import make_ready
from lightwell.recommender.snapshot import Snapshot, encode_parts

VIDEOS, ADDED, TOUCHED = 1_000_000, 1_000, 50_000
GOAL_SHARED_GIB, GOAL_EACH_MIB = 2.0, 300.0
_MIB = 1 << 20


def measure() -> list[dict[str, Any]]:
    videos = int(os.environ.get("LIGHTWELL_BENCH_VIDEOS", VIDEOS))
    with tempfile.TemporaryDirectory() as folder:
        base, update = Path(folder) / "base", Path(folder) / "update"
        # Made in a process of its own: making takes more memory than holding.
        subprocess.run([sys.executable, "-m", __spec__.name, "make", str(videos), base, update], check=True)
        told = subprocess.Popen([sys.executable, "-m", __spec__.name, "hold", base, update], **_PIPES)
        first = _answer(told)
        other = subprocess.Popen([sys.executable, "-m", __spec__.name, "hold", base, update], **_PIPES)
        second = _answer(other)
        for child in (told, other):
            child.communicate("end\n")
        size, bytes_of_update = base.stat().st_size, update.stat().st_size
    what = f"{videos:,} videos"
    return [
        _row("snapshot_shared", size / (1 << 30), f"GiB, {what} with neighbours", GOAL_SHARED_GIB),
        _row("snapshot_each", second["private"], f"MiB more a process, {what}", GOAL_EACH_MIB),
        _row(
            "snapshot_switch",
            second["switch"],
            f"MiB more while an update is taken up, {what}",
            GOAL_EACH_MIB,
        ),
        _row("snapshot_check", first["check"], f"s of CPU to check a base, {what}", None),
        _row("snapshot_apply", second["apply"] * 1000, f"ms of CPU to take up an update, {what}", None),
        _row("snapshot_update", bytes_of_update / 1024, f"KiB of update, {TOUCHED:,} videos counted", None),
    ]


_PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}


def _answer(child: subprocess.Popen[str]) -> dict[str, float]:
    assert child.stdout is not None
    answer: dict[str, float] = json.loads(child.stdout.readline())
    return answer


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


def _make(videos: int, base: Path, update: Path) -> None:
    minute = int(time.time()) // 60
    with base.open("wb") as file:
        for piece in encode_parts(minute, made_arrays(videos)):
            file.write(piece)
    with base.open("rb") as file:
        snapshot = Snapshot.from_bytes(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    draw = np.random.default_rng(3)
    added = [
        VideoFact(
            id=f"{at + 1:016x}", creator=f"us:later.{at}", tags=["later"], hour=minute // 60, region="us"
        )
        for at in range(ADDED)
    ]
    touched = np.sort(draw.permutation(videos)[:TOUCHED])
    found = {name: np.append(getattr(snapshot, name), np.zeros(ADDED, np.int64)) for name in COUNTERS}
    for name in COUNTERS:
        found[name][touched] += draw.integers(1, 500, touched.size)
    update.write_bytes(live.encode_update(snapshot, minute + 5, added, found))


def _hold(base: Path, update: Path) -> None:
    """Hold a base and an update as a web process does, and say what that costs, until told to end."""
    file = base.open("rb")
    kernels.warm()
    before, cpu = _private(), time.process_time()
    whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    held = Base(Snapshot.from_bytes(whole), file)
    check = time.process_time() - cpu
    data = update.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    now = held.with_update(data, digest)
    # Laid out as a web process does before it serves.
    make_ready(now)
    private = _private() - before
    cpu = time.process_time()
    newer = held.with_update(data, digest)
    make_ready(newer)
    apply = time.process_time() - cpu
    switch = _private() - before
    assert now.size == newer.size
    print(json.dumps({"private": private, "switch": switch, "check": check, "apply": apply}), flush=True)
    sys.stdin.readline()


def _private() -> float:
    """MiB that this process has for itself."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024 / _MIB


if __name__ == "__main__":
    if sys.argv[1] == "make":
        _make(int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        _hold(Path(sys.argv[2]), Path(sys.argv[3]))
