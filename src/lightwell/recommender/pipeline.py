"""Ranking: sources -> filters -> scorers -> selector; the same record gives the same bytes anywhere."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import external, features, filters, scorers, selector, sources
from lightwell.recommender.context import Context, Positions
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.filters import Sifted
from lightwell.recommender.integers import Ints
from lightwell.recommender.lazily import lazily
from lightwell.recommender.measured import Measured
from lightwell.recommender.policy import RankingPolicy
from lightwell.recommender.ranker import RankerError
from lightwell.recommender.record import (
    MOST_PLACES,
    RecordError,
    Slate,
    SlateInputs,
    SlateItem,
    check_bounds,
    slate_bytes,
)
from lightwell.recommender.scorers import Scorer
from lightwell.recommender.selector import Pick, Selector
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.sources import AGAIN, Source
from lightwell.recommender.tables import tables_of


@dataclass(frozen=True)
class Stages:
    """The pieces one tab is ranked by.

    ranker: the scorers that take the place of `scorers` where the snapshot has a ranker; None to do without.
    again: whether seen videos may be offered once more when too few others are left.
    found_as: what the slate says found its videos; empty for the source that did.
    """

    sources: tuple[Source, ...]
    filters: tuple[str, ...]
    scorers: tuple[Scorer, ...]
    selector: Selector
    ranker: tuple[Scorer, ...] | None = None
    again: bool = True
    found_as: str = ""


STAGES = {
    "for_you": Stages(
        sources.FOR_YOU, filters.FOR_YOU, scorers.BY_RULES, selector.DIVERSE, scorers.BY_RANKER
    ),
    "following": Stages(sources.FOLLOWING, filters.BY_TIME, scorers.BY_TIME, selector.IN_ORDER, again=False),
    "newest": Stages(sources.NEWEST, filters.BY_TIME, scorers.BY_TIME, selector.IN_ORDER),
    "without_profiling": Stages(
        sources.WITHOUT_VIEWER, filters.WITHOUT_VIEWER, scorers.BY_LOT, selector.DIVERSE, again=False
    ),
}
HELD_BACK = Stages(
    sources.WITHOUT_VIEWER, filters.FOR_YOU, scorers.WITHOUT_VIEWER, selector.DIVERSE, found_as="holdback"
)
"""Ranks a request of `for_you` without the viewer, so that statistics can say what personal ranking does."""


_NOBODY = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Ranked:
    """A slate and, worked out only when asked for, why each video is in it and why others are not."""

    slate: Slate
    measured: Measured
    stages: Stages
    scorers: tuple[Scorer, ...]
    points: list[Ints | None]
    picks: list[Pick]
    filtered: Sifted

    @property
    def context(self) -> Context:
        """The viewer and what is known of them."""
        return self.measured.context

    @lazily
    def reasons(self) -> list[list[Contribution]]:
        """For each item the contributions that sum to its score, largest first; none is zero."""
        return [self._reasons(place) for place in range(len(self.picks))]

    @property
    def propensities(self) -> list[int]:
        """For each item the chance of its draw, in millionths (see `selector.Pick`)."""
        return [pick.propensity for pick in self.picks]

    @property
    def promoted(self) -> dict[str, str]:
        """The promotion that acts on each promoted video of the slate: video id -> promotion id."""
        acting = self.context.promoted
        if not acting:
            return {}
        name = self.context.snapshot.name
        ids = {name(place): promotion.id for place, promotion in acting.items()}
        return {item.video: ids[item.video] for item in self.slate.items if item.video in ids}

    @lazily
    def dropped(self) -> list[tuple[str, str]]:
        """Every video considered and not shown: (id, reason), by id.

        The reasons are those of `filters.DROPPED`.
        """
        snapshot, videos = self.context.snapshot, self.measured.candidates.videos
        taken = {pick.at for pick in self.picks}
        rows = [
            (snapshot.name(video), "outranked") for at, video in enumerate(videos.tolist()) if at not in taken
        ]
        rows += [(snapshot.name(video), reason) for video, reason in self.filtered.dropped()]
        wanted = [promotion.video for promotion in self.context.policy.promotions]
        found = snapshot.find(wanted).tolist()
        rows += [(video, "not-in-catalogue") for video, at in zip(wanted, found, strict=True) if at < 0]
        return sorted(rows)

    def _reasons(self, place: int) -> list[Contribution]:
        pick = self.picks[place]
        parts = [
            part
            for scorer, points in zip(self.scorers, self.points, strict=True)
            if points is not None and points[pick.at]
            for part in scorer.describe(self.measured, pick.at, int(points[pick.at]))
        ]
        parts += self.stages.selector.describe(self.measured, self.picks, place)
        return sorted(parts, key=lambda part: -part.points)


def rank(snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs) -> Ranked:
    """Rank one request.

    Args:
        snapshot, policy: those the inputs name by digest.
        inputs: the record; see `record.SlateInputs`.

    Returns:
        At most `request.k` videos, none twice; fewer only when no more may be shown.

    Raises:
        RecordError: the inputs name another snapshot or policy, an unknown tab, a malformed id,
            or a list longer than a record may hold.
    """
    context = _open(snapshot, policy, inputs)
    return rank_opened(context, stages_of(context))


def make_ready(snapshot: Snapshot) -> None:
    """Lay out what ranking reads of a snapshot, which no request then waits for."""
    with suppress(RankerError):  # whoever ranks from it is told
        tables_of(snapshot)


def stages_of(context: Context) -> Stages:
    """The pieces that a request is ranked by: those of its tab, or those without its viewer."""
    return HELD_BACK if context.held_back else STAGES[context.inputs.request.tab]


def rank_opened(context: Context, stages: Stages) -> Ranked:
    """Rank a request whose record was checked; see `rank`.

    Args:
        context: the request, with all that the stages read.
        stages: from `stages_of`.

    Raises:
        RecordError: the answer of another organisation's ranker does not fit the policy.
    """
    context.external = external.points(context.policy, context.inputs)
    measured, filtered = _candidates(context, stages)
    chosen = stages.ranker if measured.ranked and stages.ranker is not None else stages.scorers
    scores, points = scorers.score_all(measured, chosen)
    context.release()
    names = [source.name for source in (*stages.sources, AGAIN)]
    pool = selector.first_viewers(measured, names.index("fresh")) if "fresh" in names else _NOBODY
    picks = stages.selector.choose(measured, scores, pool)
    candidates = measured.candidates
    items = [
        SlateItem(
            video=context.snapshot.name(int(candidates.videos[pick.at])),
            score=int(scores[pick.at]) + pick.added,
            source="explore" if pick.lift else stages.found_as or names[candidates.first_source(pick.at)],
        )
        for pick in picks
    ]
    return Ranked(Slate(items), measured, stages, chosen, points, picks, filtered)


def refuse_other(digest: str, policy: RankingPolicy, inputs: SlateInputs) -> None:
    """Refuse a record that does not fit what it is to be ranked with.

    Args:
        digest: of the snapshot.
        policy, inputs: as for `rank`.

    Raises:
        RecordError: as `rank`.
    """
    request = inputs.request
    if request.tab not in STAGES or not 1 <= request.k <= MOST_PLACES:
        raise RecordError(f"slate inputs: no tab {request.tab!r} of {request.k} places")
    if inputs.snapshot != digest:
        raise RecordError(f"slate inputs: made from snapshot {inputs.snapshot}, not {digest}")
    if inputs.policy != policy.digest:
        raise RecordError(f"slate inputs: made under policy {inputs.policy}, not {policy.digest}")
    check_bounds(inputs)


def _open(snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs) -> Context:
    """Check that the record fits what it names, and find its ids in the snapshot."""
    refuse_other(snapshot.digest, policy, inputs)
    return Context(snapshot, policy, inputs)


def _candidates(context: Context, stages: Stages) -> tuple[Measured, Sifted]:
    """Find and filter; where that leaves too few, also what was seen long ago (if the policy says so)."""
    ranked = stages.ranker is not None and context.tables.forest is not None
    found = sources.find_all(context, stages.sources)
    left, filtered = filters.drop_all(context, found, stages.filters)
    enough = left.videos.size >= context.inputs.request.k
    if enough or not stages.again or not context.seen_long_ago.size:
        return Measured(context, left, ranked), filtered
    found = sources.find_all(context, (*stages.sources, AGAIN))
    left, filtered = filters.drop_all(context, found, stages.filters, again=True)
    return Measured(context, left, ranked, again=True), filtered


def features_of(
    snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs, most: int
) -> tuple[list[str], tuple[str, ...], features.Rows]:
    """Give what a ranker by others is asked with: the best candidates by own score, and their features.

    Args:
        snapshot, policy, inputs: as for `rank`; the answer of that ranker need not be there yet.
        most: how many candidates.

    Returns:
        Ids, best first; the names of the features; their rows, shape (n, features). No account is named.

    Raises:
        RecordError: as `rank`.
    """
    context = _open(snapshot, policy, inputs)
    return best_opened(context, stages_of(context), most)


def best_opened(
    context: Context, stages: Stages, most: int
) -> tuple[list[str], tuple[str, ...], features.Rows]:
    """Give the best candidates of a request whose record was checked; see `features_of`."""
    measured, _ = _candidates(context, stages)
    chosen = stages.ranker if measured.ranked and stages.ranker is not None else stages.scorers
    scores, _ = scorers.score_all(measured, chosen)
    best = (-scores).argsort(kind="stable")[:most]
    rows = measured.features[best]
    context.release()
    names = tuple(feature.name for feature in features.FEATURES)
    return [context.snapshot.name(int(measured.candidates.videos[at])) for at in best], names, rows


def candidates_of(
    snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs
) -> tuple[Positions, features.Rows]:
    """Give all that a request may choose among, with the very features that trees are asked with.

    It is how training sees what ranking will see.

    Returns:
        Positions, ascending by id, after filters, and their rows, shape (n, features).

    Raises:
        RecordError: as `rank`.
    """
    context = _open(snapshot, policy, inputs)
    measured, _ = _candidates(context, STAGES[inputs.request.tab])
    rows = measured.features
    context.release()
    return measured.candidates.videos, rows


def rows_of(
    snapshot: Snapshot,
    policy: RankingPolicy,
    inputs: SlateInputs,
    videos: Positions,
    *,
    tab: int = features.DEFAULT_TAB,
    duration: NDArray[np.int32] | None = None,
) -> features.Rows:
    """Give the features of any videos for a viewer, seen or not; `rank` is 255 for all.

    Args:
        snapshot, policy, inputs: as for `rank`.
        videos: positions, shape (n,).
        tab, duration: see `features.rows`.

    Raises:
        RecordError: as `rank`.
    """
    context = _open(snapshot, policy, inputs)
    rows = features.rows(context, videos, tab=tab, duration=duration)
    context.release()
    return rows


def replay(snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs) -> bytes:
    """Rank the recorded inputs again and give the slate's bytes, to be compared with those committed to.

    Raises:
        RecordError: as `rank`.
    """
    return slate_bytes(rank(snapshot, policy, inputs).slate)
