"""From upload to the files that viewers stream, with the worker's part running."""

import base64
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import func, select

from lightwell.ledger.models import LedgerEntry
from lightwell.product import sounds
from lightwell.product.sounds import SoundRow
from lightwell.product.sounds import service as sounds_service
from lightwell.product.sounds.pieces import LIBRARY
from lightwell.product.videos import (
    UploadRow,
    VideoRow,
    media_keys,
    public_video,
    published_here,
    receive_foreign,
    service,
)
from lightwell.product.videos.models import UploadPartRow
from lightwell.residency.cell import Cell
from lightwell.wire import entries
from lightwell.wire.commitment import opens
from tests.factories import clips
from tests.factories.people import sign_up
from tests.factories.uploading import make_video, settled, upload, working

Client = TestClient[Litestar]


def published_entries(cell: Cell) -> list[entries.VideoPublished]:
    with cell.database.read() as session:
        decoded = [entries.decode(data) for data in session.scalars(select(LedgerEntry.entry))]
    return [entry for entry in decoded if isinstance(entry, entries.VideoPublished)]


def left_over(cell: Cell) -> list[str]:
    prefixes = ("uploads", "videos", "drafts")
    found = [key for prefix in prefixes for key in cell.objects.list(prefix)]
    work = cell.settings.path("work")
    return found + ([str(path) for path in work.iterdir()] if work.exists() else [])


def rows_left(cell: Cell) -> int:
    with cell.database.read() as session:
        tables = (UploadRow, UploadPartRow)
        return sum(session.scalar(select(func.count()).select_from(table)) or 0 for table in tables)


def test_a_published_video_can_be_watched_by_anybody(client: Client, cell: Cell) -> None:
    sign_up(client, "mira.folds")
    with working(cell):
        video_id = make_video(client, clips.portrait().read_bytes(), caption="A #Kite over the #harbour")
        made = settled(client, video_id)
    assert made["status"] == "published", made["problem"]
    assert made["caption"] == "A #Kite over the #harbour"
    assert made["hashtags"] == ["kite", "harbour"]
    assert made["creator"]["handle"] == "mira.folds"
    client.cookies.clear()
    assert client.get(f"/api/videos/{video_id}").json() == made
    whole = client.get(made["media"]["720"])
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "video/mp4"
    assert "immutable" in whole.headers["cache-control"]
    part = client.get(made["media"]["720"], headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, whole.content[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(whole.content)}"
    again = client.get(made["media"]["720"], headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head(made["media"]["540"])
    assert int(head.headers["content-length"]) == len(client.get(made["media"]["540"]).content)
    beyond = client.get(made["media"]["poster"], headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416
    assert client.get(made["media"]["poster"]).content.startswith(b"\xff\xd8")
    assert rows_left(cell) == 0
    assert sorted(left_over(cell)) == sorted(media_keys(video_id).values())


def test_publication_is_an_entry_that_commits_to_what_was_published(client: Client, cell: Cell) -> None:
    account = sign_up(client)
    with working(cell):
        video_id = make_video(client, clips.portrait().read_bytes())
        settled(client, video_id)
    (entry,) = published_entries(cell)
    with cell.database.read() as session:
        row = session.get_one(VideoRow, video_id)
        permit = service.sealed_media.permit_for_owner(cell, account["account_id"])
        assert row.opening is not None
        opening = cell.vault.unseal(
            permit, session, account["account_id"], "videos", "opening", video_id, row.opening
        )
        assert opens(bytes.fromhex(entry.commitment), "video", opening, service.publication_digest(row))
        row.media = {**row.media, "720.mp4": {"size": 1, "sha256": "00" * 32}}
        assert not opens(bytes.fromhex(entry.commitment), "video", opening, service.publication_digest(row))


def test_a_video_that_is_not_to_be_published_waits_sealed(client: Client, cell: Cell) -> None:
    sign_up(client, "mira.folds")
    with working(cell):
        video_id = make_video(client, clips.portrait().read_bytes(), caption="KILOLIMA", publish=False)
        made = settled(client, video_id)
    assert (made["status"], made["caption"]) == ("ready", "KILOLIMA")
    assert published_entries(cell) == []
    own = client.get(made["media"]["540"])
    assert own.status_code == 200
    assert own.headers["cache-control"] == "private, no-store"
    part = client.get(made["media"]["540"], headers={"Range": "bytes=50-99"})
    assert part.content == own.content[50:100]
    assert all(own.content[:64] not in cell.objects.get(key) for key in left_over(cell))
    mine = client.cookies["lightwell_session"]
    client.cookies.clear()
    sign_up(client, "osei.two")
    assert client.get(made["media"]["540"]).status_code == 404
    assert client.get(f"/api/videos/{video_id}").status_code == 404
    assert client.post(f"/api/videos/{video_id}/publish").status_code == 404
    client.cookies.clear()
    client.cookies.set("lightwell_session", mine)
    assert client.post(f"/api/videos/{video_id}/publish").json()["status"] == "published"
    assert client.post(f"/api/videos/{video_id}/publish").json()["status"] == "published"
    assert len(published_entries(cell)) == 1
    client.cookies.clear()
    assert client.get(made["media"]["540"]).content == own.content
    assert client.get(f"/api/videos/{video_id}").json()["caption"] == "KILOLIMA"
    assert list(cell.objects.list("drafts")) == []


def test_the_chosen_sound_is_named_with_the_video(
    client: Client, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds_service, "LIBRARY", LIBRARY[:1])
    sounds.ensure_library(cell)
    sign_up(client)
    (sound,) = client.get("/api/sounds").json()["sounds"]
    music = client.get(sound["url"], headers={"Range": "bytes=4-7"})
    assert (music.status_code, music.content) == (206, b"ftyp")
    with working(cell):
        video_id = make_video(
            client,
            clips.portrait().read_bytes(),
            sound_id=sound["sound_id"],
            sound_offset_ms=2000,
            sound_volume=70,
        )
        made = settled(client, video_id)
    assert made["status"] == "published"
    assert made["sound"] == {key: sound[key] for key in ("sound_id", "title", "artist")}


def test_the_library_is_made_once(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds_service, "LIBRARY", LIBRARY[:2])
    assert sounds.ensure_library(cell) == 2
    assert sounds.ensure_library(cell) == 0
    with cell.database.read() as session:
        rows = list(session.scalars(select(SoundRow)))
    assert all(
        row.digest == hashlib.sha256(cell.objects.get(f"sounds/{row.sound_id}.m4a")).hexdigest()
        for row in rows
    )


REFUSED: list[tuple[str, Callable[[], bytes]]] = [
    ("truncated-file", lambda: clips.portrait().read_bytes()[:-1000]),
    ("truncated-file", lambda: clips.landscape_60().read_bytes()[:5000]),
    ("truncated-file", lambda: clips.live_webm().read_bytes()[:20000]),
    ("too-many-pixels", lambda: clips.enormous().read_bytes()),
    ("too-long", lambda: clips.three_hours().read_bytes()),
    ("too-short", lambda: clips.short().read_bytes()),
    ("no-picture", lambda: clips.sound_only().read_bytes()),
]


def test_what_cannot_become_a_video_is_refused_with_its_reason_and_leaves_nothing(
    client: Client, cell: Cell
) -> None:
    sign_up(client)
    with working(cell):
        for slug, data in REFUSED:
            made = settled(client, make_video(client, data(), caption="KILOLIMA"))
            assert made["status"] == "refused"
            assert made["problem"]["title"] == slug.replace("-", " ").capitalize()
            assert made["problem"]["detail"].endswith(".")
            assert made["media"] is None
    assert left_over(cell) == []
    assert rows_left(cell) == 0
    assert published_entries(cell) == []


@pytest.mark.parametrize(
    ("data", "slug"),
    [
        (b"", "empty-file"),
        (b"I am a text, whatever my name says.\n" * 30, "not-a-video"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n", "not-a-video"),
        (b"ffconcat version 1.0\nfile 'http://127.0.0.1:9/secret.mp4'\n", "not-a-video"),
        (b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n", "not-a-video"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + b"\x00" * 5000, "not-a-video"),
    ],
)
def test_what_is_plainly_no_video_is_refused_at_once(
    client: Client, cell: Cell, data: bytes, slug: str
) -> None:
    sign_up(client)
    answer = client.post("/api/videos", json={"upload_id": upload(client, data)})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith(slug)
    assert left_over(cell) == []
    assert rows_left(cell) == 0


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"caption": "x" * 301}, "caption"),
        ({"caption": "bell\x07"}, "caption"),
        ({"sound_volume": 101}, "sound_volume"),
        ({"original_volume": -1}, "original_volume"),
        ({"sound_offset_ms": -1}, "sound_offset_ms"),
    ],
)
def test_an_unusable_field_is_named_and_the_upload_is_kept(
    client: Client, cell: Cell, said: dict[str, object], field: str
) -> None:
    sign_up(client)
    held = upload(client, clips.portrait().read_bytes())
    answer = client.post("/api/videos", json={"upload_id": held, **said})
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert client.post("/api/videos", json={"upload_id": held}).status_code == 202


def test_an_incomplete_or_foreign_upload_makes_no_video(client: Client) -> None:
    sign_up(client, "mira.folds")
    begun = client.post("/api/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
    held = begun.headers["location"].rpartition("/")[2]
    assert client.post("/api/videos", json={"upload_id": held}).status_code == 409
    assert client.post("/api/videos", json={"upload_id": "00" * 8}).status_code == 404
    assert client.post("/api/videos", json={"upload_id": held, "sound_id": "00" * 8}).status_code in (
        404,
        409,
    )
    client.cookies.clear()
    sign_up(client, "osei.two")
    assert client.post("/api/videos", json={"upload_id": held}).status_code == 404


def test_asking_twice_makes_one_video(client: Client) -> None:
    sign_up(client)
    held = upload(client, clips.portrait().read_bytes())
    first, second = (client.post("/api/videos", json={"upload_id": held}).json() for _ in range(2))
    assert first == second
    assert len(client.get("/api/videos?mine=1").json()["videos"]) == 1


def test_a_removed_video_leaves_nothing(client: Client, cell: Cell) -> None:
    sign_up(client)
    with working(cell):
        video_id = make_video(client, clips.portrait().read_bytes())
        settled(client, video_id)
        waiting = make_video(client, clips.portrait().read_bytes())
        assert client.delete(f"/api/videos/{waiting}").status_code == 204
        assert client.delete(f"/api/videos/{video_id}").status_code == 204
        assert client.get(f"/api/videos/{video_id}").status_code == 404
        time.sleep(1)
    assert left_over(cell) == []


def test_settling_twice_publishes_once(client: Client, cell: Cell) -> None:
    sign_up(client)
    with working(cell):
        video_id = make_video(client, clips.portrait().read_bytes())
        settled(client, video_id)
    refused = service.Outcome(problem_title="Too late", problem_detail="It is published.")
    assert service.settle(cell, video_id, refused) == "published"
    assert len(published_entries(cell)) == 1


WORKER = """
import sys, threading
from pathlib import Path
from lightwell.residency.cell import Cell
from lightwell.product.videos import tasks
tasks.run(Cell.open(Path(sys.argv[1])), threading.Event())
"""


def test_a_killed_worker_is_followed_by_one_that_finishes(client: Client, cell: Cell) -> None:
    sign_up(client)
    video_id = make_video(client, clips.portrait().read_bytes())
    work = cell.settings.path("work") / video_id
    command = [sys.executable, "-c", WORKER, str(cell.settings.folder)]
    worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while not (work / "clip").exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert work.exists(), "the worker never began"
    finally:
        worker.kill()
        worker.wait()
    assert client.get(f"/api/videos/{video_id}").json()["status"] == "processing"
    with working(cell):
        made = settled(client, video_id)
    assert made["status"] == "published"
    assert len(published_entries(cell)) == 1
    assert sorted(left_over(cell)) == sorted(media_keys(video_id).values())


def test_a_stopped_worker_leaves_the_clip_to_the_next(client: Client, cell: Cell) -> None:
    sign_up(client)
    video_id = make_video(client, clips.portrait().read_bytes())
    work = cell.settings.path("work") / video_id
    with working(cell):
        end = time.monotonic() + 120
        while not (work / "clip").exists() and time.monotonic() < end:
            time.sleep(0.01)
    assert client.get(f"/api/videos/{video_id}").json()["status"] == "processing"
    with working(cell):
        assert settled(client, video_id)["status"] == "published"


def test_a_foreign_video_is_shown_like_any_other(client: Client, cell: Cell) -> None:
    sign_up(client, "mira.folds")
    with working(cell):
        video_id = make_video(client, clips.portrait().read_bytes(), caption="from afar #kites")
        settled(client, video_id)
    with cell.database.read() as session:
        (row,) = published_here(session)
    told = public_video(row)
    assert "account_id" not in told.__struct_fields__
    changed = type(told)(
        **{name: getattr(told, name) for name in told.__struct_fields__}
        | {"video_id": "00000000000000f1", "origin_cell": "sg", "creator_handle": "far.away"}
    )
    for _ in range(2):
        with cell.database.write() as session:
            receive_foreign(session, cell, changed, media_keys(video_id))
    client.cookies.clear()
    seen = client.get("/api/videos/00000000000000f1").json()
    assert seen["creator"] == {"handle": "far.away", "name": "Mira.Folds", "cell": "sg"}
    assert seen["caption"] == "from afar #kites"
    original = client.get(f"/media/videos/{video_id}/540.mp4").content
    assert client.get(seen["media"]["540"]).content == original
    with cell.database.read() as session:
        assert [row.video_id for row in published_here(session)] == [video_id]


def test_real_clips_are_published(client: Client, cell: Cell) -> None:
    sign_up(client)
    with working(cell):
        for file in clips.real_clips(os.environ.get("LIGHTWELL_CLIPS")):
            made = settled(client, make_video(client, file.read_bytes()), 240)
            assert made["status"] == "published", made["problem"]


def test_the_media_route_knows_only_its_three_files(client: Client, cell: Cell) -> None:
    sign_up(client)
    with working(cell):
        video_id = make_video(client, clips.portrait().read_bytes())
        settled(client, video_id)
    for name in ("clip", "1080.mp4", "..%2Fx", base64.b64encode(b"x").decode()):
        assert client.get(f"/media/videos/{video_id}/{name}").status_code == 404
    assert client.get("/media/videos/00000000000000ff/540.mp4").status_code == 404
    assert client.get("/media/sounds/00000000000000ff.m4a").status_code == 404
