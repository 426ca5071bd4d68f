"""Another organisation's ranker behind the feed: approved, recorded, replayed without it, and survived."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient
from typer.testing import CliRunner

from lightwell.apps import cleanroom as command
from lightwell.apps.web import build_app
from lightwell.base import confine
from lightwell.oversight.explained import open_slate
from lightwell.oversight.replay import SlateRecord, Sources, judge
from lightwell.product.feed.external import object_key
from lightwell.recommender.policy_file import parse_file
from lightwell.recommender.record import External
from lightwell.residency.cell import Cell
from lightwell.wire import entries, signed_request
from lightwell.wire.keys import SigningKey
from tests.factories.catalogue import publish_catalogue, sequence
from tests.factories.governing import BOARD, PARTNER, Client, adopt_approved, found_governed, propose, sign
from tests.factories.people import sign_up

LIKING = (Path(__file__).parents[1] / "factories" / "taste_ranker.py").read_bytes()
# Answers once, then never again.
FICKLE = LIKING.replace(
    b"    for _video, row in",
    b"""    if question['candidates']:
        if ASKED:
            import time; time.sleep(60)
        ASKED.append(1)
    for _video, row in""",
).replace(b"import json", b"import json\nASKED = []", 1)


def policy_file(program: bytes) -> str:
    digest = hashlib.sha256(program).hexdigest()
    return f'version = 1\n[external]\ndigest = "{digest}"\npoints = 5000\nmilliseconds = 1000\n'


@pytest.fixture
def cell(database_url: str, tmp_path: Path) -> Iterator[Cell]:
    if confine.bubblewrap() is None:
        pytest.skip("bubblewrap does not work here")
    opened = found_governed(tmp_path / "us", database_url)
    yield opened
    opened.close()


@pytest.fixture
def client(cell: Cell) -> Iterator[Client]:
    with TestClient(build_app(cell), base_url="http://us.test") as opened:
        yield opened


def deploy(client: Client, cell: Cell, program: bytes) -> str:
    digest = hashlib.sha256(program).hexdigest()
    cell.objects.put(object_key(digest), program)
    publish_catalogue(cell)
    sign_up(client)
    adopt_approved(client, cell, policy_file(program), BOARD[0], BOARD[1], PARTNER)
    sequence(cell)
    return digest


def slate(client: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    """A slate, and the record's word on the ranker."""
    answer = client.get("/api/feed").json()
    record = client.get(f"/api/slates/{answer['proof']['leaf']}").json()
    return answer, json.loads(record["inputs"]).get("external")


def until(client: Client, failed: str) -> tuple[dict[str, Any], dict[str, Any]]:
    deadline = time.monotonic() + 120
    while True:
        answer, external = slate(client)
        if {item["source"] for item in answer["items"]} == {"holdback"}:
            # Ranked without the viewer, and so without the ranker too.
            continue
        if (external and external["failed"] == failed) or time.monotonic() > deadline:
            return answer, external
        time.sleep(0.05)


def clean_room(client: Client, cell: Cell, path: str) -> Any:
    key = SigningKey.from_text(cell.settings.path("cleanroom.key").read_text())
    no_body = hashlib.sha256(b"").hexdigest()
    return client.get(path, headers=signed_request.headers(key, "GET", path, no_body, int(time.time())))


def verdict(client: Client, cell: Cell, answer: dict[str, Any]) -> str:
    entry = entries.decode(answer["proof"]["entry"].encode())
    assert isinstance(entry, entries.SlateServed)
    [record] = clean_room(client, cell, f"/cleanroom/records?commitments={entry.commitment}").json()[
        "records"
    ]
    sources = Sources(lambda kind, digest: clean_room(client, cell, f"/cleanroom/{kind}/{digest}").content)
    records = {entry.commitment: msgspec.convert(record, SlateRecord)}
    return judge([(0, entry)], records, sources, "us")[0].outcome


def test_it_needs_the_approval_of_a_deployment(client: Client, cell: Cell) -> None:
    digest = hashlib.sha256(LIKING).hexdigest()
    cell.objects.put(object_key(digest), LIKING)
    file = f'version = 1\n[external]\ndigest = "{digest}"\n'
    propose(client, file, BOARD[2])
    for key in BOARD[:2]:
        sign(client, "approve", file, key)
    sequence(cell)
    assert sign(client, "adopt", file, BOARD[0], 403)["lacking"] == {"deployment": 1}


def test_its_scores_count_are_recorded_and_are_replayed_without_it(client: Client, cell: Cell) -> None:
    digest = deploy(client, cell, LIKING)
    answer, external = until(client, "")
    assert (external["failed"], external["digest"]) == ("", digest)
    assert external["scores"]
    why = client.get(f"/api/slates/{answer['proof']['leaf']}/why").json()["items"]
    points = {row["video"]: {reason["text"]: reason["points"] for reason in row["reasons"]} for row in why}
    scored = dict(external["scores"])
    for item in answer["items"]:
        video = item["video"]["video_id"]
        assert sum(points[video].values()) == item["score"]
        given = [value for text, value in points[video].items() if "ranker" in text.lower()]
        assert bool(given) == bool(scored.get(video)), points[video]
    cell.objects.delete(object_key(digest))
    assert verdict(client, cell, answer) == "identical"


def test_a_ranker_that_stops_answering_costs_no_slate(client: Client, cell: Cell) -> None:
    deploy(client, cell, FICKLE)
    assert until(client, "")[1]["failed"] == ""
    answer, external = until(client, "timeout")
    assert (external["failed"], external["scores"]) == ("timeout", [])
    assert len(answer["items"]) == 10
    assert verdict(client, cell, answer) == "identical"
    begun = time.monotonic()
    assert slate(client)[1]["failed"] == "resting"
    assert time.monotonic() - begun < 1


def test_a_cell_that_leaves_out_an_answer_is_found_out(client: Client, cell: Cell) -> None:
    deploy(client, cell, LIKING)
    policy = parse_file(policy_file(LIKING))
    answer, _ = until(client, "")
    entry = entries.decode(answer["proof"]["entry"].encode())
    assert isinstance(entry, entries.SlateServed)
    assert entry.policy == policy.digest
    from lightwell.recommender.pipeline import rank
    from lightwell.recommender.record import RecordError, read_inputs
    from lightwell.recommender.snapshot import Snapshot

    [record] = clean_room(client, cell, f"/cleanroom/records?commitments={entry.commitment}").json()[
        "records"
    ]
    inputs = read_inputs(record["inputs"].encode())
    raw = clean_room(client, cell, f"/cleanroom/snapshots/{entry.snapshot}").content
    with pytest.raises(RecordError, match="missing"):
        rank(Snapshot.from_bytes(raw), policy, msgspec.structs.replace(inputs, external=msgspec.UNSET))


def test_the_clean_room_asks_again_and_tells_another_answer(
    client: Client, cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ranker.py"
    program.write_bytes(LIKING)
    deploy(client, cell, LIKING)
    answer, external = until(client, "")
    entry = entries.decode(answer["proof"]["entry"].encode())
    assert isinstance(entry, entries.SlateServed)
    [record] = clean_room(client, cell, f"/cleanroom/records?commitments={entry.commitment}").json()[
        "records"
    ]
    sources = Sources(lambda kind, digest: clean_room(client, cell, f"/cleanroom/{kind}/{digest}").content)
    opened = open_slate(0, entry, msgspec.convert(record, SlateRecord), sources, "us")
    rooms = {"it": opened}
    monkeypatch.setattr(command, "_room", lambda _folder: SimpleNamespace(open=rooms.get))

    def reask() -> tuple[int, str]:
        result = CliRunner().invoke(command.app, ["reask", str(tmp_path), "it", str(program)])
        return result.exit_code, result.stdout or str(result.exception)

    assert reask() == (0, f"{len(external['scores'])} scores, all as recorded\n")
    video, score = external["scores"][0]
    forged = External(
        digest=external["digest"], scores=[(video, 1 - score), *map(tuple, external["scores"][1:])]
    )
    rooms["it"] = replace(opened, inputs=msgspec.structs.replace(opened.inputs, external=forged))
    assert reask() == (1, "2 scores differ from those recorded\n")
    failed = External(digest=external["digest"], failed="timeout")
    rooms["it"] = replace(opened, inputs=msgspec.structs.replace(opened.inputs, external=failed))
    assert reask() == (1, "recorded as failed (timeout); it answers now\n")
    program.write_bytes(LIKING + b"#")
    assert "not the ranker" in reask()[1]
