"""The sequencer on both databases and both storages: one order, one writer, and no fork whatever is lost."""

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text, update

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger import assignment as assignment_module
from lightwell.ledger import places as places_module
from lightwell.ledger.errors import LedgerCorruptError
from lightwell.ledger.models import LedgerBatch, LedgerEntry, LedgerState
from lightwell.ledger.places import integrated
from lightwell.ledger.queue import enqueue, enqueue_many
from lightwell.ledger.sequencer import Sequencer
from lightwell.ledger.storage import open_storage, read_tile_file
from lightwell.wire import entries
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint
from lightwell.wire.entries import Entry, PolicyAdopted
from lightwell.wire.keys import SigningKey
from lightwell.wire.merkle import EMPTY_ROOT, leaf_hash

FOLD_AT = 1_024
KEY = SigningKey.generate("lightwell/us", bytes(32))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    opened.create_all()
    yield opened
    opened.dispose()


@pytest.fixture(params=["folder", "bucket"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> CellSettings:
    ledger = request.getfixturevalue("bucket") if request.param == "bucket" else "file"
    return CellSettings(
        cell="us",
        region="us",
        url="http://us.test",
        folder=tmp_path / "us",
        ledger=ledger,
        checkpoint_milliseconds=10,
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
    note = open_storage(settings).read("checkpoint")
    assert note is not None
    return open_checkpoint(note.decode(), KEY.verifier(), origin="lightwell/us").checkpoint


def in_files(settings: CellSettings) -> list[int]:
    """Check every file from outside and return the numbers of the entries in order."""
    found: list[int] = []

    def look(_: int, data: bytes) -> None:
        entry = entries.decode(data)
        assert isinstance(entry, PolicyAdopted)
        found.append(entry.at)

    storage = open_storage(settings)
    assert audit(lambda path: read_tile_file(storage, path), published(settings), look) == []
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
        note = open_storage(settings).read("checkpoint")
        return note is not None and published(settings).size == 240

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(produce, range(4)))
    deadline = time.monotonic() + 60
    while not is_done() and running.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    running.join(120)
    assert not running.is_alive()
    found = in_files(settings)
    assert sorted(found) == sorted(lane * 1000 + n for lane in range(4) for n in range(60))
    for lane in range(4):
        own = [n for n in found if n // 1000 == lane]
        assert own == sorted(own)


@pytest.mark.parametrize("join_at", [2, 100])
def test_where_an_entry_stands_is_known_however_long_ago_it_was_published(
    join_at: int,
    sequencer: Sequencer,
    database: Database,
    settings: CellSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places_module, "JOIN_AT", join_at)
    monkeypatch.setattr(places_module, "FOLD_AT", FOLD_AT)
    leaves: list[bytes] = []
    for count in (3, 300, FOLD_AT, 5, FOLD_AT - 6, 1, 7, FOLD_AT, FOLD_AT, FOLD_AT + 1, 9):
        leaves += queue(database, numbered(count, len(leaves)))
        while sequencer.run_once():
            pass
    sample = [*range(0, len(leaves), 97), 2, 3, 302, 303, FOLD_AT + 302, FOLD_AT + 303, len(leaves) - 1]
    with database.read() as session:
        found = integrated(session, [leaves[at] for at in sample])
        assert found == {leaves[at]: at for at in sample}
        assert integrated(session, [leaf_hash(b"unknown"), leaves[5][:11] + bytes(21)]) == {}


def test_a_published_entry_is_kept_once_in_the_files_and_not_in_the_database(
    sequencer: Sequencer, database: Database, settings: CellSettings
) -> None:
    queue(database, numbered(600))
    sequencer.run_once()
    with database.read() as session:
        assert session.query(LedgerEntry).count() == session.query(LedgerBatch).count() == 0
    assert in_files(settings) == list(range(600))


def test_shuffled_batches_hold_the_same_entries(database: Database, settings: CellSettings) -> None:
    shuffled = Sequencer(msgspec.structs.replace(settings, ledger_shuffle=True), database, KEY)
    for first in (0, 300):
        queue(database, numbered(300, first))
        shuffled.run_once()
    shuffled.close()
    found = in_files(settings)
    assert found[:300] != list(range(300))
    assert sorted(found[:300]) == list(range(300))
    assert sorted(found[300:]) == list(range(300, 600))


@pytest.fixture
def grown(database: Database, tmp_path: Path) -> CellSettings:
    """A cell whose ledger of 600 entries lies in a folder, its writer gone."""
    settings = CellSettings(cell="us", region="us", url="http://us.test", folder=tmp_path / "us")
    writer = Sequencer(settings, database, KEY)
    queue(database, numbered(600))
    writer.run_once()
    writer.close()
    return settings


def refuses(settings: CellSettings, database: Database, what: str) -> None:
    """Assert that a new writer signs nothing, with or without entries that wait, and says why."""
    file = settings.path("ledger/checkpoint")
    before = file.read_bytes() if file.exists() else None
    for _ in range(2):
        writer = Sequencer(settings, database, KEY)
        with pytest.raises(LedgerCorruptError, match=what):
            writer.run_once()
        writer.close()
        queue(database, numbered(1, 600))
    assert (file.read_bytes() if file.exists() else None) == before


def test_a_lost_folder_signs_nothing(database: Database, grown: CellSettings) -> None:
    shutil.rmtree(grown.path("ledger"))
    refuses(grown, database, "the checkpoint of 600 entries is gone")


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/002.p/88"])
def test_a_damaged_edge_signs_nothing(path: str, database: Database, grown: CellSettings) -> None:
    file = grown.path("ledger") / path
    file.write_bytes(file.read_bytes()[:-3] + b"abc")
    refuses(grown, database, "damaged|do not lead")


def test_an_older_ledger_put_back_signs_nothing(database: Database, grown: CellSettings) -> None:
    old = grown.path("ledger/checkpoint").read_bytes()
    queue(database, numbered(300, 600))
    writer = Sequencer(grown, database, KEY)
    writer.run_once()
    writer.close()
    grown.path("ledger/checkpoint").write_bytes(old)
    refuses(grown, database, "files hold 600 entries, 900 were published")


def test_an_older_database_put_back_signs_nothing(database: Database, grown: CellSettings) -> None:
    with database.write() as session:
        session.execute(update(LedgerState).values(assigned_size=4, integrated_size=4))
    refuses(grown, database, "files hold 600 entries, the database only 4")


def test_a_database_of_another_tree_signs_nothing(database: Database, grown: CellSettings) -> None:
    with database.write() as session:
        session.execute(update(LedgerState).values(root=bytes(32)))
    refuses(grown, database, "disagree on the root")


def test_what_was_published_but_not_marked_so_is_marked_by_the_next_writer(
    database: Database, settings: CellSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Sequencer(settings, database, KEY)
    leaves = queue(database, numbered(600))
    with monkeypatch.context() as patch:
        patch.setattr(assignment_module, "record_places", fail_once)
        with pytest.raises(OSError, match="power"):
            writer.run_once()
    writer.close()
    assert published(settings).size == 600
    with database.read() as session:
        assert integrated(session, leaves[:1]) == {}
    again = Sequencer(settings, database, KEY)
    assert again.run_once() is None
    with database.read() as session:
        assert integrated(session, [leaves[599]]) == {leaves[599]: 599}
        assert session.query(LedgerEntry).count() == 0
    again.close()


def fail_once(*_: object) -> None:
    raise OSError("power cut")


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
    deadline = time.monotonic() + 120
    while open_storage(settings).read("checkpoint") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    running.join(120)
    assert published(settings).size == 0


def test_a_key_of_another_ledger_is_refused(database: Database, settings: CellSettings) -> None:
    with pytest.raises(ValueError, match="lightwell/sg"):
        Sequencer(settings, database, SigningKey.generate("lightwell/sg", bytes(32)))
