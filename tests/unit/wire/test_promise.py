"""Promises: exactly what the ledger's key said, each entry of a group by itself, or refused."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.wire import base64_strict, merkle
from lightwell.wire.keys import SigningKey
from lightwell.wire.note import sign_note
from lightwell.wire.promise import (
    GROUP_LIMIT,
    TIME_LIMIT,
    Promise,
    PromiseError,
    claimed_origin,
    make_promise,
    make_promises,
    open_promise,
)

KEY = SigningKey.generate("lightwell/us", bytes(range(32)))
ORIGIN = "lightwell/us"
BY = 1_700_000_000
LEAVES = [hashlib.sha256(bytes([n])).digest() for n in range(GROUP_LIMIT)]
HASH = "A" * 43 + "="

sizes = st.integers(1, GROUP_LIMIT)


def refused(text: str) -> bool:
    try:
        open_promise(text, KEY.verifier())
    except PromiseError:
        return True
    return False


@settings(max_examples=40)
@given(sizes)
def test_each_entry_of_a_group_has_its_own_promise(size: int) -> None:
    texts = make_promises(KEY, ORIGIN, LEAVES[:size], BY)
    for text, leaf in zip(texts, LEAVES[:size], strict=True):
        assert open_promise(text, KEY.verifier()) == Promise(ORIGIN, leaf, BY)
        assert claimed_origin(text) == ORIGIN
    assert len({text[text.index("lightwell/promise/v2") :] for text in texts}) == 1, "one signature"


@given(sizes.flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_the_place_in_a_group_is_the_proof_of_rfc_6962(case: tuple[int, int]) -> None:
    size, index = case
    lines = make_promises(KEY, ORIGIN, LEAVES[:size], BY)[index].split("\n")
    proof = merkle.inclusion_proof(merkle.in_memory(LEAVES[:size]), index, size)
    if size > 1:
        assert lines[0] == f"index {index}"
        assert lines[1 : 2 + len(proof)] == [base64_strict.encode(one) for one in (LEAVES[index], *proof)]
    assert lines[-5] == base64_strict.encode(merkle.root(LEAVES[:size]))


def test_a_promise_by_itself_is_a_signed_note_and_no_more() -> None:
    text = make_promise(KEY, ORIGIN, bytes(32), BY)
    assert text == sign_note(f"lightwell/promise/v2\n{ORIGIN}\n1\n{HASH}\n{BY}\n", KEY)


@given(st.data(), sizes)
def test_any_flipped_bit_is_refused(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    text = make_promises(KEY, ORIGIN, LEAVES[:size], BY)[index].encode()
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    changed = bytearray(text)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((PromiseError, UnicodeDecodeError)):
        open_promise(bytes(changed).decode(), KEY.verifier())


@given(st.data(), sizes)
def test_a_promise_with_a_line_left_out_doubled_or_added_is_refused(data: st.DataObject, size: int) -> None:
    lines = make_promises(KEY, ORIGIN, LEAVES[:size], BY)[-1].splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    line = data.draw(st.sampled_from(["", lines[at] * 2, lines[at] + "\n", f"{HASH}\n{lines[at]}"]))
    assert refused("".join([*lines[:at], line, *lines[at + 1 :]]))


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_a_place_does_not_fit_another_entry_or_group(places: list[int], others: list[int]) -> None:
    ours = make_promises(KEY, ORIGIN, [LEAVES[n] for n in places], BY)
    theirs = make_promises(KEY, ORIGIN, [LEAVES[n] for n in others], BY)
    for place, note in zip(ours, theirs, strict=True):
        mixed = place.partition("\n\n")[0] + "\n\n" + note.partition("\n\n")[2]
        assert refused(mixed) == (places != others)


def test_a_hash_of_two_entries_is_no_entry() -> None:
    # The upper half of an honest proof leads from an inner node to the same root: the signed size forbids it.
    lines = make_promises(KEY, ORIGIN, LEAVES[:4], BY)[0].split("\n")
    inner = base64_strict.encode(merkle.node_hash(*LEAVES[:2]))
    assert refused("\n".join(["index 0", inner, lines[3], *lines[4:]]))


def test_a_second_signature_makes_no_second_text_of_a_promise() -> None:
    text = make_promise(KEY, ORIGIN, bytes(32), BY)
    assert refused(text + text.splitlines(keepends=True)[-1])
    other = SigningKey.generate("lightwell/sg", bytes(32))
    assert refused(text + other.sign_text("x\n").line())


@pytest.mark.parametrize(
    "body",
    [
        "lightwell/promise/v1\no\n{h}\n1\n",
        "lightwell/promise/v3\no\n1\n{h}\n1\n",
        "lightwell/promise/v2\n\n1\n{h}\n1\n",
        "lightwell/promise/v2\no\n0\n{h}\n1\n",
        "lightwell/promise/v2\no\n01\n{h}\n1\n",
        "lightwell/promise/v2\no\n2\n{h}\n1\n",
        "lightwell/promise/v2\no\n257\n{h}\n1\n",
        "lightwell/promise/v2\no\n1\n{h}\n01\n",
        f"lightwell/promise/v2\no\n1\n{{h}}\n{TIME_LIMIT}\n",
        "lightwell/promise/v2\no\n1\n{h}\n1\nmore\n",
        "lightwell/promise/v2\no\n1\nAAAA\n1\n",
        "lightwell/promise/v2\no\n1\n!\n1\n",
        "lightwell/promise/v2\n",
    ],
)
def test_signed_text_of_another_form_is_no_promise(body: str) -> None:
    assert refused(sign_note(body.format(h=HASH), KEY))


@pytest.mark.parametrize(
    "head", ["index 0", f"index 0\n{HASH}", f"index 1\n{HASH}\n{HASH}", "index \n" + HASH]
)
def test_a_place_in_a_group_of_one_is_refused(head: str) -> None:
    assert refused(f"{head}\n\n{make_promise(KEY, ORIGIN, bytes(32), BY)}")


def test_a_place_outside_the_group_is_refused() -> None:
    text = make_promises(KEY, ORIGIN, LEAVES[:3], BY)[2]
    for index in ("3", "-1", "02", "+2", "256", "9" * 30):
        assert refused(text.replace("index 2", f"index {index}"))


def test_a_promise_of_another_key_is_refused() -> None:
    other = SigningKey.generate("lightwell/us", bytes(32))
    for text in make_promises(other, ORIGIN, LEAVES[:3], 1):
        assert refused(text)


@pytest.mark.parametrize(
    ("origin", "leaves", "by"),
    [
        (ORIGIN, [b""], 1),
        (ORIGIN, [bytes(32), bytes(31)], 1),
        (ORIGIN, [], 1),
        (ORIGIN, [bytes(32)] * 257, 1),
        ("", [bytes(32)], 1),
        ("a\nb", [bytes(32)], 1),
        (ORIGIN, [bytes(32)], -1),
        (ORIGIN, [bytes(32)], TIME_LIMIT),
    ],
)
def test_what_could_not_be_opened_is_not_promised(origin: str, leaves: list[bytes], by: int) -> None:
    with pytest.raises(ValueError, match=r"group|32 bytes|one line"):
        make_promises(KEY, origin, leaves, by)


@pytest.mark.parametrize("text", ["", "\n", "no note", "index ", "index 0\n\n", "index 0\n\nx\no", "\n\n\n"])
def test_a_text_that_claims_no_origin_has_none(text: str) -> None:
    assert claimed_origin(text) in ("", "o")
    assert refused(text)
