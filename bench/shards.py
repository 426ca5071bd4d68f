"""What a catalogue split over processes costs: memory of each, CPU a slate; and that the bytes are equal.

For 1, 2 and 4 shards. With 1 the process that ranks maps the whole, as a cell does by default. Records are
those of `bench.rank_only`. CPU times of all processes are summed, so that other work on the machine does not
count; slates are ranked one at a time. `LIGHTWELL_BENCH_VIDEOS` changes how many videos there are.
"""

import hashlib
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.made_catalogue import made_arrays, made_ranker
from bench.rank_only import made_records
from lightwell.base.shard_files import folder_of, update_of
from lightwell.product.feed.shards_files import read_cover, write_parts
from lightwell.product.feed.shards_keeper import ShardKeeper
from lightwell.product.feed.shards_links import Links
from lightwell.product.feed.shards_serving import hold_everywhere
from lightwell.product.feed.snapshot_files import Base
from lightwell.recommender import kernels, live, pipeline, shards_rank
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.counters import COUNTERS
from lightwell.recommender.features import FEATURES
from lightwell.recommender.policy import default_policy
from lightwell.recommender.record import SlateInputs, inputs_bytes, read_inputs, slate_bytes
from lightwell.recommender.snapshot import Snapshot, encode_parts

VIDEOS, ADDED, TOUCHED, SLATES = 1_000_000, 1_000, 50_000, 300
SHARDS = (1, 2, 4)
_MIB = 1 << 20
_TICKS = os.sysconf("SC_CLK_TCK")


def measure() -> list[dict[str, Any]]:
    videos = int(os.environ.get("LIGHTWELL_BENCH_VIDEOS", VIDEOS))
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name:
        for shards in SHARDS:
            # Each in a process of its own, so that none has memory of the one before.
            command = [sys.executable, "-m", "bench.shards"]
            if shards == SHARDS[0]:
                subprocess.run([*command, "make", str(videos), name], check=True)
            done = subprocess.run(
                [*command, "rank", str(shards), name], check=True, stdout=subprocess.PIPE, text=True
            )
            found[shards] = json.loads(done.stdout.splitlines()[-1])
    rows = []
    for shards, one in found.items():
        what = f"{shards} shards, {videos:,} videos" if shards > 1 else f"not split, {videos:,} videos"
        rows += [
            _row(f"shards_{shards}_mapped", one["mapped"], f"MiB of files in the largest process, {what}"),
            _row(
                f"shards_{shards}_own", one["own"], f"MiB of its own in each process of the catalogue, {what}"
            ),
            _row(f"shards_{shards}_front", one["front_own"], f"MiB of its own in the front, {what}"),
            _row(f"shards_{shards}_cpu", one["cpu"], f"ms of CPU a slate in all processes, {what}"),
            _row(f"shards_{shards}_cpu_front", one["cpu_front"], f"ms of that in the front, {what}"),
            _row(f"shards_{shards}_sent", one["sent"], f"KiB between processes a slate, {what}"),
            _row(f"shards_{shards}_update", one["update"], f"s of CPU to take up an update, {what}"),
            _row(f"shards_{shards}_split", one["split"], f"s of CPU to split a base, {what}"),
        ]
    same = sum(one["digest"] == found[1]["digest"] for one in found.values())
    rows.append(_row("shards_identical", same, f"of {len(found)} ways gave the same {SLATES} slates"))
    return rows


def _row(name: str, value: float, unit: str) -> dict[str, Any]:
    blank = {"goal": None, "peer": None, "ratio": None}
    better = "higher" if name == "shards_identical" else "lower"
    return {"name": name, "value": round(value, 3), "unit": unit, "better": better, **blank}


def _make(videos: int, folder: Path) -> None:
    minute = int(time.time()) // 60
    digest = hashlib.sha256()
    with (folder / "base").open("wb") as file:
        features = len(FEATURES)
        ranker = made_ranker(features)
        for piece in encode_parts(minute, made_arrays(videos), ranker=ranker, features=features):
            digest.update(piece)
            file.write(piece)
    snapshot = _mapped(folder / "base")
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
    (folder / "update").write_bytes(live.encode_update(snapshot, minute + 5, added, found))


def _mapped(file: Path) -> Snapshot:
    with file.open("rb") as opened:
        return Snapshot.from_bytes(memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)))


def _rank(shards: int, folder: Path) -> dict[str, float | str]:
    kernels.warm()
    update = (folder / "update").read_bytes()
    return _rank_whole(folder, update) if shards == 1 else _rank_split(shards, folder, update)


def _rank_whole(folder: Path, update: bytes) -> dict[str, float | str]:
    file = (folder / "base").open("rb")
    whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    base = Base(Snapshot.from_bytes(whole), file)
    before = _own(os.getpid())
    begun = time.process_time()
    now = base.with_update(update, hashlib.sha256(update).hexdigest())
    taken = time.process_time() - begun
    records, policy = made_records(now, default_policy(), SLATES), default_policy()
    (folder / "records").write_bytes(
        json.dumps([inputs_bytes(record).decode() for record in records]).encode()
    )
    cpu, digest = _timed(records, lambda record: pipeline.rank(now, policy, record))
    return {
        "mapped": (folder / "base").stat().st_size / _MIB,
        "own": _own(os.getpid()) - before,
        "front_own": 0.0,
        "cpu": cpu,
        "cpu_front": cpu,
        "sent": 0.0,
        "update": taken,
        "split": 0.0,
        "digest": digest,
    }


def _rank_split(shards: int, folder: Path, update: bytes) -> dict[str, float | str]:
    parts = folder / f"parts-{shards}"
    parts.mkdir(mode=0o700)
    # The front does not split what it ranks from here, lest that be counted as its memory.
    splitting = [sys.executable, "-m", "bench.shards", "split", str(shards), str(folder)]
    done = subprocess.run(splitting, check=True, stdout=subprocess.PIPE, text=True)
    split = json.loads(done.stdout)
    digest = hashlib.sha256(update).hexdigest()
    update_of(parts, digest).write_bytes(update)
    with ShardKeeper(parts, shards) as keeper:
        links = Links(parts, shards, 30.0)
        base = folder_of(parts, split["base"], shards)
        before = _own(os.getpid())
        cover = read_cover(base)
        _until_there(lambda: hold_everywhere(links, cover))
        at_rest = [_own(pid) for pid in keeper.processes]
        begun = time.process_time() + sum(map(_cpu, keeper.processes))
        front = cover.with_update(update, digest)
        hold_everywhere(links, front)
        taken = time.process_time() + sum(map(_cpu, keeper.processes)) - begun
        records = [read_inputs(row.encode()) for row in json.loads((folder / "records").read_bytes())]
        policy = default_policy()
        sent = _count_bytes(links, lambda: links.carry(shards_rank.rank(front, policy, records[0])))
        for record in records[:50]:
            links.carry(shards_rank.rank(front, policy, record))
        others = sum(map(_cpu, keeper.processes))
        cpu, same = _timed(records, lambda record: links.carry(shards_rank.rank(front, policy, record)))
        # They were asked twice for each record.
        others = 1000 * (sum(map(_cpu, keeper.processes)) - others) / (2 * len(records))
        files = [(base / str(number)).stat().st_size for number in range(shards)]
        return {
            "mapped": max(files) / _MIB,
            "own": max(_own(pid) for pid in keeper.processes),
            "at_rest": max(at_rest),
            "front_own": _own(os.getpid()) - before,
            "cpu": cpu + others,
            "cpu_front": cpu,
            "sent": sent / 1024,
            "update": taken,
            "split": split["cpu"],
            "digest": same,
        }


def _split(shards: int, folder: Path) -> dict[str, float | str]:
    snapshot = _mapped(folder / "base")
    begun = time.process_time()
    parts = folder / f"parts-{shards}"
    write_parts(snapshot, shards, folder_of(parts, snapshot.digest, shards))
    return {"base": snapshot.digest, "cpu": time.process_time() - begun}


def _timed(records: list[SlateInputs], rank: Callable[[SlateInputs], pipeline.Ranked]) -> tuple[float, str]:
    """Milliseconds of this process's CPU a slate, the second time through, and the digest of all slates."""
    whole = hashlib.sha256()
    for record in records:
        whole.update(slate_bytes(rank(record).slate))
    begun = time.process_time()
    for record in records:
        rank(record)
    return 1000 * (time.process_time() - begun) / len(records), whole.hexdigest()


def _count_bytes(links: Links, ask: Callable[[], object]) -> int:
    """How many bytes of questions and answers one request takes."""
    counted = 0
    asked = links.ask

    def counting(questions: Any, seconds: float | None = None) -> Any:
        nonlocal counted
        replies = asked(questions, seconds)
        counted += sum(len(msgspec.msgpack.encode(one)) for one in (*questions, *replies) if one is not None)
        return replies

    links.ask = counting  # type: ignore[method-assign]  # counted only here
    try:
        ask()
    finally:
        del links.ask
    return counted


def _until_there(ready: Callable[[], object]) -> None:
    end = time.monotonic() + 300
    while True:
        try:
            ready()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return


def _own(pid: int) -> float:
    """MiB that a process has for itself."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) * 1024 / _MIB


def _cpu(pid: int) -> float:
    """Seconds of CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    where = Path(sys.argv[3])
    if sys.argv[1] == "make":
        _make(int(sys.argv[2]), where)
    else:
        work = _rank if sys.argv[1] == "rank" else _split
        print(json.dumps(work(int(sys.argv[2]), where)), flush=True)
