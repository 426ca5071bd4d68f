"""A cell whose catalogue is split over processes: the same bytes, live, and honest when a part is away."""

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from lightwell.apps.web import build_app
from lightwell.base import frames, shard_files
from lightwell.base.settings import SettingsError, load, write
from lightwell.product.feed.models import SlateRecordRow
from lightwell.product.feed.records import records_for_replay
from lightwell.product.feed.serving import Serving, whole
from lightwell.product.feed.shards_keeper import ShardKeeper
from lightwell.recommender import kernels, pipeline
from lightwell.recommender.policy import default_policy
from lightwell.recommender.record import read_inputs
from lightwell.residency.cell import Cell
from tests.factories.catalogue import make_servable, publish_catalogue, video_id
from tests.factories.cells import found_cell
from tests.factories.people import sign_up

SHARDS = 3
Client = TestClient[Litestar]


class Sharded:
    """A cell with its shard processes and a signed-in viewer."""

    def __init__(self, cell: Cell, keeper: ShardKeeper, client: Client) -> None:
        self.cell, self.keeper, self.client = cell, keeper, client

    def feed(self, **query: Any) -> Any:
        return self.client.get("/api/feed", params=query)

    def slate(self, **query: Any) -> dict[str, Any]:
        """The first slate that is answered; until then nothing but that the feed is away is."""
        refused = []

        def answered() -> Any:
            answer = self.feed(**query)
            refused.append(answer.status_code)
            return answer if answer.status_code == 200 else None

        body: dict[str, Any] = wait_for(answered).json()
        assert set(refused[:-1]) <= {503}, refused
        return body

    def records(self) -> list[dict[str, Any]]:
        with self.cell.database.read() as session:
            commitments = [row.commitment for row in session.query(SlateRecordRow).all()]
            return records_for_replay(self.cell, session, commitments)


def wait_for(found: Callable[[], Any], seconds: float = 120.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not come in time")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sharded]:
    folder = tmp_path_factory.mktemp("sharded") / "us"
    cell = found_cell(folder, "sqlite:///cell.db")
    cell.close()
    write(msgspec.structs.replace(load(folder), shards=SHARDS, shard_milliseconds=500))
    cell = Cell.open(folder, process="web")
    kernels.warm()  # as `serve` does, lest every shard compile the same
    publish_catalogue(cell, 60)
    with (
        ShardKeeper(folder / "shards", SHARDS) as keeper,
        TestClient(build_app(cell), base_url="http://us.test") as client,
    ):
        sign_up(client)
        yield Sharded(cell, keeper, client)


def report(client: Client, kind: str, video: str, watch_ms: int = 0) -> None:
    event = {"event_id": secrets.token_hex(16), "kind": kind, "video_id": video, "watch_ms": watch_ms}
    assert client.post("/api/events", json={"events": [event]}).status_code == 202


def test_slates_from_shards_replay_from_the_whole_snapshot_to_the_same_bytes(sharded: Sharded) -> None:
    for number in range(12):
        report(sharded.client, "watch", video_id(4 * number), 8000)
        report(sharded.client, "watch", video_id(4 * number + 1), 100)
        for tab in ("for_you", "newest", "following"):
            sharded.slate(tab=tab, k=10)
    serving, policy = Serving(sharded.cell), default_policy()
    records = sharded.records()
    assert len(records) >= 36
    for record in records:
        inputs = read_inputs(record["inputs"].encode())
        again = pipeline.replay(whole(serving.load(inputs.snapshot)), policy, inputs)
        assert again.decode() == record["slate"]


def test_reasons_come_from_shards_and_agree(sharded: Sharded) -> None:
    leaf = sharded.slate(k=5)["proof"]["leaf"]
    why = sharded.client.get(f"/api/slates/{leaf}/why").json()
    assert why["agrees"]
    for item in why["items"]:
        assert sum(part["points"] for part in item["reasons"]) == item["score"]


def test_a_new_video_reaches_every_shard_with_the_next_update(sharded: Sharded) -> None:
    fresh = insert_catalogue_of_one(sharded.cell)
    make_servable(sharded.cell)
    wait_for(
        lambda: fresh in [item["video"]["video_id"] for item in sharded.slate(tab="newest", k=10)["items"]]
    )


def insert_catalogue_of_one(cell: Cell) -> str:
    from lightwell.base.clock import now_ms
    from lightwell.product.videos import VideoCountRow, VideoRow

    made = "00000000ffffffff"
    with cell.database.write() as session:
        first = session.get(VideoRow, video_id(0))
        assert first is not None
        values = {column.key: getattr(first, column.key) for column in VideoRow.__table__.columns}
        session.add(VideoRow(**values | {"video_id": made, "published_at": now_ms(), "caption": "later"}))
        session.flush()
        session.add(VideoCountRow(video_id=made))
    return made


def test_a_shard_that_is_killed_is_missed_for_a_moment_and_started_anew(sharded: Sharded) -> None:
    sharded.slate()
    before = len(sharded.records())
    lost = sharded.keeper.processes[1]
    os.kill(lost, signal.SIGKILL)
    answer = wait_for(lambda: (found := sharded.feed()).status_code != 200 and found)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "urn:lightwell:problem:feed-part-away"
    assert len(sharded.records()) == before, "a slate was kept that was not answered"
    assert sharded.slate()["items"]
    assert sharded.keeper.processes[1] != lost


def test_a_shard_that_hangs_costs_a_viewer_the_agreed_time_and_is_replaced(sharded: Sharded) -> None:
    sharded.slate()
    hung = sharded.keeper.processes[2]
    os.kill(hung, signal.SIGSTOP)
    begun = time.monotonic()
    answer = sharded.feed()
    assert answer.status_code == 503
    assert time.monotonic() - begun < 2.0
    assert sharded.slate()["items"]
    assert sharded.keeper.processes[2] != hung


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x00\x01\xc0",
        b"\x7f\xff\xff\xff" + b"a" * 64,
    ],
    ids=["nothing", "too-long", "not-a-question", "nil", "announced-and-not-sent"],
)
def test_bytes_that_are_no_question_harm_nobody(sharded: Sharded, message: bytes) -> None:
    folder = sharded.cell.settings.path("shards")
    pid = sharded.keeper.processes[0]
    with shard_files.connect(folder, 0) as link:
        link.sendall(message)
    question = b"\x82\xa4type\xa3ask\xa8snapshot\xa1x"
    with shard_files.connect(folder, 0) as link:
        frames.send(link, question, time.monotonic() + 120)
        reply = frames.receive(link, 1 << 20, time.monotonic() + 120)
    assert reply is not None
    assert msgspec.msgpack.decode(reply) == {"type": "failed", "why": "malformed"}
    assert sharded.keeper.processes[0] == pid
    assert sharded.slate()["items"]


def test_an_altered_part_is_never_ranked_from(sharded: Sharded) -> None:
    folder = sharded.cell.settings.path("shards")
    # Of every base that tests before this one published: which of them serves is not to be guessed.
    parts = [base / "0" for base in folder.glob("base-*")]
    intact = [part.read_bytes() for part in parts]
    for part, data in zip(parts, intact, strict=True):
        part.unlink()  # those that map it keep the good one
        part.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.kill(sharded.keeper.processes[0], signal.SIGKILL)
    wait_for(lambda: sharded.feed().status_code == 503)
    time.sleep(2.5)
    assert sharded.feed().status_code == 503
    for part, data in zip(parts, intact, strict=True):
        part.write_bytes(data)
    assert sharded.slate()["items"]


def test_other_people_cannot_reach_the_sockets(sharded: Sharded) -> None:
    folder = sharded.cell.settings.path("shards")
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.sock"))


@pytest.mark.parametrize("line", ["shards = 0", "shards = 65", 'shards = "two"', "shard_milliseconds = 1"])
def test_settings_that_make_no_sense_are_refused(sharded: Sharded, tmp_path: Path, line: str) -> None:
    text = sharded.cell.settings.path("cell.toml").read_text("utf-8")
    kept = [one for one in text.splitlines() if not one.startswith(line.partition(" ")[0] + " ")]
    (tmp_path / "cell.toml").write_text("\n".join([line, *kept]), "utf-8")
    with pytest.raises(SettingsError, match=r"cell\.toml"):
        load(tmp_path)
