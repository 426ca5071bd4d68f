"""Reasons are said in the words of the why-sheet, and keep their points."""

import pytest

from lightwell.recommender.contribution import Contribution
from lightwell.recommender.explain import WORDS, explain

NAMES = {"00000000000000aa": "Slow light", "00000000000000bb": "Election information"}


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Contribution("creator-watched", 412, "us:mira.folds", 3), "You watched 3 of @mira.folds to the end"),
        (
            Contribution("creator-watched", 1, "us:mira.folds", 3, 2),
            "You watched 3 of @mira.folds to the end and liked 2",
        ),
        (Contribution("creator-watched", 1, "us:mira.folds", 0, 1), "You liked 1 of @mira.folds"),
        (Contribution("creator-watched", 1, "us:mira.folds"), "You often stay with @mira.folds"),
        (Contribution("creator-skipped", -9, "sg:li", 2), "You skipped 2 of @li"),
        (Contribution("creator-skipped", -9, "sg:li", 0, 1), "You hid 1 of @li"),
        (Contribution("creator-skipped", -9, "sg:li", 2, 1), "You skipped 2 of @li and hid 1"),
        (Contribution("creator-skipped", -9, "sg:li"), "You rarely stay with @li"),
        (Contribution("co-watch", 268), "People who finish what you finish, finish this"),
        (Contribution("rising", 131), "Rising in the last 24 hours"),
        (Contribution("tag-liked", 74, "generative"), "You like #generative"),
        (Contribution("tag-skipped", -74, "generative"), "You skip #generative"),
        (Contribution("sound-liked", 7, "00000000000000aa"), "You like the sound “Slow light”"),
        (Contribution("sound-liked", 7, "00000000000000ff"), "You like this sound"),
        (Contribution("follow", 240, "us:mira.folds"), "You follow @mira.folds"),
        (Contribution("same-sound", -90, "00000000000000aa", 2), "Same sound two videos ago"),
        (Contribution("same-topic", -60, "ink", 1), "Same topic just before"),
        (Contribution("creator-often", -400, "us:a", 3), "Already three of @a in this slate"),
        (Contribution("new", 31, None, 34), "New: published 34 hours ago"),
        (Contribution("newest", 3, None, 1), "Newest first: published an hour ago"),
        (Contribution("newest", 3, None, 0), "Newest first: published within the hour"),
        (Contribution("newest", 3, None, 72), "Newest first: published 3 days ago"),
        (Contribution("promotion", 9, "00000000000000bb"), "Promoted by people here: Election information"),
        (Contribution("promotion", -9, "00000000000000cc"), "Lowered by people here"),
    ],
)
def test_each_reason_is_said_in_plain_words(part: Contribution, text: str) -> None:
    assert explain([part], NAMES)[0].text == text


def test_reasons_come_largest_first_and_losses_last() -> None:
    parts = [
        Contribution("same-sound", -90, None, 2),
        Contribution("rising", 131),
        Contribution("co-watch", 268),
    ]
    assert [reason.points for reason in explain(parts)] == [268, 131, -90]


def test_every_code_can_be_said_without_names() -> None:
    for code in WORDS:
        text = explain([Contribution(code, 1, "us:someone")])[0].text
        assert text
        assert not text.endswith((".", "!", ": "))
