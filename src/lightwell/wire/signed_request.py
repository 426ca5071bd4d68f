"""A request between processes of two parties carries a signature over its method, path, time and body."""

from collections.abc import Mapping
from typing import Final

from lightwell.wire.keys import SigningKey, Verifier

MAX_SKEW_SECONDS: Final = 300


class RequestSignatureError(ValueError):
    """The request is not signed by the expected key, or not now."""


def headers(key: SigningKey, method: str, path: str, body_digest: str, now: int) -> dict[str, str]:
    """Return the three headers that sign a request.

    Args:
        key: the sender's key.
        method: HTTP method in capitals.
        path: path with query as it goes over the wire.
        body_digest: lowercase hex sha256 of the body.
        now: seconds since the epoch.
    """
    return {
        "Lightwell-Key": key.name,
        "Lightwell-Time": str(now),
        "Lightwell-Signature": key.sign(_signed(method, path, str(now), body_digest)).hex(),
    }


def check(
    verifier: Verifier, sent: Mapping[str, str], method: str, path: str, body_digest: str, now: int
) -> None:
    """Check that `verifier`'s key signed a request within five minutes of `now`; arguments as `headers`.

    Args:
        sent: the request's headers, names in lower case.

    Raises:
        RequestSignatureError: a header is missing, another key, a stale time or a wrong signature.
    """
    if sent.get("lightwell-key") != verifier.name:
        raise RequestSignatureError("The request names another key.")
    time = sent.get("lightwell-time", "")
    if not (time.isascii() and time.isdigit() and len(time) <= 12) or abs(int(time) - now) > MAX_SKEW_SECONDS:
        raise RequestSignatureError("The request's time is more than five minutes from now.")
    written = sent.get("lightwell-signature", "")
    try:
        signature = bytes.fromhex(written)
        signed = _signed(method, path, time, body_digest)
    except ValueError as error:
        raise RequestSignatureError("The signature is not hex, or the path is not Unicode.") from error
    # Only as `headers` writes it: capitals and spaces would give one signature several texts.
    if signature.hex() != written or not verifier.verify(signed, signature):
        raise RequestSignatureError("The signature does not fit the request.")


def _signed(method: str, path: str, time: str, body_digest: str) -> bytes:
    return f"lightwell/request/v1\n{method}\n{path}\n{time}\n{body_digest}".encode()
