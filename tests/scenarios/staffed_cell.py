"""A running cell with its staff: real processes and keys, and an ear for all that attackers are answered."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from lightwell.agreement.terms import evaluate
from lightwell.apps.demo.deployment import Deployment, badges, prepare
from lightwell.apps.demo.person import Details, Person
from lightwell.apps.demo.staff_desk import StaffDesk
from lightwell.apps.demo.supervisor import Supervisor
from lightwell.residency.cell import Cell
from lightwell.residency.staff import Member, enrol
from lightwell.wire import entries as kinds
from lightwell.wire.keys import SigningKey
from tests.factories.cells import fresh_key

EMAIL = "user.contact.email"
PHONE = "user.contact.phone_number"
ADDRESS = "user.contact.address"
IP = "user.device.ip_address"
ASK = {"fields": [EMAIL], "purpose": "account_support", "minutes": 10, "ticket": "SUP-1"}


class Desk:
    """One member of staff at the cell; everything that is answered to them is kept."""

    def __init__(self, cell: "StaffedCell", key: SigningKey) -> None:
        self._cell = cell
        self.key = key
        self._desk = StaffDesk(cell.url, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._desk.__exit__()

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = self._desk.http.request(method, path, json=body)
        self._cell.heard.append(answer.text)
        return answer

    def ask(self, subject: str, **changes: Any) -> httpx.Response:
        return self.call("POST", "/api/access/requests", ASK | {"subject": subject} | changes)

    def refused(self, method: str, path: str, body: Any = None) -> str:
        """Try something, and return the reason why it was refused."""
        answer = self.call(method, path, body)
        assert answer.status_code == 403, (answer.status_code, answer.text)
        reason: str = answer.json()["reason"]
        return reason

    def asked(self, subject: str, **changes: Any) -> str:
        """Ask, and return the request's id."""
        answer = self.ask(subject, **changes)
        assert answer.status_code == 201, answer.text
        request_id: str = answer.json()["request_id"]
        return request_id

    def read(self, request_id: str) -> httpx.Response:
        """Look, waiting until the grant's entry stands in the ledger."""
        for _ in range(1000):
            answer = self._desk.http.get(f"/api/access/requests/{request_id}/fields")
            if answer.status_code == 200 or answer.json().get("reason") != "grant-not-sequenced":
                return answer
            time.sleep(0.1)
        raise AssertionError("the grant was never sequenced")


class StaffedCell:
    """The `us` cell of a deployment, its people and its staff.

    Args:
        deployment: what runs.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.folder: Path = deployment.cell("us")
        self.url = deployment.urls["us"]
        self.keys = {badge.ident: badge.key for badge in badges(deployment, "us")}
        self.heard: list[str] = []
        """All that was answered to anybody who should learn nothing."""
        self.canaries: set[str] = set()
        self.console = Cell.open(self.folder, process="console")
        """The directory's own door, as the command line opens it."""

    def live(self, handle: str) -> str:
        """Let a person with protected details sign up; returns their handle."""
        number = len(self.canaries)
        details = Details(
            handle=handle,
            display_name=handle.title(),
            password="a long enough password",
            email=f"{handle}.canary@harbour.example",
            phone=f"+1 202 555 {1000 + number}",
            birthday="1991-07-13",
            address=f"{number + 70} Canary Wharf Road, Portland",
        )
        with Person(self.url) as person:
            person.sign_up(details)
        self.canaries |= {details.email, details.phone, details.phone.replace(" ", ""), details.address}
        return handle

    def hire(self, name: str, **changes: Any) -> Desk:
        """Enter somebody in the directory and sit them at a desk."""
        key = changes.pop("key", None) or fresh_key(f"staff-{name}")
        fields: dict[str, Any] = {
            "name": name,
            "vkey": key.verifier().vkey(),
            "role": "analyst",
            "employer": "operator",
            "place": "us",
            "vetted": True,
        }
        with self.console.database.write() as session:
            enrol(session, Member(**(fields | changes)))
        return Desk(self, key)

    def sit(self, ident: str) -> Desk:
        """Sit one of the demo's staff at a desk."""
        return Desk(self, self.keys[ident])

    def staff_id(self, key: SigningKey) -> str:
        """The directory's id of whoever has this key."""
        from sqlalchemy import select

        from lightwell.residency.access_models import StaffRow

        with self.console.database.read() as session:
            found = session.scalar(select(StaffRow.staff_id).where(StaffRow.vkey == key.verifier().vkey()))
        assert found is not None
        return found

    def entries(self, *wanted: type[kinds.Fact]) -> list[Any]:
        """The monitor's copy of the ledger: entries of some kinds, oldest first."""
        names = ",".join(kind.__name__ for kind in wanted)
        found: list[Any] = []
        start = 0
        while True:
            page = self._overseer(f"/api/entries?cell=us&kind={names}&from={start}&limit=500")["entries"]
            found += [kinds.decode(row["text"].encode()) for row in page]
            if len(page) < 500:
                return found
            start = page[-1]["index"] + 1

    def shows(self, *wanted: type[kinds.Fact], **fields: Any) -> Any:
        """Wait until the monitor has an entry with these fields; return the newest."""

        def fits() -> Any:
            found = [
                entry
                for entry in self.entries(*wanted)
                if all(getattr(entry, name) == value for name, value in fields.items())
            ]
            return found[-1] if found else None

        return within(fits, f"{wanted} with {fields} in the ledger")

    def term(self, term_id: str, later_seconds: int = 0) -> str:
        """How a term reads: at the oversight server now, or by the same check on its entries later on."""
        if not later_seconds:
            terms = self._overseer("/api/terms?cell=us")["terms"]
            return next(str(term["status"]) for term in terms if term["id"] == term_id)
        page: list[tuple[int, object]] = []
        while rows := self._overseer(f"/api/entries?cell=us&from={len(page)}&limit=500")["entries"]:
            page += [(row["index"], kinds.decode(row["text"].encode())) for row in rows]
        judged = evaluate(
            self.console.agreement, page, region="us", now=int(time.time()) + later_seconds, cell="us"
        )
        return next(str(term.status) for term in judged if term.id == term_id)

    def findings(self) -> list[dict[str, Any]]:
        """What the monitor found."""
        found: list[dict[str, Any]] = self._overseer("/api/findings?cell=us")["findings"]
        return found

    def nothing_got_out(self) -> None:
        """Hold every answer that attackers were given against everybody's protected values."""
        for text in self.heard:
            assert not [canary for canary in self.canaries if canary in text], text

    def _overseer(self, path: str) -> Any:
        answer = httpx.get(self.deployment.urls["oversight"] + path, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()


def granted(analyst: Desk, approver: Desk, subject: str, **changes: object) -> str:
    """Ask, approve and look once; return the request's id."""
    request_id = analyst.asked(subject, **changes)
    assert approver.call("POST", f"/api/access/requests/{request_id}/approve").status_code == 200
    assert analyst.read(request_id).status_code == 200
    return request_id


def fields_of(request_id: str) -> str:
    """Where a grant is looked under."""
    return f"/api/access/requests/{request_id}/fields"


def count_of(question: str, hours_ago: int = 0) -> dict[str, object]:
    """A question about one hour of the past."""
    return {"question": question, "start": 1_760_000_400_000 - hours_ago * 3_600_000, "minutes": 60}


def within(look: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Look again and again until there is something, also on a busy machine; its absence fails."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.15)
    raise AssertionError(f"not within {seconds} s: {what}")


@contextmanager
def staffed_cell(folder: Path) -> Iterator[StaffedCell]:
    """Run web, worker and oversight of a `us` cell in a new folder."""
    deployment = prepare(folder, fixed_ports=False)
    wanted = [child for child in deployment.children() if child.name in ("us web", "us worker", "oversight")]
    with Supervisor(deployment.folder) as supervisor:
        supervisor.start(wanted)
        cell = StaffedCell(deployment)
        try:
            yield cell
        finally:
            cell.console.close()
