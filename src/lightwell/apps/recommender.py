"""`lightwell recommender`: backtest the serving path on real viewing, score impressions, import viewing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lightwell.apps.ledger_options import AsJson, ending_cleanly
from lightwell.recommender.record import MOST_PLACES

if TYPE_CHECKING:
    from lightwell.apps import recommender_backtest as backtesting
    from lightwell.apps.kuairand import Viewing
    from lightwell.recommender.fit.model import Step

app = typer.Typer(help="Measure and feed the recommender.", no_args_is_help=True)
import_app = typer.Typer(help="Load real viewing into a cell.", no_args_is_help=True)
app.add_typer(import_app, name="import")

Data = Annotated[Path, typer.Option("--data", help="Folder of history-, exposures- and videos .parquet.")]
Until = Annotated[int, typer.Option("--until", help="Milliseconds since 1970: nothing later is known.")]
ModelUntil = Annotated[
    int | None, typer.Option("--model-until", help="The same for graph and trees; counters may be newer.")
]
Out = Annotated[Path, typer.Option("--out", help="The Parquet file to write.")]
K = Annotated[int, typer.Option("--k", min=1, max=MOST_PLACES, help="Videos for each user.")]


@app.command()
def backtest(
    data: Data, until: Until, out: Out, k: K = 20, model_until: ModelUntil = None, as_json: AsJson = False
) -> None:
    """Rank for every user at one moment, by the path that serves feeds, and write user_id, rank, video_id.

    Ranks begin at 1. Videos that the user has seen are left out. Needs about 3 GiB of memory.

    JSON: users, rows, videos, until, snapshot (digest), examples (by outcome: rows, positives), seconds.
    """
    import numpy as np
    import polars as pl

    from lightwell.apps import recommender_backtest as backtesting

    with ending_cleanly():
        begun = time.monotonic()
        _writable(out)
        with _showing() as step:
            fitted, viewing = _fit(data, until, model_until, step)
            rows: list[tuple[int, int, int]] = []
            now = np.full(viewing.users.size, viewing.minute, dtype=np.int64)
            ranked = backtesting.recommend(fitted, viewing.users, k, now)
            for done, (user, places) in enumerate(ranked):
                if done % 64 == 0:
                    step("ranking", done, viewing.users.size)
                rows += [(user, rank, int(viewing.videos[at])) for rank, at in enumerate(places, 1)]
        table = pl.DataFrame(
            rows, schema={"user_id": pl.Int64, "rank": pl.Int32, "video_id": pl.Int64}, orient="row"
        )
        table.write_parquet(out)
        said = {
            "users": int(viewing.users.size), "rows": table.height, "videos": int(viewing.videos.size),
            "until": until, "snapshot": fitted.snapshot.digest,
            "examples": fitted.model.examples, "seconds": round(time.monotonic() - begun, 1),
        }  # fmt: skip
        _say(said, as_json, f"{said['rows']} rows for {said['users']} users in {out}, {said['seconds']} s")


@app.command()
def score(
    data: Data,
    until: Until,
    impressions: Annotated[Path, typer.Option("--impressions", help="Parquet file of what to score.")],
    out: Out,
    model_until: ModelUntil = None,
    as_json: AsJson = False,
) -> None:
    """Score impressions by how likely each is watched long, and write them with a column `score`.

    The file has user_id, video_id, time_ms, tab and duration_ms; the rows stay in their order. The
    score is in 1/1024 log-odds, from the trees that serve feeds.

    JSON: impressions, until, snapshot (digest), examples (by outcome: rows, positives), seconds.
    """
    import numpy as np
    import polars as pl

    from lightwell.apps import kuairand
    from lightwell.apps import recommender_backtest as backtesting

    with ending_cleanly():
        begun = time.monotonic()
        _writable(out)
        asked = kuairand.impressions(impressions)
        with _showing() as step:
            fitted, viewing = _fit(data, until, model_until, step)
            column = {name: asked[name].fill_null(0).to_numpy().astype(np.int64) for name in asked.columns}
            if asked.height and not 0 <= int(column["tab"].min()) <= int(column["tab"].max()) <= 127:
                raise kuairand.DataError(f"{impressions}: a tab is not in 0..127")
            if asked.height and int(column["time_ms"].min()) < 0:
                raise kuairand.DataError(f"{impressions}: a time is before 1970")
            scores = backtesting.score_long(
                fitted, column["user_id"], viewing.place(column["video_id"]),
                column["time_ms"] // kuairand.MINUTE_MS, column["tab"], viewing.minute, step,
            )  # fmt: skip
        asked.with_columns(pl.Series("score", scores)).write_parquet(out)
        said = {
            "impressions": asked.height, "until": until, "snapshot": fitted.snapshot.digest,
            "examples": fitted.model.examples, "seconds": round(time.monotonic() - begun, 1),
        }  # fmt: skip
        _say(said, as_json, f"{asked.height} impressions scored in {out}, {said['seconds']} s")


@import_app.command("kuairand")
def import_kuairand(
    folder: Annotated[Path, typer.Argument(help="Folder of history-, exposures- and videos .parquet.")],
    cell: Annotated[Path, typer.Option("--cell", help="The folder of the cell.")],
    viewers: Annotated[
        int, typer.Option(min=1, max=100_000, help="Accounts to make, the busiest users.")
    ] = 1_000,
    as_json: AsJson = False,
) -> None:
    """Load videos, viewers and what they watched into a cell, so that it trains on real viewing.

    Videos come as public metadata without media: the data has none. Times are moved so that the last
    exposure is now. Running it twice adds nothing.

    JSON: videos, accounts, events.
    """
    from lightwell.apps.recommender_import import import_viewing

    with ending_cleanly(), _showing() as step:
        counts = import_viewing(folder, cell, viewers, step)
    _say(dict(counts), as_json, ", ".join(f"{count} {what}" for what, count in counts.items()))


def _fit(data: Path, until: int, model_until: int | None, step: Step) -> tuple[backtesting.Fitted, Viewing]:
    from lightwell.apps import kuairand
    from lightwell.apps import recommender_backtest as backtesting
    from lightwell.recommender.fit.model import ModelSettings

    if model_until is not None and model_until > until:
        raise kuairand.DataError("--model-until is after --until")
    step("reading", 0, 1)
    viewing = kuairand.load(data, until)
    step("compiling", 0, 1)
    backtesting.warm()
    return backtesting.fit(viewing, ModelSettings(), step, model_until), viewing


def _writable(out: Path) -> None:
    """Refuse, before any work, a file that cannot be written.

    Raises:
        ValueError: its folder does not exist, or it is a folder.
    """
    if out.is_dir():
        raise ValueError(f"{out}: is a folder")
    if not out.absolute().parent.is_dir():
        raise ValueError(f"{out.parent}: no such folder")


@contextmanager
def _showing() -> Iterator[Step]:
    """Show each kind of work with a bar, on a terminal; elsewhere show nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    if not console.is_terminal:
        yield lambda _what, _done, _total: None
        return
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        current = ""

        def step(what: str, done: int, total: int) -> None:
            nonlocal current
            if what != current:
                current = what
                progress.reset(task, description=what)
            # One step of one is work whose end is not foreseen.
            progress.update(task, completed=done, total=None if total == 1 else total)

        yield step


def _say(said: dict[str, Any], as_json: bool, text: str) -> None:
    typer.echo(json.dumps(said) if as_json else text)
