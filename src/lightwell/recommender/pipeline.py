"""Ranking: sources -> filters -> scorers -> selector; the same record gives the same bytes anywhere."""

from dataclasses import dataclass
from functools import cached_property

from lightwell.recommender import filters, scorers, selector, sources
from lightwell.recommender.context import Context
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.filters import Dropped, Filter
from lightwell.recommender.integers import Ints
from lightwell.recommender.policy import RankingPolicy
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
from lightwell.recommender.selector import Pick, Select
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.sources import Candidates, Source


@dataclass(frozen=True)
class Stages:
    """The pieces one tab is ranked by."""

    sources: tuple[Source, ...]
    filters: tuple[Filter, ...]
    scorers: tuple[Scorer, ...]
    select: Select


STAGES = {
    "for_you": Stages(sources.FOR_YOU, filters.FOR_YOU, scorers.FOR_YOU, selector.diverse),
    "following": Stages(sources.FOLLOWING, filters.BY_TIME, scorers.BY_TIME, selector.in_order),
    "newest": Stages(sources.NEWEST, filters.BY_TIME, scorers.BY_TIME, selector.in_order),
}


@dataclass(frozen=True, eq=False)
class Ranked:
    """A slate and, worked out only when asked for, why each video is in it and why others are not."""

    slate: Slate
    context: Context
    stages: Stages
    candidates: Candidates
    points: Ints
    picks: list[Pick]
    filtered: list[Dropped]

    @cached_property
    def reasons(self) -> list[list[Contribution]]:
        """For each item the contributions that sum to its score, largest first; none is zero."""
        return [self._reasons(pick) for pick in self.picks]

    @property
    def propensities(self) -> list[int]:
        """For each item the chance of its draw, in millionths (see `selector.Pick`)."""
        return [pick.propensity for pick in self.picks]

    @cached_property
    def dropped(self) -> list[tuple[str, str]]:
        """Every video considered and not shown: (id, reason), by id.

        Reasons: withdrawn, hidden, own, seen, outranked; not-in-catalogue for a promoted video.
        """
        snapshot = self.context.snapshot
        taken = {pick.at for pick in self.picks}
        rows = [
            (snapshot.name(video), "outranked")
            for at, video in enumerate(self.candidates.videos.tolist())
            if at not in taken
        ]
        for part in self.filtered:
            rows += [(snapshot.name(video), part.reason) for video in part.videos.tolist()]
        wanted = [promotion.video for promotion in self.context.policy.promotions]
        found = snapshot.find(wanted).tolist()
        rows += [(video, "not-in-catalogue") for video, at in zip(wanted, found, strict=True) if at < 0]
        return sorted(rows)

    def _reasons(self, pick: Pick) -> list[Contribution]:
        video = int(self.candidates.videos[pick.at])
        column: list[int] = self.points[:, pick.at].tolist()
        parts = [
            scorer.describe(self.context, video, points)
            for scorer, points in zip(self.stages.scorers, column, strict=True)
            if points
        ]
        return sorted([*parts, *pick.added], key=lambda part: -part.points)


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
    request = inputs.request
    stages = STAGES.get(request.tab)
    if stages is None or not 1 <= request.k <= MOST_PLACES:
        raise RecordError(f"slate inputs: no tab {request.tab!r} of {request.k} places")
    if inputs.snapshot != snapshot.digest:
        raise RecordError(f"slate inputs: made from snapshot {inputs.snapshot}, not {snapshot.digest}")
    if inputs.policy != policy.digest:
        raise RecordError(f"slate inputs: made under policy {inputs.policy}, not {policy.digest}")
    check_bounds(inputs)
    context = Context(snapshot, policy, inputs)
    found = sources.find_all(context, stages.sources)
    candidates, filtered = filters.drop_all(context, found, stages.filters)
    points = scorers.score_all(context, candidates.videos, stages.scorers)
    scores = points.sum(axis=0)
    picks = stages.select(context, candidates.videos, scores)
    items = [
        SlateItem(
            video=snapshot.name(int(candidates.videos[pick.at])),
            score=int(scores[pick.at]) + sum(part.points for part in pick.added),
            source="explore" if pick.explored else stages.sources[candidates.source[pick.at]].name,
        )
        for pick in picks
    ]
    return Ranked(Slate(items), context, stages, candidates, points, picks, filtered)


def replay(snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs) -> bytes:
    """Rank the recorded inputs again and give the slate's bytes, to be compared with those committed to.

    Raises:
        RecordError: as `rank`.
    """
    return slate_bytes(rank(snapshot, policy, inputs).slate)
