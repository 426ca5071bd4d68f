"""Where in a TOML text a value stands: tomllib keeps no line numbers, so the keys are scanned again."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\"]+)\s*\]\]?")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"]+(?:\.[A-Za-z0-9_\-\"]+)*)\s*=")


def path_of(place: str) -> Path:
    """Turn msgspec's `$.terms[3].id` into ("terms", 3, "id")."""
    parts: list[str | int] = []
    for name, index in re.findall(r"\.([A-Za-z0-9_\-]+)|\[(\d+)\]", place):
        parts.append(name or int(index))
    return tuple(parts)


def line_of(text: str, path: Path) -> int:
    """Find the line (from 1) of the deepest part of a path that the text shows.

    A path into an inline table or a long array gives the line where that value begins, unless the last
    part is a string that stands on a later line of the same value.
    """
    places = _scan(text)
    for length in range(len(path), 0, -1):
        # A whole array of tables begins where its first table does.
        line = places.get(path[:length]) or places.get((*path[:length], 0))
        if line is not None:
            return line
    return 1


def _scan(text: str) -> dict[Path, int]:
    """Map the path of every header and every key to its line; strings over many lines are skipped."""
    places: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if fence:
            if fence in line:
                fence = ""
            continue
        header = _HEADER.match(line)
        if header:
            table = _enter(header.group(2), array=header.group(1) == "[[", counts=counts)
            places.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            names = [part.strip('"') for part in key.group(1).split(".")]
            places.setdefault((*table, *names), number)
            for inner in re.findall(r"[{,]\s*([A-Za-z0-9_\-]+)\s*=", line[key.end() :]):
                places.setdefault((*table, *names, inner), number)
        for mark in ('"""', "'''"):
            if line.count(mark) % 2:
                fence = mark
    return places


def _enter(name: str, *, array: bool, counts: dict[Path, int]) -> Path:
    """Resolve a header to a path, counting arrays of tables and entering the newest element of outer ones."""
    path: Path = ()
    parts = [part.strip('"') for part in name.split(".")]
    for depth, part in enumerate(parts):
        path = (*path, part)
        last = depth == len(parts) - 1
        if last and array:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
