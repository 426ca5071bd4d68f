"""Canonical JSON: one value, one text; anything else is refused."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire.canonical import CanonicalError, decode, digest, encode

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
leaves = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4)
)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert decode(encode(value)) == value


@given(values, st.data())
def test_other_bytes_are_another_value_or_refused(value: Any, data: st.DataObject) -> None:
    original = encode(value)
    bit = data.draw(st.integers(0, len(original) * 8 - 1))
    changed = bytearray(original)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        other = decode(bytes(changed))
    except CanonicalError:
        return
    assert encode(other) == bytes(changed) != original


def test_keys_are_ordered_by_utf16_code_units() -> None:
    # RFC 8785, section 3.2.3: U+1F600 is written before U+FB33 because its surrogate is smaller.
    assert encode({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()
    assert encode([{"\ufb33": 1, "a": {"é": 1, "z": 2}}]) == '[{"a":{"z":2,"é":1},"\ufb33":1}]'.encode()


def test_strings_are_escaped_as_rfc_8785_says() -> None:
    assert encode('\x00\b\t\n\f\r\x1f"\\/\x7fé\u2028') == (
        '"\\u0000\\b\\t\\n\\f\\r\\u001f\\"\\\\/\x7fé\u2028"'.encode()
    )


@pytest.mark.parametrize(
    "value", [1.0, 2**53, -(2**53), b"x", {1: 2}, {"a": {3}}, "\ud800", {"\ud800": 1}, float("nan")]
)
def test_values_outside_the_set_are_refused(value: object) -> None:
    with pytest.raises(CanonicalError):
        encode(value)


def test_deep_nesting_is_refused_in_both_directions() -> None:
    value: Any = 1
    for _ in range(40):
        value = [value]
    with pytest.raises(CanonicalError):
        encode(value)
    with pytest.raises(CanonicalError):
        decode(b"[" * 100_000)
    with pytest.raises(CanonicalError):
        decode(b"[" * 40 + b"]" * 40)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b"01",
        b"-0",
        b"1.0",
        b"1e2",
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'"\\u0041"',
        b'"\\ud800"',
        b'"\\/"',
        b"\xff",
        b"\xef\xbb\xbf1",
        b"NaN",
        b"9007199254740992",
        b"123456789012345678901234567890",
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        decode(data)


def test_digest_is_sha256_of_the_canonical_bytes() -> None:
    assert digest({"b": 1, "a": [True, None]}) == hashlib.sha256(b'{"a":[true,null],"b":1}').hexdigest()
