"""Signed requests: only the request that was signed is taken, in its one text, within five minutes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire.keys import SigningKey
from lightwell.wire.signed_request import MAX_SKEW_SECONDS, RequestSignatureError, check, headers

NOW = 1_700_000_000
KEY = SigningKey.generate("lightwell/us", bytes(range(32)))
BODY = hashlib.sha256(b"body").hexdigest()
SENT = {name.lower(): value for name, value in headers(KEY, "POST", "/path?a=b", BODY, NOW).items()}


def test_a_signed_request_is_taken_within_five_minutes() -> None:
    for now in (NOW - MAX_SKEW_SECONDS, NOW, NOW + MAX_SKEW_SECONDS):
        check(KEY.verifier(), SENT, "POST", "/path?a=b", BODY, now)
    for now in (NOW - MAX_SKEW_SECONDS - 1, NOW + MAX_SKEW_SECONDS + 1, 0):
        with pytest.raises(RequestSignatureError, match="five minutes"):
            check(KEY.verifier(), SENT, "POST", "/path?a=b", BODY, now)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/path?a=b", BODY),
        ("POST", "/path", BODY),
        ("POST", "/path?a=b", "0" * 64),
        ("POST", "/\udcff", BODY),
    ],
)
def test_another_request_is_refused(method: str, path: str, body: str) -> None:
    with pytest.raises(RequestSignatureError):
        check(KEY.verifier(), SENT, method, path, body, NOW)


@given(st.sampled_from(sorted(SENT)), st.data())
def test_any_flipped_bit_of_a_header_is_refused(name: str, data: st.DataObject) -> None:
    value = bytearray(SENT[name].encode())
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RequestSignatureError):
        check(KEY.verifier(), SENT | {name: value.decode("latin-1")}, "POST", "/path?a=b", BODY, NOW)


def test_a_signature_in_capitals_or_with_spaces_is_refused() -> None:
    signature = SENT["lightwell-signature"]
    for wrong in (
        signature.upper(),
        f" {signature}",
        f"{signature[:2]} {signature[2:]}",
        "",
        "zz",
        signature[:-2],
    ):
        with pytest.raises(RequestSignatureError):
            check(KEY.verifier(), SENT | {"lightwell-signature": wrong}, "POST", "/path?a=b", BODY, NOW)


@pytest.mark.parametrize("name", sorted(SENT))
def test_a_missing_header_is_refused(name: str) -> None:
    sent = {key: value for key, value in SENT.items() if key != name}
    with pytest.raises(RequestSignatureError):
        check(KEY.verifier(), sent, "POST", "/path?a=b", BODY, NOW)


@pytest.mark.parametrize("time", ["", "-1", "+1", "1e9", "\u0661", " 1", "9" * 13, "9" * 5000])
def test_a_time_of_another_form_is_refused(time: str) -> None:
    with pytest.raises(RequestSignatureError, match="time"):
        check(KEY.verifier(), SENT | {"lightwell-time": time}, "POST", "/path?a=b", BODY, NOW)
