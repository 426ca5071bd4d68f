"""Events as a browser reports them, sent through the public door."""

import secrets
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient


def event(kind: str, video: str = "", watch_ms: int = 0, **more: Any) -> dict[str, Any]:
    """Return one event under a fresh id."""
    return {
        "event_id": secrets.token_hex(16),
        "kind": kind,
        "video_id": video,
        "watch_ms": watch_ms,
    } | more


def report(client: TestClient[Litestar], *events: dict[str, Any]) -> dict[str, int]:
    """Report events that are accepted; return how many were new and how many known."""
    answer = client.post("/api/events", json={"events": list(events)})
    assert answer.status_code == 202, answer.text
    body: dict[str, int] = answer.json()
    return body


def known_of(client: TestClient[Litestar]) -> dict[str, Any]:
    """Return what the feed knows of the signed-in viewer."""
    answer = client.get("/api/me/viewer")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
