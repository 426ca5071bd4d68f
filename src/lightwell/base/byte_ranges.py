"""Answers to conditional and ranged requests for a file (RFC 9110), without touching the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lightwell.base.errors import Problem

_SINGLE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Answer:
    """The status (200, 206 or 304), the headers, and which bytes `[start, stop)` the body has."""

    status: int
    headers: dict[str, str]
    start: int
    stop: int


def answer_to(request: Mapping[str, str], size: int, digest: str, caching: str) -> Answer:
    """Decide how a request for a file is answered.

    Args:
        request: its headers, by lower-case name.
        size: of the whole file, in bytes.
        digest: of the whole file, hex; it becomes the entity tag.
        caching: the value of `Cache-Control`.

    Raises:
        Problem: 416, the range begins behind the end.
    """
    tag = f'"{digest}"'
    headers = {"Accept-Ranges": "bytes", "ETag": tag, "Cache-Control": caching}
    if _names(request.get("if-none-match"), tag):
        return Answer(304, headers, 0, 0)
    asked = request.get("range")
    if "if-range" in request and not _names(request["if-range"], tag):
        asked = None
    part = interval(asked, size)
    start, stop = part or (0, size)
    headers["Content-Length"] = str(stop - start)
    if part is None:
        return Answer(200, headers, start, stop)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Answer(206, headers, start, stop)


def interval(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the bytes `[start, stop)` that a `Range` header asks for, None for all of them.

    Several ranges at once, other units and malformed headers are answered with the whole, as allowed.

    Args:
        header: its value.
        size: of the whole, in bytes.

    Raises:
        Problem: 416, the range begins behind the end.
    """
    match = _SINGLE.fullmatch(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if first and last and int(last) < int(first):
        return None
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    else:
        start, stop = max(size - int(last), 0), size
    if start >= stop:
        problem = Problem(416, "range-not-satisfiable", f"There are only {size} bytes.")
        problem.headers["Content-Range"] = f"bytes */{size}"
        raise problem
    return start, stop


def _names(header: str | None, tag: str) -> bool:
    if not header:
        return False
    return header.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in header.split(",")}
