"""Every form in which a value could have been written: encoded, escaped, hashed, or marked under a key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHORTEST: Final = 6
"""Characters of a value: what is shorter stands in many texts by chance."""
_HASHES: Final = ("sha256", "sha1", "md5", "sha512")
_TABLE_BITS: Final = 20
_DIGEST_START: Final = 8
_ENCODED_START: Final = 12


class Needles:
    """Every form of every value, ready to be looked for in one pass.

    Args:
        values: texts of at least `SHORTEST` characters.
        keys: names of secrets and the secrets, under which a value could have been hashed.
        marks: for each value, marks of it by their names that only the maker of their key could work out.

    Raises:
        ValueError: a value is too short.
    """

    def __init__(
        self,
        values: list[str],
        keys: Mapping[str, bytes] | None = None,
        marks: Mapping[str, Mapping[str, bytes]] | None = None,
    ) -> None:
        self._forms: dict[bytes, tuple[int, str]] = {}
        for number, value in enumerate(values):
            if len(value) < SHORTEST:
                raise ValueError(f"value {number} has fewer than {SHORTEST} characters")
            for form, data in forms(value):
                self._forms.setdefault(data, (number, form))
            for form, data in _keyed_forms(value, keys or {}, (marks or {}).get(value, {})):
                self._forms.setdefault(data, (number, form))
        self.longest = max(map(len, self._forms), default=0)
        # Tables let numpy discard nearly every position: by two pairs of bytes, by the first four bytes, and
        # for needles that long by the first eight; hexadecimal text would pass the first two everywhere.
        self._first = np.zeros(65536, dtype=bool)
        self._second = np.zeros(65536, dtype=bool)
        self._by_prefix: dict[bytes, list[bytes]] = {}
        for data in self._forms:
            self._first[data[0] | data[1] << 8] = True
            self._second[data[2] | data[3] << 8] = True
            self._by_prefix.setdefault(data[:4], []).append(data)
        self._fours = np.zeros(1 << _TABLE_BITS, dtype=bool)
        self._fours[_spread(_sorted({data[:4] for data in self._forms}, 4))] = True
        self._short = _sorted({data[:4] for data in self._forms if len(data) < 8}, 4)
        self._eights = _sorted({data[:8] for data in self._forms if len(data) >= 8}, 8)

    def __len__(self) -> int:
        return len(self._forms)

    def search(self, data: bytes) -> Iterator[tuple[int, str]]:
        """Yield (value's position, form) for each form that occurs in `data`, as often as it occurs."""
        if len(data) < 4 or not self._forms:
            return
        found: NDArray[np.uint8] = np.frombuffer(data, dtype=np.uint8)
        pairs = found[:-1].astype(np.uint16) | (found[1:].astype(np.uint16) << 8)
        hits = np.flatnonzero(self._first[pairs[:-2]] & self._second[pairs[2:]])
        fours = pairs[hits].astype(np.uint64) | (pairs[hits + 2].astype(np.uint64) << np.uint64(16))
        some = self._fours[_spread(fours)]
        hits, fours = hits[some], fours[some]
        # The last bytes have no eight after them: what is there is looked at one by one.
        last = np.minimum(hits, max(0, len(data) - 8))
        more = pairs[np.minimum(last + 4, len(pairs) - 1)], pairs[np.minimum(last + 6, len(pairs) - 1)]
        eights = (
            fours
            | (more[0].astype(np.uint64) << np.uint64(32))
            | (more[1].astype(np.uint64) << np.uint64(48))
        )
        likely = (last < hits) | _among(self._short, fours) | _among(self._eights, eights)
        for at in hits[likely].tolist():
            for needle in self._by_prefix.get(data[at : at + 4], ()):
                if data.startswith(needle, at):
                    yield self._forms[needle]


def _sorted(starts: set[bytes], width: int) -> NDArray[np.uint64]:
    numbers = sorted(int.from_bytes(start, "little") for start in starts if len(start) == width)
    return np.array(numbers, dtype=np.uint64)


def _spread(fours: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return places in a table of `_TABLE_BITS` for numbers of 32 bits (multiplicative hashing)."""
    return (fours * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _TABLE_BITS)


def _among(known: NDArray[np.uint64], asked: NDArray[np.uint64]) -> NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(asked), dtype=bool)
    there: NDArray[np.bool_] = known[np.minimum(known.searchsorted(asked), len(known) - 1)] == asked
    return there


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) for each form in which `value` could have been written without a key."""
    plain = value.encode()
    for name, text in _written(value):
        yield name, text.encode()
    yield "reversed", plain[::-1]
    yield "UTF-16", value.encode("utf-16-le")
    yield "UTF-16 big-endian", value.encode("utf-16-be")
    yield from _encoded(plain)
    for digest_name in _HASHES:
        for variant in variants(value):
            digest = hashlib.new(digest_name, variant.encode(), usedforsecurity=False).digest()
            yield from digest_forms(digest_name.upper().replace("SHA", "SHA-"), digest)


def variants(value: str) -> list[str]:
    """Return the value as systems that hash or index would write it: trimmed, in one case, digits alone."""
    found = [value, value.strip().casefold(), value.strip().upper()]
    if digits := _digits(value):
        found += [digits, f"+{digits}"]
    return list(dict.fromkeys(found))


def digest_forms(name: str, digest: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a digest's forms, each by its beginning, so that one that was cut short is found too.

    Args:
        name: what it is, for the report.
        digest: at least 12 bytes; a shorter mark is taken whole.
    """
    yield f"{name}, bytes", digest[:_DIGEST_START]
    yield f"{name}, hex", digest.hex()[: 2 * _DIGEST_START].encode()
    yield f"{name}, hex upper case", digest.hex().upper()[: 2 * _DIGEST_START].encode()
    for form, data in _base64(digest[:_ENCODED_START]):
        yield f"{name}, {form}", data


def _keyed_forms(
    value: str, keys: Mapping[str, bytes], marks: Mapping[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    for name, mark in marks.items():
        yield from digest_forms(name, mark)
    for name, key in keys.items():
        for variant in variants(value):
            for digest_name in ("sha256", "sha1"):
                digest = hmac.new(key, variant.encode(), digest_name).digest()
                yield from digest_forms(f"HMAC-{digest_name.upper()} under {name}", digest)
            if len(key) <= hashlib.blake2b.MAX_KEY_SIZE:
                digest = hashlib.blake2b(variant.encode(), key=key, digest_size=32).digest()
                yield from digest_forms(f"BLAKE2b under {name}", digest)


def _written(value: str) -> Iterator[tuple[str, str]]:
    yield "plain", value
    yield "upper case", value.upper()
    yield "lower case", value.lower()
    if digits := _digits(value):
        yield "digits", digits
    quoted = urllib.parse.quote(value, safe="")
    for text in {quoted, quoted.lower(), urllib.parse.quote_plus(value)} - {value}:
        yield "percent-encoded", text
    raw = value.encode()
    yield "percent-encoded whole", "".join(f"%{byte:02X}" for byte in raw)
    yield "percent-encoded whole", "".join(f"%{byte:02x}" for byte in raw)
    for text in {json.dumps(value)[1:-1], value.replace("/", "\\/"), html.escape(value)} - {value}:
        yield "escaped", text
    units = value.encode("utf-16-be").hex()
    escapes = [units[at : at + 4] for at in range(0, len(units), 4)]
    yield "JSON-escaped whole", "".join(f"\\u{unit}" for unit in escapes)
    yield "JSON-escaped whole", "".join(f"\\u{unit.upper()}" for unit in escapes)


def _digits(value: str) -> str:
    """Return a phone number's digits; nothing for what has letters, or dots as addresses of machines have."""
    digits = "".join(char for char in value if char.isdigit())
    alone = not any(char.isalpha() for char in value) and "." not in value
    return digits if alone and len(digits) >= 10 else ""


def _encoded(raw: bytes) -> Iterable[tuple[str, bytes]]:
    yield "hex", raw.hex().encode()
    yield "hex upper case", raw.hex().upper().encode()
    yield from _base64(raw)


def _base64(raw: bytes) -> Iterable[tuple[str, bytes]]:
    for shift in range(3):
        # Inside a longer text the value can begin at any of three places of a base64 group; the
        # characters at its edges mix with the neighbours and are left out.
        text = base64.b64encode(bytes(shift) + raw)
        whole = text[0 if shift == 0 else 4 : (len(raw) + shift) // 3 * 4]
        if len(whole) >= 8:
            yield "base64", whole
            yield "base64url", whole.replace(b"+", b"-").replace(b"/", b"_")
