"""Reads of accounts that need no key: only what people publish about themselves."""

import msgspec
from sqlalchemy import bindparam, select

from lightwell.base.db import Database, ReadSession, Statement
from lightwell.product.accounts.models import AccountRow, SessionRow
from lightwell.residency.keys_models import AccountKey

# Every feed request asks this.
_BY_TOKEN = Statement(
    select(
        AccountRow.account_id,
        AccountRow.handle,
        AccountRow.display_name,
        AccountKey.generation,
        AccountKey.wrapped,
        AccountRow.birthday,
    )
    .join(SessionRow, SessionRow.account_id == AccountRow.account_id)
    .outerjoin(AccountKey, AccountKey.account_id == AccountRow.account_id)
    .where(SessionRow.token_index == bindparam("token"), SessionRow.expires_at > bindparam("now")),
    "token",
    "now",
)


class Account(msgspec.Struct, frozen=True):
    """The public face of an account, as handlers get it for whoever is signed in.

    `adult`: the person is of age; known only of whoever is signed in, False of everybody else.
    """

    account_id: str
    handle: str
    display_name: str
    adult: bool = False


def by_handle(session: ReadSession, handle: str) -> Account | None:
    """Return the account with this handle, or None."""
    return _account(session, AccountRow.handle == handle)


def by_id(session: ReadSession, account_id: str) -> Account | None:
    """Return the account with this id, or None."""
    return _account(session, AccountRow.account_id == account_id)


def by_token(
    database: Database, token_index: bytes, now_ms: int
) -> tuple[Account, int, bytes | None, bytes] | None:
    """Return whose session this is, or None when it is unknown or over.

    Args:
        database: the cell's.
        token_index: blind index of the session token.
        now_ms: milliseconds since the epoch.

    Returns:
        The account; its data key as `residency.keys` wrapped it: generation and bytes, None if destroyed; and
        its sealed birthday.
    """
    row = _BY_TOKEN.one(database, token_index, now_ms)
    return (Account(*row[:3]), *row[3:]) if row else None


def _account(session: ReadSession, condition: object) -> Account | None:
    row = session.execute(
        select(AccountRow.account_id, AccountRow.handle, AccountRow.display_name).where(condition)  # type: ignore[arg-type]
    ).first()
    return Account(*row) if row else None
