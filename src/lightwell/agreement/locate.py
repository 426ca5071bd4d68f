"""Where in a TOML text a value stands: tomllib keeps no line numbers, so the keys are scanned again."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\"]+)\s*\]\]?")
# What an array is made of: strings whole, brackets, commas, remarks, and everything else.
_TOKEN = re.compile(r"""\"(?:[^"\\]|\\.)*\"|'[^']*'|[\[\]{},]|\#.*|[^\s\[\]{},"'#]+""")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"]+(?:\.[A-Za-z0-9_\-\"]+)*)\s*=")


def path_of(place: str) -> Path:
    """Turn msgspec's `$.terms[3].id` into ("terms", 3, "id")."""
    parts: list[str | int] = []
    for name, index in re.findall(r"\.([A-Za-z0-9_\-]+)|\[(\d+)\]", place):
        parts.append(name or int(index))
    return tuple(parts)


def line_of(text: str, path: Path) -> int:
    """Find the line (from 1) of the deepest part of a path that the text shows.

    A path to an item of an array gives the item's own line, a path into an inline table the line on which
    that table's key stands.
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
    lines = text.splitlines()
    array_ends = 0
    for number, line in enumerate(lines, start=1):
        if number <= array_ends:
            continue
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
            if line[key.end() :].lstrip().startswith("["):
                items, array_ends = _items(lines, number, key.end())
                for index, place in enumerate(items):
                    places.setdefault((*table, *names, index), place)
                continue
        for mark in ('"""', "'''"):
            if line.count(mark) % 2:
                fence = mark
    return places


def _items(lines: list[str], number: int, start: int) -> tuple[list[int], int]:
    """Return the line of each item of the array that begins on a line, and the line on which it ends."""
    found: list[int] = []
    depth, fresh = 0, False
    for place in range(number, len(lines) + 1):
        for part in _TOKEN.findall(lines[place - 1][start:]):
            if part.startswith("#"):
                break
            if fresh and part not in ",]":
                found.append(place)
                fresh = False
            if part in "[{":
                depth += 1
                fresh = fresh or depth == 1
            elif part in "]}":
                depth -= 1
                if not depth:
                    return found, place
            elif part == "," and depth == 1:
                fresh = True
        start = 0
    return found, len(lines)


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
