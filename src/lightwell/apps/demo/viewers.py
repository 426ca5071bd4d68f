"""Simulated viewers of distinct tastes who watch, like, follow and skip through the public HTTP interface."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from lightwell.apps.demo.diary import Diary
from lightwell.apps.demo.notebook import Notebook
from lightwell.apps.demo.person import Person, Unexpected
from lightwell.apps.demo.personas import VIEWERS, Taste
from lightwell.apps.demo.seed import enter

LIVELY_SECONDS = 0.6
CALM_SECONDS = 4.0
LIVELY_TURNS = 40
_LIKES_FROM = 0.8
_FOLLOWS_FROM = 0.9
_SKIPS_BELOW = 0.3


class Viewers:
    """A thread in which the simulated viewers take turns at their feeds.

    Args:
        urls: address of each cell by name.
        notebooks: what the demo remembers of each cell, by name.
        diaries: where to write down what each viewer of a cell was offered, by name of the cell.
        on_failure: called with one sentence when a viewer got an answer that they should not get.
    """

    def __init__(
        self,
        urls: dict[str, str],
        notebooks: dict[str, Notebook],
        diaries: dict[str, Diary],
        on_failure: Callable[[str], None],
    ) -> None:
        self._urls = urls
        self._notebooks = notebooks
        self._diaries = diaries
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="viewers", daemon=True)
        self.slates = 0

    def start(self) -> None:
        """Begin; viewers sign in at their first turn."""
        self._thread.start()

    def stop(self) -> None:
        """Let the turn that is being taken end, and no other begin."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        rng = random.Random(20_200_806)  # noqa: S311  tastes, not secrets
        people: dict[str, Person] = {}
        turn = 0
        while not self._stop.is_set():
            taste = VIEWERS[turn % len(VIEWERS)]
            try:
                self._take_turn(taste, turn // len(VIEWERS), people, rng)
            except (httpx.HTTPError, Unexpected) as error:
                # A cell that is restarting is expected; anything else is said once a turn, not hidden.
                if not isinstance(error, httpx.TransportError) and not self._stop.is_set():
                    self._on_failure(f"simulated viewer @{taste.handle}: {error}")
                self._stop.wait(2.0)
            turn += 1
            # Lively at first, so that the recommender learns the tastes; then a murmur that stays.
            self._stop.wait(LIVELY_SECONDS if turn < LIVELY_TURNS * len(VIEWERS) else CALM_SECONDS)
        for person in people.values():
            person.http.close()

    def _take_turn(self, taste: Taste, turn: int, people: dict[str, Person], rng: random.Random) -> None:
        person = people.get(taste.handle)
        if person is None:
            person = Person(self._urls[taste.cell])
            enter(person, self._notebooks[taste.cell], taste.handle, taste.name)
            people[taste.handle] = person
        slate = person.feed("for_you", 6)
        items = slate["items"]
        self.slates += 1
        likes = taste.at(turn)
        if items:
            self._diaries[taste.cell].note(taste, turn, slate, person.why(slate["proof"]["leaf"]))
        events = [event for item in items for event in reactions(likes, taste.patience, item, rng)]
        if events:
            person.tell(events)
        time.sleep(0)


def reactions(
    likes: dict[str, float], patience: float, item: dict[str, Any], rng: random.Random
) -> list[dict[str, Any]]:
    """Return what a viewer does with one video of a slate, as events without ids.

    Args:
        likes: how much of a clip with a tag is watched, 0 to 1.
        patience: how much of any other.
        item: one item of a feed answer.
        rng: where whim comes from.
    """
    video = item["video"]
    if video.get("status") != "published":
        return []
    caption = str(video.get("caption", ""))
    liking = max((weight for tag, weight in likes.items() if f"#{tag}" in caption), default=0.0)
    share = min(1.0, max(0.05, (liking or patience) + rng.uniform(-0.15, 0.15)))
    about = {"video_id": video["video_id"]}
    watched = int(share * int(video.get("duration_ms") or 7000))
    if share < _SKIPS_BELOW:
        return [{"kind": "skip", "watch_ms": watched, **about}]
    events = [{"kind": "watch", "watch_ms": watched, **about}]
    if share > _LIKES_FROM and not item.get("liked") and rng.random() < 0.5:
        events.append({"kind": "like", **about})
    if share > _FOLLOWS_FROM and not item.get("follows") and rng.random() < 0.2:
        events.append({"kind": "follow", **about})
    return events
