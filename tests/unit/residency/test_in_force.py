import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from lightwell.agreement.orders import make_order
from lightwell.base.clock import fresh_id, now_s
from lightwell.base.errors import Problem
from lightwell.residency import in_force
from lightwell.residency.cell import Cell
from lightwell.residency.in_force import OrderWatch, require_allowed, take
from lightwell.wire.entries import OrderEffective, OrderRefused, OrderTaken
from lightwell.wire.keys import SigningKey
from tests.unit.residency.two_cells import World, app_of, entries_of, found_world


@pytest.fixture
def world(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(in_force, "_refusals", in_force.Flood(in_force.REFUSALS_PER_MINUTE))
    made = found_world(tmp_path, database_url)
    yield made
    made.us.close()
    made.sg.close()


def order(key: SigningKey, verb: str = "suspend", **changed: Any) -> str:
    fields: dict[str, Any] = {
        "order": fresh_id(),
        "scope": "uploads",
        "cell": "us",
        "sequence": time.time_ns() // 1000,
        "issued_at": now_s(),
        "reason": "a drill",
    }
    return make_order(key, verb=verb, **(fields | changed))


def refusal(cell: Cell, text: str) -> Problem:
    with pytest.raises(Problem) as caught:
        take(cell, text)
    return caught.value


def check(cell: Cell, scope: str = "uploads") -> None:
    with cell.database.read() as session:
        require_allowed(session, scope)


def test_order_bites_at_once_and_its_lift_ends_it(world: World) -> None:
    check(world.us)
    taken = take(world.us, order(world.keys["authority"]))
    with pytest.raises(Problem) as caught:
        check(world.us)
    assert (caught.value.status, caught.value.slug) == (403, "suspended-by-order")
    assert caught.value.extra["order"] == taken.order
    check(world.us, "sign_ups")
    take(world.us, order(world.keys["authority"], "lift"))
    check(world.us)
    assert [entry.verb for entry in entries_of(world.us, OrderTaken)] == ["suspend", "lift"]


def test_order_binds_a_process_that_starts_later(world: World) -> None:
    take(world.us, order(world.keys["authority"]))
    restarted = Cell.open(world.us.settings.folder, process="worker")
    with pytest.raises(Problem, match="stopped uploads"):
        check(restarted)
    restarted.close()


def test_replayed_order_is_refused_and_recorded(world: World) -> None:
    text = order(world.keys["authority"])
    first = take(world.us, text)
    take(world.us, order(world.keys["authority"], "lift"))
    assert refusal(world.us, text).extra["reason"] == "replayed"
    check(world.us)
    refused = entries_of(world.us, OrderRefused)
    assert [(entry.digest, entry.reason) for entry in refused] == [(first.digest, "replayed")]


def test_forged_order_is_refused_and_recorded(world: World) -> None:
    forger = SigningKey.generate("authority", secrets.token_bytes(32))
    assert refusal(world.us, order(forger)).extra["reason"] == "bad-signature"
    assert refusal(world.us, order(world.keys["stranger"])).extra["reason"] == "unknown-signer"
    assert [e.reason for e in entries_of(world.us, OrderRefused)] == ["bad-signature", "unknown-signer"]
    check(world.us)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"cell": "sg"}, "wrong-cell"),
        ({"issued_at": now_s() - 200_000}, "back-dated"),
        ({"issued_at": now_s() - 100, "expires_at": now_s() - 50}, "expired"),
        ({"scope": "feed"}, "not-empowered"),
    ],
)
def test_order_that_does_not_apply_is_refused(world: World, changed: dict[str, Any], reason: str) -> None:
    assert refusal(world.us, order(world.keys["authority"], **changed)).extra["reason"] == reason
    assert entries_of(world.us, OrderTaken) == []


def test_same_paper_refused_twice_is_recorded_once(world: World) -> None:
    text = order(world.keys["stranger"])
    refusal(world.us, text)
    refusal(world.us, text)
    assert len(entries_of(world.us, OrderRefused)) == 1


def test_flood_of_forged_orders_does_not_fill_the_ledger(world: World) -> None:
    answers = [refusal(world.us, f"paper {n}").status for n in range(in_force.REFUSALS_PER_MINUTE + 5)]
    assert answers[-5:] == [429] * 5
    assert len(entries_of(world.us, OrderRefused)) == in_force.REFUSALS_PER_MINUTE


def test_copies_delivered_side_by_side_are_taken_once(world: World) -> None:
    text, outcomes = order(world.keys["authority"]), []

    def deliver() -> None:
        try:
            take(world.us, text)
            outcomes.append("taken")
        except Problem as problem:
            outcomes.append(problem.extra["reason"])

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["replayed"] * 5 + ["taken"]
    assert len(entries_of(world.us, OrderTaken)) == 1


def test_each_process_records_once_that_it_obeys(world: World) -> None:
    taken = take(world.us, order(world.keys["authority"]))
    for _ in range(2):
        for process in ("web", "worker"):
            OrderWatch(world.us, process).look()
    found = [(entry.order, entry.process) for entry in entries_of(world.us, OrderEffective)]
    assert found == [(taken.order, "web"), (taken.order, "worker")]


def test_orders_are_delivered_and_shown_over_http(world: World) -> None:
    with TestClient(app_of(world.us)) as client:
        text = order(world.keys["authority"])
        answer = client.post("/api/orders", content=text)
        assert (answer.status_code, answer.json()["effective"]) == (200, True)
        again = client.post("/api/orders", content=text)
        assert (again.status_code, again.json()["reason"]) == (409, "replayed")
        assert client.post("/api/orders", content=b"\xff\xfe").status_code == 400
        assert client.post("/api/orders", content=b"x" * 100_000).status_code == 413
        shown = client.get("/api/orders").json()["orders"]
        assert [(row["in_force"], row["text"]) for row in shown] == [(True, text)]
