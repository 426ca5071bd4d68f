"""Tables by byte for `spotting`: what a byte is worth in an encoding, and whether text is written with it."""

from typing import Any, Final

import numpy as np


def _values(alphabet: str, also: str = "") -> Any:
    found = np.full(256, 255, np.uint8)
    for letters in (alphabet, also):
        for value, letter in enumerate(letters):
            found[ord(letter)] = value
    return found


_BIG: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
IN_64: Final = _values(f"{_BIG}{_BIG.lower()}0123456789+/", f"{_BIG}{_BIG.lower()}0123456789-_")
IN_32: Final = _values(f"{_BIG}234567", f"{_BIG.lower()}234567")
IN_16: Final = _values("0123456789ABCDEF", "0123456789abcdef")
IN_85: Final = _values(f"0123456789{_BIG}{_BIG.lower()}!#$%&()*+-;<=>?@^_`{{|}}~")
# 0: not readable, 1: readable, 2 to 4: opens a character of so many bytes, 5: goes on with one.
SHOWN: Final = np.array(
    [
        1 if 32 <= b < 127 or b in (0, 9, 10, 13) else
        5 if 0x80 <= b < 0xC0 else 2 if 0xC2 <= b < 0xE0 else 3 if 0xE0 <= b < 0xF0 else
        4 if 0xF0 <= b < 0xF5 else 0
        for b in range(256)
    ],
    np.uint8,
)  # fmt: skip
# What personal details are written in, and what stands around them: readable on end, it is no chance.
WRITTEN: Final = np.array(
    [b < 128 and (chr(b).isalnum() or chr(b) in "\0\n .,@+-_:/()'#&;{}[]=%\\\"") for b in range(256)]
)
# By two letters of base 64, in 12 bits: which of the three bytes that they can share are written so.
PAIR: Final = np.array(
    [
        int(WRITTEN[((pair >> 6) << 2 | (pair & 63) >> 4) & 255])
        | 2 * int(WRITTEN[((pair >> 6) << 4 | (pair & 63) >> 2) & 255])
        | 4 * int(WRITTEN[((pair >> 6) << 6 | (pair & 63)) & 255])
        for pair in range(4096)
    ],
    np.int64,
)
# What a byte asks for: 1 hex digit, 2 other letter, 4 escape, 16 dash, 32 decimal digit.
ASKS: Final = np.array(
    [
        (1 if IN_16[b] != 255 else 2 if b >= 128 or (chr(b).isalpha() and chr(b) not in "xX") else 0)
        | (4 if chr(b) in "\\%=&" else 0)
        | (16 if chr(b) in "-_" else 0)
        | (32 if 48 <= b <= 57 else 0)
        for b in range(256)
    ],
    np.int64,
)
