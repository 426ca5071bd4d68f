"""Texts are scanned for the marks of guarded values at memory speed, in a row and across any two fields.

A mark is SipHash-1-3 (Aumasson and Bernstein, 2012) of a value's letters and digits under a key of the cell,
so the table in memory tells nobody the values. Every stretch of words that is as long as some guarded value
is hashed as it is read; nothing is compared with anything but marks.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import I8, TO_I8S, TO_U8S, U1S, U8, U8S, inner, kernel, warm

FORM_BYTES: Final = 48
"""A longer value is looked for by its first so many bytes of letters and digits."""
LEAD_BYTES: Final = 7
"""The shortest form that is guarded, in bytes."""
LEADS: Final = 1 << 22
_REACH_BYTES: Final = 400
_EDGE_BYTES: Final = 64

MAIL: Final = 1
DIGITS: Final = 2
ENCODED: Final = 4
ESCAPED: Final = 8
MIXED: Final = 16


@inner
def _class_of(byte: int) -> int:
    if 48 <= byte <= 57:
        return 1
    if 97 <= byte <= 122 or 65 <= byte <= 90:
        return 2
    return 3 if byte >= 128 else 0


@inner
def _turn(v: Any) -> None:
    # One SipRound.
    v[0] += v[1]
    v[1] = (v[1] << np.uint64(13)) | (v[1] >> np.uint64(51))
    v[1] ^= v[0]
    v[0] = (v[0] << np.uint64(32)) | (v[0] >> np.uint64(32))
    v[2] += v[3]
    v[3] = (v[3] << np.uint64(16)) | (v[3] >> np.uint64(48))
    v[3] ^= v[2]
    v[0] += v[3]
    v[3] = (v[3] << np.uint64(21)) | (v[3] >> np.uint64(43))
    v[3] ^= v[0]
    v[2] += v[1]
    v[1] = (v[1] << np.uint64(17)) | (v[1] >> np.uint64(47))
    v[1] ^= v[2]
    v[2] = (v[2] << np.uint64(32)) | (v[2] >> np.uint64(32))


@inner
def _begin(v: Any, k0: Any, k1: Any) -> None:
    v[0] = k0 ^ np.uint64(0x736F6D6570736575)
    v[1] = k1 ^ np.uint64(0x646F72616E646F6D)
    v[2] = k0 ^ np.uint64(0x6C7967656E657261)
    v[3] = k1 ^ np.uint64(0x7465646279746573)


@inner
def _word(v: Any, word: Any) -> None:
    v[3] ^= word
    _turn(v)
    v[0] ^= word


@inner
def _finish(v: Any, w: Any, tail: Any, length: int) -> Any:
    for at in range(4):
        w[at] = v[at]
    _word(w, tail | (np.uint64(length) << np.uint64(56)))
    w[2] ^= np.uint64(0xFF)
    for _ in range(3):
        _turn(w)
    return w[0] ^ w[1] ^ w[2] ^ w[3]


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
def _stretch(  # noqa: PLR0912  one loop over bytes; calls would cost more than the work
    text: Any,
    a0: int,
    a1: int,
    b0: int,
    b1: int,
    every: int,
    k0: Any,
    k1: Any,
    table: Any,
    leads: Any,
    lengths: Any,
    v: Any,
    w: Any,
) -> bool:
    """Scan text[a0:a1] followed by text[b0:b1]; with a second part only what reaches into it counts."""
    first = a1 - a0
    total = first + b1 - b0
    crossing = b1 > b0
    for start in range(first):
        kind = _class_of(text[a0 + start])
        if kind == 0:
            continue
        if start > 0 and every == 0:
            before = _class_of(text[a0 + start - 1])
            # A word begins where the kind of character changes; scripts without spaces: at each character.
            if before == kind and (kind != 3 or text[a0 + start] < 0xC0):
                continue
        _begin(v, k0, k1)
        tail = np.uint64(0)
        length = 0
        for at in range(start, min(total, start + _REACH_BYTES)):
            byte = text[a0 + at] if at < first else text[b0 + at - first]
            now = _class_of(byte)
            if now == 0:
                continue
            if 65 <= byte <= 90:
                byte += 32
            tail |= np.uint64(byte) << np.uint64(8 * (length & 7))
            length += 1
            if length == LEAD_BYTES:
                # Few stretches begin like a guarded value: all others end here.
                lead = _finish(v, w, tail, length) & np.uint64(leads.shape[0] - 1)
                if leads[lead] == 0:
                    break
            if lengths[length] != 0 and (not crossing or at >= first):
                ends = every != 0 or length == FORM_BYTES or at + 1 >= total or at + 1 == first
                if not ends:
                    after = text[a0 + at + 1] if at + 1 < first else text[b0 + at + 1 - first]
                    then = _class_of(after)
                    ends = then != now or (now == 3 and after >= 0xC0)
                if ends:
                    if length & 7 == 0:
                        for one in range(4):
                            w[one] = v[one]
                        _word(w, tail)
                        mark = _finish(w, w, np.uint64(0), length)
                    else:
                        mark = _finish(v, w, tail, length)
                    if _known(table, mark):
                        return True
            if length & 7 == 0:
                _word(v, tail)
                tail = np.uint64(0)
            if length == FORM_BYTES:
                break
    return False


@kernel(U1S, TO_I8S, I8, U8, U8, U8S, U1S, TO_I8S)
def scan_fields(
    text: Any, offsets: Any, every: int, k0: Any, k1: Any, table: Any, leads: Any, lengths: Any
) -> bool:
    """Say whether a marked value stands in the fields of a message: in a row, or across an ordered pair.

    Args:
        text: the folded fields in UTF-8, one byte between two.
        offsets: start of each field, and one past the last field's end plus one.
        every: not 0 to begin and end at every byte, not at words only.
        k0, k1: the key of the marks.
        table: marks, open addressing, a power of two long, 0 is free.
        leads: not 0 at the marks of the values' first bytes, cut to the table's length, a power of two.
        lengths: by length in bytes, not 0 where some value has it; `FORM_BYTES + 1` of them.
    """
    v = np.zeros(4, np.uint64)
    w = np.zeros(4, np.uint64)
    if _stretch(text, 0, text.shape[0], 0, 0, every, k0, k1, table, leads, lengths, v, w):
        return True
    fields = offsets.shape[0] - 1
    for i in range(fields):
        end = offsets[i + 1] - 1
        begin = max(offsets[i], end - _EDGE_BYTES)
        for j in range(fields):
            if j == i or j == i + 1 or end <= begin:
                continue
            last = min(offsets[j + 1] - 1, offsets[j] + _EDGE_BYTES)
            if last > offsets[j] and _stretch(
                text, begin, end, offsets[j], last, every, k0, k1, table, leads, lengths, v, w
            ):
                return True
    return False


@kernel(U1S)
def look(text: Any) -> int:  # noqa: PLR0912, PLR0915  one pass over bytes
    """Say what in a text needs a closer look: a sum of `MAIL`, `DIGITS`, `ENCODED`, `ESCAPED`, `MIXED`."""
    found = 0
    size = text.shape[0]
    digits = 0
    run = 0
    lower = upper = number = extra = 0
    hexes = True
    for at in range(size + 1):
        byte = text[at] if at < size else 0
        digit = 48 <= byte <= 57
        small = 97 <= byte <= 122
        big = 65 <= byte <= 90
        if digit:
            digits += 1
            if digits >= 6:
                found |= DIGITS
        elif small or big or byte >= 128 or byte == 0:
            digits = 0
        if byte == 64:
            found |= MAIL
        elif byte in (92, 38) or (byte in (37, 61) and at + 2 < size):
            if byte in (92, 38):
                found |= ESCAPED
            else:
                one = text[at + 1]
                if 48 <= one <= 57 or 97 <= one <= 102 or 65 <= one <= 70:
                    found |= ESCAPED
        mark = byte in (43, 47, 61, 95, 45)
        if digit or small or big or mark:
            run += 1
            lower += small
            upper += big
            number += digit
            extra += mark
            if not (digit or 97 <= byte <= 102 or 65 <= byte <= 70):
                hexes = False
            continue
        if run >= 2 and number and (lower or upper):
            found |= MIXED
        if run >= 10:
            if hexes and number and run >= 12:
                # Digests and ids are hex too; what is hidden in hex decodes to text, or to what is packed.
                bad = unshown = 0
                start = at - run
                for pair in range(run // 2):
                    value = 0
                    for half in range(2):
                        char = text[start + 2 * pair + half]
                        value = value * 16 + (char - 48 if char < 58 else (char & 15) + 9)
                    bad += value < 32 and value not in (0, 9, 10, 13)
                    unshown += value != 0 and (value < 32 or value > 126)
                packed = text[start] == 49 and (text[start + 1] == 102 or text[start + 1] == 70)
                packed = packed or (text[start] == 55 and text[start + 1] == 56)
                # What is as long as an id or a digest is one, unless every byte of it is ASCII.
                usual = run in (16, 64) and not (
                    packed and text[start + 2] == 56 and text[start + 3] in (98, 66)
                )
                if (usual and unshown * 10 <= run // 2) or (not usual and (bad == 0 or packed)):
                    found |= ENCODED
            elif number or extra > 2 or (upper and lower and upper > 1) or (upper >= 14 and lower == 0):
                found |= ENCODED
        run = lower = upper = number = extra = 0
        hexes = True
    return found


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
    v = np.zeros(4, np.uint64)
    w = np.zeros(4, np.uint64)
    _begin(v, k0, k1)
    tail = np.uint64(0)
    for at in range(form.shape[0]):
        tail |= np.uint64(form[at]) << np.uint64(8 * (at & 7))
        if at & 7 == 7:
            _word(v, tail)
            tail = np.uint64(0)
    return _finish(v, w, tail, form.shape[0])


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
        self._leads = np.zeros(LEADS, np.uint8)
        self._lengths = np.zeros(FORM_BYTES + 1, np.int64)
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
            fill(table, _read_only(self._table[self._table != 0]))
        else:
            table = table.copy()
        fill(table, _read_only(np.array([one.mark for one in new], np.uint64)))
        # Before the table: a lead or length too many finds nothing, one too few would miss.
        self._leads[[one.lead for one in new]] = 1
        self._lengths[[one.length for one in new]] = 1
        self._table = table
        self._count = int(np.count_nonzero(table))

    def __len__(self) -> int:
        return self._count

    def found_in(self, fields: Sequence[bytes], *, every: bool = False) -> bool:
        """Say whether a marked value stands in folded fields in UTF-8; `every` as `scan_fields`."""
        if not self._count:
            return False
        text = b"\n".join(fields)
        offsets = np.array([0, *accumulate(len(one) + 1 for one in fields)], np.int64)
        return bool(
            scan_fields(
                np.frombuffer(text, np.uint8),
                offsets,
                int(every),
                self._k0,
                self._k1,
                _read_only(self._table),
                _read_only(self._leads),
                self._lengths,
            )
        )


def flags_of(text: bytes) -> int:
    """Say what in a text in UTF-8 needs a closer look; see `look`."""
    return int(look(np.frombuffer(text, np.uint8)))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
