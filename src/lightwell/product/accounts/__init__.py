"""Accounts: sign up, sign in, sign out, and a person's own protected data, sealed in the home cell."""

from lightwell.product.accounts.models import AccountRow, SessionRow
from lightwell.product.accounts.queries import Account, by_handle
from lightwell.product.accounts.service import (
    current_account,
    own_details,
    sign_in,
    sign_out,
    sign_up,
)

__all__ = [
    "Account",
    "AccountRow",
    "SessionRow",
    "by_handle",
    "current_account",
    "own_details",
    "sign_in",
    "sign_out",
    "sign_up",
]
