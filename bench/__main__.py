"""Runs the measures, prints a table and writes build/bench.json."""

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

MEASURES = {
    "publish": "bench.publish",
    "feed_http": "bench.feed_http",
    "rank_only": "bench.rank_only",
    "quality": "bench.quality",
    "training": "bench.training",
    "snapshot_memory": "bench.snapshot_memory",
    "shards": "bench.shards",
    "events": "bench.events",
    "next_swipe": "bench.next_swipe",
    "demo_start": "bench.demo_start",
    "seal": "bench.seal",
    "gateway": "bench.gateway",
    "migrate": "bench.migrate",
    "revoke": "bench.revoke",
    "decide": "bench.decide",
    "residency_cost": "bench.residency_cost",
    "ledger_append": "bench.ledger_append",
    "ledger_proof": "bench.ledger_proof",
    "ledger_verify": "bench.ledger_verify",
    "ledger_cost": "bench.ledger_cost",
    "ledger_fuzz": "bench.ledger_fuzz",
}
OUT = Path(__file__).parents[1] / "build" / "bench.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(MEASURES), help="run one of them")
    only = parser.parse_args().only
    rows: list[dict[str, Any]] = []
    console = Console()
    for name, module in MEASURES.items():
        if only in (None, name):
            console.print(f"measuring {name} …")
            rows += importlib.import_module(module).measure()
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    table = Table("measure", "value", "unit", "better", "goal", "peer", "ratio")
    for row in rows:
        table.add_row(
            *(
                "" if row[key] is None else f"{row[key]}"
                for key in ("name", "value", "unit", "better", "goal", "peer", "ratio")
            )
        )
    console.print(table)


if __name__ == "__main__":
    main()
