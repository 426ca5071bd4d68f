"""Which models learned from people who have been erased since: such a model never begins to serve again."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select, update

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.product.feed.training_models import ModelPeopleRow, ModelRow
from lightwell.recommender.snapshot import search
from lightwell.residency.keys_models import AccountKey

Accounts = NDArray[np.uint64]

NOBODY: Final[Accounts] = np.zeros(0, dtype=np.uint64)
_REMEMBERED: Final = 20
"""So many of the newest models may be gone back to: whom others learned from is not known any more."""


def remember_people(session: WriteSession, digest: str, people: Accounts) -> None:
    """Note whose events a model was trained from; the oldest of too many notes is dropped.

    Args:
        session: the transaction of the model's row.
        digest: of the model.
        people: their accounts, in any order.
    """
    session.merge(ModelPeopleRow(digest=digest, accounts=np.unique(people).astype("<u8").tobytes()))
    session.flush()
    newest = (
        select(ModelRow.digest)
        .join(ModelPeopleRow, ModelPeopleRow.digest == ModelRow.digest)
        .order_by(ModelRow.number.desc())
    )
    for old in session.scalars(newest).all()[_REMEMBERED:]:
        session.execute(delete(ModelPeopleRow).where(ModelPeopleRow.digest == old))


def mark_models_of_erased(session: WriteSession) -> None:
    """Mark the models that learned from somebody who has no account key any more, and forget whom they did.

    Args:
        session: whoever acts on the marks does so in the same transaction.
    """
    notes = session.scalars(select(ModelPeopleRow)).all()
    if not notes:
        return
    here = accounts_here(session)
    for note in notes:
        people = np.frombuffer(note.accounts, dtype="<u8")
        if people.size and (search(here, people) < 0).any():
            session.execute(update(ModelRow).where(ModelRow.digest == note.digest).values(erased_at=now_ms()))
            session.delete(note)
    session.flush()


def accounts_here(session: ReadSession) -> Accounts:
    """Every account whose key still exists, ascending."""
    found = session.scalars(select(AccountKey.account_id)).all()
    return np.sort(np.array([int(account_id, 16) for account_id in found], dtype=np.uint64))


def holds_erased(session: ReadSession, digest: str) -> bool:
    """Whether a model is marked as one that learned from somebody who was erased."""
    return session.scalar(select(ModelRow.erased_at).where(ModelRow.digest == digest)) is not None


def is_remembered(session: ReadSession, digest: str) -> bool:
    """Whether it is known whom a model learned from."""
    return session.get(ModelPeopleRow, digest) is not None
