"""A C2SP tlog-witness: it cosigns a checkpoint only if it extends the last it cosigned, never forgetting.

All of the protocol but `sign-subtree`, which is optional: an address that is not there answers 404.
"""

import hashlib
import sqlite3
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from lightwell.oversight import views
from lightwell.oversight.store import Store, record_finding
from lightwell.wire import base64_strict, merkle
from lightwell.wire.checkpoint import Checkpoint, CheckpointError, parse
from lightwell.wire.keys import NoteError, SigningKey, Verifier
from lightwell.wire.note import OpenedNote, join_note, open_note, split_note
from lightwell.wire.witnessing import SIZE_CONTENT_TYPE, AddCheckpoint, RequestError, parse_request

_EMPTY_ROOT_TEXT: Final = base64_strict.encode(merkle.EMPTY_ROOT)


class Answer(msgspec.Struct, frozen=True):
    """What the witness answers over HTTP."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


class Witness:
    """The witness of all cells under oversight: one name, one or more keys; its memory is the store."""

    def __init__(
        self, store: Store, keys: Sequence[SigningKey], ledgers: dict[str, tuple[str, Verifier]]
    ) -> None:
        """Take the memory, the keys (types 0x04 and 0x06), and origin and ledger key of each cell."""
        self._store = store
        self._keys = tuple(keys)
        self._ledgers = ledgers

    def add_checkpoint(self, cell: str, body: bytes) -> Answer:
        """Answer one add-checkpoint request.

        Args:
            cell: the cell whose submission prefix was called.
            body: `old <size>`, consistency proof lines in base64, an empty line, the signed checkpoint.

        Returns:
            200 with a cosignature line of each key. In this order of checks: 400 malformed; 404 unknown
            origin; 403 no signature of the ledger's key, or a bad one; 400 old size above the checkpoint's;
            409 with the size last cosigned if `old` is not that; 422 if the checkpoint does not extend it.
        """
        known = self._ledgers.get(cell)
        if known is None:
            return Answer(404, "unknown log\n")
        try:
            request = parse_request(body)
        except RequestError as error:
            return Answer(400, f"{error}\n")
        note = request.note
        origin, verifier = known
        if not note.partition("\n")[0]:
            return Answer(400, "there is no checkpoint in the request\n")
        if note.partition("\n")[0] != origin:
            return Answer(404, "unknown log\n")
        if not note.partition("\n\n")[2]:
            return Answer(403, "the checkpoint is not signed\n")
        try:
            split_note(note)
        except NoteError as error:
            return Answer(400, f"{error}\n")
        try:
            opened = open_note(note, [verifier])
        except NoteError:
            return Answer(403, "the checkpoint is not signed by the log's key\n")
        try:
            checkpoint = _parse_claim(opened.text)
        except CheckpointError as error:
            return Answer(400, f"{error}\n")
        if request.old_size > checkpoint.size:
            return Answer(400, "the old size is above the checkpoint's size\n")
        return self._judge(cell, request, checkpoint, opened)

    def latest(self, cell: str, origin_hash: str) -> Answer:
        """Answer the checkpoint last cosigned, with the ledger's signature and this witness's cosignatures.

        Args:
            cell: the cell whose monitoring prefix was called.
            origin_hash: lower-case hex SHA-256 of the ledger's origin.

        Returns:
            200 with the note; 404 for an unknown ledger, or one of which nothing was cosigned.
        """
        known = self._ledgers.get(cell)
        if known is None or hashlib.sha256(known[0].encode()).hexdigest() != origin_hash:
            return Answer(404, "unknown log\n")
        row = self._store.row("SELECT note, cosignatures FROM witnessed WHERE cell = ?", cell)
        if row is None or not row["cosignatures"]:
            return Answer(404, "no checkpoint of this log was cosigned yet\n")
        return Answer(200, row["note"] + row["cosignatures"])

    def _judge(self, cell: str, request: AddCheckpoint, checkpoint: Checkpoint, opened: OpenedNote) -> Answer:
        # One transaction from reading the last size to storing the new one: two requests at once cannot
        # both pass, and the cosignatures leave only after the commit.
        with self._store.write() as db:
            row = db.execute("SELECT size, root FROM witnessed WHERE cell = ?", (cell,)).fetchone()
            last_size, last_root = (row["size"], bytes(row["root"])) if row else (0, merkle.EMPTY_ROOT)
            answer = _refusal(request, checkpoint, last_size, last_root)
            if answer is None:
                answer = self._cosign(db, cell, checkpoint, opened)
            else:
                # Refused, but signed by the ledger: it must be a tree that the follower is shown too.
                note = join_note(opened.text, opened.signatures)
                views.remember(db, cell, checkpoint, note, views.WITNESS)
                if checkpoint.size == last_size and checkpoint.root != last_root:
                    _raise_fork(db, cell, last_size)
        return answer

    def _cosign(
        self, db: sqlite3.Connection, cell: str, checkpoint: Checkpoint, opened: OpenedNote
    ) -> Answer:
        now = time.time()
        lines = "".join(key.cosign(opened.text, int(now)).line() for key in self._keys)
        # Only the signatures that were verified are kept: this is served to anybody.
        note = join_note(opened.text, opened.signatures)
        db.execute(
            """INSERT OR REPLACE INTO witnessed (cell, size, root, note, at, cosignatures)
            VALUES (?, ?, ?, ?, ?, ?)""",
            (cell, checkpoint.size, checkpoint.root, note, now, lines),
        )
        return Answer(200, lines)


def _raise_fork(db: sqlite3.Connection, cell: str, size: int) -> None:
    record_finding(
        db,
        cell,
        f"witness-fork-{size}",
        area="ledger",
        title="The ledger signed two different trees of one size",
        detail=f"The witness was asked to cosign a fork: two checkpoints of size {size} have different "
        "roots, both signed by the ledger's key.",
    )


def _refusal(
    request: AddCheckpoint, checkpoint: Checkpoint, last_size: int, last_root: bytes
) -> Answer | None:
    """Return why the checkpoint is not cosigned, None if it extends the last one."""
    if request.old_size != last_size:
        return Answer(409, f"{last_size}\n", SIZE_CONTENT_TYPE)
    if checkpoint.size == 0 and checkpoint.root != merkle.EMPTY_ROOT:
        return Answer(422, "this is not the root of the empty tree\n")
    if last_size == 0 and request.proof:
        return Answer(422, "every tree extends the empty one, without a proof\n")
    if checkpoint.size == last_size and checkpoint.root != last_root:
        return Answer(422, f"two checkpoints of size {last_size} have different roots\n")
    try:
        if last_size:
            merkle.verify_consistency(last_size, last_root, checkpoint.size, checkpoint.root, request.proof)
    except merkle.ProofError as error:
        return Answer(422, f"the consistency proof does not verify: {error}\n")
    return None


def _parse_claim(text: str) -> Checkpoint:
    """Parse a checkpoint, letting through an empty tree with another root: that is answered by 422, not 400.

    Raises:
        CheckpointError: malformed.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[1] != "0":
        return parse(text)
    empty = parse("\n".join([lines[0], "0", _EMPTY_ROOT_TEXT, *lines[3:]]))
    try:
        root = base64_strict.decode(lines[2])
    except ValueError as error:
        raise CheckpointError(f"root: {error}") from None
    if len(root) != merkle.HASH_SIZE:
        raise CheckpointError("root is not 32 bytes")
    return Checkpoint(empty.origin, 0, root, empty.extensions)
