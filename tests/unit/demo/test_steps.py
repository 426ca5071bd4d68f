import httpx
import pytest

from lightwell.apps.demo.check.planes import Journal
from lightwell.apps.demo.check.run import STEPS, not_taken
from lightwell.apps.demo.check.steps import Clock, Journey, Step, StepFailed, wait_for

NAMES = [
    "sign_up",
    "upload",
    "transcode",
    "publish",
    "feed_has_video",
    "receipt_verified",
    "ledger_consistent",
    "replay_identical",
    "public_video_crosses",
    "protected_field_refused",
    "foreign_staff_refused",
    "canary_not_found_abroad",
    "order_bites",
    "report_verifies",
    "survives_restart",
]


def test_the_journey_has_its_fifteen_steps_in_order() -> None:
    assert list(STEPS) == NAMES


def test_a_failed_step_does_not_hide_the_later_ones() -> None:
    seen: list[Step] = []
    journey = Journey(seen.append, lambda _: None)

    def fail() -> str:
        raise StepFailed("the tree is another one")

    def crash() -> str:
        raise ZeroDivisionError("a fault in the check itself")

    def unreachable() -> str:
        httpx.Client(trust_env=False).get("http://127.0.0.1:9/")
        return "never"

    for name, action in (("a", fail), ("b", crash), ("c", unreachable), ("d", lambda: "fine")):
        journey.take(name, action)
    assert [(step.name, step.ok) for step in seen] == [("a", False), ("b", False), ("c", False), ("d", True)]
    assert seen[0].detail == "the tree is another one"
    assert "ZeroDivisionError" in seen[1].detail
    assert "127.0.0.1:9" in seen[2].detail
    assert seen == journey.steps


def test_a_step_that_needs_a_failed_one_says_so() -> None:
    with pytest.raises(StepFailed, match="not tried"):
        Journal().need("video")


def test_a_demo_that_does_not_start_has_held_no_step() -> None:
    result = not_taken("the demo does not run")
    assert not result.held
    assert [step.name for step in result.steps] == NAMES


def test_waiting_ends() -> None:
    with pytest.raises(StepFailed, match="the sun: not after"):
        wait_for("the sun", lambda: False, 0.05, every=0.01)


def test_a_wait_leaves_time_for_the_rest() -> None:
    clock = Clock(10)
    assert clock.limit(60, kept=4) <= 6
    assert clock.limit(60, kept=40) == 1.0
