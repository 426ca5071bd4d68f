"""Ranking policies through HTTP, on both databases: others approve, the ledger knows, then it serves."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from lightwell.agreement.policy_papers import make_paper
from lightwell.agreement.terms import TermStatus, evaluate
from lightwell.apps.web import build_app
from lightwell.base.clock import now_s
from lightwell.base.db import WriteSession
from lightwell.base.errors import Problem
from lightwell.product.feed import policies
from lightwell.recommender.policy import dump, parse
from lightwell.recommender.policy_file import date_of, parse_file
from lightwell.residency.cell import Cell
from lightwell.wire import entries as kinds
from lightwell.wire.keys import SigningKey
from tests.factories.catalogue import publish_catalogue, sequence, video_id
from tests.factories.cells import fresh_key
from tests.factories.governing import (
    BOARD,
    PARTNER,
    Client,
    adopt_approved,
    found_governed,
    propose,
    send,
    sign,
    staff,
)
from tests.factories.ledger import all_entries
from tests.factories.people import sign_up

CHANGED = "version = 1\n[weights]\nrising = 9000\n"


@pytest.fixture
def cell(database_url: str, tmp_path: Path) -> Iterator[Cell]:
    opened = found_governed(tmp_path / "us", database_url)
    yield opened
    opened.close()


@pytest.fixture
def client(cell: Cell) -> Iterator[Client]:
    with TestClient(build_app(cell), base_url="http://us.test") as opened:
        yield opened


def promoted(video: str = video_id(20), version: int = 1, **changes: Any) -> str:
    now = now_s() // 3600
    fields = {
        "id": '"00000000000000aa"',
        "video": f'"{video}"',
        "points": 10_000,
        "start": date_of(now - 1),
        "end": date_of(now + 2),
        "ceiling": 20_000,
        "reason": '"A storm warning"',
    } | changes
    lines = [f"{name} = {value}" for name, value in fields.items()]
    return "\n".join([f"version = {version}", "[[promotions]]", *lines]) + "\n"


def ledger(cell: Cell) -> list[Any]:
    return [kinds.decode(row) for row in all_entries(cell.settings, cell.database)]


def term(cell: Cell) -> TermStatus:
    found = evaluate(cell.agreement, enumerate(ledger(cell)), roster=cell.roster)
    return next(status for status in found if status.id == "F3")


def test_the_founding_policy_has_no_approvals_and_no_promotions(client: Client, cell: Cell) -> None:
    sequence(cell)
    [founding] = client.get("/api/policies").json()["policies"]
    assert (founding["version"], founding["approvals"], founding["status"]) == (0, [], "adopted")
    body = client.get(f"/api/policies/{founding['digest']}").content
    assert hashlib.sha256(body).hexdigest() == founding["digest"]
    assert parse(body).promotions == ()
    assert term(cell).status == "no evidence"


def served_policy(client: Client) -> str:
    found: str = json.loads(client.get("/api/feed").json()["proof"]["entry"])["policy"]
    return found


def test_a_policy_approved_by_two_others_serves_once_its_entry_is_in_the_ledger(
    client: Client, cell: Cell
) -> None:
    publish_catalogue(cell)
    sign_up(client)
    before, digest = served_policy(client), parse_file(CHANGED).digest
    standing = adopt_approved(client, cell, CHANGED, BOARD[0], BOARD[1])
    assert (standing["status"], standing["approvals"], standing["lacking"]) == ("adopted", 2, {})
    time.sleep(1.2)
    assert served_policy(client) == before
    sequence(cell)
    deadline = time.monotonic() + 120
    while served_policy(client) != digest and time.monotonic() < deadline:
        time.sleep(0.1)
    assert served_policy(client) == digest != before
    adopted = [entry for entry in ledger(cell) if isinstance(entry, kinds.PolicyAdopted)]
    assert [entry.approvals for entry in adopted] == [0, 2]
    newest = client.get("/api/policies").json()["policies"][0]
    assert (newest["digest"], newest["entry"] is not None) == (digest, True)
    assert term(cell).status == "met", term(cell).why


def test_a_policy_without_enough_approvals_is_not_adopted(client: Client, cell: Cell) -> None:
    propose(client, CHANGED, staff(cell, "pat"))
    sign(client, "approve", CHANGED, BOARD[0])
    sequence(cell)
    refused = sign(client, "adopt", CHANGED, BOARD[0], 403)
    assert refused["lacking"] == {"ranking-policy": 1}
    assert [one["status"] for one in client.get("/api/policies").json()["policies"]] == [
        "adopted",
        "proposed",
    ]


def test_approvals_count_only_when_their_entries_are_in_the_ledger(client: Client, cell: Cell) -> None:
    propose(client, CHANGED, staff(cell, "pat"))
    for key in BOARD[:2]:
        sign(client, "approve", CHANGED, key)
    assert "not in the ledger" in sign(client, "adopt", CHANGED, BOARD[0], 409)["detail"]
    sequence(cell)
    sign(client, "adopt", CHANGED, BOARD[0])
    assert "already" in sign(client, "adopt", CHANGED, BOARD[0], 409)["detail"]


def test_nobody_approves_their_own_proposal_whatever_the_key_is_called(client: Client, cell: Cell) -> None:
    propose(client, CHANGED, BOARD[0])
    assert sign(client, "approve", CHANGED, BOARD[0], 403)["reason"] == "self-approval"
    pat = staff(cell, "pat", person="p1")
    other = staff(cell, "pat-again", person="p1")
    promotion = promoted()
    propose(client, promotion, pat)
    assert sign(client, "approve", promotion, other, 403)["reason"] == "self-approval"


def test_one_person_or_key_counts_once(client: Client, cell: Cell) -> None:
    file = promoted()
    propose(client, file, staff(cell, "pat"))
    sign(client, "approve", file, staff(cell, "ana", person="p1"))
    assert sign(client, "approve", file, staff(cell, "ana-again", person="p1"), 409)
    sign(client, "approve", file, BOARD[0])
    assert sign(client, "approve", file, BOARD[0], 409)


def test_a_promotion_needs_two_approvers_of_its_own(client: Client, cell: Cell) -> None:
    file = promoted()
    propose(client, file, staff(cell, "pat"))
    for key in BOARD:
        sign(client, "approve", file, key)
    sequence(cell)
    assert sign(client, "adopt", file, BOARD[0], 403)["lacking"] == {"promotion": 2}
    sign(client, "approve", file, PARTNER)
    sign(client, "approve", file, staff(cell, "ana"))
    sequence(cell)
    assert sign(client, "adopt", file, BOARD[0])["lacking"] == {}
    sequence(cell)
    assert term(cell).status == "met", term(cell).why
    listed = [entry for entry in ledger(cell) if isinstance(entry, kinds.PromotionListed)]
    assert [entry.ceiling for entry in listed] == [20_000]
    assert "storm" not in json.dumps([str(entry) for entry in ledger(cell)])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"place": "parent-home"}, "excluded-place"),
        ({"place": "sg"}, "not-at-home"),
        ({"vetted": False}, "not-vetted"),
        ({"role": "partner"}, "role-not-allowed"),
        ({"role": "board"}, "role-not-allowed"),
        ({"role": "analyst"}, "role-not-allowed"),
    ],
)
def test_staff_whom_the_agreement_does_not_count_approve_nothing(
    client: Client, cell: Cell, changes: dict[str, Any], reason: str
) -> None:
    file = promoted()
    propose(client, file, BOARD[0])
    assert sign(client, "approve", file, staff(cell, "eve", **changes), 403)["reason"] == reason


@pytest.mark.parametrize("key", [fresh_key("board-0"), fresh_key("nobody")])
def test_a_paper_by_a_key_that_is_not_known_is_refused(client: Client, cell: Cell, key: SigningKey) -> None:
    propose(client, CHANGED, key, 401)
    propose(client, CHANGED, BOARD[0])
    sign(client, "approve", CHANGED, key, 401)


def test_a_paper_is_for_one_cell_one_verb_and_one_policy(client: Client) -> None:
    propose(client, CHANGED, BOARD[0], 422, cell="sg")
    propose(client, CHANGED, BOARD[0])
    digest = parse_file(CHANGED).digest
    approval = make_paper(BOARD[1], "approve", "us", digest)
    send(client, "/adoptions", {"paper": approval}, 422)
    send(client, "/approvals", {"paper": approval.replace(digest, "ab" * 32)}, 401)
    send(client, "/approvals", {"paper": make_paper(BOARD[1], "approve", "us", "ab" * 32)}, 404)
    send(client, "/approvals", {"paper": approval + approval.rpartition("\n\n")[2]}, 400)
    other = {
        "file": CHANGED + "\n[holdback]\nshare = 5\n",
        "paper": make_paper(BOARD[0], "propose", "us", digest),
    }
    send(client, "", other, 422)


@pytest.mark.parametrize(
    ("file", "status", "said"),
    [
        ("version = 1\n[weights]\nfame = 3\n", 422, "line 3: Unknown key `fame`."),
        ("version = 1\n[weights]\nrising = 10001\n", 422, "line 3"),
        ("[weights]\nrising = 1\n", 409, "has version 1"),
        ("version = 2\n", 409, "has version 1"),
        (promoted(ceiling=20_001), 422, "20000 of a million"),
        (promoted(end=date_of(5)), 422, "ends before it starts"),
        (f'version = 1\n[external]\ndigest = "{"ab" * 32}"\n', 422, "no program of a ranker"),
    ],
)
def test_a_policy_that_may_not_be_is_refused_with_its_reason(
    client: Client, file: str, status: int, said: str
) -> None:
    try:
        digest = parse_file(file).digest
    except ValueError:
        digest = "ab" * 32
    paper = make_paper(BOARD[0], "propose", "us", digest)
    assert said in send(client, "", {"file": file, "paper": paper}, status)["detail"]


def test_an_adopted_version_is_never_gone_back_to(client: Client, cell: Cell) -> None:
    older = "version = 1\n[weights]\nrising = 1\n"
    propose(client, older, BOARD[2])
    for key in BOARD[:2]:
        sign(client, "approve", older, key)
    adopt_approved(client, cell, CHANGED, BOARD[0], BOARD[1])
    assert "has version 2" in sign(client, "adopt", older, BOARD[0], 409)["detail"]
    propose(client, older, BOARD[2], 409)


def at_once(cell: Cell, step: Callable[[Cell, WriteSession, str], Any], papers: list[str]) -> list[str]:
    """Take each paper in a thread of its own; say of each what became of it."""

    def take(note: str) -> str:
        try:
            with cell.database.write() as session:
                return str(step(cell, session, note).status)
        except Problem as problem:
            return problem.slug

    with ThreadPoolExecutor(len(papers)) as threads:
        return sorted(threads.map(take, papers))


def test_of_two_policies_adopted_at_once_one_is(client: Client, cell: Cell) -> None:
    files = [f"version = 1\n[weights]\nnew = {number}\n" for number in range(4)]
    for file in files:
        propose(client, file, BOARD[2])
        for key in BOARD[:2]:
            sign(client, "approve", file, key)
    sequence(cell)
    papers = [make_paper(BOARD[0], "adopt", "us", parse_file(file).digest) for file in files]
    assert at_once(cell, policies.adopt, papers) == ["adopted", "not-next", "not-next", "not-next"]


def test_one_person_with_many_keys_approves_once_even_at_once(client: Client, cell: Cell) -> None:
    file = promoted()
    propose(client, file, BOARD[2])
    keys = [staff(cell, f"ana-{number}", person="p1") for number in range(4)]
    papers = [make_paper(key, "approve", "us", parse_file(file).digest) for key in keys]
    assert at_once(cell, policies.approve, papers) == ["already-approved"] * 3 + ["proposed"]


def test_nobody_fills_the_desk_for_others(client: Client) -> None:
    files = [f"version = 1\n[weights]\nnew = {number}\n" for number in range(7)]
    for file in files[:5]:
        propose(client, file, BOARD[0])
    assert "your proposals" in propose(client, files[5], BOARD[0], 409)["detail"]
    propose(client, files[6], BOARD[1])


@pytest.mark.parametrize(
    "body", [{}, {"paper": "x"}, {"paper": "x" * 5000}, {"paper": 3}, {"paper": "\n\n— a b\n"}]
)
@pytest.mark.parametrize("path", ["", "/approvals", "/adoptions"])
def test_malformed_requests_get_a_problem_document(client: Client, path: str, body: dict[str, Any]) -> None:
    answer = client.post(f"/api/policies{path}", json=body)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/policies/nothing").status_code == 404
    assert client.get(f"/api/policies/{'ab' * 32}").status_code == 404


def test_viewers_are_told_what_was_promoted_and_why(client: Client, cell: Cell) -> None:
    publish_catalogue(cell)
    sign_up(client)
    raised = video_id(20)
    file = promoted(raised)
    adopt_approved(client, cell, file, BOARD[0], BOARD[1], PARTNER, staff(cell, "ana"))
    sequence(cell)
    policy = parse_file(file)
    assert client.get(f"/api/policies/{policy.digest}").content == dump(policy)
    shown = None
    for _ in range(400):
        answer = client.get("/api/feed", params={"k": 10}).json()
        if json.loads(answer["proof"]["entry"])["policy"] != policy.digest:
            time.sleep(0.1)
            continue
        found = [item for item in answer["items"] if item["video"]["video_id"] == raised]
        if found and found[0]["promotion"]:
            shown = answer, found[0]
            break
    # One request in fifty may hold it: in 400 it is missed once in 3,000 runs of this test.
    assert shown is not None
    answer, item = shown
    assert item["promotion"] == {"id": "00000000000000aa"}
    why = client.get(f"/api/slates/{answer['proof']['leaf']}/why").json()
    reasons = next(one["reasons"] for one in why["items"] if one["video"] == raised)
    assert "Promoted by people here: A storm warning" in [reason["text"] for reason in reasons]
    assert sum(reason["points"] for reason in reasons) == item["score"]
