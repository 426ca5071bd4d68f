"""`lightwell ledger watch` says each growth, and ends with evidence when a ledger breaks its word."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ledger_commands import VKEY, Run, policy, runner
from tests.unit.ledger.outside import WITNESSES, Answer, Made, entry, made, plainly, serving


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    return runner(monkeypatch, capfd, tmp_path)


@pytest.fixture
def ledger(run: Run) -> Made:
    made_here = made(601, WITNESSES[:2])
    made_here.write(Path("ledger"))
    return made_here


def test_each_growth_is_one_line_and_its_entries_below(run: Run, ledger: Made) -> None:
    words = ("watch", "ledger", "--policy", policy(2), "--state", "state", "--once", "--entries")
    first = run(*words)
    assert first.code == 0
    root = ledger.edge.root().hex()[:16]
    assert first.out.startswith(
        f"size 601 (first seen)  root {root}  cosigned by witness1.test, witness2.test  "
    )
    assert first.out.endswith(" s ago\n")
    ledger.grow([entry(1), b'{"kind":"Later","v":1}', b"?"], WITNESSES[:2], int(time.time()) - 5)
    ledger.write(Path("ledger"))
    lines = run(*words).out.splitlines()
    assert lines[0].startswith("size 604 (+3)  root ")
    assert [line.split()[:2] for line in lines[1:]] == [
        ["601", "PolicyAdopted"],
        ["602", "Later"],
        ["603", "no"],
    ]
    assert Path("state").read_bytes() == ledger.files["checkpoint"]


def test_json_is_an_object_a_line(run: Run, ledger: Made) -> None:
    words = (
        "watch",
        "ledger",
        "--policy",
        policy(2),
        "--state",
        "state",
        "--once",
        "--entries",
        "--json",
    )
    run(*words)
    ledger.grow([entry(1)], WITNESSES[:2], int(time.time()) - 5)
    ledger.write(Path("ledger"))
    seen, new = (json.loads(line) for line in run(*words).out.splitlines())
    assert 5 <= seen.pop("age_seconds") < 60
    assert [one["name"] for one in seen.pop("cosigners")] == ["witness1.test", "witness2.test"]
    assert seen == {
        "event": "checkpoint",
        "origin": "lightwell/us",
        "size": 602,
        "grown": 1,
        "root": ledger.edge.root().hex(),
    }
    assert new == {"event": "entry", "index": 601, "kind": "PolicyAdopted", "known": True}


def test_a_ledger_that_rolls_back_ends_with_1_and_leaves_evidence(run: Run, ledger: Made) -> None:
    words = ("watch", "ledger", "--vkey", VKEY, "--state", "state", "--once")
    run(*words)
    before = Path("state").read_bytes()
    older = made(300)
    older.write(Path("ledger"))
    ended = run(*words)
    assert ended.code == 1
    assert "broken: rolled back: its size is 300, that of the last one 601" in ended.out
    (evidence,) = Path().glob("state.evidence-*")
    assert evidence.read_bytes() == older.files["checkpoint"]
    assert Path("state").read_bytes() == before
    found = run(*words, "--json")
    assert (found.code, found.json["event"], found.json["evidence"]) == (1, "broken", str(evidence))


def test_a_server_that_is_down_is_said_and_ends_with_2(run: Run) -> None:
    words = ("watch", "http://127.0.0.1:1", "--vkey", VKEY, "--state", "state", "--once")
    ended = run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("cannot be read: ")
    found = run(*words, "--json")
    assert (found.code, found.json["event"]) == (2, "unreachable")


@dataclass
class Follower:
    """A `watch` in a process of its own."""

    process: subprocess.Popen[str]

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=240)
        return self.process.returncode, err


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[[str], Follower]]:
    started: list[Follower] = []

    def start(url: str) -> Follower:
        words = ["watch", url, "--vkey", VKEY, "--state", "state", "--interval", "0.1", "--json"]
        process = subprocess.Popen(
            [sys.executable, "-c", "from lightwell.apps.cli import main; main()", "ledger", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(Follower(process))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def test_a_watch_goes_on_over_growth_and_a_dead_server_until_it_is_interrupted(
    follow: Callable[[str], Follower],
) -> None:
    ledger = made(5)
    files = dict(ledger.files)
    down = False

    def respond(path: str) -> Answer:
        return Answer(b"", 503) if down else plainly(files)(path)

    with serving(respond) as server:
        watch = follow(server.url)
        assert watch.line()["size"] == 5
        ledger.grow([entry(n) for n in range(5, 300)])
        # A writer's order: the checkpoint last.
        files.update({path: data for path, data in ledger.files.items() if path != "checkpoint"})
        files["checkpoint"] = ledger.files["checkpoint"]
        assert watch.line()["grown"] == 295
        down = True
        assert watch.line()["event"] == "unreachable"
        down = False
        back = watch.line()
        assert (back["event"], back["size"]) == ("checkpoint", 300)
        assert watch.end() == (130, "")


def test_a_watch_ends_by_itself_with_1_when_the_ledger_forks(follow: Callable[[str], Follower]) -> None:
    files = dict(made(5).files)
    with serving(plainly(files)) as server:
        watch = follow(server.url)
        assert watch.line()["size"] == 5
        other = Made()
        other.grow([entry(n + 1) for n in range(9)])
        files.update({path: data for path, data in other.files.items() if path != "checkpoint"})
        files["checkpoint"] = other.files["checkpoint"]
        broken = watch.line()
        assert (broken["event"], broken["why"][:7]) == ("broken", "forked:")
        assert watch.process.wait(60) == 1
