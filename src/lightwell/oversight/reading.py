"""Reads a cell's ledger over HTTP: bytes, nothing there, or unreachable, and no trust in any of them."""

from collections.abc import Callable
from typing import Final

import httpx

Read = Callable[[str], bytes | None]
"""Reads a path below the ledger's address; None when there is nothing at it."""

MAX_RESOURCE_BYTES: Final = 64 * 1024 * 1024


class UnreachableError(ConnectionError):
    """The cell did not answer, or answered with a server error."""


def http_reader(client: httpx.Client, url: str) -> Read:
    """Return a reader of a cell's ledger over HTTP.

    Args:
        client: kept open between reads.
        url: the cell's address, without `/ledger`.
    """

    def read(path: str) -> bytes | None:
        try:
            answer = client.get(f"{url}/ledger/{path}")
        except httpx.HTTPError as error:
            raise UnreachableError(type(error).__name__) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise UnreachableError(f"status {answer.status_code}")
        if len(answer.content) > MAX_RESOURCE_BYTES:
            raise UnreachableError("an answer larger than any tile")
        return answer.content

    return read
