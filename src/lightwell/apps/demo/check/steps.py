"""Runs named steps one after the other: each ends as held or not, with its time and what was seen."""

import time
from collections.abc import Callable

import httpx
import msgspec


class Step(msgspec.Struct, frozen=True):
    """What became of one step of the journey."""

    name: str
    ok: bool
    seconds: float
    detail: str


class StepFailed(Exception):  # noqa: N818  what became of a step, in the words of the result
    """What the step is about does not hold; the message says what was seen instead."""


class Clock:
    """The time that a check has left.

    Args:
        seconds: how long all of it may take.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, not below zero."""
        return max(0.0, self._end - time.monotonic())

    def limit(self, seconds: float, kept: float) -> float:
        """Return how long a wait may take: `seconds`, or less so that `kept` seconds stay for the rest."""
        return max(1.0, min(seconds, self.left() - kept))


class Journey:
    """The steps taken so far.

    Args:
        on_step: called with each finished step.
        on_begin: called with the name of a step before it is taken.
    """

    def __init__(self, on_step: Callable[[Step], None], on_begin: Callable[[str], None]) -> None:
        self.steps: list[Step] = []
        self._on_step = on_step
        self._on_begin = on_begin

    def take(self, name: str, action: Callable[[], str]) -> None:
        """Take one step; whatever it raises makes it a step that did not hold, and the next can follow.

        Args:
            name: the step's name.
            action: does it and returns what was seen, in a few words.
        """
        self._on_begin(name)
        started = time.monotonic()
        try:
            detail = action()
            ok = True
        except StepFailed as error:
            ok, detail = False, str(error)
        except httpx.TransportError as error:
            asked = error._request.url if error._request is not None else "a server"
            ok, detail = False, f"{asked} does not answer ({type(error).__name__})"
        except Exception as error:  # noqa: BLE001
            # A step that cannot be finished has not held, whatever the reason: it must never pass by
            # accident, and never hide the steps after it.
            ok, detail = False, f"{type(error).__name__}: {error}"
        step = Step(name, ok, round(time.monotonic() - started, 2), detail[:600])
        self.steps.append(step)
        self._on_step(step)


def wait_for(what: str, ready: Callable[[], bool], seconds: float, every: float = 0.2) -> float:
    """Wait until `ready` says so; returns the seconds it took.

    Raises:
        StepFailed: it did not within `seconds`; the message names `what`.
    """
    started = time.monotonic()
    while not ready():
        if time.monotonic() - started > seconds:
            raise StepFailed(f"{what}: not after {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - started
