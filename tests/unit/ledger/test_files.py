"""The ledger's folder: whole and durable under its name, or not there."""

import errno
import os
from pathlib import Path

import pytest

from lightwell.ledger.files import DurabilityError, LedgerFiles
from lightwell.wire import tiles
from lightwell.wire.tiles import TileError


def test_files_are_written_whole_and_read_back(tmp_path: Path) -> None:
    files = LedgerFiles(tmp_path / "ledger")
    files.write({"tile/0/x001/234": b"one", "checkpoint": b"two"})
    assert files.read("tile/0/x001/234") == b"one"
    assert files.read("checkpoint") == b"two"
    assert files.read("tile/0/000") is None
    assert files.read("checkpoint/000") is None
    assert [path.name for path in (tmp_path / "ledger").rglob("*.new")] == []


def test_each_file_and_each_touched_folder_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def recorded(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    LedgerFiles(tmp_path).write({"tile/0/000.p/1": b"x"})
    assert any(name.endswith(".new") for name in synced)
    for folder in ("", "/tile", "/tile/0", "/tile/0/000.p"):
        assert str(tmp_path) + folder in synced


def test_a_failed_fsync_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DurabilityError):
        LedgerFiles(tmp_path).write({"checkpoint": b"x"})
    assert not (tmp_path / "checkpoint").exists()


def test_a_full_disk_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LedgerFiles(tmp_path)
    files.write({"checkpoint": b"old"})

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        files.write({"checkpoint": b"new"})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_partial_files_are_cut_from_full_ones_when_gone(tmp_path: Path) -> None:
    files = LedgerFiles(tmp_path)
    entries = [bytes([n]) * 3 for n in range(256)]
    full = b"".join(bytes([n]) * 32 for n in range(256))
    files.write({"tile/entries/000.p/7": tiles.encode_bundle(entries[:7])})
    files.write({"tile/entries/000": tiles.encode_bundle(entries), "tile/0/000": full})
    files.drop_partials(["tile/entries/000", "tile/0/000"])
    assert not (tmp_path / "tile/entries/000.p").exists()
    assert files.read_tile_file("tile/entries/000.p/7") == tiles.encode_bundle(entries[:7])
    assert files.read_tile_file("tile/0/000.p/5") == full[:160]
    assert files.read_tile(0, 0, 5) == full[:160]
    # The folder can be made again: what is known of it was forgotten with it.
    files.write({"tile/entries/000.p/8": b"x"})


def test_no_path_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    files = LedgerFiles(tmp_path / "ledger")
    for path in ("tile/../../secret", "tile/0/../../../secret", "/etc/passwd", "checkpoint"):
        with pytest.raises(TileError):
            files.read_tile_file(path)
