"""A published video is taken back once and for all: its removal queues an entry, which can be opened."""

import secrets
from typing import Any

from sqlalchemy import delete, select

from lightwell.base.clock import minute_s
from lightwell.base.db import ReadSession, WriteSession
from lightwell.ledger.queue import enqueue
from lightwell.product.videos.models import VideoCountRow, VideoRow, WithdrawnVideoRow
from lightwell.wire.commitment import OPENING_SIZE, commit
from lightwell.wire.entries import VideoWithdrawn, withdrawal_digest

KIND = "withdrawal"


def withdraw(session: WriteSession, row: VideoRow) -> None:
    """Remove a video's row; of one that is published, record that it is taken back.

    Feeds leave out a video only if its snapshot has none of it or this record shows that it was withdrawn.

    Args:
        session: the transaction.
        row: the video, read in this transaction; its files are not touched.
    """
    if row.status == "published":
        opening = secrets.token_bytes(OPENING_SIZE)
        commitment = commit(KIND, opening, withdrawal_digest(row.video_id))
        session.add(WithdrawnVideoRow(video_id=row.video_id, commitment=commitment, opening=opening))
        enqueue(session, VideoWithdrawn(at=minute_s(), commitment=commitment.hex()))
    session.execute(delete(VideoCountRow).where(VideoCountRow.video_id == row.video_id))
    session.delete(row)


def withdrawals_for_replay(session: ReadSession, commitments: list[bytes]) -> list[dict[str, Any]]:
    """Return what opens those of `commitments` that are withdrawals here, as the clean room reads it."""
    rows = session.scalars(select(WithdrawnVideoRow).where(WithdrawnVideoRow.commitment.in_(commitments)))
    return [
        {"commitment": row.commitment.hex(), "video": row.video_id, "opening": row.opening.hex()}
        for row in rows
    ]
