"""A C2SP tlog-witness: it cosigns a checkpoint only if it extends the last it cosigned, never forgetting."""

import time
from collections.abc import Sequence

import msgspec

from lightwell.oversight.store import Store
from lightwell.wire import merkle
from lightwell.wire.checkpoint import Checkpoint, CheckpointError, parse
from lightwell.wire.note import NoteError, SigningKey, Verifier, open_note
from lightwell.wire.witnessing import SIZE_CONTENT_TYPE, AddCheckpoint, RequestError, parse_request


class Answer(msgspec.Struct, frozen=True):
    """What the witness answers over HTTP."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


class Witness:
    """The witness of all cells under oversight, with one key; its memory is the store."""

    def __init__(self, store: Store, key: SigningKey, ledgers: dict[str, tuple[str, Verifier]]) -> None:
        """Take the memory, the key and the origin and ledger key of each cell."""
        self._store = store
        self._key = key
        self._ledgers = ledgers

    def add_checkpoint(self, cell: str, body: bytes) -> Answer:
        """Answer one add-checkpoint request.

        Args:
            cell: the cell whose address was called.
            body: `old <size>`, consistency proof lines in base64, an empty line, the signed checkpoint.

        Returns:
            200 with the cosignature line; 400 malformed, or old size above the checkpoint's; 403 not signed
            by the ledger's key; 404 unknown origin; 409 with the size last cosigned if `old` is not that;
            422 if the checkpoint does not extend what was cosigned.
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
        if note.partition("\n")[0] != origin:
            return Answer(404, "unknown log\n")
        try:
            opened = open_note(note, [verifier])
        except NoteError:
            return Answer(403, "the checkpoint is not signed by the log's key\n")
        try:
            checkpoint = parse(opened.text)
        except CheckpointError as error:
            return Answer(400, f"{error}\n")
        if request.old_size > checkpoint.size:
            return Answer(400, "the old size is above the checkpoint's size\n")
        return self._check_and_sign(cell, request, checkpoint, opened.text)

    def _check_and_sign(self, cell: str, request: AddCheckpoint, checkpoint: Checkpoint, text: str) -> Answer:
        fork = ""
        # One transaction from reading the last size to storing the new one: two requests at once cannot
        # both pass, and the cosignature leaves only after the commit.
        with self._store.write() as db:
            row = db.execute("SELECT size, root FROM witnessed WHERE cell = ?", (cell,)).fetchone()
            last_size, last_root = (row["size"], bytes(row["root"])) if row else (0, merkle.EMPTY_ROOT)
            if request.old_size != last_size:
                return Answer(409, f"{last_size}\n", SIZE_CONTENT_TYPE)
            if checkpoint.size == last_size and checkpoint.root != last_root:
                fork = f"two checkpoints of size {last_size} have different roots"
            else:
                try:
                    _check_extends(last_size, last_root, checkpoint, request.proof)
                except merkle.ProofError:
                    return Answer(422, "the consistency proof does not verify\n")
                db.execute(
                    "INSERT OR REPLACE INTO witnessed (cell, size, root, note, at) VALUES (?, ?, ?, ?, ?)",
                    (cell, checkpoint.size, checkpoint.root, request.note, time.time()),
                )
        if fork:
            self._store.raise_finding(
                cell,
                f"witness-fork-{last_size}",
                area="ledger",
                title="The ledger signed two different trees of one size",
                detail=f"The witness was asked to cosign a fork: {fork}, both signed by the ledger's key.",
            )
            return Answer(422, f"{fork}\n")
        return Answer(200, self._key.cosign(text, int(time.time())).line())


def _check_extends(size: int, root: bytes, checkpoint: Checkpoint, proof: Sequence[bytes]) -> None:
    if size:
        merkle.verify_consistency(size, root, checkpoint.size, checkpoint.root, proof)
    elif proof:
        raise merkle.ProofError("every tree extends the empty one, without a proof")
