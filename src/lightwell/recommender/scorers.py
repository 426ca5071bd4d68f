"""Scorers: signed points of each candidate for one reason each; a score is their plain sum."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lightwell.recommender.context import Context
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.integers import Ints, among, look_up, saturate, scale

Points = Callable[[Context, Ints], Ints]
Describe = Callable[[Context, int, int], Contribution]


@dataclass(frozen=True)
class Scorer:
    """A reason that gives or takes points.

    points: for the context and positions of videos (n,), signed points (n,).
    describe: for the context, one video and its points (not zero), the contribution in full.
    """

    points: Points
    describe: Describe


def _plain(code: str) -> Describe:
    """A contribution that needs no more than its code."""
    return lambda _context, _video, points: Contribution(code, points)


def creator_points(context: Context, videos: Ints) -> Ints:
    """Liking of the creator."""
    keys, values = context.creator_tastes
    liking = look_up(keys, values, context.snapshot.creator[videos])
    return saturate(liking, context.policy.taste.creator_half, context.policy.weights.creator)


def describe_creator(context: Context, video: int, points: int) -> Contribution:
    """Count what the viewer finished and liked, or skipped and hid, of the creator."""
    creator, taste = context.snapshot.creator, context.policy.taste
    number = creator[video]
    strengths = context.strength[creator[context.watched] == number]
    key = context.snapshot.creators[number]
    if points > 0:
        likes = int((creator[context.likes] == number).sum())
        return Contribution("creator-watched", points, key, int((strengths >= taste.finish).sum()), likes)
    hides = int((creator[context.hidden] == number).sum())
    return Contribution("creator-skipped", points, key, int((strengths <= taste.skip).sum()), hides)


def sound_points(context: Context, videos: Ints) -> Ints:
    """Liking of the sound."""
    keys, values = context.sound_tastes
    liking = look_up(keys, values, context.snapshot.sound[videos])
    return saturate(liking, context.policy.taste.sound_half, context.policy.weights.sound)


def describe_sound(context: Context, video: int, points: int) -> Contribution:
    """Name the sound."""
    sound = context.snapshot.sounds[context.snapshot.sound[video]]
    return Contribution("sound-liked" if points > 0 else "sound-skipped", points, sound)


def _tag_likings(context: Context, videos: Ints) -> tuple[Ints, Ints, Ints]:
    """Which of the videos have tags, where their tags start, and the liking of each tag."""
    starts = context.snapshot.tag_starts
    begin = starts[videos]
    counts = starts[videos + 1] - begin
    tagged = counts.nonzero()[0]
    before = counts.cumsum() - counts
    at = np.arange(int(counts.sum()), dtype=np.int64) + (begin - before).repeat(counts)
    keys, values = context.tag_tastes
    return tagged, before[tagged], look_up(keys, values, context.snapshot.tag[at])


def tag_liked_points(context: Context, videos: Ints) -> Ints:
    """The one hashtag liked best: adding more hashtags to a video earns nothing."""
    return _tag_points(context, videos, 1)


def tag_skipped_points(context: Context, videos: Ints) -> Ints:
    """The one hashtag disliked most."""
    return _tag_points(context, videos, -1)


def _tag_points(context: Context, videos: Ints, sign: int) -> Ints:
    best = np.zeros(videos.shape, dtype=np.int64)
    tagged, starts, likings = _tag_likings(context, videos)
    if tagged.size:
        best[tagged] = np.maximum(np.maximum.reduceat(likings * sign, starts), 0)
    return sign * saturate(best, context.policy.taste.tag_half, context.policy.weights.tag)


def _describe_tag(code: str, sign: int) -> Describe:
    def describe(context: Context, video: int, points: int) -> Contribution:
        """Name the hashtag that earned the points, the first by name if several did."""
        snapshot = context.snapshot
        tags = snapshot.tag[snapshot.tag_starts[video] : snapshot.tag_starts[video + 1]].astype(np.int64)
        likings = look_up(*context.tag_tastes, tags) * sign
        return Contribution(code, points, snapshot.tags[int(tags[int(likings.argmax())])])

    return describe


def co_watch_points(context: Context, videos: Ints) -> Ints:
    """Neighbourhood, in the co-watch graph, to what the viewer watched."""
    keys, values = context.co_watched
    taste, weights = context.policy.taste, context.policy.weights
    return saturate(look_up(keys, values, videos), taste.co_watch_half, weights.co_watch)


def follow_points(context: Context, videos: Ints) -> Ints:
    """Made by someone the viewer follows."""
    weight = context.policy.weights.follow
    return among(context.follows, context.snapshot.creator[videos].astype(np.int64)) * np.int64(weight)


def describe_follow(context: Context, video: int, points: int) -> Contribution:
    """Name the creator."""
    return Contribution("follow", points, context.snapshot.creators[context.snapshot.creator[video]])


def rising_points(context: Context, videos: Ints) -> Ints:
    """More long watches lately than usual."""
    return scale(context.snapshot.rise[videos].astype(np.int64), context.policy.weights.rising, 255)


def finish_points(context: Context, videos: Ints) -> Ints:
    """Watched through by a larger or smaller share than the catalogue's."""
    return scale(context.snapshot.finish[videos].astype(np.int64), context.policy.weights.finish, 256)


def describe_finish(_context: Context, _video: int, points: int) -> Contribution:
    """Tell above from below the catalogue's share."""
    return Contribution("finished-often" if points > 0 else "finished-rarely", points)


def new_points(context: Context, videos: Ints) -> Ints:
    """Young, by an even slope down to nothing."""
    hours = context.policy.exploration.hours
    return scale(np.maximum(hours - context.age(videos), 0), context.policy.weights.new, hours)


def describe_new(context: Context, video: int, points: int) -> Contribution:
    """Say the age in hours."""
    age = int(context.age(np.array([video], dtype=np.int64))[0])
    return Contribution("new", points, None, age)


def promotion_points(context: Context, videos: Ints) -> Ints:
    """A human decision, while it lasts and as far as its ceiling lets it act."""
    points = np.zeros(videos.shape, dtype=np.int64)
    for place, promotion in context.promoted.items():
        points[videos == place] = promotion.points
    return points


def describe_promotion(context: Context, video: int, points: int) -> Contribution:
    """Name the promotion."""
    return Contribution("promotion", points, context.promoted[video].id)


def again_points(context: Context, videos: Ints) -> Ints:
    """Seen before: offered only when nothing else is left, and always after it."""
    return among(context.seen_long_ago, videos) * np.int64(-context.policy.filters.again)


def time_points(context: Context, videos: Ints) -> Ints:
    """The newest gets the most, the oldest 1: order by time of publication, then by id."""
    points = np.empty(videos.shape, dtype=np.int64)
    # Positions ascend with ids, so a stable sort leaves equal times in order of id.
    order = np.argsort(-context.snapshot.published[videos], kind="stable")
    points[order] = np.arange(videos.size, 0, -1)
    return points


def describe_time(context: Context, video: int, points: int) -> Contribution:
    """Say the age in hours."""
    return Contribution("newest", points, None, describe_new(context, video, points).count)


AGAIN = Scorer(again_points, _plain("seen-before"))
FOR_YOU = (
    Scorer(creator_points, describe_creator),
    Scorer(co_watch_points, _plain("co-watch")),
    Scorer(tag_liked_points, _describe_tag("tag-liked", 1)),
    Scorer(tag_skipped_points, _describe_tag("tag-skipped", -1)),
    Scorer(sound_points, describe_sound),
    Scorer(follow_points, describe_follow),
    Scorer(rising_points, _plain("rising")),
    Scorer(finish_points, describe_finish),
    Scorer(new_points, describe_new),
    Scorer(promotion_points, describe_promotion),
    AGAIN,
)
BY_TIME = (Scorer(time_points, describe_time), AGAIN)


def score_all(context: Context, videos: Ints, scorers: tuple[Scorer, ...]) -> Ints:
    """Points of every scorer, shape (scorers, n); the sum over the first axis is the score."""
    return np.stack([scorer.points(context, videos) for scorer in scorers])
