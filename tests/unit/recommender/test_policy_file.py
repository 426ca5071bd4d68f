"""A policy file says what it means to people, comes back unchanged, and is refused by line and reason."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.recommender import policy as ranking_policy
from lightwell.recommender.policy import PolicyError, RankingPolicy, default_policy, dump, parse
from lightwell.recommender.policy_file import LONGEST, PolicyFileError, date_of, dump_file, parse_file

PROMOTED = """\
version = 1
[weights]
rising = 100

[[promotions]]
id = "00000000000000aa"
video = "00000000000000bb"
points = 100
start = 2026-11-22T10:00:00Z
end = 2026-11-23T12:00:00+02:00
ceiling = 10_000
reason = "Election information"
"""


def test_dates_are_hours_whatever_their_zone() -> None:
    promotion = parse_file(PROMOTED).promotions[0]
    assert promotion.end - promotion.start == 24
    assert date_of(promotion.start) == "2026-11-22T10:00:00Z"


def test_a_file_and_its_canonical_form_have_one_digest() -> None:
    policy = parse_file(PROMOTED)
    assert parse(dump(policy)).digest == policy.digest == parse_file(dump_file(policy)).digest
    assert policy.digest != default_policy().digest
    assert parse_file("").digest == default_policy().digest


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("version = 1\n[weights]\nfame = 3\n", 3, "fame"),
        ("\n[wieghts]\n", 2, "wieghts"),
        ("[weights]\nnew = 1\nrising = 10001\n", 3, "rising"),
        ("[weights]\nrising = 1.5\n", 2, "rising"),
        ("[outcomes]\nlike = 256\n", 2, "like"),
        ("[outcomes]\nskip = -1\n", 2, "skip"),
        ("[holdback]\nshare = 1_000_001\n", 2, "share"),
        ("[taste]\nfinish = 20\nskip = 30\n", 3, "below taste.finish"),
        ("weights = 3\n", 1, "weights"),
        ("[weights\n", 1, "line 1"),
        ("a = 1\na = 2\n", 2, "line 2"),
        (PROMOTED.replace("2026-11-23T12:00:00+02:00", "2026-11-22T10:00:00Z"), 10, "ends before it starts"),
        (PROMOTED.replace("T10:00:00Z", "T10:30:00Z"), 9, "whole hour"),
        (PROMOTED.replace("T10:00:00Z", "T10:00:00"), 9, "no time zone"),
        (PROMOTED.replace("2026-11-22T10:00:00Z", "2026-11-22"), 9, "date and hour"),
        (PROMOTED.replace("2026-11-22T10:00:00Z", "490_000"), 9, "date and hour"),
        (PROMOTED.replace("2026-11-22T10:00:00Z", "1969-11-22T10:00:00Z"), 9, "start"),
        (PROMOTED.replace("10_000", "1_000_001"), 11, "ceiling"),
        (PROMOTED.replace("points = 100", "points = 0"), 8, "neither raises nor lowers"),
        (PROMOTED.replace("Election information", "two\\nlines"), 12, "reason"),
        (PROMOTED + PROMOTED.partition("rising = 100\n")[2], 15, "two promotions called"),
        (
            PROMOTED + PROMOTED.partition("rising = 100\n")[2].replace("00aa", "00ab"),
            16,
            "two promotions of one video",
        ),
        (PROMOTED.replace('reason = "Election information"\n', ""), 5, "reason"),
        ("[external]\npoints = 3\n", 1, "digest"),
        ("x" * (LONGEST + 1), 1, "at most"),
        ("[weights]\n# \udcff\n", 2, "not Unicode"),
        ("a = " + "[" * 5_000, 1, ""),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(PolicyFileError) as refused:
        parse_file(text)
    assert refused.value.line == line, refused.value
    assert reason.lower() in str(refused.value).lower()


def bounds(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an integer, text or flag as its annotation bounds it."""
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.BoolType):
        return st.booleans()
    if isinstance(info, msgspec.inspect.IntType):
        return st.integers(info.ge or 0, info.le)
    if isinstance(info, msgspec.inspect.StrType) and info.pattern and info.max_length is None:
        return st.from_regex(info.pattern, fullmatch=True).map(lambda text: text.rstrip("\n"))
    assert isinstance(info, msgspec.inspect.StrType)
    return st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", codec="utf-8"), min_size=1)


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fields = msgspec.structs.fields(kind)
    return st.builds(kind, **{field.name: bounds(field.type) for field in fields})


SECTIONS = {
    field.name: structs(field.type)
    for field in msgspec.structs.fields(RankingPolicy)
    if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
}
promotion = structs(ranking_policy.Promotion).map(
    lambda one: msgspec.structs.replace(one, start=one.start % 2_000_000, end=one.start % 2_000_000 + 5)
)
external = structs(ranking_policy.ExternalRanker)


@given(
    st.builds(
        RankingPolicy,
        version=st.integers(0, 1000),
        promotions=st.lists(promotion, max_size=3).map(tuple),
        external=st.none() | external,
        **SECTIONS,
    )
)
def test_every_policy_comes_back_from_its_file_and_its_bytes_or_is_refused_by_both(
    policy: RankingPolicy,
) -> None:
    try:
        again = parse(dump(policy))
    except PolicyError:
        with pytest.raises(PolicyFileError):
            parse_file(dump_file(policy))
        return
    assert again == policy
    assert parse_file(dump_file(policy)) == policy


@given(st.integers(0, 2_000_000))
def test_every_hour_is_read_back_from_its_date(hour: int) -> None:
    text = PROMOTED.replace("2026-11-22T10:00:00Z", date_of(hour)).replace(
        "2026-11-23T12:00:00+02:00", date_of(hour + 1)
    )
    promotion = parse_file(text).promotions[0]
    assert (promotion.start, promotion.end) == (hour, hour + 1)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_policy_or_refused_with_a_line(text: str) -> None:
    line = 1
    try:
        parse_file(text)
    except PolicyFileError as refused:
        line = refused.line
    assert 1 <= line <= text.count("\n") + 2
