"""Follows one cell's ledger: what it keeps was signed, and every tree it took extends all earlier ones."""

import sqlite3
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from lightwell.oversight import rules, tree
from lightwell.oversight.reading import Read, UnreachableError
from lightwell.oversight.store import Store
from lightwell.wire import entries as kinds
from lightwell.wire import merkle, tiles
from lightwell.wire.audit import PROBLEM_LIMIT, audit
from lightwell.wire.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from lightwell.wire.note import NoteError, Verifier
from lightwell.wire.tiles import WIDTH

_CHANGED: Final = "entry {index} is not the one that was there before"


class FollowStatus(msgspec.Struct):
    """How following goes: when the cell was last read and checked, and what stands in the way now."""

    checked_at: float = 0.0
    reached_at: float = 0.0
    trouble: str = ""


class Follower:
    """Follows the ledger of one cell into a store; one thread at a time may call it."""

    def __init__(self, store: Store, cell: str, origin: str, verifier: Verifier, read: Read) -> None:
        self.store = store
        self.cell = cell
        self.origin = origin
        self.verifier = verifier
        self.read = read
        self.status = FollowStatus()

    def poll(self) -> int:
        """Read the checkpoint, and the entries up to it if it grew; return how many entries are new.

        A ledger that cannot be read is a trouble in `status`; one that contradicts itself is a finding.
        """
        try:
            grown = self._poll()
        except UnreachableError as error:
            self.status.trouble = f"The cell cannot be reached ({error})."
            return 0
        self.status.reached_at = time.time()
        return grown

    def audit(self) -> list[str]:
        """Read everything again from entry 0 and return what is wrong, each naming its file or entry.

        The entries are compared with ours and every tile is computed anew.

        Raises:
            UnreachableError: the cell cannot be read now.
        """
        self.poll()
        head = self.store.head(self.cell)
        if head is None:
            return []
        checkpoint = Checkpoint(self.origin, head.size, head.root)
        changed: list[str] = []

        def compare(index: int, data: bytes) -> None:
            if len(changed) < PROBLEM_LIMIT and not self._is_ours(index, data):
                changed.append(_CHANGED.format(index=index))

        return [*audit(self.read, checkpoint, on_entry=compare), *changed]

    # --- one poll

    def _poll(self) -> int:
        raw = self.read("checkpoint")
        if raw is None:
            self.status.trouble = "The cell has published no checkpoint yet."
            return 0
        checkpoint = self._open(raw)
        if checkpoint is None:
            return 0
        note = raw.decode()
        head = self.store.head(self.cell)
        size, root = (head.size, head.root) if head else (0, merkle.EMPTY_ROOT)
        if checkpoint.size < size:
            self._find(
                f"truncated-{size}",
                "The ledger was truncated",
                f"A checkpoint of {checkpoint.size} entries was signed after one of {size}.",
                [checkpoint.size],
            )
            return 0
        if checkpoint.size == size:
            if checkpoint.root != root:
                self._diverged(checkpoint, size)
                return 0
            self._keep_note(note, checkpoint)
            return 0
        return self._grow(checkpoint, note, size)

    def _open(self, raw: bytes) -> Checkpoint | None:
        try:
            opened = open_checkpoint(raw.decode(), self.verifier, origin=self.origin)
        except (NoteError, CheckpointError, UnicodeDecodeError) as error:
            self._find("bad-checkpoint", "A checkpoint is not the ledger's", f"It was refused: {error}.", [])
            return None
        return opened.checkpoint

    def _grow(self, checkpoint: Checkpoint, note: str, size: int) -> int:
        try:
            fetched = self._fetch(size, checkpoint.size)
        except LookupError as error:
            # May be a moment between two writes; it stays open until the entries can be read.
            self.status.trouble = f"Entries the checkpoint covers cannot be read ({error})."
            self.store.raise_finding(
                self.cell,
                f"unreadable-{size}",
                area="ledger",
                title="Entries that were signed for cannot be read",
                detail=f"The checkpoint covers {checkpoint.size} entries; {error}.",
                entries=[size],
                state="open",
            )
            return 0
        new, rewritten = fetched
        if rewritten is not None or not self._append(checkpoint, note, size, new):
            self._diverged(checkpoint, size)
            return 0
        self.store.close_finding(self.cell, f"unreadable-{size}")
        self.status.trouble = ""
        self.status.checked_at = time.time()
        return len(new)

    def _append(self, checkpoint: Checkpoint, note: str, size: int, new: Sequence[bytes]) -> bool:
        """Store the new entries and the head in one transaction; False leaves everything as it was."""
        leaves = [merkle.leaf_hash(data) for data in new]
        breaches: list[rules.Breach] = []
        try:
            with self.store.write() as db:
                breaches = self._insert(db, size, new, leaves)
                tree.extend(db, self.cell, size, leaves)
                if tree.root_at(db, self.cell, checkpoint.size) != checkpoint.root:
                    raise _WrongRoot
                self._set_head(db, checkpoint, note)
        except _WrongRoot:
            return False
        for breach in breaches:
            self.store.raise_finding(
                self.cell,
                breach.key,
                area=breach.area,
                title=breach.title,
                detail=breach.detail,
                entries=breach.entries,
            )
        return True

    def _insert(
        self, db: sqlite3.Connection, size: int, new: Sequence[bytes], leaves: Sequence[bytes]
    ) -> list[rules.Breach]:
        breaches: list[rules.Breach] = []
        counts: dict[str, int] = {}
        for index, (data, leaf) in enumerate(zip(new, leaves, strict=True), start=size):
            try:
                entry = kinds.decode(data)
                kind = entry.kind if isinstance(entry, kinds.UnknownEntry) else type(entry).__name__
            except kinds.EntryError as error:
                entry, kind = None, "Malformed"
                breaches.append(
                    rules.Breach(
                        f"malformed-{index}", "ledger", "An entry is not well formed", str(error), [index]
                    )
                )
            db.execute(
                "INSERT INTO entries (cell, idx, kind, leaf, data) VALUES (?, ?, ?, ?, ?)",
                (self.cell, index, kind, leaf, data),
            )
            counts[kind] = counts.get(kind, 0) + 1
            breaches += rules.digest_entry(db, self.cell, index, entry)
        for kind, n in counts.items():
            db.execute(
                """INSERT INTO kinds (cell, kind, n) VALUES (?, ?, ?)
                ON CONFLICT (cell, kind) DO UPDATE SET n = n + excluded.n""",
                (self.cell, kind, n),
            )
        return breaches

    def _set_head(self, db: sqlite3.Connection, checkpoint: Checkpoint, note: str) -> None:
        db.execute(
            """INSERT INTO heads (cell, size, root, note, grown_at, checks) VALUES (?, ?, ?, ?, ?, 1)
            ON CONFLICT (cell) DO UPDATE SET size = excluded.size, root = excluded.root,
              note = excluded.note, grown_at = excluded.grown_at, checks = checks + 1""",
            (self.cell, checkpoint.size, checkpoint.root, note, time.time()),
        )

    def _keep_note(self, note: str, checkpoint: Checkpoint) -> None:
        """Take the same tree's note again when it gained cosignatures."""
        head = self.store.head(self.cell)
        if head is None or note != head.note:
            with self.store.write() as db:
                self._set_head(db, checkpoint, note)
        self.status.trouble = ""
        self.status.checked_at = time.time()

    # --- reading and comparing entries

    def _fetch(self, start: int, stop: int) -> tuple[list[bytes], int | None]:
        """Read entries `start` to `stop`; the second value is the first older one that changed, if any."""
        new: list[bytes] = []
        for bundle in range(start // WIDTH, -(-stop // WIDTH)):
            first = bundle * WIDTH
            entries = self._bundle(bundle, min(WIDTH, stop - first))
            for index, data in enumerate(entries, start=first):
                if index >= start:
                    new.append(data)
                elif not self._is_ours(index, data):
                    return [], index
        return new, None

    def _bundle(self, bundle: int, width: int) -> list[bytes]:
        path = tiles.bundle_path(bundle, width)
        raw, held = self.read(path), width
        if raw is None and width < WIDTH:
            # A partial bundle may be removed once the whole one is there.
            raw, held = self.read(tiles.bundle_path(bundle, WIDTH)), WIDTH
        if raw is None:
            raise LookupError(f"{path} is not there")
        try:
            return tiles.decode_bundle(raw, held)[:width]
        except tiles.TileError as error:
            raise LookupError(f"{path}: {error}") from error

    def _is_ours(self, index: int, data: bytes) -> bool:
        row = self.store.entry(self.cell, index)
        return row is not None and bytes(row["leaf"]) == merkle.leaf_hash(data)

    def _compare(self, size: int) -> list[str]:
        """Read every entry below `size` again and name those that are not what we were given before."""
        problems = []
        for bundle in range(-(-size // WIDTH)):
            width = min(WIDTH, size - bundle * WIDTH)
            try:
                entries = self._bundle(bundle, width)
            except LookupError as error:
                problems.append(str(error))
                continue
            problems += [
                _CHANGED.format(index=index)
                for index, data in enumerate(entries, start=bundle * WIDTH)
                if not self._is_ours(index, data)
            ]
        return problems

    def _diverged(self, checkpoint: Checkpoint, size: int) -> None:
        """Say how a validly signed checkpoint contradicts ours, naming the first entry that differs."""
        try:
            changed = self._compare(min(size, checkpoint.size))
        except UnreachableError:
            changed = []
        if changed:
            title, detail = "The ledger was rewritten", f"{changed[0][0].upper()}{changed[0][1:]}."
        else:
            title = "The ledger was forked"
            detail = "Its entries read as before, but the signed root is not the root of them."
        self._find(
            f"diverged-{size}",
            title,
            f"{detail} The checkpoint of {checkpoint.size} entries does not extend the one of {size}.",
            [_first_number(changed[0])] if changed and changed[0].startswith("entry ") else [],
        )

    def _find(self, key: str, title: str, detail: str, entries: list[int]) -> None:
        self.status.trouble = f"{title}. {detail}"
        self.store.raise_finding(self.cell, key, area="ledger", title=title, detail=detail, entries=entries)


class _WrongRoot(Exception):  # noqa: N818  it rolls a transaction back and goes no further
    pass


def _first_number(text: str) -> int:
    return int(text.split(" ")[1])
