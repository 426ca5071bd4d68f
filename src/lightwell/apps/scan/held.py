"""What a plane could have made of a value with the keys it holds: secrets in its files, and its own marks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from lightwell.residency import sealed_rows, tripwires
from lightwell.residency.keys import KeyVault

_LARGEST_KEY: Final = 4096
_PRIVATE: Final = b"PRIVATE+KEY+"


def secrets_below(folders: Iterable[Path]) -> dict[str, bytes]:
    """Return every secret in key files below `folders`, as it lies there and as the key it is the text of.

    Key files end in `.key` or lie in a folder called `keys`.
    """
    found: dict[str, bytes] = {}
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else []:
            is_key = file.suffix == ".key" or file.parent.name == "keys"
            if is_key and file.is_file() and 0 < file.stat().st_size <= _LARGEST_KEY:
                name = str(file.relative_to(folder.parent))
                found[name] = raw = file.read_bytes()
                found |= {f"{name} ({what})": secret for what, secret in _read(raw.strip())}
    return found


def _read(text: bytes) -> Iterator[tuple[str, bytes]]:
    if text.startswith(_PRIVATE):
        # The last part of the text is one byte of algorithm, then the seed.
        yield "seed", _decoded(text.rpartition(b"+")[2])[1:]
    elif len(text) >= 32:
        yield "hex", _unhexed(text)
        yield "base64", _decoded(text)


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text


def _unhexed(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return text


def marks_under(vault: KeyVault, values: list[str]) -> dict[str, dict[str, bytes]]:
    """Return each value's blind indexes and tripwire marks under the keys of one cell, by value and name.

    Args:
        vault: the cell's; its keys need not be in files.
        values: what is looked for.
    """
    names = [
        f"{table.name}.{column.removesuffix('_index')}"
        for table in sealed_rows.account_tables()
        for column in sealed_rows.blind_columns(table)
    ]
    found: dict[str, dict[str, bytes]] = {}
    for value in values:
        marks = {f"blind index {name} of {vault.cell}": vault.blind_index(name, value) for name in names}
        for number, mark in enumerate(tripwires.stored_marks(vault, value)):
            marks[f"tripwire mark {number} of {vault.cell}"] = mark
        found[value] = marks
    return found
