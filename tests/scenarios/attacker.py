"""A ledger's writer that lies, the oversight server that follows it, and a viewer who keeps receipts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from litestar.testing import TestClient

from lightwell.agreement.roster import Seat
from lightwell.oversight.monitor import WITNESS_MLDSA_KEY, read_witness_keys
from lightwell.oversight.server import create_app
from lightwell.oversight.settings import write_oversight
from lightwell.wire import commitment, entries, merkle, promise, tiles, trust
from lightwell.wire.checkpoint import Checkpoint, OpenedCheckpoint, sign
from lightwell.wire.keys import MLDSA_COSIGNATURE, Verifier
from lightwell.wire.receipt import Opening, Receipt
from lightwell.wire.tlog_proof import TlogProof
from lightwell.wire.trust import TrustPolicy
from tests.factories.seen_cell import SeenCell, key, oversight_folder

Read = Callable[[str], bytes | None]
OPENING = b"sixteen bytes or more"
DIGESTS = (b"\1" * 32, b"\2" * 32)


def video(number: int, at: int | None = None) -> bytes:
    """Return the bytes of an entry, now or dated `at`, with a commitment of its own that `OPENING` opens."""
    at = int(time.time()) if at is None else at
    digests = (DIGESTS[0], number.to_bytes(32, "big"))
    committed = commitment.commit("slate", OPENING, *digests).hex()
    return entries.encode(entries.VideoPublished(at=entries.minute(at), commitment=committed))


class Attacker(SeenCell):
    """The writer of the ledger `us`, with its real key: what it signs is validly signed."""

    away = False
    """Whether nothing is answered to readers."""

    def answer(self, path_and_query: str) -> tuple[int, bytes]:
        """Answer a GET."""
        return (503, b"") if self.away else super().answer(path_and_query)

    def grow(self, count: int, at: int | None = None) -> None:
        """Add entries as an honest writer does."""
        start = len(self.entries)
        self.append([video(start + number, at) for number in range(count)])

    def twin(self, size: int) -> "Attacker":
        """Return a second writer of the same ledger that has only the first `size` entries."""
        other = Attacker()
        other.key, other.cleanroom, other.roster = self.key, self.cleanroom, self.roster
        other.append(self.entries[:size])
        return other

    def checkpoint_of(self, size: int) -> str:
        """Sign the tree of our first `size` entries."""
        root = merkle.root([merkle.leaf_hash(data) for data in self.entries[:size]])
        return sign(Checkpoint("lightwell/us", size, root), self.key)

    def show(self, other: "Attacker") -> None:
        """Show the files of another view from now on, at the address of this one."""
        self.files = other.files

    def promise(self, entry: bytes, by: float) -> str:
        """Promise an entry by a time."""
        return promise.make_promise(self.key, "lightwell/us", merkle.leaf_hash(entry), int(by))

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of an entry, from the files as they are."""
        hashes = tiles.inclusion_proof(self.read_tile, index, self.checkpoint.size)
        proof = TlogProof(index, tuple(hashes), self.files["checkpoint"].decode())
        digests = (DIGESTS[0], index.to_bytes(32, "big"))
        return Receipt(proof, self.entries[index], Opening("slate", OPENING, digests))


class Viewer:
    """Somebody with a receipt, who checks it again against whatever the ledger shows later."""

    def __init__(self, policy: TrustPolicy) -> None:
        self.policy = policy
        self.kept: list[Receipt] = []

    def keep(self, receipt: Receipt) -> OpenedCheckpoint:
        """Verify a receipt and keep it; raises ReceiptError if it does not hold."""
        opened = receipt.verify(self.policy)
        self.kept.append(receipt)
        return opened

    def recheck(self, read: Read) -> None:
        """Check that the ledger as read now still holds what the kept receipts say.

        Raises:
            ProofError: it does not.
            NoteError, CheckpointError, TrustError: the newest checkpoint is not to be trusted.
        """
        newest = self.policy.open((read("checkpoint") or b"").decode()).checkpoint

        def read_tile(level: int, index: int, width: int) -> bytes:
            return read(tiles.tile_path(level, index, width)) or b""

        for receipt in self.kept:
            old = receipt.verify(self.policy).checkpoint
            if newest.size < old.size:
                raise merkle.ProofError(f"the ledger had {old.size} entries and has {newest.size} now")
            proof = tiles.consistency_proof(read_tile, old.size, newest.size)
            merkle.verify_consistency(old.size, old.root, newest.size, newest.root, proof)


class Oversight:
    """A running oversight server over one attacker, with both keys of its witness."""

    def __init__(self, folder: Path, attacker: Attacker, **settings: Any) -> None:
        written = oversight_folder(folder, [attacker])
        (folder / WITNESS_MLDSA_KEY).write_text(key("oversight-witness", MLDSA_COSIGNATURE).text())
        self.witness_keys: list[Verifier] = [one.verifier() for one in read_witness_keys(folder)]
        self.policy = trust.of_keys(attacker.key.verifier(), self.witness_keys)
        (folder / "ledger.policy").write_text(self.policy.text())
        quorum = settings.pop("quorum", False)
        seats = [
            msgspec.structs.replace(one, policy="ledger.policy" if quorum else "") for one in written.cells
        ]
        write_oversight(msgspec.structs.replace(written, cells=tuple(seats), **settings))
        self.attacker = attacker
        self.http = TestClient(create_app(str(folder)))

    def seats(self) -> list[Seat]:
        """Return the witness's seats of the roster."""
        return [Seat("witness", "Oversight witness", one.vkey()) for one in self.witness_keys]

    def witness(self, writer: Attacker, old: int) -> httpx.Response:
        """Ask the witness to cosign a writer's checkpoint; its lines are added to that if it does."""
        return writer.ask_witness(self.http, "/witness/us", old)

    def findings(self) -> list[dict[str, Any]]:
        """Return all findings, newest first."""
        found: list[dict[str, Any]] = self.http.get("/api/findings?cell=us").json()["findings"]
        return found

    def ledger(self) -> dict[str, Any]:
        """Return the figures of the ledger."""
        figures: dict[str, Any] = self.http.get("/api/cells/us/ledger").json()
        return figures

    def follow(self, size: int) -> None:
        """Wait until the follower has a tree of `size`."""
        wait_for(lambda: self.ledger()["size"] == size)

    def polls(self, times: int = 3) -> None:
        """Wait until the follower has looked some more times."""
        follower = self.http.app.state.monitor.ledgers["us"].follower
        for _ in range(times):
            last = follower.status.shown_at
            wait_for(lambda last=last: follower.status.shown_at > last)

    def finding(self, title: str) -> dict[str, Any]:
        """Wait for a finding and return it."""
        wait_for(lambda: title in {found["title"] for found in self.findings()})
        return next(found for found in self.findings() if found["title"] == title)


@contextmanager
def watched(folder: Path, attacker: Attacker, cosigned: bool = False, **settings: Any) -> Iterator[Oversight]:
    """Run an oversight server over an attacker whose files are answered over HTTP.

    Args:
        folder: an empty one.
        attacker: its first three entries are published here, `cosigned` or not.
        cosigned: nothing is published before the witness has cosigned it.
        settings: of the oversight server; `quorum` for one that has the policy of the ledger.
    """
    server = attacker.listen()
    oversight = Oversight(folder / "oversight", attacker, **settings)
    attacker.adopt(oversight.seats())
    founded = attacker.twin(3)
    if cosigned:
        attacker.files = {}
    try:
        with oversight.http:
            if cosigned:
                assert oversight.witness(founded, 0).status_code == 200
                attacker.show(founded)
            yield oversight
    finally:
        server.shutdown()


def wait_for(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds, or fail."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)
