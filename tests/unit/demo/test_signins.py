"""What the demo tells people to type is what the command line takes."""

import shlex
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lightwell.apps.cli import app
from lightwell.apps.demo.deployment import Deployment
from lightwell.apps.demo.signins import show_what_to_try


@pytest.mark.parametrize("begins", ["Stop uploads: ", "And again: "])
def test_the_order_commands_that_are_printed_are_understood(tmp_path: Path, begins: str) -> None:
    urls = dict.fromkeys(("us", "sg", "oversight"), "http://127.0.0.1:9")
    console = Console(record=True, width=400)
    show_what_to_try(console, Deployment(tmp_path, urls))
    line = next(line for line in console.export_text().splitlines() if begins in line)
    words = shlex.split(line.partition(begins)[2])[1:]
    result = CliRunner().invoke(app, words)
    # It gets as far as looking for the key: the words themselves are right.
    assert "Missing option" not in result.output
    assert "No such option" not in result.output
    assert isinstance(result.exception, OSError)
