"""Real viewing in the format of KuaiRand, read from a folder of Parquet files and checked before use."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.happened import EVENT, Events, number_of
from lightwell.recommender.integers import Ints

MINUTE_MS: Final = 60_000
ORIGIN: Final = "kuairand"
"""The cell that its videos are said to come from."""
LONG, PARTLY, SKIPPED = 255, 100, 20
"""Strengths that stand for what the data says of a watch: long, neither, left at once."""

_SKIP_MS: Final = 2_000
_HISTORY_DAYS: Final = 30
_MOST_PAGES: Final = 128
_LATEST_DAYS: Final = 31
_HISTORY: Final = ("user_id", "watch_seq", "like_seq", "long_watch_seq")
_EXPOSURES: Final = (
    "user_id", "video_id", "time_ms", "tab", "play_time_ms", "duration_ms",
    "is_like", "is_follow", "is_forward", "is_hate", "long_view",
)  # fmt: skip
_VIDEOS: Final = ("video_id", "author_id", "upload_dt", "video_duration", "music_id", "tag")


class DataError(ValueError):
    """A folder that is not such data: a file or a column is missing, or a value makes no sense."""


@dataclass(frozen=True)
class Viewing:
    """What happened before a time, in the recommender's own terms.

    Attributes:
        until: milliseconds since 1970 before which everything happened.
        users: every user of the folder, ascending, whether or not anything is known of them.
        videos: every video, ascending; `ids` are theirs in the recommender, in the same order.
        facts: the catalogue.
        events: what happened, in order; viewers are user ids. at: position of each event's video.
        tab: number of the page of each.
    """

    until: int
    users: Ints
    videos: Ints
    ids: NDArray[np.uint64]
    facts: list[VideoFact]
    events: Events
    at: Ints
    tab: Ints

    @property
    def minute(self) -> int:
        """Whole minutes since 1970 at which all of it has happened."""
        return -(-self.until // MINUTE_MS)

    def place(self, videos: Ints) -> Ints:
        """Positions of video ids of the data, -1 for those that are not in it."""
        at = np.minimum(self.videos.searchsorted(videos), max(self.videos.size - 1, 0))
        return np.where(self.videos[at] == videos, at, -1)


def load(folder: Path, until: int) -> Viewing:
    """Read what had happened before a time.

    Args:
        folder: with history-*.parquet, exposures-*.parquet and videos.parquet; users.parquet if there is one.
        until: milliseconds since 1970; exposures at or after it are not looked at.

    Raises:
        DataError: something is missing, or `until` is not within the exposures or the month after.
    """
    exposures = _read(folder, "exposures-*.parquet", _EXPOSURES)
    history = _read(folder, "history-*.parquet", _HISTORY)
    videos = _read(folder, "videos.parquet", _VIDEOS)
    first, last = _span(exposures)
    if not first < until <= last + _LATEST_DAYS * 24 * 60 * MINUTE_MS:
        raise DataError(
            f"until: {until} is not in {first + 1}..{last + _LATEST_DAYS * 24 * 60 * MINUTE_MS}, "
            "the times of the exposures and the month after"
        )
    users = [exposures["user_id"], history["user_id"]]
    if (folder / "users.parquet").exists():
        users.append(_read(folder, "users.parquet", ("user_id",))["user_id"])
    known = exposures.filter(pl.col("time_ms") < until).sort("time_ms", maintain_order=True)
    rows = [*_of_history(history, first), *_of_exposures(known)]
    events = np.concatenate([row[0] for row in rows])
    numbers = np.unique(np.concatenate([_ints(videos["video_id"]), events["video"].astype(np.int64)]))
    facts = _facts(numbers, videos, known)
    if numbers.size and numbers[0] < 0:
        raise DataError("videos: a video id is negative")
    at = numbers.searchsorted(events["video"].astype(np.int64))
    events["video"] += 1
    return Viewing(
        until=until,
        users=np.unique(np.concatenate([_ints(column) for column in users])),
        videos=numbers,
        ids=(numbers + 1).astype(np.uint64),
        facts=facts,
        events=events,
        at=at,
        tab=np.concatenate([row[1] for row in rows]),
    )


def load_all(folder: Path) -> Viewing:
    """Read all that happened.

    Raises:
        DataError: as `load`.
    """
    return load(folder, _span(_read(folder, "exposures-*.parquet", _EXPOSURES))[1] + 1)


def impressions(path: Path) -> pl.DataFrame:
    """Read the impressions that wait for a score: user_id, video_id, time_ms, tab, duration_ms.

    Raises:
        DataError: it is not such a file.
    """
    return _columns(path, ("user_id", "video_id", "time_ms", "tab", "duration_ms"))


def _read(folder: Path, pattern: str, columns: tuple[str, ...]) -> pl.DataFrame:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise DataError(f"{folder}: no {pattern} in it")
    return pl.concat([_columns(path, columns) for path in paths], how="vertical_relaxed")


def _columns(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        found = pl.read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    missing = [name for name in columns if name not in found.columns]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}")
    for name in columns:
        if name.endswith(("_id", "_ms")) and not found[name].dtype.is_integer():
            raise DataError(f"{path}: column {name} holds no whole numbers")
        if name.endswith("_seq") and not isinstance(found[name].dtype, pl.List):
            raise DataError(f"{path}: column {name} holds no lists")
    return found.select(columns)


def _span(exposures: pl.DataFrame) -> tuple[int, int]:
    times = _ints(exposures["time_ms"])
    if not times.size:
        raise DataError("exposures: no rows")
    return int(times.min()), int(times.max())


def _ints(column: pl.Series) -> Ints:
    return column.fill_null(0).to_numpy().astype(np.int64)


def _events(user: Ints, video: Ints, minute: Any, kind: str, strength: Any) -> Events:
    made = np.empty(user.size, dtype=EVENT)
    made["viewer"], made["video"], made["minute"] = user, video, minute
    made["kind"], made["strength"] = number_of(kind), strength
    return made


def _of_history(history: pl.DataFrame, first: int) -> list[tuple[Events, Ints]]:
    """Watches without times: long ones that are only in the list of long ones are the oldest.

    They are taken to lie a month before the first exposure, a minute apart, so that their order stays.
    """
    lists = {name: _flat(history, name) for name in _HISTORY[1:]}
    begin = max(first // MINUTE_MS - _HISTORY_DAYS * 24 * 60, 0)
    made = []
    watched, long = lists["watch_seq"], lists["long_watch_seq"]
    both = np.isin(_pairs(watched), _pairs(long))
    older = ~np.isin(_pairs(long), _pairs(watched))
    for (user, video, place), strength, after in (
        ([column[older] for column in long], np.full(int(older.sum()), LONG), 0),
        (watched, np.where(both, LONG, PARTLY), 1_000),
    ):
        made.append(_events(user, video, begin + after + place, "watch", strength))
    user, video, place = lists["like_seq"]
    made.append(_events(user, video, begin + 1_000 + place, "like", 0))
    return [(part, np.ones(part.size, dtype=np.int64)) for part in made]


def _flat(history: pl.DataFrame, name: str) -> list[Ints]:
    """Columns user, video, place in the list, of one column of lists."""
    flat = (
        history.select("user_id", pl.col(name), pl.int_ranges(pl.col(name).list.len()).alias("place"))
        .filter(pl.col(name).list.len() > 0)
        .explode(name, "place")
    )
    return [_ints(flat[column]) for column in ("user_id", name, "place")]


def _pairs(columns: list[Ints]) -> Ints:
    return columns[0] * (1 << 31) + columns[1]


def _of_exposures(known: pl.DataFrame) -> list[tuple[Events, Ints]]:
    column = {name: _ints(known[name]) for name in _EXPOSURES}
    if known.height and not 0 <= int(column["tab"].min()) <= int(column["tab"].max()) < _MOST_PAGES:
        raise DataError(f"exposures: a tab is not in 0..{_MOST_PAGES - 1}")
    minute = column["time_ms"] // MINUTE_MS
    long = column["long_view"] > 0
    skipped = ~long & (column["play_time_ms"] < _SKIP_MS)
    strength = np.where(long, LONG, np.where(skipped, SKIPPED, PARTLY))
    made = [(_events(column["user_id"], column["video_id"], minute, "watch", strength), column["tab"])]
    for name, kind in (
        ("is_like", "like"),
        ("is_forward", "share"),
        ("is_follow", "follow"),
        ("is_hate", "hide"),
    ):
        so = column[name] > 0
        part = _events(column["user_id"][so], column["video_id"][so], minute[so], kind, 0)
        made.append((part, column["tab"][so]))
    return made


def _facts(numbers: Ints, videos: pl.DataFrame, known: pl.DataFrame) -> list[VideoFact]:
    """One fact a video; a length shown earlier stands in for a missing one."""
    shown = dict(known.group_by("video_id").agg(pl.col("duration_ms").median()).iter_rows())
    said: Mapping[int, dict[str, Any]] = {
        row["video_id"]: row
        for row in videos.with_columns(
            pl.col("upload_dt")
            .cast(pl.String)
            .str.to_datetime("%Y-%m-%d", strict=False)
            .dt.epoch("s")
            .alias("at")
        ).iter_rows(named=True)
    }
    facts = []
    for number in numbers.tolist():
        row = said.get(number, {})
        tags = [tag for tag in str(row.get("tag") or "").split(",") if tag]
        duration = row.get("video_duration") or shown.get(number) or 0
        author, music = row.get("author_id"), row.get("music_id")
        facts.append(
            VideoFact(
                id=f"{number + 1:016x}",
                creator=f"{ORIGIN}:maker{number if author is None else author}",
                sound=None if music is None else str(music),
                tags=tags,
                hour=max(int(row.get("at") or 0) // 3600 - 8, 0),
                duration=min(max(int(duration), 0), 1 << 30) if duration == duration else 0,  # noqa: PLR0124 - NaN
            )
        )
    return facts
