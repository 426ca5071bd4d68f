"""When the last account is gone from the source, its old keys and pages go too, and both ledgers say so."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
from sqlalchemy import delete, func, select, update

from lightwell.agreement import moving as paper
from lightwell.agreement.load import digest
from lightwell.base.clock import minute_s, now_s
from lightwell.ledger.queue import enqueue
from lightwell.product.moving.models import MovedRow, MoveError, MoveRow
from lightwell.product.moving.plan import WORK
from lightwell.product.videos import UploadRow
from lightwell.residency import key_rotation, presence
from lightwell.residency.cell import Cell
from lightwell.wire import entries

_BUSY_SECONDS: Final = 10.0
_counted: Final = msgspec.json.Decoder(dict[str, int]).decode


def destroy_old_keys(source: Cell, move_id: str, pause_seconds: float) -> list[str]:
    """Destroy the version of the source's cell key under which backups of it were made; return which went."""
    with source.database.read() as session:
        began = session.get_one(MoveRow, move_id).key_version
        known = {one.version: one.state for one in key_rotation.versions(session)}
    if known.get(began) == "current":
        key_rotation.begin(source)
    while key_rotation.work(source, pause_seconds=pause_seconds) or not key_rotation.wait_until_done(
        source, 1.0
    ):
        pass
    with source.database.read() as session:
        return [
            str(one.version)
            for one in key_rotation.versions(session)
            if one.version >= began and one.state == "destroyed"
        ]


def sweep(source: Cell) -> None:
    """Give back the pages in which deleted rows still lie, and the parts of uploads that nobody has any more.

    Raises:
        MoveError: somebody reads the database, so that its old pages stay.
    """
    with source.database.read() as session:
        known = set(session.scalars(select(UploadRow.upload_id)))
    for key in list(source.objects.list("uploads")):
        if key.split("/")[1] not in known:
            source.objects.delete(key)
    database = source.database
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("VACUUM FULL")
            return
        driver: Any = connection.connection.driver_connection
        driver.execute("VACUUM").close()
        (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
        driver.execute(f"PRAGMA busy_timeout = {round(_BUSY_SECONDS * 1000)}").close()
        (is_busy, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        driver.execute(f"PRAGMA busy_timeout = {patience}").close()
        if is_busy:
            raise MoveError("somebody reads the source's database: end that, and run this again")


def certify(source: Cell, target: Cell, move_id: str, term: str, versions: list[str]) -> paper.Certificate:
    """Record in both ledgers what was moved, sign the certificate, and forget who it was.

    Args:
        source, target, move_id, term: the migration; nobody of it is left in the source.
        versions: of the source's cell key, destroyed.
    """
    with target.database.read() as session:
        row = session.get_one(MoveRow, move_id)
        if row.certificate:
            return paper.read(row.certificate, target.roster)
        began = row.began_at
        refused = session.scalar(
            select(func.count()).where(MovedRow.move_id == move_id, MovedRow.state == "refused")
        )
        counted: Counter[str] = Counter()
        whole = hashlib.sha256()
        accounts = 0
        moved = select(MovedRow.digest, MovedRow.counted).where(
            MovedRow.move_id == move_id, MovedRow.state == "gone"
        )
        for one in session.execute(moved.order_by(MovedRow.moved_id).execution_options(yield_per=5000)):
            whole.update(one.digest)
            counted.update(_counted(one.counted))
            accounts += 1
    objects, size = counted.pop("objects", 0), counted.pop("bytes", 0)
    counted = Counter({name: count for name, count in counted.items() if count})
    said: dict[str, Any] = {"migration": move_id, "accounts": accounts}
    bound = said | {"term": term, "digest": whole.hexdigest()}
    here, there = source.settings.cell, target.settings.cell
    received = _once(target, move_id, lambda at: [entries.MigrationReceived(at=at, peer=here, **bound)])
    sent, erased = _once(
        source,
        move_id,
        lambda at: [
            entries.MigrationSent(at=at, peer=there, **bound),
            entries.MigrationErased(
                at=at,
                peer=there,
                rows=sum(counted.values()),
                objects=objects,
                key_versions=versions,
                **said,
            ),
        ],
    )
    fact = entries.decode(erased.encode())
    if isinstance(fact, entries.MigrationErased):
        # Killed after it was said: the certificate says the same, whatever was rotated since.
        versions = fact.key_versions
    certificate = paper.Certificate(
        format=paper.FORMAT,
        source=here,
        source_region=source.settings.region,
        target=there,
        target_region=target.settings.region,
        agreement=target.agreement.id,
        agreement_digest=digest(target.agreement),
        refused=refused or 0,
        tables=dict(sorted(counted.items())),
        objects=objects,
        object_bytes=size,
        key_versions=versions,
        began_at=began,
        ended_at=now_s(),
        sent=sent,
        received=received[0],
        erased=erased,
        **bound,
    )
    note = paper.sign(certificate, source.vault.signing_key("ledger"), target.vault.signing_key("ledger"))
    with source.database.write() as session:
        session.execute(update(MoveRow).where(MoveRow.move_id == move_id).values(state="done"))
        presence.release(session, WORK)
    with target.database.write() as session:
        session.execute(
            update(MoveRow).where(MoveRow.move_id == move_id).values(certificate=note, state="done", salt=b"")
        )
        # Who was moved is nobody's business any more; who was refused is told once more.
        session.execute(delete(MovedRow).where(MovedRow.move_id == move_id, MovedRow.state != "refused"))
    return certificate


def _once(cell: Cell, move_id: str, make: Callable[[int], list[entries.Entry]]) -> list[str]:
    """Queue entries in a cell's ledger, once however often this is asked; return their texts."""
    with cell.database.write() as session:
        row = session.get_one(MoveRow, move_id, with_for_update=True)
        if not row.entries:
            made = make(minute_s())
            for entry in made:
                enqueue(session, entry)
            row.entries = "\n".join(entries.encode(entry).decode() for entry in made)
        return row.entries.split("\n")
