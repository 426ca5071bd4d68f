"""The recommender commands as somebody types them: what they write, and how they end on bad input."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lightwell.apps.cli import main
from lightwell.base.clock import now_ms
from lightwell.product import social
from lightwell.residency.cell import Cell
from tests.factories.cells import found_cell

VIDEOS, USERS, DAYS = 50, 70, 4
DAY_MS = 86_400_000
FIRST = 1_650_816_000_000
UNTIL = FIRST + (DAYS - 1) * DAY_MS


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def make_data(folder: Path, seed: int = 1) -> Path:
    """Viewers of two tastes; each watches long what has their parity."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    rows: list[dict[str, int]] = []
    for day in range(DAYS):
        for user in range(USERS):
            for video in rng.choice(VIDEOS, 6, replace=False).tolist():
                long = int(video % 2 == user % 2 and rng.random() < 0.9)
                at = FIRST + day * DAY_MS + int(rng.integers(DAY_MS))
                rows.append(
                    {
                        "user_id": user, "video_id": video, "time_ms": at, "tab": 1 + user % 2,
                        "play_time_ms": 20_000 if long else 1_000, "duration_ms": 21_000, "is_click": long,
                        "is_like": int(long and rng.random() < 0.2), "is_follow": 0, "is_comment": 0,
                        "is_forward": 0, "is_hate": 0, "long_view": long,
                    }
                )  # fmt: skip
    exposures = pl.DataFrame(rows).sort("time_ms")
    exposures.filter(pl.col("time_ms") < UNTIL).write_parquet(folder / "exposures-1.parquet")
    exposures.filter(pl.col("time_ms") >= UNTIL).write_parquet(folder / "exposures-2.parquet")
    watched = [rng.choice(VIDEOS, 4, replace=False).tolist() for _ in range(USERS)]
    history = {
        "user_id": list(range(USERS)), "watch_seq": watched,
        "like_seq": [one[:1] for one in watched], "long_watch_seq": [one[:2] for one in watched],
    }  # fmt: skip
    pl.DataFrame(history).write_parquet(folder / "history-1.parquet")
    videos = {
        "video_id": list(range(VIDEOS)), "author_id": [n // 3 for n in range(VIDEOS)],
        "upload_dt": ["2022-04-10"] * VIDEOS, "video_duration": [21_000.0, None] * (VIDEOS // 2),
        "music_id": [n // 5 for n in range(VIDEOS)], "tag": [f"{n % 2}" for n in range(VIDEOS)],
    }  # fmt: skip
    pl.DataFrame(videos).write_parquet(folder / "videos.parquet")
    pl.DataFrame({"user_id": [*range(USERS), 900]}).write_parquet(folder / "users.parquet")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("viewing") / "data")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["lightwell", "recommender", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return run


def seen_before(data: Path, until: int) -> set[tuple[int, int]]:
    exposures = pl.concat([pl.read_parquet(path) for path in sorted(data.glob("exposures-*"))])
    pairs = set(exposures.filter(pl.col("time_ms") < until).select("user_id", "video_id").iter_rows())
    for user, *lists in pl.read_parquet(data / "history-1.parquet").iter_rows():
        pairs |= {(user, video) for one in lists for video in one}
    return pairs


def test_backtest_ranks_unseen_videos_for_every_user(run: Any, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "recs.parquet"
    ended = run("backtest", "--data", data, "--until", UNTIL, "--k", 10, "--out", out, "--json")
    assert (ended.code, ended.err) == (0, "")
    said = json.loads(ended.out)
    recs = pl.read_parquet(out)
    assert recs.columns == ["user_id", "rank", "video_id"]
    assert (said["users"], said["rows"], said["until"]) == (USERS + 1, recs.height, UNTIL)
    assert set(said["examples"]) >= {"relevance", "long"}
    assert recs["user_id"].unique().sort().to_list() == [*range(USERS), 900]
    assert (
        recs.unique(["user_id", "video_id"]).height == recs.unique(["user_id", "rank"]).height == recs.height
    )
    assert recs.group_by("user_id").agg(pl.col("rank").max() == pl.len())["rank"].all()
    assert recs["rank"].max() == 10
    assert not set(recs.select("user_id", "video_id").iter_rows()) & seen_before(data, UNTIL)


def test_backtest_finds_what_viewers_of_a_taste_watch_next(run: Any, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "recs.parquet"
    assert run("backtest", "--data", data, "--until", UNTIL, "--k", 5, "--out", out).code == 0
    recs = pl.read_parquet(out).filter(pl.col("user_id") < USERS)
    alike = (recs["user_id"] % 2 == recs["video_id"] % 2).mean()
    assert isinstance(alike, float)
    assert alike > 0.8


def test_what_comes_after_the_time_changes_nothing(run: Any, data: Path, tmp_path: Path) -> None:
    short = tmp_path / "short"
    make_data(short)
    (short / "exposures-2.parquet").unlink()
    for name, folder in (("whole", data), ("short", short)):
        words = ("--data", folder, "--until", UNTIL, "--k", 10, "--out", tmp_path / f"{name}.parquet")
        assert run("backtest", *words).code == 0
    assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "short.parquet").read_bytes()


def test_models_may_be_older_than_the_state(run: Any, data: Path, tmp_path: Path) -> None:
    words = ("--data", data, "--until", UNTIL + DAY_MS // 2, "--k", 10)
    model = ("--model-until", UNTIL)
    told = json.loads(run("backtest", *words, *model, "--out", tmp_path / "a.parquet", "--json").out)
    before = ("--data", data, "--until", UNTIL, "--k", 10, "--out", tmp_path / "b.parquet", "--json")
    assert told["examples"] == json.loads(run("backtest", *before).out)["examples"]
    recs = pl.read_parquet(tmp_path / "a.parquet")
    assert not set(recs.select("user_id", "video_id").iter_rows()) & seen_before(data, UNTIL + DAY_MS // 2)
    ended = run("backtest", *words, "--model-until", UNTIL + DAY_MS, "--out", tmp_path / "a.parquet")
    assert (ended.code, ended.err) == (2, "lightwell: --model-until is after --until\n")


def test_score_tells_long_watches_from_others(run: Any, data: Path, tmp_path: Path) -> None:
    asked = pl.read_parquet(data / "exposures-2.parquet")
    columns = ["user_id", "video_id", "time_ms", "tab", "duration_ms"]
    unknown = {"user_id": 77, "video_id": 9_999, "time_ms": UNTIL, "tab": 1, "duration_ms": 5}
    pl.concat([asked.select(columns), pl.DataFrame([unknown])], how="vertical_relaxed").write_parquet(
        tmp_path / "asked.parquet"
    )
    words = ("--impressions", tmp_path / "asked.parquet", "--out", tmp_path / "scores.parquet")
    assert run("score", "--data", data, "--until", UNTIL, *words).code == 0
    found = pl.read_parquet(tmp_path / "scores.parquet")
    assert found.columns == [*columns, "score"]
    assert found[:-1].select(columns).equals(asked.select(columns))
    scores, long = found["score"].to_numpy()[:-1], asked["long_view"].to_numpy() > 0
    assert (scores[long][:, None] > scores[~long][None, :]).mean() > 0.8


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda folder: [path.unlink() for path in folder.glob("exposures-*")],
            "no exposures-*.parquet in it",
        ),
        (lambda folder: (folder / "history-1.parquet").unlink(), "no history-*.parquet in it"),
        (lambda folder: (folder / "videos.parquet").unlink(), "no videos.parquet in it"),
        (lambda folder: (folder / "videos.parquet").write_bytes(b"PAR1"), "not a Parquet file"),
        (lambda folder: drop(folder / "exposures-1.parquet", "long_view"), "no column long_view"),
        (lambda folder: drop(folder / "history-1.parquet", "like_seq"), "no column like_seq"),
        (lambda folder: as_text(folder / "exposures-1.parquet", "time_ms"), "column time_ms holds no whole"),
        (lambda folder: as_text(folder / "history-1.parquet", "user_id"), "column user_id holds no whole"),
    ],
)
def test_a_folder_that_is_not_such_data_is_refused_in_one_line(
    run: Any, tmp_path: Path, spoil: Any, says: str
) -> None:
    folder = make_data(tmp_path / "data")
    spoil(folder)
    ended = run("backtest", "--data", folder, "--until", UNTIL, "--out", tmp_path / "out.parquet")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert says in ended.err
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("until", [0, -5, FIRST - 1, FIRST + 400 * DAY_MS])
def test_a_time_outside_the_data_is_refused(run: Any, data: Path, tmp_path: Path, until: int) -> None:
    ended = run("backtest", "--data", data, f"--until={until}", "--out", tmp_path / "out.parquet")
    assert ended.code == 2
    assert ended.err.startswith(f"lightwell: until: {until} is not in ")


@pytest.mark.parametrize("out", [".", "nowhere/out.parquet"])
def test_a_file_that_cannot_be_written_is_refused_before_any_work(
    run: Any, data: Path, tmp_path: Path, out: str
) -> None:
    ended = run("backtest", "--data", data, "--until", UNTIL, "--out", tmp_path / out)
    assert ended.code == 2
    assert "folder" in ended.err


@pytest.mark.parametrize("k", [0, 51])
def test_as_many_places_as_no_slate_has_are_refused(run: Any, data: Path, tmp_path: Path, k: int) -> None:
    assert run("backtest", "--data", data, "--until", UNTIL, "--k", k, "--out", tmp_path / "o").code == 2


def test_import_loads_videos_viewers_and_views_once(run: Any, data: Path, tmp_path: Path) -> None:
    cell = found_cell(tmp_path / "us", f"sqlite:///{tmp_path / 'us.db'}")
    cell.close()
    words = ("import", "kuairand", data, "--cell", tmp_path / "us", "--viewers", 5, "--json")
    told = json.loads(run(*words).out)
    assert (told["videos"], told["accounts"]) == (VIDEOS, 5)
    assert told["events"] > 5 * 20
    assert json.loads(run(*words).out) == {"videos": 0, "accounts": 0, "events": 0}
    cell = Cell.open(tmp_path / "us")
    with cell.database.read() as session:
        stored = social.events_since(cell, session, 0, 10_000)
    cell.close()
    times = [event.at for _, _, event in stored]
    assert max(times) <= now_ms()
    assert max(times) > now_ms() - DAY_MS


def test_impressions_without_a_column_are_refused(run: Any, data: Path, tmp_path: Path) -> None:
    pl.DataFrame({"user_id": [1], "video_id": [1]}).write_parquet(tmp_path / "asked.parquet")
    words = ("--impressions", tmp_path / "asked.parquet", "--out", tmp_path / "scores.parquet")
    ended = run("score", "--data", data, "--until", UNTIL, *words)
    assert (ended.code, "no column time_ms, tab, duration_ms" in ended.err) == (2, True)


def drop(path: Path, column: str) -> None:
    pl.read_parquet(path).drop(column).write_parquet(path)


def as_text(path: Path, column: str) -> None:
    pl.read_parquet(path).with_columns(pl.col(column).cast(pl.String)).write_parquet(path)
