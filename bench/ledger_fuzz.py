"""Fuzzes every parser of bytes from outside with at least 5 million inputs, two processes at a time.

The targets are those of `tests/fuzz`, which the tests run briefly: they stand there because they say what a
parser promises. libFuzzer (atheris) chooses the inputs by which branches of the formats' code they reach,
starting from the conformance vectors. An exception that is not the declared one, a broken promise, an input
that takes over 5 s or a process over 1 GB ends the run with the input that did it.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from rich.progress import Progress
from tests.fuzz.harness import Outcome, fuzz
from tests.fuzz.targets import TARGETS

INPUTS = 5_000_000
PROCESSES = 2


def measure() -> list[dict[str, Any]]:
    return run(INPUTS)


def run(inputs: int) -> list[dict[str, Any]]:
    """Run at least `inputs` inputs, shared among the targets; return the rows.

    Raises:
        SystemExit: with the input that broke a target.
    """
    shares = sum(target.share for target in TARGETS.values())
    counts = {name: -(-inputs * target.share // shares) for name, target in TARGETS.items() if target.share}
    begun = time.monotonic()
    outcomes = []
    with Progress() as progress, ThreadPoolExecutor(min(PROCESSES, os.cpu_count() or 1)) as pool:
        task = progress.add_task("fuzzing", total=sum(counts.values()))
        runs = [pool.submit(fuzz, name, count) for name, count in counts.items()]
        for done in as_completed(runs):
            outcomes.append(_whole(done.result(), pool))
            progress.advance(task, outcomes[-1].inputs)
            said = f"{outcomes[-1].target}: {outcomes[-1].inputs} inputs in {outcomes[-1].seconds:.0f} s"
            progress.console.print(said)
    seconds = time.monotonic() - begun
    total = sum(outcome.inputs for outcome in outcomes)
    return [
        _row("ledger_fuzz", total, f"inputs to {len(outcomes)} parsers, none broke", INPUTS),
        _row("ledger_fuzz_rate", round(total / seconds), f"inputs/s in {PROCESSES} processes", None),
    ]


def _whole(outcome: Outcome, pool: ThreadPoolExecutor) -> Outcome:
    if outcome.broke is not None:
        pool.shutdown(wait=False, cancel_futures=True)
        raise SystemExit(f"{outcome.target} broke on {outcome.broke!r}\n{outcome.said}")
    return outcome


def _row(name: str, value: float, unit: str, goal: int | None) -> dict[str, Any]:
    blank = {"peer": None, "ratio": None}
    return {"name": name, "value": value, "unit": unit, "better": "higher", "goal": goal, **blank}
