"""Measures the ledger's writer: durable entries a second from queue to published checkpoint, and memory.

One process queues entries of 200 bytes through the door the product uses, 512 a transaction; another
sequences. An entry counts when the checkpoint over it is published: committed in the database, in synced
files, under a synced checkpoint. The floor is what no writer can do without: hashing the same entries and
their tree, and appending their bytes to one file with as many fsyncs as there were checkpoints, on one core.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import shutil
import time
from pathlib import Path
from typing import Any

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger.assignment import published
from lightwell.ledger.queue import enqueue_many
from lightwell.ledger.sequencer import Sequencer
from lightwell.wire.entries import TransferReceived, encode
from lightwell.wire.keys import SigningKey

ENTRIES = int(os.environ.get("LIGHTWELL_BENCH_ENTRIES", "10000000"))
GROUP = 512
ENTRY_BYTES = 200
GOAL_RATE = 10_000
GOAL_GROWTH_MIB = 16
BUILT = Path(__file__).parents[1] / "build" / "bench-ledger"
KEY = SigningKey.generate("lightwell/us", bytes(32))
MIB = 1024 * 1024


def measure() -> list[dict[str, Any]]:
    rate, checkpoints, peaks = append(BUILT, ENTRIES)
    floor = _floor(min(ENTRIES, 1_000_000), checkpoints / ENTRIES)
    growth = peaks[-1] - peaks[0]
    return [
        {
            "name": "ledger_append",
            "value": round(rate),
            "unit": f"durable entries/s of {ENTRY_BYTES} bytes, {ENTRIES:,} in {checkpoints:,} checkpoints",
            "better": "higher",
            "goal": GOAL_RATE,
            "peer": f"hash, append and fsync of the same bytes alone: {floor:,.0f}/s",
            "ratio": round(rate / floor, 3),
        },
        {
            "name": "ledger_append_memory",
            "value": round(growth, 1),
            "unit": f"MiB that the sequencer's peak grew from a tenth of the entries ({peaks[0]:.0f}) to all",
            "better": "lower",
            "goal": GOAL_GROWTH_MIB,
            "peer": None,
            "ratio": round(growth / GOAL_GROWTH_MIB, 2),
        },
    ]


def append(folder: Path, count: int) -> tuple[float, int, list[float]]:
    """Write a ledger of `count` entries into an emptied folder.

    Returns:
        Entries a second; how many checkpoints were published; the sequencer's peak memory in MiB after
        each tenth.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    database = Database(f"sqlite:///{folder / 'cell.db'}")
    database.create_all()
    context = multiprocessing.get_context("spawn")
    hearing, telling = context.Pipe(duplex=False)
    began = time.perf_counter()
    sequencing = context.Process(target=_sequence, args=(folder, count, telling))
    queueing = context.Process(target=_queue, args=(folder, count))
    for process in (sequencing, queueing):
        process.start()
    peaks: list[float] = []
    while len(peaks) < 10:
        size, checkpoints, peak = hearing.recv()
        peaks.append(peak)
        print(
            f"  {size:>12,} entries after {time.perf_counter() - began:7.1f} s, peak {peak:.0f} MiB",
            flush=True,
        )
    taken = time.perf_counter() - began
    for process in (sequencing, queueing):
        process.join()
    with database.read() as session:
        state = published(session)
        if state is None or state.integrated_size != count:
            raise RuntimeError("not every entry was published")
    database.dispose()
    return count / taken, checkpoints, peaks


def settings_of(folder: Path) -> CellSettings:
    return CellSettings(cell="us", region="us", url="http://us.test", folder=folder)


def _sequence(folder: Path, count: int, telling: Any) -> None:
    database = Database(f"sqlite:///{folder / 'cell.db'}")
    sequencer = Sequencer(settings_of(folder), database, KEY)
    checkpoints, tenth = 0, 1
    while tenth <= 10:
        checkpoint = sequencer.run_once()
        if checkpoint is None:
            time.sleep(0.002)
            continue
        checkpoints += 1
        while tenth <= 10 and checkpoint.size * 10 >= count * tenth:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB
            telling.send((checkpoint.size, checkpoints, peak))
            tenth += 1
    sequencer.close()


def _queue(folder: Path, count: int) -> None:
    database = Database(f"sqlite:///{folder / 'cell.db'}")
    for first in range(0, count, GROUP):
        group = [_entry(number) for number in range(first, min(first + GROUP, count))]
        with database.write() as session:
            enqueue_many(session, group)
        # A queue far ahead of the ledger would measure the queue's growth instead.
        while first % (GROUP * 64) == 0 and _waiting(database) > 100_000:
            time.sleep(0.01)


def _waiting(database: Database) -> int:
    with database.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT max(entry_id) - min(entry_id) FROM ledger_entries").one()
        return int(row[0] or 0)


def _entry(number: int) -> TransferReceived:
    digest = f"{number:064x}"
    return TransferReceived(
        at=1_700_000_040, transfer=f"{number:021d}", flow="postcards", peer="sg", digest=digest, size=1
    )


def _floor(count: int, checkpoints_per_entry: float) -> float:
    """Return entries/s of hashing, appending and syncing alone, on one core."""
    data = encode(_entry(0))
    if len(data) != ENTRY_BYTES:
        raise RuntimeError(f"the entry has {len(data)} bytes")
    every = max(1, round(1 / checkpoints_per_entry))
    file = BUILT.with_name("bench-floor")
    began = time.perf_counter()
    with file.open("wb", buffering=1 << 20) as out:
        for number in range(count):
            leaf = hashlib.sha256(b"\x00" + data).digest()
            hashlib.sha256(b"\x01" + leaf + leaf).digest()
            out.write(data)
            out.write(leaf)
            if number % every == every - 1:
                out.flush()
                os.fsync(out.fileno())
    taken = time.perf_counter() - began
    file.unlink()
    return count / taken
