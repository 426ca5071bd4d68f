"""The fit: a graph and trees that follow from events alone, whole numbers, the same for the same events."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.features import FEATURES
from lightwell.recommender.fit.ease import MOST_WEIGHT, regress, shared_evidence, to_graph
from lightwell.recommender.fit.items import GraphSettings, fit_graph
from lightwell.recommender.fit.model import Model, ModelSettings, fit_model
from lightwell.recommender.fit.past import Past
from lightwell.recommender.fit.trees import TreeSettings, fit_ranker
from lightwell.recommender.graph import Graph
from lightwell.recommender.happened import Events, events_of, number_of
from lightwell.recommender.integers import Ints
from lightwell.recommender.policy import RankingPolicy
from lightwell.recommender.ranker import RAW_ONE, Ranker
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import TrainSettings, build_base

VIDEOS = 40
DAY = 1440
NOW = 19_000 * DAY
SMALL = ModelSettings(
    graph=GraphSettings(ridge=100, neighbours=20),
    horizons=2,
    relevance=TreeSettings(trees=5, leaves=4, least=5, positives=20),
    impression=TreeSettings(trees=5, leaves=4, least=5, positives=20),
)


def evidence(seed: int = 1, viewers: int = 80) -> tuple[Ints, Ints, Ints]:
    """Two tastes: even and odd videos."""
    rng = np.random.default_rng(seed)
    pairs = sorted(
        {(v, 2 * int(rng.integers(VIDEOS // 2)) + v % 2) for v in range(viewers) for _ in range(9)}
    )
    rows = np.array(pairs, dtype=np.int64)
    return rows[:, 0], rows[:, 1], np.where(rows.sum(axis=1) % 3 == 0, 3, 5)


def dense(graph: Graph) -> NDArray[np.int64]:
    table = np.zeros((graph.starts.size - 1, graph.starts.size - 1), dtype=np.int64)
    table[np.arange(graph.starts.size - 1).repeat(np.diff(graph.starts)), graph.near] = graph.weight
    return table


def happened(days: int = 5, seed: int = 3) -> Events:
    """Viewers of two tastes; what follows theirs they watch long, the rest they leave."""
    rng, rows = np.random.default_rng(seed), []
    for day in range(days):
        for viewer in range(60):
            for _ in range(6):
                video = int(rng.integers(VIDEOS))
                minute = NOW - (days - day) * DAY + int(rng.integers(DAY))
                long = video % 2 == viewer % 2 and rng.random() < 0.9
                rows.append((viewer, video + 1, minute, number_of("watch"), 255 if long else 30))
                if long and rng.random() < 0.3:
                    rows.append((viewer, video + 1, minute, number_of("like"), 255))
    return events_of(sorted(rows, key=lambda row: row[2]))


def model_of(events: Events, settings: ModelSettings = SMALL) -> Model:
    facts = [
        VideoFact(id=f"{n + 1:016x}", creator=f"us:maker{n % 7}", hour=NOW // 60 - 500, topic=f"t{n % 4}")
        for n in range(VIDEOS)
    ]
    ids = np.arange(1, VIDEOS + 1, dtype=np.uint64)

    def snapshot_at(minute: int, graph: Graph, ranker: Ranker) -> Snapshot:
        known = events[events["minute"] < minute]
        parts = build_base(
            facts, known, TrainSettings(), minute, graph=graph, ranker=ranker, features=len(FEATURES)
        )
        return Snapshot.from_bytes(b"".join(parts))

    past = Past.of(ids, events, events["video"].astype(np.int64) - 1)
    return fit_model(past, NOW, settings, snapshot_at, lambda _what, _done, _total: None)


def same(one: Model, other: Model) -> bool:
    graphs = [(m.graph.starts.tolist(), m.graph.near.tolist(), m.graph.weight.tolist()) for m in (one, other)]
    rankers = []
    for model in (one, other):
        assert model.ranker is not None
        rankers.append((model.ranker.outcomes, model.ranker.threshold.tolist(), model.ranker.value.tolist()))
    return graphs[0] == graphs[1] and rankers[0] == rankers[1]


class TestGraph:
    def test_regression_gives_what_inverting_the_whole_matrix_gives(self) -> None:
        viewer, video, strength = evidence()
        shared = shared_evidence(viewer, video, strength, VIDEOS)
        table = np.zeros((80, VIDEOS))
        table[viewer, video] = strength
        assert (shared == table.T @ table).all()
        inverse = np.linalg.inv(shared + 50 * np.eye(VIDEOS))
        wanted = -inverse / np.diag(inverse)
        np.fill_diagonal(wanted, 0)
        np.testing.assert_allclose(regress(shared, 50.0), wanted, atol=1e-12)

    def test_regression_of_more_videos_than_a_block_is_right_too(self) -> None:
        rng = np.random.default_rng(2)
        root = rng.normal(size=(700, 1100))
        inverse = np.linalg.inv(root.T @ root + 50 * np.eye(1100))
        wanted = -inverse / np.diag(inverse)
        np.fill_diagonal(wanted, 0)
        np.testing.assert_allclose(regress(root.T @ root, 50.0), wanted, atol=1e-9)

    def test_dropout_gives_what_learning_from_many_draws_gives(self) -> None:
        viewer, video, strength = evidence()
        table = np.zeros((80, VIDEOS))
        table[viewer, video] = strength
        draws, kept = 2_000, np.random.default_rng(3)
        drawn, asked = np.zeros((VIDEOS, VIDEOS)), np.zeros((VIDEOS, VIDEOS))
        for _ in range(draws):
            left = table * (kept.random(table.shape) < 0.75)
            drawn += left.T @ left / draws
            asked += left.T @ table / draws
        found = regress(table.T @ table, 50.0, 25) / 0.75
        for one in range(VIDEOS):
            others = np.flatnonzero(np.arange(VIDEOS) != one)
            system = drawn[np.ix_(others, others)] + 50 * 0.75**2 * np.eye(others.size)
            wanted = np.linalg.solve(system, asked[others, one])
            np.testing.assert_allclose(found[others, one], wanted, atol=0.02)
        assert np.abs(found - regress(table.T @ table, 50.0) / 0.75).max() > 0.05

    def test_the_largest_weight_is_127_and_signs_stay(self) -> None:
        graph = to_graph(np.array([[0.0, 0.5, -0.25], [0.001, 0.0, 0.1], [0.0, 0.0, 0.0]]), most=2)
        assert graph.starts.tolist() == [0, 2, 3, 3]
        assert (graph.near.tolist(), graph.weight.tolist()) == ([1, 2, 2], [MOST_WEIGHT, -64, 25])

    def test_videos_of_one_taste_lead_to_each_other_and_away_from_the_other(self) -> None:
        settings = GraphSettings(ridge=100, neighbours=VIDEOS)
        table = dense(fit_graph(*evidence(viewers=400), videos=VIDEOS, settings=settings))
        alike = np.add.outer(np.arange(VIDEOS), np.arange(VIDEOS)) % 2 == 0
        assert table[alike].sum() > 0 >= table[~alike].sum()

    def test_the_order_of_evidence_has_no_meaning(self) -> None:
        viewer, video, strength = evidence()
        order = np.random.default_rng(5).permutation(viewer.size)
        settings = GraphSettings(ridge=100)
        one = fit_graph(viewer, video, strength, videos=VIDEOS, settings=settings)
        other = fit_graph(viewer[order], video[order], strength[order], videos=VIDEOS, settings=settings)
        assert (dense(one) == dense(other)).all()

    def test_a_video_beyond_the_head_has_neighbours_by_co_watching(self) -> None:
        viewer, video, strength = evidence(viewers=400)
        head = GraphSettings(ridge=100, head=30, shrink=10)
        counts = np.bincount(video, minlength=VIDEOS)
        outside = np.sort(np.lexsort((np.arange(VIDEOS), -counts))[30:])
        table = dense(fit_graph(viewer, video, strength, videos=VIDEOS, settings=head))
        assert (np.abs(table[outside]).sum(axis=1) > 0).all()
        assert (table[outside] >= 0).all()
        inside = np.setdiff1d(np.arange(VIDEOS), outside)
        assert (table[np.ix_(inside, inside)] < 0).any()

    def test_no_video_has_more_neighbours_than_there_is_room_for(self) -> None:
        settings = GraphSettings(ridge=100, neighbours=50, edges=VIDEOS * 3)
        graph = fit_graph(*evidence(viewers=400), videos=VIDEOS, settings=settings)
        assert np.diff(graph.starts).max() == 3

    def test_no_evidence_gives_no_neighbours(self) -> None:
        none = np.zeros(0, dtype=np.int64)
        graph = fit_graph(none, none, none, videos=3, settings=GraphSettings())
        assert graph.starts.tolist() == [0, 0, 0, 0]


def answers(ranker: Ranker, outcome: str, rows: NDArray[np.int16]) -> NDArray[np.int64]:
    number = ranker.outcomes.index(outcome)
    sums = np.zeros(rows.shape[0], dtype=np.int64)
    for root in ranker.root[ranker.tree_starts[number] : ranker.tree_starts[number + 1]].tolist():
        for at, row in enumerate(rows):
            node = root
            while ranker.feature[node] >= 0:
                left = row[ranker.feature[node]] <= ranker.threshold[node]
                node = int(ranker.left[node] if left else ranker.right[node])
            sums[at] += ranker.value[node]
    return sums


class TestTrees:
    @pytest.fixture
    def rows(self) -> NDArray[np.int16]:
        return np.random.default_rng(7).integers(0, 50, size=(2_000, 4)).astype(np.int16)

    def test_trees_say_in_log_odds_how_likely_it_is(self, rows: NDArray[np.int16]) -> None:
        rng = np.random.default_rng(8)
        chance = np.where(rows[:, 2] > 12, 0.8, 0.2)
        came = rng.random(rows.shape[0]) < chance
        settings = {"long": TreeSettings(trees=60, leaves=2, rate=200, least=20, smooth=0)}
        ranker = fit_ranker({"long": (rows, came)}, settings, unread={})
        assert ranker is not None
        found = answers(ranker, "long", rows[:300]) / RAW_ONE
        assert np.corrcoef(found, np.log(chance / (1 - chance))[:300])[0, 1] > 0.95
        assert abs(found[rows[:300, 2] > 12].mean() - np.log(4)) < 0.3

    def test_a_feature_that_must_not_be_read_is_not(self, rows: NDArray[np.int16]) -> None:
        came = rows[:, 2] > 12
        ranker = fit_ranker({"long": (rows, came)}, {}, unread={"long": (2,)})
        assert ranker is not None
        assert 2 not in ranker.feature.tolist()

    def test_an_outcome_hardly_ever_seen_gets_no_trees(self, rows: NDArray[np.int16]) -> None:
        came = rows[:, 2] > 12
        rare = np.arange(rows.shape[0]) < 3
        ranker = fit_ranker({"like": (rows, rare), "long": (rows, came)}, {}, unread={})
        assert ranker is not None
        assert ranker.outcomes == ("long",)
        assert fit_ranker({"like": (rows, rare)}, {}, unread={}) is None

    def test_a_slope_adds_the_same_for_each_step_of_a_feature(self, rows: NDArray[np.int16]) -> None:
        came = rows[:, 2] > 12
        found = []
        for slopes in ((), ((1, 10),)):
            settings = {"long": TreeSettings(trees=3, slopes=slopes)}
            ranker = fit_ranker({"long": (rows, came)}, settings, unread={})
            assert ranker is not None
            found.append(answers(ranker, "long", rows[:200]))
        assert (found[1] - found[0] == 10 * rows[:200, 1]).all()

    def test_an_inner_node_carries_what_is_expected_below_it(self, rows: NDArray[np.int16]) -> None:
        ranker = fit_ranker({"long": (rows, rows[:, 0] > 30)}, {}, unread={})
        assert ranker is not None
        inner = ranker.feature >= 0
        below = np.stack((ranker.value[ranker.left], ranker.value[ranker.right]))[:, inner]
        assert (below.min(axis=0) <= ranker.value[inner]).all()
        assert (ranker.value[inner] <= below.max(axis=0)).all()


class TestPast:
    def test_a_record_holds_what_happened_before_and_nothing_later(self) -> None:
        rows = [(5, video, NOW + video, number_of("watch"), 200) for video in (1, 2, 3)]
        past = Past.of(np.arange(1, 4, dtype=np.uint64), events_of(rows), np.arange(3))
        policy = RankingPolicy()
        snapshot = Snapshot.from_bytes(
            b"".join(build_base([], events_of([]), TrainSettings(), NOW, graph=None))
        )
        viewer = past.inputs(0, NOW + 3, snapshot, policy).viewer
        assert viewer.seen == ["0000000000000001", "0000000000000002"]
        assert viewer.watched == [("0000000000000001", 200), ("0000000000000002", 200)]
        assert not past.inputs(-1, NOW + 3, snapshot, policy).viewer.seen


class TestModel:
    @pytest.fixture(scope="class")
    def model(self) -> Model:
        return model_of(happened())

    def test_a_model_learns_outcomes_that_happened_often_enough(self, model: Model) -> None:
        assert model.ranker is not None
        assert model.ranker.outcomes == ("relevance", "long", "like", "skip")
        assert model.examples["long"][1] > 100
        assert int(model.ranker.feature.max()) < len(FEATURES)

    def test_the_same_events_give_the_same_model(self, model: Model) -> None:
        assert same(model, model_of(happened()))

    @pytest.mark.parametrize("kind", ["watch", "like", "hide"])
    def test_what_happens_later_changes_nothing(self, model: Model, kind: str) -> None:
        later = events_of([(v, 1 + v % VIDEOS, NOW + v, number_of(kind), 255) for v in range(60)])
        assert same(model, model_of(np.concatenate((happened(), later))))

    def test_what_a_viewer_hid_says_nothing_in_the_graph(self) -> None:
        events = happened()
        hidden = events_of([(v, 2, NOW - 1, number_of("hide"), 0) for v in range(60)])
        table = dense(model_of(np.concatenate((events, hidden))).graph)
        assert not table[1].any()
        assert dense(model_of(events).graph)[1].any()

    def test_too_few_events_give_a_graph_and_no_trees(self) -> None:
        model = model_of(happened()[:30])
        assert model.ranker is None
        assert model.graph.starts.size == VIDEOS + 1

    def test_progress_is_told(self) -> None:
        told: list[str] = []
        step: Callable[[str, int, int], None] = lambda what, _done, _total: told.append(what)  # noqa: E731
        events = happened()
        past = Past.of(
            np.arange(1, VIDEOS + 1, dtype=np.uint64), events, events["video"].astype(np.int64) - 1
        )
        fit_model(past, NOW, ModelSettings(horizons=0), lambda _minute, _graph, _ranker: None, step)  # type: ignore[arg-type,return-value]
        assert told == ["trees", "graph"]
