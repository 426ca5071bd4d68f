"""The ranking policy: every weight, limit, filter and promotion that can change reach, as one typed value."""

import hashlib
from functools import cached_property
from typing import Annotated, Literal

import msgspec

from lightwell.recommender.record import Id

Points = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
SignedPoints = Annotated[int, msgspec.Meta(ge=-10_000, le=10_000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2_000)]
Half = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Millionths = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Strength = Annotated[int, msgspec.Meta(ge=0, le=255)]
Hour = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class PolicyError(ValueError):
    """A ranking policy with an unknown field or a value out of range; the message names the field."""


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The most points each reason can give (or, for tastes, take)."""

    creator: Points = 420
    co_watch: Points = 400
    tag: Points = 300
    sound: Points = 110
    follow: Points = 240
    rising: Points = 170
    finish: Points = 120
    new: Points = 60


class Taste(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How watches, likes and hides become a liking or a dislike.

    neutral: the strength of a watch that says nothing; below it a watch counts against.
    finish, skip: strengths from which a watch counts as "to the end", and up to which as "skipped", in words.
    half_life: watches after which an older watch counts half.
    *_half: the liking that earns half of the weight.
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
    co_watch_half: Half = 40_000


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many candidates each source may bring."""

    co_watch: Count = 200
    rising: Count = 100
    fresh: Count = 100
    follows: Count = 200
    per_creator: Count = 20
    creators: Count = 8
    per_sound: Count = 20
    sounds: Count = 4
    per_tag: Count = 40
    tags: Count = 8
    newest: Count = 100


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out. Hidden and withdrawn videos always are; these two can be chosen.

    again_after: when too few unseen videos are left, offer seen ones again, except the newest this many;
        0 never offers a seen video again and lets the slate be shorter.
    """

    own: bool = True
    again_after: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 30
    again: Points = 5_000


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
    """

    every: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    share: Millionths = 700_000
    pool: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    views: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 50
    hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 365)] = 72


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


class RankingPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """The whole ranking policy; what is not in it cannot change reach."""

    v: Literal[1] = 1
    weights: Weights = Weights()
    taste: Taste = Taste()
    limits: Limits = Limits()
    filters: Filters = Filters()
    diversity: Diversity = Diversity()
    exploration: Exploration = Exploration()
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
    for promotion in policy.promotions:
        if promotion.end <= promotion.start:
            raise PolicyError(f"ranking policy: promotion {promotion.id} ends before it starts")
    if len({promotion.video for promotion in policy.promotions}) < len(policy.promotions):
        raise PolicyError("ranking policy: two promotions of one video")
    if policy.taste.skip >= policy.taste.finish:
        raise PolicyError("ranking policy: taste.skip must be below taste.finish")
    return policy
