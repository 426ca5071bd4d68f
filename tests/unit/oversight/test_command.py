"""The commands say in one line what is wrong and end with 2; what they make is what a cell takes."""

import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from lightwell.agreement.load import parse
from lightwell.agreement.orders import open_order
from lightwell.agreement.roster import Seat, dump_roster
from lightwell.apps import cli, oversee
from lightwell.oversight import report
from lightwell.wire.keys import SigningKey
from tests.factories.cells import AGREEMENTS
from tests.factories.seen_cell import SeenCell, key

runner = CliRunner()


def test_order_made_is_one_that_opens(tmp_path: Path) -> None:
    authority = key("authority")
    (tmp_path / "authority.key").write_text(authority.text() + "\n")
    made = runner.invoke(
        oversee.order_app,
        ["make", "suspend", "uploads", "--key", str(tmp_path / "authority.key"), "--cell", "us",
         "--out", str(tmp_path / "order.txt"), "--reason", "drill", "--expires", "600"],
    )  # fmt: skip
    assert made.exit_code == 0
    agreement = parse((AGREEMENTS / "us-2022-draft.toml").read_text("utf-8"))
    seats = [Seat("authority", "Authority", authority.verifier().vkey())]
    order = open_order((tmp_path / "order.txt").read_text("utf-8"), seats, agreement)
    assert (order.verb, order.scope, order.cell, order.reason) == ("suspend", "uploads", "us", "drill")
    assert order.expires_at == order.issued_at + 600


def test_refused_order_says_the_cells_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(method: str, url: str, **rest: object) -> httpx.Response:
        document = {"detail": "An order with this id was taken before.", "reason": "replayed"}
        return httpx.Response(409, json=document, request=httpx.Request(method, url))

    monkeypatch.setattr(oversee.httpx, "request", refuse)
    (tmp_path / "order.txt").write_text("x")
    sent = runner.invoke(
        oversee.order_app, ["send", str(tmp_path / "order.txt"), "--url", "http://cell.test"]
    )
    assert str(sent.exception) == "refused (replayed): An order with this id was taken before."


@pytest.mark.parametrize(
    "command",
    [
        ["report", "verify", "nowhere.txt", "--roster", "nowhere.toml"],
        ["report", "verify", __file__],
        ["order", "send", "nowhere.txt", "--url", "http://127.0.0.1:9"],
        ["order", "send", __file__, "--url", "http://127.0.0.1:9"],
        ["order", "suspend", "uploads", "--key", __file__, "--cell", "us", "--url", "http://127.0.0.1:9"],
        ["oversee", "serve", "nowhere"],
        ["oversee", "cleanroom", "nowhere"],
    ],
)
def test_failure_is_one_line_and_exit_code_2(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lightwell", *command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def signed_report(cell: SeenCell, board: list[SigningKey], **changes: object) -> str:
    body = {
        "v": 1,
        "cell": "us",
        "agreement": {"id": "a", "version": 1},
        "ledger": {
            "origin": "lightwell/us",
            "vkey": cell.key.verifier().vkey(),
            "size": cell.checkpoint.size,
            "root": cell.checkpoint.root.hex(),
            "checkpoint": cell.files["checkpoint"].decode(),
        },
        "terms": [{"id": "F1", "title": "t", "status": "met", "why": "w", "entries": [0]}],
    }
    return report.sign(body | changes, board)


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.adopt()
    return cell


def test_report_needs_a_majority_of_the_roster(cell: SeenCell, tmp_path: Path) -> None:
    board = [key(f"board-{n}") for n in range(3)]
    seats = [Seat("board", k.name, k.verifier().vkey()) for k in board]
    seats.append(Seat("ledger", "l", cell.key.verifier().vkey(), "us"))
    (tmp_path / "roster.toml").write_text(dump_roster(seats))
    file = tmp_path / "report.txt"
    command = ["verify", str(file), "--roster", str(tmp_path / "roster.toml")]
    file.write_text(signed_report(cell, board[:2]))
    good = runner.invoke(oversee.report_app, command)
    assert good.exit_code == 0
    assert "signed by board-0, board-1" in good.stdout
    file.write_text(signed_report(cell, board[:1]))
    assert isinstance(runner.invoke(oversee.report_app, command).exception, report.ReportError)


def test_report_of_another_ledger_is_refused(cell: SeenCell) -> None:
    board = [key("board-1")]
    seats = [
        Seat("board", "b", board[0].verifier().vkey()),
        Seat("ledger", "l", key("x").verifier().vkey(), "us"),
    ]
    with pytest.raises(report.ReportError, match="not the one seated"):
        report.verify_by_roster(signed_report(cell, board), seats)


@pytest.mark.parametrize(
    "terms",
    [
        [],
        [{"id": "F1", "title": "t", "status": "met", "why": "w", "entries": []}],
        [{"id": "F1", "title": "t", "status": "fine", "why": "w", "entries": [0]}],
        [{"id": "F1", "title": "t", "status": "met", "why": "w", "entries": [3]}],
    ],
)
def test_report_that_contradicts_itself_is_never_signed(cell: SeenCell, terms: list[object]) -> None:
    with pytest.raises(report.ReportError):
        signed_report(cell, [key("board-1")], terms=terms)
