"""Durable jobs, DBOS over an embedded database or the cell's PostgreSQL; what they keep in it is labelled.

DBOS writes arguments, results and exceptions of workflows and steps to its tables in clear. So each argument
and result is declared with a label that is not protected, and of an exception its kind and place are kept,
never its text.
"""

import functools
import inspect
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from dbos import DBOS, DBOSConfig
from dbos import error as dbos_error
from sqlalchemy import Engine, event

from lightwell.base.labels import Label, UnlabelledError, declare
from lightwell.base.settings import CellSettings

Takes = ParamSpec("Takes")
Gives = TypeVar("Gives")

RESULT: Final = "returns"
"""The name of what a workflow or step returns among its labels."""
# DBOS hands out queued work and notices finished work once in such an interval; its default is a second.
POLL_SECONDS: Final = 0.1
_END_SECONDS: Final = 5
# One name for all versions of the code: jobs begun before an update are finished after it.
_VERSION: Final = "lightwell-1"


# From Python 3.12 on DBOS asks SQLite for milliseconds by unixepoch('subsec'), which SQLite knows since 3.42
# only; Python is often built with an older one, where that gives NULL and no job could start.
_NEEDS_SUBSECONDS: Final = sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42)


def _teach_subseconds(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("unixepoch", 1, lambda _modifier: time.time())


if _NEEDS_SUBSECONDS:
    event.listen(Engine, "connect", _teach_subseconds)


class JobFailedError(Exception):
    """A job's step failed: the kind and place of what it raised, without the text, which may quote data."""


def workflow(name: str, **labels: Label) -> Callable[[Callable[Takes, Gives]], Callable[Takes, Gives]]:
    """Make a function a durable workflow; a parameter or result without a label does not import.

    Args:
        name: the workflow's name, which outlives changes of the code.
        labels: the label of each parameter, and of the result under `returns`.

    Raises:
        UnlabelledError: one has none, or a protected one: its value would lie in the jobs' tables in clear.
    """

    def made(function: Callable[Takes, Gives]) -> Callable[Takes, Gives]:
        return DBOS.workflow(name=name)(_labelled(name, function, labels))

    return made


def step(
    attempts: int = 3, pause_seconds: float = 0.5, **labels: Label
) -> Callable[[Callable[Takes, Gives]], Callable[Takes, Gives]]:
    """Make a function a step of a workflow, whose result is kept; labels and errors as of `workflow`.

    Args:
        attempts: how often it is tried.
        pause_seconds: between the first two.
        labels: as of `workflow`.
    """

    def made(function: Callable[Takes, Gives]) -> Callable[Takes, Gives]:
        retrying = DBOS.step(retries_allowed=True, max_attempts=attempts, interval_seconds=pause_seconds)
        return retrying(_labelled(function.__name__.strip("_"), function, labels))

    return made


def _labelled(
    name: str, function: Callable[Takes, Gives], labels: dict[str, Label]
) -> Callable[Takes, Gives]:
    fields = [*inspect.signature(function).parameters, RESULT]
    for field in fields:
        declare("workflow", name, field, labels.get(field))
    for unknown in labels.keys() - set(fields):
        raise UnlabelledError(f"{name} has no field {unknown!r}")

    @functools.wraps(function)
    def call(*args: Takes.args, **kwargs: Takes.kwargs) -> Gives:
        try:
            return function(*args, **kwargs)
        except dbos_error.DBOSException:
            raise  # of its own making: it names workflows and steps
        except Exception as error:  # noqa: BLE001  whatever it is, its text must not be kept
            frame = traceback.extract_tb(error.__traceback__)[-1]
            failed = JobFailedError(f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}")
            raise failed from None

    return call


@contextmanager
def running(settings: CellSettings, queues: dict[str, int], executor_id: str = "worker") -> Iterator[None]:
    """Run this process's durable jobs while the block lasts; unfinished ones of its last life go on at once.

    Workflows must have been defined (their modules imported) before.

    Args:
        settings: the cell's.
        queues: names of queues, and how many jobs of each this process does at a time.
        executor_id: this process's name among the cell's workers; the same after a restart.
    """
    config: DBOSConfig = {
        "name": "lightwell",
        "system_database_url": database_url(settings),
        "application_version": _VERSION,
        "executor_id": executor_id,
        "log_level": "ERROR",
        "notification_listener_polling_interval_sec": POLL_SECONDS,
        "sys_db_pool_size": 5,
    }
    DBOS(config=config)
    try:
        DBOS.launch()
        for name, at_once in queues.items():
            DBOS.register_queue(
                name,
                worker_concurrency=at_once,
                polling_interval_sec=POLL_SECONDS,
                on_conflict="always_update",
            )
        yield
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=_END_SECONDS)


def database_url(settings: CellSettings) -> str:
    """Return where DBOS keeps its state: `jobs.db` in the cell's folder, or the cell's PostgreSQL."""
    if settings.database_url.startswith("sqlite"):
        return f"sqlite:///{settings.path('jobs.db')}"
    return settings.database_url
