"""One signed part of a video's score, and what it is about: the parts of a score sum to it exactly."""

import msgspec


class Contribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Points given or taken for one reason.

    code: the reason, one of the keys of `explain.WORDS`.
    about: the creator key, hashtag, sound id or promotion id it is about, if any.
    count, also: numbers the words need, as each code says (videos finished and liked; places back; hours).
    """

    code: str
    points: int
    about: str | None = None
    count: int = 0
    also: int = 0
