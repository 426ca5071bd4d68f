"""An account is deleted whole: its key and all that is kept of it; what it published is taken back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from sqlalchemy import delete, select

from lightwell.base.clock import minute_s
from lightwell.base.db import WriteSession
from lightwell.base.errors import Problem
from lightwell.base.many import among
from lightwell.ledger.queue import enqueue
from lightwell.product.accounts import Account, AccountRow
from lightwell.product.rights.passwords import require_password
from lightwell.product.videos import UploadPartRow, UploadRow, VideoRow, withdraw
from lightwell.residency import erasure
from lightwell.residency.cell import Cell
from lightwell.wire import canonical
from lightwell.wire.commitment import commit, opens
from lightwell.wire.entries import AccountErased

KIND: Final = "erasure"


class Deleted(Struct, frozen=True):
    """What a person is told, once: by it alone the entry of their deletion can be shown to be theirs.

    `leaf` is the entry's hash, `opening` opens its commitment to the digest of `account`; all in hex.
    """

    account: str
    leaf: str
    commitment: str
    opening: str
    videos: int


def delete_account(cell: Cell, account: Account, password: str) -> Deleted:
    """Delete an account for ever.

    Files go first: whoever kills this in between leaves an account that can be deleted again. Models that
    learned from the person are marked by training, which misses the key.

    Args:
        cell: the home cell.
        account: the signed-in person.
        password: theirs, typed again.

    Raises:
        Problem: 403 the password is wrong; 401 the account is gone already.
    """
    require_password(cell, account, password)
    with cell.database.read() as reading:
        videos = list(
            reading.scalars(select(VideoRow.video_id).where(VideoRow.account_id == account.account_id))
        )
        uploads = list(
            reading.scalars(select(UploadRow.upload_id).where(UploadRow.account_id == account.account_id))
        )
    remove_files(cell, videos, uploads)
    opening, commitment = erasure_commitment(cell, account.account_id)
    with cell.database.write() as session:
        row = session.scalar(
            select(AccountRow).where(AccountRow.account_id == account.account_id).with_for_update()
        )
        if row is None:
            raise Problem(401, "not-signed-in", "This account is no longer here.")
        later, more = forget_account(cell, session, account.account_id)
        leaf = enqueue(session, AccountErased(at=minute_s(), commitment=commitment.hex()))
    # What was uploaded or rendered since the files were listed; it is sealed, or of no row any more.
    remove_files(cell, later, more)
    return Deleted(account.account_id, leaf.hex(), commitment.hex(), opening.hex(), len(later))


def erasure_commitment(cell: Cell, account_id: str) -> tuple[bytes, bytes]:
    """Return opening and commitment of the entry that says an account was erased.

    The cell can compute both anew from the account's id and its index key, and nobody else can: so it knows
    the account again if an old copy of the database brings it back, though it keeps no list.

    Args:
        cell: the home cell.
        account_id: whose.
    """
    opening = cell.vault.root.mac("rights.erasure", account_id.encode())
    return opening, commit(KIND, opening, erasure_digest(account_id))


def erasure_digest(account_id: str) -> bytes:
    """Return the SHA-256 that an `AccountErased` commits to: of the canonical JSON `{"account": id}`."""
    return hashlib.sha256(canonical.encode({"account": account_id})).digest()


def is_erased(told: Deleted) -> bool:
    """Say whether what a person was told opens the commitment that it names."""
    digest = erasure_digest(told.account)
    return opens(bytes.fromhex(told.commitment), KIND, bytes.fromhex(told.opening), digest)


def erase_returned(cell: Cell, commitments: Iterable[str]) -> list[str]:
    """Erase again those accounts that an old copy of the database has brought back; return their ids.

    Args:
        cell: the home cell, its database restored from a copy.
        commitments: of every `AccountErased` entry in the cell's ledger, in hex.
    """
    erased = set(commitments)
    with cell.database.read() as reading:
        here = reading.scalars(select(AccountRow.account_id).order_by(AccountRow.account_id)).all()
    returned = [one for one in here if erasure_commitment(cell, one)[1].hex() in erased]
    for account_id in returned:
        with cell.database.write() as session:
            videos, uploads = forget_account(cell, session, account_id)
        remove_files(cell, videos, uploads)
    return returned


def forget_account(cell: Cell, session: WriteSession, account_id: str) -> tuple[list[str], list[str]]:
    """Erase all rows of an account, in the caller's transaction; return the ids of its videos and uploads."""
    return forget_accounts(cell, session, (account_id,))


def forget_accounts(
    cell: Cell, session: WriteSession, account_ids: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Erase many accounts as `forget_account` does one, each table asked once."""
    mine = among(session, VideoRow.account_id, account_ids)
    rows = session.scalars(select(VideoRow).where(mine).with_for_update()).all()
    videos = [row.video_id for row in rows]
    for row in rows:
        withdraw(session, row)
    theirs = among(session, UploadRow.account_id, account_ids)
    uploads = list(session.scalars(select(UploadRow.upload_id).where(theirs)))
    session.execute(delete(UploadPartRow).where(among(session, UploadPartRow.upload_id, uploads)))
    session.execute(delete(UploadRow).where(theirs))
    session.flush()
    # What hangs on the account goes with it; the rest, which `erase_all` finds by its labels, after it.
    session.execute(delete(AccountRow).where(among(session, AccountRow.account_id, account_ids)))
    erasure.erase_all(cell, session, account_ids)
    return videos, uploads


def remove_files(cell: Cell, videos: Iterable[str], uploads: Iterable[str]) -> None:
    """Remove the files of videos and uploads; those that are gone already are no error."""
    for video_id in videos:
        cell.objects.delete_prefix(f"videos/{video_id}")
        cell.objects.delete_prefix(f"drafts/{video_id}")
    for upload_id in uploads:
        cell.objects.delete_prefix(f"uploads/{upload_id}")
