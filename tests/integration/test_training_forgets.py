"""Models forget people: none that learned from somebody erased begins to serve, or goes on for long."""

import secrets
from dataclasses import replace

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from lightwell.base.errors import Problem
from lightwell.product.feed import tasks, training_deploy, training_people
from lightwell.product.feed.serving import Serving
from lightwell.product.feed.tasks import Trainer
from lightwell.product.feed.training_models import ModelPeopleRow, ModelRow
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell
from tests.factories.catalogue import insert_catalogue, sequence, video_id
from tests.factories.people import sign_up

Client = TestClient[Litestar]
ONE_ENGINE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are trained as often as asked for, and it is looked for erased people each time."""
    monkeypatch.setattr(tasks, "_MODEL_SHARE", 1e9)
    monkeypatch.setattr(tasks, "_LOOK_SECONDS", 0.0)


def watch(client: Client, *numbers: int) -> None:
    events = [
        {"event_id": secrets.token_hex(16), "kind": "watch", "video_id": video_id(number), "watch_ms": 8000}
        for number in numbers
    ]
    assert client.post("/api/events", json={"events": events}).status_code == 202


def trained(trainer: Trainer) -> str:
    digest = trainer.publish_if_changed()
    assert digest is not None
    return digest


def serving(cell: Cell) -> Snapshot:
    sequence(cell)
    found = Serving(cell).current()[0]
    assert isinstance(found, Snapshot)
    return found


def erase(cell: Cell, account_id: str) -> None:
    with cell.database.write() as session:
        cell.vault.destroy(session, account_id)


def three_models(client: Client, cell: Cell) -> tuple[Cell, Trainer, list[str], str]:
    """Models before anybody watched, of one who will be erased, and of that one and another."""
    insert_catalogue(cell, 8)
    cell = replace(cell, settings=msgspec.structs.replace(cell.settings, model_seconds=0.0))
    trainer = Trainer(cell)
    found = [trained(trainer)]
    gone = sign_up(client, "soon.gone")["account_id"]
    watch(client, 1, 2, 3)
    found.append(trained(trainer))
    client.cookies.clear()
    sign_up(client, "who.stays")
    watch(client, 1)
    found.append(trained(trainer))
    return cell, trainer, found, gone


def test_going_back_to_a_model_that_learned_from_somebody_erased_is_refused(
    client: Client, cell: Cell
) -> None:
    cell, _, (blank, of_one, of_both), gone = three_models(client, cell)
    assert serving(cell).digest == of_both
    erase(cell, gone)
    with pytest.raises(Problem, match="has been erased since") as refused:
        training_deploy.roll_back(cell, of_one)
    assert refused.value.status == 409
    with cell.database.read() as session:
        assert training_deploy.held_model(session) is None
        # What is known of people is forgotten with them: the mark alone stays.
        assert set(session.scalars(select(ModelPeopleRow.digest))) == {blank}
        marked = session.scalars(select(ModelRow.digest).where(ModelRow.erased_at.is_not(None)))
        assert set(marked) == {of_one, of_both}
    # Without a digest it is the last one that may serve.
    assert training_deploy.roll_back(cell) == blank
    assert serving(cell).base == blank


@ONE_ENGINE
def test_a_model_that_is_held_makes_way_when_somebody_it_learned_from_is_erased(
    client: Client, cell: Cell
) -> None:
    cell, trainer, (_, of_one, _), gone = three_models(client, cell)
    sequence(cell)
    assert training_deploy.roll_back(cell) == of_one
    trainer.publish_if_changed()
    assert serving(cell).base == of_one
    erase(cell, gone)
    newest = trained(trainer)
    now = serving(cell)
    assert now.digest == now.base == newest
    assert int(now.views.sum()) == 1
    with cell.database.read() as session:
        assert training_deploy.held_model(session) is None


@ONE_ENGINE
def test_an_erasure_alone_makes_the_next_training_due(client: Client, cell: Cell) -> None:
    cell, trainer, _, gone = three_models(client, cell)
    assert trainer.publish_if_changed() is None
    erase(cell, gone)
    trained(trainer)
    assert int(serving(cell).views.sum()) == 1


@ONE_ENGINE
def test_letting_go_takes_the_newest_model_that_may_serve(client: Client, cell: Cell) -> None:
    cell, _, (blank, _, _), gone = three_models(client, cell)
    sequence(cell)
    training_deploy.roll_back(cell, blank)
    erase(cell, gone)
    assert training_deploy.let_go(cell) == blank


@ONE_ENGINE
def test_a_model_too_old_to_tell_whom_it_learned_from_is_refused(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_people, "_REMEMBERED", 2)
    cell, _, (blank, of_one, _), _ = three_models(client, cell)
    sequence(cell)
    with pytest.raises(Problem, match="too old"):
        training_deploy.roll_back(cell, blank)
    assert training_deploy.roll_back(cell) == of_one
