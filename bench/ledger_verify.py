"""Measures inclusion proofs verified per second on one core, beside pymerkle in the same run.

The tree has 1,000,000 leaves and the indices are drawn at random, the same for both. Each verifier gets its
own tree's proofs as a reader has them, parsed from their bytes, and checks place, size and root. pymerkle
(7.0.0) builds a tree of this very size in about 20 s; its proofs carry the leaf as a first step of their own.
The rounds of the two alternate and each figure is the median round's. The other peer that was named,
aics-tlog, is not on the package index.
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import pymerkle

from lightwell.wire import merkle

LEAVES = 1_000_000
PROOFS = 20_000
ROUNDS = 7
GOAL = 20_000


def measure() -> list[dict[str, Any]]:
    return compare(LEAVES, PROOFS, ROUNDS)


def compare(leaves: int, proofs: int, rounds: int) -> list[dict[str, Any]]:
    """Return the row for a tree of `leaves`, `proofs` proofs a round."""
    draw = random.Random(0)
    indices = [draw.randrange(leaves) for _ in range(proofs)]
    entries = [f"entry {number}".encode() for number in range(leaves)]
    both = (_ours(entries, indices), _theirs(entries, indices))
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for verify_all, seconds in zip(both, spent, strict=True):
            begun = time.process_time()
            verify_all()
            seconds.append(time.process_time() - begun)
    ours, theirs = (proofs / statistics.median(seconds) for seconds in spent)
    return [
        {
            "name": "ledger_verify",
            "value": round(ours),
            "unit": "proofs/s on one core",
            "better": "higher",
            "goal": GOAL,
            "peer": round(theirs),
            "ratio": round(ours / theirs, 2),
        }
    ]


def _ours(entries: list[bytes], indices: list[int]) -> Callable[[], None]:
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    node, size = merkle.in_memory(hashes), len(hashes)
    root = merkle.range_root(node, 0, size)
    parsed = [(_copy(hashes[i]), i, [*map(_copy, merkle.inclusion_proof(node, i, size))]) for i in indices]

    def verify_all() -> None:
        for leaf, index, proof in parsed:
            merkle.verify_inclusion(leaf, index, size, proof, root)

    return verify_all


def _theirs(entries: list[bytes], indices: list[int]) -> Callable[[], None]:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    tree.append_entries(entries)
    root, size = tree.get_root(), tree.get_size()
    parsed = []
    for index in indices:
        # Its indices count from one. Through its own text form, so that its steps are parsed like ours.
        proof = pymerkle.InclusionProof.deserialize(tree.prove_inclusion(index + 1).serialize())
        parsed.append((_copy(tree.get_leaf(index + 1)), index + 1, proof))

    def verify_all() -> None:
        for leaf, index, proof in parsed:
            pymerkle.verify_inclusion(leaf, root, proof, index=index, size=size)

    return verify_all


def _copy(value: bytes) -> bytes:
    """Return the bytes at another place of memory, as a reader that parsed them has them."""
    return bytes(bytearray(value))
