import base64
import dataclasses
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from lightwell.base.clock import now_s
from lightwell.base.db import WriteSession
from lightwell.base.errors import Problem
from lightwell.residency import gateway, gateway_web, tripwires
from lightwell.residency.cell import Cell, InForce
from lightwell.residency.courier import Courier
from lightwell.residency.gateway import Message, send, transfer_state
from lightwell.wire.entries import TransferReceived, TransferRefused, TransferSent
from lightwell.wire.signed_request import headers
from tests.unit.residency.two_cells import (
    JPEG,
    World,
    app_of,
    entries_of,
    envelope,
    found_world,
    postcard,
    signed_post,
)

Stored = list[tuple[Message, dict[str, bytes]]]


@pytest.fixture
def stored() -> Stored:
    return []


@pytest.fixture
def world(
    tmp_path: Path, database_url: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    def keep(_: WriteSession, cell: Cell, message: Message, media: Mapping[str, str]) -> None:
        stored.append((message, {name: cell.objects.get(key) for name, key in media.items()}))

    monkeypatch.setattr(gateway, "_receivers", {})
    monkeypatch.setattr(gateway_web, "_unsigned", gateway_web.Flood(60))
    gateway.on_receive("public-video", keep)
    made = found_world(tmp_path, database_url)
    made.us.objects.put("videos/poster.jpg", JPEG)
    yield made
    made.us.close()
    made.sg.close()


@pytest.fixture
def sg(world: World) -> Iterator[TestClient[Any]]:
    with TestClient(app_of(world.sg), base_url="http://sg.test") as client:
        yield client


MEDIA = {"poster.jpg": "videos/poster.jpg"}


def refused(cell: Cell, message: Message, media: Mapping[str, str] | None = None, peer: str = "sg") -> str:
    with pytest.raises(Problem) as caught:
        send(cell, peer, message, MEDIA if media is None else media)
    assert caught.value.slug == "transfer-refused"
    reason = str(caught.value.extra["reason"])
    assert [entry.reason for entry in entries_of(cell, TransferRefused)] == [reason]
    assert entries_of(cell, TransferSent) == []
    return reason


def post(sg: TestClient[Any], world: World, body: bytes) -> tuple[int, str]:
    answer = sg.post("/gateway/transfers", content=body, headers=signed_post(world.us, body))
    return answer.status_code, str(answer.json().get("reason", ""))


def test_message_crosses_with_its_media_and_both_ends_record_it(
    world: World, sg: TestClient[Any], stored: Stored
) -> None:
    message = postcard()
    transfer = send(world.us, "sg", message, MEDIA)
    assert Courier(world.us, sg).deliver_due() == 1
    assert stored == [(message, {"poster.jpg": JPEG})]
    [sent], [received] = entries_of(world.us, TransferSent), entries_of(world.sg, TransferReceived)
    assert (sent.transfer, sent.digest, sent.size) == (received.transfer, received.digest, received.size)
    assert (sent.peer, received.peer) == ("sg", "us")
    assert sent.transfer == transfer
    assert list(world.sg.objects.list("gateway")) == []


def test_same_message_is_sent_once(world: World, sg: TestClient[Any], stored: Stored) -> None:
    message = postcard()
    assert send(world.us, "sg", message, MEDIA) == send(world.us, "sg", message, MEDIA)
    courier = Courier(world.us, sg)
    assert (courier.deliver_due(), courier.deliver_due()) == (1, 0)
    assert len(stored) == len(entries_of(world.us, TransferSent)) == 1


def test_transfer_delivered_twice_is_received_once(world: World, sg: TestClient[Any], stored: Stored) -> None:
    body = envelope(msgspec.to_builtins(postcard(picture=None)))
    assert [post(sg, world, body)[0] for _ in range(3)] == [200] * 3
    assert len(stored) == len(entries_of(world.sg, TransferReceived)) == 1


def test_transfer_waits_for_a_peer_that_is_down(
    world: World, sg: TestClient[Any], stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = send(world.us, "sg", postcard(), MEDIA)
    monkeypatch.setattr("lightwell.residency.courier.MAX_WAIT_MS", 0)
    down = Courier(world.us)  # the real client: nothing listens at http://sg.test
    assert down.deliver_due() == 0
    with world.us.database.read() as session:
        assert transfer_state(session, transfer) == "queued"
    assert Courier(world.us, sg).deliver_due() == 1
    assert len(stored) == 1


def test_message_to_an_unknown_cell_is_refused(world: World) -> None:
    assert refused(world.us, postcard(), peer="eu") == "no-flow"


def test_message_beyond_its_bounds_is_refused(world: World) -> None:
    assert refused(world.us, postcard("x" * 301)) == "malformed"


def test_media_other_than_named_is_refused(world: World) -> None:
    assert refused(world.us, postcard(), {}) == "media-unknown"


def test_media_with_other_bytes_than_named_is_refused(world: World) -> None:
    world.us.objects.put("videos/poster.jpg", JPEG[:-2] + b"more\xff\xd9")
    assert refused(world.us, postcard()) == "media-digest"


def test_media_with_metadata_is_refused(world: World) -> None:
    exif = JPEG[:2] + b"\xff\xe1\x00\x10Exif\x00\x00 37.42 N" + JPEG[2:]
    world.us.objects.put("videos/poster.jpg", exif)
    assert refused(world.us, postcard(picture=exif)) == "media-metadata"


def test_protected_value_in_a_caption_is_refused(world: World) -> None:
    with world.us.database.write() as session:
        tripwires.guard(session, world.us.vault, "a" * 16, ["742 Evergreen Terrace, Springfield"])
    assert refused(world.us, postcard("meet at 742 evergreen terrace springfield!")) == "tripwire"


def test_encoded_address_in_a_caption_is_refused(world: World) -> None:
    hidden = base64.b64encode(b'{"to": "ana.lopez@example.org"}').decode()
    assert refused(world.us, postcard(f"look {hidden}")) == "tripwire"


@pytest.mark.parametrize("limit", [{"daily_messages": 1}, {"daily_bytes": 600}])
def test_budget_of_the_day_is_kept(world: World, limit: dict[str, int]) -> None:
    tight = msgspec.structs.replace(world.us.agreement.flows[0], **limit)
    agreement = msgspec.structs.replace(world.us.agreement, flows=[tight])
    cell = dataclasses.replace(
        world.us, governed=InForce(dataclasses.replace(world.us.governed.now, agreement=agreement))
    )
    send(cell, "sg", postcard(), MEDIA)
    with pytest.raises(Problem) as caught:
        send(cell, "sg", postcard(), MEDIA)
    assert (caught.value.status, caught.value.extra["reason"]) == (429, "over-budget")


def test_dishonest_senders_protected_field_is_refused_and_recorded(
    world: World, sg: TestClient[Any], stored: Stored
) -> None:
    message = msgspec.to_builtins(postcard(picture=None)) | {"creator_email": "ana@example.org"}
    assert post(sg, world, envelope(message)) == (400, "unknown-field")
    [entry] = entries_of(world.sg, TransferRefused)
    assert (entry.reason, entry.peer, entry.flow) == ("unknown-field", "us", "public-video")
    assert stored == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"caption": 7}, "malformed"),
        ({"caption": "x" * 301}, "malformed"),
        ({"video_id": "not an id"}, "malformed"),
        ({"caption": "write to ana@example.org"}, "tripwire"),
        ({"media": {"backup.zip": "0" * 64}}, "media-unknown"),
        ({"media": {"poster.jpg": "../../etc/passwd"}}, "media-unknown"),
    ],
)
def test_message_that_does_not_fit_is_refused_by_the_receiver(
    world: World, sg: TestClient[Any], stored: Stored, changed: dict[str, Any], reason: str
) -> None:
    message = msgspec.to_builtins(postcard(picture=None)) | changed
    assert post(sg, world, envelope(message))[1] == reason
    assert stored == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"source": "sg"}, "wrong-sender"),
        ({"target": "us"}, "wrong-cell"),
        ({"flow": "user-dump"}, "no-flow"),
    ],
)
def test_envelope_for_another_way_is_refused(
    world: World, sg: TestClient[Any], changed: dict[str, Any], reason: str
) -> None:
    body = envelope(msgspec.to_builtins(postcard(picture=None)), **changed)
    assert post(sg, world, body) == (403, reason)
    [entry] = entries_of(world.sg, TransferRefused)
    # What a peer can write freely is not repeated in the ledger.
    assert entry.flow in ("public-video", "unknown")


@pytest.mark.parametrize("body", [b"", b"{}", b"[" * 5000, b"\xff", b'{"v":1}', b"x" * 65_536])
def test_nonsense_is_a_problem_and_never_an_error(world: World, sg: TestClient[Any], body: bytes) -> None:
    assert post(sg, world, body) == (400, "malformed")


def test_body_over_the_limit_is_refused(world: World, sg: TestClient[Any]) -> None:
    assert post(sg, world, b"x" * 65_537)[0] == 413


def test_request_without_a_peers_signature_is_refused_and_recorded(world: World, sg: TestClient[Any]) -> None:
    body = envelope(msgspec.to_builtins(postcard(picture=None)))
    for unsigned in (
        {},
        signed_post(world.sg, body),
        signed_post(world.us, body + b" "),
        signed_post(world.us, body) | {"Lightwell-Time": "1"},
        signed_post(world.us, body) | {"Lightwell-Signature": "zz"},
        signed_post(world.us, body, "/gateway/other"),
    ):
        answer = sg.post("/gateway/transfers", content=body, headers=unsigned)
        assert (answer.status_code, answer.json()["reason"]) == (401, "bad-signature")
    assert [e.reason for e in entries_of(world.sg, TransferRefused)] == ["bad-signature"] * 6


def test_transfer_id_cannot_be_used_for_another_message(world: World, sg: TestClient[Any]) -> None:
    first = msgspec.to_builtins(postcard("one", picture=None))
    second = msgspec.to_builtins(postcard("two", picture=None))
    assert post(sg, world, envelope(first, transfer="1" * 16))[0] == 200
    assert post(sg, world, envelope(second, transfer="1" * 16)) == (403, "transfer-reused")


def put(sg: TestClient[Any], world: World, digest: str, data: bytes) -> tuple[int, str]:
    path = f"/gateway/media/{digest}"
    signed = headers(world.us.vault.signing_key("gateway"), "PUT", path, digest, now_s())
    answer = sg.put(path, content=data, headers=signed)
    return answer.status_code, str(answer.json().get("reason", ""))


def test_media_that_no_message_announced_is_refused(world: World, sg: TestClient[Any]) -> None:
    assert put(sg, world, sha256(JPEG).hexdigest(), JPEG) == (403, "media-unknown")
    assert list(world.sg.objects.list("gateway")) == []


def test_announced_media_with_other_bytes_is_refused(world: World, sg: TestClient[Any]) -> None:
    body = envelope(msgspec.to_builtins(postcard()))
    answer = sg.post("/gateway/transfers", content=body, headers=signed_post(world.us, body))
    digest = sha256(JPEG).hexdigest()
    assert (answer.status_code, answer.json()["missing"]) == (409, [digest])
    assert put(sg, world, digest, JPEG + b"tail") == (403, "media-digest")
    assert put(sg, world, digest, JPEG) == (200, "")
    assert post(sg, world, body)[0] == 200


def test_receiver_that_fails_leaves_nothing_half_done(
    world: World, sg: TestClient[Any], stored: Stored
) -> None:
    def fail(*_: Any) -> None:
        raise Problem(503, "busy", "Later.")

    gateway.on_receive("public-video", fail)
    body = envelope(msgspec.to_builtins(postcard(picture=None)))
    assert post(sg, world, body)[0] == 503
    assert entries_of(world.sg, TransferReceived) == []


def test_peers_final_refusal_is_recorded_at_the_sender(world: World, sg: TestClient[Any]) -> None:
    gateway._receivers.clear()
    transfer = send(world.us, "sg", postcard(), MEDIA)
    assert Courier(world.us, sg).deliver_due() == 0
    with world.us.database.read() as session:
        assert transfer_state(session, transfer) == "refused"
    assert [entry.reason for entry in entries_of(world.us, TransferRefused)] == ["by-peer:no-flow"]
