"""Viewers of different tastes get different feeds, and a feed follows a taste that turns, and says why."""

import random
import secrets
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from lightwell.apps.demo.viewers import reactions
from lightwell.residency.cell import Cell
from tests.factories.catalogue import make_servable, publish_catalogue
from tests.factories.people import sign_up

VIDEOS = 800
PLACES = 6
Likes = dict[str, float]


def take_turns(client: TestClient[Litestar], likes: Likes, turns: int, rng: random.Random) -> list[Any]:
    """Watch slate after slate as somebody who likes these hashtags does; return the slates."""
    slates = []
    for _ in range(turns):
        answer = client.get("/api/feed", params={"k": PLACES})
        assert answer.status_code == 200, answer.text
        slate = answer.json()
        slates.append(slate)
        done = [
            {"event_id": secrets.token_hex(16), "watch_ms": 0, **event}
            for item in slate["items"]
            for event in reactions(likes, 0.15, tagged(item), rng)
        ]
        assert client.post("/api/events", json={"events": done}).status_code == 202
    return slates


def tagged(item: dict[str, Any]) -> dict[str, Any]:
    """The catalogue's captions are "taste number"; simulated viewers look for a hashtag."""
    caption = "#" + item["video"]["caption"]
    return {**item, "video": {**item["video"], "caption": caption}}


def share(slates: list[Any], taste: str) -> float:
    captions = [item["video"]["caption"].split()[0] for slate in slates for item in slate["items"]]
    return captions.count(taste) / len(captions)


def test_two_tastes_get_two_feeds_and_a_turned_taste_another_one(
    client: TestClient[Litestar], cell: Cell
) -> None:
    # Slates are drawn in part: enough of them are compared that chance alone cannot decide.
    publish_catalogue(cell, VIDEOS)
    rng = random.Random(4)
    sign_up(client, handle="folds.first")
    ours = take_turns(client, {"folds": 1.0}, 14, rng)[4:]
    before = dict(client.cookies)
    client.cookies.clear()
    sign_up(client, handle="harbour.only")
    theirs = take_turns(client, {"harbour": 1.0}, 14, rng)[4:]
    make_servable(cell)
    assert share(ours, "folds") > share(theirs, "folds")
    assert share(theirs, "harbour") > share(ours, "harbour")

    client.cookies.clear()
    client.cookies.update(before)
    turned = take_turns(client, {"harbour": 1.0}, 24, rng)[12:]
    assert share(turned, "harbour") > share(ours, "harbour")
    slate, liked = next(
        (slate, item)
        for slate in turned
        for item in slate["items"]
        if item["video"]["caption"].startswith("harbour") and item["source"] not in ("explore", "holdback")
    )
    why = client.get(f"/api/slates/{slate['proof']['leaf']}/why").json()
    reasons = next(item for item in why["items"] if item["place"] == liked["place"])["reasons"]
    assert any("harbour" in reason["text"] for reason in reasons), reasons
