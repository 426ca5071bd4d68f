"""Follows one cell's ledger: what it keeps was signed, and every tree it took extends all earlier ones."""

import time
from collections.abc import Sequence
from typing import Final

import msgspec

from lightwell.oversight import intake, times
from lightwell.oversight.entry_view import day
from lightwell.oversight.reading import Read, UnreachableError
from lightwell.oversight.store import Store
from lightwell.wire import merkle, tiles
from lightwell.wire.audit import PROBLEM_LIMIT, audit
from lightwell.wire.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from lightwell.wire.keys import NoteError, Verifier
from lightwell.wire.tiles import WIDTH
from lightwell.wire.trust import TrustError, TrustPolicy

_CHANGED: Final = "entry {index} is not the one that was there before"


class FollowStatus(msgspec.Struct):
    """How following goes: when the cell was last read and checked, and what stands in the way now.

    `shown_size` is that of the newest checkpoint the cell gave us, valid or none (0), and `shown_at` when we
    asked for it; at `whole_at` we asked for the newest of those whose entries we all have.
    """

    checked_at: float = 0.0
    reached_at: float = 0.0
    trouble: str = ""
    shown_size: int = 0
    shown_at: float = 0.0
    whole_at: float = 0.0


class Expected(msgspec.Struct, frozen=True):
    """What is expected of a ledger beyond its own signature.

    `clock_grace_seconds` and `shuffled` are as in `times.judge`; `policy` is whose cosignatures a published
    checkpoint must carry, None if nothing is known of that.
    """

    clock_grace_seconds: float = times.GRACE_SECONDS
    shuffled: bool = False
    policy: TrustPolicy | None = None


class Follower:
    """Follows the ledger of one cell into a store; one thread at a time may call it."""

    def __init__(
        self,
        store: Store,
        cell: str,
        origin: str,
        verifier: Verifier,
        read: Read,
        expected: Expected = Expected(),  # noqa: B008  frozen
    ) -> None:
        self.store = store
        self.cell = cell
        self.origin = origin
        self.verifier = verifier
        self.read = read
        self.expected = expected
        self._judged_note = ""
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
        asked_at = time.time()
        raw = self.read("checkpoint")
        if raw is None:
            self.status.trouble = "The cell has published no checkpoint yet."
            self.status.shown_size, self.status.shown_at = 0, asked_at
            return 0
        checkpoint = self._open(raw)
        if checkpoint is None:
            return 0
        self.status.shown_size, self.status.shown_at = checkpoint.size, asked_at
        note = raw.decode()
        self._look_for_quorum(note, checkpoint)
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
            self.status.whole_at = asked_at
            return 0
        grown = self._grow(checkpoint, note, size)
        if grown:
            self.status.whole_at = asked_at
        return grown

    def _open(self, raw: bytes) -> Checkpoint | None:
        try:
            opened = open_checkpoint(raw.decode(), self.verifier, origin=self.origin)
        except (NoteError, CheckpointError, UnicodeDecodeError) as error:
            self._find("bad-checkpoint", "A checkpoint is not the ledger's", f"It was refused: {error}.", [])
            return None
        return opened.checkpoint

    def _look_for_quorum(self, note: str, checkpoint: Checkpoint) -> None:
        if self.expected.policy is None or note == self._judged_note:
            return
        self._judged_note = note
        try:
            self.expected.policy.open(note)
        except (NoteError, CheckpointError, TrustError) as error:
            self.store.raise_finding(
                self.cell,
                "no-quorum",
                area="ledger",
                title="A checkpoint was published without its quorum of witnesses",
                detail=f"The checkpoint of {checkpoint.size} entries, read on {day(time.time())}: {error}.",
            )

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
        if rewritten is not None or not self._take(checkpoint, note, new):
            self._diverged(checkpoint, size)
            return 0
        self.store.close_finding(self.cell, f"unreadable-{size}")
        self.status.trouble = ""
        self.status.checked_at = time.time()
        return len(new)

    def _take(self, checkpoint: Checkpoint, note: str, new: Sequence[bytes]) -> bool:
        expected = self.expected
        return intake.take(
            self.store,
            self.cell,
            checkpoint,
            note,
            new,
            grace_seconds=expected.clock_grace_seconds,
            shuffled=expected.shuffled,
        )

    def _keep_note(self, note: str, checkpoint: Checkpoint) -> None:
        """Take the same tree's note again when it gained cosignatures."""
        head = self.store.head(self.cell)
        if head is None or note != head.note:
            with self.store.write() as db:
                intake.keep_head(db, self.cell, checkpoint, note)
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


def _first_number(text: str) -> int:
    return int(text.split(" ")[1])
