"""Words: read lazily, found by search, whole or refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.recommender.words import Words, WordsError

texts = st.lists(st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"])), unique=True)


@settings(max_examples=200, deadline=None)
@given(texts, st.text())
def test_every_word_has_its_number_and_no_other_has_one(found: list[str], other: str) -> None:
    ordered = sorted(found, key=str.encode)
    words = Words.of(ordered)
    assert list(words) == ordered
    assert [words.number(word) for word in ordered] == list(range(len(ordered)))
    assert (words.number(other) >= 0) == (other in ordered)


def test_later_words_follow_in_the_order_they_came() -> None:
    words = Words.of(["a", "c"]).with_more(["b", "ä"])
    assert list(words) == ["a", "c", "b", "ä"]
    assert [words.number(word) for word in ("a", "b", "c", "ä", "x")] == [0, 2, 1, 3, -1]
    assert words[-1] == "ä"
    assert words[1:3] == ("c", "b")
    with pytest.raises(IndexError):
        words[4]


@pytest.mark.parametrize("bad", [["b", "a"], ["a", "a"], ["a\nb"]])
def test_words_out_of_order_twice_or_with_a_newline_are_refused(bad: list[str]) -> None:
    with pytest.raises(WordsError):
        Words.of(bad)


@pytest.mark.parametrize(
    ("block", "starts"),
    [
        (b"a\nb\n", [0, 2]),
        (b"a\nb\n", [0, 1, 4]),
        (b"a\nb\n", [0, 4]),
        (b"a\nb\n", [0, 4, 2]),
        (b"\xff\n", [0, 2]),
        (b"a", [0, 1]),
        (b"", []),
        (b"", [1]),
    ],
)
def test_a_block_that_is_not_words_is_refused(block: bytes, starts: list[int]) -> None:
    with pytest.raises(WordsError):
        Words(block, np.array(starts, dtype=np.int64)).check()
