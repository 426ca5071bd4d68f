"""What docs/residency.md shows is true: its terms, modules, tests, commands and measures are there."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from bench.__main__ import MEASURES

from lightwell.apps.cli import app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "residency.md"
TEXT = PAGE.read_text("utf-8")
OBLIGATIONS = {"D1", "D2", "D3", "S1", "S2", "G1", "G2", "P1", "P2", "O3", "T1"}
ATTEMPTS = 31


def tables() -> list[list[list[str]]]:
    """Return the tables of the page: rows of cells, the heading first, without the line below it."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        found.append([rows[0], *rows[2:]])
    return found


def table(first: str, second: str) -> list[list[str]]:
    """Return the rows below the heading of the one table whose first two columns are named so."""
    [rows] = [rows for rows in tables() if rows[0][:2] == [first, second]]
    assert all(len(row) == len(rows[0]) for row in rows)
    return rows[1:]


TERMS = table("obligation", "us-2022-draft")
CONTROLS = table("obligation", "control")
TRIED = table("#", "attempt")
TESTS = sorted(set(re.findall(r"`([a-z_/]+\.py)::(\w+)`", TEXT)))
MODULES = sorted(set(re.findall(r"`((?!tests/)[a-z_]+/[a-z_/]+\.py)`", TEXT)))
_SHOWN = re.compile(r"^    lightwell (.+?)(?:\s{2,}#.*)?$|`lightwell ([^`]+)`", re.MULTILINE)
COMMANDS = sorted({line or inline for line, inline in _SHOWN.findall(TEXT)})


@cache
def named_in(path: str) -> set[str]:
    """Return the names of the tests that a file below tests/ defines."""
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@cache
def terms_of(agreement: str) -> dict[str, dict[str, Any]]:
    """Return the terms of one agreement by their ids."""
    file = tomllib.loads((ROOT / "agreements" / f"{agreement}.toml").read_text("utf-8"))
    return {term["id"]: term for term in file["terms"]}


def find(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that words begin with, and the words that are left."""
    command: Any = typer.main.get_command(app)
    while commands := getattr(command, "commands", {}):
        if words[:1] and words[0].startswith("-") and command.invoke_without_command:
            break
        assert words, "a group of commands is not a command"
        assert words[0] in commands, f"lightwell has no command {words[0]}"
        command, words = commands[words[0]], words[1:]
    return command, words


def test_the_page_names_every_agreement_obligation_and_attempt() -> None:
    columns = next(rows[0] for rows in tables() if rows[0][:2] == ["obligation", "us-2022-draft"])
    assert sorted(columns[1:5]) == sorted(file.stem for file in (ROOT / "agreements").glob("*.toml"))
    assert {row[0] for row in TERMS} == OBLIGATIONS
    assert [row[0].split(":")[0] for row in CONTROLS] == [*dict.fromkeys(row[0] for row in TERMS)]
    assert [row[0] for row in TRIED] == [str(number) for number in range(1, ATTEMPTS + 1)]
    assert len(TESTS) > 60
    assert len(MODULES) > 20


@pytest.mark.parametrize("row", TERMS, ids=lambda row: row[1].split()[0])
def test_each_term_is_in_its_agreement_with_its_origin_and_judge(row: list[str]) -> None:
    columns = ("us-2022-draft", "us-2026-joint-venture", "eu-clover", "template")
    for agreement, cell in zip(columns, row[1:5], strict=True):
        term_id, origin = cell.split()
        term = terms_of(agreement)[term_id]
        assert origin == ("ours" if term.get("origin") == "our choice" else "stated"), (agreement, term_id)
        assert row[5] == f"`{term['check']}`", (agreement, term_id)


@pytest.mark.parametrize("module", MODULES)
def test_each_module_exists(module: str) -> None:
    assert (ROOT / "src" / "lightwell" / module).is_file()


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(tests/[a-z_/]+\.py)`", TEXT))))
def test_each_file_of_tests_exists(file: str) -> None:
    assert (ROOT / file).is_file()


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_each_test_exists(path: str, name: str) -> None:
    assert name in named_in(path)


@pytest.mark.parametrize("row", CONTROLS, ids=lambda row: row[0].split(":")[0])
def test_an_obligation_has_control_and_tests_or_says_none(row: list[str]) -> None:
    assert (row[1] == "none") == (row[2] == "none")
    if row[1] != "none":
        assert re.fullmatch(r"(`[a-z_/]+\.py` ?)+", row[1])
        assert re.fullmatch(r"(`[a-z_/]+\.py::\w+` ?)+", row[2])


@pytest.mark.parametrize("row", TRIED, ids=lambda row: row[0])
def test_an_attempt_has_tests_or_says_none_yet(row: list[str]) -> None:
    assert row[2] == "none yet" or re.fullmatch(r"(`[a-z_/]+\.py::\w+` ?)+", row[2])


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_and_its_options_exist(command: str) -> None:
    found, rest = find(command.split())
    options = {option for parameter in found.params for option in parameter.opts}
    arguments = [word for parameter in found.params for word in parameter.opts if not word.startswith("-")]
    assert not rest or len([word for word in rest if word.isupper()]) >= len(arguments)
    assert {word for word in rest if word.startswith("-")} <= options


@pytest.mark.parametrize("name", re.findall(r"make bench ONLY=(\w+)", TEXT))
def test_each_measure_exists(name: str) -> None:
    assert name in MEASURES


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_each_page_that_is_linked_exists(link: str) -> None:
    assert (PAGE.parent / link).exists()
