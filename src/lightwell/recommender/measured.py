"""Candidates with what is known of each for this viewer, and true words about one of them."""

from dataclasses import dataclass

import numpy as np

from lightwell.recommender import features, kernels
from lightwell.recommender.context import RANKED_UNIT, Context, Tastes
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.features import Columns, Rows
from lightwell.recommender.integers import Ints
from lightwell.recommender.kernels import measure
from lightwell.recommender.lazily import lazily
from lightwell.recommender.sources import Candidates


@dataclass(frozen=True, eq=False)
class Measured:
    """What scorers read.

    ranked: whether a ranker takes part; points of the policy then count in a finer unit.
    again: whether videos seen before are among the candidates.
    """

    context: Context
    candidates: Candidates
    ranked: bool = False
    again: bool = False

    @property
    def unit(self) -> int:
        """What one point of the policy counts in the score."""
        return RANKED_UNIT if self.ranked else 1

    @lazily
    def signals(self) -> Ints:
        """Shape (measure.SIGNALS, n); the rows are named in `kernels.measure`."""
        context = self.context
        tables = context.tables
        (long, other), (by_long, by_other) = context.graph_weights, context.sums_of(self.candidates.videos)
        found: Ints = kernels.measure.signals(
            self.candidates.facts, self.candidates.videos, long * by_long + other * by_other,
            tables.tag_starts, tables.tag, *context.tastes,
        )  # fmt: skip
        return found

    @lazily
    def columns(self) -> Columns:
        """What the ranker is asked with, shape (features, n or more); see `features.columns`."""
        return features.columns(self.context, self.candidates.videos, self.candidates.facts)

    @lazily
    def features(self) -> Rows:
        """The same, shape (n, features)."""
        return np.ascontiguousarray(self.columns[:, : self.candidates.videos.size].T)

    def creator(self, at: int) -> str:
        """The creator's key of a candidate."""
        video = int(self.candidates.videos[at])
        return self.context.snapshot.creators[int(self.context.tables.creator[video])]

    def age(self, at: int) -> int:
        """The age of a candidate in whole hours."""
        return int(self.context.age(self.candidates.facts[at : at + 1])[0])

    def tag_liking(self, tag: int) -> int:
        """The liking of a hashtag."""
        return liking(self.context.tag_tastes, tag)


def liking(tastes: Tastes, number: int) -> int:
    """The liking of one number, 0 where nothing is known."""
    keys, sums = tastes
    at = np.flatnonzero(keys == number)
    return int(sums[at[0]]) if at.size and number >= 0 else 0


def creator_reason(measured: Measured, at: int, points: int) -> Contribution:
    """Say what the viewer did with the creator's videos, if that is why the points have their sign."""
    context, key = measured.context, measured.creator(at)
    known = int(measured.signals[measure.CREATOR, at])
    if not known or (known > 0) != (points > 0):
        return Contribution("creator-other", points, key)
    creator, taste = context.tables.creator, context.policy.taste
    number = creator[int(measured.candidates.videos[at])]
    strengths = context.strength[creator[context.watched] == number]
    if points > 0:
        likes = int((creator[context.likes] == number).sum())
        return Contribution("creator-watched", points, key, int((strengths >= taste.finish).sum()), likes)
    hides = int((creator[context.hides] == number).sum())
    return Contribution("creator-skipped", points, key, int((strengths <= taste.skip).sum()), hides)


def sound_reason(measured: Measured, at: int, points: int) -> Contribution:
    """Name the sound, as liked or disliked if that is why the points have their sign."""
    number = int(measured.context.tables.sound[int(measured.candidates.videos[at])])
    about = measured.context.snapshot.sounds[number] if number >= 0 else None
    known = int(measured.signals[measure.SOUND, at])
    if not known or (known > 0) != (points > 0):
        return Contribution("sound-other", points, about)
    return Contribution("sound-liked" if points > 0 else "sound-skipped", points, about)


def finish_code(measured: Measured, at: int, points: int) -> str:
    """Whether more or fewer than usual finish the video, if that is why the points have their sign."""
    known = int(measured.signals[measure.FINISH, at])
    if not known or (known > 0) != (points > 0):
        return "finish-other"
    return "finished-often" if points > 0 else "finished-rarely"
