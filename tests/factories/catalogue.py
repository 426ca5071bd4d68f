"""Puts published videos of a few tastes into a cell, and trains and sequences until they serve."""

from contextlib import closing

from lightwell.base.clock import now_ms
from lightwell.ledger.sequencer import Sequencer
from lightwell.product.feed.tasks import Trainer
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.residency.cell import Cell

TASTES = ("folds", "harbour", "kitchen", "signals")


def video_id(number: int) -> str:
    """Return the id of the catalogue's video of this number."""
    return f"{number + 1:016x}"


def publish_catalogue(cell: Cell, count: int = 24) -> list[str]:
    """Insert `count` published videos and make them servable; return their ids, by number."""
    ids = insert_catalogue(cell, count)
    make_servable(cell)
    return ids


def insert_catalogue(cell: Cell, count: int) -> list[str]:
    """Insert `count` published videos, `TASTES` in turn; return their ids, by number."""
    with cell.database.write() as session:
        for number in range(count):
            taste = TASTES[number % len(TASTES)]
            session.add(
                VideoRow(
                    video_id=video_id(number),
                    account_id=None,
                    upload_id=None,
                    status="published",
                    publish=True,
                    created_at=now_ms(),
                    origin_cell=cell.settings.cell,
                    creator_handle=f"{taste}.{number // len(TASTES) % 2}",
                    creator_name=taste.title(),
                    caption=f"{taste} {number}",
                    hashtags=[taste],
                    sound_id=f"{number % 3:016x}",
                    sound_title=f"Sound {number % 3}",
                    sound_artist="tessel",
                    duration_ms=8000,
                    width=720,
                    height=1280,
                    media={},
                    published_at=now_ms() - number * 60_000,
                )
            )
        session.flush()
        session.add_all(VideoCountRow(video_id=video_id(number)) for number in range(count))
    return [video_id(number) for number in range(count)]


def make_servable(cell: Cell) -> None:
    """Train on what there is and integrate everything that waits, as the worker does."""
    Trainer(cell).publish_if_changed()
    sequence(cell)


def sequence(cell: Cell) -> None:
    """Integrate every queued entry, as the worker does."""
    # Closed, so that the next call need not wait for the lease of this one to end.
    with closing(Sequencer(cell.settings, cell.database, cell.vault.signing_key("ledger"))) as sequencer:
        sequencer.run_once()
