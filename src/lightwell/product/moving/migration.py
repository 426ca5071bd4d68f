"""A migration can be killed at any point and run again; what was not compared in its home is not erased."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import delete, func, select, update

from lightwell.agreement import moving as paper
from lightwell.agreement.load import digest
from lightwell.agreement.roster import seats_of
from lightwell.base.clock import fresh_id, minute_s, now_s
from lightwell.base.db import ReadSession, WriteSession
from lightwell.ledger.queue import enqueue
from lightwell.product.accounts import AccountRow
from lightwell.product.moving.models import MovedRow, MoveRow
from lightwell.product.moving.parcel import (
    Parcel,
    email_of,
    open_parcel,
    permit_to_move,
    put_objects,
    put_rows,
)
from lightwell.product.rights.deletion import forget_account, remove_files
from lightwell.product.videos import VideoRow
from lightwell.residency import key_rotation
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Refused
from lightwell.residency.key_versions import current_version
from lightwell.wire import entries

TERM: Final = "S2"
AT_ONCE: Final = 100


class MoveError(ValueError):
    """The agreement does not allow the migration, or it came to a halt; the message is one line."""


class Progress(Struct, frozen=True):
    """How far it is: accounts that are wholly moved, refused, and all of the plan; and what is being done."""

    moved: int
    refused: int
    planned: int
    doing: str


def _silent(_: Progress) -> None:
    """Tell nobody."""


class Migration:
    """Moves accounts from `source` to `target`, both open in this process.

    Args:
        source: the cell that the accounts leave. Nobody else need run there; who does sees them leave.
        target: the cell in whose region they are at home.
        region: the region whose people they are; the target's own.
        term: the term of the agreement under which it is done.
        tell: called as it goes on.
        pause_seconds: how long the source's old cell key is kept after it wraps nothing any more.

    Raises:
        MoveError: the agreement, the regions or the rosters do not allow it.
    """

    def __init__(
        self,
        source: Cell,
        target: Cell,
        region: str,
        term: str = TERM,
        tell: Callable[[Progress], None] = _silent,
        pause_seconds: float = key_rotation.PAUSE_SECONDS,
    ) -> None:
        self._source, self._target, self._term = source, target, term
        self._tell, self._pause = tell, pause_seconds
        self._require_agreed(region)
        self._move = ""
        self._salt = b""
        self._moving: set[str] = set()

    def run(self, handles: Iterable[str] | None = None) -> paper.Certificate:
        """Begin, or go on with what was begun; return the certificate, which `note` has signed.

        Args:
            handles: which accounts, by handle, or None for all that the source holds. A migration that was
                begun goes on with those it began with.

        Raises:
            MoveError: no such account; none could be moved; or one does not compare.
        """
        self._begin(handles)
        while self._step():
            self._report("moving")
        self._report("destroying the old keys")
        with self._target.database.read() as session:
            moved = self._count(session, "gone")
        if not moved:
            refused = self.refused()
            self._forget_plan()
            why = f"; {refused[0][0]}: {refused[0][1]}" if refused else ""
            raise MoveError(f"no account could be moved{why}")
        versions = self._destroy_old_keys()
        self._sweep_source()
        return self._certify(versions)

    def note(self) -> str:
        """Return the signed certificate of the last `run`."""
        with self._target.database.read() as session:
            return session.get_one(MoveRow, self._move).certificate

    def refused(self) -> list[tuple[str, str]]:
        """Return the handles that were not moved, each with the reason; they stay where they are."""
        with self._target.database.read() as session:
            rows = session.execute(
                select(MovedRow.handle, MovedRow.reason)
                .where(MovedRow.move_id == self._move, MovedRow.state == "refused")
                .order_by(MovedRow.handle)
            )
            return [(row[0], row[1]) for row in rows]

    # ------------------------------------------------------------ what allows it

    def _require_agreed(self, region: str) -> None:
        source, target = self._source, self._target
        law = target.agreement
        if source.settings.cell == target.settings.cell:
            raise MoveError("accounts are moved between two cells, not within one")
        if digest(source.agreement) != digest(law):
            raise MoveError("the two cells run under different agreements")
        if self._term not in {term.id for term in law.terms}:
            raise MoveError(f"the agreement {law.id} has no term {self._term}")
        if region not in law.region_ids():
            raise MoveError(f"the agreement {law.id} has no region {region!r}")
        if target.settings.region != region:
            raise MoveError(f"people of {region} are at home in {region}, not in {target.settings.region}")
        if source.settings.region == law.law_region != region:
            raise MoveError(f"the data of {law.law_region} does not leave it")
        for here, there in ((source, target), (target, source)):
            name = there.settings.cell
            vkey = there.vault.signing_key("ledger").verifier().vkey()
            if vkey not in {seat.vkey for seat in seats_of(here.roster, "ledger", name)}:
                raise MoveError(f"the roster of cell {here.settings.cell} does not know the ledger of {name}")
        try:
            for cell in (source, target):
                permit_to_move(cell, "0" * 16, "user.contact.email")
        except Refused as refused:
            raise MoveError(f"the agreement {law.id} lets no process move accounts") from refused

    # ------------------------------------------------------------ the plan

    def _begin(self, handles: Iterable[str] | None) -> None:
        source, target = self._source.settings.cell, self._target.settings.cell
        with self._target.database.write() as session:
            row = session.scalar(
                select(MoveRow).where(
                    MoveRow.source == source, MoveRow.target == target, MoveRow.state != "done"
                )
            )
            if row is None:
                row = MoveRow(
                    move_id=fresh_id(),
                    source=source,
                    target=target,
                    state="planning",
                    salt=secrets.token_bytes(32),
                    began_at=now_s(),
                )
                session.add(row)
            self._move, self._salt, state = row.move_id, row.salt, row.state
        with self._source.database.write() as session:
            if session.get(MoveRow, self._move) is None:
                session.add(
                    MoveRow(
                        move_id=self._move,
                        source=source,
                        target=target,
                        state="moving",
                        salt=b"",
                        key_version=current_version(session),
                        began_at=now_s(),
                    )
                )
        if state == "planning":
            self._plan(handles)
        with self._target.database.read() as session:
            planned = session.scalars(
                select(MovedRow.handle).where(MovedRow.move_id == self._move, MovedRow.state != "refused")
            )
            self._moving = {f"{source}:{handle}" for handle in planned}

    def _plan(self, handles: Iterable[str] | None) -> None:
        wanted = None if handles is None else list(dict.fromkeys(handles))
        with self._source.database.read() as reading, self._target.database.write() as session:
            statement = select(AccountRow.account_id, AccountRow.handle).order_by(AccountRow.account_id)
            if wanted is not None:
                statement = statement.where(AccountRow.handle.in_(wanted))
            found = [(row[0], row[1]) for row in reading.execute(statement)]
            unknown = sorted(set(wanted or ()) - {handle for _, handle in found})
            if unknown:
                raise MoveError(f"the source has no account {unknown[0]!r}")
            for at, (account_id, handle) in enumerate(found):
                reason = self._clash(reading, session, account_id, handle)
                session.add(
                    MovedRow(
                        move_id=self._move,
                        moved_id=account_id,
                        handle=handle,
                        state="refused" if reason else "planned",
                        reason=reason,
                        digest=b"",
                    )
                )
                if at % AT_ONCE == 0:
                    self._tell(Progress(0, 0, at, "looking for clashes"))
            session.execute(update(MoveRow).where(MoveRow.move_id == self._move).values(state="moving"))

    def _clash(self, reading: ReadSession, session: WriteSession, account_id: str, handle: str) -> str:
        """Return why an account cannot come to the target as it is, or nothing."""
        if session.get(AccountRow, account_id) is not None:
            return "id-taken"
        if session.scalar(select(AccountRow.account_id).where(AccountRow.handle == handle)):
            return "handle-taken"
        email = email_of(self._source, reading, account_id)
        busy = reading.scalar(
            select(VideoRow.video_id).where(
                VideoRow.account_id == account_id, VideoRow.status == "processing"
            )
        )
        index = self._target.vault.blind_index("accounts.email", email)
        if session.scalar(select(AccountRow.account_id).where(AccountRow.email_index == index)):
            return "email-taken"
        return "video-in-processing" if busy else ""

    # ------------------------------------------------------------ account by account

    def _step(self) -> bool:
        """Take the next accounts one step further; say whether there are more."""
        for state, take in (("verified", self._erase), ("copied", self._compare), ("planned", self._copy)):
            with self._target.database.read() as session:
                some = session.scalars(
                    select(MovedRow)
                    .where(MovedRow.move_id == self._move, MovedRow.state == state)
                    .order_by(MovedRow.moved_id)
                    .limit(AT_ONCE)
                ).all()
            if some:
                take(list(some))
                return True
        return False

    def _copy(self, rows: list[MovedRow]) -> None:
        parcels = []
        with self._source.database.read() as reading:
            self._source.vault.open_keys(reading, [row.moved_id for row in rows])
            parcels = [self._opened(self._source, reading, row.moved_id) for row in rows]
        with self._target.database.write() as session:
            self._target.vault.new_account_keys(session, [parcel.account_id for parcel in parcels])
            for parcel in parcels:
                put_objects(self._target, session, parcel)
                told = {"digest": parcel.digest(self._salt), "counted": json.dumps(parcel.counted())}
                put_rows(self._target, session, parcel)
                self._mark(session, [parcel.account_id], "copied", **told)

    def _compare(self, rows: list[MovedRow]) -> None:
        with self._target.database.read() as reading:
            # The bytes that were stored are opened again, by the key that was stored.
            self._target.vault.forget()
            self._target.vault.open_keys(reading, [row.moved_id for row in rows])
            for row in rows:
                if self._opened(self._target, reading, row.moved_id).digest(self._salt) != row.digest:
                    raise MoveError("an account opens otherwise in the target; nothing of it was erased")
        with self._target.database.write() as session:
            self._mark(session, [row.moved_id for row in rows], "verified")

    def _erase(self, rows: list[MovedRow]) -> None:
        gone: list[tuple[MovedRow, list[str]]] = []
        changed: list[MovedRow] = []
        with self._source.database.write() as session:
            for row in rows:
                account = session.scalar(
                    select(AccountRow).where(AccountRow.account_id == row.moved_id).with_for_update()
                )
                if account is None:
                    gone.append((row, []))
                # Whatever came to it since it was copied would be lost: then it is copied again.
                elif self._opened(self._source, session, row.moved_id).digest(self._salt) != row.digest:
                    changed.append(row)
                else:
                    _, uploads = forget_account(self._source, session, row.moved_id)
                    gone.append((row, uploads))
        for row, uploads in gone:
            with self._target.database.read() as reading:
                videos = reading.scalars(
                    select(VideoRow.video_id).where(VideoRow.account_id == row.moved_id)
                ).all()
            remove_files(self._source, videos, uploads)
        with self._target.database.write() as session:
            for row in changed:
                videos_again, _ = _take_back(self._target, session, row.moved_id)
                remove_files(self._target, videos_again, ())
            self._mark(session, [row.moved_id for row in changed], "planned")
            self._mark(session, [row.moved_id for row, _ in gone], "gone")

    def _opened(self, cell: Cell, session: ReadSession, account_id: str) -> Parcel:
        return open_parcel(cell, session, account_id, self._renamed)

    def _renamed(self, creator: str) -> str:
        """Return how a creator is called in the target: those who move come from there."""
        if creator in self._moving:
            return f"{self._target.settings.cell}:{creator.partition(':')[2]}"
        return creator

    def _mark(self, session: WriteSession, ids: list[str], state: str, **more: object) -> None:
        session.execute(
            update(MovedRow)
            .where(MovedRow.move_id == self._move, MovedRow.moved_id.in_(ids))
            .values(state=state, **more)
        )

    # ------------------------------------------------------------ the end

    def _destroy_old_keys(self) -> list[str]:
        """Destroy the version of the source's cell key under which backups of it were made."""
        cell = self._source
        with cell.database.read() as session:
            began = session.get_one(MoveRow, self._move).key_version
            known = {one.version: one.state for one in key_rotation.versions(session)}
        if known.get(began) == "current":
            key_rotation.begin(cell)
        for _ in range(1_000_000):
            if key_rotation.work(cell, pause_seconds=self._pause):
                continue
            if key_rotation.wait_until_done(cell, 1.0):
                break
        with cell.database.read() as session:
            return [
                str(one.version)
                for one in key_rotation.versions(session)
                if one.version >= began and one.state == "destroyed"
            ]

    def _sweep_source(self) -> None:
        """Give back the pages in which deleted rows still lie."""
        database = self._source.database
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if database.is_sqlite:
                driver: Any = connection.connection.driver_connection
                for text in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    driver.execute(text).close()
            else:
                connection.exec_driver_sql("VACUUM FULL")

    def _certify(self, versions: list[str]) -> paper.Certificate:
        source, target = self._source, self._target
        with target.database.read() as session:
            row = session.get_one(MoveRow, self._move)
            if row.certificate:
                return paper.read(row.certificate, target.roster)
            moved = session.execute(
                select(MovedRow.digest, MovedRow.counted)
                .where(MovedRow.move_id == self._move, MovedRow.state == "gone")
                .order_by(MovedRow.moved_id)
            ).all()
            refused = self._count(session, "refused")
            began = row.began_at
        counted: Counter[str] = Counter()
        for one in moved:
            counted.update(json.loads(one.counted))
        objects, size = counted.pop("objects", 0), counted.pop("bytes", 0)
        whole = hashlib.sha256(b"".join(one.digest for one in moved)).hexdigest()
        received = self._once(
            target,
            lambda at: [
                entries.MigrationReceived(
                    at=at,
                    migration=self._move,
                    peer=source.settings.cell,
                    term=self._term,
                    accounts=len(moved),
                    digest=whole,
                )
            ],
        )
        sent, erased = self._once(
            source,
            lambda at: [
                entries.MigrationSent(
                    at=at,
                    migration=self._move,
                    peer=target.settings.cell,
                    term=self._term,
                    accounts=len(moved),
                    digest=whole,
                ),
                entries.MigrationErased(
                    at=at,
                    migration=self._move,
                    peer=target.settings.cell,
                    accounts=len(moved),
                    rows=sum(counted.values()),
                    objects=objects,
                    key_versions=versions,
                ),
            ],
        )
        certificate = paper.Certificate(
            format=paper.FORMAT,
            migration=self._move,
            source=source.settings.cell,
            source_region=source.settings.region,
            target=target.settings.cell,
            target_region=target.settings.region,
            agreement=target.agreement.id,
            agreement_digest=digest(target.agreement),
            term=self._term,
            accounts=len(moved),
            refused=refused,
            digest=whole,
            tables=dict(sorted(counted.items())),
            objects=objects,
            object_bytes=size,
            key_versions=versions,
            began_at=began,
            ended_at=now_s(),
            sent=sent,
            received=received[0],
            erased=erased,
        )
        note = paper.sign(certificate, source.vault.signing_key("ledger"), target.vault.signing_key("ledger"))
        with source.database.write() as session:
            session.execute(update(MoveRow).where(MoveRow.move_id == self._move).values(state="done"))
        with target.database.write() as session:
            session.execute(
                update(MoveRow)
                .where(MoveRow.move_id == self._move)
                .values(certificate=note, state="done", salt=b"")
            )
            # Who was moved is nobody's business any more; who was refused is told once more.
            session.execute(
                delete(MovedRow).where(MovedRow.move_id == self._move, MovedRow.state != "refused")
            )
        return certificate

    def _once(self, cell: Cell, make: Callable[[int], list[entries.Entry]]) -> list[str]:
        """Queue entries in a cell's ledger, once however often this is asked; return their texts."""
        with cell.database.write() as session:
            row = session.get_one(MoveRow, self._move, with_for_update=True)
            if not row.entries:
                made = make(minute_s())
                for entry in made:
                    enqueue(session, entry)
                row.entries = "\n".join(entries.encode(entry).decode() for entry in made)
            return row.entries.split("\n")

    def _count(self, session: ReadSession, state: str) -> int:
        found: int | None = session.scalar(
            select(func.count())
            .select_from(MovedRow)
            .where(MovedRow.move_id == self._move, MovedRow.state == state)
        )
        return found or 0

    def _forget_plan(self) -> None:
        with self._target.database.write() as session:
            session.execute(delete(MovedRow).where(MovedRow.move_id == self._move))
            session.execute(delete(MoveRow).where(MoveRow.move_id == self._move))
        with self._source.database.write() as session:
            session.execute(delete(MoveRow).where(MoveRow.move_id == self._move))

    def _report(self, doing: str) -> None:
        with self._target.database.read() as session:
            planned = session.scalar(
                select(func.count()).select_from(MovedRow).where(MovedRow.move_id == self._move)
            )
            self._tell(
                Progress(self._count(session, "gone"), self._count(session, "refused"), planned or 0, doing)
            )


def _take_back(cell: Cell, session: WriteSession, account_id: str) -> tuple[list[str], list[str]]:
    """Remove from the target what was copied of an account that has changed since in the source."""
    return forget_account(cell, session, account_id)
