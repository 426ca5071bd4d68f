"""One HTTP answer at a time, bounded in size and time whatever the server sends."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable

import httpx

_QUIET_SECONDS = 30.0
"""A server that sends nothing for so long does not answer."""
_ANSWER_SECONDS = 300.0
"""A whole answer takes no longer, however slowly its bytes drip."""
_PAUSES = (0.25, 1.0)
"""Seconds before the second and each later try."""
_RETRY_AFTER_LIMIT = 30
_REDIRECTS = 5
_PASSING = {408, 429, 500, 502, 503, 504}
"""Statuses that may be another one the next moment."""


class UnreadableError(OSError):
    """The ledger cannot be reached or read at all, which says nothing about whether it is sound."""


class _PassingError(Exception):
    """This try failed and another may not; `pause` is how many seconds the server asked to wait."""

    def __init__(self, why: str, pause: float = 0.0) -> None:
        super().__init__(why)
        self.pause = pause


class Download:
    """A client for one server; threads may share it.

    Args:
        url: any address there, to be refused now rather than later if it is none.
        tries: how often to ask while the server is busy or does not answer.

    Raises:
        UnreadableError: no address without query and fragment.
    """

    def __init__(self, url: str, tries: int = 3) -> None:
        try:
            parts = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise UnreadableError(f"{url}: {error}") from None
        if not parts.host or parts.query or parts.fragment:
            raise UnreadableError(f"{url}: not the address of a log")
        self._tries = tries
        self._client = httpx.Client(
            timeout=_QUIET_SECONDS,
            # The environment may name a proxy or a file of passwords: neither is of the ledger.
            trust_env=False,
            headers={"accept-encoding": "gzip, identity", "cache-control": "no-cache"},
        )

    def get(self, url: str, limit: int) -> bytes | None:
        """Return the content at `url`, unpacked; None if there is nothing (404, 410).

        Args:
            url: an absolute address.
            limit: bytes; of a longer answer `limit + 1` are returned and the rest is not taken.

        Raises:
            UnreadableError: no answer, or one that is neither content nor "nothing here".
        """
        for number in range(1, self._tries + 1):
            try:
                return self._get(url, limit)
            except _PassingError as error:
                if number == self._tries:
                    raise UnreadableError(f"{url}: {error}") from None
                time.sleep(max(error.pause, _PAUSES[min(number, len(_PAUSES)) - 1]))
            except (httpx.HTTPError, httpx.InvalidURL, zlib.error, ValueError) as error:
                raise UnreadableError(f"{url}: {error or type(error).__name__}") from None
        raise UnreadableError(f"{url}: not asked for")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _get(self, url: str, limit: int) -> bytes | None:
        address = httpx.URL(url)
        # httpx would read the whole body of a redirect before it follows, however long.
        for _ in range(_REDIRECTS + 1):
            try:
                with self._client.stream("GET", address) as answer:
                    if not answer.has_redirect_location:
                        return _content(answer, limit)
                    address = address.join(answer.headers["location"])
            except httpx.TimeoutException:
                raise _PassingError("no answer in time") from None
            except httpx.TransportError as error:
                raise _PassingError(f"no answer ({type(error).__name__})") from None
            if address.scheme not in {"http", "https"}:
                raise ValueError("redirected to what is no web address")
        raise ValueError("too many redirects")


def _content(answer: httpx.Response, limit: int) -> bytes | None:
    status = answer.status_code
    if status in {404, 410}:
        return None
    if status in _PASSING:
        wanted = answer.headers.get("retry-after", "")
        seconds = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 9 else 0
        raise _PassingError(f"status {status}", min(seconds, _RETRY_AFTER_LIMIT))
    if status != httpx.codes.OK:
        raise ValueError(f"status {status}")
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"gzip", "identity"}:
        raise ValueError(f"content encoding {encoding} was not asked for")
    return _bounded(answer.iter_raw(), encoding == "gzip", limit)


def _bounded(chunks: Iterable[bytes], packed: bool, limit: int) -> bytes:
    """Join and unpack what comes, never holding more than a chunk over the limit."""
    until = time.monotonic() + _ANSWER_SECONDS
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    data = bytearray()
    for chunk in chunks:
        data += unpacker.decompress(chunk, limit + 1 - len(data)) if packed else chunk
        if len(data) > limit:
            return bytes(data[: limit + 1])
        if time.monotonic() > until:
            raise _PassingError("the answer takes too long")
    if packed and (not unpacker.eof or unpacker.unused_data):
        raise ValueError("the answer is not one whole gzip stream")
    return bytes(data)
