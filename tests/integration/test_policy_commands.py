"""`lightwell policy`: what a person writes, signs and reads about policies, against a running cell."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from typer.testing import CliRunner, Result

from lightwell.apps import policy as command
from lightwell.apps.web import build_app
from lightwell.base import confine
from lightwell.product.feed.external import object_key
from lightwell.recommender.policy import default_policy
from lightwell.recommender.policy_file import parse_file
from lightwell.residency.cell import Cell
from tests.factories.catalogue import sequence
from tests.factories.governing import BOARD, Client, found_governed

URL = "http://us.test"


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    opened = found_governed(tmp_path / "us", f"sqlite:///{tmp_path / 'test.db'}")
    sequence(opened)
    yield opened
    opened.close()


@pytest.fixture
def client(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    with TestClient(build_app(cell), base_url=URL) as opened:

        def request(method: str, url: str, **rest: Any) -> httpx.Response:
            rest.pop("timeout")
            return opened.request(method, url, **rest)

        monkeypatch.setattr(command.httpx, "request", request)
        yield opened


def run(*arguments: object, says: str | None = None) -> Result:
    return CliRunner().invoke(command.app, [str(one) for one in arguments], input=says)


def done(*arguments: object, says: str | None = None) -> Any:
    result = run(*arguments, "--json", says=says)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def key_file(folder: Path, number: int) -> Path:
    file = folder / f"board-{number}.key"
    file.write_text(BOARD[number].text())
    return file


def test_what_show_prints_can_be_edited_checked_and_is_the_same_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(run("show").stdout)
    assert parse_file(file.read_text()) == default_policy()
    assert done("check", file)["changed"] == []
    file.write_text(file.read_text().replace("version = 0", "version = 4"))
    assert done("check", file) == {
        "digest": parse_file(file.read_text()).digest, "version": 4, "changed": [["version", "0", "4"]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"), [("[weights]\nfame = 1\n", "line 2: Unknown key `fame`"), ("\xff", "not a text file")]
)
def test_a_wrong_file_is_refused_with_file_line_and_reason(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(text.encode("latin-1"))
    refused = run("check", file)
    assert isinstance(refused.exception, ValueError)
    assert "policy.toml" in str(refused.exception)
    assert said in str(refused.exception)


@pytest.mark.usefixtures("client")
def test_a_policy_goes_from_a_file_to_the_ledger(cell: Cell, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("version = 1\n[weights]\nnew = 61\n")
    where = ("--cell", "us", "--url", URL)
    standing = done("propose", file, "--key", key_file(tmp_path, 0), *where)
    assert standing["lacking"] == {"ranking-policy": 2}
    refused = run("approve", file, "--key", key_file(tmp_path, 0), *where, "--yes")
    assert "self-approval" in str(refused.exception)
    unsure = run("approve", file, "--key", key_file(tmp_path, 1), *where, says="n\n")
    assert "weights.new: 60 -> 61" in unsure.stdout
    assert "not approved" in str(unsure.exception)
    assert "already" in str(run("propose", file, "--key", key_file(tmp_path, 0), *where).exception)
    for number in (1, 2):
        done("approve", standing["digest"], "--key", key_file(tmp_path, number), *where, "--yes")
    assert "not in the ledger" in str(run("adopt", file, "--key", key_file(tmp_path, 0), *where).exception)
    sequence(cell)
    assert done("adopt", file, "--key", key_file(tmp_path, 0), *where)["status"] == "adopted"
    sequence(cell)
    newest, founding = done("history", "--url", URL)
    assert (newest["digest"], newest["version"], founding["version"]) == (standing["digest"], 1, 0)
    assert [one["seat"] for one in newest["approvals"]] == ["Member 1", "Member 2"]
    assert parse_file(run("show", "--url", URL).stdout).digest == standing["digest"]
    assert founding["digest"][:12] in run("history", "--url", URL).stdout


@pytest.mark.usefixtures("client")
def test_what_cannot_be_done_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "no.key").write_text("KILOLIMA")
    file = tmp_path / "policy.toml"
    file.write_text("version = 1\n")
    for arguments in (
        ("propose", file, "--key", tmp_path / "no.key", "--cell", "us", "--url", URL),
        ("propose", file, "--key", tmp_path / "none.key", "--cell", "us", "--url", URL),
        ("propose", file, "--key", key_file(tmp_path, 0), "--cell", "sg", "--url", URL),
        ("approve", "ab" * 32, "--key", key_file(tmp_path, 0), "--cell", "us", "--url", URL, "--yes"),
        ("show", "ab" * 32, "--url", URL),
        ("show", "ab" * 32),
    ):
        refused = run(*arguments)
        assert isinstance(refused.exception, (ValueError, OSError)), arguments
        assert "KILOLIMA" not in str(refused.exception)


def test_a_ranker_is_tried_before_it_is_kept(cell: Cell, tmp_path: Path) -> None:
    if confine.bubblewrap() is None:
        pytest.skip("bubblewrap does not work here")
    program = Path(__file__).parents[1] / "factories" / "taste_ranker.py"
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    assert run("ranker", cell.settings.folder, program).stdout.strip() == digest
    assert cell.objects.get(object_key(digest)) == program.read_bytes()
    (tmp_path / "wrong.py").write_text("print('hello')")
    assert "does not answer" in str(run("ranker", cell.settings.folder, tmp_path / "wrong.py").exception)
