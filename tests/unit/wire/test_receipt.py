"""Receipts: the entry is in the log, its commitment covers what was shown, and nothing may be altered."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.wire import canonical, commitment, entries, merkle, receipt, trust
from lightwell.wire.checkpoint import Checkpoint, sign
from lightwell.wire.entries import PolicyAdopted, SlateServed
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, SigningKey
from lightwell.wire.receipt import Opening, Receipt, ReceiptError, parse
from lightwell.wire.tlog_proof import TlogProof

AT = 1_700_000_040
LOG = SigningKey.generate("lightwell/us", bytes(range(32)))
WITNESSES = [
    SigningKey.generate("w.example/4", bytes([4]) * 32, COSIGNATURE),
    SigningKey.generate("w.example/6", bytes([6]) * 32, MLDSA_COSIGNATURE),
]
POLICY = trust.of_keys(LOG.verifier(), [WITNESSES[0].verifier()])
STRICT = trust.of_keys(LOG.verifier(), [witness.verifier() for witness in WITNESSES])
SLATE: Any = {"items": [{"video": "00000000000000dd", "why": 'é "quoted"', "score": 7}]}
DIGESTS = (hashlib.sha256(b"inputs").digest(), hashlib.sha256(canonical.encode(SLATE)).digest())
OPENING = Opening("slate", b"o" * 16, DIGESTS, SLATE)
ENTRY = entries.encode(
    SlateServed(
        at=AT - AT % 60,
        commitment=commitment.commit("slate", b"o" * 16, *DIGESTS).hex(),
        snapshot="ab" * 32,
        policy="cd" * 32,
    )
)
BARE = entries.encode(PolicyAdopted(at=AT, digest="ab" * 32, approvals=2))
DATA = [b"0", b"1", BARE, ENTRY, b"4", b"5", b"6"]
TREE = Checkpoint("lightwell/us", len(DATA), merkle.root([merkle.leaf_hash(entry) for entry in DATA]))


def proof(index: int, cosigners: list[SigningKey] = WITNESSES[:1]) -> TlogProof:
    node = merkle.in_memory([merkle.leaf_hash(entry) for entry in DATA])
    note = sign(TREE, LOG) + "".join(key.cosign(TREE.text(), AT).line() for key in cosigners)
    return TlogProof(index, tuple(merkle.inclusion_proof(node, index, len(DATA))), note)


GOOD = Receipt(proof(3), ENTRY, OPENING)


@pytest.mark.parametrize(
    "one",
    [
        GOOD,
        Receipt(proof(3), ENTRY, replace(OPENING, content=None)),
        Receipt(proof(3), ENTRY, None),
        Receipt(proof(2), BARE, None),
    ],
)
def test_a_receipt_is_read_back_and_holds(one: Receipt) -> None:
    read = parse(one.text())
    assert read.text() == one.text()
    assert (read.entry, read.opening) == (one.entry, one.opening)
    assert read.verify(POLICY).checkpoint == TREE


def test_a_receipt_holds_under_witnesses_of_both_types() -> None:
    both = Receipt(proof(3, WITNESSES), ENTRY, OPENING)
    assert set(parse(both.text()).verify(STRICT).cosigned_by()) == {"w.example/4", "w.example/6"}
    with pytest.raises(ReceiptError, match="quorum"):
        GOOD.verify(STRICT)


@pytest.mark.parametrize(
    ("opening", "why"),
    [
        (replace(OPENING, kind="video"), "does not open"),
        (replace(OPENING, kind="Slate"), "the opening"),
        (replace(OPENING, kind=""), "the opening"),
        (replace(OPENING, opening=b"p" * 16), "does not open"),
        (replace(OPENING, opening=b"o" * 15), "the opening"),
        (replace(OPENING, opening=b""), "the opening"),
        (replace(OPENING, digests=DIGESTS[::-1]), "does not open"),
        (replace(OPENING, digests=DIGESTS[:1]), "does not open"),
        (replace(OPENING, digests=(*DIGESTS, DIGESTS[1])), "does not open"),
        (replace(OPENING, digests=()), "the opening"),
        (replace(OPENING, digests=(DIGESTS[0][:31], DIGESTS[1])), "the opening"),
        (replace(OPENING, content={"items": []}), "content is not"),
        (replace(OPENING, content=[SLATE]), "content is not"),
        (replace(OPENING, content=False), "content is not"),
    ],
)
def test_another_opening_or_content_is_refused(opening: Opening, why: str) -> None:
    for one in (Receipt(proof(3), ENTRY, opening), parse(Receipt(proof(3), ENTRY, opening).text())):
        with pytest.raises(ReceiptError, match=why):
            one.verify(POLICY)


def test_content_that_is_no_canonical_json_is_refused() -> None:
    with pytest.raises(ReceiptError, match="content"):
        Receipt(proof(3), ENTRY, replace(OPENING, content={"score": 1.5})).verify(POLICY)  # type: ignore[dict-item]


def test_an_entry_that_is_not_the_one_proven_is_refused() -> None:
    for wrong in (
        Receipt(proof(3), BARE, None),
        Receipt(proof(2), ENTRY, OPENING),
        Receipt(proof(3), b"", None),
    ):
        with pytest.raises(ReceiptError):
            wrong.verify(POLICY)


def test_an_entry_without_commitment_cannot_be_opened() -> None:
    for index in (0, 2):
        with pytest.raises(ReceiptError):
            Receipt(proof(index), DATA[index], OPENING).verify(POLICY)


def test_a_receipt_of_a_log_or_witness_that_is_not_trusted_is_refused() -> None:
    other = SigningKey.generate("lightwell/us", bytes(32))
    with pytest.raises(ReceiptError):
        GOOD.verify(trust.of_keys(other.verifier()))


def extra(text: str) -> str:
    return TlogProof(3, GOOD.proof.hashes, GOOD.proof.checkpoint, text.encode()).text()


LIST = f'["{DIGESTS[0].hex()}","{DIGESTS[1].hex()}"]'
FIELDS = f'"digests":{LIST},"entry":"e","kind":"slate","opening":"{"6f" * 16}"'


def test_the_extra_line_is_as_the_vector_above_says() -> None:
    assert parse(extra("{" + FIELDS + "}")).opening == replace(OPENING, content=None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '"entry"',
        '{"entry":1}',
        '{"entry":null}',
        '{"entry": "e"}',
        '{"entry":"e","x":1}',
        '{"Entry":"e"}',
        '{"content":1,"entry":"e"}',
        '{"entry":"e","kind":"slate"}',
        "{" + FIELDS.replace(',"kind":"slate"', "") + "}",
        "{" + FIELDS.replace('"kind":"slate"', '"kind":1') + "}",
        "{" + FIELDS.replace('"kind":"slate"', '"kind":null') + "}",
        "{" + FIELDS.replace('"entry":"e",', "") + "}",
        "{" + FIELDS.replace("6f" * 16, "6F" * 16) + "}",
        "{" + FIELDS.replace("6f" * 16, "6f " * 16) + "}",
        "{" + FIELDS.replace("6f" * 16, "6") + "}",
        "{" + FIELDS.replace(f'"{"6f" * 16}"', "1") + "}",
        "{" + FIELDS.replace(f'"{"6f" * 16}"', "[]") + "}",
        "{" + FIELDS.replace(LIST, '"x"') + "}",
        "{" + FIELDS.replace(LIST, "[1]") + "}",
        "{" + FIELDS.replace(LIST, "{}") + "}",
        # Left out is the one way to say that the content is not held.
        '{"content":null,' + FIELDS + "}",
        "{" + FIELDS + ',"x":1}',
    ],
)
def test_an_extra_line_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ReceiptError):
        parse(extra(text))


def test_a_receipt_without_an_extra_line_is_refused() -> None:
    with pytest.raises(ReceiptError, match="no extra line"):
        parse(GOOD.proof.text())
    with pytest.raises(ReceiptError, match="not a proof"):
        parse("")


BOTH = Receipt(proof(3, WITNESSES), ENTRY, OPENING).text().encode()


@settings(max_examples=400)
@given(st.sampled_from([(GOOD.text().encode(), POLICY), (BOTH, STRICT)]), st.data())
def test_any_flipped_bit_is_refused(case: tuple[bytes, trust.TrustPolicy], data: st.DataObject) -> None:
    text, policy = case
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    changed = bytearray(text)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((ReceiptError, UnicodeDecodeError)):
        parse(bytes(changed).decode()).verify(policy)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["entry", "kind", "opening", "digests", "content", "x"]), inner)
        ),
    )
)
def test_any_json_in_the_extra_line_is_read_or_refused(value: Any) -> None:
    text = extra(canonical.encode(value).decode())
    try:
        assert receipt.parse(text).text() == text
    except ReceiptError:
        return
