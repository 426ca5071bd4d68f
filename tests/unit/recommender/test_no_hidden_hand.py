"""Every number of a policy acts on what people are shown; nothing but record, snapshot and policy does."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from lightwell import recommender
from lightwell.product.feed import service
from lightwell.recommender.features import FEATURES
from lightwell.recommender.pipeline import rank
from lightwell.recommender.policy import PolicyError, RankingPolicy, default_policy, parse
from lightwell.recommender.ranker import OUTCOMES, Ranker
from lightwell.recommender.record import SlateInputs, Tab, Viewer, slate_bytes
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import TrainSettings, build_base, columns
from tests.unit.recommender import worlds

# Each field of a record says who is asked and what they did; a new one would be a new way to act on reach.
INPUTS = {
    "v", "cell", "snapshot", "policy", "nonce", "seed", "request", "viewer", "withdrawn", "external",
}  # fmt: skip
# The cell's settings may say which cell and region it is; they know nothing of ranking.
SETTINGS_READ = {"cell", "region"}
RANKING = [path for path in Path(recommender.__file__).parent.rglob("*.py") if "fit" not in path.parts]


@cache
def ranked_world() -> Snapshot:
    """The small world with a ranker: one question for each outcome, each on a feature of its own."""
    ages = len(OUTCOMES)
    columns_asked = [index for index, feature in enumerate(FEATURES) if feature.group in ("popular", "near")][
        :ages
    ]
    at = np.arange(ages) * 3
    nodes = np.arange(3 * ages)
    left, right, feature, value = nodes.copy(), nodes.copy(), np.full(3 * ages, -1), np.zeros(3 * ages)
    left[at], right[at], feature[at] = at + 1, at + 2, columns_asked
    value[at + 1], value[at + 2] = -700 - at, 900 + at
    arrays = {
        "tree_starts": np.arange(ages + 1), "root": at, "feature": feature,
        "threshold": np.full(3 * ages, 8), "left": left, "right": right, "value": value.astype(np.int32),
    }  # fmt: skip
    pieces = build_base(
        worlds.catalogue(),
        columns(worlds.watches()),
        TrainSettings(),
        worlds.HOUR * 60,
        ranker=Ranker.of(OUTCOMES, arrays, len(FEATURES)),
        features=len(FEATURES),
    )
    return Snapshot.from_bytes(b"".join(pieces))


def people(size: int) -> Iterator[tuple[Viewer, Tab, int]]:
    """Viewers of all kinds: new, keen, choosy, sated."""
    videos = [fact.id for fact in worlds.catalogue(size)]
    creators = sorted({fact.creator for fact in worlds.catalogue(size)})
    yield Viewer(region="us"), "for_you", 20
    yield Viewer(region="us"), "without_profiling", 20
    for number, topic in enumerate(worlds.TOPICS[:3]):
        fan = worlds.fan(topic, 25, size=size, seed=number)
        shown = [video for video, _ in fan.watched]
        yield (
            msgspec.structs.replace(
                fan,
                likes=shown[:6],
                hidden=shown[20:24],
                follows=creators[number : number + 2],
                own=creators[-1],
            ),
            "for_you",
            20,
        )
    yield Viewer(region="us", own=creators[0], follows=creators[1:4]), "for_you", 30
    yield Viewer(region="us", seen=videos), "for_you", 10
    yield Viewer(region="us", seen=videos[: size - 8]), "for_you", 20


def outcome(policy: RankingPolicy) -> list[object]:
    """All that a policy decides for those people, in both worlds, with the reasons."""
    found: list[object] = []
    # In the small worlds everything is considered; in the large one sources choose.
    for world, size in ((worlds.snapshot(), 60), (ranked_world(), 60), (worlds.snapshot(600), 600)):
        for number, (viewer, tab, k) in enumerate(people(size)):
            for seed in (number, 1_000 + number):
                inputs = worlds.inputs(viewer, world=world, policy=policy, tab=tab, k=k, seed=f"{seed:032x}")
                ranked = rank(world, policy, inputs)
                found += [slate_bytes(ranked.slate), ranked.reasons, ranked.dropped, ranked.propensities]
    return found


# Where sources bring much, one more or less from one of them may not show: so also where they bring little.
BASES: tuple[dict[str, dict[str, int]], ...] = (
    {},
    {"limits": {"newest": 1, "rising": 1, "content": 1, "co_watch": 3, "per_creator": 2, "fresh": 1}},
)


@cache
def usual(base: int) -> list[object]:
    return outcome(parse(msgspec.json.encode(BASES[base])))


def numbers() -> list[tuple[str, str]]:
    policy = default_policy()
    return [
        (section, name)
        for section in policy.__struct_fields__
        if isinstance(getattr(policy, section), msgspec.Struct)
        for name in getattr(policy, section).__struct_fields__
    ]


def changed(section: str, name: str, base: int) -> Iterator[RankingPolicy]:
    """Policies that differ from a base in this number alone, small and large."""
    value = getattr(getattr(default_policy(), section), name)
    others: list[Any] = (
        [not value] if isinstance(value, bool) else [0, 1, value // 2, value * 3, 255, 1_000_000]
    )
    for other in others:
        try:
            fields = BASES[base] | {section: BASES[base].get(section, {}) | {name: other}}
            yield parse(msgspec.json.encode(fields))
        except PolicyError:
            continue


@pytest.mark.parametrize(("section", "name"), numbers())
def test_every_number_of_a_policy_acts(section: str, name: str) -> None:
    assert any(
        outcome(policy) != usual(base)
        for base in range(len(BASES))
        for policy in changed(section, name, base)
    )


def test_the_version_and_only_the_version_may_change_without_an_effect() -> None:
    assert outcome(parse(b'{"version":7}')) == usual(0)


def test_a_record_holds_nothing_that_could_be_a_hand_on_the_scales() -> None:
    assert set(SlateInputs.__struct_fields__) == INPUTS


@pytest.mark.parametrize("path", RANKING, ids=lambda path: path.name)
def test_ranking_reads_no_file_no_setting_and_no_global_that_can_change(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Global), f"{path.name} changes a global"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "eval", "exec", "__import__", "input", "globals"}, path.name
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert module is not None
            first = ".".join(module.split(".")[:2])
            assert first not in {"lightwell.base", "lightwell.residency", "lightwell.product"}, path.name
            assert module.split(".")[0] not in {"os", "sys", "io", "pathlib", "importlib", "datetime"}, (
                path.name
            )


def test_the_feed_takes_nothing_from_the_cells_settings_but_its_name_and_region() -> None:
    tree = ast.parse(Path(service.__file__).read_text("utf-8"))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "settings"
    }
    assert read <= SETTINGS_READ
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "environ"]
