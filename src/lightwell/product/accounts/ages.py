"""Whether a person is of age: worked out from the sealed birthday, and all that anybody learns of it."""

from datetime import UTC, date, datetime
from typing import Final
from weakref import WeakKeyDictionary

from lightwell.product.accounts.models import AccountRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Refused, Resource
from lightwell.residency.keys import KeyVault, SealError

ADULT_YEARS: Final = 18
_MOST: Final = 50_000

# From which day on a person is of age, as its ordinal: in memory only, for as long as the cell is open.
_of_age: WeakKeyDictionary[KeyVault, dict[str, int]] = WeakKeyDictionary()


def is_adult(cell: Cell, account_id: str, birthday: bytes) -> bool:
    """Say whether a person is of age today (UTC); a birthday that cannot be read is nobody of age.

    Args:
        cell: the person's home cell, which holds the account's key in memory.
        account_id: whose.
        birthday: as the account's row has it, sealed.
    """
    known = _of_age.setdefault(cell.vault, {})
    day = known.get(account_id)
    if day is None:
        day = _day_of_age(cell, account_id, bytes(birthday))
        if len(known) >= _MOST:
            known.clear()
        known[account_id] = day
    return datetime.now(UTC).toordinal() >= day


def day_of_age(born: date) -> date:
    """Return the day on which somebody is of age; who was born on 29 February waits for 1 March."""
    year = born.year + ADULT_YEARS
    try:
        return born.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def _day_of_age(cell: Cell, account_id: str, birthday: bytes) -> int:
    category = AccountRow.__table__.c.birthday.info["label"].category
    try:
        permit = cell.decider.decide(
            Principal(kind="account", id=account_id, role="self"),
            "use_own",
            Resource(category=category, residency="protected", owner=account_id),
        )
        with cell.database.read_if_needed() as session:
            plain = cell.vault.unseal(
                permit, session, account_id, "accounts", "birthday", account_id, birthday
            )
        return day_of_age(date.fromisoformat(plain.decode())).toordinal()
    except (Refused, SealError, ValueError):
        return date.max.toordinal()
