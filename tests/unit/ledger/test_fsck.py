"""A check of a whole ledger from outside names what is wrong and where."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from lightwell.ledger import fsck
from lightwell.ledger.files import LedgerFiles
from lightwell.wire import checkpoint, entries, merkle
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.edge import Edge
from lightwell.wire.note import SigningKey

KEY = SigningKey.generate("lightwell/us", bytes(32))
DIGEST = "ab" * 32


def publish(folder: Path, data: list[bytes], key: SigningKey = KEY) -> None:
    edge = Edge()
    files = LedgerFiles(folder)
    files.write(edge.append(data, [merkle.leaf_hash(entry) for entry in data]))
    note = checkpoint.sign(Checkpoint("lightwell/us", edge.size, edge.root()), key)
    files.write({"checkpoint": note.encode()})


def entry(number: int) -> bytes:
    return entries.encode(entries.PolicyAdopted(at=number, digest=DIGEST, approvals=1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(tmp_path, [entry(n) for n in range(700)])
    return tmp_path


def test_a_sound_ledger_has_no_problems(folder: Path) -> None:
    done: list[int] = []
    report = fsck.check_folder(folder, KEY.verifier(), on_progress=done.append)
    assert (report.size, report.problems, report.origin) == (700, (), "lightwell/us")
    assert done == [256, 512, 700]


def test_an_altered_tile_and_an_altered_entry_are_named(folder: Path) -> None:
    tile = folder / "tile/0/001"
    tile.write_bytes(tile.read_bytes()[:-1] + b"?")
    bundle = folder / "tile/entries/000"
    bundle.write_bytes(bundle.read_bytes().replace(b'"approvals":1', b'"approvals":2', 1))
    problems = fsck.check_folder(folder, KEY.verifier()).problems
    named = {line.partition(":")[0] for line in problems}
    assert {"tile/0/000", "tile/0/001", "tile/1/000.p/2", "checkpoint"} <= named


def test_a_checkpoint_of_another_key_is_named(folder: Path) -> None:
    other = SigningKey.generate("lightwell/us", bytes([1]) * 32)
    report = fsck.check_folder(folder, other.verifier())
    assert report.problems[0].startswith("checkpoint: ")
    assert report.size == 0


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    assert fsck.check_folder(tmp_path, KEY.verifier()).problems == ("checkpoint: missing",)
    with pytest.raises(fsck.UnreadableError):
        fsck.check_folder(tmp_path / "nowhere", KEY.verifier())


def test_entries_of_no_known_form_are_named_and_unknown_kinds_are_not(tmp_path: Path) -> None:
    publish(tmp_path, [entry(1), b'{"kind":"FromLater","v":9}', b"not json"])
    problems = fsck.check_folder(tmp_path, KEY.verifier()).problems
    assert len(problems) == 1
    assert problems[0].startswith("tile/entries: entry 2: ")


def test_a_ledger_is_checked_by_folder_or_address(folder: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        by_address = fsck.check(f"http://127.0.0.1:{server.server_port}/", KEY.verifier())
        server.shutdown()
    assert by_address == fsck.check(folder, KEY.verifier())
    assert by_address["problems"] == ()
    assert by_address["size"] == 700


def test_an_address_where_nothing_answers_is_unreadable_not_unsound() -> None:
    with pytest.raises(fsck.UnreadableError):
        fsck.check("http://127.0.0.1:1", KEY.verifier())
