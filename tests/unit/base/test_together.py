"""What is asked within one turn of a loop is worked on together; nobody's failure or leaving is another's."""

import asyncio
from collections.abc import Generator, Sequence

import pytest

from lightwell.base.together import InStep, Together


def _halves(given: Sequence[int]) -> list[int | Exception]:
    return [one // 2 if one % 2 == 0 else ValueError(f"{one} is odd") for one in given]


def test_what_comes_in_one_turn_is_one_group_of_no_more_than_the_most() -> None:
    groups: list[list[int]] = []

    def work(given: Sequence[int]) -> list[int | Exception]:
        groups.append([*given])
        return _halves(given)

    together = Together(work, most=3)

    async def ask() -> list[int | BaseException]:
        first = await asyncio.gather(*(together.outcome(one) for one in range(8)), return_exceptions=True)
        return [*first, await together.outcome(20)]

    outcomes = asyncio.run(ask())
    assert groups == [[0, 1, 2], [3, 4, 5], [6, 7], [20]]
    assert outcomes[::2] == [0, 1, 2, 3, 10]
    assert all(isinstance(one, ValueError) for one in outcomes[1::2])


def test_groups_begin_apart_and_what_comes_to_a_loop_at_rest_waits_for_nothing() -> None:
    began: list[tuple[float, int]] = []

    def work(given: Sequence[int]) -> list[int | Exception]:
        began.append((asyncio.get_running_loop().time(), len(given)))
        return [*given]

    together = Together(work, most=8, apart=0.25)

    async def ask() -> float:
        loop = asyncio.get_running_loop()
        first = loop.time()
        await together.outcome(1)
        waiting = [asyncio.create_task(together.outcome(one)) for one in (2, 3)]
        await asyncio.sleep(0.05)
        await asyncio.gather(*waiting, together.outcome(4))
        return first

    first = asyncio.run(ask())
    assert [size for _, size in began] == [1, 3]
    assert began[0][0] - first < 0.2
    # Clocks of loops count in whole milliseconds.
    assert began[1][0] - began[0][0] > 0.248


def test_each_loop_has_groups_of_its_own() -> None:
    together = Together(_halves, most=8)
    assert [asyncio.run(together.outcome(one)) for one in (2, 4)] == [1, 2]


def test_who_leaves_is_not_worked_for() -> None:
    worked: list[int] = []

    def work(given: Sequence[int]) -> list[int | Exception]:
        worked.extend(given)
        return _halves(given)

    together = Together(work, most=8)

    async def ask() -> int:
        leaving, staying = (asyncio.create_task(together.outcome(one)) for one in (2, 4))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(ask()) == 2
    assert worked == [4]


def test_work_that_fails_as_a_whole_fails_for_everybody_who_waits() -> None:
    def work(given: Sequence[int]) -> list[int | Exception]:
        raise OSError("the disk is gone")

    together = Together(work, most=8)

    async def ask() -> list[int | BaseException]:
        return await asyncio.gather(together.outcome(1), together.outcome(2), return_exceptions=True)

    assert [str(one) for one in asyncio.run(ask())] == ["the disk is gone"] * 2


def test_works_take_each_step_together_and_one_that_fails_ends_alone() -> None:
    steps: list[tuple[str, int]] = []

    def work(name: str, fails_at: int) -> Generator[str, None, int]:
        for step in range(2):
            if step == fails_at:
                raise LookupError(name)
            steps.append((name, step))
            yield name
        return len(name)

    works = InStep([work("a", 9), work("bb", 1), work("ccc", 9)])
    assert works.step() == ["a", "bb", "ccc"]
    assert works.step() == ["a", "ccc"]
    assert works.step() == []
    assert steps == [("a", 0), ("bb", 0), ("ccc", 0), ("a", 1), ("ccc", 1)]
    first, second, third = works.outcomes
    assert (first, third) == (1, 3)
    assert isinstance(second, LookupError)


def test_outcomes_are_not_told_before_all_have_ended() -> None:
    def work() -> Generator[int, None, int]:
        yield 1
        return 2

    works = InStep([work()])
    works.step()
    with pytest.raises(KeyError):
        _ = works.outcomes
