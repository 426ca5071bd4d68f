"""Processes that queue numbered entries and sequence them on a faulty disk, for `test_ledger_crash`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger import folder as folder_module
from lightwell.ledger.errors import DurabilityError
from lightwell.ledger.queue import enqueue_many
from lightwell.ledger.sequencer import Sequencer
from lightwell.wire.entries import PolicyAdopted
from lightwell.wire.keys import SigningKey
from tests.integration.faulty_disk import Fault, FaultyDisk

FATAL, NO_MORE_STEPS = 3, 4


@dataclass(frozen=True)
class Job:
    """What one process does: queue and sequence two groups of entries while one fault happens."""

    folder: Path
    url: str
    first: int
    """Number of the first entry."""
    groups: tuple[int, int]
    """How many entries each group has."""
    fault: Fault
    forgets: bool = False


def numbered(number: int) -> PolicyAdopted:
    return PolicyAdopted(at=number, digest="ab" * 32, approvals=1)


def settings_of(folder: Path) -> CellSettings:
    return CellSettings(cell="us", region="us", url="http://us.test", folder=folder)


def key() -> SigningKey:
    return SigningKey.generate("lightwell/us", bytes(32))


def write_on_faulty_disk(job: Job, told: Connection) -> None:
    """Do the job, telling the number after each group once it is committed, as a promise would.

    Ends by SIGKILL, or with `FATAL` after an fsync error, or `NO_MORE_STEPS` if the fault had no occasion.
    """
    disk = FaultyDisk(job.fault, seed=job.fault.at, forgets=job.forgets)
    folder_module.os = disk  # type: ignore[assignment]  the one seam: everything else is as in service
    database = Database(job.url)
    event.listen(database.engine, "before_cursor_execute", lambda *_: disk.database_step("sql"))
    event.listen(database.engine, "commit", lambda _: disk.database_step("commit"))
    event.listen(Session, "after_commit", lambda _: disk.database_step("committed"))
    sequencer = Sequencer(settings_of(job.folder), database, key())
    disk.is_on = True
    number = job.first
    for count in job.groups:
        group = [numbered(number + n) for n in range(count)]
        number += count
        try:
            with database.write() as session:
                enqueue_many(session, group)
        except SQLAlchemyError:
            # Whether it was committed is not known, so nothing was promised.
            break
        told.send(number)
        for _ in range(4):
            try:
                sequencer.run_once()
            except DurabilityError:
                os._exit(FATAL)
            except (OSError, SQLAlchemyError):
                # As in service: the next run carries on.
                continue
    os._exit(NO_MORE_STEPS if disk.steps < job.fault.at else 0)
