"""Measures how long `lightwell demo` takes to the first watchable feed, and each process's peak memory."""

import time
from pathlib import Path
from typing import Any

from bench.running_demo import running_demo

GOAL_SECONDS = 60.0
SETTLE_SECONDS = 60.0
MIB = 1024 * 1024


def measure() -> list[dict[str, Any]]:
    with running_demo() as demo:
        client, seconds = demo.wait_for_feed(1)
        client.close()
        # Clips go on arriving: memory is read when the processes have worked for a while.
        time.sleep(SETTLE_SECONDS)
        peaks = {
            name: sum(_peak(pid) for pid in _family(process["pid"]))
            for name, process in demo.state()["processes"].items()
        }
    rows = [_row("demo_start", seconds, "s to the first watchable feed", GOAL_SECONDS)]
    rows += [
        _row(f"demo_memory {name}", peak / MIB, "MiB peak, children included", None)
        for name, peak in peaks.items()
    ]
    return rows


def _row(name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "better": "lower",
        "goal": goal,
        "peer": None,
        "ratio": round(value / goal, 2) if goal else None,
    }


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _family(int(child))
    return found


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
