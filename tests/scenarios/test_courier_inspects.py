"""What somebody writes into a cell's queue behind its gateway is inspected before it goes."""

import json
import secrets
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient
from sqlalchemy import insert, select, update

from lightwell.base.clock import now_ms
from lightwell.base.db import WriteSession
from lightwell.residency import gateway, tripwires
from lightwell.residency.cell import Cell
from lightwell.residency.courier import Courier
from lightwell.residency.decide import Refused
from lightwell.residency.gateway import Message, send, transfer_state
from lightwell.residency.gateway_models import OutgoingTransfer
from lightwell.residency.quarantine_models import QuarantinedRow
from lightwell.wire.entries import TransferReceived, TransferRefused
from tests.unit.residency.two_cells import JPEG, World, app_of, entries_of, envelope, found_world, postcard

HOME = "742 Evergreen Terrace, Springfield"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    def ignore(_: WriteSession, __: Cell, ___: Message, ____: Mapping[str, str]) -> None:
        return

    monkeypatch.setattr(gateway, "_receivers", {})
    gateway.on_receive("public-video", ignore)
    made = found_world(tmp_path, "sqlite:///cell.db")
    made.us.objects.put("videos/poster.jpg", JPEG)
    with made.us.database.write() as session:
        tripwires.guard(session, made.us.vault, "a" * 16, [HOME])
    yield made
    made.us.close()
    made.sg.close()


@pytest.fixture
def wire(world: World) -> Iterator[TestClient[Any]]:
    with TestClient(app_of(world.sg), base_url="http://sg.test") as client:
        yield client


def smuggle(world: World, fields: dict[str, Any], media: dict[str, str] | None = None, **changed: Any) -> str:
    """Write a transfer into the queue as no code of the cell would."""
    transfer = secrets.token_hex(8)
    body = envelope(fields, transfer=transfer)
    row = {
        "transfer_id": transfer,
        "flow": "public-video",
        "peer": "sg",
        "content_digest": secrets.token_hex(32),
        "envelope": body,
        "media": json.dumps(media or {}).encode(),
        "size_bytes": len(body) + sum(world.us.objects.size(key) for key in (media or {}).values()),
        "state": "queued",
        "next_try_at": 0,
        "created_at": now_ms(),
    }
    with world.us.database.write() as session:
        session.execute(insert(OutgoingTransfer).values(row | changed))
    return transfer


def stopped(world: World, wire: TestClient[Any], transfer: str) -> str:
    """Let the courier try; say why it did not send, having checked that not a byte reached the peer."""
    asked: list[str] = []
    wire.event_hooks = {"request": [lambda request: asked.append(str(request.url))]}
    assert Courier(world.us, wire).deliver_due() == 0
    assert asked == []
    assert entries_of(world.sg, TransferReceived) == []
    with world.us.database.read() as session:
        assert transfer_state(session, transfer) == "refused"
    [entry] = entries_of(world.us, TransferRefused)
    assert (entry.transfer, entry.peer) == (transfer, "sg")
    assert Courier(world.us, wire).deliver_due() == 0
    return str(entry.reason)


def test_guarded_value_that_was_put_into_the_queue_stays_and_is_kept_in_quarantine(
    world: World, wire: TestClient[Any]
) -> None:
    transfer = smuggle(world, msgspec.to_builtins(postcard(f"meet me at {HOME}", picture=None)))
    assert stopped(world, wire, transfer) == "tripwire"
    with world.us.database.read() as session:
        [item] = session.scalars(select(QuarantinedRow)).all()
    assert (item.transfer_id, item.outgoing, item.found) == (transfer, True, "protected-value")


def test_field_of_no_type_that_was_put_into_the_queue_stays(world: World, wire: TestClient[Any]) -> None:
    fields = msgspec.to_builtins(postcard(picture=None)) | {"creator_email": "ana@example.org"}
    assert stopped(world, wire, smuggle(world, fields)) == "unknown-field"


def test_flow_of_no_agreement_that_was_put_into_the_queue_stays(world: World, wire: TestClient[Any]) -> None:
    fields = msgspec.to_builtins(postcard(picture=None))
    assert stopped(world, wire, smuggle(world, fields, flow="account-details")) == "malformed"


@pytest.mark.parametrize("tail", [b"", b"and what else I know"])
def test_media_that_was_put_into_the_queue_is_inspected(
    world: World, wire: TestClient[Any], tail: bytes
) -> None:
    exif = JPEG[:2] + b"\xff\xe1\x00\x10Exif\x00\x00 37.42 N" + JPEG[2:]
    world.us.objects.put("videos/loot.jpg", exif + tail)
    fields = msgspec.to_builtins(postcard(picture=exif))
    transfer = smuggle(world, fields, {sha256(exif).hexdigest(): "videos/loot.jpg"})
    assert stopped(world, wire, transfer) == ("media-digest" if tail else "media-metadata")


def test_message_that_was_changed_after_it_was_queued_stays(world: World, wire: TestClient[Any]) -> None:
    transfer = send(world.us, "sg", postcard("all well"), {"poster.jpg": "videos/poster.jpg"})
    fields = msgspec.to_builtins(postcard(f"all well at {HOME}"))
    with world.us.database.write() as session:
        session.execute(update(OutgoingTransfer).values(envelope=envelope(fields, transfer=transfer)))
    assert stopped(world, wire, transfer) in ("tripwire", "media-unknown")


def test_queue_beyond_the_days_budget_stays_and_what_was_before_it_goes(
    world: World, wire: TestClient[Any]
) -> None:
    send(world.us, "sg", postcard("in time"), {"poster.jpg": "videos/poster.jpg"})
    room = world.us.agreement.flows[0].daily_bytes
    smuggle(world, msgspec.to_builtins(postcard(picture=None)), size_bytes=room, state="accepted")
    late = smuggle(world, msgspec.to_builtins(postcard(picture=None)), created_at=now_ms() + 5)
    assert Courier(world.us, wire).deliver_due() == 1
    [entry] = entries_of(world.us, TransferRefused)
    assert (entry.transfer, entry.reason) == (late, "over-budget")


def test_message_that_a_decision_forbids_by_now_stays(
    world: World, wire: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = send(world.us, "sg", postcard("all well"), {"poster.jpg": "videos/poster.jpg"})

    def forbid(*_: Any, **__: Any) -> None:
        raise Refused("region-forbids")

    monkeypatch.setattr(world.us.decider, "decide", forbid)
    assert stopped(world, wire, transfer) == "decision"
