"""A bucket that fails at any request leaves a ledger whole, though the writer cannot tell what was done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger import bucket as bucket_module
from lightwell.ledger.errors import LedgerCorruptError
from lightwell.ledger.queue import enqueue_many
from lightwell.ledger.sequencer import Sequencer
from lightwell.ledger.storage import open_storage, read_tile_file, tile_reader
from lightwell.wire import merkle, tiles
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint
from tests.factories.ledger import published_entries
from tests.integration.ledger_writer import key, numbered


class FaultyBucket:
    """Stands where the ledger's bucket has the module `obstore`; the request numbered `at` fails."""

    def __init__(self) -> None:
        self.at, self.seen, self.is_done = 0, 0, False

    def __getattr__(self, name: str) -> Any:
        return getattr(obstore, name)

    def fail(self, at: int, is_done: bool) -> None:
        """Let the request numbered `at` from here on fail, though done if `is_done`."""
        self.at, self.seen, self.is_done = at, 0, is_done

    def put(self, *args: Any, **more: Any) -> Any:
        return self._request(obstore.put, *args, **more)

    def get(self, *args: Any, **more: Any) -> Any:
        return self._request(obstore.get, *args, **more)

    def _request(self, send: Any, *args: Any, **more: Any) -> Any:
        self.seen += 1
        is_now = self.seen == self.at
        if is_now and not self.is_done:
            raise GenericError("injected: no answer")
        answer = send(*args, **more)
        if is_now:
            raise GenericError("injected: the answer was lost")
        return answer


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> FaultyBucket:
    made = FaultyBucket()
    monkeypatch.setattr(bucket_module, "obstore", made)
    return made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'cell.db'}")
    opened.create_all()
    yield opened
    opened.dispose()


def published(settings: CellSettings) -> Checkpoint:
    note = open_storage(settings).read("checkpoint")
    assert note is not None
    return open_checkpoint(note.decode(), key().verifier()).checkpoint


@pytest.mark.parametrize("is_done", [False, True], ids=["not done", "though done"])
@pytest.mark.parametrize("restarts", [False, True], ids=["goes on", "restarts"])
def test_at_every_request_a_failure_leaves_the_ledger_whole(
    is_done: bool, restarts: bool, faulty: FaultyBucket, bucket: str, database: Database, tmp_path: Path
) -> None:
    settings = CellSettings(cell="us", region="us", url="", folder=tmp_path / "us", ledger=bucket)
    sequencer = Sequencer(settings, database, key())
    sequencer.run_once()
    written, last, at = 0, published(settings), 1
    while True:
        with database.write() as session:
            enqueue_many(session, [numbered(written + n) for n in range(300)])
        written += 300
        faulty.fail(at, is_done)
        failed = ""
        try:
            sequencer.run_once()
        except (OSError, LedgerCorruptError) as error:
            failed = str(error)
        had_occasion = faulty.seen >= at
        faulty.fail(0, is_done=False)
        if restarts:
            sequencer.close()
            sequencer = Sequencer(settings, database, key())
        while sequencer.run_once():
            pass
        now = published(settings)
        storage = open_storage(settings)
        assert audit(lambda path, read=storage: read_tile_file(read, path), now) == []
        if last.size:
            proof = tiles.consistency_proof(tile_reader(storage), last.size, now.size)
            merkle.verify_consistency(last.size, last.root, now.size, now.root, proof)
        last = now
        if not had_occasion:
            break
        assert "injected" in failed
        at += 1
    assert at > 5
    entries = published_entries(open_storage(settings))
    assert [b'"at":%d,' % number in entries[number] for number in range(written)] == [True] * written
    sequencer.close()
