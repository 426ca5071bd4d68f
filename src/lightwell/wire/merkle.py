"""RFC 6962 trees: hashes, inclusion and consistency proofs, and verifiers that refuse anything else.

A tree is seen through a `Node` reader: `node(height, index)` is the hash of the complete subtree over
leaves `[index << height, (index + 1) << height)`. Whoever stores the tree (memory, tiles) supplies it.
Proof order is RFC 6962's: from the leaf's side up to the root's child.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256 as _sha256
from typing import TypeAlias

HASH_SIZE = 32
"""SHA-256, the only hash of RFC 6962 and of C2SP logs."""

EMPTY_ROOT = _sha256(b"").digest()
"""Root of the tree without leaves (RFC 6962, section 2.1)."""

SIZE_LIMIT = 2**63
"""Sizes and indices are below this: C2SP readers hold them in signed 64-bit integers."""

PROOF_LIMIT = 64
"""No proof in a tree below `SIZE_LIMIT` has more hashes than this."""

Node: TypeAlias = Callable[[int, int], bytes]


class ProofError(ValueError):
    """The proof does not show what it is said to show."""


def leaf_hash(data: bytes) -> bytes:
    """Return the 32-byte hash of a leaf: SHA-256(0x00 || data)."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node: SHA-256(0x01 || left || right)."""
    return _sha256(b"\x01" + left + right).digest()


def in_memory(leaf_hashes: Sequence[bytes]) -> Node:
    """Return a `Node` reader over leaf hashes held in memory, each level computed once."""
    levels = [list(leaf_hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return lambda height, index: levels[height][index]


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes (not leaf data); `EMPTY_ROOT` when there are none."""
    return range_root(in_memory(leaf_hashes), 0, len(leaf_hashes)) if leaf_hashes else EMPTY_ROOT


def range_root(node: Node, start: int, end: int) -> bytes:
    """Return the hash over leaves `[start, end)`, `start` being aligned as RFC 6962 recursion aligns it."""
    if not 0 <= start < end:
        raise ValueError("empty range")
    peaks: list[bytes] = []
    while start < end:
        # The largest complete subtree that begins at `start` and ends by `end`.
        height = (end - start).bit_length() - 1
        peaks.append(node(height, start >> height))
        start += 1 << height
    value = peaks.pop()
    while peaks:
        value = node_hash(peaks.pop(), value)
    return value


def inclusion_proof(node: Node, index: int, size: int) -> list[bytes]:
    """Return the proof that leaf `index` is in the tree of `size` leaves (RFC 6962, section 2.1.1).

    Raises:
        ValueError: the index is not in the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"index {index} is not in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(range_root(node, middle, end))
            end = middle
        else:
            proof.append(range_root(node, start, middle))
            start = middle
    proof.reverse()
    return proof


def consistency_proof(node: Node, size1: int, size2: int) -> list[bytes]:
    """Return the proof that the tree of `size1` is a prefix of that of `size2` (RFC 6962, section 2.1.2).

    Raises:
        ValueError: not 0 < size1 <= size2.
    """
    if not 0 < size1 <= size2:
        raise ValueError(f"no consistency proof from {size1} to {size2}")
    proof: list[bytes] = []
    start, end = 0, size2
    while size1 < end:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(range_root(node, middle, end))
            end = middle
        else:
            proof.append(range_root(node, start, middle))
            start = middle
    if start > 0:
        # Only when the old tree is no complete subtree of the new one does the reader lack its last part.
        proof.append(range_root(node, start, end))
    proof.reverse()
    return proof


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that leaf hash `leaf` is at `index` in the tree of `size` with `root` (RFC 9162, 2.1.3.2).

    Raises:
        ProofError: it is not shown, or a hash is not 32 bytes, or a number is out of range.
    """
    verify_subtree_inclusion(leaf, index, 0, size, proof, root)


def verify_subtree_inclusion(
    leaf: bytes, index: int, start: int, end: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that leaf hash `leaf` is at `index` of the tree, within subtree `[start, end)` with `root`.

    Format: Merkle Tree Certificates draft, section 4.3; with `start` 0 it is RFC 9162's verifier.

    Raises:
        ProofError: as `verify_inclusion`, or `[start, end)` is not a valid subtree.
    """
    _check_subtree(start, end)
    if not start <= index < end:
        raise ProofError(f"index {index} is not in [{start}, {end})")
    _check_hashes(proof, leaf, root)
    place, last = index - start, end - start - 1
    # Below this height the leaf's path and that of the last leaf differ; above, both run along the right
    # edge of the tree, where a node without a right sibling is not hashed and has no step in the proof.
    height = (place ^ last).bit_length()
    length = height + (place >> height).bit_count()
    if len(proof) != length:
        raise ProofError(f"proof is too {'short' if len(proof) < length else 'long'}")
    value = leaf
    for step in proof[:height]:
        pair = step + value if place & 1 else value + step
        value = _sha256(b"\x01" + pair).digest()
        place >>= 1
    for step in proof[height:]:
        value = node_hash(step, value)
    if value != root:
        raise ProofError("proof leads to another root")


def verify_consistency(size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `size1` with `root1` is a prefix of that of `size2` with `root2`.

    Nothing can be shown about the empty tree, so `size1` 0 is refused; C2SP witnesses treat it apart.

    Raises:
        ProofError: it is not shown, or a hash is not 32 bytes, or a number is out of range.
    """
    if size1 == 0:
        raise ProofError("nothing can be shown about the empty tree")
    verify_subtree_consistency(0, size1, root1, size2, root2, proof)


def verify_subtree_consistency(
    start: int, end: int, root1: bytes, size: int, root2: bytes, proof: Sequence[bytes]
) -> None:
    """Check that subtree `[start, end)` with `root1` is part of the tree of `size` with `root2`.

    Format: Merkle Tree Certificates draft, section 4.4.3; with `start` 0 it is RFC 9162, 2.1.4.2.
    The empty subtree is part of every tree: it needs `EMPTY_ROOT` and no proof.

    Raises:
        ProofError: as `verify_consistency`, or `[start, end)` is not a valid subtree.
    """
    if not end <= size < SIZE_LIMIT:
        raise ProofError(f"[{start}, {end}) is not within a tree of {size}")
    if 0 <= start == end:
        if proof or root1 != EMPTY_ROOT:
            raise ProofError("the empty subtree has one root and no proof")
        return
    _check_subtree(start, end)
    if start == 0 and end == size:
        # Nothing is hashed here, the two roots are only compared: the same tree needs no proof.
        if proof or root1 != root2:
            raise ProofError("same size, other root" if not proof else "proof is too long")
        return
    _check_hashes(proof, root1, root2)
    if _climb(start, end, size, root1, proof) != (root1, root2):
        raise ProofError("proof leads to another root")


def _climb(start: int, end: int, size: int, root1: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the old and the new root that a consistency proof leads to."""
    # The old range's first and last leaf and the new tree's last, each as seen from the current height.
    first, second, last = start, end - 1, size - 1
    while first != second and (second & 1 or second == last):
        first, second, last = first >> 1, second >> 1, last >> 1
    # A complete subtree is its own first step; of any other the proof tells the last complete part.
    steps = [root1, *proof] if first == second else list(proof)
    if not steps:
        raise ProofError("proof is too short")
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError("proof is too long")
        if second & 1 or second == last:
            old = node_hash(step, old) if first < second else old
            new = node_hash(step, new)
            shift = _low_zeroes(second) + 1
        else:
            new = node_hash(new, step)
            shift = 1
        first, second, last = first >> shift, second >> shift, last >> shift
    if last != 0:
        raise ProofError("proof is too short")
    return old, new


def _split(size: int) -> int:
    """Return the largest power of two smaller than `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _low_zeroes(number: int) -> int:
    """Return how many zero bits end `number`; none for 0, where no further climb is possible."""
    return (number & -number).bit_length() - 1 if number else 0


def _check_subtree(start: int, end: int) -> None:
    if not 0 <= start < end < SIZE_LIMIT:
        raise ProofError(f"[{start}, {end}) is not a range of leaves")
    width = 1 << (end - start - 1).bit_length()
    if start % width:
        raise ProofError(f"[{start}, {end}) is not a subtree")


def _check_hashes(proof: Sequence[bytes], *hashes: bytes) -> None:
    if len(proof) > PROOF_LIMIT:
        raise ProofError("proof is too long")
    if {HASH_SIZE}.union(map(len, hashes), map(len, proof)) != {HASH_SIZE}:
        raise ProofError("a hash is not 32 bytes")
