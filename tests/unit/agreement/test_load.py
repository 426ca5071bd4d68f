"""Reading agreement files: the real one loads, and what is wrong is named with its line."""

from pathlib import Path

import pytest

from lightwell.agreement.load import AgreementError, digest, parse
from lightwell.agreement.locate import line_of
from lightwell.wire import entries as kinds

FILE = Path(__file__).parents[3] / "agreements" / "us-2022-draft.toml"
TEXT = FILE.read_text("utf-8")
OBLIGATIONS = "D1 D2 D3 S1 S2 S3 G1 G2 G3 P1 P2 P3 P4 C1 F1 F2 F3 F4 F5 B1 B2 B3 O1 O2 O3 T1 A1"


def line_with(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def refusal(text: str) -> AgreementError:
    with pytest.raises(AgreementError) as caught:
        parse(text)
    return caught.value


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def test_the_real_agreement_has_every_obligation_as_a_term() -> None:
    agreement = parse(TEXT)
    assert [term.id for term in agreement.terms] == OBLIGATIONS.split()
    assert all(term.says and term.source and term.control for term in agreement.terms)


def test_terms_name_only_kinds_of_entry_that_exist() -> None:
    for term in parse(TEXT).terms:
        assert set(term.evidence) <= set(kinds.KINDS), term.id


def test_every_figure_says_where_it_is_from() -> None:
    limits = parse(TEXT).limits
    for name in limits.__struct_fields__:
        figure = getattr(limits, name)
        assert figure.origin in ("our choice", "public statement")
        assert figure.note


def test_the_same_file_serves_both_regions() -> None:
    agreement = parse(TEXT)
    assert agreement.region_ids() == ["us", "sg"]
    assert agreement.flow_between("public-video", "us", "sg") is not None
    assert agreement.flow_between("public-video", "sg", "us") is not None
    assert agreement.flow_between("public-video", "us", "us") is None


def test_digest_counts_values_and_not_layout() -> None:
    plain = digest(parse(TEXT))
    assert digest(parse("# a remark\n" + TEXT.replace(" = ", "  =  "))) == plain
    assert digest(parse(changed("value = 60,", "value = 59,"))) != plain


def test_a_field_without_a_class_stays_without_one() -> None:
    agreement = parse(TEXT)
    assert agreement.residency("user.contact.email") == "protected"
    assert agreement.residency("user.account.username") == "public"
    assert agreement.residency("user.astrology") is None
    assert agreement.residency("user") is None


def test_a_label_may_be_stricter_than_its_class_and_never_looser() -> None:
    agreement = parse(TEXT)
    assert agreement.admits("system.operations", "interop")
    assert agreement.admits("user.contact.email", "protected")
    assert not agreement.admits("user.payment", "interop")
    assert not agreement.admits("user.astrology", "protected")


def test_something_without_an_approval_rule_needs_more_people_than_there_are() -> None:
    assert parse(TEXT).approvals_needed("time-travel") > 1000


def test_broken_toml_names_its_line() -> None:
    error = refusal(changed('law_region = "us"', "law_region = us"))
    assert error.line == line_with(TEXT, "law_region")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('law_region = "us"', 'law_region = "atlantis"', "no region here"),
        ('message = "PublicVideo"', 'message = "PublicVideo"\nfreight = 1', "Unknown key `freight`"),
        ("daily_messages = 20000", "daily_messages = 0", "at least 1"),
        ("daily_messages = 20000", 'daily_messages = "many"', "`daily_messages`: expected"),
        ('check = "slates-replay"', 'check = "trust"', "`check`: invalid enum value"),
        ('places = ["parent-home"]', 'places = ["parent-home", "sg"]', "excluded and a region at once"),
        ('between = ["us", "sg"]', 'between = ["us", "us"]', "two or more different regions"),
        ('between = ["us", "sg"]', 'between = ["us", "fr"]', "`fr` is no region here"),
        ('terms = ["D2", "G1"]', 'terms = ["D2", "Z9"]', "no term `Z9`"),
        ("max_grant_minutes = { value = 60,", "max_grant_minutes = { value = 0,", "at least 1"),
        ('id = "partner"', 'id = "parent" ', "named twice"),
        ('by = ["authority", "court"]', 'by = ["operator"]', "may not give orders"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, reason: str) -> None:
    text = changed(old, new)
    error = refusal(text)
    assert reason in error.reason
    assert error.line == line_with(text, new.splitlines()[-1])


def test_a_missing_key_names_the_table_it_is_missing_from() -> None:
    text = changed('title = "Published videos"\n', "")
    error = refusal(text)
    assert error.reason == "The key `title` is missing."
    assert error.line == line_with(text, "[[flows]]")


def test_no_flow_may_carry_protected_data() -> None:
    text = changed('categories = ["system", "user.account.username"', 'categories = ["user.contact"')
    assert "protected" in refusal(text).reason


def test_no_flow_may_carry_what_has_protected_data_below_it() -> None:
    text = TEXT.replace('"user.unique_id", "system.auth', '"user.unique_id", "user", "system.auth', 1)
    text = text.replace('categories = ["system", "user.account.username"', 'categories = ["user"', 1)
    assert "holds protected data" in refusal(text).reason


def test_a_category_with_two_classes_is_refused() -> None:
    text = changed('["user.unique_id", ', '["user.unique_id", "user.contact", ')
    assert "already has a class" in refusal(text).reason


def test_nobody_may_approve_alone() -> None:
    text = changed('what = "grant"\nneeded = 1', 'what = "grant"\nneeded = 0')
    assert "nobody approves alone" in refusal(text).reason


def test_grants_need_an_approval_rule() -> None:
    error = refusal(changed('what = "grant"\nneeded = 1', 'what = "grant"\nneeded = 101'))
    assert "`grant` needs" in error.reason
    assert error.line == line_with(TEXT, "[[approvals]]")


def test_line_of_skips_strings_over_many_lines() -> None:
    text = 'a = """\n[[terms]]\nid = 1\n"""\n[[terms]]\nid = 2\n'
    assert line_of(text, ("terms", 0, "id")) == 6


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('by = ["authority"]\ncounts', "by = []\ncounts", "names nobody who may consent or veto"),
        ('by = ["authority"]\ncounts', 'by = ["operator"]\ncounts', "operator"),
        ('counts = "no-veto"\ndays = 30', 'counts = "no-veto"\ndays = 0', "at least 1"),
        ('roles = ["executive"]', 'roles = ["Chief Executive"]', "one lowercase word"),
    ],
)  # fmt: skip
def test_a_veto_over_people_that_nobody_can_use_is_refused(old: str, new: str, what: str) -> None:
    assert what in refusal(changed(old, new)).reason


def test_a_file_without_the_table_gives_nobody_a_veto() -> None:
    start = TEXT.index("[appointments]")
    whole = parse(TEXT[:start] + TEXT[TEXT.index("# ----", start) :])
    assert not whole.appointments.bind("executive")
