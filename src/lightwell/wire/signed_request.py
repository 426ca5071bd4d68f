"""A request to or from the clean room carries its sender's signature over method, path, time and body."""

import hashlib
from collections.abc import Mapping

from lightwell.wire.note import SigningKey, Verifier

MAX_SKEW_SECONDS = 300


class RequestSignatureError(ValueError):
    """The request is not signed by the expected key, or not now."""


def headers(key: SigningKey, method: str, path: str, body: bytes, now: int) -> dict[str, str]:
    """Return the three headers that sign a request.

    Args:
        key: the sender's key.
        method: HTTP method in capitals.
        path: path with query as it goes over the wire.
        body: the bytes of the body.
        now: Unix seconds.
    """
    return {
        "Lightwell-Key": key.verifier().name,
        "Lightwell-Time": str(now),
        "Lightwell-Signature": key.sign(_signed(method, path, str(now), body)).hex(),
    }


def check(verifier: Verifier, sent: Mapping[str, str], method: str, path: str, body: bytes, now: int) -> None:
    """Check that a request was signed by `verifier`'s key within five minutes of `now`.

    Args:
        verifier: whose signature is expected.
        sent: the request's headers, names in lower case.
        method: HTTP method in capitals.
        path: path with query as it came over the wire.
        body: the bytes of the body.
        now: Unix seconds.

    Raises:
        RequestSignatureError: a header is missing, another key, a stale time or a wrong signature.
    """
    name, time = sent.get("lightwell-key", ""), sent.get("lightwell-time", "")
    if name != verifier.name:
        raise RequestSignatureError("the request is not signed by the clean room's key")
    if not (time.isascii() and time.isdigit() and len(time) <= 12) or abs(int(time) - now) > MAX_SKEW_SECONDS:
        raise RequestSignatureError("the request's time is more than five minutes away from now")
    try:
        signature = bytes.fromhex(sent.get("lightwell-signature", ""))
    except ValueError as error:
        raise RequestSignatureError("the signature is not hex") from error
    if not verifier.verify(_signed(method, path, time, body), signature):
        raise RequestSignatureError("the signature does not fit the request")


def _signed(method: str, path: str, time: str, body: bytes) -> bytes:
    digest = hashlib.sha256(body).hexdigest()
    return f"lightwell/request/v1\n{method}\n{path}\n{time}\n{digest}".encode()
