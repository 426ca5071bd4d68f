"""Reads of accounts that need no key: only what people publish about themselves."""

import msgspec
from sqlalchemy import select

from lightwell.base.db import ReadSession
from lightwell.product.accounts.models import AccountRow, SessionRow


class Account(msgspec.Struct, frozen=True):
    """The public face of an account, as handlers get it for whoever is signed in."""

    account_id: str
    handle: str
    display_name: str


def by_handle(session: ReadSession, handle: str) -> Account | None:
    """Return the account with this handle, or None."""
    return _account(session, AccountRow.handle == handle)


def by_id(session: ReadSession, account_id: str) -> Account | None:
    """Return the account with this id, or None."""
    return _account(session, AccountRow.account_id == account_id)


def by_token(session: ReadSession, token_index: bytes, now_ms: int) -> Account | None:
    """Return whose session this is, or None when it is unknown or over.

    Args:
        token_index: blind index of the session token.
        now_ms: milliseconds since the epoch.
    """
    row = session.execute(
        select(AccountRow.account_id, AccountRow.handle, AccountRow.display_name)
        .join(SessionRow, SessionRow.account_id == AccountRow.account_id)
        .where(SessionRow.token_index == token_index, SessionRow.expires_at > now_ms)
    ).first()
    return Account(*row) if row else None


def _account(session: ReadSession, condition: object) -> Account | None:
    row = session.execute(
        select(AccountRow.account_id, AccountRow.handle, AccountRow.display_name).where(condition)  # type: ignore[arg-type]
    ).first()
    return Account(*row) if row else None
