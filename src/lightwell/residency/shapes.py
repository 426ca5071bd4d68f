"""Says of every text whether it can hold an e-mail address, a number of a person or a place, at memory speed.

What has the shape is looked at by `patterns`, which decides; what has not cannot match there.
"""

from typing import Any, Final

import numpy as np

from lightwell.recommender.kernels.compiled import TO_I8S, TO_U1S, U1S, inner, kernel

MAIL: Final = 1
NUMBER: Final = 2
COUNTED: Final = 4
"""Seven digits that could be a national phone number, should the text say that they are."""

# 1: digit, 2: letter, 4: in a local part or a domain of a mail address, 8: between digits of a phone number.
_KIND: Final = np.array(
    [
        (1 if 48 <= b <= 57 else 0)
        | (2 if 65 <= b <= 90 or 97 <= b <= 122 else 0)
        | (4 if chr(b).isascii() and (chr(b).isalnum() or chr(b) in ".!#$%&'*+/=?^_`{|}~-") else 0)
        | (8 if chr(b) in " .()/-" else 0)
        for b in range(256)
    ],
    np.uint8,
)


@inner
def _at(text: Any, at: int, a: int, b: int) -> bool:
    """Say whether an address may stand around the `@`, or the `(at)`, at a place."""
    byte = text[at]
    if byte == 64:
        left = at > a and _KIND[text[at - 1]] & 4 != 0
        right = at + 1 < b and _KIND[text[at + 1]] & 4 != 0
        # At an end of its field, the rest may stand in another.
        return left and (right or at + 1 == b)
    if byte in (40, 91) and at + 3 < b:
        return text[at + 1] | 32 == 97 and text[at + 2] | 32 == 116 and text[at + 3] in (41, 93)
    return False


@inner
def _iban(text: Any, at: int, b: int) -> bool:
    """Say whether two letters, two digits and three groups of four letters or digits stand here."""
    if at + 16 > b or _KIND[text[at + 1]] & 2 == 0:
        return False
    if _KIND[text[at + 2]] & 1 == 0 or _KIND[text[at + 3]] & 1 == 0:
        return False
    to = at + 4
    for _ in range(3):
        if to < b and text[to] == 32:
            to += 1
        for _ in range(4):
            if to >= b or _KIND[text[to]] & 3 == 0:
                return False
            to += 1
    return True


@inner
def _shape(text: Any, a: int, b: int) -> int:  # noqa: PLR0912  one pass over bytes
    found = 0
    # The group of digits that is being read, what stood before it, and what the groups so far make.
    group, gap, closed, lead = 0, 99, False, 0
    plus = phone = card = dots = dotted = one = two = groups = apart = 0
    place = -9
    colons = wide = hexes = 0
    for at in range(a, b + 1):
        byte = 10 if at == b else text[at]
        kind = _KIND[byte]
        if kind & 1:
            group += 1
        else:
            if group:
                near = gap <= 2 and closed
                point = gap == 1 and lead == 46
                plus = group if lead == 43 and gap > 0 else plus + group if plus and near else 0
                phone = phone + group if gap <= 3 and closed else group
                card = card + group if gap == 1 and lead in (32, 45) else group
                if point and group >= 4:
                    # Two numbers with decimals one after the other may be a place.
                    if groups - place == 2 and apart <= 5:
                        found |= NUMBER
                    place = groups
                groups += 1
                apart = gap if not point else apart
                dots = dots + 1 if point and group <= 3 else 0
                dotted = dotted + group if point else group
                if plus >= 8 or card >= 13 or (dots >= 3 and dotted >= 6):
                    found |= NUMBER
                if near and group == 4 and one == 3 and two in (2, 3):
                    found |= NUMBER
                if phone >= 7:
                    found |= COUNTED
                one, two = two if near else 0, group
                group, gap, closed = 0, 0, True
            gap += 1
            lead = byte
            closed = closed and kind & 8 != 0
        # Addresses of machines in their long form: groups of hex between colons.
        if byte == 58:
            colons += 1
            hexes = 0
        elif kind & 1 or 97 <= byte <= 102 or 65 <= byte <= 70:
            hexes += 1
            wide += hexes == 3
        else:
            colons = wide = hexes = 0
        if colons >= 3 and wide >= 2:
            found |= NUMBER
        if at < b and kind & 1 == 0:
            if byte in (64, 40, 91) and _at(text, at, a, b):
                found |= MAIL
            if kind & 2 and (at == a or _KIND[text[at - 1]] & 3 == 0) and _iban(text, at, b):
                found |= NUMBER
    return found


@kernel(U1S, TO_I8S, TO_I8S, TO_U1S, TO_U1S)
def shape_rows(text: Any, offsets: Any, rows: Any, lone: Any, found: Any) -> None:
    """Set `found` of each row that may hold details of a person: a sum of `MAIL`, `NUMBER`, `COUNTED`.

    Args:
        text, offsets, rows: as `spotting.spot_rows` takes them.
        lone: not 0 for a row of ids and digests, which have no such shape.
        found: one byte a row.
    """
    for row in range(rows.shape[0] - 1):
        for field in range(rows[row], rows[row + 1]):
            if lone[row] == 0:
                found[row] |= _shape(text, offsets[field], offsets[field + 1] - 1)
