"""Fills a cell's tables with a made catalogue and made viewers, as signing up and publishing would have.

Rows go in through the driver, in the order of their keys; every protected field is sealed under its account's
own key, and every session's token is indexed as `sign_up` does.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert

from bench.made_catalogue import LIKE, WATCH_DECILES, made_arrays, made_ranker
from lightwell.base.clock import fresh_id, now_ms, now_s
from lightwell.product import social
from lightwell.product.accounts import AccountRow, SessionRow
from lightwell.product.feed.training import Trained
from lightwell.product.feed.training_deploy import deploy_model, roll_back
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.recommender.features import FEATURES
from lightwell.recommender.snapshot import encode_parts
from lightwell.residency.cell import Cell

_AT_ONCE = 5_000
_SEALED = ("password", "email", "birthday", "sign_in_ip", "device")


def make_cell(folder: Path, videos: int, viewers: int, events: int) -> list[str]:
    """Fill the cell in `folder` and have it serve a made base; return the tokens of signed-in viewers.

    Args:
        folder: of a cell that was laid out and is not running.
        videos, viewers: how many.
        events: how many videos each viewer has watched.
    """
    cell = Cell.open(folder, process="bench")
    try:
        arrays = made_arrays(videos)
        insert_videos(cell, arrays)
        tokens = insert_viewers(cell, arrays, viewers, events)
        deploy_made(cell, arrays)
        with cell.database.engine.connect() as connection:
            # What bulk loading left in the write-ahead log, and for the disk to do, is no part of what
            # serving costs.
            if cell.database.is_sqlite:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        os.sync()
    finally:
        cell.close()
    return tokens


def deploy_made(cell: Cell, arrays: dict[str, Any]) -> str:
    """Let a base file of these arrays serve, and stay: no training takes its place; return its digest."""
    file = cell.settings.path("made-base")
    whole = hashlib.sha256()
    with file.open("wb") as out:
        for part in encode_parts(
            now_s() // 60, arrays, ranker=made_ranker(len(FEATURES)), features=len(FEATURES)
        ):
            whole.update(part)
            out.write(part)
    nothing = hashlib.sha256(b"").hexdigest()
    videos = len(arrays["ids"])
    made = Trained(whole.hexdigest(), nothing, nothing, nothing, videos, b"{}", b"Made for a measure.\n")
    deploy_model(cell, made, file)
    file.unlink()
    return roll_back(cell, made.snapshot)


def insert_videos(cell: Cell, arrays: dict[str, Any]) -> None:
    """Write a published row and its counts for every video of the arrays."""
    now = now_ms()
    makers, sounds, tags = arrays["creators"], arrays["sounds"], arrays["tags"]
    size = arrays["ids"].size
    for first in range(0, size, _AT_ONCE):
        rows, counts = [], []
        for at in range(first, min(first + _AT_ONCE, size)):
            video_id = f"{int(arrays['ids'][at]):016x}"
            handle = makers[int(arrays["creator"][at])].partition(":")[2]
            own = arrays["tag"][arrays["tag_starts"][at] : arrays["tag_starts"][at + 1]]
            hashtags = [tags[int(tag)] for tag in own]
            rows.append(
                {
                    "video_id": video_id,
                    "status": "published",
                    "publish": True,
                    "created_at": now,
                    "origin_cell": cell.settings.cell,
                    "creator_handle": handle,
                    "creator_name": handle.title(),
                    "caption": f"number {at} of many #" + " #".join(hashtags),
                    "hashtags": hashtags,
                    "sound_id": sounds[int(arrays["sound"][at])],
                    "sound_title": f"Sound {int(arrays['sound'][at])}",
                    "sound_artist": "tessel",
                    "duration_ms": int(arrays["duration"][at]),
                    "width": 720,
                    "height": 1280,
                    "media": {},
                    "published_at": int(arrays["published"][at]) * 1000,
                }
            )
            counts.append(
                {
                    "video_id": video_id,
                    "views": int(arrays["views"][at]),
                    "likes": int(arrays["likes"][at]),
                    "shares": int(arrays["shares"][at]),
                }
            )
        with cell.database.write() as session:
            session.connection().execute(insert(VideoRow.__table__), rows)  # type: ignore[arg-type]
            session.connection().execute(insert(VideoCountRow.__table__), counts)  # type: ignore[arg-type]


def insert_viewers(cell: Cell, arrays: dict[str, Any], viewers: int, events: int, seed: int = 3) -> list[str]:
    """Write accounts that are signed in and have watched; return the tokens of their sessions.

    Args:
        cell: where.
        arrays: the catalogue's.
        viewers: how many accounts.
        events: how many videos each has watched, each once.
        seed: of the draws of what was watched; keys and tokens are fresh.
    """
    draw = np.random.default_rng(seed)
    tastes = Tastes(arrays, draw)
    tokens: list[str] = []
    account_ids = sorted(fresh_id() for _ in range(viewers))
    for first in range(0, viewers, _AT_ONCE):
        some = account_ids[first : first + _AT_ONCE]
        with cell.database.write() as session:
            connection = session.connection()
            cell.vault.new_account_keys(session, some)
            rows = [_account(cell, session, one) for one in some]
            connection.execute(insert(AccountRow.__table__), rows)  # type: ignore[arg-type]
            signed_in = [_signed_in(cell, one) for one in some]
            connection.execute(insert(SessionRow.__table__), [row for _, row in signed_in])  # type: ignore[arg-type]
            tokens += [token for token, _ in signed_in]
            folds = [
                (one, 0, social.Fold(state=state))
                for one, state in zip(some, tastes.states(len(some), events), strict=True)
            ]
            social.store_folds(cell, session, folds)
        cell.vault.forget()
    return tokens


class Tastes:
    """Draws what viewers have watched: mostly popular videos of three topics each, the rest from all."""

    def __init__(self, arrays: dict[str, Any], draw: np.random.Generator) -> None:
        self._draw = draw
        self._ids = arrays["ids"]
        topic: NDArray[np.int64] = arrays["topic"]
        self._members = np.lexsort((-arrays["views"], topic))
        self._starts = topic[self._members].searchsorted(np.arange(int(topic.max()) + 2))
        self._popular = np.argsort(-arrays["views"], kind="stable")

    def watched(self, viewers: int, events: int) -> NDArray[np.int64]:
        """Return positions of videos, shape (viewers, events); a viewer may have one twice."""
        draw, topics = self._draw, self._starts.size - 1
        liked = draw.integers(0, topics, (viewers, 3))
        topic = liked[np.arange(viewers)[:, None], draw.integers(0, 3, (viewers, events))]
        among = self._starts[topic + 1] - self._starts[topic]
        place = draw.random((viewers, events))
        by_taste = self._members[self._starts[topic] + (place**3 * among).astype(np.int64)]
        by_fame = self._popular[(place**4 * self._popular.size).astype(np.int64)]
        return np.where(draw.random((viewers, events)) < 0.7, by_taste, by_fame)

    def states(self, viewers: int, events: int) -> Iterator[social.ViewerState]:
        """Yield the state of so many viewers who watched so many videos each."""
        draw = self._draw
        watched = self._ids[self.watched(viewers, events)]
        share = np.interp(draw.random((viewers, events)), np.linspace(0, 1, 11), WATCH_DECILES)
        strength = (share * 255).astype(np.int64)
        likes = draw.random((viewers, events)) < LIKE
        for row, strengths, is_liked in zip(watched.tolist(), strength.tolist(), likes.tolist(), strict=True):
            names = [f"{video:016x}" for video in row]
            yield social.ViewerState(
                watched=dict(zip(names, strengths, strict=True)),
                seen=dict.fromkeys(names),
                likes=dict.fromkeys(name for name, one in zip(names, is_liked, strict=True) if one),
                events=events,
            )


def _account(cell: Cell, session: Any, account_id: str) -> dict[str, Any]:
    email = f"{account_id}@example.org"
    sealed = {
        column: cell.vault.seal(
            session,
            account_id,
            "accounts",
            column,
            account_id,
            b"1994-05-17" if column == "birthday" else email.encode(),
        )
        for column in _SEALED
    }
    return {
        "account_id": account_id,
        "handle": f"v{account_id}",
        "display_name": "A viewer",
        "created_at": now_ms(),
        "email_index": cell.vault.blind_index("accounts.email", email),
        **sealed,
    }


def _signed_in(cell: Cell, account_id: str) -> tuple[str, dict[str, Any]]:
    token = secrets.token_urlsafe(32)
    index = cell.vault.blind_index("sessions.token", token)
    return token, {"token_index": index, "account_id": account_id, "expires_at": now_ms() + 86_400_000}
