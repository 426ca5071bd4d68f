"""The monitor on real HTTP cells: it follows, witnesses, takes verdicts, judges, reports, shows pages."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from litestar.testing import TestClient

from lightwell.agreement.orders import make_order
from lightwell.agreement.roster import Seat
from lightwell.oversight import report
from lightwell.oversight.cleanroom import CleanRoom
from lightwell.oversight.monitor import WITNESS_MLDSA_KEY, read_key
from lightwell.oversight.server import create_app
from lightwell.oversight.settings import SettingsError, write_oversight
from lightwell.wire import entries, merkle, tiles
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, Verifier
from lightwell.wire.note import NOTE_LIMIT
from lightwell.wire.promise import make_promise
from tests.factories.seen_cell import SeenCell, cleanroom_settings, key, oversight_folder

PAGES = (
    "/", "/terms", "/ledger", "/feed-monitor", "/flows", "/access", "/findings", "/orders", "/reports",
    "/members", "/entries", "/entries?kind=SlateServed", "/entries/us/0", "/entries/us/5",
)  # fmt: skip


class Watch:
    """An oversight server over two cells, and the clean room of the first."""

    def __init__(self, folder: Path, mldsa: bool = False) -> None:
        self.cells = {name: SeenCell(name) for name in ("us", "sg")}
        self.servers = [cell.listen() for cell in self.cells.values()]
        settings = oversight_folder(folder / "oversight", list(self.cells.values()))
        self.board = [read_key(folder / "oversight" / "keys" / f"board-{n}.key") for n in (1, 2, 3)]
        witness = read_key(folder / "oversight" / "keys" / "witness.key")
        self.seats = [Seat("board", k.name, k.verifier().vkey()) for k in self.board]
        self.seats.append(Seat("witness", "oversight", witness.verifier().vkey()))
        if mldsa:
            second = key(witness.name, MLDSA_COSIGNATURE)
            (folder / "oversight" / WITNESS_MLDSA_KEY).write_text(second.text())
            self.seats.append(Seat("witness", "oversight", second.verifier().vkey()))
        for cell in self.cells.values():
            cell.adopt(self.seats)
        self.http = TestClient(create_app(str(settings.folder)))
        room = cleanroom_settings(folder / "us" / "cleanroom", self.cells["us"], "http://oversight.test")
        self.room = CleanRoom(room, httpx.Client(transport=httpx.MockTransport(self._route)))

    def _route(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "oversight.test":
            return self.cells["us"].handler(request)
        path = request.url.raw_path.decode()
        answer = self.http.request(
            request.method, path, content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, content=answer.content)

    def replay(self) -> dict[str, object]:
        answer: dict[str, object] = self.http.get("/api/cells/us/replay").json()
        return answer

    def ledger(self) -> dict[str, object]:
        answer: dict[str, object] = self.http.get("/api/cells/us/ledger").json()
        return answer

    def step_until(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + 120
        while not holds():
            assert time.monotonic() < until
            self.room.step()
            time.sleep(0.02)

    def audit(self) -> dict[str, object]:
        run = self.http.post("/api/audit?cell=us").json()["run"]
        figures: dict[str, object] = {}

        def done() -> bool:
            figures.update(self.http.get(f"/api/cells/us/replay?run={run}").json())
            return figures["run"] == run

        self.step_until(done)
        return figures


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(tmp_path)
    with watch.http:
        yield watch
    for server in watch.servers:
        server.shutdown()


def test_every_slate_is_replayed_and_counted(watch: Watch) -> None:
    us = watch.cells["us"]
    us.serve(250)
    watch.step_until(lambda: watch.replay()["judged"] == 250)
    figures = watch.replay()
    assert (figures["slates"], figures["replayed"], figures["mismatches"]) == (250, 250, 0)
    assert watch.ledger()["consistent"] is True
    overview = watch.http.get("/api/overview").json()["cells"]["us"]
    assert (overview["replay"]["share"], overview["replay"]["word"]) == ("100 %", "exact")
    watch.step_until(lambda: watch.http.get("/api/terms?cell=us").json()["counts"]["met"] > 0)


def test_without_a_clean_room_nothing_is_called_replayed(watch: Watch) -> None:
    watch.cells["us"].serve(5)
    until = time.monotonic() + 120
    while watch.replay()["slates"] != 5:
        assert time.monotonic() < until
    figures = watch.replay()
    assert (figures["replayed"], figures["judged"], figures["run"]) == (0, 0, "live")
    assert watch.http.get("/api/overview").json()["cells"]["us"]["replay"]["word"] == "no evidence"


def test_record_altered_later_is_named_by_the_next_audit(watch: Watch) -> None:
    us = watch.cells["us"]
    slates = us.serve(20)
    watch.step_until(lambda: watch.replay()["judged"] == 20)
    assert watch.audit()["mismatches"] == 0
    record = us.records[slates[4].commitment]
    record["inputs"] = record["inputs"].replace('"hour":', '"hour":1', 1)
    del us.records[slates[9].commitment]
    time.sleep(1)
    figures = watch.audit()
    assert (figures["mismatches"], figures["missing"], figures["replayed"]) == (1, 1, 18)
    assert watch.replay()["mismatches"] == 1
    found = watch.http.get("/api/findings?cell=us").json()["findings"]
    assert {tuple(f["entries"]) for f in found} == {(7,), (12,)}


def test_tile_altered_later_is_named_by_the_next_audit(watch: Watch) -> None:
    us = watch.cells["us"]
    us.serve(10)
    watch.step_until(lambda: watch.replay()["judged"] == 10)
    path = tiles.tile_path(0, 0, us.checkpoint.size)
    us.files[path] = bytes(32) + us.files[path][32:]
    watch.audit()
    ledger = watch.ledger()
    assert ledger["consistent"] is False
    assert any(path in problem for problem in ledger["problems"])  # type: ignore[attr-defined]


def test_record_the_cell_fails_on_stops_no_other(watch: Watch) -> None:
    us = watch.cells["us"]
    slates = us.serve(6)
    us.broken = {slates[2].commitment}
    watch.step_until(lambda: watch.replay()["judged"] == 6)
    figures = watch.replay()
    assert (figures["replayed"], figures["missing"]) == (5, 1)


def test_cosigned_checkpoint_shows_its_witness(watch: Watch) -> None:
    us = watch.cells["us"]
    assert us.ask_witness(watch.http, "/witness/us", 0).status_code == 200
    until = time.monotonic() + 120
    while not watch.ledger()["witnesses"][0]["current"]:  # type: ignore[index]
        assert time.monotonic() < until
    us.serve(3)
    stale = us.ask_witness(watch.http, "/witness/us", 1)
    assert (stale.status_code, stale.text, stale.headers["content-type"]) == (409, "3\n", "text/x.tlog.size")
    assert us.ask_witness(watch.http, "/witness/eu", 0).status_code == 404


def test_what_the_witness_cosigned_is_served_to_anybody(watch: Watch) -> None:
    us = watch.cells["us"]
    origin = hashlib.sha256(b"lightwell/us").hexdigest()
    path = f"/witness/us/{origin}/checkpoint"
    assert watch.http.get(path).status_code == 404
    assert us.ask_witness(watch.http, "/witness/us", 0).status_code == 200
    answer = watch.http.get(path)
    assert (answer.status_code, answer.text) == (200, us.files["checkpoint"].decode())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    for wrong in (f"/witness/sg/{origin}/checkpoint", f"/witness/us/{origin.upper()}/checkpoint"):
        assert watch.http.get(wrong).status_code == 404
    assert watch.http.post(path).status_code == 405


def test_oversized_request_to_the_witness_is_413(watch: Watch) -> None:
    body = b"old 0\n\n" + b"x" * NOTE_LIMIT
    assert watch.http.post("/witness/us/add-checkpoint", content=body).status_code == 413
    assert watch.http.post("/witness/us/add-checkpoint", content=body * 3).status_code == 413


def test_one_witness_with_two_keys_is_one_witness(tmp_path: Path) -> None:
    watch = Watch(tmp_path, mldsa=True)
    us = watch.cells["us"]
    with watch.http:
        assert us.ask_witness(watch.http, "/witness/us", 0).status_code == 200
        until = time.monotonic() + 120
        while not (shown := watch.ledger()["witnesses"])[0]["cosigned_with"]:  # type: ignore[index]
            assert time.monotonic() < until
        assert shown == [
            {
                "name": "oversight-witness",
                "algorithms": ["Ed25519", "ML-DSA-44"],
                "cosigned_with": ["Ed25519", "ML-DSA-44"],
                "cosigned_size": 3,
                "current": True,
                "ours": True,
            }
        ]
        page = watch.http.get("/ledger").text
        assert page.count("<b>oversight-witness</b>") == 1
        assert "Ed25519, ML-DSA-44" in page
        assert "1 of 1" in page
        assert watch.http.get("/members").text.count("<details>") == 1
    for server in watch.servers:
        server.shutdown()


def promised(us: SeenCell, entry: bytes = b"entry", origin: str = "lightwell/us") -> dict[str, str]:
    note = make_promise(us.key, origin, merkle.leaf_hash(entry), int(time.time()) - 900)
    return {"promise": note, "entry": entry.decode()}


def test_promise_that_is_none_of_the_ledgers_is_refused_with_its_reason(watch: Watch) -> None:
    us = watch.cells["us"]
    forged = SeenCell()
    cases: list[tuple[object, int, str]] = [
        (promised(us, origin="lightwell/eu"), 404, "unknown-ledger"),
        (promised(us, origin="lightwell/sg"), 422, "bad-promise"),
        (promised(forged), 422, "bad-promise"),
        ({**promised(us), "entry": "another"}, 422, "other-entry"),
        ({"promise": promised(us)["promise"]}, 400, "bad-request"),
        ({**promised(us), "more": 1}, 400, "bad-request"),
        ({**promised(us), "promise": "x" * 5000}, 400, "bad-request"),
        ({"promise": "no note", "entry": ""}, 404, "unknown-ledger"),
        ({"promise": "lightwell/promise/v2\nlightwell/us\n", "entry": ""}, 422, "bad-promise"),
        ({"promise": "index 0\n\nlightwell/promise/v2\nlightwell/us\n", "entry": ""}, 422, "bad-promise"),
        ({**promised(us), "entry": "x" * 500_000}, 413, "too-large"),
        ([], 400, "bad-request"),
    ]
    for body, status, slug in cases:
        answer = watch.http.post("/api/promises", json=body)
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:lightwell:problem:{slug}")
        assert answer.headers["content-type"] == "application/problem+json"
    lone = b'{"promise": "a\\nlightwell/us\\n", "entry": "\\ud800"}'
    assert watch.http.post("/api/promises", content=lone).status_code in (400, 422)
    assert watch.http.post("/api/promises", content=b"\xff").status_code == 400
    assert watch.http.get("/api/findings?cell=us").json()["findings"] == []


def test_witness_key_of_another_type_or_name_is_refused_at_the_start(tmp_path: Path) -> None:
    for number, (name, algorithm) in enumerate(
        [("oversight-witness", COSIGNATURE), ("x", MLDSA_COSIGNATURE)]
    ):
        settings = oversight_folder(tmp_path / str(number), [SeenCell()])
        (settings.folder / WITNESS_MLDSA_KEY).write_text(key(name, algorithm).text())
        with pytest.raises(SettingsError, match="witness-mldsa"):
            create_app(str(settings.folder))


@pytest.mark.parametrize("text", [None, b"quorum x\n", b"quorum none\n"])
def test_ledger_policy_that_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, text: bytes | None
) -> None:
    settings = oversight_folder(tmp_path / "oversight", [SeenCell()])
    seats = tuple(msgspec.structs.replace(one, policy="ledger.policy") for one in settings.cells)
    write_oversight(msgspec.structs.replace(settings, cells=seats))
    if text is not None:
        (settings.folder / "ledger.policy").write_bytes(text)
    with pytest.raises(SettingsError, match=r"policy|quorum"):
        create_app(str(settings.folder))


def test_verdicts_that_the_clean_room_has_not_signed_are_refused(watch: Watch) -> None:
    body = b'{"cell":"us","run":"live","audited_size":3,"verdicts":[]}'
    for headers in (
        {},
        {"lightwell-key": "cleanroom-us", "lightwell-time": "1", "lightwell-signature": "00"},
    ):
        answer = watch.http.post("/api/verdicts", content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/cells/xx/replay", 404), ("GET", "/api/terms", 400), ("GET", "/api/terms?cell=US!", 400),
        ("POST", "/api/verdicts", 400), ("GET", "/api/entries?cell=us&limit=99999", 400),
        ("GET", "/entries/us/99999", 404), ("GET", "/entries/us/99999999999999999999999", 404),
        ("GET", "/?cell=xx", 404), ("POST", "/api/orders", 400), ("GET", "/nothing", 404),
        ("GET", "/api/entries?cell=us&from=-1", 400), ("GET", "/api/cells/us/replay?run=x", 400),
        ("GET", "/entries?before=99999999999999999999", 400), ("GET", "/reports/99999999999999999999", 404),
    ],
)  # fmt: skip
def test_bad_input_gets_a_problem_document(watch: Watch, method: str, path: str, status: int) -> None:
    answer = watch.http.request(method, path, content=b"{" if method == "POST" else None)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_report_is_signed_by_the_board_and_verifies(watch: Watch) -> None:
    us = watch.cells["us"]
    us.serve(12)
    watch.step_until(lambda: watch.replay()["judged"] == 12)
    until = time.monotonic() + 120
    while (answer := watch.http.get("/api/reports/latest?cell=us")).status_code != 200:
        assert time.monotonic() < until
    roster = [*watch.seats, Seat("ledger", "ledger", us.key.verifier().vkey(), "us")]
    found = report.verify_by_roster(answer.text, roster)
    terms = {term["id"]: term for term in found.body["terms"]}
    assert terms["F1"]["status"] == "met"
    assert found.body["figures"]["replay"]["replayed"] == 12
    altered = answer.text.replace('"status":"no evidence"', '"status":"met"', 1)
    with pytest.raises(report.ReportError):
        report.verify_by_roster(altered, roster)
    with pytest.raises(report.ReportError, match="of the 4"):
        report.verify(answer.text, [k.verifier() for k in watch.board], 4)
    with pytest.raises(report.ReportError):
        report.verify(answer.text, [Verifier.from_vkey(key("board-1").verifier().vkey())], 1)


def test_pages_show_what_is_followed_under_a_strict_policy(watch: Watch) -> None:
    us = watch.cells["us"]
    us.add(
        entries.AccessRequested(at=60, request="r", place="sg", role="analyst", fields=["user"], purpose="x"),
        entries.AccessDecided(
            at=60, request="r", outcome="refused", reason="place", place="sg", role="analyst", approvals=0,
            expires_at=0,
        ),
        entries.TransferSent(at=60, transfer="t", flow="public-video", peer="sg", digest="a" * 64, size=9),
        entries.OrderTaken(at=60, order="o", verb="suspend", scope="uploads", digest="b" * 64, signer="a"),
        entries.OrderEffective(at=61, order="o", process="web"),
        entries.OrderRefused(at=60, digest="c" * 64, reason="bad-signature"),
    )  # fmt: skip
    us.serve(8)
    watch.step_until(lambda: watch.replay()["judged"] == 8)
    for path in PAGES:
        answer = watch.http.get(path, headers={"accept": "text/html"})
        assert answer.status_code == 200, path
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", answer.text), path
    assert "Suspend uploads" in watch.http.get("/orders").text
    assert "analyst" in watch.http.get("/access").text
    entry = watch.http.get("/entries/us/4").text
    assert "RFC 6962" in entry


def test_text_of_the_agreement_that_is_not_the_one_adopted_is_not_shown_as_it(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.cells["us"].agreement = watch.cells["us"].agreement.replace("version = 1", "version = 2", 1)
    with watch.http:
        until = time.monotonic() + 120
        while not watch.http.get("/api/findings?cell=us").json()["findings"]:
            assert time.monotonic() < until
        assert watch.http.get("/api/terms?cell=us").json()["terms"] == []
        assert watch.http.get("/api/reports/latest?cell=us").status_code == 503


def test_order_is_passed_to_the_cell_it_names(watch: Watch) -> None:
    order = make_order(
        key("authority"), order="1" * 16, verb="suspend", scope="uploads", cell="us", sequence=1,
        issued_at=int(time.time()), reason="",
    )  # fmt: skip
    # The cell in this test knows no orders: that its own answer comes back is the rule.
    assert watch.http.post("/api/orders", content=order).status_code == 501
    assert watch.http.post("/api/orders", content=order.replace('"us"', '"xx"')).status_code == 404
