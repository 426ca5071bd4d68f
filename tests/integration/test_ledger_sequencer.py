"""The sequencer on both databases: one order, one writer, and files that can be made again."""

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text, update

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger import assignment as assignment_module
from lightwell.ledger import fsck
from lightwell.ledger.files import LedgerFiles
from lightwell.ledger.integrated import integrated
from lightwell.ledger.models import LedgerEntry, LedgerState
from lightwell.ledger.queue import enqueue, enqueue_many
from lightwell.ledger.sequencer import LedgerCorruptError, Sequencer
from lightwell.wire import entries, tiles
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint
from lightwell.wire.entries import Entry, PolicyAdopted
from lightwell.wire.merkle import EMPTY_ROOT, leaf_hash
from lightwell.wire.note import SigningKey

KEY = SigningKey.generate("lightwell/us", bytes(32))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    opened.create_all()
    yield opened
    opened.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> CellSettings:
    return CellSettings(
        cell="us", region="us", url="http://us.test", folder=tmp_path / "us", checkpoint_milliseconds=10
    )


@pytest.fixture
def sequencer(settings: CellSettings, database: Database) -> Iterator[Sequencer]:
    opened = Sequencer(settings, database, KEY)
    yield opened
    opened.close()


def numbered(count: int, first: int = 0) -> list[Entry]:
    return [PolicyAdopted(at=first + n, digest="ab" * 32, approvals=1) for n in range(count)]


def queue(database: Database, facts: list[Entry]) -> list[bytes]:
    with database.write() as session:
        return enqueue_many(session, facts)


def published(settings: CellSettings) -> Checkpoint:
    note = settings.path("ledger/checkpoint").read_text()
    return open_checkpoint(note, KEY.verifier(), origin="lightwell/us").checkpoint


def in_files(settings: CellSettings) -> list[int]:
    """Check every file from outside and return the numbers of the entries in order."""
    folder = settings.path("ledger")
    assert fsck.check_folder(folder, KEY.verifier()).problems == ()
    found: list[int] = []
    size = published(settings).size
    for path in [name for name in tiles.paths(size) if name.startswith("tile/entries/")]:
        _, index, width = tiles.parse_path(path)
        data = LedgerFiles(folder).read_tile_file(path)
        for raw in tiles.decode_bundle(data or b"", width):
            entry = entries.decode(raw)
            assert isinstance(entry, PolicyAdopted)
            found.append(entry.at)
        assert len(found) == index * 256 + width
    return found


def test_a_new_ledger_publishes_the_empty_tree(sequencer: Sequencer, settings: CellSettings) -> None:
    assert sequencer.run_once() == Checkpoint("lightwell/us", 0, EMPTY_ROOT) == published(settings)
    assert sequencer.run_once() is None


def test_entries_keep_the_order_they_were_queued_in(
    sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    first = 0
    for count in (1, 2, 250, 3, 1, 600, 255, 1):
        queue(database, numbered(count, first))
        first += count
        checkpoint = sequencer.run_once()
        assert checkpoint is not None
        assert checkpoint.size == first
    assert in_files(settings) == list(range(first))


def test_an_entry_is_queued_only_if_its_fact_is(
    sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    def fail() -> None:
        with database.write() as session:
            enqueue(session, numbered(1)[0])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    queue(database, numbered(1, 5))
    sequencer.run_once()
    assert in_files(settings) == [5]


def test_a_leaf_is_integrated_only_under_a_published_checkpoint(
    sequencer: Sequencer, database: Database
) -> None:
    leaves = queue(database, numbered(3))
    with database.read() as session:
        assert integrated(session, leaves) == {}
    sequencer.run_once()
    with database.read() as session:
        assert integrated(session, leaves) == {leaf: at for at, leaf in enumerate(leaves)}
        assert integrated(session, [leaf_hash(b"unknown")]) == {}
        assert integrated(session, []) == {}


def test_equal_entries_are_each_in_the_tree(
    sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    leaves = queue(database, numbered(1) * 3)
    sequencer.run_once()
    assert published(settings).size == 3
    with database.read() as session:
        assert integrated(session, leaves) == {leaves[0]: 0}


def test_of_two_sequencers_one_writes(database: Database, settings: CellSettings) -> None:
    one, two = Sequencer(settings, database, KEY), Sequencer(settings, database, KEY)
    queue(database, numbered(5))
    assert one.run_once() is not None
    queue(database, numbered(5, 5))
    assert two.run_once() is None
    assert one.run_once() is not None
    one.close()
    queue(database, numbered(5, 10))
    checkpoint = two.run_once()
    assert checkpoint is not None
    assert checkpoint.size == 15
    two.close()
    assert in_files(settings) == list(range(15))


def test_a_writer_that_lost_its_lease_cannot_fork_the_tree(
    database: Database, settings: CellSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Sequencer(settings, database, KEY), Sequencer(settings, database, KEY)
    queue(database, numbered(5))
    one.run_once()
    # The lease runs out while the first writer is paused; it still believes in it.
    monkeypatch.setattr(assignment_module, "LEASE_MILLISECONDS", -1)
    for turn in range(1, 9):
        queue(database, numbered(5, 5 * turn))
        (one if turn % 2 else two).run_once()
        (two if turn % 2 else one).run_once()
    assert in_files(settings) == list(range(45))


def test_entries_queued_at_once_by_many_are_each_there_once(
    database: Database, settings: CellSettings
) -> None:
    sequencer, stop = Sequencer(settings, database, KEY), threading.Event()
    running = threading.Thread(target=sequencer.run, args=(stop,))
    running.start()

    def produce(lane: int) -> None:
        for n in range(20):
            queue(database, numbered(3, lane * 1000 + n * 3))

    def is_done() -> bool:
        return settings.path("ledger/checkpoint").exists() and published(settings).size == 240

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(produce, range(4)))
    deadline = time.monotonic() + 60
    while not is_done() and running.is_alive() and time.monotonic() < deadline:
        sequencer.wake()
        time.sleep(0.02)
    stop.set()
    running.join(10)
    assert not running.is_alive()
    found = in_files(settings)
    assert sorted(found) == sorted(lane * 1000 + n for lane in range(4) for n in range(60))
    for lane in range(4):
        own = [n for n in found if n // 1000 == lane]
        assert own == sorted(own)


def test_a_lost_folder_is_written_again_from_the_database(
    sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    queue(database, numbered(600))
    before = sequencer.run_once()
    sequencer.close()
    shutil.rmtree(settings.path("ledger"))
    again = Sequencer(settings, database, KEY)
    assert again.run_once() == before
    assert in_files(settings) == list(range(600))


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/002.p/88"])
def test_a_damaged_edge_is_written_again_from_the_database(
    path: str, sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    queue(database, numbered(600))
    before = sequencer.run_once()
    sequencer.close()
    file = settings.path("ledger") / path
    file.write_bytes(file.read_bytes()[:-3] + b"abc")
    again = Sequencer(settings, database, KEY)
    queue(database, numbered(1, 600))
    again.run_once()
    again.run_once()
    assert before is not None
    assert in_files(settings) == list(range(601))
    again.close()


def test_an_older_checkpoint_put_back_is_overtaken_consistently(
    sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    queue(database, numbered(300))
    sequencer.run_once()
    old = settings.path("ledger/checkpoint").read_bytes()
    queue(database, numbered(300, 300))
    newest = sequencer.run_once()
    sequencer.close()
    settings.path("ledger/checkpoint").write_bytes(old)
    again = Sequencer(settings, database, KEY)
    assert again.run_once() == newest
    again.close()


def test_an_older_database_put_back_signs_nothing(
    sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    queue(database, numbered(10))
    sequencer.run_once()
    sequencer.close()
    with database.write() as session:
        session.execute(update(LedgerState).values(assigned_size=4, integrated_size=4))
        session.execute(update(LedgerEntry).where(LedgerEntry.entry_index >= 4).values(entry_index=None))
    before = settings.path("ledger/checkpoint").read_bytes()
    with pytest.raises(LedgerCorruptError):
        Sequencer(settings, database, KEY).run_once()
    assert settings.path("ledger/checkpoint").read_bytes() == before


def test_an_entry_altered_in_the_database_is_not_written(
    sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    queue(database, numbered(10))
    sequencer.run_once()
    sequencer.close()
    shutil.rmtree(settings.path("ledger"))
    with database.write() as session:
        session.execute(update(LedgerEntry).where(LedgerEntry.entry_index == 3).values(entry=b"{}"))
    with pytest.raises(LedgerCorruptError):
        Sequencer(settings, database, KEY).run_once()
    assert not settings.path("ledger/checkpoint").exists()


def test_a_database_that_is_away_for_a_while_does_not_end_the_sequencer(
    database: Database, settings: CellSettings
) -> None:
    with database.write() as session:
        session.execute(text("ALTER TABLE ledger_state RENAME TO away"))
    sequencer, stop = Sequencer(settings, database, KEY), threading.Event()
    running = threading.Thread(target=sequencer.run, args=(stop,))
    running.start()
    time.sleep(0.2)
    with database.write() as session:
        session.execute(text("ALTER TABLE away RENAME TO ledger_state"))
    deadline = time.monotonic() + 10
    while not settings.path("ledger/checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    running.join(10)
    assert published(settings).size == 0


def test_a_key_of_another_ledger_is_refused(database: Database, settings: CellSettings) -> None:
    with pytest.raises(ValueError, match="lightwell/sg"):
        Sequencer(settings, database, SigningKey.generate("lightwell/sg", bytes(32)))
