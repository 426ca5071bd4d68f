"""Measures events taken durably, in one process and over real HTTP, and how soon one shows in the next slate.

The cell's web and worker processes, its database and this load generator share the machine's cores.
"""

import asyncio
import json
import os
import random
import secrets
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from tests.factories.catalogue import insert_catalogue

from lightwell.apps.demo.deployment import Deployment, prepare
from lightwell.apps.demo.supervisor import Supervisor
from lightwell.base.clock import now_ms
from lightwell.product import social
from lightwell.product.accounts import AccountRow
from lightwell.product.accounts.models import SessionRow
from lightwell.residency.cell import Cell

VIDEOS = 2000
VIEWERS = int(os.environ.get("LIGHTWELL_BENCH_VIEWERS", "4000"))
BATCH = 20
CONNECTIONS = 32
SECONDS = 10.0
IN_PROCESS_EVENTS = 100_000
GOAL_RATE = 10_000.0
GOAL_EFFECT_MS = 100.0


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as folder, ExitStack() as stack:
        deployment = prepare(Path(folder), fixed_ports=False)
        cell = Cell.open(deployment.cell("us"), process="bench")
        videos = insert_catalogue(cell, VIDEOS)
        viewers = make_viewers(cell, VIEWERS)
        alone = in_process(cell, [account for account, _ in viewers[: VIEWERS // 2]], videos)
        reading = read_back(cell)
        cell.close()
        children = [c for c in deployment.children() if c.name in ("us web", "us worker", "oversight")]
        supervisor = stack.enter_context(Supervisor(deployment.oversight))
        supervisor.start(children)
        _wait(deployment, viewers[-1][1])
        # Those who have reported nothing yet, so that nobody reports more than one person may.
        tokens = [token for _, token in viewers[VIEWERS // 2 :]]
        rate, p99 = asyncio.run(over_http(deployment, tokens, videos))
        effect = asyncio.run(effects(deployment, tokens[:40]))
    cores = os.cpu_count() or 1
    return [
        _row("events_http", rate, f"events/s in batches of {BATCH} on {cores} cores (p99 {p99:.0f} ms)"),
        _row("events_in_process", alone, f"events/s of one process, batches of {BATCH}, durable"),
        _row("events_read", reading, "events/s read and opened for training, of one process"),
        {
            "name": "event_effect",
            "value": round(effect, 1),
            "unit": "ms from sending an event to a slate that reflects it, median",
            "better": "lower",
            "goal": GOAL_EFFECT_MS,
            "peer": None,
            "ratio": round(effect / GOAL_EFFECT_MS, 2),
        },
    ]


def make_viewers(cell: Cell, count: int) -> list[tuple[str, str]]:
    """Write accounts with a key and a session each; return `(account_id, session token)`."""
    made = [(secrets.token_hex(8), secrets.token_urlsafe(32)) for _ in range(count)]
    with cell.database.write() as session:
        for number, (account_id, token) in enumerate(made):
            cell.vault.new_account_key(session, account_id)
            sealed = {
                name: cell.vault.seal(session, account_id, "accounts", name, account_id, b"bench")
                for name in ("password", "email", "birthday", "sign_in_ip", "device")
            }
            session.add(
                AccountRow(
                    account_id=account_id,
                    handle=f"bench.{number}",
                    display_name="Bench",
                    created_at=now_ms(),
                    email_index=cell.vault.blind_index("accounts.email", account_id),
                    **sealed,
                )
            )
            session.add(
                SessionRow(
                    token_index=cell.vault.blind_index("sessions.token", token),
                    account_id=account_id,
                    expires_at=now_ms() + 3_600_000,
                )
            )
    cell.vault.forget()
    return made


def in_process(cell: Cell, accounts: list[str], videos: list[str]) -> float:
    rng = random.Random(1)
    batches = [
        (
            accounts[number % len(accounts)],
            [
                social.Event(secrets.token_hex(16), "watch", rng.choice(videos), rng.randrange(9000))
                for _ in range(BATCH)
            ],
        )
        for number in range(IN_PROCESS_EVENTS // BATCH)
    ]

    async def send() -> float:
        intake = social.Intake(cell)
        left = iter(batches)

        async def client() -> None:
            for account, events in left:
                await intake.durable(account, events)

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
        taken = time.perf_counter() - began
        intake.close()
        return IN_PROCESS_EVENTS / taken

    return asyncio.run(send())


def read_back(cell: Cell) -> float:
    began, position, count = time.perf_counter(), 0, 0
    while True:
        with cell.database.read() as session:
            found = social.events_since(cell, session, position, 10_000)
        if not found:
            return count / (time.perf_counter() - began)
        count += len(found)
        position = found[-1][0]


class Poster:
    """One kept-alive connection that posts bodies it is given."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._address, limit=1 << 20)

    async def ask(self, method: str, path: str, token: str, body: bytes = b"") -> bytes:
        host = f"{self._address[0]}:{self._address[1]}"
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: lightwell_session={token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in answer.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        content = await self._reader.readexactly(length)
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{answer.splitlines()[0]!r}: {content[:200]!r}")
        return content


def body(rng: random.Random, videos: list[str], count: int) -> bytes:
    events = [
        {
            "event_id": f"{rng.getrandbits(128):032x}",
            "kind": "watch",
            "video_id": rng.choice(videos),
            "watch_ms": rng.randrange(9000),
        }
        for _ in range(count)
    ]
    return json.dumps({"events": events}).encode()


async def over_http(deployment: Deployment, tokens: list[str], videos: list[str]) -> tuple[float, float]:
    address = urlsplit(deployment.urls["us"])
    rng = random.Random(2)
    # Made beforehand, so that making them is not measured.
    ready = iter([body(rng, videos, BATCH) for _ in range(int(2.5 * GOAL_RATE * SECONDS / BATCH))])
    tokens_in_turn = iter(tokens * 1000)
    taken: list[float] = []
    count = 0
    end = time.perf_counter() + SECONDS

    async def client() -> None:
        nonlocal count
        poster = Poster(str(address.hostname), address.port or 80)
        await poster.open()
        for content in ready:
            began = time.perf_counter()
            if began > end:
                return
            answer = json.loads(await poster.ask("POST", "/api/events", next(tokens_in_turn), content))
            taken.append(time.perf_counter() - began)
            count += answer["accepted"]

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    spent = time.perf_counter() - began
    return count / spent, 1000 * statistics.quantiles(taken, n=100)[98]


async def effects(deployment: Deployment, tokens: list[str]) -> float:
    address = urlsplit(deployment.urls["us"])
    poster = Poster(str(address.hostname), address.port or 80)
    await poster.open()
    taken = []
    for token in tokens:
        shown = json.loads(await poster.ask("GET", "/api/feed?k=3", token))["items"]
        event = {
            "event_id": secrets.token_hex(16),
            "kind": "watch",
            "video_id": shown[0]["video"]["video_id"],
            "watch_ms": 8000,
        }
        began = time.perf_counter()
        await poster.ask("POST", "/api/events", token, json.dumps({"events": [event]}).encode())
        after = json.loads(await poster.ask("GET", "/api/feed?k=3", token))["items"]
        taken.append(1000 * (time.perf_counter() - began))
        if event["video_id"] in [item["video"]["video_id"] for item in after]:
            raise RuntimeError("the next slate does not reflect the event")
    return statistics.median(taken)


def _wait(deployment: Deployment, token: str) -> None:
    with httpx.Client(base_url=deployment.urls["us"], cookies={"lightwell_session": token}) as client:
        for _ in range(600):
            if client.get("/api/feed").status_code == 200:
                return
            time.sleep(0.1)
    raise RuntimeError("the feed did not become ready")


def _row(name: str, value: float, unit: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "better": "higher",
        "goal": GOAL_RATE,
        "peer": None,
        "ratio": round(value / GOAL_RATE, 2),
    }
