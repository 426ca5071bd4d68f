"""Contributions in words a person understands; the points stay the exact ones."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lightwell.recommender.contribution import Contribution


@dataclass(frozen=True)
class Reason:
    """One line of "Why this video": words and signed points."""

    text: str
    points: int


Names = Mapping[str, str]
"""Words for what contributions are about: sound id -> title, promotion id -> reason, creator key -> name."""

Say = Callable[[Contribution, Names], str]


def creator_name(key: str, names: Names) -> str:
    """How to write a creator key "cell:handle": the given name, else "@handle"."""
    return names.get(key) or f"@{key.rpartition(':')[2]}"


def explain(contributions: Iterable[Contribution], names: Names | None = None) -> list[Reason]:
    """Say why, largest first, what was taken last; the points sum to the score.

    Args:
        contributions: of one item, from `Ranked.reasons`.
        names: see `Names`; whatever is missing is said without a name.
    """
    known = names or {}
    parts = sorted(contributions, key=lambda part: -part.points)
    return [Reason(WORDS[part.code](part, known), part.points) for part in parts]


def _fixed(text: str) -> Say:
    return lambda _part, _names: text


def _creator_watched(part: Contribution, names: Names) -> str:
    who = creator_name(part.about or "", names)
    if part.count and part.also:
        return f"You watched {part.count} of {who} to the end and liked {part.also}"
    if part.count:
        return f"You watched {part.count} of {who} to the end"
    if part.also:
        return f"You liked {part.also} of {who}"
    return f"You often stay with {who}"


def _creator_skipped(part: Contribution, names: Names) -> str:
    who = creator_name(part.about or "", names)
    if part.count and part.also:
        return f"You skipped {part.count} of {who} and hid {part.also}"
    if part.also:
        return f"You hid {part.also} of {who}"
    return f"You skipped {part.count} of {who}" if part.count else f"You rarely stay with {who}"


def _sound(before: str) -> Say:
    def say(part: Contribution, names: Names) -> str:
        title = names.get(part.about or "")
        return f"{before} the sound “{title}”" if title else f"{before} this sound"

    return say


def _tag(before: str) -> Say:
    return lambda part, _names: f"{before} #{part.about}"


def _repeat(what: str) -> Say:
    def say(part: Contribution, _names: Names) -> str:
        back = "just before" if part.count == 1 else f"{_number(part.count)} videos ago"
        return f"Same {what} {back}"

    return say


def _often(part: Contribution, names: Names) -> str:
    return f"Already {_number(part.count)} of {creator_name(part.about or '', names)} in this slate"


def _published(before: str) -> Say:
    return lambda part, _names: f"{before} {_ago(part.count)}"


def _promotion(part: Contribution, names: Names) -> str:
    change = "Promoted by people here" if part.points > 0 else "Lowered by people here"
    reason = names.get(part.about or "")
    return f"{change}: {reason}" if reason else change


def _topic(part: Contribution, _names: Names) -> str:
    return f"How you watch the topic {part.about}" if part.about else "It has no topic"


def _external(part: Contribution, _names: Names) -> str:
    place = "high" if part.points > 0 else "low"
    return f"A ranker by others, named in the ranking policy, places it {place}"


def _ago(hours: int) -> str:
    if hours < 1:
        return "within the hour"
    days = hours // 24
    if days < 2:
        return "an hour ago" if hours == 1 else f"{hours} hours ago"
    return f"{days} days ago"


def _number(count: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[count] if 0 <= count < len(words) else str(count)


WORDS: Mapping[str, Say] = {
    "creator-watched": _creator_watched,
    "creator-skipped": _creator_skipped,
    "co-watch": _fixed("People who finish what you finish, finish this"),
    "co-watch-other": _fixed("How near it is to what you watch"),
    "creator-other": lambda part, names: f"What is known of you and {creator_name(part.about or '', names)}",
    "tag-liked": _tag("You like"),
    "tag-skipped": _tag("You skip"),
    "sound-liked": _sound("You like"),
    "sound-skipped": _sound("You skip"),
    "sound-other": _fixed("What is known of you and its sound"),
    "topic": _topic,
    "habit": _fixed("How you watch in general"),
    "length": _fixed("How long it is, and how long what you finish is"),
    "hour": _fixed("The hour of the day"),
    "start": _fixed("Where every video starts"),
    "popular": _fixed("How much it is watched, lately and in all"),
    "lot": _fixed("Drawn by lot, so that slates differ without knowing you"),
    "follow": lambda part, names: f"You follow {creator_name(part.about or '', names)}",
    "rising": _fixed("Rising in the last 24 hours"),
    "finished-often": _fixed("More people finish it than most videos"),
    "finished-rarely": _fixed("Fewer people finish it than most videos"),
    "finish-other": _fixed("How many people finish it"),
    "age": _published("Its age: published"),
    "new": _published("New: published"),
    "newest": _published("Newest first: published"),
    "promotion": _promotion,
    "external": _external,
    "explored": _fixed("New and hardly seen: shown to learn who likes it"),
    "seen-before": _fixed("You have seen it, and little else is left"),
    "same-creator": _repeat("creator"),
    "same-sound": _repeat("sound"),
    "same-topic": _repeat("topic"),
    "creator-often": _often,
}
"""Every code a contribution may carry, and how it is said."""
