"""Takes every step of the journey in its order on a running demo, and writes down what became of each."""

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import msgspec

from lightwell.apps.demo.check import bounding, governing, making, proving
from lightwell.apps.demo.check.planes import Journal, Planes
from lightwell.apps.demo.check.steps import Journey, Step

Action = Callable[[Planes, Journal], str]

STEPS: dict[str, Action] = {
    "sign_up": making.sign_up,
    "upload": making.upload,
    "transcode": making.transcode,
    "publish": making.publish,
    "feed_has_video": making.feed_has_video,
    "receipt_verified": proving.receipt_verified,
    "ledger_consistent": proving.ledger_consistent,
    "replay_identical": proving.replay_identical,
    "public_video_crosses": bounding.public_video_crosses,
    "protected_field_refused": bounding.protected_field_refused,
    "foreign_staff_refused": bounding.foreign_staff_refused,
    "canary_not_found_abroad": bounding.canary_not_found_abroad,
    "order_bites": governing.order_bites,
    "report_verifies": governing.report_verifies,
    "survives_restart": governing.survives_restart,
}


class PlantedValue(msgspec.Struct, frozen=True):
    """A canary as the result names it: home cell, data category, value."""

    cell: str
    category: str
    value: str


class Result(msgspec.Struct, frozen=True):
    """What a check found; it held only if every step did."""

    steps: list[Step]
    canaries: list[PlantedValue]

    @property
    def held(self) -> bool:
        """Whether every step held."""
        return all(step.ok for step in self.steps)


def take(
    planes: Planes,
    on_step: Callable[[Step], None] = lambda _: None,
    on_begin: Callable[[str], None] = lambda _: None,
    names: Iterable[str] = tuple(STEPS),
) -> Result:
    """Take the steps of the journey, each whatever became of those before it.

    Args:
        planes: the running demo.
        on_step: called with each finished step.
        on_begin: called with the name of a step before it is taken.
        names: which steps, in their order; all fifteen unless some are chosen.
    """
    journal = Journal()
    journey = Journey(on_step, on_begin)
    governing.lift_leftover(planes)
    proving.remember_start(planes, journal)
    try:
        for name in names:
            journey.take(name, partial(STEPS[name], planes, journal))
    finally:
        # An order that a failed step has left in force would stop the demo for its users.
        with contextlib.suppress(Exception):
            governing.lift(planes, journal)
        for person in journal.people.values():
            person.http.close()
    planted = [
        PlantedValue(c.cell, c.category, c.value) for bird in journal.birds.values() for c in bird.canaries()
    ]
    return Result(journey.steps, planted)


def not_taken(reason: str) -> Result:
    """Return the result of a check whose demo could not even start: no step held, each says why."""
    return Result([Step(name, False, 0.0, reason[:600]) for name in STEPS], [])


def write_result(result: Result, file: Path) -> None:
    """Write the result as JSON, replacing the file in one rename."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".new")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    draft.replace(file)
