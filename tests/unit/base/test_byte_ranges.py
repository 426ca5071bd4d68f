import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.base.byte_ranges import answer_to, interval
from lightwell.base.errors import Problem


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 1000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=100-199", (100, 200)),
        ("bytes=900-5000", (900, 1000)),
        ("bytes=-100", (900, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=0-1,5-6", None),
        ("bytes=9-3", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
    ],
)
def test_a_range_is_read_as_the_standard_says(header: str | None, expected: tuple[int, int] | None) -> None:
    assert interval(header, 1000) == expected


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_behind_the_end_is_refused_and_says_the_size(header: str) -> None:
    with pytest.raises(Problem) as caught:
        interval(header, 1000)
    assert caught.value.status == 416
    assert caught.value.headers["Content-Range"] == "bytes */1000"


@given(st.text(max_size=30), st.integers(1, 10_000))
def test_no_header_breaks_it(header: str, size: int) -> None:
    try:
        found = interval("bytes=" + header, size)
    except Problem:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


def test_a_known_file_is_not_sent_again() -> None:
    assert answer_to({"if-none-match": '"abc"'}, 10, "abc", "x").status == 304
    assert answer_to({"if-none-match": 'W/"abc", "def"'}, 10, "def", "x").status == 304
    assert answer_to({"if-none-match": '"other"'}, 10, "abc", "x").status == 200


def test_a_range_of_a_file_that_has_changed_is_answered_with_the_whole() -> None:
    assert answer_to({"range": "bytes=2-3", "if-range": '"old"'}, 10, "abc", "x").status == 200
    assert answer_to({"range": "bytes=2-3", "if-range": '"abc"'}, 10, "abc", "x").status == 206
