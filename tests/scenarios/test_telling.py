"""Scenario 6: protected fields go out through a ticket, a log line, a metric, a trace, an error page.

A real web process of a cell, a person with canaries in every protected field, and a cell that is broken under
them; then every byte that the process told anybody is searched.
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from lightwell.base.errors import Problem
from lightwell.base.settings import load, write
from lightwell.residency import access
from lightwell.residency.access_models import StaffRow
from lightwell.residency.staff import Member, enrol, principal_of
from tests.factories.cells import found_cell, fresh_key

CANARIES = {
    "email": "mira.canary.77@example.org",
    "phone": "+1 415 555 7781",
    "address": "7781 Canary Lane, Austin",
    "birthday": "1994-03-09",
}
DEVICE = "CanaryPhone/77.81"
PASSWORD = "canary horse battery"


@dataclass
class Running:
    """A web process of a cell, what it has told on its output so far, and where it answers."""

    folder: Path
    url: str
    output: Path
    process: subprocess.Popen[bytes]
    answers: list[str]

    def ask(self, method: str, path: str, **rest: Any) -> httpx.Response:
        with httpx.Client(base_url=self.url, headers={"user-agent": DEVICE}) as client:
            answer = client.request(method, path, **rest)
        self.answers.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    def form(self, handle: str) -> dict[str, str]:
        return {"handle": handle, "password": PASSWORD, "display_name": "Public Name", **CANARIES}

    def told(self) -> str:
        files = [self.output, *(self.folder / "metrics").glob("*")]
        return "\n".join(file.read_text("utf-8", "replace") for file in files if file.exists())

    def break_table(self, name: str) -> None:
        with sqlite3.connect(self.folder / "cell.db", timeout=30) as database:
            database.execute(f"ALTER TABLE {name} RENAME TO {name}_gone")

    def mend_table(self, name: str) -> None:
        with sqlite3.connect(self.folder / "cell.db", timeout=30) as database:
            database.execute(f"ALTER TABLE {name}_gone RENAME TO {name}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("telling")
    folder, output = place / "us", place / "output"
    cell = found_cell(folder, "sqlite:///cell.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    cell.close()
    write(msgspec.structs.replace(load(folder), url=url, web_processes=1))
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "lightwell.apps.serve", str(folder)],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Running(folder, url, output, process, [])
    try:
        until = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{url}/api/status").is_success:
                    break
            except httpx.HTTPError:
                assert time.monotonic() < until, output.read_text()
                time.sleep(0.2)
        assert found.ask("POST", "/api/accounts", json=found.form("first.one")).status_code == 201
        yield found
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def nothing_protected_in(text: str) -> None:
    digits = "".join(filter(str.isdigit, CANARIES["phone"]))
    for value in (*CANARIES.values(), DEVICE, PASSWORD, digits, "mira.canary", "Canary Lane"):
        assert value not in text, value


def test_no_protected_field_in_an_error_page_or_its_log_line(running: Running) -> None:
    running.break_table("guarded_values")
    try:
        answer = running.ask(
            "POST", "/api/accounts", json=running.form("second.one") | {"email": "x@canary.org"}
        )
    finally:
        running.mend_table("guarded_values")
    assert (answer.status_code, answer.json()["detail"]) == (
        500,
        "Something went wrong here; it has been logged.",
    )
    nothing_protected_in(answer.text)
    assert '"event":"unexpected error"' in running.told()
    assert '"error":"OperationalError"' in running.told()
    nothing_protected_in(running.told())
    assert "x@canary.org" not in running.told() + answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"email": 5},
        {"email": ["mira.canary.77@example.org"]},
        {"birthday": "1994-03-09 "},
        {"phone": "+1 415 555 7781 call me"},
        {"mira.canary.77@example.org": "+1 415 555 7781"},
        {"handle": "mira.canary.77@example.org"},
    ],
)
def test_refused_form_is_not_quoted_in_the_log_or_to_others(running: Running, body: dict[str, Any]) -> None:
    answer = running.ask("POST", "/api/accounts", json=running.form("third.one") | body)
    assert 400 <= answer.status_code < 500
    nothing_protected_in(running.told())
    assert CANARIES["phone"] not in answer.text


def test_address_that_holds_a_protected_field_is_not_logged(running: Running) -> None:
    for path in (
        "/api/videos/mira.canary.77@example.org",
        "/api/status?email=mira.canary.77@example.org",
        "/%00",
    ):
        running.ask("GET", path)
    nothing_protected_in(running.told())


def test_trace_of_a_failure_while_somebody_is_signed_in_quotes_nothing_of_them(running: Running) -> None:
    failed = []
    with httpx.Client(base_url=running.url, headers={"user-agent": DEVICE}) as client:
        assert client.post("/api/session", json={"handle": "first.one", "password": PASSWORD}).is_success
        for table in ("sessions", "accounts", "account_keys"):
            running.break_table(table)
            try:
                failed += [client.get("/api/me"), client.post("/api/session", json={"handle": "first.one"})]
                failed.append(client.post("/api/accounts", json=running.form("fourth.one")))
            finally:
                running.mend_table(table)
    for answer in failed:
        assert answer.status_code >= 400
        nothing_protected_in(answer.text)
    assert [answer.status_code for answer in failed].count(500) >= 3
    assert '"where":"' in running.told()
    nothing_protected_in(running.told())


def test_ticket_that_quotes_a_protected_field_is_refused(tmp_path: Path) -> None:
    cell = found_cell(tmp_path / "us", "sqlite:///cell.db")
    member = Member(
        name="ana",
        vkey=fresh_key("staff-ana").verifier().vkey(),
        role="analyst",
        employer="operator",
        place="us",
        vetted=True,
    )
    with cell.database.write() as session:
        staff_id = enrol(session, member)
    for ticket in (CANARIES["email"], CANARIES["phone"], "SUP-1042 mira", "mira.canary.77", DEVICE):
        form = access.Ask("first.one", ["user.contact.email"], "account_support", 5, ticket)
        with cell.database.write() as session:
            asking = principal_of(cell, session, session.get_one(StaffRow, staff_id))
            with pytest.raises(Problem) as refused:
                access.ask(cell, session, asking, form)
        assert (refused.value.status, refused.value.extra["field"]) == (422, "ticket")
        nothing_protected_in(str(refused.value.document()))
    cell.close()


def test_metrics_tell_reasons_and_counts_and_nothing_of_a_person(running: Running) -> None:
    until = time.monotonic() + 120
    while not list((running.folder / "metrics").glob("web-*.prom")):
        assert time.monotonic() < until
        time.sleep(0.3)
    (file, *_) = (running.folder / "metrics").glob("web-*.prom")
    text = file.read_text("utf-8")
    assert "lightwell_log_lines_total" in text
    assert text.endswith("# EOF\n")
    nothing_protected_in(text)


def test_reasons_are_written_down_by_the_running_process(running: Running) -> None:
    answer = running.ask("POST", "/api/session", json={"handle": "first.one", "password": PASSWORD})
    assert answer.is_success
    until = time.monotonic() + 120
    rows: list[Any] = []
    while not rows:
        assert time.monotonic() < until
        time.sleep(0.3)
        with sqlite3.connect(running.folder / "cell.db", timeout=30) as database:
            rows = database.execute("SELECT process, kind, reason, category, opened FROM key_uses").fetchall()
    assert ("web", "account", "own_account", "user.authorization.password") in {row[:4] for row in rows}
