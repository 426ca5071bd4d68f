"""A whole ledger recomputed from its entries: every file that differs from what they say is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from lightwell.wire import merkle, tiles
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.edge import Edge
from lightwell.wire.tiles import WIDTH

Read: TypeAlias = "Callable[[str], bytes | None]"
"""Returns the bytes of a file below the log's prefix, None if there is none."""

PROBLEM_LIMIT = 1000
"""An audit stops here: a log so broken needs no longer list, and one may claim any size it likes."""


@dataclass
class _Audit:
    read: Read
    size: int
    problems: list[str] = field(default_factory=list)

    def report(self, path: str, what: str) -> None:
        self.problems.append(f"{path}: {what}")

    def bundle(self, index: int, width: int) -> list[bytes] | None:
        """Return the entries of a bundle, or None having reported why not."""
        path = tiles.bundle_path(index, width)
        data = self.read(path)
        partial = data is not None or width == WIDTH
        if not partial:
            # A partial file may be gone once the full one is there (C2SP tlog-tiles).
            data = self.read(tiles.bundle_path(index))
        if data is None:
            self.report(path, "missing")
            return None
        try:
            return tiles.decode_bundle(data, width if partial else WIDTH)[:width]
        except tiles.TileError as error:
            self.report(path, str(error))
            return None

    def tile(self, path: str, expected: bytes) -> None:
        """Compare a tile as stored with what the entries say it is."""
        data = self.read(path)
        if data is None and ".p/" in path:
            data = self.read(path.rpartition(".p/")[0])
            data = None if data is None else data[: len(expected)]
        if data is None:
            self.report(path, "missing")
        elif data != expected:
            self.report(path, "differs from the entries")

    def leaves(self, index: int, width: int) -> list[bytes] | None:
        """Return a leaf tile as stored, to go on with when the bundle below it cannot be read."""
        data = self.read(tiles.tile_path(0, index, width))
        if data is None and width < WIDTH:
            data = self.read(tiles.tile_path(0, index))
        try:
            return None if data is None else tiles.split_hashes(data, width)
        except tiles.TileError:
            return None


def audit(
    read: Read,
    checkpoint: Checkpoint,
    on_entry: Callable[[int, bytes], None] | None = None,
    on_bundle: Callable[[int], None] | None = None,
) -> list[str]:
    """Recompute every tile and the root of a ledger from its entry bundles.

    Args:
        read: reads a file of the ledger by its path (`tile/...`).
        checkpoint: the opened checkpoint to hold the files to; its signature is the caller's to check.
        on_entry: told each entry's index and bytes, in order, those in unreadable bundles left out.
        on_bundle: told after each bundle how many entries are done, for a progress bar.

    Returns:
        What is wrong, a line each beginning with the file's path; empty if everything holds. After
        `PROBLEM_LIMIT` of them a last line, of the checkpoint, says that the rest was not looked at.
    """
    state = _Audit(read, checkpoint.size)
    # `Edge` grows the tree exactly as a writer does and says every file the writer should have made.
    edge = Edge()
    whole = True
    for index, width in _bundles(checkpoint.size):
        if len(state.problems) >= PROBLEM_LIMIT:
            state.report("checkpoint", f"too many problems, stopped at entry {index * WIDTH}")
            return state.problems
        entries = state.bundle(index, width)
        if entries is None:
            stored = state.leaves(index, width)
            whole = whole and stored is not None
            leaf_hashes = stored or [merkle.EMPTY_ROOT] * width
            entries = [b""] * width
        else:
            leaf_hashes = [merkle.leaf_hash(entry) for entry in entries]
            for at, entry in enumerate(entries if on_entry else ()):
                on_entry(index * WIDTH + at, entry)  # type: ignore[misc]
        # Unfinished tiles are served for the checkpoint's own size only: those are checked at the end.
        for path, data in edge.append(entries, leaf_hashes).items():
            if not path.startswith("tile/entries/") and ".p/" not in path:
                state.tile(path, data)
        if on_bundle:
            on_bundle(edge.size)
    for path, data in _unfinished(edge).items():
        state.tile(path, data)
    if edge.root() != checkpoint.root:
        cause = "" if whole else " (some entries could not be read)"
        state.report("checkpoint", f"its root is not that of the entries{cause}")
    return state.problems


def _bundles(size: int) -> Iterator[tuple[int, int]]:
    for index in range(-(-size // WIDTH)):
        yield index, tiles.width_at(0, index, size)


def _unfinished(edge: Edge) -> dict[str, bytes]:
    """Return the unfinished tiles at the end of the tree, as the entries say they are."""
    found = {}
    for level, row in enumerate(edge.rows):
        if row:
            index = (edge.size >> (tiles.HEIGHT * level)) // WIDTH
            found[tiles.tile_path(level, index, len(row))] = b"".join(row)
    return found
