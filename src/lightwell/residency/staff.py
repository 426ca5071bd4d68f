"""The staff directory and sign-in by key: a principal is what the directory says, not its bearer."""

from __future__ import annotations

import secrets
from typing import Final

from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from lightwell.base.clock import fresh_id, now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.ledger.queue import enqueue
from lightwell.residency.access_models import StaffRow, StaffSessionRow
from lightwell.residency.appointments import is_appointed
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.wire.entries import DirectoryChanged, minute
from lightwell.wire.keys import NoteError, Verifier

CHALLENGE_MS: Final = 120_000
SESSION_MS: Final = 8 * 3_600_000
SIGN_IN_HEADER: Final = b"lightwell/sign-in/v1\n"

# No real line is deeper; one that seems so is a loop or an attack and counts as excluded.
_DEEPEST_LINE: Final = 64


class Member(Struct, frozen=True, kw_only=True):
    """A member of staff as the directory takes them; see `StaffRow` for `person` and `reports_to`."""

    name: str
    vkey: str
    role: str
    employer: str
    place: str
    vetted: bool
    person: str = ""
    reports_to: str | None = None
    reports_to_entity: str | None = None


def enrol(session: WriteSession, member: Member) -> str:
    """Add a member to the directory.

    Args:
        session: the caller's transaction.
        member: who; an empty `person` makes them a person of their own.

    Returns:
        The new staff_id.

    Raises:
        Problem: 409 when the key is another account's, 422 when the key is malformed.
    """
    try:
        vkey = Verifier.from_vkey(member.vkey).vkey()
    except NoteError as error:
        raise Problem(
            422, "unusable-field", "That is no key of the form name+hash+key.", field="vkey"
        ) from error
    if session.scalar(select(StaffRow.staff_id).where(StaffRow.vkey == vkey)):
        raise Problem(409, "key-taken", "That key belongs to another member of staff.")
    staff_id = fresh_id()
    session.add(
        StaffRow(
            staff_id=staff_id,
            person=member.person or staff_id,
            name=member.name,
            vkey=vkey,
            role=member.role,
            employer=member.employer,
            place=member.place,
            vetted=member.vetted,
            reports_to=member.reports_to,
            reports_to_entity=member.reports_to_entity,
            active=True,
        )
    )
    session.flush()
    enqueue(
        session,
        DirectoryChanged(at=minute(now_ms() // 1000), change="enrolled", what=[], ended=0, role=member.role),
    )
    return staff_id


def line_excluded(session: ReadSession, row: StaffRow, entities: list[str]) -> bool:
    """Say whether a reporting line touches an excluded entity, at any depth; doubt counts as yes.

    Args:
        session: any session of the cell.
        row: the member whose line is walked upwards.
        entities: ids of the agreement's excluded entities.
    """
    seen: set[str] = set()
    above: StaffRow | None = row
    while above is not None:
        if above.employer in entities or above.reports_to_entity in entities:
            return True
        if above.staff_id in seen or len(seen) >= _DEEPEST_LINE:
            return True
        seen.add(above.staff_id)
        if above.reports_to is None:
            return False
        above = session.get(StaffRow, above.reports_to)
    return True


def principal_of(cell: Cell, session: ReadSession, row: StaffRow) -> Principal:
    """Make the principal of a member from what the directory says now.

    A person with several accounts is under an excluded entity when one of the accounts is. Nobody counts
    as appointed while one of their accounts, or anybody above it, is proposed only, or vetoed.
    """
    entities = cell.agreement.excluded.entities
    same = session.scalars(
        select(StaffRow).where(StaffRow.person == row.person, StaffRow.active.is_(True))
    ).all()
    return Principal(
        kind="staff",
        id=row.staff_id,
        role=row.role,
        place=row.place,
        employer=row.employer,
        vetted=row.vetted,
        appointed=all(_in_office(cell, session, each) for each in {row, *same}),
        excluded_line=any(line_excluded(session, each, entities) for each in {row, *same}),
    )


def _in_office(cell: Cell, session: ReadSession, row: StaffRow) -> bool:
    """Say whether a member and everybody above them count in their roles; doubt counts as no."""
    agreed = cell.agreement.appointments
    if not agreed.roles and not agreed.each_hire:
        return True
    above: StaffRow | None = row
    for _ in range(_DEEPEST_LINE):
        if above is None or not is_appointed(cell, session, above):
            return False
        if above.reports_to is None:
            return True
        above = session.get(StaffRow, above.reports_to)
    return False


def challenge(cell: Cell, vkey: str, now: int | None = None) -> str:
    """Make a challenge for a key to sign; it says nothing about whether the key is known here.

    Args:
        cell: where sign-in happens.
        vkey: the key that will sign.
        now: milliseconds since the epoch.

    Returns:
        `nonce.deadline.tag`: 32 hex characters, milliseconds, 64 hex characters. Nothing is stored.
    """
    nonce = secrets.token_hex(16)
    deadline = (now_ms() if now is None else now) + CHALLENGE_MS
    return f"{nonce}.{deadline}.{_tag(cell, vkey, nonce, str(deadline))}"


def sign_in(
    cell: Cell, session: WriteSession, vkey: str, answered: str, signature: str, now: int | None = None
) -> tuple[Principal, str]:
    """Open a session for whoever signed a fresh challenge with a key of the directory.

    Args:
        cell: where sign-in happens.
        session: the caller's transaction.
        vkey: the signer's key.
        answered: the challenge, as `challenge` gave it.
        signature: hex Ed25519 signature over `lightwell/sign-in/v1` + newline + challenge.
        now: milliseconds since the epoch.

    Returns:
        The principal and the session's token.

    Raises:
        Problem: 401 `wrong-credentials` for every way in which this can be wrong.
    """
    now = now_ms() if now is None else now
    wrong = Problem(
        401, "wrong-credentials", "This key does not open the staff desk; ask for a new challenge."
    )
    nonce, _, rest = answered.partition(".")
    deadline, _, tag = rest.partition(".")
    if not secrets.compare_digest(tag.encode(), _tag(cell, vkey, nonce, deadline).encode()):
        raise wrong
    if not now < int(deadline) <= now + CHALLENGE_MS:
        raise wrong
    row = session.scalar(select(StaffRow).where(StaffRow.vkey == vkey, StaffRow.active.is_(True)))
    try:
        good = row is not None and Verifier.from_vkey(row.vkey).verify(
            SIGN_IN_HEADER + answered.encode(), bytes.fromhex(signature)
        )
    except (NoteError, ValueError):
        good = False
    if row is None or not good:
        raise wrong
    return principal_of(cell, session, row), open_session(cell, session, row, answered, now)


def open_session(cell: Cell, session: WriteSession, row: StaffRow, answered: str, now: int) -> str:
    """Open a session for a member who proved a key over `answered`, a challenge that works once.

    Returns:
        The session's token.

    Raises:
        Problem: 401 the challenge opened a session before.
    """
    session.execute(delete(StaffSessionRow).where(StaffSessionRow.expires_at < now))
    token = secrets.token_hex(32)
    session.add(
        StaffSessionRow(
            token_index=cell.vault.blind_index("staff.session", token),
            challenge=answered,
            staff_id=row.staff_id,
            expires_at=now + SESSION_MS,
        )
    )
    try:
        session.flush()
    except IntegrityError as error:
        raise Problem(
            401, "wrong-credentials", "This challenge was answered before; ask for a new one."
        ) from error
    return token


def sign_out(cell: Cell, session: WriteSession, token: str) -> None:
    """End a staff session; an unknown token is no error."""
    index = cell.vault.blind_index("staff.session", token)
    session.execute(delete(StaffSessionRow).where(StaffSessionRow.token_index == index))


def signed_in(cell: Cell, session: ReadSession, token: str, now: int | None = None) -> StaffRow | None:
    """Return the directory's row of whoever this token signed in, or None; read afresh each time.

    A member who moves, loses vetting or leaves is another principal, or none, at the next request.
    """
    index = cell.vault.blind_index("staff.session", token)
    return session.scalar(
        select(StaffRow)
        .join(StaffSessionRow, StaffSessionRow.staff_id == StaffRow.staff_id)
        .where(
            StaffSessionRow.token_index == index,
            StaffSessionRow.expires_at > (now_ms() if now is None else now),
            StaffRow.active.is_(True),
        )
    )


def _tag(cell: Cell, vkey: str, nonce: str, deadline: str) -> str:
    return cell.vault.blind_index("staff.challenge", f"{nonce}.{deadline}.{vkey.encode().hex()}").hex()
