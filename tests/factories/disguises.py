"""Ways to disguise a protected value in the fields of a message, by name; each keeps what it hides."""

import base64
import bz2
import codecs
import gzip
import html
import json
import lzma
import random
import zlib
from collections.abc import Callable
from urllib.parse import quote

_LOOK_ALIKE = str.maketrans("aceopxyABCEHKMOPTXijs", "асеорхуАВСЕНКМОРТХіјѕ")


def _utf16(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


ONE_FIELD: dict[str, Callable[[str], str]] = {
    "plain": lambda text: f"hello {text} there",
    "upper case": str.upper,
    "reversed": lambda text: text[::-1],
    "base64": lambda text: _b64(text.encode()),
    "base64 url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 inside words": lambda text: f"see:ab{_b64(text.encode())}",
    "base64 in lines": lambda text: "\n".join(
        _b64(text.encode())[at : at + 8] for at in range(0, len(_b64(text.encode())), 8)
    ),
    "base64 reversed": lambda text: _b64(text.encode())[::-1],
    "reversed, then base64": lambda text: _b64(text[::-1].encode()),
    "base64 three times": lambda text: _b64(_b64(_b64(text.encode()).encode()).encode()),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "ascii85": lambda text: base64.a85encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex, capitals": lambda text: text.encode().hex().upper(),
    "hex with colons": lambda text: text.encode().hex(":"),
    "hex escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "character codes": lambda text: " ".join(str(byte) for byte in text.encode()),
    "bits": lambda text: " ".join(f"{byte:08b}" for byte in text.encode()),
    "percent": lambda text: quote(text, safe=""),
    "every character in percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "quoted-printable": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
    "html": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "html names": lambda text: html.escape(text).replace("@", "&commat;").replace(".", "&period;"),
    "unicode escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "gzip": lambda text: _b64(gzip.compress(text.encode())),
    "gzip in hex": lambda text: gzip.compress(text.encode()).hex(),
    "zlib in hex": lambda text: zlib.compress(text.encode()).hex(),
    "raw deflate": lambda text: _b64(zlib.compress(text.encode())[2:-4]),
    "bzip2": lambda text: _b64(bz2.compress(text.encode())),
    "xz": lambda text: _b64(lzma.compress(text.encode())),
    "json": lambda text: json.dumps({"a": [text]}),
    "json in json": lambda text: json.dumps({"a": json.dumps({"b": json.dumps([text])})}),
    "json in base64 in json": lambda text: json.dumps([_b64(json.dumps([text]).encode())]),
    "utf-16": _utf16,
    "utf-16 big-endian": lambda text: _b64(text.encode("utf-16-be")),
    "utf-16 with its mark": lambda text: text.encode("utf-16").hex(),
    "utf-16 read as text": lambda text: text.encode("utf-16-le").decode(),
    "utf-16 read as other letters": lambda text: (
        (text + " " * (len(text) % 2)).encode().decode("utf-16-le", "replace")
    ),
    "utf-32": lambda text: _b64(text.encode("utf-32-le")),
    "look-alike letters": lambda text: text.translate(_LOOK_ALIKE),
    "full width": lambda text: "".join(
        chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text
    ),
    "mathematical letters": lambda text: "".join(
        chr(0x1D400 + ord(char) - 65)
        if "A" <= char <= "Z"
        else chr(0x1D41A + ord(char) - 97)
        if "a" <= char <= "z"
        else chr(0x1D7CE + ord(char) - 48)
        if char.isdigit()
        else char
        for char in text
    ),
    "small capitals": lambda text: text.lower().translate(
        str.maketrans("abcdefghijklmnoprtuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ")
    ),
    "invisible tags": lambda text: (
        "nothing here" + "".join(chr(0xE0000 + ord(char)) for char in text if char.isascii())
    ),
    "other digits": lambda text: text.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
    "accents": lambda text: "".join(char + "\u0301" if char.isalpha() else char for char in text),
    "zero width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "spaced out": " ".join,
    "other separators": lambda text: text.replace(" ", "_").replace("-", "·").replace(".", " . "),
    "rot13 in base64": lambda text: _b64(codecs.encode(text, "rot13").encode()),
    "glued to words": lambda text: base64.b64encode(f"xx{text}yy".encode()).decode(),
}
"""Name -> what becomes of a value."""

FIELDS: dict[str, Callable[[str], list[str]]] = {
    "split in two": lambda text: [text[: len(text) // 2], text[len(text) // 2 :]],
    "split near its end": lambda text: [text[:-4], text[-4:]],
    "split with another between": lambda text: [
        text[: len(text) // 2],
        "paper cranes",
        text[len(text) // 2 :],
    ],
    "split, the end first": lambda text: [text[len(text) // 2 :], "#fold", text[: len(text) // 2]],
    "split and reversed": lambda text: [text[::-1][: len(text) // 2], text[::-1][len(text) // 2 :]],
    "split base64": lambda text: [_b64(text.encode())[:12], _b64(text.encode())[12:]],
    "split base64, the end first": lambda text: [_b64(text.encode())[12:], "slow", _b64(text.encode())[:12]],
    "split hex": lambda text: [text.encode().hex()[:16], text.encode().hex()[16:]],
}
"""Name -> the fields that a value becomes."""


def captions(count: int, seed: int) -> list[str]:
    """Return made-up captions in several languages, with what trips careless detectors.

    Mentions, hashtags, counts, dates, scores, prices, versions, times, links' words and emoji are in them;
    personal details are not.
    """
    draw = random.Random(seed)
    words = _WORDS.split()
    made = []
    for _ in range(count):
        some = draw.choices(words, k=draw.randint(2, 22))
        for _ in range(draw.randint(0, 4)):
            some.insert(draw.randint(0, len(some)), draw.choice(_ODD)(draw))
        made.append(" ".join(some)[:300])
    return made


_ODD: list[Callable[[random.Random], str]] = [
    lambda d: f"#{d.choice(('fyp', 'origami2026', 'DIY_home', 'slowmotion', 'MondayMotivation', '日本'))}",
    lambda d: f"@{d.choice(('mira.folds', 'sky_high', 'kai.o', 'the.real.ana', 'DJ_77'))}",
    lambda d: f"{d.randint(1, 31)}.{d.randint(1, 12)}.{d.randint(2019, 2027)}",
    lambda d: f"{d.randint(2019, 2027)}-{d.randint(1, 12):02d}-{d.randint(1, 28):02d}",
    lambda d: f"{d.randint(0, 23):02d}:{d.randint(0, 59):02d}:{d.randint(0, 59):02d}.{d.randint(0, 999):03d}",
    lambda d: f"${d.randint(1, 9999)}.{d.randint(0, 99):02d}",
    lambda d: f"{d.randint(1000, 99_999_999)} views",
    lambda d: f"{d.randint(1, 999)},{d.randint(0, 999):03d},{d.randint(0, 999):03d}",
    lambda d: f"v{d.randint(0, 20)}.{d.randint(0, 20)}.{d.randint(0, 9)}",
    lambda d: f"{d.randint(0, 12)}-{d.randint(0, 12)}",
    lambda d: f"{d.randint(1, 99)}/{d.randint(1, 99)}",
    lambda d: f"{d.choice((320, 720, 1080, 2160))}x{d.choice((240, 1280, 1920, 3840))}",
    lambda d: f"{d.randint(1, 100)}% off",
    lambda d: d.choice("✨🔥😂❤️🎉🙏💀🥺👍🇸🇬🇺🇸👩‍🍳"),
    lambda d: d.choice(
        ("Pneumonoultramicroscopicsilicovolcanoconiosis", "OMGGGGGGGGGGGGG", "hahahahahahahaha")
    ),
    lambda d: d.choice(("R&B", "AC/DC", "24/7", "50/50", "rock'n'roll", "C++", "a=b", "100%real", "e=mc2")),
    lambda d: d.choice(("lightwell.example/watch", "www.paper-cranes.example", "Ep.12/Part_3", "S04E11")),
]
_WORDS = (
    "slow light river dance cat fold night drum loop café over-the-top I'm "
    "don't wait for it street food market morning coffee recipe easy best "
    "friend dog puppy beach sunset train guitar cover song new old house "
    "tour travel vlog workout leg day gym makeup tutorial skincare routine "
    "before after try not to laugh funny fail compilation satisfying clean "
    "kitchen garden plants grow tomato soup noodles spicy challenge "
    "accepted part two three four school teacher life hack genius baby "
    "first steps happy birthday wedding dress paris tokyo 東京の夜 さくら 猫 かわいい "
    "你好 今天 天气 很好 美食 서울 맛집 일상 привет мир танец кошка лето спасибо γεια σου "
    "φίλε καλημέρα que bonito día gracias mañana niño über schön straße "
    "größe fête où garçon مرحبا بالعالم صباح الخير नमस्ते दुनिया สวัสดี "
    "selamat pagi makan enak sedap"
)
