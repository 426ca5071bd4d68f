"""A ledger's folder, file by file: what does not fit the entries under its signed checkpoint is named."""

from collections.abc import Iterator
from pathlib import Path

from lightwell.wire import merkle, tiles
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import CheckpointError, open_checkpoint
from lightwell.wire.keys import NoteError, Verifier


def problems_at_rest(folder: Path, verifier: Verifier) -> list[str]:
    """Audit a ledger that nobody is writing, as it lies on disk.

    To be done before its writer starts: a writer completes what a power cut left, and may thereby write a
    file anew that somebody has altered.

    Args:
        folder: the ledger's folder; one without a checkpoint is a ledger that has not begun.
        verifier: the ledger's key.
    """
    if not (folder / "checkpoint").exists():
        return []
    leaves: list[bytes] = []
    entries: list[bytes] = []

    def read(path: str) -> bytes | None:
        try:
            return (folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def keep(_: int, data: bytes) -> None:
        entries.append(data)
        leaves.append(merkle.leaf_hash(data))

    try:
        note = (folder / "checkpoint").read_text("utf-8")
        checkpoint = open_checkpoint(note, verifier, origin=verifier.name).checkpoint
    except (NoteError, CheckpointError, UnicodeDecodeError) as error:
        return [f"checkpoint: {error}"]
    return audit(read, checkpoint, on_entry=keep) or list(stale_files(folder, entries, leaves))


def stale_files(folder: Path, entries: list[bytes], leaves: list[bytes]) -> Iterator[str]:
    """Name every file of a ledger's folder that does not fit the entries, those of smaller trees too.

    Args:
        folder: the ledger's folder.
        entries: every entry under an audited checkpoint.
        leaves: their leaf hashes.
    """
    levels = [leaves]
    while len(levels[-1]) >= tiles.WIDTH:
        below = levels[-1]
        full = len(below) // tiles.WIDTH
        levels.append([merkle.root(below[i * tiles.WIDTH : (i + 1) * tiles.WIDTH]) for i in range(full)])
    for file in sorted((folder / "tile").rglob("*")):
        path = file.relative_to(folder).as_posix()
        try:
            level, index, width = tiles.parse_path(path)
            found = file.read_bytes()
        except (tiles.TileError, OSError):
            continue  # folders, and drafts that a writer is about to rename
        start, end = index * tiles.WIDTH, index * tiles.WIDTH + width
        row = entries if level is None else levels[level] if level < len(levels) else []
        if end > len(row):
            continue  # newer than the checkpoint that was audited
        wanted = tiles.encode_bundle(row[start:end]) if level is None else b"".join(row[start:end])
        if found != wanted:
            yield f"{path} on disk does not fit the entries"
