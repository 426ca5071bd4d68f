"""The feed's peer: implicit's item-to-item recommender behind FastAPI and uvicorn, on the same catalogue.

It has the same neighbours, the same viewers with the same events, two processes and the same load. What it
lacks is what nobody else has: sealed records, a ledger, promises, filters, reasons, counters that move. It
lives in the peers' own environment.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import uvloop

from bench import peers
from bench.load import Connection, closed_loop, open_loop, quantile, request
from bench.made_catalogue import made_arrays
from bench.made_cell import Tastes

CONNECTIONS, SECONDS, HALF_RATE = 48, 12.0, 750.0
_READY_SECONDS = 300.0


class Peer(NamedTuple):
    """What the peer came to; a rate of 0 if it could not be installed."""

    rate: float
    words: str


def measure(videos: int, viewers: int, events: int) -> Peer:
    """Measure the peer on the catalogue and the viewers that `make_cell` makes from the same numbers."""
    python = peers.environment()
    if python is None:
        return Peer(0.0, "implicit behind FastAPI and uvicorn: could not be installed here")
    with tempfile.TemporaryDirectory(prefix="lightwell-peer-") as folder:
        _write(Path(folder), videos, viewers, events)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [python, "-m", "uvicorn", "peer_server:app", "--port", str(port), "--workers", "2"]
        server = subprocess.Popen(
            [*command, "--log-level", "error", "--no-access-log"],
            cwd=Path(__file__).parent,
            env=os.environ | {"PEER_DATA": folder, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        try:
            _wait(f"http://127.0.0.1:{port}/api/feed?viewer=0&k=10")
            rate, half = uvloop.run(_load(port, viewers))
        finally:
            server.terminate()
            server.wait(30)
    asked = half_rate(rate)
    p99, median = 1000 * quantile(half, 0.99), 1000 * quantile(half, 0.5)
    return Peer(
        rate,
        f"implicit ItemItemRecommender behind FastAPI and uvicorn, 2 processes: {rate:.0f}/s, "
        f"p99 {p99:.1f} ms at {asked:.0f}/s (median {median:.1f} ms)",
    )


def half_rate(rate: float) -> float:
    """At how many a second its latency is looked at: what we are asked, or half of what it can."""
    return min(HALF_RATE, rate / 2)


def _write(folder: Path, videos: int, viewers: int, events: int) -> None:
    """Store the graph and what viewers watched as plain arrays, which the peer's environment can read."""
    arrays = made_arrays(videos)
    for name in ("ids", "near_starts", "near", "near_weight", "duration"):
        np.save(folder / f"{name}.npy", arrays[name])
    watched = Tastes(arrays, np.random.default_rng(3)).watched(viewers, events)
    np.save(folder / "watched.npy", watched.astype(np.int32))


def _wait(url: str) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        try:
            httpx.get(url, timeout=60).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.5)
        else:
            return
    raise TimeoutError("the peer does not answer")


async def _load(port: int, viewers: int) -> tuple[float, list[float]]:
    requests = [request("127.0.0.1", port, f"/api/feed?viewer={viewer}&k=10") for viewer in range(viewers)]
    connections = [Connection("127.0.0.1", port, requests, seed) for seed in range(CONNECTIONS)]
    for connection in connections:
        await connection.open()
    await closed_loop(connections, 3.0)
    taken = await closed_loop(connections, SECONDS)
    half = await open_loop(connections, half_rate(len(taken) / SECONDS), SECONDS)
    for connection in connections:
        connection.close()
    return len(taken) / SECONDS, half
