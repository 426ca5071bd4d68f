from pathlib import Path

import pytest

from lightwell.apps.demo.check.disk import problems_at_rest
from lightwell.wire import merkle, tiles
from lightwell.wire.checkpoint import Checkpoint, sign
from lightwell.wire.keys import SigningKey

KEY = SigningKey.generate("lightwell/us", bytes(32))
ENTRIES = [f"entry {n}".encode() for n in range(300)]


def write(folder: Path, path: str, data: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger of 300 entries with the unfinished files of smaller trees still there."""
    leaves = [merkle.leaf_hash(entry) for entry in ENTRIES]
    for size in (7, 200, 256, 280, 300):
        for index in range(-(-size // 256)):
            part = slice(index * 256, min(size, index * 256 + 256))
            width = part.stop - part.start
            write(tmp_path, tiles.bundle_path(index, width), tiles.encode_bundle(ENTRIES[part]))
            write(tmp_path, tiles.tile_path(0, index, width), b"".join(leaves[part]))
    write(tmp_path, tiles.tile_path(1, 0, 1), merkle.root(leaves[:256]))
    write(tmp_path, "checkpoint", sign(Checkpoint(KEY.name, 300, merkle.root(leaves)), KEY).encode())
    return tmp_path


def test_a_whole_ledger_has_no_problem(ledger: Path) -> None:
    assert problems_at_rest(ledger, KEY.verifier()) == []


def test_a_ledger_that_has_not_begun_has_no_problem(tmp_path: Path) -> None:
    assert problems_at_rest(tmp_path, KEY.verifier()) == []


def test_every_altered_file_is_named(ledger: Path) -> None:
    files = [file for file in (ledger / "tile").rglob("*") if file.is_file()]
    assert len(files) > 8
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        problems = problems_at_rest(ledger, KEY.verifier())
        assert any(file.relative_to(ledger).as_posix() in p or "root" in p for p in problems), file
        file.write_bytes(whole)


def test_another_keys_checkpoint_is_refused(ledger: Path) -> None:
    other = SigningKey.generate("lightwell/us", bytes([1] * 32))
    assert problems_at_rest(ledger, other.verifier())[0].startswith("checkpoint")
