"""Texts without disguises of letters: one width, one case, Latin where drawn so, nothing invisible."""

import re
import unicodedata
from typing import Final

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
        return known
    category = unicodedata.category(char)
    if category in _INVISIBLE:
        return None
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    named = _BY_NAME.fullmatch(unicodedata.name(char, ""))
    if named is not None:
        return named[1].lower()
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
