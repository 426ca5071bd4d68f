"""Real viewing loaded into a cell: videos as from another cell, viewers as accounts, views at their times."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import select

from lightwell.apps.kuairand import MINUTE_MS, ORIGIN, Viewing, load_all
from lightwell.base.clock import now_ms
from lightwell.product import accounts, social
from lightwell.product.accounts.service import SignUp
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.recommender.happened import KINDS
from lightwell.residency.cell import Cell

Step = Callable[[str, int, int], None]

_AT_ONCE: Final = 1_000


def import_viewing(folder: Path, into: Path, viewers: int, step: Step) -> dict[str, int]:
    """Load a folder of viewing into a cell that is not running.

    Times are moved so that the last exposure was at the first import; importing again adds nothing.

    Args:
        folder: as `kuairand.load`.
        into: the folder of the cell.
        viewers: how many accounts to have, of the users with the most views.
        step: told what is done, and how far it is.

    Returns:
        How many videos, accounts and events were added.

    Raises:
        DataError: the folder is not such data. CellError: the cell cannot be opened.
    """
    step("reading", 0, 1)
    viewing = load_all(folder)
    cell = Cell.open(into, process="import")
    try:
        shift = _shift(cell, viewing)
        videos = _add_videos(cell, viewing, shift, step)
        users, counts = np.unique(viewing.events["viewer"], return_counts=True)
        busiest = users[np.lexsort((users, -counts))][:viewers].tolist()
        added = [0, 0]
        for done, user in enumerate(busiest):
            step("viewers", done, len(busiest))
            account_id, is_new = _account(cell, int(user))
            added[0] += is_new
            added[1] += _add_events(cell, viewing, int(user), account_id, shift)
    finally:
        cell.close()
    return {"videos": videos, "accounts": added[0], "events": added[1]}


def _shift(cell: Cell, viewing: Viewing) -> int:
    """Milliseconds that all times move by: those of an earlier import if there was one."""
    with cell.database.read() as session:
        rows = select(VideoRow.video_id, VideoRow.published_at).where(VideoRow.origin_cell == ORIGIN)
        before = session.execute(rows.limit(1)).first()
    if before is not None and before.published_at is not None:
        at = int(viewing.ids.searchsorted(np.uint64(int(before.video_id, 16))))
        if at < viewing.ids.size and viewing.facts[at].id == before.video_id:
            return int(before.published_at) - viewing.facts[at].published * 1000
    return now_ms() - viewing.until


def _add_videos(cell: Cell, viewing: Viewing, shift: int, step: Step) -> int:
    added = 0
    for start in range(0, len(viewing.facts), _AT_ONCE):
        step("videos", start, len(viewing.facts))
        part = viewing.facts[start : start + _AT_ONCE]
        with cell.database.write() as session:
            ids = [fact.id for fact in part]
            known = set(session.scalars(select(VideoRow.video_id).where(VideoRow.video_id.in_(ids))))
            new = [fact for fact in part if fact.id not in known]
            for fact in new:
                maker = fact.creator.split(":", 1)[1]
                session.add(
                    VideoRow(
                        video_id=fact.id,
                        account_id=None,
                        upload_id=None,
                        status="published",
                        publish=True,
                        created_at=now_ms(),
                        origin_cell=ORIGIN,
                        creator_handle=maker,
                        creator_name=maker,
                        caption=" ".join(f"#topic{tag}" for tag in fact.tags),
                        hashtags=[f"topic{tag}" for tag in fact.tags],
                        duration_ms=fact.duration,
                        media={},
                        published_at=fact.published * 1000 + shift,
                    )
                )
            session.flush()
            session.add_all(VideoCountRow(video_id=fact.id, views=0, likes=0, shares=0) for fact in new)
            added += len(new)
    return added


def _account(cell: Cell, user: int) -> tuple[str, bool]:
    """The account of a user, made if there is none; its password is known to nobody."""
    handle = f"viewer{user}"
    with cell.database.read() as session:
        known = accounts.by_handle(session, handle)
    if known is not None:
        return known.account_id, False
    form = SignUp(
        handle=handle,
        password=secrets.token_urlsafe(24),
        display_name=f"Viewer {user}",
        email=f"{handle}@kuairand.example",
        birthday="1990-01-01",
    )
    account, _ = accounts.sign_up(cell, form, "192.0.2.1", "import")
    return account.account_id, True


def _add_events(cell: Cell, viewing: Viewing, user: int, account_id: str, shift: int) -> int:
    mine = np.flatnonzero(viewing.events["viewer"] == user)
    mine = mine[np.argsort(viewing.events["minute"][mine], kind="stable")]
    events = []
    for place, at in enumerate(mine.tolist()):
        event, fact = viewing.events[at], viewing.facts[int(viewing.at[at])]
        strength = int(event["strength"])
        # Milliseconds tell apart what the data says of one minute, in its order.
        when = int(event["minute"]) * MINUTE_MS + place + shift
        watched = strength * fact.duration // 255
        kind = KINDS[int(event["kind"])]
        events.append(social.StoredEvent(kind, fact.id, fact.creator, strength, watched, when))
    with cell.database.write() as session:
        return social.import_past(cell, session, account_id, events)
