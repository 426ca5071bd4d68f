import base64
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lightwell.residency import decoding, tripwires
from lightwell.residency.cell import Cell
from tests.unit.residency.two_cells import found_world

ANA = "a" * 16
SECRETS = ["+1 (555) 010-7788", "ana.lopez@example.org", "742 Evergreen Terrace, Springfield", "203.0.113.77"]


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    made = found_world(tmp_path_factory.mktemp("world"), "sqlite:///cell.db")
    with made.us.database.write() as session:
        assert tripwires.guard(session, made.us.vault, ANA, [*SECRETS, *SECRETS, "short"]) == 5
        tripwires.guard(session, made.us.vault, ANA, SECRETS)
    yield made.us
    made.us.close()
    made.sg.close()


def why(cell: Cell, *values: str | bytes) -> str | None:
    with cell.database.read() as session:
        trip = tripwires.find(session, cell.vault, values)
    return trip.why if trip is not None else None


def utf16(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: f"hello {text} there",
    "upper case": str.upper,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hex": lambda text: text.encode().hex(),
    "percent": lambda text: quote(text, safe=""),
    "gzip": lambda text: base64.b64encode(gzip.compress(text.encode())).decode(),
    "zlib in hex": lambda text: zlib.compress(text.encode()).hex(),
    "json": lambda text: json.dumps({"a": [text]}),
    "json in json": lambda text: json.dumps({"a": json.dumps([text])}),
    "json in base64 in json": lambda text: json.dumps(
        [base64.b64encode(json.dumps([text]).encode()).decode()]
    ),
    "utf-16": utf16,
    "base64 three times": lambda text: base64.b64encode(
        base64.b64encode(base64.b64encode(text.encode()))
    ).decode(),
    "full width": lambda text: "".join(
        chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text
    ),
    "zero width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "other separators": lambda text: text.replace(" ", "_").replace("-", "·").replace(".", " . "),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
@pytest.mark.parametrize("secret", SECRETS)
def test_protected_value_is_found_through(cell: Cell, secret: str, encode: Callable[[str], str]) -> None:
    assert why(cell, "a caption", encode(secret)) is not None


def test_value_split_over_two_fields_is_found(cell: Cell) -> None:
    assert why(cell, "see you at 742 Evergreen", "Terrace, Springfield") == "protected-value"


def test_reversed_value_is_found(cell: Cell) -> None:
    assert why(cell, "dleifgnirpS ,ecarreT neergrevE 247") == "protected-value"


def test_look_alike_letters_are_found(cell: Cell) -> None:
    assert why(cell, "742 Еvеrgrееn Теrrасе Sрringfiеld") == "protected-value"


@pytest.mark.parametrize("text", ["mail bob@example.com", "call +44 20 7946 0958", "(415) 555-2671"])
def test_contact_details_of_strangers_are_found_by_their_pattern(cell: Cell, text: str) -> None:
    assert why(cell, text) in ("e-mail", "phone-number")


@pytest.mark.parametrize(
    "text",
    [
        "paper cranes, step by step ✨ #origami #2026",
        "my best time: 12:34.567 on 2026-11-22!",
        "1000000 views?! thank you all so much 100%",
        "@mira.folds and @sky_high at 50% off",
        "supercalifragilisticexpialidocious",
        "東京の夜 — a walk at 3 a.m.",
        "f" * 64,
        "",
    ],
)
def test_ordinary_caption_trips_nothing(cell: Cell, text: str) -> None:
    assert why(cell, text, "0123456789abcdef", "Sunday Drive (120 bpm)") is None


def test_made_up_captions_trip_nothing(cell: Cell) -> None:
    draw = random.Random(7)
    words = [
        "slow",
        "light",
        "river",
        "dance",
        "cat",
        "3",
        "2026",
        "fold",
        "night",
        "#fyp",
        "drum",
        "I'm",
        "over-the-top",
        "10/10",
        "loop",
        "café",
    ]
    for _ in range(300):
        assert why(cell, " ".join(draw.choices(words, k=draw.randint(1, 30)))) is None


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(gzip.compress(b"x" * 3_000_000)).decode(),
        json.dumps([str(n) for n in range(1000)]),
        "[" * 5000,
    ],
    ids=["zip bomb", "many pieces", "deep json"],
)
def test_work_on_one_message_is_bounded(cell: Cell, text: str) -> None:
    assert why(cell, text) in ("too-nested", None)


def test_text_encoded_deeper_than_the_limit_is_refused(cell: Cell) -> None:
    text = "nothing to see here"
    for _ in range(decoding.MAX_DEPTH + 2):
        text = base64.b64encode(text.encode()).decode()
    assert why(cell, text) == "too-nested"


def test_erased_accounts_values_are_forgotten(tmp_path: Path) -> None:
    made = found_world(tmp_path, "sqlite:///cell.db")
    with made.us.database.write() as session:
        tripwires.guard(session, made.us.vault, ANA, ["12 Harbour Lane"])
        tripwires.forget(session, ANA)
    assert why(made.us, "12 Harbour Lane") is None
    made.us.close()
    made.sg.close()


def test_guarded_values_are_stored_as_keyed_hashes_only(cell: Cell) -> None:
    cell.database.dispose()
    raw = (cell.settings.folder / "cell.db").read_bytes()
    assert not any(word in raw for word in (b"15550107788", b"analopez", b"ergreen"))
