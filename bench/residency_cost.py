"""Measures what residency costs the feed: slates a second with it, over slates a second without.

Two processes, each with a cell of its own filled alike, take turns at answering `/api/feed` as fast as they
can: sign-in, viewer state, ranking, record, ledger entry, promise; the same web application, called without a
socket. One is as it is. In the other nothing is sealed or opened, no account key is unwrapped, every decision
is yes, no use is counted, no label is looked at, and the process has no doors: that is done to the code from
outside, in that process only; no setting can do it. No worker runs beside either. The ratio is the median of
those of neighbouring rounds.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import secrets
import statistics
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.factories.catalogue import make_servable, sequence
from tests.factories.cells import found_cell

from bench.made_cell import make_cell
from lightwell.apps.startup import open_cell
from lightwell.apps.web import build_app
from lightwell.base import objects
from lightwell.residency import key_uses
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Decider
from lightwell.residency.keys import KeyVault, fold

VIDEOS, VIEWERS, EVENTS, AT_ONCE, K = 10_000, 2_000, 50, 48, 10
ROUNDS, SECONDS, WARM_SECONDS, READY_SECONDS = 24, 1.5, 4.0, 60.0
GOAL = 0.9


def measure() -> list[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name, ExitStack() as stack:
        sides = {}
        for is_on in (True, False):
            ours, theirs = context.Pipe()
            process = context.Process(target=_side, args=(Path(name) / f"{is_on}", is_on, theirs))
            process.start()
            stack.callback(process.join)
            stack.callback(ours.send, 0.0)
            sides[is_on] = ours
        for ours in sides.values():
            ours.recv()
        for ours in sides.values():
            ours.send(WARM_SECONDS)
            ours.recv()
        rates: dict[bool, list[float]] = {True: [], False: []}
        cpu: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(ROUNDS):
            for is_on in (True, False) if turn % 2 else (False, True):
                sides[is_on].send(SECONDS)
                rate, spent = sides[is_on].recv()
                rates[is_on].append(rate)
                cpu[is_on].append(spent)
    ratios = [on / off for on, off in zip(rates[True], rates[False], strict=True)]
    ratio = statistics.median(ratios)
    on, off = statistics.median(rates[True]), statistics.median(rates[False])
    of_cpu = statistics.median(off / on for on, off in zip(cpu[True], cpu[False], strict=True))
    pairs = ", ".join(f"{a:.0f}/{b:.0f}" for a, b in zip(rates[True], rates[False], strict=True))
    print(f"residency_cost: slates/s with residency over without, pair by pair: {pairs}")
    return [
        {
            "name": "residency_cost",
            "value": round(ratio, 3),
            "unit": f"slates/s with residency ({on:.0f}) over without ({off:.0f}), one process, "
            f"{VIDEOS:,} videos, {VIEWERS:,} viewers of {EVENTS} events; median of {ROUNDS} pairs from "
            f"{min(ratios):.3f} to {max(ratios):.3f}; by CPU time a slate {of_cpu:.3f}",
            "better": "higher",
            "goal": GOAL,
            "peer": "the same feed with residency cut out",
            "ratio": round(ratio, 3),
        }
    ]


def _side(folder: Path, is_on: bool, pipe: Any) -> None:
    """Fill a cell, and serve it for as many seconds as is asked, again and again, until asked for none."""
    with ExitStack() as stack:
        if not is_on:
            stack.enter_context(_without_residency())
        found_cell(folder, f"sqlite:///{folder / 'cell.db'}").close()
        tokens = make_cell(folder, VIDEOS, VIEWERS, EVENTS)
        with closing(Cell.open(folder, process="bench")) as cell:
            sequence(cell)
            make_servable(cell)
        asyncio.run(_serve(open_cell(folder, "web") if is_on else Cell.open(folder, "web"), tokens, pipe))


async def _serve(cell: Cell, tokens: list[str], pipe: Any) -> None:
    app = build_app(cell)
    async with app.lifespan():
        # What it ranks from is read in the background.
        end = time.perf_counter() + READY_SECONDS
        while await _ask(app, tokens[0]) != 200:
            if time.perf_counter() > end:
                raise RuntimeError("the feed did not become ready")
            await asyncio.sleep(0.2)
        pipe.send(0.0)
        while seconds := await asyncio.to_thread(pipe.recv):
            pipe.send(await _answer(app, tokens, seconds))


async def _answer(app: Any, tokens: list[str], seconds: float) -> tuple[float, float]:
    """Answer slates with `AT_ONCE` under way; return how many a second, and seconds of CPU time for one."""
    end = time.perf_counter() + seconds
    answered = 0

    async def lane() -> None:
        nonlocal answered
        while time.perf_counter() < end:
            status = await _ask(app, secrets.choice(tokens))
            if status != 200:
                raise RuntimeError(f"a slate was answered {status}")
            answered += 1

    began, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    return answered / (time.perf_counter() - began), (time.process_time() - spent) / answered


async def _ask(app: Any, token: str) -> int:
    said: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            said.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/feed",
        "raw_path": b"/api/feed",
        "query_string": b"k=%d&nonce=%s" % (K, secrets.token_hex(16).encode()),
        "root_path": "",
        "headers": [(b"host", b"bench.test"), (b"cookie", f"lightwell_session={token}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "extensions": {},
    }
    await app(scope, receive, send)
    return said[0]


@contextmanager
def _without_residency() -> Any:
    """Cut residency out of this process: what is written is in clear, and nobody is asked for anything."""

    def plain(_self: KeyVault, *given: Any) -> bytes:
        return bytes(given[-1])

    with ExitStack() as stack:
        for name in ("seal", "unseal"):
            stack.enter_context(patch.object(KeyVault, name, plain))
        for name in ("hold", "open_keys"):
            stack.enter_context(patch.object(KeyVault, name, lambda *_: None))
        # Whoever is signed in is found by a hash of the token, as in any shop.
        stack.enter_context(patch.object(KeyVault, "blind_index", _plain_index))
        stack.enter_context(patch.object(Decider, "decide", lambda *_, **__: None))
        stack.enter_context(patch.object(key_uses, "run", lambda *_: None))
        stack.enter_context(patch.object(objects, "may_store", lambda _: True))
        yield


def _plain_index(_: KeyVault, name: str, value: str) -> bytes:
    return hashlib.sha256(f"{name}\0{fold(value)}".encode()).digest()
