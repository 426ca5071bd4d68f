"""Requests as ASGI gives them, for the few doors where a framework's work would be most of the cost."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from litestar.types import HTTPScope, Receive, Send

from lightwell.base.errors import Problem
from lightwell.product.accounts.queries import Account
from lightwell.product.accounts.service import current_account
from lightwell.product.accounts.web import COOKIE
from lightwell.residency.cell import Cell

_COOKIE: Final = COOKIE.encode() + b"="


async def signed_in(cell: Cell, scope: HTTPScope) -> Account:
    """Return who sends a request.

    Raises:
        Problem: 401, nobody who is signed in.
    """
    token = token_of(scope)
    if cell.database.is_sqlite:
        # Microseconds: less than a thread would cost.
        return account_of(cell, token)
    return await asyncio.to_thread(account_of, cell, token)


def account_of(cell: Cell, token: str) -> Account:
    """Return who is signed in with a token.

    Raises:
        Problem: 401, nobody.
    """
    found = current_account(cell, token)
    if found is None:
        raise _stranger()
    return found


def refuse_foreign_origin(scope: HTTPScope) -> None:
    """Refuse a request that another site's page sends with our cookies.

    Raises:
        Problem: 403.
    """
    origin = host = b""
    for name, value in scope["headers"]:
        if name == b"origin":
            origin = value
        elif name == b"host":
            host = value
    if origin and urlsplit(origin).netloc != host:
        raise Problem(403, "foreign-origin", "This request came from another site's page.")


async def read_body(receive: Receive, most_bytes: int) -> bytes:
    """Return the whole body of a request.

    Raises:
        Problem: 413 it is longer than `most_bytes`; 400 the sender has gone before its end.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Problem(400, "bad-request", "The request ended before its body did.")
        part = message["body"]
        size += len(part)
        if size > most_bytes:
            raise Problem(413, "too-large", f"The body of this request may have {most_bytes} bytes.")
        parts.append(part)
        if not message["more_body"]:
            return b"".join(parts)


async def answer_json(send: Send, status: int, body: bytes) -> None:
    """Answer with ready-made JSON that no cache may keep."""
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def token_of(scope: HTTPScope) -> str:
    """Return the token of the session that a request belongs to.

    Raises:
        Problem: 401, it names none.
    """
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.split(b";"):
                pair = part.strip()
                if pair.startswith(_COOKIE):
                    return pair[len(_COOKIE) :].strip(b'"').decode("latin-1")
    raise _stranger()


def _stranger() -> Problem:
    return Problem(401, "not-signed-in", "Sign in first.")
