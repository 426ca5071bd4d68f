"""The ranking policy: every weight, limit, filter and promotion that can change reach, as one typed value."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Final, Literal

import msgspec

from lightwell.recommender.record import MOST_EXTERNAL, Digest, Id

Points = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
SignedPoints = Annotated[int, msgspec.Meta(ge=-10_000, le=10_000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2_000)]
Half = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Millionths = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Strength = Annotated[int, msgspec.Meta(ge=0, le=255)]
Hour = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]
OutcomeWeight = Annotated[int, msgspec.Meta(ge=0, le=255)]
Version = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]

AGAINST: Final = frozenset({"skip", "hide"})
"""Outcomes that count against a video."""


class PolicyError(ValueError):
    """A ranking policy with an unknown field or a value out of range; the message names the field."""


Where = tuple[str | int, ...]
"""The place of a value in a policy: ("promotions", 3, "end")."""


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The most points each reason can give (or, for tastes, take).

    lot: given by a seeded draw, evenly from 0 to this, in a feed without profiling.
    """

    creator: Points = 420
    co_watch: Points = 400
    tag: Points = 300
    sound: Points = 110
    follow: Points = 240
    rising: Points = 170
    finish: Points = 120
    new: Points = 60
    lot: Points = 120


class Outcomes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much each outcome the ranker foresees counts in the score: weight times log-odds in 1/1024.

    skip, hide: count against a video; all others for it. Without a ranker none of them acts.
    """

    relevance: OutcomeWeight = 128
    long: OutcomeWeight = 64
    like: OutcomeWeight = 24
    share: OutcomeWeight = 24
    follow: OutcomeWeight = 16
    skip: OutcomeWeight = 24
    hide: OutcomeWeight = 48

    def signed(self, outcome: str) -> int:
        """Return the weight of an outcome with its sign; KeyError for an outcome no policy knows."""
        if outcome not in self.__struct_fields__:
            raise KeyError(outcome)
        weight: int = getattr(self, outcome)
        return -weight if outcome in AGAINST else weight


class Holdback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Requests ranked without the viewer, by a seeded draw, to compare all others with.

    share: probability that a request is one, in millionths; 0 holds none back.
    """

    share: Millionths = 10_000


class Taste(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How watches, likes and hides become a liking or a dislike.

    neutral: the strength of a watch that says nothing; below it a watch counts against.
    finish, skip: strengths from which a watch counts as "to the end", and up to which as "skipped", in words.
    half_life: watches after which an older watch counts half, and a like of it too.
    *_half: the liking that earns half of the weight.
    graph_long, graph_other: what an edge of the item graph counts from a video watched long or liked, and
        from any other that was shown: that it was is itself weak evidence (only with a ranker).
    """

    neutral: Strength = 80
    finish: Strength = 192
    skip: Strength = 40
    like: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 200
    hide: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 600
    half_life: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    creator_half: Half = 250
    tag_half: Half = 400
    sound_half: Half = 400
    co_watch_half: Half = 150
    graph_long: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5
    graph_other: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many candidates each source may bring."""

    co_watch: Count = 200
    rising: Count = 40
    fresh: Count = 40
    content: Count = 16
    follows: Count = 30
    per_creator: Count = 8
    creators: Count = 4
    per_sound: Count = 8
    sounds: Count = 2
    per_tag: Count = 8
    tags: Count = 4
    newest: Count = 40


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out. Hidden and withdrawn videos always are; these two can be chosen.

    again_after: when too few unseen videos are left, offer seen ones again, except the newest this many;
        0 never offers a seen video again and lets the slate be shorter.
    """

    own: bool = True
    again_after: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 30
    again: Points = 10_000


class Diversity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Points taken from a video that repeats a creator, sound or topic of the videos just before it.

    window: how many videos back it looks, across slates; the loss shrinks evenly with the distance.
    creator_most: videos of one creator in a slate before `creator_often` is taken from each further one.
    """

    window: Annotated[int, msgspec.Meta(ge=0, le=20)] = 4
    creator: Points = 240
    sound: Points = 120
    topic: Points = 60
    creator_most: Annotated[int, msgspec.Meta(ge=1, le=50)] = 3
    creator_often: Points = 400


class Exploration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """First views for new videos: the last of each `every` places goes, by a seeded draw, to one of `pool`.

    share: probability of the draw, in millionths. views, hours: few enough views, young enough.
    newest: among how many of the newest videos those with few views are looked for.
    """

    every: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    share: Millionths = 700_000
    pool: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    views: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 50
    hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 365)] = 72
    newest: Annotated[int, msgspec.Meta(ge=1, le=2_000)] = 500


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A human decision that raises or lowers a video's reach, within hours [start, end).

    ceiling: the share of requests in which it may act, in millionths.
    """

    id: Id
    video: Id
    points: SignedPoints
    start: Hour
    end: Hour
    ceiling: Millionths
    reason: Text


class ExternalRanker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another organisation's ranker, which scores the best candidates in a process of its own.

    digest: SHA-256 of its program, in hex. points: the most it can give or take.
    milliseconds: how long it may take for one request. candidates: how many it is asked about.
    rest_milliseconds: how long it is not asked after it failed. most_failures: the share of requests, in
    millionths, in which it may fail before the monitor takes it for more than bad luck.
    """

    digest: Digest
    points: Points = 200
    milliseconds: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 25
    candidates: Annotated[int, msgspec.Meta(ge=1, le=MOST_EXTERNAL)] = 100
    rest_milliseconds: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 5_000
    most_failures: Millionths = 50_000


class RankingPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """The whole ranking policy; what is not in it cannot change reach.

    version: rises with every policy a cell adopts; 0 is the one it is founded with.
    """

    v: Literal[1] = 1
    version: Version = 0
    weights: Weights = Weights()
    outcomes: Outcomes = Outcomes()
    taste: Taste = Taste()
    limits: Limits = Limits()
    filters: Filters = Filters()
    diversity: Diversity = Diversity()
    exploration: Exploration = Exploration()
    holdback: Holdback = Holdback()
    external: ExternalRanker | None = None
    promotions: Annotated[tuple[Promotion, ...], msgspec.Meta(max_length=100)] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex: how entries and records name this policy."""
        return hashlib.sha256(dump(self)).hexdigest()


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(RankingPolicy)


def default_policy() -> RankingPolicy:
    """The policy a new cell starts with: no promotions."""
    return RankingPolicy()


def dump(policy: RankingPolicy) -> bytes:
    """Canonical JSON (RFC 8785) of the policy, with every field written out."""
    return _encoder.encode(policy)


def parse(data: bytes) -> RankingPolicy:
    """Read a policy from JSON; fields left out take their defaults, unknown ones are refused.

    Raises:
        PolicyError: not JSON, an unknown field, a value out of range, or a contradiction.
    """
    try:
        policy = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"ranking policy: {error}") from error
    for _, reason in contradictions(policy):
        raise PolicyError(f"ranking policy: {reason}")
    return policy


def contradictions(policy: RankingPolicy) -> Iterator[tuple[Where, str]]:
    """Yield what types cannot refuse: where it stands, and what is wrong with it."""
    if policy.taste.skip >= policy.taste.finish:
        yield ("taste", "skip"), "taste.skip must be below taste.finish"
    by_id: set[str] = set()
    by_video: dict[str, str] = {}
    for at, promotion in enumerate(policy.promotions):
        if promotion.end <= promotion.start:
            yield ("promotions", at, "end"), f"promotion {promotion.id} ends before it starts"
        if promotion.points == 0:
            yield ("promotions", at, "points"), f"promotion {promotion.id} neither raises nor lowers"
        if promotion.id in by_id:
            yield ("promotions", at, "id"), f"two promotions called {promotion.id}"
        by_id.add(promotion.id)
        other = by_video.setdefault(promotion.video, promotion.id)
        if other != promotion.id:
            yield ("promotions", at, "video"), f"two promotions of one video: {other} and {promotion.id}"


def raised_share(policy: RankingPolicy) -> int:
    """Return the most requests that raised videos may reach in any one hour, in millionths.

    Ceilings of promotions that act in the same hour are added: no draw makes more requests hold one.
    """
    raising = [promotion for promotion in policy.promotions if promotion.points > 0]
    return max(
        (sum(other.ceiling for other in raising if other.start <= one.start < other.end) for one in raising),
        default=0,
    )


def promotion_digest(promotion: Promotion) -> str:
    """SHA-256 of a promotion's canonical bytes, in hex: how the ledger lists it without its words."""
    return hashlib.sha256(_encoder.encode(promotion)).hexdigest()


def differences(before: RankingPolicy, after: RankingPolicy) -> list[tuple[str, str, str]]:
    """List what differs, as (name, value before, value after) in JSON; a promotion is one value by its id."""
    values = [_values(before), _values(after)]
    names = sorted(values[0].keys() | values[1].keys())
    found = [(name, values[0].get(name, ""), values[1].get(name, "")) for name in names]
    return [row for row in found if row[1] != row[2]]


def _values(policy: RankingPolicy) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in policy.__struct_fields__:
        part = getattr(policy, name)
        if isinstance(part, tuple):
            found |= {f"promotions.{one.id}": _encoder.encode(one).decode() for one in part}
        elif isinstance(part, msgspec.Struct):
            fields = msgspec.structs.asdict(part).items()
            found |= {f"{name}.{key}": _encoder.encode(value).decode() for key, value in fields}
        elif part is not None:
            found[name] = _encoder.encode(part).decode()
    return found
