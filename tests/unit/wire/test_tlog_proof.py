"""Offline proofs: one text each, and nothing shown but the one entry in a log that the policy trusts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire import base64_strict, merkle, tlog_proof, trust
from lightwell.wire.checkpoint import Checkpoint, sign
from lightwell.wire.keys import COSIGNATURE, SigningKey
from lightwell.wire.tlog_proof import TlogProof, TlogProofError, parse

AT = 1_700_000_000
LOG = SigningKey.generate("example.com/log", bytes(range(32)))
WITNESS = SigningKey.generate("w.example/1", bytes([1]) * 32, COSIGNATURE)
POLICY = trust.of_keys(LOG.verifier(), [WITNESS.verifier()])
LEAVES = [merkle.leaf_hash(f"{n}".encode()) for n in range(150)]
NODE = merkle.in_memory(LEAVES)


def signed(size: int, key: SigningKey = LOG) -> str:
    tree = Checkpoint("example.com/log", size, merkle.root(LEAVES[:size]))
    return sign(tree, key) + WITNESS.cosign(tree.text(), AT).line()


def proof(index: int, size: int, extra: bytes | None = None) -> TlogProof:
    return TlogProof(index, tuple(merkle.inclusion_proof(NODE, index, size)), signed(size), extra)


def test_the_text_is_that_of_the_specification() -> None:
    lines = proof(4, 5, b"more").text().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra bW9yZQ==", "index 4"]
    assert lines[3] == base64_strict.encode(merkle.root(LEAVES[:4]))
    assert lines[4:7] == ["", "example.com/log", "5"]
    assert proof(4, 5).text().split("\n")[1] == "index 4"
    assert proof(0, 1).text().split("\n")[1:4] == ["index 0", "", "example.com/log"]


@given(st.integers(1, 150), st.data(), st.none() | st.binary(max_size=40))
def test_every_honest_proof_is_read_back_and_verifies(
    size: int, data: st.DataObject, extra: bytes | None
) -> None:
    index = data.draw(st.integers(0, size - 1))
    one = proof(index, size, extra)
    assert parse(one.text()) == one
    assert parse(one.text()).text() == one.text()
    assert one.verify(LEAVES[index], POLICY).checkpoint.size == size


GOOD = proof(77, 150)


def altered(line: int, text: str | None) -> str:
    lines = GOOD.text().split("\n")
    return "\n".join([*lines[:line], *([] if text is None else [text]), *lines[line + 1 :]])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n",
        altered(0, "c2sp.org/tlog-proof@v2"),
        altered(0, None),
        altered(1, None),
        altered(1, "index 077"),
        altered(1, "index +77"),
        altered(1, "index -1"),
        altered(1, "index 77 "),
        altered(1, "index"),
        altered(1, "index \u0667\u0667"),
        altered(1, "index 9223372036854775808"),
        altered(1, "index 77\nindex 77"),
        altered(1, "index 77\nextra AA=="),
        altered(1, "extra AA=="),
        altered(1, "extra AA==\nextra AA==\nindex 77"),
        altered(1, "extra AA=\nindex 77"),
        altered(1, "extra AB==\nindex 77"),
        altered(1, "extra  AA==\nindex 77"),
        altered(1, "extra\nindex 77"),
        altered(2, "AAAA"),
        altered(2, "!" * 44),
        altered(2, base64_strict.encode(bytes(33))),
        altered(1, "index 77\n" + "\n".join([base64_strict.encode(bytes(32))] * 64)),
        GOOD.text().replace("\n", "\r\n"),
        GOOD.text()[:-1],
        GOOD.text() + "\n",
        GOOD.text().partition("\n\n")[0] + "\n\nno note\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n" + "x" * 2_000_000,
    ],
)
def test_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(TlogProofError):
        parse(text)


def test_nothing_but_the_entry_in_its_place_is_shown() -> None:
    GOOD.verify(LEAVES[77], POLICY)
    hashes = GOOD.hashes
    for wrong in (
        TlogProof(76, hashes, GOOD.checkpoint),
        TlogProof(150, hashes, GOOD.checkpoint),
        TlogProof(77, hashes[:-1], GOOD.checkpoint),
        TlogProof(77, (*hashes, hashes[0]), GOOD.checkpoint),
        TlogProof(77, (hashes[1], hashes[0], *hashes[2:]), GOOD.checkpoint),
        TlogProof(77, (hashes[0][:31], *hashes[1:]), GOOD.checkpoint),
        TlogProof(77, hashes, signed(149)),
    ):
        with pytest.raises(TlogProofError):
            wrong.verify(LEAVES[77], POLICY)
    with pytest.raises(TlogProofError):
        # The blank line too early: what should be hashes becomes text that nobody signed.
        parse(altered(2, "")).verify(LEAVES[77], POLICY)
    for leaf in (LEAVES[76], bytes(32), b""):
        with pytest.raises(TlogProofError):
            GOOD.verify(leaf, POLICY)


def test_the_checkpoint_must_open_under_the_policy() -> None:
    other = SigningKey.generate("example.com/log", bytes(32))
    cosigner = SigningKey.generate("w.example/2", bytes([2]) * 32, COSIGNATURE)
    for policy in (
        trust.of_keys(other.verifier()),
        trust.of_keys(LOG.verifier(), [cosigner.verifier()]),
        trust.of_keys(LOG.verifier(), [WITNESS.verifier(), cosigner.verifier()]),
        trust.parse(b"quorum none\n"),
    ):
        with pytest.raises(TlogProofError):
            GOOD.verify(LEAVES[77], policy)
    forged = TlogProof(77, GOOD.hashes, signed(150, other))
    with pytest.raises(TlogProofError):
        forged.verify(LEAVES[77], POLICY)


@given(st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    text = GOOD.text().encode()
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    changed = bytearray(text)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((TlogProofError, UnicodeDecodeError)):
        parse(bytes(changed).decode()).verify(LEAVES[77], POLICY)


EXTRA = proof(77, 150, b'{"some":"words"}').text().encode()


@given(st.data())
def test_a_flipped_bit_of_the_extra_line_is_refused_or_changes_nothing_else(data: st.DataObject) -> None:
    # The format vouches for nothing in this line: what it says is for the application to check.
    start = EXTRA.index(b"extra ")
    end = EXTRA.index(b"\n", start)
    bit = data.draw(st.integers(start * 8, end * 8 - 1))
    changed = bytearray(EXTRA)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        read = parse(bytes(changed).decode())
    except (TlogProofError, UnicodeDecodeError):
        return
    assert (read.index, read.hashes, read.checkpoint) == (77, GOOD.hashes, GOOD.checkpoint)
    assert read.extra != b'{"some":"words"}'


@given(st.text(max_size=100))
def test_any_text_is_a_proof_or_refused(text: str) -> None:
    for whole in (text, f"{tlog_proof.HEADER}\n{text}\n\n{GOOD.checkpoint}"):
        try:
            assert parse(whole).text() == whole
        except TlogProofError:
            continue
