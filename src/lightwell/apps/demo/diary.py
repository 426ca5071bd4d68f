"""What simulated viewers were offered, slate by slate, kept in their home cell and shown as a table."""

import os
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from lightwell.apps.demo.personas import Taste

KEPT_SLATES: Final = 60
RECENT_SLATES: Final = 3
_TAG = re.compile(r"#(\w+)")


class Offered(msgspec.Struct):
    """One slate: whose turn (from 0), how many videos had each hashtag, and why the first was there."""

    turn: int
    videos: int
    tags: dict[str, int]
    why: str


class Page(msgspec.Struct):
    """One viewer: the hashtags they like now and liked before their taste turned, and slates, newest last."""

    likes: list[str]
    liked: list[str]
    slates: list[Offered] = []


class Diary:
    """The pages of one cell's simulated viewers, written through on every slate.

    Args:
        folder: the cell's folder; what its viewers were offered does not leave it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "viewers.json"
        self._lock = threading.Lock()
        self.pages = read(folder)

    def note(self, taste: Taste, turn: int, slate: dict[str, Any], why: dict[str, Any]) -> None:
        """Write down a slate.

        Args:
            taste: whose it was.
            turn: which of their turns, from 0.
            slate: the feed's answer, of at least one video.
            why: what the cell says of the same slate's reasons.
        """
        tags: Counter[str] = Counter()
        for item in slate["items"]:
            tags.update(set(_TAG.findall(str(item["video"].get("caption", "")))))
        reasons = why["items"][0]["reasons"]
        offered = Offered(turn, len(slate["items"]), dict(tags), reasons[0]["text"] if reasons else "")
        likes = taste.at(turn)
        with self._lock:
            page = self.pages.setdefault(taste.handle, Page([], []))
            page.likes = list(likes)
            page.liked = [] if likes is taste.likes else list(taste.likes)
            page.slates = [*page.slates, offered][-KEPT_SLATES:]
            draft = self._file.with_suffix(".json.new")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(self.pages))
            draft.replace(self._file)


def read(folder: Path) -> dict[str, Page]:
    """Return the pages kept in a cell's folder, by handle; none if no viewer has had a turn.

    Raises:
        ValueError: the file is not one of these.
    """
    try:
        data = (folder / "viewers.json").read_bytes()
    except FileNotFoundError:
        return {}
    return msgspec.json.decode(data, type=dict[str, Page])


def share(slates: list[Offered], tags: list[str]) -> float:
    """Return how many of the places in `slates` went to the hashtags, 0 to 1; one place may carry several."""
    places = sum(slate.videos for slate in slates)
    return min(1.0, sum(slate.tags.get(tag, 0) for slate in slates for tag in tags) / max(places, 1))


def show(console: Console, pages: dict[str, Page]) -> None:
    """Print a table: what each viewer likes, what their newest slates were made of, and why.

    Args:
        console: where.
        pages: by handle.
    """
    table = Table(box=None, padding=(0, 2), title=f"The newest {RECENT_SLATES} slates of each viewer")
    for name in ("viewer", "likes", "of that", "what the places went to", "why the first"):
        table.add_column(name)
    for handle, page in sorted(pages.items()):
        recent = page.slates[-RECENT_SLATES:]
        most: Counter[str] = Counter()
        for slate in recent:
            most.update(slate.tags)
        places = sum(slate.videos for slate in recent)
        made_of = ", ".join(f"{tag} {100 * count // places} %" for tag, count in most.most_common(3))
        table.add_row(
            f"@{handle}",
            " ".join(page.likes) + (f" (before: {' '.join(page.liked)})" if page.liked else ""),
            f"{100 * share(recent, page.likes):.0f} %"
            + (f" (before: {100 * share(recent, page.liked):.0f} %)" if page.liked else ""),
            made_of,
            recent[-1].why if recent else "",
        )
    console.print(table)
