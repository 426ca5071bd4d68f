"""Promises: exactly what the ledger's key said, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire.keys import SigningKey
from lightwell.wire.note import sign_note
from lightwell.wire.promise import Promise, PromiseError, make_promise, open_promise

KEY = SigningKey.generate("lightwell/us", bytes(range(32)))


def test_a_promise_is_read_back() -> None:
    text = make_promise(KEY, "lightwell/us", bytes(32), 1_700_000_000)
    assert text.startswith("lightwell/promise/v1\nlightwell/us\nAAAA")
    assert open_promise(text, KEY.verifier()) == Promise("lightwell/us", bytes(32), 1_700_000_000)


@given(st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    text = make_promise(KEY, "lightwell/us", bytes(range(32)), 1_700_000_000).encode()
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    changed = bytearray(text)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((PromiseError, UnicodeDecodeError)):
        open_promise(bytes(changed).decode(), KEY.verifier())


@pytest.mark.parametrize(
    "body",
    [
        "lightwell/promise/v2\no\n{h}\n1\n",
        "lightwell/promise/v1\n\n{h}\n1\n",
        "lightwell/promise/v1\no\n{h}\n01\n",
        "lightwell/promise/v1\no\n{h}\n1\nmore\n",
        "lightwell/promise/v1\no\nAAAA\n1\n",
        "lightwell/promise/v1\no\n!\n1\n",
        "lightwell/promise/v1\n",
    ],
)
def test_signed_text_of_another_form_is_no_promise(body: str) -> None:
    text = body.format(h="A" * 43 + "=")
    with pytest.raises(PromiseError):
        open_promise(sign_note(text, KEY), KEY.verifier())


def test_a_promise_of_another_key_is_refused() -> None:
    other = SigningKey.generate("lightwell/us", bytes(32))
    with pytest.raises(PromiseError):
        open_promise(make_promise(other, "lightwell/us", bytes(32), 1), KEY.verifier())


def test_a_promise_about_no_hash_is_not_made() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        make_promise(KEY, "lightwell/us", b"", 1)
