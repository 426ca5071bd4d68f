"""Commitments: they open to what they cover, under their own opening and kind, and to nothing else."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire.commitment import commit, opens

openings = st.binary(min_size=16, max_size=40)
digests = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3)


def test_the_bytes_are_those_of_the_contract() -> None:
    one, two = hashlib.sha256(b"inputs").digest(), hashlib.sha256(b"slate").digest()
    expected = hmac.new(b"o" * 16, b"lightwell/slate/v1\n" + one + two, "sha256").digest()
    assert commit("slate", b"o" * 16, one, two) == expected


@given(openings, digests)
def test_a_commitment_opens(opening: bytes, covered: list[bytes]) -> None:
    assert opens(commit("slate", opening, *covered), "slate", opening, *covered)


@given(openings, digests, st.data())
def test_any_flipped_bit_does_not_open(opening: bytes, covered: list[bytes], data: st.DataObject) -> None:
    parts = [commit("slate", opening, *covered), opening, *covered]
    which = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, len(parts[which]) * 8 - 1))
    changed = bytearray(parts[which])
    changed[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(changed)
    assert not opens(parts[0], "slate", *parts[1:])


def test_kinds_and_order_are_bound() -> None:
    one, two = bytes(32), bytes([1]) * 32
    made = commit("slate", b"o" * 16, one, two)
    assert not opens(made, "video", b"o" * 16, one, two)
    assert not opens(made, "slate", b"o" * 16, two, one)
    assert not opens(made, "slate", b"o" * 16, one)


@pytest.mark.parametrize(
    ("kind", "opening", "covered"),
    [
        ("slate", b"o" * 15, [bytes(32)]),
        ("slate", b"o" * 16, []),
        ("slate", b"o" * 16, [bytes(31)]),
        ("", b"o" * 16, [bytes(32)]),
        ("a/v1\n", b"o" * 16, [bytes(32)]),
        ("Slate", b"o" * 16, [bytes(32)]),
    ],
)
def test_weak_or_ambiguous_input_is_refused(kind: str, opening: bytes, covered: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"."):
        commit(kind, opening, *covered)
    assert not opens(bytes(32), kind, opening, *covered)
