"""Which accounts move is written down before the first of them is touched; those that clash stay behind."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from lightwell.base.clock import fresh_id, now_s
from lightwell.base.db import Model, ReadSession
from lightwell.base.many import among
from lightwell.product.accounts import AccountRow
from lightwell.product.moving.found import AT_ONCE, in_portions
from lightwell.product.moving.models import MovedRow, MoveError, MoveRow, Progress
from lightwell.product.moving.parcel import UNREADABLE, Permits
from lightwell.product.videos import VideoRow
from lightwell.residency import presence, sealed_rows
from lightwell.residency.cell import Cell
from lightwell.residency.key_versions import current_version
from lightwell.residency.keys import VaultError

WORK: Final = "migration"
"""What the source is reserved for until the migration is done."""


def begin(
    source: Cell, target: Cell, handles: Iterable[str] | None, tell: Callable[[Progress], None]
) -> tuple[str, bytes]:
    """Plan a migration, or find the one that was begun; return its id and its salt.

    From here until it is done no process of the source starts.

    Args:
        source, target: the cells.
        handles: who is to be moved, or None for everybody; not looked at when one was begun.
        tell: called as it goes on.

    Raises:
        MoveError: the source has no such account.
    """
    wanted = None if handles is None else list(dict.fromkeys(handles))
    here, there = source.settings.cell, target.settings.cell
    with target.database.read() as session:
        row = session.scalar(
            select(MoveRow).where(MoveRow.source == here, MoveRow.target == there, MoveRow.state != "done")
        )
    if row is not None and row.state == "moving":
        _reserve(source, row.move_id, there)
        return row.move_id, row.salt
    if wanted is not None:
        _require_known(source, wanted)
    with target.database.write() as session:
        if row is not None:
            # A plan that was cut off: nobody was moved by it.
            session.execute(delete(MovedRow).where(MovedRow.move_id == row.move_id))
            session.execute(delete(MoveRow).where(MoveRow.move_id == row.move_id))
        move_id, salt = fresh_id(), secrets.token_bytes(32)
        session.add(
            MoveRow(move_id=move_id, source=here, target=there, state="planning", salt=salt, began_at=now_s())
        )
    with source.database.write() as session:
        session.execute(delete(MoveRow).where(MoveRow.target == there, MoveRow.state != "done"))
    _reserve(source, move_id, there)
    planned = 0
    for some in _accounts(source, wanted):
        with source.database.read() as reading, target.database.write() as session:
            emails, broken = _emails(source, reading, list(some))
            reasons = clashes(source, target, reading, session, some, emails) | broken
            rows = [
                {
                    "move_id": move_id,
                    "moved_id": account_id,
                    "handle": handle,
                    "state": "refused" if account_id in reasons else "planned",
                    "reason": reasons.get(account_id, ""),
                    "digest": b"",
                    "mark": b"",
                    "counted": "{}",
                }
                for account_id, handle in some.items()
            ]
            session.connection().execute(insert(Model.metadata.tables["moved_accounts"]), rows)
        planned += len(some)
        tell(Progress(0, 0, planned, "looking for clashes"))
    with target.database.write() as session:
        session.execute(update(MoveRow).where(MoveRow.move_id == move_id).values(state="moving"))
    return move_id, salt


def clashes(
    source: Cell,
    target: Cell,
    reading: ReadSession,
    session: ReadSession,
    accounts: Mapping[str, str],
    emails: Mapping[str, str],
) -> dict[str, str]:
    """Return by account why it cannot come to the target as it is, those that can left out.

    Args:
        source, reading: where they are.
        target, session: where they would come to.
        accounts: handles by account, at most `AT_ONCE`.
        emails: those of them that could be opened, by account.
    """
    ids = list(accounts)
    reasons: dict[str, str] = {}

    def refuse(taken: Iterable[Any], by: Mapping[Any, str], reason: str) -> None:
        for value in taken:
            reasons.setdefault(by[value], reason)

    own = {account_id: account_id for account_id in ids}
    taken = session.scalars(select(AccountRow.account_id).where(among(session, AccountRow.account_id, ids)))
    refuse(taken, own, "id-taken")
    handles = {handle: account_id for account_id, handle in accounts.items()}
    taken = session.scalars(select(AccountRow.handle).where(among(session, AccountRow.handle, handles)))
    refuse(taken, handles, "handle-taken")
    indexes = {target.vault.blind_index("accounts.email", one): whose for whose, one in emails.items()}
    found = session.scalars(select(AccountRow.email_index).where(AccountRow.email_index.in_(list(indexes))))
    refuse(map(bytes, found), indexes, "email-taken")
    theirs = among(reading, VideoRow.account_id, ids)
    rows = reading.execute(
        select(VideoRow.video_id, VideoRow.account_id, VideoRow.status).where(theirs)
    ).all()
    refuse([row[1] for row in rows if row[2] == "processing"], own, "video-in-processing")
    videos = {row[0]: row[1] or "" for row in rows}
    if videos:
        # A copy that came through the gateway gives way; anything else of that name is somebody else's.
        strange = (VideoRow.origin_cell != source.settings.cell) | VideoRow.account_id.is_not(None)
        asked = select(VideoRow.video_id).where(among(session, VideoRow.video_id, videos), strange)
        refuse(session.scalars(asked), videos, "video-taken")
    return reasons


def forget(source: Cell, target: Cell, move_id: str) -> None:
    """Forget a migration that moved nobody, and let the source's processes start again."""
    with target.database.write() as session:
        session.execute(delete(MovedRow).where(MovedRow.move_id == move_id))
        session.execute(delete(MoveRow).where(MoveRow.move_id == move_id))
    with source.database.write() as session:
        session.execute(delete(MoveRow).where(MoveRow.move_id == move_id))
        presence.release(session, WORK)


def last_done(source: Cell, target: Cell) -> MoveRow | None:
    """Return the last migration between the two cells that came to its end."""
    mine = (MoveRow.source == source.settings.cell) & (MoveRow.target == target.settings.cell)
    with target.database.read() as session:
        done = select(MoveRow).where(mine, MoveRow.state == "done").order_by(MoveRow.began_at.desc())
        return session.scalar(done.limit(1))


def _reserve(source: Cell, move_id: str, target: str) -> None:
    with source.database.write() as session:
        presence.reserve(session, WORK)
        if session.get(MoveRow, move_id) is None:
            session.add(
                MoveRow(
                    move_id=move_id,
                    source=source.settings.cell,
                    target=target,
                    state="moving",
                    salt=b"",
                    key_version=current_version(session),
                    began_at=now_s(),
                )
            )


def _require_known(source: Cell, wanted: list[str]) -> None:
    with source.database.read() as reading:
        for some in in_portions(wanted):
            asked = select(AccountRow.handle).where(among(reading, AccountRow.handle, some))
            known = set(reading.scalars(asked))
            unknown = next((handle for handle in some if handle not in known), None)
            if unknown is not None:
                raise MoveError(f"the source has no account {unknown!r}")


def _accounts(source: Cell, wanted: list[str] | None) -> Iterator[dict[str, str]]:
    """Yield the handles of those who are to be moved, by account, some at a time."""
    asked = select(AccountRow.account_id, AccountRow.handle)
    if wanted is not None:
        for some in in_portions(wanted, AT_ONCE):
            with source.database.read() as reading:
                rows = reading.execute(asked.where(among(reading, AccountRow.handle, some))).all()
            yield {row[0]: row[1] for row in rows}
        return
    last = ""
    while True:
        after = asked.where(AccountRow.account_id > last).order_by(AccountRow.account_id).limit(AT_ONCE)
        with source.database.read() as reading:
            rows = reading.execute(after).all()
        if not rows:
            return
        last = rows[-1][0]
        yield {row[0]: row[1] for row in rows}


def _emails(source: Cell, reading: ReadSession, ids: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the e-mails of accounts, by which it is known whether the target has them; and who has none."""
    table = Model.metadata.tables["accounts"]
    permits = Permits(source)
    category = sealed_rows.label_in(table, "email").category
    with suppress(VaultError):
        source.vault.open_keys(reading, ids)
    emails, broken = {}, {}
    asked = select(table.c.account_id, table.c.email).where(among(reading, table.c.account_id, ids))
    for account_id, sealed in reading.connection().execute(asked):
        row = {"account_id": account_id, "email": sealed}
        try:
            opened = sealed_rows.open_value(source, reading, permits[category], table, row, "email")
            emails[account_id] = (opened or b"").decode()
        except UNREADABLE:
            broken[account_id] = "does-not-open"
    return emails, broken
