"""Proposes, approves and adopts ranking policies through the public door, with keys of board and partner."""

from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from lightwell.agreement.load import digest
from lightwell.agreement.policy_papers import Verb, make_paper
from lightwell.agreement.roster import Seat, roster_digest
from lightwell.base.clock import now_s
from lightwell.ledger.queue import enqueue
from lightwell.recommender.policy_file import parse_file
from lightwell.residency.cell import Cell
from lightwell.residency.staff import Member, enrol
from lightwell.wire import entries as kinds
from lightwell.wire.keys import SigningKey
from tests.factories.catalogue import sequence
from tests.factories.cells import found_cell, fresh_key

Client = TestClient[Litestar]
BOARD = [fresh_key(f"board-{number}") for number in range(3)]
PARTNER = fresh_key("partner")


def found_governed(folder: Path, database_url: str) -> Cell:
    """Found a cell whose roster seats a board and a partner, and whose ledger adopts it."""
    seats = [Seat("board", f"Member {at}", key.verifier().vkey()) for at, key in enumerate(BOARD)]
    seats.append(Seat("partner", "Partner", PARTNER.verifier().vkey()))
    opened = found_cell(folder, database_url, seats=seats)
    with opened.database.write() as session:
        enqueue(
            session,
            kinds.AgreementAdopted(
                at=now_s(),
                agreement=opened.agreement.id,
                version=opened.agreement.version,
                digest=digest(opened.agreement),
                roster_digest=roster_digest(opened.roster),
            ),
        )
    return opened


def staff(cell: Cell, name: str, **changes: Any) -> SigningKey:
    """Enrol an approver of the operator and return the key; `changes` are fields of `Member`."""
    key = fresh_key(f"staff-{name}")
    fields: dict[str, Any] = {
        "name": name,
        "vkey": key.verifier().vkey(),
        "role": "approver",
        "employer": "operator",
        "place": "us",
        "vetted": True,
    }
    with cell.database.write() as session:
        enrol(session, Member(**(fields | changes)))
    return key


def send(client: Client, path: str, body: dict[str, str], status: int = 200) -> Any:
    """Post to `/api/policies` and return the answer, which must have this status."""
    answer = client.post(f"/api/policies{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def propose(client: Client, file: str, key: SigningKey, status: int = 201, cell: str = "us") -> Any:
    """Propose a policy file."""
    paper = make_paper(key, "propose", cell, parse_file(file).digest)
    return send(client, "", {"file": file, "paper": paper}, status)


def sign(client: Client, verb: Verb, file: str, key: SigningKey, status: int = 200, cell: str = "us") -> Any:
    """Approve or adopt the policy of a file."""
    path = {"approve": "/approvals", "adopt": "/adoptions"}[verb]
    return send(client, path, {"paper": make_paper(key, verb, cell, parse_file(file).digest)}, status)


def adopt_approved(client: Client, cell: Cell, file: str, *approvers: SigningKey) -> Any:
    """Propose a policy, have it approved, its entries in the ledger, and adopt it."""
    propose(client, file, staff(cell, "pat"))
    for key in approvers:
        sign(client, "approve", file, key)
    sequence(cell)
    return sign(client, "adopt", file, BOARD[0])
