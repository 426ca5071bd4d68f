"""Which version of the cell key is current: decided once, in the database, so that no key is left behind.

Whoever wraps a new account key holds a share of the current version's row until its transaction ends, and
whoever retires a version waits for that: no account can appear under a version after it was found empty.
"""

from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from lightwell.base.clock import now_ms
from lightwell.base.db import WriteSession
from lightwell.residency.keys_models import CellKey

FIRST: Final = 1


def current_version(session: WriteSession, to_change: bool = False) -> int:
    """Return the version that wraps new account keys; it stays current until this transaction has ended.

    Args:
        session: the open transaction that makes an account.
        to_change: wait until nobody relies on it and let nobody else read it, since it is about to change.
    """
    asked = select(CellKey.version).where(CellKey.state == "current").with_for_update(read=not to_change)
    while True:
        found = session.execute(asked).scalar_one_or_none()
        if found is not None:
            return found
        # Either there is none yet, or another took its place while this transaction waited for the row.
        dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        first = dialect.insert(CellKey).values(version=FIRST, state="current", made_at=now_ms())
        session.execute(first.on_conflict_do_nothing())
