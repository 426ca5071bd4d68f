"""What the gateway stopped for what it holds: sealed at home, looked at by few, and never let on."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from lightwell.apps.demo.staff_desk import StaffDesk
from lightwell.apps.demo.supervisor import Supervisor
from lightwell.base.clock import fresh_id, now_ms
from lightwell.base.errors import Problem
from lightwell.product.videos.messages import PublicVideo
from lightwell.residency import erasure, gateway, quarantine, tripwires
from lightwell.residency.decide import Principal, Refused, Resource
from lightwell.residency.keys_models import AccountKey
from lightwell.residency.quarantine_models import QuarantinedRow
from lightwell.residency.sealing import SealError
from lightwell.residency.staff import Member, enrol
from lightwell.wire.entries import AccessDecided, QuarantineClosed, QuarantineOpened, TransferRefused
from tests.factories.cells import fresh_key
from tests.scenarios.staffed_cell import within
from tests.scenarios.two_gateways import Gateways, message

SECRET = "ana.lopez@canary-4711.example"
HOME = "742 Evergreen Terrace, Springfield"
WHY = "gateway_review"


class World(Gateways):
    """Two cells: the sender's worker and desk, the receiver's gateway and desk."""

    def hire(self, cell: str, **changes: Any) -> StaffDesk:
        """Enter somebody in a cell's directory and sit them at its desk."""
        key = fresh_key(f"staff-{fresh_id()}")
        fields = {"role": "approver", "employer": "operator", "place": cell, "vetted": True} | changes
        with self.cells[cell].database.write() as session:
            enrol(session, Member(name="Robin Reyes", vkey=key.verifier().vkey(), **fields))
        return StaffDesk(self.deployment.urls[cell], key)

    def rows(self, cell: str, **wanted: Any) -> list[QuarantinedRow]:
        with self.cells[cell].database.read() as session:
            return list(session.scalars(select(QuarantinedRow).filter_by(**wanted)))

    def stop(self, caption: str, account_id: str = "", **changed: Any) -> str:
        """Let the us cell try to send this to sg; return the item it keeps."""
        fields = message(caption, media={}, **changed)
        before = {row.item_id for row in self.rows("us")}
        with pytest.raises(Problem) as caught:
            gateway.send(self.cells["us"], "sg", PublicVideo(**fields), {}, account_id)
        assert caught.value.extra["reason"] == "tripwire"
        [made] = [row.item_id for row in self.rows("us") if row.item_id not in before]
        return made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("quarantine"))
    wanted = ("us web", "us worker", "sg web")
    with Supervisor(made.deployment.folder) as supervisor:
        try:
            for cell in made.cells.values():
                with cell.database.write() as session:
                    tripwires.guard(session, cell.vault, "a" * 16, [SECRET, HOME])
            made.start("sg")
            supervisor.start([child for child in made.deployment.children() if child.name in wanted])
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def approver(world: World) -> Iterator[StaffDesk]:
    with world.hire("us") as desk:
        yield desk


def call(desk: StaffDesk, method: str, path: str, body: Any = None) -> httpx.Response:
    return desk.http.request(method, "/api/quarantine" + path, json=body)


def look(desk: StaffDesk, item: str, why: str = WHY) -> httpx.Response:
    return call(desk, "POST", f"/{item}/look", {"reason": why})


def entry_for(world: World, cell: str, kind: type[Any], **fields: Any) -> list[Any]:
    found = world.entries_of(cell, kind)
    return [one for one in found if all(getattr(one, name) == value for name, value in fields.items())]


def test_a_reviewer_at_home_sees_what_was_stopped_with_the_hit_masked_and_each_look_is_an_entry(
    world: World, approver: StaffDesk
) -> None:
    item = world.stop(f"cranes folded at {HOME}", creator_name="Mira Folds")
    [listed] = [one for one in call(approver, "GET", "").json()["items"] if one["item_id"] == item]
    assert (listed["found"], listed["peer"], listed["state"]) == ("protected-value", "sg", "waiting")
    assert HOME not in json.dumps(listed)
    assert "cranes" not in json.dumps(listed)
    for number in (1, 2):
        answer = look(approver, item)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        seen = answer.json()
        shown = {one["field"]: one for one in seen["shown"]}
        assert shown["creator_name"] == {"field": "creator_name", "text": "Mira Folds", "masked": False}
        assert shown["caption"]["masked"]
        assert "Evergreen" not in answer.text
        assert "Springfield" not in answer.text
        mark = seen["watermark"]
        assert (mark["who"], mark["grant"], mark["look"]) == ("Robin Reyes", item, number)
        [entry] = entry_for(world, "us", QuarantineOpened, item=item, look=number)
        assert (entry.place, entry.role, entry.reason) == ("us", "approver", WHY)


def test_a_pattern_is_masked_where_it_stands_and_the_words_around_it_are_shown(
    world: World, approver: StaffDesk
) -> None:
    item = world.stop("write to some.body@elsewhere.example about cranes", sound_title="Sunday Drive")
    shown = {one["field"]: one["text"] for one in look(approver, item).json()["shown"]}
    assert shown["caption"] == "write to •••••• about cranes"
    assert shown["sound_title"] == "Sunday Drive"


def test_a_value_split_over_fields_is_masked_in_each_of_them(world: World, approver: StaffDesk) -> None:
    item = world.stop("742 Evergreen Terr", sound_title="ace, Springfield")
    text = look(approver, item).text
    assert "742" not in text
    assert "Springfield" not in text


def test_what_the_receiver_stops_is_kept_there_and_looked_at_there_only(
    world: World, approver: StaffDesk
) -> None:
    with world.client() as client:
        assert world.post(message(f"write to {SECRET}"), client).json()["reason"] == "tripwire"
    [row] = world.rows("sg")
    assert (row.peer, row.outgoing, row.reason, row.account_id) == ("us", False, "tripwire", None)
    assert look(approver, row.item_id).status_code == 404
    with world.hire("sg") as there:
        seen = look(there, row.item_id)
        assert seen.status_code == 200, seen.text
        assert SECRET not in seen.text
        assert "ana.lopez" not in seen.text
    assert entry_for(world, "us", QuarantineOpened, item=row.item_id) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"role": "analyst"}, "role-not-allowed"),
        ({"role": "master_admin"}, "role-not-allowed"),
        ({"place": "sg"}, "not-at-home"),
        ({"place": "parent-home"}, "excluded-place"),
        ({"vetted": False}, "not-vetted"),
        ({"reports_to_entity": "parent"}, "line-excluded"),
    ],
)
def test_staff_abroad_analysts_and_the_parents_people_are_refused_and_recorded(
    world: World, changes: dict[str, Any], why: str
) -> None:
    [item, *_] = [row.item_id for row in world.rows("us", state="waiting")] or [world.stop(f"at {HOME} x")]
    with world.hire("us", **changes) as desk:
        for method, path, body in (
            ("GET", "", None),
            ("POST", f"/{item}/look", {"reason": WHY}),
            ("POST", f"/{item}/discard", None),
            ("POST", f"/{item}/report", None),
        ):
            before = len(entry_for(world, "us", AccessDecided, outcome="refused", reason=why))
            answer = call(desk, method, path, body)
            assert (answer.status_code, answer.json()["reason"]) == (403, why), path
            assert "items" not in answer.json()
            assert "shown" not in answer.json()
            assert len(entry_for(world, "us", AccessDecided, outcome="refused", reason=why)) == before + 1
    assert [row.state for row in world.rows("us", item_id=item)] == ["waiting"]


def test_a_look_without_an_agreed_reason_or_without_signing_in_is_refused(
    world: World, approver: StaffDesk
) -> None:
    item = world.stop(f"who lives at {HOME}?")
    assert look(approver, item, "curiosity").json()["reason"] == "purpose-not-agreed"
    assert call(approver, "POST", f"/{item}/look", {}).status_code == 400
    assert look(approver, "0" * 16).status_code == 404
    assert look(approver, "..%2f..").status_code == 404
    stranger = httpx.get(world.deployment.urls["us"] + "/api/quarantine", trust_env=False)
    assert stranger.status_code == 401
    assert entry_for(world, "us", QuarantineOpened, item=item) == []


def test_nothing_is_ever_released(world: World, approver: StaffDesk) -> None:
    item = world.stop(f"again {HOME}")
    for verb in ("release", "send", "approve", "forward"):
        assert call(approver, "POST", f"/{item}/{verb}").status_code in (404, 405)
    door = Principal("process", "gateway", "gateway")
    stopped = Resource(category="user.content", residency="protected", bound_for="sg")
    with pytest.raises(Refused) as caught:
        world.cells["us"].decider.decide(door, "cross", stopped, "public-video")
    assert caught.value.reason == "protected-stays"


def test_what_is_discarded_is_gone_with_its_key_and_only_after_a_look(
    world: World, approver: StaffDesk
) -> None:
    item = world.stop(f"not worth it, {HOME}")
    assert call(approver, "POST", f"/{item}/discard").json()["type"].endswith("not-looked-at")
    assert look(approver, item).status_code == 200
    assert call(approver, "POST", f"/{item}/discard").json() == {"item_id": item, "state": "discarded"}
    [row] = world.rows("us", item_id=item)
    assert (row.message, row.content_index, row.kept_bytes) == (None, None, 0)
    with world.cells["us"].database.read() as session:
        assert session.get(AccountKey, item) is None
    assert look(approver, item).status_code == 410
    [closed] = entry_for(world, "us", QuarantineClosed, item=item)
    assert (closed.outcome, closed.looks) == ("discarded", 1)


def test_what_is_reported_stays_until_its_days_are_over(world: World, approver: StaffDesk) -> None:
    item = world.stop(f"worth a report, {HOME}")
    look(approver, item)
    assert call(approver, "POST", f"/{item}/report").json()["state"] == "reported"
    assert call(approver, "POST", f"/{item}/discard").status_code == 409
    assert look(approver, item).status_code == 200
    [closed] = entry_for(world, "us", QuarantineClosed, item=item)
    assert closed.outcome == "reported"


def test_the_worker_ends_what_is_over_its_days(world: World, approver: StaffDesk) -> None:
    item = world.stop(f"long ago at {HOME}")
    [row] = world.rows("us", item_id=item)
    assert row.expires_at - row.stopped_at == quarantine.KEPT_DAYS * 86_400_000
    with world.cells["us"].database.write() as session:
        session.execute(update(QuarantinedRow).filter_by(item_id=item).values(expires_at=now_ms()))
    assert look(approver, item).status_code in (404, 410)
    within(lambda: not world.rows("us", item_id=item), "the worker ended the item")
    [closed] = entry_for(world, "us", QuarantineClosed, item=item)
    assert closed.outcome == "expired"
    with world.cells["us"].database.read() as session:
        assert session.get(AccountKey, item) is None


def test_what_is_somebodys_is_sealed_under_their_key_and_erased_with_them(world: World) -> None:
    us, account = world.cells["us"], fresh_id()
    with us.database.write() as session:
        us.vault.new_account_key(session, account)
    item = world.stop(f"of an account: {HOME}", account)
    [row] = world.rows("us", item_id=item)
    assert row.account_id == account
    with us.database.write() as session:
        erasure.erase(us, session, account)
    within(lambda: entry_for(world, "us", QuarantineClosed, item=item, outcome="erased"), "it is closed")
    assert [row.message for row in world.rows("us", item_id=item)] == [None]


def test_content_lies_sealed_and_a_form_that_the_types_refuse_is_not_kept(world: World) -> None:
    word = "quincunx-lantern"
    item = world.stop(f"{word} at {HOME}")
    kept = len(world.rows("sg"))
    with world.client() as client:
        for wrong in (message(caption=7), message(**{SECRET: "x"}), message("x" * 301)):
            assert world.post(wrong, client).json()["reason"] in ("malformed", "unknown-field")
    assert len(world.rows("sg")) == kept
    [row] = world.rows("us", item_id=item)
    raw = world.cells["us"].settings.folder / "cell.db"
    for file in (raw, raw.with_name("cell.db-wal")):
        assert not file.exists() or word.encode() not in file.read_bytes()
    permit = world.cells["us"].decider.decide(
        Principal("staff", "x", "approver", "us", "operator", vetted=True),
        "look_quarantined",
        Resource("user.content", owner=item),
        WHY,
        now=now_ms(),
    )
    vault = world.cells["us"].vault
    with world.cells["us"].database.read() as session, pytest.raises(SealError):
        vault.unseal(permit, session, item, "quarantine", "message", "0" * 16, row.message or b"")
    with world.cells["us"].database.read() as session:
        opened = vault.unseal(permit, session, item, "quarantine", "message", item, row.message or b"")
    assert word in opened.decode()


def test_room_is_bounded_and_nothing_seen_late_pushes_out_what_came_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.stop(f"the first, {HOME}")
    refusals = len(world.entries_of("us", TransferRefused))
    open_now = {row.item_id for row in world.rows("us") if row.state in quarantine.OPEN}
    monkeypatch.setattr(quarantine, "MOST_ITEMS", len(open_now))
    for number in range(3):
        sent = PublicVideo(**message(f"number {number} at {HOME}", media={}))
        with pytest.raises(Problem):
            gateway.send(world.cells["us"], "sg", sent, {})
    assert {row.item_id for row in world.rows("us") if row.state in quarantine.OPEN} <= open_now
    assert [row.state for row in world.rows("us", item_id=first)] == ["waiting"]
    assert len(world.entries_of("us", TransferRefused)) == refusals + 3


def test_the_same_content_is_kept_once_and_counted(world: World) -> None:
    fields = PublicVideo(**message(f"the same, {HOME}", media={}))
    for _ in range(3):
        with pytest.raises(Problem):
            gateway.send(world.cells["us"], "sg", fields, {})
    newest = max(world.rows("us"), key=lambda row: row.stopped_at)
    assert newest.times == 3


def test_media_that_is_not_what_its_name_says_is_kept_by_its_ends(world: World, approver: StaffDesk) -> None:
    us = world.cells["us"]
    tag = b"\xff\xe1\x00\x60Exif GPS 45.52306, -122.67648 camera of the workshop"
    data = b"\xff\xd8" + tag + b"\x00" * 400_000 + b"\xff\xd9"
    us.objects.put("videos/quarantine.jpg", data)
    digest = sha256(data).hexdigest()
    sent = PublicVideo(**message("a picture", media={"poster.jpg": digest}))
    with pytest.raises(Problem) as caught:
        gateway.send(us, "sg", sent, {"poster.jpg": "videos/quarantine.jpg"})
    assert caught.value.extra["reason"] == "media-metadata"
    [row] = world.rows("us", media="poster.jpg")
    assert (row.size_bytes, row.found) == (len(data), "the JPEG carries metadata")
    assert row.kept_bytes < 2 * quarantine.MOST_MEDIA_BYTES
    answer = look(approver, row.item_id)
    assert answer.status_code == 200, answer.text
    assert "camera of the workshop" in answer.text
    assert "45.52306" not in answer.text
