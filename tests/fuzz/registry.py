"""How a fuzz target is written: any bytes go in, and no exception comes out but that of a broken promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[2] / "conformance"
WORDS = (
    *("\n\n", "— ", "c2sp.org/tlog-proof@v1\n", "extra ", "index ", "old ", "cosignature/v1\n", "time "),
    *("PRIVATE+KEY+", "log ", "witness ", "group ", "quorum ", "none", " any ", " all ", " 2 ", "tile/"),
    *("lightwell/promise/v2\n", "entries/", "x001/", ".p/", '"kind":', '"v":1', '"entry":', '"opening":'),
    *('"digests":', '"content":', "\\u00", "9223372036854775807", "9223372036854775808", "==", "=\n"),
    *("\udcff", "\u00a0", "\u2028", "+", "\t", "\0"),
)
"""Texts that mean something to some parser; the fuzzer puts them in where it likes."""


@dataclass(frozen=True)
class Target:
    """One thing to fuzz."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    """Inputs to start from, some of which the parser accepts."""
    share: int = 10
    """How many of the inputs of a run it gets, in relation to the others."""
    longest: int = 4096
    """Bytes of the longest input."""


TARGETS: dict[str, Target] = {}
"""By name; filled by `target`."""


def target(
    *seeds: str | bytes, share: int = 10, longest: int = 4096
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Add the function below to the targets, under its own name."""

    def added(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        raw = tuple(seed.encode() if isinstance(seed, str) else seed for seed in seeds)
        TARGETS[run.__name__] = Target(run, raw, share, max(longest, *map(len, raw), 1))
        return run

    return added


def load(name: str) -> Any:
    """Return the vectors of one file."""
    return json.loads((VECTORS / name).read_text("ascii"))


def as_text(data: bytes) -> str:
    """Return `data` as text; bytes that are not UTF-8 become lone surrogates, which a parser must survive."""
    return data.decode("utf-8", "surrogateescape")


def parts(data: bytes, count: int) -> list[bytes]:
    """Cut `data` into `count` parts, of lengths that its first bytes say."""
    cuts, rest = data[: 2 * (count - 1)], data[2 * (count - 1) :]
    found = []
    for at in range(count - 1):
        length = int.from_bytes(cuts[2 * at : 2 * at + 2], "big")
        found.append(rest[:length])
        rest = rest[length:]
    return [*found, rest]


def joined(*pieces: bytes) -> bytes:
    """Return the bytes that `parts` cuts into `pieces`."""
    return b"".join(len(piece).to_bytes(2, "big") for piece in pieces[:-1]) + b"".join(pieces)
