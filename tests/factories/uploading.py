"""Sends files through the public door, and works off what waits, as browser and worker do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from lightwell.product.videos import tasks
from lightwell.residency.cell import Cell

TUS = {"Tus-Resumable": "1.0.0"}


@contextmanager
def working(cell: Cell) -> Iterator[None]:
    """Run the video part of a worker in a thread while the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=tasks.run, args=(cell, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def upload(client: TestClient[Litestar], data: bytes) -> str:
    """Upload all of `data` and return the upload's id."""
    made = client.post("/api/uploads", headers=TUS | {"Upload-Length": str(len(data))})
    assert made.status_code == 201, made.text
    place = str(made.headers["location"])
    if data:
        headers = TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        sent = client.patch(place, headers=headers, content=data)
        assert sent.status_code == 204, sent.text
    return place.rpartition("/")[2]


def make_video(client: TestClient[Litestar], data: bytes, **said: Any) -> str:
    """Upload `data`, ask for a video of it and return the video's id."""
    answer = client.post("/api/videos", json={"upload_id": upload(client, data), **said})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["video_id"])


def settled(client: TestClient[Litestar], video_id: str, seconds: float = 90) -> dict[str, Any]:
    """Wait until a video is no longer in processing and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(f"/api/videos/{video_id}").json()
        if found["status"] != "processing":
            return found
        time.sleep(0.05)
    raise AssertionError("the video is still in processing")
