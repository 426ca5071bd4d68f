"""RFC 6962 trees: every honest proof verifies, every other is refused."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire import merkle
from lightwell.wire.merkle import ProofError

LEAVES = [merkle.leaf_hash(str(i).encode()) for i in range(150)]


def test_hashes_are_those_of_rfc_6962() -> None:
    assert merkle.EMPTY_ROOT == hashlib.sha256().digest() == merkle.root([])
    assert merkle.leaf_hash(b"x") == hashlib.sha256(b"\0x").digest()
    assert merkle.node_hash(b"l" * 32, b"r" * 32) == hashlib.sha256(b"\1" + b"l" * 32 + b"r" * 32).digest()


def _reference_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return merkle.node_hash(_reference_root(leaves[:split]), _reference_root(leaves[split:]))


def test_root_is_that_of_the_recursive_definition() -> None:
    for size in range(1, 70):
        assert merkle.root(LEAVES[:size]) == _reference_root(LEAVES[:size])


def test_every_inclusion_proof_of_small_trees_verifies() -> None:
    for size in range(1, 40):
        node, root = merkle.in_memory(LEAVES[:size]), merkle.root(LEAVES[:size])
        for index in range(size):
            proof = merkle.inclusion_proof(node, index, size)
            merkle.verify_inclusion(LEAVES[index], index, size, proof, root)


def test_every_consistency_proof_of_small_trees_verifies() -> None:
    for size in range(1, 40):
        node, root = merkle.in_memory(LEAVES[:size]), merkle.root(LEAVES[:size])
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(node, old, size)
            merkle.verify_consistency(old, merkle.root(LEAVES[:old]), size, root, proof)


@given(st.data())
def test_any_flipped_bit_of_an_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 150))
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(merkle.in_memory(LEAVES[:size]), index, size)
    parts = [LEAVES[index], merkle.root(LEAVES[:size]), *proof]
    _flip(parts, data)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(parts[0], index, size, parts[2:], parts[1])


@given(st.data())
def test_any_flipped_bit_of_a_consistency_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 150))
    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_proof(merkle.in_memory(LEAVES[:size]), old, size)
    parts = [merkle.root(LEAVES[:old]), merkle.root(LEAVES[:size]), *proof]
    _flip(parts, data)
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, parts[0], size, parts[1], parts[2:])


@given(st.integers(1, 150), st.integers(0, 200), st.integers(0, 200), st.integers(0, 149))
def test_a_proof_shows_its_own_place_and_size_only(
    size: int, index: int, other_size: int, place: int
) -> None:
    place %= size
    if (index, other_size) == (place, size):
        return
    proof = merkle.inclusion_proof(merkle.in_memory(LEAVES[:size]), place, size)
    root = merkle.root(LEAVES[:size])
    try:
        merkle.verify_inclusion(LEAVES[place], index, other_size, proof, root)
    except ProofError:
        return
    # Trees of other sizes can share the shape of this path; the place is what the proof must bind.
    assert index == place


@given(st.integers(2, 150), st.data())
def test_a_longer_or_shorter_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = merkle.root(LEAVES[:size])
    proof = merkle.inclusion_proof(merkle.in_memory(LEAVES[:size]), index, size)
    for wrong in (proof[:-1], proof[1:], [*proof, root], [root, *proof], [*proof[:-1], proof[-1][:31]]):
        with pytest.raises(ProofError):
            merkle.verify_inclusion(LEAVES[index], index, size, wrong, root)


def test_hashes_of_a_wrong_length_are_refused() -> None:
    root = merkle.root(LEAVES[:2])
    for leaf, step, top in (
        (b"", LEAVES[1], root),
        (LEAVES[0], b"", root),
        (LEAVES[0], LEAVES[1], root[:31]),
    ):
        with pytest.raises(ProofError):
            merkle.verify_inclusion(leaf, 0, 2, [step], top)
        with pytest.raises(ProofError):
            merkle.verify_consistency(1, leaf, 2, top, [step])
    with pytest.raises(ProofError):
        merkle.verify_inclusion(b"", 0, 1, [], b"")


def test_nothing_is_shown_about_the_empty_tree() -> None:
    with pytest.raises(ProofError):
        merkle.verify_consistency(0, merkle.EMPTY_ROOT, 1, LEAVES[0], [])
    with pytest.raises(ProofError):
        merkle.verify_consistency(0, merkle.EMPTY_ROOT, 0, merkle.EMPTY_ROOT, [])


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (0, -1), (2**63, 2**63 + 1)])
def test_numbers_out_of_range_are_refused(index: int, size: int) -> None:
    with pytest.raises(ProofError):
        merkle.verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


def _flip(parts: list[bytes], data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    changed = bytearray(parts[which])
    changed[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(changed)
