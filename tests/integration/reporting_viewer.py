"""A process of a cell that takes events until it is killed; prints each batch's ids once acknowledged.

Run as `python -m tests.integration.reporting_viewer FOLDER ACCOUNT SEED VIDEO...`.
"""

import asyncio
import random
import sys
from pathlib import Path

from lightwell.product import social
from lightwell.residency.cell import Cell


async def report(cell: Cell, account: str, seed: int, videos: list[str]) -> None:
    rng = random.Random(seed)
    intake = social.Intake(cell)
    while True:
        ids = [f"{rng.getrandbits(128):032x}" for _ in range(4)]
        events = [social.Event(one, "watch", rng.choice(videos), rng.randrange(9000)) for one in ids]
        await intake.durable(account, events)
        print(*ids, flush=True)


if __name__ == "__main__":
    folder, account, seed, *videos = sys.argv[1:]
    asyncio.run(report(Cell.open(Path(folder)), account, int(seed), videos))
