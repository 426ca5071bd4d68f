"""Measures feed answers over real HTTP, with ledger and sealing on, in a cell of its own.

The cell's web and worker processes, its database and this load generator share the machine's cores.
"""

import asyncio
import os
import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from tests.factories.catalogue import insert_catalogue
from tests.factories.people import form

from bench.load import Connection, closed_loop, open_loop, quantile
from lightwell.apps.demo.deployment import Deployment, prepare
from lightwell.apps.demo.supervisor import Supervisor
from lightwell.residency.cell import Cell

VIDEOS = 1000
VIEWERS = 48
EVENTS = 50
CONNECTIONS = 24
SECONDS = 12.0
GOAL_RATE = 150.0
GOAL_P99_MS = 60.0


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as folder, ExitStack() as stack:
        deployment = prepare(Path(folder), fixed_ports=False)
        cell = Cell.open(deployment.cell("us"), process="bench")
        videos = insert_catalogue(cell, VIDEOS)
        cell.close()
        # The oversight server too: without its cosignature no checkpoint is public, and nothing serves.
        children = [c for c in deployment.children() if c.name in ("us web", "us worker", "oversight")]
        supervisor = stack.enter_context(Supervisor(deployment.oversight))
        supervisor.start(children)
        cookies = _viewers(deployment, videos)
        return asyncio.run(_load(deployment, cookies))


def _viewers(deployment: Deployment, videos: list[str]) -> list[str]:
    cookies = []
    with httpx.Client(base_url=deployment.urls["us"], timeout=30) as client:
        for number in range(VIEWERS):
            client.cookies.clear()
            client.post("/api/accounts", json=form(f"bench.{number}")).raise_for_status()
            events = [
                {
                    "event_id": secrets.token_hex(16),
                    "kind": "watch",
                    "video_id": secrets.choice(videos),
                    "watch_ms": secrets.randbelow(9000),
                }
                for _ in range(EVENTS)
            ]
            client.post("/api/events", json={"events": events}).raise_for_status()
            cookies.append(f"lightwell_session={client.cookies['lightwell_session']}")
        for _ in range(100):
            if client.get("/api/feed").status_code == 200:
                break
            asyncio.run(asyncio.sleep(0.1))
    return cookies


async def _load(deployment: Deployment, cookies: list[str]) -> list[dict[str, Any]]:
    address = urlsplit(deployment.urls["us"])
    connections = [
        Connection(str(address.hostname), address.port or 80, "/api/feed?k=10", cookies[n % len(cookies)])
        for n in range(CONNECTIONS)
    ]
    for connection in connections:
        await connection.open()
    await closed_loop(connections, 3.0)
    taken = await closed_loop(connections, SECONDS)
    rate = len(taken) / SECONDS
    half = await open_loop(connections, GOAL_RATE / 2, SECONDS)
    p99 = 1000 * quantile(half, 0.99)
    cores = os.cpu_count() or 1
    return [
        {
            "name": "feed_http",
            "value": round(rate, 1),
            "unit": f"slates/s of 10 on {cores} cores, {VIDEOS} videos, {VIEWERS} viewers of {EVENTS} events",
            "better": "higher",
            "goal": GOAL_RATE,
            "peer": None,
            "ratio": round(rate / GOAL_RATE, 2),
        },
        {
            "name": "feed_http_p99",
            "value": round(p99, 1),
            "unit": f"ms at {GOAL_RATE / 2:g} slates/s (median {1000 * quantile(half, 0.5):.1f} ms)",
            "better": "lower",
            "goal": GOAL_P99_MS,
            "peer": None,
            "ratio": round(p99 / GOAL_P99_MS, 2),
        },
    ]
