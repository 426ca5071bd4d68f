"""Killed or failing at any step, the ledger loses, changes and reorders nothing it has acknowledged."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lightwell.base.db import Database
from lightwell.ledger import fsck
from lightwell.ledger.errors import LedgerCorruptError
from lightwell.ledger.sequencer import Sequencer
from lightwell.ledger.storage import open_storage, read_tile_file, tile_reader
from lightwell.wire import entries, merkle, tiles
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint
from tests.integration.faulty_disk import KINDS, Fault
from tests.integration.ledger_writer import (
    NO_MORE_STEPS,
    Job,
    key,
    numbered,
    settings_of,
    write_on_faulty_disk,
)

STRIDE = int(os.environ.get("LIGHTWELL_FAULT_STRIDE", "1"))
"""Every how manyth step is tried; 1 for all."""
AT_LEAST = {
    "kill": 112,
    "power cut": 112,
    "lost rename": 78,
    "torn write": 6,
    "ENOSPC": 86,
    "EIO": 86,
    "EIO though done": 18,
    "fsync error": 16,
}
"""Steps of a run at which each kind must have happened, so that a change cannot quietly take steps away."""
EXPECTED: list[bytes] = []
"""The entry of each number, as far as needed so far."""
CONTEXT = multiprocessing.get_context("forkserver")


class ViolationError(AssertionError):
    """Something that must always hold did not."""


@dataclass
class Ordeal:
    """One ledger that goes through fault after fault, looked at after each."""

    folder: Path
    url: str
    database: Database
    dice: random.Random = field(default_factory=lambda: random.Random(20261122))
    seen: Checkpoint | None = None
    """The newest checkpoint that a reader has seen."""
    written: int = 0
    happened: Counter[str] = field(default_factory=Counter)

    def go_through(self, fault: Fault, forgets: bool = False) -> bool:
        """Let a writer meet the fault and the next one carry on; False if there was no such step."""
        groups = (self.dice.choice([1, 3, 12, 70]), self.dice.choice([1, 5, 30]))
        job = Job(self.folder, self.url, self.written, groups, fault, forgets)
        hearing, telling = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=write_on_faulty_disk, args=(job, telling), daemon=True)
        process.start()
        telling.close()
        acknowledged = self.written
        with contextlib.suppress(EOFError):
            while True:
                acknowledged = hearing.recv()
        process.join()
        # What a reader finds between the crash and the restart must hold by itself.
        self.look()
        self.carry_on()
        self.look()
        if self.size < acknowledged:
            raise ViolationError(f"{fault}: {acknowledged} were acknowledged, {self.size} are there")
        self.written = self.size
        if process.exitcode == NO_MORE_STEPS:
            return False
        self.happened[fault.kind] += 1
        return True

    def carry_on(self) -> None:
        """Start the next writer and let it finish what waits."""
        database = self.database
        sequencer = Sequencer(settings_of(self.folder), database, key())
        while sequencer.run_once():
            pass
        sequencer.close()
        # No connection outlives a writer.
        database.dispose()

    @property
    def size(self) -> int:
        """Entries in the published ledger, as last looked at."""
        return self.seen.size if self.seen else 0

    def look(self) -> None:
        """Read the whole published ledger as an outsider: each entry once and in order, every file whole."""
        storage = open_storage(settings_of(self.folder))
        note = storage.read("checkpoint")
        if note is None:
            if self.seen is not None:
                raise ViolationError("a published checkpoint is gone")
            return
        checkpoint = open_checkpoint(note.decode(), key().verifier()).checkpoint

        def compare(index: int, data: bytes) -> None:
            while index >= len(EXPECTED):
                EXPECTED.append(entries.encode(numbered(len(EXPECTED))))
            if data != EXPECTED[index]:
                raise ViolationError(f"entry {index} is lost, doubled or out of order")

        problems = audit(lambda path: read_tile_file(storage, path), checkpoint, compare)
        if problems:
            raise ViolationError(f"the published ledger is not whole: {problems[:3]}")
        old = self.seen
        if old is not None and old.size:
            if checkpoint.size < old.size:
                raise ViolationError("the ledger was truncated")
            proof = tiles.consistency_proof(tile_reader(storage), old.size, checkpoint.size)
            merkle.verify_consistency(old.size, old.root, checkpoint.size, checkpoint.root, proof)
        self.seen = checkpoint


@pytest.fixture
def ordeal(database_url: str, tmp_path: Path) -> Ordeal:
    CONTEXT.set_forkserver_preload(["tests.integration.ledger_writer"])
    database = Database(database_url)
    database.create_all()
    database.dispose()
    return Ordeal(tmp_path / "us", database_url, database)


@pytest.mark.parametrize("kind", KINDS)
def test_at_every_step_every_fault_leaves_the_ledger_whole(ordeal: Ordeal, kind: str) -> None:
    # PostgreSQL has its own crash tests and we trust both engines alike: there every seventh step is enough.
    stride = STRIDE if "sqlite" in ordeal.url else 7 * STRIDE
    ordeal.carry_on()
    at = 1
    while ordeal.go_through(Fault(kind, at)):
        at += stride
    assert ordeal.happened.total() >= (AT_LEAST[kind] if stride == 1 else 1)
    print(f"{ordeal.happened.total()} faults: {kind}; {ordeal.written} entries")
    report = fsck.check_folder(ordeal.folder / "ledger", key().verifier())
    assert report.problems == ()
    assert report.size == ordeal.written


def test_all_faults_together_are_at_least_five_hundred() -> None:
    assert set(AT_LEAST) == set(KINDS)
    assert sum(AT_LEAST.values()) >= 500


def test_the_harness_finds_a_writer_that_does_not_wait_for_the_disk(ordeal: Ordeal) -> None:
    if "sqlite" not in ordeal.url:
        pytest.skip("one engine is enough to try the harness itself")
    ordeal.carry_on()
    with pytest.raises((ViolationError, LedgerCorruptError)):
        go_through_power_cuts(ordeal)


def go_through_power_cuts(ordeal: Ordeal) -> None:
    for at in range(1, 200):
        ordeal.go_through(Fault("power cut", at), forgets=True)
