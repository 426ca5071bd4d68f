"""Prints what a few hundred records are ranked to, so that machines, settings and versions can be compared.

Run as a module it needs the recommender and nothing else, in any Python that has its three packages.
"""

import hashlib
import sys
from collections.abc import Iterable

from lightwell.recommender.pipeline import rank, rows_of
from lightwell.recommender.policy import default_policy
from lightwell.recommender.record import SlateInputs, Viewer, slate_bytes
from lightwell.recommender.snapshot import Snapshot
from tests.unit.recommender.forests import ranked_world, updated_world
from tests.unit.recommender.worlds import CREATORS, TOPICS, fan, inputs, shuffled, snapshot

POLICY = default_policy()
WORLDS = {
    "plain": lambda: snapshot(600, 120),
    "ranked": lambda: ranked_world(600, 120),
    "updated": updated_world,
}


def records(name: str) -> list[SlateInputs]:
    """Records of all tabs, of viewers who did little, much or everything."""
    world, size = WORLDS[name](), 60 if name == "updated" else 600
    names = [world.name(at) for at in range(world.size)]
    made = []
    for at in range(40):
        liked = fan(TOPICS[at % 6], at * 2, size, at)
        made.append(inputs(liked, world=world, seed=f"{at:032x}", k=20))
        made.append(inputs(liked, world=world, seed=f"{at:032x}", k=20, tab="newest"))
        made.append(inputs(world=world, seed=f"{at * 7:032x}", k=20, tab="without_profiling"))
    for at in range(8):
        order = shuffled(names, at)
        viewer = Viewer(
            region="us",
            watched=[(video, at * 29) for video in order[:200]],
            seen=order,
            likes=order[3:60],
            hidden=order[40:90],
            follows=CREATORS[at : at + 4],
            blocked=CREATORS[at + 5 : at + 6],
            muted=CREATORS[at + 6 : at + 7],
        )
        made += [
            inputs(viewer, world=world, seed=f"{at:032x}", k=50, tab=tab, withdrawn=order[-9:])
            for tab in ("for_you", "following")
        ]
    return made


def line(world: Snapshot, record: SlateInputs) -> str:
    """One slate with its reasons, all it dropped and the features asked, as a digest."""
    result = rank(world, POLICY, record)
    why = repr((result.reasons, result.propensities, result.dropped)).encode()
    rows = rows_of(world, POLICY, record, result.measured.candidates.videos).tobytes()
    return hashlib.sha256(slate_bytes(result.slate) + why + rows).hexdigest()


def lines(names: Iterable[str] = WORLDS) -> list[str]:
    """The digest of each world's snapshot and of each of its slates."""
    found = []
    for name in names:
        world = WORLDS[name]()
        found += [world.digest, *(line(world, record) for record in records(name))]
    return found


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()))
