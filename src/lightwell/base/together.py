"""What a loop has at hand is worked on together, step by step; whoever asked has an outcome of their own."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")
Told = TypeVar("Told")


class Together(Generic[Given, Made]):
    """Collects what is asked within one turn of a loop, or a little longer.

    Args:
        work: takes what was given, and returns what came of each, in the same order: an exception is raised
            where it was asked.
        most: so many at once; the others have the next turn, after all else that the loop has to do.
        apart: seconds from the beginning of one group to that of the next: what comes sooner waits for as
            long, and makes a larger group. What comes to a loop at rest waits for nothing.
    """

    def __init__(
        self, work: Callable[[Sequence[Given]], Sequence[Made | Exception]], most: int, apart: float = 0.0
    ) -> None:
        self._work = work
        self._most = most
        self._apart = apart
        self._next = 0.0
        self._waiting: dict[asyncio.AbstractEventLoop, list[tuple[Given, asyncio.Future[Made]]]] = {}

    async def outcome(self, given: Given) -> Made:
        """Return what came of one thing."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Made] = loop.create_future()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = []
            if loop.time() < self._next:
                loop.call_at(self._next, self._run, loop)
            else:
                loop.call_soon(self._run, loop)
        waiting.append((given, answer))
        return await answer

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting = self._waiting.pop(loop)
        self._next = loop.time() + self._apart
        now, later = waiting[: self._most], waiting[self._most :]
        if later:
            self._waiting[loop] = later
            loop.call_soon(self._run, loop)
        # Who has gone by now needs nothing.
        now = [one for one in now if not one[1].cancelled()]
        try:
            made = self._work([given for given, _ in now])
        except Exception as error:  # noqa: BLE001  everybody who waits must learn that it failed
            made = [error] * len(now)
        for (_, answer), one in zip(now, made, strict=True):
            if isinstance(one, Exception):
                answer.set_exception(one)
            else:
                answer.set_result(one)


class InStep(Generic[Told, Made]):
    """Works that go on together: a step takes each of them as far as its next `yield`, or to its end.

    Args:
        works: each tells something at every step, and returns what it made; what it raises ends it alone.
    """

    def __init__(self, works: Sequence[Generator[Told, None, Made]]) -> None:
        self._works = works
        self._outcomes: dict[int, Made | Exception] = {}

    def step(self) -> list[Told]:
        """Take one step with all that have not ended; return what they tell."""
        told = []
        for number, work in enumerate(self._works):
            if number in self._outcomes:
                continue
            try:
                told.append(next(work))
            except StopIteration as end:
                self._outcomes[number] = end.value
            except Exception as error:  # noqa: BLE001  it is the outcome
                self._outcomes[number] = error
        return told

    @property
    def outcomes(self) -> list[Made | Exception]:
        """What each made or raised, in the order of the works, once all have ended."""
        return [self._outcomes[number] for number in range(len(self._works))]
