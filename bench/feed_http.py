"""Measures feed answers over real HTTP, with ledger and sealing on, in a cell of its own and of three sizes.

The cell's two web processes, its worker, the oversight server that cosigns its ledger and this load generator
share the machine's cores. Every request is another viewer's, drawn from all. Afterwards a process of its own,
with another BLAS kernel, ranks every slate of the benchmark again.

`LIGHTWELL_BENCH_VIDEOS` names the sizes, the last one the one that counts (10000,100000,1000000).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import uvloop

from bench import peer_feed
from bench.load import Connection, closed_loop, open_loop, quantile, request
from bench.made_cell import make_cell
from lightwell.apps.demo.deployment import Deployment, prepare
from lightwell.apps.demo.supervisor import Supervisor

SIZES = tuple(
    int(size) for size in os.environ.get("LIGHTWELL_BENCH_VIDEOS", "10000,100000,1000000").split(",")
)
VIEWERS = int(os.environ.get("LIGHTWELL_BENCH_VIEWERS", "200000"))
EVENTS = 50
CONNECTIONS = 48
SECONDS = 12.0
GOAL_RATE = 1500.0
GOAL_P99_MS = 25.0
_OTHER_KERNEL = "Prescott"
_READY_SECONDS = 180.0


class Taken(NamedTuple):
    """What one size came to."""

    videos: int
    rate: float
    median_ms: float
    half_median_ms: float
    half_p99_ms: float
    cpu: dict[str, float]
    slates: int
    identical: int


def measure() -> list[dict[str, Any]]:
    found = [_measure(videos) for videos in SIZES]
    last = found[-1]
    slates, identical = sum(one.slates for one in found), sum(one.identical for one in found)
    peer = peer_feed.measure(last.videos, VIEWERS, EVENTS)
    cores = os.cpu_count() or 1
    setting = f"{last.videos:,} videos, {VIEWERS:,} viewers of {EVENTS} events, {cores} cores"
    growth = ", ".join(f"{one.videos:,}: {one.rate:.0f}/s, p99 {one.half_p99_ms:.1f} ms" for one in found)
    cpu = ", ".join(f"{name} {spent:.0f}" for name, spent in last.cpu.items())
    return [
        {
            "name": "feed_http",
            "value": round(last.rate, 1),
            "unit": f"slates/s of 10, {setting} (median {last.median_ms:.1f} ms; by size {growth}; "
            f"CPU a slate in us: {cpu})",
            "better": "higher",
            "goal": GOAL_RATE,
            "peer": peer.words,
            "ratio": round(last.rate / peer.rate, 2) if peer.rate else None,
        },
        {
            "name": "feed_http_p99",
            "value": round(last.half_p99_ms, 1),
            "unit": f"ms at {GOAL_RATE / 2:g} slates/s, {setting} (median {last.half_median_ms:.1f} ms)",
            "better": "lower",
            "goal": GOAL_P99_MS,
            "peer": None,
            "ratio": round(last.half_p99_ms / GOAL_P99_MS, 2),
        },
        {
            "name": "feed_replay_identical",
            "value": round(identical / max(1, slates), 6),
            "unit": f"of {slates:,} slates, ranked again in a process of its own with "
            f"OPENBLAS_CORETYPE={_OTHER_KERNEL}",
            "better": "higher",
            "goal": 1.0,
            "peer": None,
            "ratio": None,
        },
    ]


def _measure(videos: int) -> Taken:
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name:
        deployment = prepare(Path(name), fixed_ports=False)
        tokens = make_cell(deployment.cell("us"), videos, VIEWERS, EVENTS)
        with ExitStack() as stack:
            # The oversight server too: without its cosignature no checkpoint is public, and nothing serves.
            children = [c for c in deployment.children() if c.name in ("us web", "us worker", "oversight")]
            supervisor = stack.enter_context(Supervisor(deployment.oversight))
            supervisor.start(children)
            _wait(deployment, tokens)
            rate, closed, half, cpu = uvloop.run(_load(deployment, tokens))
        slates, identical = _replay(deployment.cell("us"))
    return Taken(
        videos,
        rate,
        1000 * quantile(closed, 0.5),
        1000 * quantile(half, 0.5),
        1000 * quantile(half, 0.99),
        cpu,
        slates,
        identical,
    )


def _wait(deployment: Deployment, tokens: list[str]) -> None:
    """Wait until whichever process a new connection reaches answers slates."""
    end = time.monotonic() + _READY_SECONDS
    answered = 0
    while answered < 24:
        answer = httpx.get(
            f"{deployment.urls['us']}/api/feed", cookies={"lightwell_session": tokens[0]}, timeout=60
        )
        answered = answered + 1 if answer.status_code == 200 else 0
        if not answered:
            if time.monotonic() > end:
                raise TimeoutError(f"no feed: {answer.status_code} {answer.text[:200]}")
            time.sleep(0.2)


async def _load(
    deployment: Deployment, tokens: list[str]
) -> tuple[float, list[float], list[float], dict[str, float]]:
    address = urlsplit(deployment.urls["us"])
    host, port = str(address.hostname), address.port or 80
    requests = [request(host, port, "/api/feed?k=10", f"lightwell_session={token}") for token in tokens]
    connections = [Connection(host, port, requests, seed) for seed in range(CONNECTIONS)]
    for connection in connections:
        await connection.open()
    await closed_loop(connections, 5.0)
    before = _cpu(deployment)
    taken = await closed_loop(connections, SECONDS)
    spent = {name: 1e6 * (now - before.get(name, 0.0)) / len(taken) for name, now in _cpu(deployment).items()}
    half = await open_loop(connections, GOAL_RATE / 2, SECONDS)
    for connection in connections:
        connection.close()
    return len(taken) / SECONDS, taken, half, spent


def _cpu(deployment: Deployment) -> dict[str, float]:
    """CPU seconds spent so far, by what a process is."""
    kinds = {"apps.serve": "web", "apps.worker": "worker", "apps.oversee": "oversight"}
    found = dict.fromkeys((*kinds.values(), "load"), 0.0)
    tick = os.sysconf("SC_CLK_TCK")
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().decode(errors="replace")
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        kind = next((kind for part, kind in kinds.items() if part in command), "")
        if kind and str(deployment.folder) in command:
            found[kind] += (int(fields[11]) + int(fields[12])) / tick
    found["load"] = time.process_time()
    return found


def _replay(folder: Path) -> tuple[int, int]:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.replay_slates", str(folder)],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"OPENBLAS_CORETYPE": _OTHER_KERNEL},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"replay failed: {ran.stderr[-2000:]}")
    counts = json.loads(ran.stdout)
    return counts["slates"], counts["identical"]
