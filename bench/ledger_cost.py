"""Measures what the ledger costs the feed: slates a second with it, over slates a second without.

One process answers as many slates as it can, ranking, sealing and committing each; the sequencer works in a
second process as the worker does. Without the ledger no entry is made or queued, no promise signed, and no
sequencer runs: that is done to the code from outside, here only; no setting can do it. Rounds alternate, and
the ratio is the median of those of neighbouring rounds.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from litestar.testing import TestClient
from tests.factories.catalogue import publish_catalogue
from tests.factories.cells import found_cell
from tests.factories.people import sign_up

from lightwell.apps.web import build_app
from lightwell.ledger.queue import PreparedEntry
from lightwell.ledger.sequencer import Sequencer
from lightwell.product.accounts.web import COOKIE
from lightwell.product.feed import group_commit, service
from lightwell.residency.cell import Cell

VIDEOS, VIEWERS, AT_ONCE = 1000, 24, 64
ROUNDS, SECONDS = 10, 3.0
GOAL = 0.95


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name:
        folder = Path(name) / "us"
        cell = found_cell(folder, f"sqlite:///{folder / 'cell.db'}")
        publish_catalogue(cell, VIDEOS)
        viewers = _sign_up(cell)
        rates: dict[bool, list[float]] = {True: [], False: []}
        asyncio.run(_serve(cell, viewers, 2.0))
        for turn in range(ROUNDS):
            for is_on in (True, False) if turn % 2 else (False, True):
                with _sequencing(folder) if is_on else _without_ledger():
                    rates[is_on].append(asyncio.run(_serve(cell, viewers, SECONDS)))
        cell.close()
    ratios = [on / off for on, off in zip(rates[True], rates[False], strict=True)]
    ratio = statistics.median(ratios)
    on, off = statistics.median(rates[True]), statistics.median(rates[False])
    return [
        {
            "name": "ledger_cost",
            "value": round(ratio, 3),
            "unit": f"slates/s with the ledger ({on:.0f}) over without ({off:.0f}), one process, "
            f"{VIDEOS} videos; median of {ROUNDS} pairs from {min(ratios):.3f} to {max(ratios):.3f}",
            "better": "higher",
            "goal": GOAL,
            "peer": "the same feed with the ledger cut out",
            "ratio": round(ratio, 3),
        }
    ]


async def _serve(cell: Cell, viewers: list[str], seconds: float) -> float:
    """Answer slates with `AT_ONCE` under way; return how many a second."""
    feed = service.Feed(cell)
    end = time.perf_counter() + seconds
    answered = 0

    async def lane(number: int) -> None:
        nonlocal answered
        while time.perf_counter() < end:
            await feed.answer(viewers[(answered + number) % len(viewers)], "for_you", 10)
            answered += 1

    began = time.perf_counter()
    await asyncio.gather(*(lane(number) for number in range(AT_ONCE)))
    taken = time.perf_counter() - began
    feed.close()
    return answered / taken


@contextmanager
def _sequencing(folder: Path) -> Any:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_sequence, args=(folder, stop))
    process.start()
    time.sleep(1.5)
    try:
        yield
    finally:
        stop.set()
        process.join()


def _sequence(folder: Path, stop: Any) -> None:
    cell = Cell.open(folder, process="bench")
    ended = threading.Event()
    threading.Thread(target=lambda: (stop.wait(), ended.set()), daemon=True).start()
    Sequencer(cell.settings, cell.database, cell.vault.signing_key("ledger")).run(ended)
    cell.close()


@contextmanager
def _without_ledger() -> Any:
    with ExitStack() as stack:
        stack.enter_context(patch.object(group_commit, "write_prepared", lambda *_: None))
        stack.enter_context(
            patch.object(service, "prepare", lambda _: PreparedEntry(secrets.token_bytes(32), b""))
        )
        stack.enter_context(patch.object(group_commit, "make_promises", lambda *given: [""] * len(given[2])))
        yield


def _sign_up(cell: Cell) -> list[str]:
    tokens = []
    with TestClient(build_app(cell), base_url="http://us.test") as client:
        for number in range(VIEWERS):
            sign_up(client, f"bench.{number}")
            tokens.append(str(client.cookies[COOKIE]))
    return tokens
