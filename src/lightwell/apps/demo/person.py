"""A person at a cell, over its public HTTP interface only: signs up, uploads, publishes, watches."""

import base64
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

PIECE_BYTES = 4 * 1024 * 1024


class Unexpected(Exception):  # noqa: N818  an answer, not a fault of ours
    """A cell answered something else than it should; the message has status and problem."""

    def __init__(self, answer: httpx.Response) -> None:
        request = answer.request
        self.status = answer.status_code
        self.problem = _problem(answer)
        said = self.problem.get("detail") or answer.text[:200]
        super().__init__(f"{request.method} {request.url.path} answered {answer.status_code}: {said}")


@dataclass(frozen=True, slots=True)
class Details:
    """What a person gives at sign-up; everything but the two names is protected."""

    handle: str
    display_name: str
    password: str
    email: str
    phone: str
    birthday: str
    address: str


class Person:
    """One browser's worth of a person: an address, a cookie jar, and the calls they make.

    Args:
        url: the cell's address.
        source_ip: local address the connections come from, so that the cell sees it as the client's.
    """

    def __init__(self, url: str, source_ip: str | None = None) -> None:
        transport = httpx.HTTPTransport(local_address=source_ip, retries=2)
        self.http = httpx.Client(base_url=url, transport=transport, timeout=30.0, trust_env=False)
        self.handle = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def sign_up(self, details: Details) -> str:
        """Create the account and stay signed in; returns the account id, raises `Unexpected`."""
        body = {name: getattr(details, name) for name in Details.__slots__}
        answer = expect(self.http.post("/api/accounts", json=body), 201)
        self.handle = details.handle
        return str(answer["account_id"])

    def sign_in(self, handle: str, password: str) -> None:
        """Sign in to an account that exists; raises `Unexpected`."""
        expect(self.http.post("/api/session", json={"handle": handle, "password": password}), 200)
        self.handle = handle

    def upload(self, file: Path) -> str:
        """Upload a file by tus 1.0 in pieces; returns the upload's id, raises `Unexpected`."""
        size = file.stat().st_size
        name = base64.b64encode(file.name.encode()).decode()
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(size),
            "Upload-Metadata": f"filename {name}",
        }
        made = self.http.post("/api/uploads", headers=headers)
        if made.status_code != 201:
            raise Unexpected(made)
        place = made.headers["Location"]
        offset = 0
        with file.open("rb") as stream:
            while offset < size:
                piece = stream.read(PIECE_BYTES)
                sent = self.http.patch(
                    place,
                    content=piece,
                    headers={
                        "Tus-Resumable": "1.0.0",
                        "Upload-Offset": str(offset),
                        "Content-Type": "application/offset+octet-stream",
                    },
                )
                if sent.status_code != 204:
                    raise Unexpected(sent)
                offset = int(sent.headers["Upload-Offset"])
                stream.seek(offset)
        return str(place).rstrip("/").rsplit("/", 1)[1]

    def sounds(self) -> list[dict[str, Any]]:
        """Return the sounds library."""
        found: list[dict[str, Any]] = expect(self.http.get("/api/sounds"), 200)["sounds"]
        return found

    def make_video(
        self,
        upload_id: str,
        caption: str,
        sound_id: str | None,
        sound_offset_ms: int = 0,
        *,
        publish: bool = True,
    ) -> str:
        """Turn an upload into a video; returns the video's id, raises `Unexpected`."""
        body = {
            "upload_id": upload_id,
            "caption": caption,
            "sound_id": sound_id,
            "sound_offset_ms": sound_offset_ms,
            "sound_volume": 80 if sound_id else 0,
            "original_volume": 0 if sound_id else 100,
            "publish": publish,
        }
        return str(expect(self.http.post("/api/videos", json=body), 202)["video_id"])

    def video(self, video_id: str) -> dict[str, Any]:
        """Return what the cell says about a video; raises `Unexpected`."""
        return expect(self.http.get(f"/api/videos/{video_id}"), 200)

    def wait_for_video(self, video_id: str, wanted: Iterable[str], seconds: float) -> dict[str, Any]:
        """Wait until the video's status is one of `wanted`.

        Raises:
            TimeoutError: it is still something else after `seconds`.
            ValueError: the cell refused the video.
        """
        deadline = time.monotonic() + seconds
        wanted = set(wanted)
        while True:
            video = self.video(video_id)
            if video["status"] in wanted:
                return video
            if video["status"] == "refused":
                raise ValueError(f"the video was refused: {video.get('problem')}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the video is still {video['status']!r} after {seconds:.0f} s")
            time.sleep(0.15)

    def feed(self, tab: str = "for_you", k: int = 10) -> dict[str, Any]:
        """Ask for a slate; returns items and proof, raises `Unexpected`."""
        nonce = secrets.token_hex(16)
        return expect(self.http.get("/api/feed", params={"tab": tab, "k": k, "nonce": nonce}), 200)

    def why(self, leaf: str) -> dict[str, Any]:
        """Ask why each video is in one of one's own slates; raises `Unexpected`."""
        return expect(self.http.get(f"/api/slates/{leaf}/why"), 200)

    def tell(self, events: list[dict[str, Any]]) -> None:
        """Send what was watched, liked, skipped or followed; raises `Unexpected`."""
        body = {"events": [{"event_id": secrets.token_hex(16), "watch_ms": 0, **event} for event in events]}
        expect(self.http.post("/api/events", json=body), 202)


def expect(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the answer's JSON object if it has the wanted status; raises `Unexpected` otherwise."""
    if answer.status_code != status:
        raise Unexpected(answer)
    if not answer.content:
        return {}
    body: dict[str, Any] = answer.json()
    return body


def _problem(answer: httpx.Response) -> dict[str, Any]:
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return {}
    document: dict[str, Any] = answer.json()
    return document


def slug_of(problem: dict[str, Any]) -> str:
    """Return the short name at the end of a problem document's type."""
    return str(problem.get("type", "")).rsplit(":", 1)[-1].rsplit("/", 1)[-1]
