"""Blocking handlers run in a thread, so that the event loop answers others meanwhile."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def in_thread(handler: Callable[Given, Answer]) -> Callable[Given, Coroutine[Any, Any, Answer]]:
    """Return `handler` as a coroutine function that runs it in the loop's thread pool.

    Used instead of Litestar's `sync_to_thread`, which in 2.25 wraps a handler twice, and so answers with an
    unawaited coroutine, when two handlers share a path.
    """

    @functools.wraps(handler)
    async def run(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        return await asyncio.to_thread(handler, *args, **kwargs)

    return run
