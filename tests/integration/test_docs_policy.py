"""What docs/policy.md shows is true: its files are policies, and its commands exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lightwell.apps.cli import app
from lightwell.recommender.policy_file import parse_file

TEXT = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
FILES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"lightwell ((?:policy|cleanroom) [a-z]+)", TEXT)))


@pytest.mark.parametrize("file", FILES)
def test_each_file_is_a_policy(file: str) -> None:
    assert parse_file(file).version == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_exists(command: str) -> None:
    assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def test_there_is_something_to_check() -> None:
    assert len(FILES) == 2
    assert len(COMMANDS) >= 7


def test_the_example_ranker_is_as_short_as_it_says() -> None:
    ranker = Path(__file__).parents[1] / "factories" / "taste_ranker.py"
    assert len(ranker.read_text("utf-8").splitlines()) <= 40
