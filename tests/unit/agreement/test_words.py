"""What the commands say: every problem with its line, everything agreed in words, every difference marked."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lightwell.agreement.differences import differences
from lightwell.agreement.explain import explain
from lightwell.agreement.load import examine, parse
from lightwell.agreement.roster import Seat, dump_roster
from lightwell.apps.cli import app
from lightwell.wire.keys import SigningKey

FILES = sorted((Path(__file__).parents[3] / "agreements").glob("*.toml"))
FILE = next(file for file in FILES if file.stem == "us-2022-draft")
TEXT = FILE.read_text("utf-8")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["agreement", *arguments])


def line_with(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_every_problem_is_named_with_its_line_and_reason(tmp_path: Path) -> None:
    text = TEXT.replace('  "user.contact",\n', '  "user.name",\n', 1).replace(
        'law_region = "us"', 'law_region = "fr"'
    )
    text = text.replace('terms = ["P3"]', 'terms = ["Z1"]', 1)
    file = tmp_path / "broken.toml"
    file.write_text(text, "utf-8")
    found = run("check", str(file))
    assert found.exit_code == 2
    lines = [int(number) for number in re.findall(r"broken\.toml:(\d+):", found.output)]
    second = [number for number, line in enumerate(text.splitlines(), 1) if '"user.name"' in line][1]
    wanted = {line_with(text, 'law_region = "fr"'), second, line_with(text, '["Z1"]')}
    assert wanted <= set(lines)
    assert lines == sorted(lines)
    told = json.loads(run("check", str(file), "--json").output)
    assert not told["valid"]
    assert [problem["line"] for problem in told["problems"]] == lines


def test_all_wrong_keys_and_types_are_named_at_once() -> None:
    text = TEXT.replace("value = 60,", 'value = "many",', 1).replace(
        'check = "slates-replay"', 'check = "trust"'
    )
    text = text.replace('title = "Published videos"\n', "freight = 1\n")
    agreement, wrong = examine(text)
    assert agreement is None
    assert {error.line for error in wrong} == {
        line_with(text, 'value = "many"'),
        line_with(text, 'check = "trust"'),
        line_with(text, "[[flows]]"),
        line_with(text, "freight = 1"),
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_term_and_statement_says_where_it_is_from(file: Path) -> None:
    agreement = parse(file.read_text("utf-8"))
    known = {source.id for source in agreement.sources}
    for term in agreement.terms:
        if term.origin == "public statement":
            assert term.sources, term.id
            assert set(term.sources) <= known
        else:
            assert "our choice" in term.source.lower() or "our design" in term.source.lower() or term.sources
    assert known == {name for term in agreement.terms for name in term.sources}
    statements = explain(agreement)
    assert all(one.says and one.basis for one in statements)
    assert {one.part for one in statements} >= {"Who may see what", "What crosses", "Who may stop it"}


def test_explaining_a_term_says_only_what_belongs_to_it() -> None:
    found = json.loads(run("explain", str(FILE), "--term", "P3", "--json").output)["statements"]
    assert all("P3" in one["terms"] for one in found)
    assert any("15 minutes" in one["says"] for one in found)
    assert run("explain", str(FILE), "--term", "Z9").exit_code != 0


@pytest.mark.parametrize(
    ("old", "new", "mark", "part"),
    [
        ("value = 60,", "value = 90,", "looser", "max grant minutes, value: 60 -> 90"),
        ("value = 60,", "value = 30,", "stricter", "max grant minutes, value: 60 -> 30"),
        (
            'roles = ["analyst", "partner"]',
            'roles = ["analyst"]',
            "stricter",
            "staff, roles, partner",
        ),
        ('needed = 1\nby = ["approver"', 'needed = 2\nby = ["approver"', "stricter", "grant, needed: 1 -> 2"),
        (
            '"user.contact.email",',
            '"user.contact.email", "user.name",',
            "looser",
            "staff, categories, user.name",
        ),
        ("daily_messages = 20000", "daily_messages = 30000", "looser", "daily messages: 20000 -> 30000"),
        (
            'places = ["parent-home"]',
            'places = ["parent-home", "moon"]',
            "stricter",
            "excluded, places, moon",
        ),
        ('check = "slates-replay"', 'check = "nothing-recorded"', "looser", "terms, F1, check"),
        ('"user.unique_id", "system.auth', '"system.auth', "stricter", "unique id: interop -> no class"),
        ('name = "Singapore"', 'name = "Island"', "changed", "regions, sg, name"),
        (
            'by = ["authority"]\nscopes = ["uploads", ',
            'by = ["authority"]\nscopes = [',
            "looser",
            "suspend, by auth",
        ),
    ],
)
def test_each_difference_is_marked_by_what_it_means_for_people(
    old: str, new: str, mark: str, part: str
) -> None:
    assert old in TEXT
    found = differences(parse(TEXT), parse(TEXT.replace(old, new, 1)))
    assert [change.mark for change in found if part in change.says] == [mark], found


def test_an_agreement_does_not_differ_from_itself() -> None:
    for file in FILES:
        agreement = parse(file.read_text("utf-8"))
        assert differences(agreement, agreement) == []


def test_no_change_of_a_value_is_left_out() -> None:
    before = parse(TEXT)
    for number in sorted(set(re.findall(r"= (\d{2,})\b", TEXT))):
        after, _ = examine(TEXT.replace(f"= {number}", f"= {int(number) + 1}", 1))
        if after is not None:
            assert differences(before, after), number


def test_parties_sign_one_after_the_other_and_check_says_who_is_missing(tmp_path: Path) -> None:
    roles = ("operator", "parent", "partner", "authority")
    keys = {role: SigningKey.generate(f"key-{role}", role.encode().ljust(32, b".")) for role in roles}
    seats = [Seat(role, role, key.verifier().vkey()) for role, key in keys.items()]  # type: ignore[arg-type]
    file, roster = tmp_path / "agreement.toml", tmp_path / "roster.toml"
    file.write_text(TEXT, "utf-8")
    roster.write_text(dump_roster(seats), "utf-8")
    check = ("check", str(file), "--roster", str(roster), "--json")
    assert len(json.loads(run(*check).output)["missing"]) == 4
    for at, (role, key) in enumerate(keys.items(), 1):
        (tmp_path / f"{role}.key").write_text(key.text() + "\n")
        done = run(
            "sign", str(file), "--key", str(tmp_path / f"{role}.key"), "--roster", str(roster), "--json"
        )
        assert done.exit_code == 0, done.output
        assert len(json.loads(run(*check).output)["signed"]) == at
    assert json.loads(run(*check).output)["missing"] == []
    file.write_text(TEXT.replace("value = 60,", "value = 61,", 1), "utf-8")
    assert run(*check).exit_code != 0


def test_a_key_that_no_party_has_cannot_sign(tmp_path: Path) -> None:
    key = SigningKey.generate("stranger", bytes(32))
    (tmp_path / "s.key").write_text(key.text())
    (tmp_path / "roster.toml").write_text("seats = []\n")
    file = tmp_path / "agreement.toml"
    file.write_text(TEXT, "utf-8")
    assert run(
        "sign", str(file), "--key", str(tmp_path / "s.key"), "--roster", str(tmp_path / "roster.toml")
    ).exit_code
    assert not (tmp_path / "agreement.toml.signatures").exists()
