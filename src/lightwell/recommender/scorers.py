"""Scorers: signed points of each candidate for one reason each; a score is their plain sum."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lightwell.recommender import kernels, outcomes
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.draws import LOT, raw_draws
from lightwell.recommender.integers import Ints, saturate, scale
from lightwell.recommender.kernels import measure
from lightwell.recommender.measured import Measured, creator_reason, finish_code, sound_reason

Points = Callable[[Measured], Ints | None]
Describe = Callable[[Measured, int, int], list[Contribution]]


@dataclass(frozen=True)
class Scorer:
    """A reason that gives or takes points.

    points: for the candidates measured (n,), signed points (n,); None where it gives none to any.
    describe: for the candidates, which of them, and its points (not zero), contributions that sum to them.
    """

    points: Points
    describe: Describe


def _plain(code: str) -> Describe:
    """A contribution that needs no more than its code."""
    return lambda _measured, _at, points: [Contribution(code, points)]


def creator_points(measured: Measured) -> Ints:
    """Liking of the creator."""
    policy = measured.context.policy
    return saturate(measured.signals[measure.CREATOR], policy.taste.creator_half, policy.weights.creator)


def describe_creator(measured: Measured, at: int, points: int) -> list[Contribution]:
    """Count what the viewer finished and liked, or skipped and hid, of the creator."""
    return [creator_reason(measured, at, points)]


def sound_points(measured: Measured) -> Ints:
    """Liking of the sound."""
    policy = measured.context.policy
    return saturate(measured.signals[measure.SOUND], policy.taste.sound_half, policy.weights.sound)


def describe_sound(measured: Measured, at: int, points: int) -> list[Contribution]:
    """Name the sound."""
    return [sound_reason(measured, at, points)]


def tag_liked_points(measured: Measured) -> Ints:
    """The one hashtag liked best: adding more hashtags to a video earns nothing."""
    policy = measured.context.policy
    return saturate(measured.signals[measure.TAG_BEST], policy.taste.tag_half, policy.weights.tag)


def tag_skipped_points(measured: Measured) -> Ints:
    """The one hashtag disliked most."""
    policy = measured.context.policy
    return saturate(measured.signals[measure.TAG_WORST], policy.taste.tag_half, policy.weights.tag)


def _describe_tag(code: str, sign: int) -> Describe:
    def describe(measured: Measured, at: int, points: int) -> list[Contribution]:
        """Name the hashtag that earned the points, the first of the video's if several did."""
        tables, snapshot = measured.context.tables, measured.context.snapshot
        video = int(measured.candidates.videos[at])
        tags = tables.tag[int(tables.tag_starts[video]) : int(tables.tag_starts[video + 1])].tolist()
        best = max(tags, key=lambda tag: (sign * measured.tag_liking(tag), -tag))
        return [Contribution(code, points, snapshot.tags[best])]

    return describe


def co_watch_points(measured: Measured) -> Ints:
    """Neighbourhood, in the item graph, to what the viewer watched."""
    policy = measured.context.policy
    return saturate(measured.signals[measure.GRAPH], policy.taste.co_watch_half, policy.weights.co_watch)


def follow_points(measured: Measured) -> Ints | None:
    """Made by someone the viewer follows."""
    context = measured.context
    if not context.follows.size:
        return None
    creators = np.ascontiguousarray(measured.candidates.facts["creator"])
    is_followed = kernels.gather.among(context.follows, creators)
    points: Ints = is_followed * np.int64(context.policy.weights.follow * measured.unit)
    return points


def describe_follow(measured: Measured, at: int, points: int) -> list[Contribution]:
    """Name the creator."""
    return [Contribution("follow", points, measured.creator(at))]


def rising_points(measured: Measured) -> Ints:
    """More long watches lately than usual."""
    return scale(measured.signals[measure.RISE], measured.context.policy.weights.rising, 255)


def finish_points(measured: Measured) -> Ints:
    """Watched through by a larger or smaller share than the catalogue's."""
    return scale(measured.signals[measure.FINISH], measured.context.policy.weights.finish, 256)


def describe_finish(measured: Measured, at: int, points: int) -> list[Contribution]:
    """Tell above from below the catalogue's share."""
    return [Contribution(finish_code(measured, at, points), points)]


def new_points(measured: Measured) -> Ints:
    """Young, by an even slope down to nothing."""
    context, policy = measured.context, measured.context.policy
    hours, most = policy.exploration.hours, policy.weights.new * measured.unit
    points: Ints = measure.young(measured.candidates.facts, context.inputs.request.hour, hours, most)
    return points


def _describe_age(code: str) -> Describe:
    """Say the age in hours."""
    return lambda measured, at, points: [Contribution(code, points, None, measured.age(at))]


def lot_points(measured: Measured) -> Ints:
    """Points by lot, in a feed that knows nothing of its viewer, lest every slate be the same."""
    context = measured.context
    limit = context.policy.weights.lot + 1
    drawn = raw_draws(context.inputs.seed, LOT, measured.candidates.videos.size)
    # The high half of a draw is even enough for so few points, and its product fits.
    points: Ints = (drawn >> np.uint64(32)).astype(np.int64) * limit >> 32
    return points


def promotion_points(measured: Measured) -> Ints | None:
    """A human decision, while it lasts and as far as its ceiling lets it act."""
    if not measured.context.promoted:
        return None
    videos = measured.candidates.videos
    points = np.zeros(videos.shape, dtype=np.int64)
    for place, promotion in measured.context.promoted.items():
        points[videos == place] = promotion.points * measured.unit
    return points


def describe_promotion(measured: Measured, at: int, points: int) -> list[Contribution]:
    """Name the promotion."""
    video = int(measured.candidates.videos[at])
    return [Contribution("promotion", points, measured.context.promoted[video].id)]


def external_points(measured: Measured) -> Ints | None:
    """What a ranker by others, named in the policy, gives or takes."""
    given, ids = measured.context.external, measured.candidates.ids
    if not given or not ids.size:
        return None
    points = np.zeros(ids.shape, dtype=np.int64)
    wanted = np.array([int(video, 16) for video in given], dtype=np.uint64)
    at = np.minimum(ids.searchsorted(wanted), ids.size - 1)
    is_candidate = ids[at] == wanted
    points[at[is_candidate]] = np.array(list(given.values()), dtype=np.int64)[is_candidate]
    return points * measured.unit


def describe_external(measured: Measured, _at: int, points: int) -> list[Contribution]:
    """Name the ranker by the start of its digest."""
    ranker = measured.context.policy.external
    return [Contribution("external", points, ranker.digest[:12] if ranker else None)]


def again_points(measured: Measured) -> Ints | None:
    """Seen before: offered only when nothing else is left, and always after it."""
    context = measured.context
    if not measured.again:
        return None
    again = kernels.gather.among_ids(context.seen, np.ascontiguousarray(measured.candidates.ids))
    loss: Ints = again * np.int64(-context.policy.filters.again * measured.unit)
    return loss


def time_points(measured: Measured) -> Ints:
    """The newest gets the most, the oldest 1: order by time of publication, then by id."""
    videos = measured.candidates.videos
    points = np.empty(videos.shape, dtype=np.int64)
    # Candidates ascend by id, so a stable sort leaves equal times in order of id.
    order = np.argsort(-measured.context.tables.published[videos], kind="stable")
    points[order] = np.arange(videos.size, 0, -1)
    return points


_FOLLOW = Scorer(follow_points, describe_follow)
_NEW = Scorer(new_points, _describe_age("new"))
_RISING = Scorer(rising_points, _plain("rising"))
_FINISH = Scorer(finish_points, describe_finish)
_PROMOTION = Scorer(promotion_points, describe_promotion)
_EXTERNAL = Scorer(external_points, describe_external)
_AGAIN = Scorer(again_points, _plain("seen-before"))

BY_RULES = (
    Scorer(creator_points, describe_creator),
    Scorer(co_watch_points, _plain("co-watch")),
    Scorer(tag_liked_points, _describe_tag("tag-liked", 1)),
    Scorer(tag_skipped_points, _describe_tag("tag-skipped", -1)),
    Scorer(sound_points, describe_sound),
    _FOLLOW,
    _RISING,
    _FINISH,
    _NEW,
    _PROMOTION,
    _EXTERNAL,
    _AGAIN,
)
"""Where a snapshot has no ranker."""
BY_RANKER = (Scorer(outcomes.points, outcomes.describe), _FOLLOW, _NEW, _PROMOTION, _EXTERNAL, _AGAIN)
WITHOUT_VIEWER = (_RISING, _FINISH, _NEW, _PROMOTION, _AGAIN)
BY_LOT = (_RISING, _FINISH, _NEW, _PROMOTION, Scorer(lot_points, _plain("lot")))
BY_TIME = (Scorer(time_points, _describe_age("newest")), _AGAIN)


def score_all(measured: Measured, scorers: tuple[Scorer, ...]) -> tuple[Ints, list[Ints | None]]:
    """The score of each candidate, shape (n,), and the points of every scorer that it is the sum of."""
    points = [scorer.points(measured) for scorer in scorers]
    scores = np.zeros(measured.candidates.videos.shape, dtype=np.int64)
    for part in points:
        if part is not None:
            scores += part
    return scores, points
