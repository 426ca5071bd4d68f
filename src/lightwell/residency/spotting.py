"""Says of every text that is about to cross whether another can be hidden in it, at memory speed.

Letters and digits are decoded as they are read, in every alignment, whatever stands between them: what is
encoded becomes readable for a while, or opens as packed bytes do. What is spotted is opened by `decoding`.
"""

from typing import Any, Final

import numpy as np

from lightwell.recommender.kernels.compiled import TO_I8S, TO_U1S, U1S, inner, kernel
from lightwell.residency.spotting_tables import ASKS, IN_16, IN_32, IN_64, IN_85, PAIR, SHOWN, WRITTEN

ENCODED: Final = 1
ESCAPED: Final = 2

# So many readable bytes on end are no chance, and so many if they are all of a token.
_RUN: Final = 12
_WHOLE: Final = 7
_RUN_HEX: Final = 7
_RUN_DIGEST: Final = 16
_RUN_CODES: Final = 6
_RUN_BITS: Final = 40
_SHORTEST: Final = 10
_ROOM: Final = 64
_EDGE: Final = 64


@inner
def _letter(byte: int) -> bool:
    return bool(97 <= byte <= 122 or 65 <= byte <= 90)


@inner
def _feed(byte: int, lane: int, runs: Any, more: Any) -> int:
    """Count one more decoded byte of an alignment; return how many were readable on end."""
    shown = SHOWN[byte]
    if more[lane] > 0:
        more[lane] -= 1
        if shown == 5:
            runs[lane] += 1
        else:
            runs[lane] = more[lane] = 0
    elif shown == 1:
        runs[lane] += 1
    elif 2 <= shown <= 4:
        more[lane] = shown - 1
        runs[lane] += 1
    else:
        runs[lane] = 0
    return int(runs[lane])


@inner
def _deflated(room: Any, size: int, full: bool) -> bool:  # noqa: PLR0912  one state machine
    """Say whether bytes open as deflate does (RFC 1951), and what they open to is readable."""
    kind = (room[0] >> 1) & 3
    bit = 3
    if kind == 0:
        return size >= 5 and room[1] ^ room[3] == 255 and room[2] ^ room[4] == 255 and room[1] + room[2] > 0
    if kind == 2:
        if size < 12 or room[0] >> 3 > 29 or room[1] & 31 > 29:
            return False
        lengths = ((room[1] >> 5) | ((room[2] & 1) << 3)) + 4
        bit, space, used = 17, 0, 0
        for _ in range(lengths):
            length = 0
            for one in range(3):
                length |= ((room[(bit + one) >> 3] >> ((bit + one) & 7)) & 1) << one
            bit += 3
            if length:
                space += 128 >> length
                used += 1
        return space == 128 and used > 2
    if kind == 3:
        return False
    out = 0
    while True:
        # Codes of 7, 8 and 9 bits, their first bit first; `code` is read as far as it is needed.
        code = 0
        for one in range(7):
            at = bit + one
            if at >> 3 >= size:
                return bool(full and out >= 16)
            code = (code << 1) | ((room[at >> 3] >> (at & 7)) & 1)
        bit += 7
        if code < 24:
            symbol = 256 + code
        else:
            width = 1 if code < 100 else 2
            for _ in range(width):
                if bit >> 3 >= size:
                    return bool(full and out >= 16)
                code = (code << 1) | ((room[bit >> 3] >> (bit & 7)) & 1)
                bit += 1
            if width == 2:
                symbol = 144 + code - 400
            elif code < 192:
                symbol = code - 48
            else:
                symbol = 280 + code - 192
        if symbol == 256:
            return out >= 5
        if symbol < 256:
            if SHOWN[symbol] == 0:
                return False
            out += 1
            continue
        if symbol > 285:
            return False
        # How long a repetition, and from how far back: its extra bits are passed over.
        bit += 0 if symbol < 265 or symbol == 285 else (symbol - 261) >> 2
        distance = 0
        for _ in range(5):
            if bit >> 3 >= size:
                return bool(full and out >= 16)
            distance = (distance << 1) | ((room[bit >> 3] >> (bit & 7)) & 1)
            bit += 1
        least = distance + 1 if distance < 4 else ((2 + (distance & 1)) << ((distance >> 1) - 1)) + 1
        if distance > 29 or least > out:
            return False
        bit += 0 if distance < 4 else (distance >> 1) - 1
        out += 3


@inner
def _packed(room: Any, size: int, full: bool, odd: bool) -> bool:
    """Say whether bytes open as gzip, zlib, bzip2, xz or, where that is likely, plain deflate do."""
    if size < 6:
        return False
    one, two, three = room[0], room[1], room[2]
    if one == 0x1F and two == 0x8B and three == 8:
        return True
    if one == 0x42 and two == 0x5A and three == 0x68 and 48 < room[3] < 58:
        return True
    if one == 0xFD and two == 0x37 and three == 0x7A:
        return True
    if one == 0x78 and two in (0x01, 0x5E, 0x9C, 0xDA):
        kind = (three >> 1) & 3
        return bool(kind in (1, 2) or (kind == 0 and three < 2))
    return bool(odd and _deflated(room, size, full))


@inner
def _opens(text: Any, start: int, stop: int, step: int, skip: int, bits: int, odd: bool, room: Any) -> bool:
    """Say whether what is encoded from `start` on, in letters of `bits` bits, opens as packed bytes do."""
    size = held = have = passed = 0
    at = start
    while at != stop and size < _ROOM:
        byte = text[at]
        value = IN_64[byte] if bits == 6 else IN_32[byte] if bits == 5 else IN_16[byte]
        at += step
        if value == 255:
            continue
        if passed < skip:
            passed += 1
            continue
        held = ((held << bits) | value) & 0xFFFF
        have += bits
        if have >= 8:
            have -= 8
            room[size] = (held >> have) & 255
            size += 1
            if size == 1 and room[0] not in (0x1F, 0x42, 0xFD, 0x78) and not (odd and room[0] & 6 != 6):
                return False
    return _packed(room, size, size == _ROOM, odd)


@inner
def _readable_32(text: Any, start: int, stop: int, step: int) -> bool:
    """Say whether base 32 from `start` on is readable at once."""
    run = held = have = 0
    at = start
    while at != stop and run < _RUN:
        value = IN_32[text[at]]
        if value == 255 and text[at] == 61:
            break
        at += step
        if value == 255:
            continue
        held = ((held << 5) | value) & 0xFFFF
        have += 5
        if have >= 8:
            have -= 8
            if not WRITTEN[(held >> have) & 255]:
                return False
            run += 1
    return run >= _WHOLE


@inner
def _readable_85(text: Any, start: int, stop: int) -> bool:
    """Say whether a token in base 85 is readable, or packed: that of RFC 1924, or ASCII 85."""
    for kind in range(2):
        run: Any = 0
        at = start
        good: Any = True
        while good and at < stop and run < _RUN:
            word: Any = 0
            for one in range(5):
                # What is too short is filled up with the last letter.
                byte = text[at + one] if at + one < stop else 117 if kind else 126
                value = np.int64(byte) - 33 if kind else np.int64(IN_85[byte])
                good = good and 0 <= value < 85
                word = word * 85 + value
            whole = min(4, stop - at - 1)
            if run == 0 and (word >> 8 == 0x1F8B08 or word >> 8 == 0x425A68 or word >> 16 == 0x789C):
                return True
            for one in range(whole):
                good = good and SHOWN[(word >> (24 - 8 * one)) & 255] == 1
            good = good and word <= 0xFFFFFFFF
            run += whole
            at += 5
        if good and run >= _WHOLE:
            return True
    return False


@inner
def _readable_64(text: Any, start: int, length: int, step: int) -> bool:
    """Say whether a token in base 64 is readable as a whole, in UTF-8."""
    held = have = size = more = 0
    for at in range(length):
        held = ((held << 6) | IN_64[text[start + at * step]]) & 0xFFFF
        have += 6
        if have >= 8:
            have -= 8
            shown = SHOWN[(held >> have) & 255]
            if (shown == 5) != (more > 0) or shown == 0:
                return False
            more = more - 1 if more else shown - 1
            size += 1
    return size >= _WHOLE


@inner
def _token(text: Any, begun: int, length: int, stop: int, step: int, odd: bool, room: Any) -> bool:
    """Say whether a token in base 64 or 32 is readable, or opens as packed bytes do."""
    one, two = IN_64[text[begun]], IN_64[text[begun + step]]
    first = ((one << 2) | (two >> 4)) & 255
    likely = first in (0x1F, 0x42, 0xFD, 0x78) or (odd and (first >> 1) & 3 != 3)
    if likely and _opens(text, begun, stop, step, 0, 6, odd, room):
        return True
    if length < _SHORTEST:
        return False
    if _readable_64(text, begun, length, step):
        return True
    if odd:
        for skip in range(1, 4):
            if _opens(text, begun, stop, step, skip, 6, odd, room):
                return True
    for at in range(length):
        if IN_32[text[begun + at * step]] == 255:
            return False
    return _readable_32(text, begun, stop, step) or _opens(text, begun, stop, step, 0, 5, False, room)


@inner
def _tokens(text: Any, a: int, b: int, step: int, join: int, room: Any) -> bool:
    """Say whether base 64 or 32 stands in text[a:b], read forwards or, with `step` -1, backwards.

    With `join` not 0, `-` and `_` are no letters of base 64.
    """
    at, stop = (a, b) if step > 0 else (b - 1, a - 1)
    # How much is readable on end in each alignment; they change places with every letter.
    r1 = r2 = r3 = r4 = most = 0
    before = last = length = 0
    begun = at
    odd = False
    while True:
        byte = 32 if at == stop else text[at]
        value = IN_64[byte]
        if value == 255 or (join != 0 and (byte == 45 or byte == 95)):  # noqa: PLR1714  no tuples in a loop
            if most >= _RUN:
                return True
            if length >= 4 and _token(text, begun, length, stop, step, odd, room):
                return True
            length = 0
            odd = False
            if at == stop:
                return False
        else:
            if length == 0:
                begun = at
            elif (48 <= byte <= 57) or byte == 43 or byte == 47:  # noqa: PLR1714
                odd = True
            elif value < 26 and last >= 26 and last < 52:
                odd = odd or step > 0
            elif step < 0 and last < 26 and value >= 26 and value < 52:
                odd = True
            length += 1
            shown = PAIR[(before << 6) | value]
            # The alignment that began three letters ago ends here, and begins again with the next.
            done = (r3 + 1) * (shown >> 2)
            r3 = (r2 + 1) * ((shown >> 1) & 1)
            r2 = (r1 + 1) * (shown & 1)
            r1 = r4
            r4 = done
            most = max(most, r2, r3, r4)
            before = value
            last = value
        at += step


@inner
def _survey(text: Any, a: int, b: int) -> int:
    """Say what text[a:b] asks for, as `ASKS`: of all but escapes only where there are enough.

    8 is in it as well, if something stands there in base 85.
    """
    asks = hexes = digits = dashes = 0
    many = dense = False
    token = a
    strange = letters = 0
    for at in range(a, b):
        byte = text[at]
        one = ASKS[byte]
        asks |= one
        hexes = 0 if one & 2 else hexes + (one & 1)
        many = many or hexes >= 2 * _WHOLE - 2
        if byte <= 32:
            if strange > 2 and letters > 1 and at - token >= _SHORTEST:
                dense = dense or _readable_85(text, token, at)
            strange = letters = 0
            token = at + 1
        strange += byte < 97 or byte > 122
        letters += _letter(byte)
        dashes += (one >> 4) & 1
        digits += one >> 5
    if strange > 2 and letters > 1 and b - token >= _SHORTEST:
        dense = dense or _readable_85(text, token, b)
    return (asks & 4) | many | (8 * dense) | (16 * (dashes > 2)) | (32 * (digits >= 2 * _RUN_CODES))


@inner
def _hex(text: Any, a: int, b: int, step: int, enough: int, runs: Any, more: Any, room: Any) -> bool:
    """Say whether hex stands in text[a:b], whatever is between its digits but letters."""
    runs[0] = runs[1] = more[0] = more[1] = 0
    at, stop = (a, b) if step > 0 else (b - 1, a - 1)
    n = one = length = 0
    begun = at
    before = 32
    while True:
        byte = 32 if at == stop else text[at]
        value = IN_16[byte]
        if value == 255:
            if length >= 12 and _opens(text, begun, stop, step, 0, 4, False, room):
                return True
            if byte in (120, 88) and before == 48:
                n -= 1
            elif not (byte in (120, 88) and before == 92) and (_letter(byte) or byte >= 128):
                runs[0] = runs[1] = more[0] = more[1] = 0
                n = 0
            length = 0
        else:
            if length == 0:
                begun = at
            length += 1
            if n > 0 and _feed((one << 4) | value, (n - 1) & 1, runs, more) >= enough:
                return True
            one = value
            n += 1
        before = byte
        if at == stop:
            return False
        at += step


@inner
def _escapes(text: Any, a: int, b: int) -> int:  # noqa: PLR0912  one pass over bytes
    """Look for escapes, codes of characters, and bits."""
    found = 0
    bits = codes = digits = number = 0
    for at in range(a, b + 1):
        byte = 32 if at == b else text[at]
        then = text[at + 1] if at + 1 < b else 32
        last = text[at + 2] if at + 2 < b else 32
        if 48 <= byte <= 57:
            digits += 1
            number = number * 10 + byte - 48 if digits < 4 else 999
            bits = bits + 1 if byte < 50 else 0
        else:
            if digits:
                shown = 2 <= digits <= 3 and number < 256 and SHOWN[number] != 0
                codes = codes + 1 if shown else 0
                if codes >= _RUN_CODES:
                    found |= ENCODED
            if bits >= _RUN_BITS:
                found |= ENCODED
            digits = number = 0
            if byte not in (32, 44, 59, 46, 45, 10, 9, 13, 47, 58, 124):
                codes = bits = 0
            if byte == 92:
                if then in (117, 85, 120, 78, 34, 92, 47) or 48 <= then <= 57:
                    found |= ESCAPED
            elif byte in (37, 61):
                if IN_16[then] != 255 and IN_16[last] != 255:
                    found |= ESCAPED
            elif byte == 38:
                if then == 35:
                    found |= ESCAPED
                elif _letter(then):
                    to = at + 2
                    while to < min(b, at + 12) and (_letter(text[to]) or 48 <= text[to] <= 57):
                        to += 1
                    if to < b and text[to] == 59:
                        found |= ESCAPED
    return found


@inner
def _edges(text: Any, a: int, b: int) -> Any:
    """Return where the first token of text[a:b] ends, the last begins, and whether either looks encoded."""
    to = a
    while to < min(b, a + _EDGE) and (IN_64[text[to]] != 255 or text[to] == 61):
        to += 1
    start = b
    while start > max(a, b - _EDGE) and (IN_64[text[start - 1]] != 255 or text[start - 1] == 61):
        start -= 1
    odd = False
    for begin, end in ((a, to), (start, b)):
        for at in range(begin + 1, end):
            one, two = text[at - 1], text[at]
            if (97 <= one <= 122 and 65 <= two <= 90) or (48 <= one <= 57 and _letter(two)):
                odd = True
            if two in (43, 47, 61):
                odd = True
    return to, start, odd


@inner
def _joined(text: Any, offsets: Any, f0: int, f1: int, joint: Any, runs: Any, more: Any, room: Any) -> int:
    """Look where the end of a field and the beginning of another, joined, are an encoding."""
    for i in range(f0, f1):
        _, start, odd = _edges(text, offsets[i], offsets[i + 1] - 1)
        size = offsets[i + 1] - 1 - start
        for j in range(f0, f1):
            to, _, other = _edges(text, offsets[j], offsets[j + 1] - 1)
            if i == j or size == 0 or to == offsets[j] or not (odd or other):
                continue
            joint[:size] = text[start : start + size]
            both = size + to - offsets[j]
            joint[size:both] = text[offsets[j] : to]
            for step in (1, -1):
                if _tokens(joint, 0, both, step, 0, room) or _hex(
                    joint, 0, both, step, _RUN_HEX, runs, more, room
                ):
                    return ENCODED
    return 0


@kernel(U1S, TO_I8S, TO_I8S, TO_U1S, TO_U1S)
def spot_rows(text: Any, offsets: Any, rows: Any, lone: Any, found: Any) -> None:
    """Set `found` of each row in which something may be hidden: a sum of `ENCODED` and `ESCAPED`.

    Args:
        text: the folded fields in UTF-8, one byte between two.
        offsets: start of each field, and one past the last field's end plus one.
        rows: the first field of each row, and one past the last field.
        lone: 1 for a row of ids and digests, which are looked into each for itself, and for hex alone; 2 for
            one to pass over.
        found: one byte a row.
    """
    # A copy, so that all is compiled for one kind of array only.
    text = text.copy()
    runs = np.zeros(4, np.int64)
    more = np.zeros(4, np.int64)
    room = np.zeros(_ROOM, np.int64)
    joint = np.zeros(2 * _EDGE, np.uint8)
    for row in range(rows.shape[0] - 1):
        f0, f1 = rows[row], rows[row + 1]
        if f0 == f1 or lone[row] == 2:
            continue
        flags = 0
        if lone[row] != 0:
            for field in range(f0, f1):
                begin, end = offsets[field], offsets[field + 1] - 1
                enough = min(_RUN_DIGEST, (end - begin) // 2)
                for step in (1, -1):
                    if _hex(text, begin, end, step, enough, runs, more, room):
                        flags |= ENCODED
            found[row] = flags
            continue
        begin, end = offsets[f0], offsets[f1] - 1
        asks = _survey(text, begin, end)
        flags |= ENCODED if asks & 8 else 0
        for step in (1, -1):
            if (
                _tokens(text, begin, end, step, 0, room)
                or (asks & 1 and _hex(text, begin, end, step, _RUN_HEX, runs, more, room))
                or (asks & 16 and _tokens(text, begin, end, step, 1, room))
            ):
                flags |= ENCODED
                break
        if asks & (4 | 32):
            for field in range(f0, f1):
                flags |= _escapes(text, offsets[field], offsets[field + 1] - 1)
        if flags & ENCODED == 0 and f1 - f0 > 1:
            flags |= _joined(text, offsets, f0, min(f1, f0 + 24), joint, runs, more, room)
        found[row] = flags
