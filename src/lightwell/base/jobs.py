"""Durable jobs: DBOS over an embedded database in the cell's folder, or over the cell's own PostgreSQL."""

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dbos import DBOS, DBOSConfig
from sqlalchemy import Engine, event

from lightwell.base.settings import CellSettings

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
