"""A migration can be killed at any point and run again; what was not compared in its home is not erased.

Many accounts go at a time. One transaction in the target makes their keys, writes their rows,
opens them again by the keys as stored, compares, and notes that they are there; when that is durable, one in
the source looks whether they still are as they were read, and erases them. Killed between the two, they are
in both cells, and the next run begins with the second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.exc import IntegrityError

from lightwell.agreement import moving as paper
from lightwell.base.db import Model, WriteSession
from lightwell.base.many import among
from lightwell.product.moving import ending, plan
from lightwell.product.moving.allowed import require_agreed
from lightwell.product.moving.found import AT_ONCE, Found, find, first_few, in_portions
from lightwell.product.moving.models import MovedRow, MoveError, MoveRow, Progress
from lightwell.product.moving.parcel import (
    UNREADABLE,
    Parcel,
    Permits,
    note_files,
    open_found,
    put_drafts,
    put_files,
    put_rows,
)
from lightwell.product.moving.room import roomy
from lightwell.product.rights.deletion import forget_accounts, remove_files
from lightwell.product.videos import VideoRow
from lightwell.residency import key_rotation, key_uses, presence, sealed_rows
from lightwell.residency.cell import Cell
from lightwell.residency.keys import VaultError

TERM: Final = "S2"
_TRIES: Final = 3
_USES_SECONDS: Final = 2.0


def _silent(_: Progress) -> None:
    """Tell nobody."""


class _OtherwiseError(Exception):
    """Some accounts do not open in the target as they did in the source."""

    def __init__(self, account_ids: list[str]) -> None:
        super().__init__()
        self.account_ids = account_ids


class Migration:
    """Moves accounts from `source` to `target`, both open in this process.

    Args:
        source: the cell that they leave; none of its processes runs, and none starts until it is done.
        target: the cell in whose region they are at home.
        region: the region whose people they are; the target's own.
        term: the term of the agreement under which it is done.
        tell: called as it goes on.
        pause_seconds: how long the source's old cell key is kept after it wraps nothing any more.
        at_once: accounts that go together, at most `AT_ONCE`; fewer of those that have much.

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
        at_once: int = AT_ONCE,
    ) -> None:
        require_agreed(source, target, region, term)
        self._source, self._target, self._term = source, target, term
        self._tell, self._pause, self._at_once = tell, pause_seconds, at_once
        self._move = ""
        self._salt = b""
        self._moving: set[str] = set()
        self._gone: list[str] = []
        self._count = dict.fromkeys(("planned", "copied", "gone", "refused"), 0)
        self._noted_at = 0.0

    def run(self, handles: Iterable[str] | None = None) -> paper.Certificate:
        """Begin, or go on with what was begun; return the certificate, which `note` has signed.

        When nobody is left to be moved, it is that of the last migration between the two.

        Args:
            handles: which accounts, by handle, or None for all that the source holds. A migration that was
                begun goes on with those it began with.

        Raises:
            MoveError: no such account; none could be moved; or the source's database is being read.
            NotAloneError: processes of the source run.
        """
        try:
            with presence.alone(self._source) as alone, roomy(self._source.database, self._target.database):
                self._move, self._salt = plan.begin(self._source, self._target, handles, self._tell)
                self._take_stock()
                self._move_all(alone)
                return self._end()
        finally:
            for cell in (self._source, self._target):
                key_uses.write_down(cell)

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

    # ------------------------------------------------------------ the whole of it

    def _take_stock(self) -> None:
        mine = MovedRow.move_id == self._move
        with self._target.database.read() as session:
            counted = select(MovedRow.state, func.count()).where(mine).group_by(MovedRow.state)
            self._count |= {row[0]: row[1] for row in session.execute(counted)}
            moving = session.scalars(select(MovedRow.handle).where(mine, MovedRow.state != "refused"))
            self._moving = {f"{self._source.settings.cell}:{handle}" for handle in moving}

    def _move_all(self, alone: presence.Alone) -> None:
        mine = MovedRow.move_id == self._move
        with self._target.database.read() as session:
            copied = session.scalars(select(MovedRow.moved_id).where(mine, MovedRow.state == "copied")).all()
        for some in in_portions(copied, self._at_once):
            alone.check()
            self._erase(some)
        last = ""
        while True:
            some, left = self._next(last), last
            # Who was copied in vain is planned again, and comes at the end.
            last = some[-1] if some else ""
            if not some and not left:
                break
            if some:
                alone.check()
                self._erase(self._copy(some))
                self._note_uses()
        with self._target.database.write() as session:
            self._mark_gone(session)
        self._gone = []

    def _next(self, last: str) -> list[str]:
        """Return the next few accounts that are planned, in order."""
        with self._target.database.read() as session:
            some = session.scalars(
                select(MovedRow.moved_id)
                .where(MovedRow.move_id == self._move, MovedRow.state == "planned", MovedRow.moved_id > last)
                .order_by(MovedRow.moved_id)
                .limit(self._at_once)
            ).all()
        with self._source.database.read() as reading:
            return list(some[: first_few(reading, some)])

    def _end(self) -> paper.Certificate:
        self._report("destroying the old keys")
        if not self._count["gone"]:
            refused = self.refused()
            plan.forget(self._source, self._target, self._move)
            last = None if refused else plan.last_done(self._source, self._target)
            if last is not None:
                # Killed when all was done but told: what there is to tell is the certificate.
                self._move = last.move_id
                return paper.read(last.certificate, self._target.roster)
            why = f"; {refused[0][0]}: {refused[0][1]}" if refused else ""
            raise MoveError(f"no account could be moved{why}")
        versions = ending.destroy_old_keys(self._source, self._move, self._pause)
        self._report("clearing the old pages")
        ending.sweep(self._source)
        return ending.certify(self._source, self._target, self._move, self._term, versions)

    # ------------------------------------------------------------ some accounts

    def _copy(self, account_ids: Sequence[str]) -> list[str]:
        """Copy accounts, compare them, and make that durable; return who is in both cells now."""
        wanted = list(account_ids)
        for _ in range(_TRIES):
            with self._source.database.read() as reading:
                with suppress(VaultError):
                    self._source.vault.open_keys(reading, wanted)
                found = find(self._source, reading, wanted)
                permits = Permits(self._source)
                parcels, refused = [], dict.fromkeys(set(wanted) - set(found), "not-there")
                for one in found.values():
                    try:
                        parcels.append(open_found(self._source, reading, one, permits, self._renamed))
                    except UNREADABLE:
                        refused[one.account_id] = "does-not-open"
                try:
                    return self._put(reading, found, parcels, refused, permits)
                except _OtherwiseError as otherwise:
                    self._refuse(dict.fromkeys(otherwise.account_ids, "opens-otherwise"))
                    wanted = [one for one in wanted if one not in otherwise.account_ids]
                except IntegrityError:
                    # Somebody took a handle or an e-mail in the target just now: it is seen next time.
                    continue
        raise MoveError("the target takes the same names again and again: run this once more")

    def _put(
        self,
        reading: Any,
        found: dict[str, Found],
        parcels: list[Parcel],
        refused: dict[str, str],
        permits: Permits,
    ) -> list[str]:
        source, target = self._source, self._target
        with target.database.read() as session:
            handles = {one.account_id: one.tables["accounts"][0]["handle"] for one in parcels}
            emails = {one.account_id: one.email() for one in parcels}
            refused |= plan.clashes(source, target, reading, session, handles, emails)
        parcels = [one for one in parcels if one.account_id not in refused]
        for one in parcels:
            put_files(source, target, found[one.account_id], one)
        ids = [one.account_id for one in parcels]
        with target.database.write() as session:
            self._mark_gone(session)
            self._mark(session, [(one, "refused", why) for one, why in refused.items()])
            if parcels:
                target.vault.new_account_keys(session, ids)
                for one in parcels:
                    put_drafts(source, target, reading, session, found[one.account_id], permits, one)
                digests = {one.account_id: one.digest(self._salt) for one in parcels}
                counted = {one.account_id: one.counted() for one in parcels}
                put_rows(target, session, parcels)
                self._compare(session, digests)
                rows = [
                    {
                        "whose": one,
                        "digest_": digests[one],
                        "mark_": found[one].mark(),
                        "counted_": msgspec.json.encode(counted[one]).decode(),
                    }
                    for one in ids
                ]
                session.connection().execute(_COPIED, [row | {"move": self._move} for row in rows])
        self._gone = []
        self._step(len(ids), "planned", "copied")
        self._step(len(refused), "planned", "refused")
        self._report("moving")
        return ids

    def _compare(self, session: WriteSession, digests: dict[str, bytes]) -> None:
        """Open what was written, by the keys as they are stored, and compare."""
        target = self._target
        target.vault.forget()
        target.vault.open_keys(session, digests)
        permits = Permits(target)
        found = find(target, session, list(digests))
        wrong = []
        for account_id, expected in digests.items():
            try:
                one = found[account_id]
                parcel = open_found(target, session, one, permits, str)
                note_files(target, session, one, permits, parcel)
                if parcel.digest(self._salt) != expected:
                    wrong.append(account_id)
            except (KeyError, *UNREADABLE):
                wrong.append(account_id)
        if wrong:
            raise _OtherwiseError(wrong)

    def _erase(self, account_ids: Sequence[str]) -> None:
        """Erase in the source those accounts that are there as they were copied; plan the others anew."""
        with self._target.database.read() as session:
            asked = select(MovedRow.moved_id, MovedRow.mark, MovedRow.digest).where(
                MovedRow.move_id == self._move, among(session, MovedRow.moved_id, account_ids)
            )
            noted = {row[0]: (row[1], row[2]) for row in session.execute(asked)}
            asked_videos = select(VideoRow.video_id).where(among(session, VideoRow.account_id, account_ids))
            videos = list(session.scalars(asked_videos))
        with self._source.database.write() as session:
            self._hold_still(session)
            found = find(self._source, session, account_ids)
            # Whatever came to it since it was copied would be lost: then it is copied again.
            changed = [one for one, it in found.items() if it.mark() != noted[one][0]]
            leaving = [one for one in found if one not in changed]
            _, uploads = forget_accounts(self._source, session, leaving)
        kept = {row["video_id"] for one in changed for row in found[one].tables.get("videos", ())}
        # Of those that were erased before a kill too, whose files may be there still.
        remove_files(self._source, [one for one in videos if one not in kept], uploads)
        if changed:
            self._take_back(changed, {one: noted[one][1] for one in changed})
        gone = [one for one in account_ids if one not in changed]
        self._gone += gone
        self._step(len(gone), "copied", "gone")
        self._report("moving")

    def _hold_still(self, session: WriteSession) -> None:
        # An embedded database has one writer anyway.
        if not self._source.database.is_sqlite:
            names = ", ".join(f'"{table.name}"' for table in sealed_rows.account_tables())
            session.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))

    def _take_back(self, changed: list[str], digests: dict[str, bytes]) -> None:
        """Remove from the target what was copied of accounts that have changed since in the source."""
        target = self._target
        with target.database.write() as session:
            found = find(target, session, changed)
            permits = Permits(target)
            lived = []
            for account_id, one in found.items():
                parcel = open_found(target, session, one, permits, str)
                note_files(target, session, one, permits, parcel)
                if parcel.digest(self._salt) != digests[account_id]:
                    lived.append(account_id)
            again = [one for one in changed if one not in lived]
            videos, _ = forget_accounts(target, session, again)
            self._mark(session, [(one, "refused", "changed-in-both") for one in lived])
            self._mark(session, [(one, "planned", "") for one in again])
        remove_files(target, videos, ())
        self._step(len(again), "copied", "planned")
        self._step(len(lived), "copied", "refused")

    # ------------------------------------------------------------ what is noted

    def _renamed(self, creator: str) -> str:
        """Return how a creator is called in the target: those who move come from there."""
        if creator in self._moving:
            return f"{self._target.settings.cell}:{creator.partition(':')[2]}"
        return creator

    def _refuse(self, reasons: dict[str, str]) -> None:
        with self._target.database.write() as session:
            self._mark(session, [(one, "refused", why) for one, why in reasons.items()])
        self._step(len(reasons), "planned", "refused")

    def _mark(self, session: WriteSession, states: list[tuple[str, str, str]]) -> None:
        alike: dict[tuple[str, str], list[str]] = {}
        for whose, state, reason in states:
            alike.setdefault((state, reason), []).append(whose)
        for (state, reason), some in alike.items():
            mine = (MovedRow.move_id == self._move) & among(session, MovedRow.moved_id, some)
            session.execute(update(MovedRow).where(mine).values(state=state, reason=reason))

    def _mark_gone(self, session: WriteSession) -> None:
        # Until that is durable they are told again in the next transaction.
        self._mark(session, [(one, "gone", "") for one in self._gone])

    def _note_uses(self) -> None:
        if time.monotonic() - self._noted_at > _USES_SECONDS:
            self._noted_at = time.monotonic()
            for cell in (self._source, self._target):
                key_uses.write_down(cell)

    def _step(self, count: int, before: str, after: str) -> None:
        self._count[before] -= count
        self._count[after] += count

    def _report(self, doing: str) -> None:
        count = self._count
        self._tell(Progress(count["gone"], count["refused"], sum(count.values()), doing))


_MOVED: Final[Any] = Model.metadata.tables[MovedRow.__tablename__]
_COPIED: Final = (
    update(_MOVED)
    .where(_MOVED.c.move_id == bindparam("move"), _MOVED.c.moved_id == bindparam("whose"))
    .values(
        state="copied",
        digest=bindparam("digest_"),
        mark=bindparam("mark_"),
        counted=bindparam("counted_"),
    )
)
