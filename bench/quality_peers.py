"""The peers of the quality measure, run in their own environment: they read views and write recommendations.

Usage: quality_peers.py FOLDER K. FOLDER has views.parquet (user, item, long, minute) and asked.parquet
(user); each peer writes NAME.parquet (user, rank, item), without items that the user has viewed.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

WEAK = 0.6
RIDGE = 200.0
HALF_LIFE_MINUTES = 1440.0
CHUNK = 1024


class Views:
    """What users viewed, as matrices over known users and items."""

    def __init__(self, folder: Path) -> None:
        views = pl.read_parquet(folder / "views.parquet")
        self.users, user = np.unique(views["user"].to_numpy(), return_inverse=True)
        self.items, item = np.unique(views["item"].to_numpy(), return_inverse=True)
        self.asked = pl.read_parquet(folder / "asked.parquet")["user"].to_numpy()
        self.rows = np.searchsorted(self.users, self.asked)
        self.rows[self.rows == self.users.size] = 0
        self.is_known = self.users[self.rows] == self.asked
        long = views["long"].to_numpy()
        self.minute, self.long_item = views["minute"].to_numpy()[long], item[long]
        self.frame = pl.DataFrame({"user": user, "item": item, "long": long, "minute": views["minute"]})
        self.seen = self._table(user, item)
        self.long = self._table(user[long], item[long])

    def _table(self, user: Any, item: Any) -> Any:
        shape = (self.users.size, self.items.size)
        table = sparse.csr_matrix((np.ones(user.size, dtype=np.float32), (user, item)), shape=shape)
        table.data[:] = 1
        return table

    def of(self, table: Any, rows: Any, known: Any) -> Any:
        """The rows of a table for those asked, empty for users of whom nothing is known."""
        return sparse.diags(known.astype(np.float32)) @ table[rows]

    def recommend(self, k: int, score: Callable[[Any, Any], Any]) -> Iterator[tuple[int, int, int]]:
        """The best unseen items of each user by `score(rows, known)`."""
        for start in range(0, self.asked.size, CHUNK):
            part = slice(start, start + CHUNK)
            rows, known = self.rows[part], self.is_known[part]
            scores = np.array(score(rows, known), dtype=np.float32)
            seen = self.of(self.seen, rows, known).tocoo()
            scores[seen.row, seen.col] = -np.inf
            best = np.argpartition(-scores, min(k, scores.shape[1] - 1), axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
            for user, places in zip(self.asked[part], np.take_along_axis(best, order, 1), strict=True):
                for rank, at in enumerate(places, 1):
                    yield int(user), rank, int(self.items[at])


def popularity(views: Views) -> Callable[[Any, Any], Any]:
    age = views.minute.max() - views.minute
    counts = np.bincount(views.long_item, 0.5 ** (age / HALF_LIFE_MINUTES), minlength=views.items.size)
    return lambda rows, _known: np.tile(counts, (rows.size, 1))


def ease(views: Views, table: Any) -> Callable[[Any, Any], Any]:
    shared = (table.T @ table).toarray().astype(np.float64)
    shared[np.diag_indices_from(shared)] += RIDGE
    inverse = np.linalg.inv(shared)
    weights = (inverse / -np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return lambda rows, known: views.of(table, rows, known) @ weights


def ials(views: Views) -> Callable[[Any, Any], Any]:
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=64, regularization=0.1, alpha=10.0, iterations=15, num_threads=1, random_state=1
    )
    model.fit(views.long, show_progress=False)
    return lambda rows, known: (model.user_factors[rows] * known[:, None]) @ model.item_factors.T


def by_rectools(views: Views, k: int, model: Any) -> Iterator[tuple[int, int, int]]:
    import pandas
    from rectools import Columns
    from rectools.dataset import Dataset

    long = views.frame.filter(pl.col("long")).unique(["user", "item"], maintain_order=True)
    rows = pandas.DataFrame({Columns.User: long["user"].to_numpy(), Columns.Item: long["item"].to_numpy()})
    rows[Columns.Weight] = 1.0
    rows[Columns.Datetime] = "2022-01-01"
    data = Dataset.construct(rows[[Columns.User, Columns.Item, Columns.Weight, Columns.Datetime]])
    model.fit(data)
    warm = np.intersect1d(views.rows[views.is_known], np.unique(rows[Columns.User]))
    # It leaves out what was watched long; what was only shown is left out here.
    most = int(views.seen.sum(axis=1).max())
    found = model.recommend(users=warm, dataset=data, k=k + most, filter_viewed=True)
    users, items = found[Columns.User].to_numpy(), found[Columns.Item].to_numpy()
    unseen = np.asarray(views.seen[users, items]).ravel() == 0
    rank: dict[int, int] = {}
    for user, item in zip(users[unseen].tolist(), items[unseen].tolist(), strict=True):
        rank[user] = rank.get(user, 0) + 1
        if rank[user] <= k:
            yield int(views.users[user]), rank[user], int(views.items[item])


def main() -> None:
    folder, k = Path(sys.argv[1]), int(sys.argv[2])
    views = Views(folder)
    weak = (views.long * (1 - WEAK) + views.seen * WEAK).tocsr()
    peers: dict[str, Callable[[], Iterator[tuple[int, int, int]]]] = {
        "popularity-24h": lambda: views.recommend(k, popularity(views)),
        "implicit-ials": lambda: views.recommend(k, ials(views)),
        "ease": lambda: views.recommend(k, ease(views, views.long)),
        "ease-weak": lambda: views.recommend(k, ease(views, weak)),
        "rectools-ease": lambda: _rectools("EASEModel", views, k, regularization=200.0),
    }
    for name, run in peers.items():
        try:
            rows = list(run())
        except Exception as error:  # noqa: BLE001 - a peer that fails is named, the others go on
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
            continue
        table = pl.DataFrame(
            rows, schema={"user": pl.Int64, "rank": pl.Int32, "item": pl.Int64}, orient="row"
        )
        table.write_parquet(folder / f"{name}.parquet")


def _rectools(name: str, views: Views, k: int, **options: Any) -> Iterator[tuple[int, int, int]]:
    from rectools import models

    return by_rectools(views, k, getattr(models, name)(**options))


if __name__ == "__main__":
    main()
