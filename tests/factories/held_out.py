"""Captions and disguises that no detector was tuned with: another generator, other languages, fresh seeds.

Names, words, addresses and numbers are Faker's, of a dozen countries; disguises are composed at random, two
or three in one another, cut up in ways of their own.
"""

import base64
import gzip
import json
import random
from collections.abc import Callable

from faker import Faker

LOCALES = (
    "en_US",
    "de_DE",
    "fr_FR",
    "es_MX",
    "pt_BR",
    "ru_RU",
    "ja_JP",
    "ko_KR",
    "zh_CN",
    "ar_SA",
    "hi_IN",
    "tr_TR",
)

_EMOJI = "✨🔥😂❤️🎉🙏💀🥺👍🇸🇬👩‍🍳🫶🏽"
_LOOK_ALIKE = str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")


def captions(count: int, seed: int) -> list[str]:
    """Return made-up captions without personal details in a dozen languages."""
    draw = random.Random(seed)
    fakes = [Faker(locale) for locale in LOCALES]
    for number, fake in enumerate(fakes):
        fake.seed_instance(seed + number)
    made = []
    for _ in range(count):
        fake = draw.choice(fakes)
        parts = [fake.sentence(nb_words=draw.randint(2, 14))]
        for _ in range(draw.randint(0, 5)):
            parts.append(draw.choice(_ODD)(fake, draw))
        draw.shuffle(parts)
        made.append(" ".join(parts)[:300])
    return made


def secrets(count: int, seed: int) -> list[str]:
    """Return personal details of several kinds and countries."""
    draw = random.Random(seed)
    fakes = [Faker(locale) for locale in LOCALES]
    for number, fake in enumerate(fakes):
        fake.seed_instance(seed + number)
    kinds: list[Callable[[Faker], str]] = [
        lambda fake: fake.email(),
        lambda fake: fake.phone_number(),
        lambda fake: fake.ipv4_public(),
        lambda fake: fake.street_address(),
        lambda fake: f"{fake.name()} {fake.last_name()}",
    ]
    return [draw.choice(kinds)(draw.choice(fakes)) for _ in range(count)]


def _cut(text: str, draw: random.Random) -> str:
    at, parts = 0, []
    while at < len(text):
        size = draw.randint(4, 9)
        parts.append(text[at : at + size])
        at += size
    return draw.choice((" ", "\n", ", ", " | ", " ✨ ")).join(parts)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "gzip": lambda text: base64.b64encode(gzip.compress(text.encode())).decode(),
    "hex": lambda text: text.encode().hex(),
    "JSON in JSON": lambda text: json.dumps({"a": json.dumps([text])}),
    "UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "reversed": lambda text: text[::-1],
    "look-alike letters": lambda text: text.translate(_LOOK_ALIKE),
}
"""The encodings of scenario 16 that stand in one field."""


def disguised(secret: str, draw: random.Random) -> tuple[str, list[str]]:
    """Return the outermost encoding's name, and the fields of a message that hide a value somehow."""
    names = draw.choices(list(ENCODINGS), k=draw.randint(2, 3))
    text = secret
    for name in names:
        text = ENCODINGS[name](text)
    outer = names[-1]
    way = draw.randint(0, 3)
    if way == 0 and outer in ("base64", "gzip", "hex", "UTF-16"):
        return f"{outer}, cut up", ["a title", _cut(text, draw)]
    if way == 1:
        at = draw.randint(len(text) // 3, 2 * len(text) // 3)
        return f"{outer}, split in two fields", ["a title", text[:at], text[at:]]
    if way == 2 and outer not in ("JSON in JSON",):
        return f"{outer}, among words", ["a title", f"look here {text} and there"]
    return outer, ["a title", text, "#fold"]


_ODD: list[Callable[[Faker, random.Random], str]] = [
    lambda f, d: f"#{f.word()}{d.choice(('', '2026', 'Challenge', '_daily'))}",
    lambda f, d: f"@{f.user_name()}",
    lambda f, d: f.date(),
    lambda f, d: f.date(pattern="%d.%m.%Y"),
    lambda f, d: f.time(),
    lambda f, d: f"{d.choice('$€£¥₹')}{d.randint(1, 99_999):,}.{d.randint(0, 99):02d}",
    lambda f, d: f.url(),
    lambda f, d: f"{f.url()}{f.uri_path()}?v={d.randrange(10**6)}&t={d.randint(0, 90)}s",
    lambda f, d: d.choice(_EMOJI.split("️")) * d.randint(1, 3),
    lambda f, d: f"{d.randint(1, 20)}K",
    lambda f, d: f"{d.randint(0, 9)}-{d.randint(0, 9)}",
    lambda f, d: f"{d.randint(100, 10**8):,} views",
    lambda f, d: f.city(),
    lambda f, d: f"{f.first_name()} & {f.first_name()}",
    lambda f, d: f.company(),
    lambda f, d: f"Ep. {d.randint(1, 300)} ({d.randint(1990, 2026)})",
]
