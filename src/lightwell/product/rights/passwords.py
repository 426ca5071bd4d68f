"""What cannot be taken back is done only by whoever types the account's password again."""

from __future__ import annotations

from lightwell.base.errors import Problem
from lightwell.product.accounts import Account, service
from lightwell.residency.cell import Cell


def require_password(cell: Cell, account: Account, password: str) -> None:
    """Refuse whoever does not know the password of the account they are signed in to.

    Raises:
        Problem: 403 it is another password; 401 the account is no longer here.
    """
    known = service.knows_password(cell, account, password)
    if known is None:
        raise Problem(401, "not-signed-in", "This account is no longer here.")
    if not known:
        raise Problem(403, "wrong-password", "That is not the password of this account.")
