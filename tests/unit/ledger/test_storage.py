"""A ledger's storage, folder or bucket: a file is whole and durable or not there, and never changes."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lightwell.base.settings import CellSettings
from lightwell.ledger import folder as folder_module
from lightwell.ledger.errors import ConflictError, DurabilityError
from lightwell.ledger.folder import Folder
from lightwell.ledger.storage import Storage, open_storage, read_tile_file, tile_reader
from lightwell.wire import tiles
from lightwell.wire.tiles import TileError

Open = Callable[[], Storage]


@pytest.fixture(params=["folder", "bucket"])
def open_it(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same storage each time, as another process would."""
    where = request.getfixturevalue("bucket") + "/us" if request.param == "bucket" else "file"
    settings = CellSettings(cell="us", region="us", url="", folder=tmp_path / "us", ledger=where)
    return lambda: open_storage(settings)


def test_files_are_written_whole_and_read_back(open_it: Open) -> None:
    storage = open_it()
    storage.write({"tile/0/x001/234": b"one", "tile/entries/000.p/3": b"two"})
    assert storage.read("tile/0/x001/234") == open_it().read("tile/0/x001/234") == b"one"
    assert storage.read("tile/entries/000.p/3") == b"two"
    assert storage.read("tile/0/000") is None
    assert storage.read("checkpoint") is None


def test_a_file_written_again_with_the_same_bytes_is_no_conflict(open_it: Open) -> None:
    open_it().write({"tile/0/000": b"one"})
    open_it().write({"tile/0/000": b"one", "tile/0/001": b"two"})
    assert open_it().read("tile/0/001") == b"two"


def test_a_file_never_changes_once_it_is_there(open_it: Open) -> None:
    open_it().write({"tile/0/000": b"one"})
    with pytest.raises(ConflictError):
        open_it().write({"tile/0/000": b"two"})
    assert open_it().read("tile/0/000") == b"one"


def test_the_checkpoint_is_replaced_only_by_who_saw_the_last(open_it: Open) -> None:
    one, two = open_it(), open_it()
    one.publish(b"first", None)
    with pytest.raises(ConflictError):
        two.publish(b"fork", None)
    assert two.read("checkpoint") == b"first"
    two.publish(b"second", b"first")
    with pytest.raises(ConflictError):
        one.publish(b"fork", b"first")
    assert one.read("checkpoint") == b"second"
    one.publish(b"third", b"second")
    one.publish(b"fourth", b"third")
    assert open_it().read("checkpoint") == b"fourth"


def test_partial_files_are_cut_from_full_ones_when_gone(open_it: Open) -> None:
    storage = open_it()
    entries = [bytes([n]) * 3 for n in range(256)]
    full = b"".join(bytes([n]) * 32 for n in range(256))
    storage.write({"tile/entries/000.p/7": tiles.encode_bundle(entries[:7])})
    storage.write({"tile/entries/000": tiles.encode_bundle(entries), "tile/0/000": full})
    storage.drop_partials(["tile/entries/000", "tile/0/000"])
    assert storage.read("tile/entries/000.p/7") is None
    assert read_tile_file(storage, "tile/entries/000.p/7") == tiles.encode_bundle(entries[:7])
    assert read_tile_file(storage, "tile/0/000.p/5") == full[:160]
    assert tile_reader(storage)(0, 0, 5) == full[:160]
    # It can be made again: what is known of its folder was forgotten with it.
    storage.write({"tile/entries/000.p/8": b"x"})


@pytest.mark.parametrize("path", ["tile/../../secret", "tile/0/../../../secret", "/etc/passwd", "checkpoint"])
def test_no_path_leads_out_of_the_ledger(path: str, open_it: Open, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(TileError):
        read_tile_file(open_it(), path)


def test_each_file_and_each_touched_folder_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def recorded(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    Folder(tmp_path).write({"tile/0/000.p/1": b"x"})
    assert any(name.endswith(".new") for name in synced)
    for folder in ("", "/tile", "/tile/0", "/tile/0/000.p"):
        assert str(tmp_path) + folder in synced


def test_a_failed_fsync_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DurabilityError):
        Folder(tmp_path).publish(b"x", None)
    assert not (tmp_path / "checkpoint").exists()


def test_a_full_disk_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Folder(tmp_path)
    files.publish(b"old", None)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder_module.os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        files.publish(b"new", b"old")
    assert [path.read_bytes() for path in tmp_path.iterdir() if not path.name.startswith(".")] == [b"old"]
