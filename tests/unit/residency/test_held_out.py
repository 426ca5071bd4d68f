import random

import pytest

from lightwell.residency import inspection, tripwires
from lightwell.residency.scan import Marks
from tests.factories import held_out

SEED = 90_210
"""Never looked at while detectors were made; should it be, take another."""


def test_captions_of_another_generator_in_a_dozen_languages_trip_nothing() -> None:
    lines = held_out.captions(500, SEED)
    trips = inspection.inspect_each(Marks(b"k" * 16), [[one] for one in lines], "US")
    assert [line for line, trip in zip(lines, trips, strict=True) if trip is not None] == []


def test_most_values_are_found_in_disguises_composed_at_random() -> None:
    marks, draw = Marks(b"k" * 16), random.Random(SEED)
    values = [value for value in held_out.secrets(120, SEED + 1) if [*tripwires._forms(value)]]
    marks.add(marks.mark(form) for value in values for form in tripwires._forms(value))
    found = sum(
        inspection.inspect(marks, held_out.disguised(one, draw)[1], "US") is not None for one in values
    )
    # What is cut up, or in UTF-16, and not in Latin letters is often missed: tripwires are not the control.
    assert found >= 0.8 * len(values)


@pytest.mark.parametrize("cut", [" ", "\n", ", ", " ✨ ", "-"])
def test_encoding_that_is_cut_up_is_found_whatever_stands_between(cut: str) -> None:
    marks = Marks(b"k" * 16)
    value = "742 Evergreen Terrace, Springfield"
    marks.add(marks.mark(form) for form in tripwires._forms(value))
    for name in ("base64", "gzip", "hex", "UTF-16"):
        text = held_out.ENCODINGS[name](value)
        pieces = cut.join(text[at : at + 7] for at in range(0, len(text), 7))
        assert inspection.inspect(marks, [f"look {pieces} there"], "US") is not None, (name, pieces)


def test_messages_together_trip_as_each_would_alone() -> None:
    messages = [["a caption"], ["mail bob@example.com"], ["742 Ever", "green"], [], ["call +44 20 7946 0958"]]
    marks = Marks(b"k" * 16)
    marks.add([marks.mark(b"742evergreen")])
    together = inspection.inspect_each(marks, messages, "US")
    assert [trip.why if trip else "" for trip in together] == [
        "", "e-mail", "protected-value", "", "phone-number",
    ]  # fmt: skip
    assert together == [inspection.inspect(marks, one, "US") for one in messages]


def test_long_text_is_looked_through_to_its_end() -> None:
    marks = Marks(b"k" * 16)
    text = " ".join(held_out.captions(40, SEED + 2))
    assert inspection.inspect(marks, [text], "US") is None
    hidden = held_out.ENCODINGS["gzip"]("bob@example.com")
    assert inspection.inspect(marks, [f"{text} mail bob@example.com {text}"], "US") is not None
    assert inspection.inspect(marks, [f"{text} {hidden}"], "US") is not None
