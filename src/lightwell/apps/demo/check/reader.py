"""Reads a cell's ledger over HTTP as an outsider would, and believes only what it can compute itself."""

from collections.abc import Iterator
from typing import Any

import httpx

from lightwell.wire import base64_strict, merkle, tiles
from lightwell.wire.checkpoint import Checkpoint, OpenedCheckpoint, open_checkpoint
from lightwell.wire.entries import Entry, UnknownEntry, decode
from lightwell.wire.keys import Verifier


class LedgerError(Exception):
    """The ledger is not what its checkpoint says; the message names the file."""


class LedgerReader:
    """An outsider at one cell's ledger.

    Args:
        http: a client whose base address is the cell's.
        cell: the cell's name.
        ledger_vkey: the key that must have signed, known from elsewhere than the ledger.
        witness_vkeys: keys of witnesses whose word counts.
    """

    def __init__(self, http: httpx.Client, cell: str, ledger_vkey: str, witness_vkeys: list[str]) -> None:
        self.http = http
        self.cell = cell
        self.origin = f"lightwell/{cell}"
        self.verifier = Verifier.from_vkey(ledger_vkey)
        self.witnesses = [Verifier.from_vkey(vkey) for vkey in witness_vkeys]

    def checkpoint(self) -> OpenedCheckpoint:
        """Fetch and open the newest checkpoint; raises `LedgerError` or what opening raises."""
        return self.open(self._get("checkpoint").decode())

    def open(self, note: str) -> OpenedCheckpoint:
        """Open a checkpoint note of this ledger; raises what `open_checkpoint` raises."""
        return open_checkpoint(note, self.verifier, self.witnesses, self.origin)

    def entries(self, start: int, size: int) -> Iterator[tuple[int, bytes]]:
        """Yield (index, bytes) of entries `start` to `size`, unverified."""
        for bundle in range(start // tiles.WIDTH, -(-size // tiles.WIDTH)):
            width = tiles.width_at(0, bundle, size)
            path = tiles.bundle_path(bundle, width)
            try:
                found = tiles.decode_bundle(self._get(path), width)
            except tiles.TileError as error:
                raise LedgerError(f"{path}: {error}") from error
            for within, data in enumerate(found):
                index = bundle * tiles.WIDTH + within
                if index >= start:
                    yield index, data

    def decoded(self, start: int, size: int) -> Iterator[tuple[int, Entry | UnknownEntry]]:
        """Yield (index, entry) of entries `start` to `size`, unverified."""
        for index, data in self.entries(start, size):
            yield index, decode(data)

    def since(self, start: int) -> list[Entry | UnknownEntry]:
        """Return the entries from index `start` to the newest checkpoint."""
        return [entry for _, entry in self.decoded(start, self.checkpoint().checkpoint.size)]

    def fetch(self, path: str) -> bytes | None:
        """Return the bytes of a file of the ledger; None if the cell has none."""
        answer = self.http.get(f"/ledger/{path}")
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise LedgerError(f"{path}: the cell answered {answer.status_code}")
        return answer.content

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Return the bytes of a tile, as the proof builders of `wire.tiles` ask for them."""
        return self._get(tiles.tile_path(level, index, width))

    def check_extends(self, old: Checkpoint, new: Checkpoint) -> None:
        """Check that `new` continues `old`; raises `merkle.ProofError` or `LedgerError`."""
        proof = []
        if 0 < old.size < new.size:
            proof = tiles.consistency_proof(self.read_tile, old.size, new.size)
        merkle.verify_consistency(old.size, old.root, new.size, new.root, proof)

    def inclusion(self, leaf: bytes) -> tuple[int, OpenedCheckpoint] | None:
        """Return index and checkpoint under which `leaf` is proven included; None while it is not yet in.

        Raises:
            merkle.ProofError: the cell's proof does not verify.
        """
        answer = self.http.get("/ledger/proof", params={"leaf": leaf.hex()})
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise LedgerError(f"/ledger/proof answered {answer.status_code}")
        body: dict[str, Any] = answer.json()
        opened = self.open(body["checkpoint"])
        proof = [base64_strict.decode(node) for node in body["proof"]]
        checkpoint = opened.checkpoint
        merkle.verify_inclusion(leaf, body["index"], checkpoint.size, proof, checkpoint.root)
        return int(body["index"]), opened

    def _get(self, path: str) -> bytes:
        found = self.fetch(path)
        if found is None:
            raise LedgerError(f"{path}: the cell has no such file")
        return found
