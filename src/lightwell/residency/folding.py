"""Texts without disguises of letters: one width, one case, Latin where drawn so, nothing invisible."""

import re
import threading
import unicodedata
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import I4S, TO_I4S, TO_I8S, TO_U1S, U1S, U4S, kernel
from lightwell.residency.scan import read_only

# Letters of other scripts that are drawn like Latin ones (the shapes that Unicode TS 39 calls confusable).
_LOOK_ALIKES: Final = dict(
    zip(
        "авсԁеғԍһніјкӏмпорԛгѕтиѵԝхуүАВСԀЕҒԌҺНІЈКӀМОРԚЅТѴԜХУҮ"
        "αβϲεηικνορτυχωγςΑΒϹΕΖΗΙϳΚΜΝΟΡΤΥΧ"
        "օսհոցզյ"
        "ᎪᏴᏟᎠᎬᎦᎻᏆᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ"
        "ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓤꓢꓔꓴꓦꓪꓫꓬꓜ"
        "ⲁⲃⲥⲉⲓⲕⲙⲛⲟⲣⲧⲩⲭ"
        "ıɑɡɩʟɢʀʏʜʙɴɪ∣ǀ",
        "abcdefghhijklmnopqrstuvwxyyabcdefghhijklmopqstvwxyy"
        "abcenikvoptuxwycabcezhijkmnoptyx"
        "ouhngqj"
        "abcdefhijklmprstvwz"
        "abcdefghijklmnoprstuvwxyz"
        "abceikmnoptyx"
        "iagilgryhbnill",
        strict=True,
    )
)
_BY_NAME: Final = re.compile(
    r"(?:LATIN (?:SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL |SCRIPT |DOTLESS |INSULAR |BARRED |LONG )*"
    r"|MODIFIER LETTER (?:SMALL |CAPITAL )?|REGIONAL INDICATOR SYMBOL LETTER "
    r"|(?:NEGATIVE )?(?:CROSSED )?(?:CIRCLED|SQUARED|PARENTHESIZED) (?:LATIN )?(?:CAPITAL|SMALL) LETTER "
    r"|TAG LATIN (?:SMALL|CAPITAL) LETTER )([A-Z])(?: WITH .*)?"
)
_INVISIBLE: Final = frozenset({"Cf", "Cc", "Mn", "Me", "Cn", "Co"})
_KEPT: Final = {"。": ".", "｡": ".", "․": ".", "﹒": ".", "＠": "@", "﹫": "@"}
_TAGGED: Final = re.compile("[\U000e0020-\U000e007e]+")
_TAGS: Final = range(0xE0020, 0xE007F)


class _Table(dict[int, str | None]):
    """What each character becomes; worked out when it is first met."""

    def __missing__(self, code: int) -> str | None:
        found = self[code] = _folded(chr(code))
        return found


def _folded(char: str) -> str | None:
    if char.isascii():
        return char if char.isprintable() or char in "\n\t\r" else None
    if ord(char) in _TAGS:
        # Invisible copies of ASCII: whoever uses them hides something.
        return chr(ord(char) - 0xE0000)
    known = _LOOK_ALIKES.get(char) or _KEPT.get(char)
    if known is not None:
        # Capitals stay capitals: encodings tell them from small letters.
        return known.upper() if char.isupper() else known
    category = unicodedata.category(char)
    if category in _INVISIBLE:
        return None
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    named = _BY_NAME.fullmatch(unicodedata.name(char, ""))
    if named is not None:
        return named[1] if char.isupper() else named[1].lower()
    if category == "Pd":
        return "-"
    return char.casefold() if char.isalnum() else " "


_TABLE: Final = _Table()


def fold(text: str) -> str:
    """Return `text` without disguises; ASCII letters keep their case, which some encodings need.

    Accents and invisible characters go, digits of all scripts become ASCII, look-alike letters Latin, and
    what is neither letter nor digit nor ASCII a space.
    """
    if text.isascii():
        return text
    # What is written in invisible letters stands apart from what is around it.
    return unicodedata.normalize("NFKD", _TAGGED.sub(r" \g<0> ", text)).translate(_TABLE)


def plain(text: str) -> str:
    """Return `fold(text)` in lower case and without control characters, as patterns read it."""
    if text.isascii():
        text = text.translate(_TABLE)
    return fold(text).lower()


_CODES: Final = 0x110000
_UNKNOWN: Final = 64
_WIDEST: Final = 64
_OTHERS: Final = 4
_IN_WORDS: Final = np.array(
    [chr(b).isascii() and (chr(b).isalnum() or chr(b) in " .,:@+-_/=") for b in range(256)]
)


@kernel(U4S, TO_I8S, I4S, U1S, TO_U1S, TO_I8S, TO_U1S, TO_I4S)
def fold_codes(
    codes: Any, offsets: Any, index: Any, pool: Any, folded: Any, places: Any, others: Any, unknown: Any
) -> int:
    """Write the folded forms of characters in UTF-8, and say where each field begins in them.

    Args:
        codes: the characters of all fields, one between two.
        offsets: start of each field in `codes`, and one past the last field's end plus one.
        index: by character, where its form stands in `pool`; 0 when it is not known yet.
        pool: forms, each after its length.
        folded, places: what is written; `places` is as long as `offsets`.
        others: one byte a field, set where a word in ASCII stands behind letters of another script, two bytes
            in each.
        unknown: takes characters that are not known yet.

    Returns:
        The bytes written; -n when n characters are not known, -`_UNKNOWN` - 1 when there is too little room.
    """
    at = 0
    missing = 0
    field = 0
    tagged = False
    two = 0
    size = codes.shape[0]
    for place in range(size + 1):
        while field < offsets.shape[0] - 1 and offsets[field] == place:
            places[field] = at
            field += 1
            two = 0
        if place == size:
            break
        code = codes[place]
        if at + _WIDEST > folded.shape[0]:
            return -_UNKNOWN - 1
        tag = 0xE0020 <= code < 0xE007F
        if tag != tagged:
            # What is written in invisible letters stands apart from what is around it.
            folded[at] = 32
            at += 1
            tagged = tag
        if _IN_WORDS[(code >> 8) & 255] and _IN_WORDS[code & 255] and code < 0x8000:
            two += 1
            if two >= _OTHERS:
                others[field - 1] = 1
        else:
            two = 0
        if code < 128:
            folded[at] = code
            at += 1
            continue
        form = index[code]
        if form == 0:
            if missing < _UNKNOWN:
                unknown[missing] = code
                missing += 1
            continue
        for one in range(pool[form]):
            folded[at] = pool[form + 1 + one]
            at += 1
    places[offsets.shape[0] - 1] = at + 1
    return at if missing == 0 else -missing


class _Forms:
    """What each character becomes, for `fold_codes`; worked out when it is first met."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.index = np.zeros(_CODES, np.int32)
        self.pool = np.zeros(1, np.uint8)

    def learn(self, codes: list[int]) -> None:
        """Add characters; under the lock."""
        pool = bytearray(self.pool.tobytes())
        for code in set(codes):
            form = (fold(chr(code)).strip() if code in _TAGS else fold(chr(code))).encode("utf-8", "replace")
            self.index[code] = len(pool)
            pool += bytes([len(form)]) + form
        self.pool = np.frombuffer(bytes(pool), np.uint8)


_forms: Final = _Forms()


def fold_fields(text: str, offsets: NDArray[np.int64]) -> tuple[bytes, NDArray[np.int64], NDArray[np.uint8]]:
    """Return the folded form in UTF-8 of fields that are joined, where each begins in it, and `others`.

    `others` is not 0 for fields in which ASCII may stand behind letters of another script, two in each.

    Args:
        text: the fields with one ASCII character between two.
        offsets: start of each field in characters, and one past the last field's end plus one.
    """
    others = np.zeros(len(offsets) - 1, np.uint8)
    if text.isascii():
        return text.encode(), offsets, others
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    places = np.empty_like(offsets)
    unknown = np.zeros(_UNKNOWN, np.int32)
    room = 4 * len(codes) + 2 * _WIDEST
    with _forms.lock:
        while True:
            folded = np.empty(room, np.uint8)
            rest = (read_only(_forms.index), read_only(_forms.pool), folded, places, others, unknown)
            size = int(fold_codes(codes, offsets, *rest))
            if size >= 0:
                return folded[:size].tobytes(), places, others
            if size < -_UNKNOWN:
                room *= 4
            else:
                _forms.learn(unknown[:-size].tolist())
