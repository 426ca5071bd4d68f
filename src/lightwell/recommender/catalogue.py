"""Published videos as arrays: their words by number, their tags, and who and what belongs together."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from lightwell.recommender.audience import audience
from lightwell.recommender.integers import Ints, as_ints


class VideoFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One published video.

    creator: "cell:handle". sound: sound id or None. hour: whole hours since 1970 of publication; second:
    seconds into that hour (0..3599), which order its videos. topic: its subject; the first tag stands in.
    duration: milliseconds, 0 where unknown. adult: for adults only. regions: those in which it may be shown,
    none for all; `region` is where it was made.
    """

    id: str
    creator: str
    sound: str | None = None
    tags: Sequence[str] = ()
    hour: int
    second: int = 0
    region: str = ""
    topic: str = ""
    duration: int = 0
    adult: bool = False
    regions: Sequence[str] = ()

    @property
    def audience(self) -> str:
        """Who it may be shown to, as a word; see `audience`."""
        return audience(self.adult, self.regions)

    @property
    def published(self) -> int:
        """Seconds since 1970."""
        return self.hour * 3600 + self.second

    @property
    def subject(self) -> str:
        """The topic, or what stands in for it; empty for none."""
        return self.topic or next(iter(self.tags), "")


def catalogue(facts: Sequence[VideoFact]) -> dict[str, Any]:
    """Words, their numbers, each video's tags and the lists of each creator, sound and tag.

    Args:
        facts: ascending by id, each once.

    Returns:
        The arrays and words of a base file that follow from videos alone.
    """
    count = len(facts)
    tags_of = [sorted(set(fact.tags)) for fact in facts]
    creators = _numbers(fact.creator for fact in facts)
    sounds = _numbers(fact.sound for fact in facts if fact.sound)
    topics = _numbers(fact.subject for fact in facts if fact.subject)
    regions = _numbers(fact.region for fact in facts)
    audiences = _numbers(fact.audience for fact in facts)
    tags = _numbers(tag for found in tags_of for tag in found)
    creator = as_ints([creators[fact.creator] for fact in facts])
    sound = as_ints([sounds[fact.sound] if fact.sound else -1 for fact in facts])
    arrays: dict[str, Any] = {
        "ids": np.array([int(fact.id, 16) for fact in facts], dtype=np.uint64),
        "creators": list(creators), "sounds": list(sounds), "tags": list(tags),
        "topics": list(topics), "regions": list(regions), "audiences": list(audiences),
        "creator": creator, "sound": sound,
        "topic": as_ints([topics[fact.subject] if fact.subject else -1 for fact in facts]),
        "region": as_ints([regions[fact.region] for fact in facts]),
        "audience": as_ints([audiences[fact.audience] for fact in facts]),
        "published": as_ints([fact.published for fact in facts]),
        "duration": as_ints([fact.duration for fact in facts]),
        "tag_starts": as_ints([0, *(len(found) for found in tags_of)]).cumsum(),
        "tag": as_ints([tags[name] for found in tags_of for name in found]),
    }  # fmt: skip
    arrays["tag_rarity"] = 256 - 256 * np.bincount(arrays["tag"], minlength=len(tags)) // max(count, 1)
    return arrays | belonging(arrays)


def belonging(arrays: dict[str, Any]) -> dict[str, Ints]:
    """The lists of each creator, sound and tag, and of all videos, newest first.

    Args:
        arrays: `published`, `creator`, `sound`, `tag_starts`, `tag`, and words for how many there are.
    """
    published, sound = arrays["published"], arrays["sound"]
    every = np.arange(published.size, dtype=np.int64)
    newest = np.lexsort((every, -published))
    # Walking the videos newest first and sorting stably by kind leaves each list newest first.
    rank = np.empty(published.size, dtype=np.int64)
    rank[newest] = every
    found = {"newest": newest}
    for name, kinds, numbers, members in (
        ("by_creator", len(arrays["creators"]), arrays["creator"], every),
        ("by_sound", len(arrays["sounds"]), sound[sound >= 0], np.flatnonzero(sound >= 0)),
        ("by_tag", len(arrays["tags"]), arrays["tag"], every.repeat(np.diff(arrays["tag_starts"]))),
    ):
        order = np.lexsort((rank[members], numbers))
        found[name] = members[order]
        found[f"{name}_starts"] = numbers[order].searchsorted(np.arange(kinds + 1))
    return found


def _numbers(words: Iterable[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(sorted(set(words)))}
