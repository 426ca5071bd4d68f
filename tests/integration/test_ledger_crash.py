"""Killed or failing at any point, the ledger loses, changes and reorders nothing it has acknowledged."""

import contextlib
import errno
import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger import files as files_module
from lightwell.ledger import fsck
from lightwell.ledger.assignment import Assignment
from lightwell.ledger.files import DurabilityError, LedgerFiles
from lightwell.ledger.queue import enqueue
from lightwell.ledger.sequencer import Sequencer
from lightwell.wire import entries, merkle, tiles
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint
from lightwell.wire.entries import PolicyAdopted
from lightwell.wire.note import SigningKey
from tests.integration.ledger_writer import write_until_killed

KEY = SigningKey.generate("lightwell/us", bytes(32))
KILLS = int(os.environ.get("LIGHTWELL_LEDGER_KILLS", "10"))


@pytest.fixture
def settings(tmp_path: Path) -> CellSettings:
    return CellSettings(cell="us", region="us", url="http://us.test", folder=tmp_path / "us")


def published(settings: CellSettings) -> Checkpoint | None:
    note = LedgerFiles(settings.path("ledger")).read("checkpoint")
    return None if note is None else open_checkpoint(note.decode(), KEY.verifier()).checkpoint


def numbers(settings: CellSettings) -> list[int]:
    """The numbers of all entries of a published ledger in order, every file having been checked."""
    found: list[int] = []

    def look(_: int, data: bytes) -> None:
        entry = entries.decode(data)
        assert isinstance(entry, PolicyAdopted)
        found.append(entry.at)

    checkpoint = published(settings)
    assert checkpoint is not None
    assert audit(LedgerFiles(settings.path("ledger")).read_tile_file, checkpoint, look) == []
    return found


def assert_extends(settings: CellSettings, old: Checkpoint | None, new: Checkpoint) -> None:
    if old is not None and old.size:
        files = LedgerFiles(settings.path("ledger"))
        proof = tiles.consistency_proof(files.read_tile, old.size, new.size)
        merkle.verify_consistency(old.size, old.root, new.size, new.root, proof)


def test_killed_at_random_nothing_acknowledged_is_lost_or_reordered(
    database_url: str, settings: CellSettings
) -> None:
    Database(database_url).create_all()
    dice = random.Random(20260101)
    acknowledged, last = 0, None
    # Forked from a server that has loaded our modules, a writer is at work within milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.ledger_writer"])
    for _ in range(KILLS):
        hearing, telling = context.Pipe(duplex=False)
        process = context.Process(
            target=write_until_killed,
            args=(settings.folder, database_url, acknowledged, telling),
            daemon=True,
        )
        process.start()
        telling.close()
        acknowledged = hearing.recv()
        time.sleep(dice.uniform(0.0, 0.3))
        process.kill()
        process.join()
        with contextlib.suppress(EOFError):
            while True:
                acknowledged = hearing.recv()
        now = published(settings)
        if now is not None:
            assert_extends(settings, last, now)
            last = now
        # What was committed but not acknowledged before the kill stays; the next writer goes on after it.
        database = Database(database_url)
        sequencer = Sequencer(settings, database, KEY)
        while sequencer.run_once():
            pass
        final = published(settings)
        assert final is not None
        assert_extends(settings, last, final)
        last = final
        found = numbers(settings)
        assert found == list(range(len(found)))
        assert len(found) >= acknowledged
        acknowledged = len(found)
        sequencer.close()
        database.dispose()
    assert fsck.check_folder(settings.path("ledger"), KEY.verifier()).problems == ()


STEPS = [
    (files_module, "_write_draft"),
    (files_module, "_sync_folder"),
    (Path, "replace"),
    (Assignment, "mark_integrated"),
    (Assignment, "assign"),
    (LedgerFiles, "drop_partials"),
]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_step_that_fails_is_made_good_by_the_next_run(
    owner: object,
    name: str,
    before: bool,
    tmp_path: Path,
    settings: CellSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.create_all()
    real = getattr(owner, name)
    number, last = 0, None
    sequencer = Sequencer(settings, database, KEY)
    for fail_at in range(12):
        calls = 0

        def failing(*args: object, fail_at: int = fail_at) -> object:
            nonlocal calls
            calls += 1
            if calls - 1 != fail_at:
                return real(*args)
            if not before:
                real(*args)
            raise OSError(errno.ENOSPC, "No space left on device")

        with database.write() as session:
            for _ in range(60):
                enqueue(session, PolicyAdopted(at=number, digest="ab" * 32, approvals=1))
                number += 1
        monkeypatch.setattr(owner, name, failing)
        try:
            sequencer.run_once()
        except OSError:
            assert calls == fail_at + 1
        monkeypatch.setattr(owner, name, real)
        if fail_at % 2:
            # Every other time a new process takes over instead of the same one trying again.
            sequencer.close()
            sequencer = Sequencer(settings, database, KEY)
        while sequencer.run_once():
            pass
        now = published(settings)
        assert now is not None
        assert_extends(settings, last, now)
        last = now
        assert numbers(settings) == list(range(number))
    sequencer.close()


def test_an_fsync_error_ends_the_sequencer(
    tmp_path: Path, settings: CellSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.create_all()
    sequencer = Sequencer(settings, database, KEY)
    real = os.fsync

    def fail(descriptor: int) -> None:
        if "ledger" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DurabilityError):
        sequencer.run_once()
    assert published(settings) is None
