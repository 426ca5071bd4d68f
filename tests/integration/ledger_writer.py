"""A process that queues entries and sequences them until it is killed; `test_ledger_crash` starts it."""

import threading
from multiprocessing.connection import Connection
from pathlib import Path

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger.queue import enqueue_many
from lightwell.ledger.sequencer import Sequencer
from lightwell.wire.entries import PolicyAdopted
from lightwell.wire.note import SigningKey


def write_until_killed(folder: Path, url: str, first: int, told: Connection) -> None:
    """Queue numbered entries in small groups, telling each group through `told` once it is committed."""
    settings = CellSettings(
        cell="us", region="us", url="http://us.test", folder=folder, checkpoint_milliseconds=5
    )
    database = Database(url)
    sequencer = Sequencer(settings, database, SigningKey.generate("lightwell/us", bytes(32)))
    threading.Thread(target=sequencer.run, args=(threading.Event(),), daemon=True).start()
    number = first
    while True:
        group = [PolicyAdopted(at=number + n, digest="ab" * 32, approvals=1) for n in range(7)]
        with database.write() as session:
            enqueue_many(session, group)
        number += len(group)
        told.send(number)
