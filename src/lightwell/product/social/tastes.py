"""What a viewer's state says of their tastes, counted in videos, so that a person can check every number."""

from collections import defaultdict
from typing import Literal

import msgspec

from lightwell.base.db import ReadSession
from lightwell.product import videos
from lightwell.product.social.state import ViewerState

Kind = Literal["hashtag", "maker", "sound"]
# Half a video is a long watch here; below an eighth one has left at once.
LONG = 128
LEFT = 32
MOST_SHOWN = 8


class Taste(msgspec.Struct, frozen=True):
    """Of `of` watched videos that share a hashtag, maker or sound, how many were watched long, and left."""

    kind: Kind
    name: str
    title: str
    of: int
    longs: int
    left: int


class Tastes(msgspec.Struct, frozen=True):
    """What is watched to the half or longer more often than not, and what is mostly left at once."""

    likes: list[Taste]
    leaves: list[Taste]


def tastes_of(session: ReadSession, state: ViewerState) -> Tastes:
    """Return a viewer's tastes, the clearest first, at most eight of each.

    Args:
        session: where to read what is public about the videos; withdrawn ones are left out.
        state: the viewer's.
    """
    tallies: dict[tuple[Kind, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for video_id, fact in videos.published_facts(session, state.watched).items():
        strength = state.watched[video_id]
        maker = f"{fact.origin_cell}:{fact.creator_handle}"
        about: set[tuple[Kind, str, str]] = {("hashtag", tag, f"#{tag}") for tag in fact.hashtags}
        about.add(("maker", maker, f"@{fact.creator_handle}"))
        if fact.sound_id is not None:
            about.add(("sound", fact.sound_id, fact.sound_title or "Original sound"))
        for key in about:
            tally = tallies[key]
            tally[0] += 1
            tally[1] += strength >= LONG
            tally[2] += strength < LEFT
    found = [Taste(*key, *tally) for key, tally in tallies.items() if tally[0] > 1]
    likes = [taste for taste in found if 2 * taste.longs > taste.of]
    leaves = [taste for taste in found if 2 * taste.left > taste.of]
    return Tastes(
        sorted(likes, key=lambda one: (-one.longs, one.of, one.kind, one.name))[:MOST_SHOWN],
        sorted(leaves, key=lambda one: (-one.left, one.of, one.kind, one.name))[:MOST_SHOWN],
    )
