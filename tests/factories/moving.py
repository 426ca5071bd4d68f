"""Three people kept in a cell abroad, and what it means that they have come home."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from lightwell.agreement import moving
from lightwell.product import social
from lightwell.product.accounts import AccountRow, by_handle, own_details, sign_in
from lightwell.product.accounts.service import Credentials
from lightwell.product.moving import Migration, MovedRow
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.product.videos.media import FILES
from lightwell.residency.cell import Cell
from lightwell.residency.keys_models import AccountKey
from tests.factories.two_cells import PASSWORD, found_pair, live, publish, watch

VIDEO = "00000000000f00d0"


def found_three(
    folder: Path, target_url: str, source_url: str = "sqlite:///cell.db"
) -> Iterator[tuple[Cell, Cell]]:
    """Found both cells with three people in the first: one publishes, one watches, one does nothing."""
    source, target = found_pair(folder, source_url, target_url)
    mira, noor = live(source, "mira.folds"), live(source, "noor.waits")
    live(source, "otis")
    publish(source, mira, "mira.folds", VIDEO)
    watch(
        source,
        noor,
        social.Event(secrets.token_hex(16), "watch", VIDEO, 7000),
        social.Event(secrets.token_hex(16), "follow", VIDEO),
    )
    yield source, target
    source.close()
    target.close()


def move(pair: tuple[Cell, Cell], handles: list[str] | None = None) -> tuple[Migration, moving.Certificate]:
    """Move everybody, or those named."""
    migration = Migration(*pair, "us", pause_seconds=0)
    return migration, migration.run(handles)


def count(cell: Cell, model: Any) -> int:
    """Count the rows of a model."""
    with cell.database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def arrived(source: Cell, target: Cell) -> None:
    """Everything of the three is in the target, once, and opens there."""
    account, _ = sign_in(target, Credentials("mira.folds", PASSWORD), "127.0.0.1")
    with target.database.read() as session:
        details = own_details(target, session, account)
        assert details["email"] == "mira.folds@canary-post.example"
        assert details["address"] == "12 mira.folds Canary Row"
        noor = by_handle(session, "noor.waits")
        assert noor is not None
        state = social.viewer_state(target, session, noor.account_id)
        assert list(state.watched) == [VIDEO]
        # Followed as somebody of the source; she is of the target now.
        assert list(state.follows) == ["us:mira.folds"]
        assert state.events == 2
        video = session.get_one(VideoRow, VIDEO)
        assert (video.origin_cell, video.account_id) == ("us", account.account_id)
        counts = session.get_one(VideoCountRow, VIDEO)
        assert (counts.views, counts.likes, counts.shares) >= (30, 20, 10)
    for name in FILES:
        assert target.objects.get(f"videos/{VIDEO}/{name}") == f"film of mira.folds {name}".encode()
    assert count(target, AccountRow) == 3
    assert count(source, AccountRow) == 0
    assert count(source, AccountKey) == 0
    assert count(source, VideoRow) == 0
    assert not list(source.objects.list("videos"))
    assert not list(source.objects.list("drafts"))
    assert count(target, MovedRow) == 0
