"""Texts are scanned for the marks of guarded values at memory speed, in a row and across any two fields.

A mark is SipHash-1-3 (Aumasson and Bernstein, 2012) of a value's letters and digits under a key of the cell,
so the table in memory tells nobody the values. Every stretch of words that is as long as some guarded value
is hashed as it is read; nothing is compared with anything but marks.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import (
    I8,
    TO_I8S,
    TO_U1S,
    TO_U8S,
    U1S,
    U8,
    U8S,
    inner,
    kernel,
    warm,
)

FORM_BYTES: Final = 48
"""A longer value is looked for by its first so many bytes of letters and digits."""
LEAD_BYTES: Final = 7
"""The shortest form that is guarded, in bytes."""
LEADS: Final = 1 << 22
MAX_FIELDS: Final = 24
"""Of more fields in a row the others are looked at in a row only, not in pairs."""
_REACH_BYTES: Final = 400
_EDGE_BYTES: Final = 64
_SEVEN: Final = np.uint64((1 << 8 * LEAD_BYTES) - 1)

# 0: no part of a word, 1: digit, 2: ASCII letter, 3: of another script; and the same bytes in lower case.
_CLASS: Final = np.array(
    [3 if b >= 128 else 1 if chr(b).isdigit() else 2 if chr(b).isalpha() else 0 for b in range(256)], np.uint8
)
_LOWER: Final = np.array([b + 32 if 65 <= b <= 90 else b for b in range(256)], np.uint64)


@inner
def _turn(v0: Any, v1: Any, v2: Any, v3: Any) -> Any:
    # One SipRound.
    v0 += v1
    v1 = ((v1 << np.uint64(13)) | (v1 >> np.uint64(51))) ^ v0
    v0 = (v0 << np.uint64(32)) | (v0 >> np.uint64(32))
    v2 += v3
    v3 = ((v3 << np.uint64(16)) | (v3 >> np.uint64(48))) ^ v2
    v0 += v3
    v3 = ((v3 << np.uint64(21)) | (v3 >> np.uint64(43))) ^ v0
    v2 += v1
    v1 = ((v1 << np.uint64(17)) | (v1 >> np.uint64(47))) ^ v2
    v2 = (v2 << np.uint64(32)) | (v2 >> np.uint64(32))
    return v0, v1, v2, v3


@inner
def _word(v0: Any, v1: Any, v2: Any, v3: Any, word: Any) -> Any:
    v0, v1, v2, v3 = _turn(v0, v1, v2, v3 ^ word)
    return v0 ^ word, v1, v2, v3


@inner
def _begin(k0: Any, k1: Any) -> Any:
    return (
        k0 ^ np.uint64(0x736F6D6570736575),
        k1 ^ np.uint64(0x646F72616E646F6D),
        k0 ^ np.uint64(0x6C7967656E657261),
        k1 ^ np.uint64(0x7465646279746573),
    )


@inner
def _finish(v0: Any, v1: Any, v2: Any, v3: Any, tail: Any, length: int) -> Any:
    v0, v1, v2, v3 = _word(v0, v1, v2, v3, tail | (np.uint64(length) << np.uint64(56)))
    v2 ^= np.uint64(0xFF)
    for _ in range(3):
        v0, v1, v2, v3 = _turn(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@inner
def _known(table: Any, mark: Any) -> bool:
    mask = np.uint64(table.shape[0] - 1)
    at = mark & mask
    while table[at] != np.uint64(0):
        if table[at] == mark:
            return True
        at = (at + np.uint64(1)) & mask
    return False


@inner
def _begins(word: Any, k0: Any, k1: Any, leads: Any) -> Any:
    """Return what `leads` holds for `LEAD_BYTES` bytes in one number; few stretches begin as a value does."""
    v0, v1, v2, v3 = _begin(k0, k1)
    lead = _finish(v0, v1, v2, v3, word, LEAD_BYTES) & np.uint64(LEADS - 1)
    # A bit for each comes first: bits fit into a cache, bytes do not.
    if (leads[LEADS + (lead >> np.uint64(3))] >> np.uint8(lead & np.uint64(7))) & 1 == 0:
        return np.uint8(0)
    return leads[lead]


@inner
def _starts(text: Any, at: int, begin: int, every: int) -> bool:
    """A word begins where the kind of character changes; scripts without spaces: at each character."""
    kind = _CLASS[text[at]]
    if kind == 0:
        return False
    if at == begin or every != 0:
        return True
    return bool(_CLASS[text[at - 1]] != kind or (kind == 3 and text[at] >= 0xC0))


@inner
def _from(
    text: Any, start: int, a1: int, b0: int, b1: int, every: int, k0: Any, k1: Any, table: Any, leads: Any
) -> bool:
    """Say whether a marked value begins at `start` in text[start:a1] followed by text[b0:b1].

    With a second part only what reaches into it counts.
    """
    first = a1 - start
    total = min(_REACH_BYTES, first + b1 - b0)
    crossing = b1 > b0
    v0, v1, v2, v3 = _begin(k0, k1)
    tail = np.uint64(0)
    length = 0
    some = np.uint8(0)
    for at in range(total):
        place = start + at if at < first else b0 + at - first
        now = _CLASS[text[place]]
        if now == 0:
            continue
        tail |= _LOWER[text[place]] << np.uint64(8 * (length & 7))
        length += 1
        if length < LEAD_BYTES:
            continue
        if length == LEAD_BYTES:
            some = _begins(tail, k0, k1, leads)
            if some == 0:
                return False
        full = length & 7 == 0
        if full:
            v0, v1, v2, v3 = _word(v0, v1, v2, v3, tail)
            tail = np.uint64(0)
        if (some >> np.uint8(length & 7)) & 1 and (not crossing or at >= first):
            ends = every != 0 or length == FORM_BYTES or at + 1 == total or at + 1 == first
            if not ends:
                after = text[place + 1]
                then = _CLASS[after]
                ends = then != now or (now == 3 and after >= 0xC0)
            if ends and _known(table, _finish(v0, v1, v2, v3, tail, length)):
                return True
        if length == FORM_BYTES:
            break
    return False


@inner
def _row(
    text: Any, begin: int, end: int, every: int, k0: Any, k1: Any, table: Any, leads: Any, room: Any
) -> bool:
    """Say whether a marked value stands in text[begin:end]; the last letters are read as one number."""
    word = np.uint64(0)
    begun = np.int64(0)
    letters = 0
    before = np.uint8(0)
    for at in range(begin, end):
        byte = text[at]
        kind = _CLASS[byte]
        if kind == 0:
            before = kind
            continue
        word = (word >> np.uint64(8)) | (_LOWER[byte] << np.uint64(8 * LEAD_BYTES - 8))
        begun = (begun << 1) | (kind != before or (kind == 3 and byte >= 0xC0) or every != 0)
        before = kind
        room[letters & 7] = at
        letters += 1
        if (
            begun & (1 << (LEAD_BYTES - 1))
            and letters >= LEAD_BYTES
            and _begins(word, k0, k1, leads) != 0
            and _from(text, room[(letters - LEAD_BYTES) & 7], end, 0, 0, every, k0, k1, table, leads)
        ):
            return True
    return False


@inner
def _pairs(  # noqa: PLR0912  one pass over pairs
    text: Any,
    offsets: Any,
    f0: int,
    f1: int,
    every: int,
    k0: Any,
    k1: Any,
    table: Any,
    leads: Any,
    room: Any,
    words: Any,
) -> bool:
    """Say whether a marked value begins at the end of one of the fields and ends at the start of another."""
    # The first letters of each field as one number, and how many they are.
    for j in range(f0, f1):
        letters = 0
        head = np.uint64(0)
        for at in range(offsets[j], min(offsets[j + 1] - 1, offsets[j] + _EDGE_BYTES)):
            if _CLASS[text[at]] != 0:
                head |= _LOWER[text[at]] << np.uint64(8 * letters)
                letters += 1
                if letters == LEAD_BYTES - 1:
                    break
        words[j - f0], room[_EDGE_BYTES + j - f0] = head, letters
    for i in range(f0, f1):
        end = offsets[i + 1] - 1
        letters = 0
        tail = np.uint64(0)
        for back in range(min(end - offsets[i], _EDGE_BYTES)):
            at = end - 1 - back
            if _CLASS[text[at]] == 0:
                continue
            letters += 1
            if letters == FORM_BYTES:
                break
            tail = ((tail << np.uint64(8)) | _LOWER[text[at]]) & _SEVEN
            if not _starts(text, at, offsets[i], every):
                continue
            whole = letters >= LEAD_BYTES
            # Where all of the lead is in this field, it is known already whether a value begins so.
            if whole and _begins(tail, k0, k1, leads) == 0:
                continue
            for j in range(f0, f1):
                if j == i or j == i + 1:
                    continue
                more = room[_EDGE_BYTES + j - f0]
                if more == 0 or letters + more < LEAD_BYTES:
                    continue
                both = (tail | (words[j - f0] << np.uint64(8 * letters))) & _SEVEN
                if not whole and _begins(both, k0, k1, leads) == 0:
                    continue
                last = min(offsets[j + 1] - 1, offsets[j] + _EDGE_BYTES)
                if _from(text, at, end, offsets[j], last, every, k0, k1, table, leads):
                    return True
    return False


@kernel(U1S, TO_I8S, TO_I8S, I8, U8, U8, U8S, U1S, TO_U1S)
def scan_rows(
    text: Any, offsets: Any, rows: Any, every: int, k0: Any, k1: Any, table: Any, leads: Any, found: Any
) -> None:
    """Set `found` of each row in which a marked value stands: in a row, or across an ordered pair of fields.

    Args:
        text: the folded fields in UTF-8, one byte between two.
        offsets: start of each field, and one past the last field's end plus one.
        rows: the first field of each row, and one past the last field.
        every: not 0 to begin and end at every byte, not at words only.
        k0, k1: the key of the marks.
        table: marks, open addressing, a power of two long, 0 is free.
        leads: `LEADS` bytes, at the marks of the values' first bytes: bit n is set where some value so begun
            has a length that is n modulo 8. After them one bit for each byte that is not 0.
        found: one byte a row; those that are set already are left out.
    """
    room = np.zeros(_EDGE_BYTES + MAX_FIELDS, np.int64)
    words = np.zeros(MAX_FIELDS, np.uint64)
    for row in range(rows.shape[0] - 1):
        f0, f1 = rows[row], rows[row + 1]
        if found[row] != 0 or f0 == f1:
            continue
        begin, end = offsets[f0], offsets[f1] - 1
        hit = _row(text, begin, end, every, k0, k1, table, leads, room)
        if not hit:
            hit = _pairs(
                text, offsets, f0, min(f1, f0 + MAX_FIELDS), every, k0, k1, table, leads, room, words
            )
        found[row] = hit


@kernel(U1S, TO_U1S)
def backwards(text: Any, turned: Any) -> None:
    """Write text in UTF-8 to `turned`, which is as long, its characters in the opposite order."""
    size = text.shape[0]
    at = 0
    while at < size:
        byte = text[at]
        wide = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        wide = min(wide, size - at)
        for one in range(wide):
            turned[size - at - wide + one] = text[at + one]
        at += wide


@kernel(TO_U8S, U8S)
def fill(table: Any, marks: Any) -> None:
    """Put marks into an open addressing table that is at most half full afterwards; 0 is left out."""
    mask = np.uint64(table.shape[0] - 1)
    for one in range(marks.shape[0]):
        mark = marks[one]
        if mark == np.uint64(0):
            continue
        at = mark & mask
        while table[at] != np.uint64(0) and table[at] != mark:
            at = (at + np.uint64(1)) & mask
        table[at] = mark


@kernel(U1S, U8, U8)
def mark_of(form: Any, k0: Any, k1: Any) -> Any:
    """Return SipHash-1-3 of at most `FORM_BYTES` bytes under the key (`k0`, `k1`)."""
    v0, v1, v2, v3 = _begin(k0, k1)
    tail = np.uint64(0)
    for at in range(form.shape[0]):
        tail |= np.uint64(form[at]) << np.uint64(8 * (at & 7))
        if at & 7 == 7:
            v0, v1, v2, v3 = _word(v0, v1, v2, v3, tail)
            tail = np.uint64(0)
    return _finish(v0, v1, v2, v3, tail, form.shape[0])


class Mark(Struct, frozen=True):
    """What is kept of a guarded value: its mark, its length in bytes, and the mark of its first bytes."""

    mark: int
    length: int
    lead: int


class Marks:
    """The marks of a cell's guarded values, ready to be scanned for.

    Args:
        key: 16 bytes.
    """

    def __init__(self, key: bytes) -> None:
        warm()
        self._k0 = np.uint64(int.from_bytes(key[:8], "little"))
        self._k1 = np.uint64(int.from_bytes(key[8:16], "little"))
        self._table: NDArray[np.uint64] = np.zeros(1024, np.uint64)
        self._leads = np.zeros(LEADS + LEADS // 8, np.uint8)
        self._count = 0

    def mark(self, form: bytes) -> Mark:
        """Return the mark of a form of `LEAD_BYTES` to `FORM_BYTES` bytes."""
        whole, lead = (
            int(mark_of(np.frombuffer(part, np.uint8), self._k0, self._k1))
            for part in (form, form[:LEAD_BYTES])
        )
        return Mark(whole, len(form), lead % LEADS)

    def add(self, marks: Iterable[Mark]) -> None:
        """Look for further values from now on."""
        new = list(marks)
        if not new:
            return
        table = self._table
        if 2 * (self._count + len(new)) > table.shape[0]:
            table = np.zeros(1 << (4 * (self._count + len(new))).bit_length(), np.uint64)
            fill(table, read_only(self._table[self._table != 0]))
        else:
            table = table.copy()
        fill(table, read_only(np.array([one.mark for one in new], np.uint64)))
        # Before the table: a lead too many finds nothing, one too few would miss.
        bits = np.array([1 << (one.length & 7) for one in new], np.uint8)
        leads = np.array([one.lead for one in new], np.int64)
        np.bitwise_or.at(self._leads, leads, bits)
        np.bitwise_or.at(self._leads, LEADS + (leads >> 3), (1 << (leads & 7)).astype(np.uint8))
        self._table = table
        self._count = int(np.count_nonzero(table))

    def __len__(self) -> int:
        return self._count

    def found_in(
        self, text: bytes, offsets: NDArray[np.int64], rows: NDArray[np.int64], *, every: bool = False
    ) -> NDArray[np.uint8]:
        """Say for each row of folded fields whether a marked value stands in it, forwards or backwards.

        Args:
            text, offsets, rows, every: as `scan_rows` takes them.

        Returns:
            One byte a row, not 0 where there is.
        """
        found = np.zeros(rows.shape[0] - 1, np.uint8)
        if not self._count or not text:
            return found
        forward = np.frombuffer(text, np.uint8)
        turned = np.empty(len(text), np.uint8)
        backwards(forward, turned)
        rest = (int(every), self._k0, self._k1, read_only(self._table), read_only(self._leads))
        scan_rows(forward, offsets, rows, *rest, found)
        # The last field of the last row comes first now.
        back = found[::-1].copy()
        scan_rows(read_only(turned), offsets[-1] - offsets[::-1], rows[-1] - rows[::-1], *rest, back)
        return back[::-1]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of an array as kernels take what they only read."""
    view = array.view()
    view.flags.writeable = False
    return view
