import os
import shutil
import time
from pathlib import Path

import pytest

from lightwell.base import confine, ffmpeg
from lightwell.base.confine import Limits

MIB = 1024 * 1024
LIMITS = Limits(wall_seconds=10, cpu_seconds=5, memory_bytes=1024 * MIB, file_bytes=8 * MIB, output_bytes=MIB)
SHELL = Path("/bin/sh")


def shell(script: str, folder: Path, limits: Limits = LIMITS) -> confine.Finished:
    return confine.run(SHELL, ["-c", script], folder, limits)


@pytest.fixture(params=["bubblewrap", "limits alone"])
def wrapping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "limits alone":
        monkeypatch.setattr(confine, "bubblewrap", lambda: None)
    elif confine.bubblewrap() is None:
        pytest.skip("bubblewrap does not work here")
    return str(request.param)


@pytest.mark.usefixtures("wrapping")
def test_a_child_works_in_its_folder_and_its_words_are_heard(tmp_path: Path) -> None:
    done = shell("echo out; echo err >&2; echo kept > file", tmp_path)
    assert (done.code, done.stdout, done.stderr, done.stopped) == (0, b"out\n", "err\n", None)
    assert (tmp_path / "file").read_text() == "kept\n"


@pytest.mark.usefixtures("wrapping")
def test_wall_time_is_bounded_and_children_of_the_child_die_too(tmp_path: Path) -> None:
    limits = Limits(0.5, 5, 1024 * MIB, MIB)
    begun = time.monotonic()
    done = shell("(while :; do echo x >> alive; read -t 1 y < /dev/zero; done) & wait", tmp_path, limits)
    assert done.stopped == "wall"
    assert time.monotonic() - begun < 3
    time.sleep(0.1)
    size = (tmp_path / "alive").stat().st_size
    time.sleep(0.3)
    assert (tmp_path / "alive").stat().st_size == size


@pytest.mark.usefixtures("wrapping")
def test_processor_time_is_bounded(tmp_path: Path) -> None:
    assert shell("while :; do :; done", tmp_path, Limits(20, 1, 1024 * MIB, MIB)).stopped in ("cpu", "killed")


@pytest.mark.usefixtures("wrapping")
def test_the_size_of_files_is_bounded(tmp_path: Path) -> None:
    done = shell(
        "while :; do echo 0123456789012345678901234567890123456789; done > big",
        tmp_path,
        Limits(20, 20, 1024 * MIB, MIB),
    )
    assert done.code != 0
    assert (tmp_path / "big").stat().st_size <= MIB


@pytest.mark.usefixtures("wrapping")
def test_the_length_of_output_is_bounded(tmp_path: Path) -> None:
    done = shell("while :; do echo 0123456789012345678901234567890123456789; done", tmp_path)
    assert done.stopped == "output"


@pytest.mark.usefixtures("wrapping")
def test_memory_is_bounded(tmp_path: Path) -> None:
    greedy = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "color=size=12000x12000",
        "-frames:v",
        "3",
        "-f",
        "null",
        "-",
    ]
    done = confine.run(ffmpeg.find(), greedy, tmp_path, Limits(20, 10, 320 * MIB, MIB))
    assert "Cannot allocate memory" in done.stderr


@pytest.mark.usefixtures("wrapping")
def test_the_environment_is_not_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTWELL_SECRET", "KILOLIMA")
    assert b"KILOLIMA" not in shell("set", tmp_path).stdout


def test_under_bubblewrap_there_are_no_other_files_processes_or_networks(tmp_path: Path) -> None:
    if confine.bubblewrap() is None:
        pytest.skip("bubblewrap does not work here")
    outside = tmp_path / "outside"
    outside.write_text("KILOLIMA")
    inside = tmp_path / "inside"
    inside.mkdir()
    done = shell(
        f"cat {outside} /etc/passwd /proc/1/environ; cat ../outside; echo over > /usr/lib/over", inside
    )
    assert done.stdout == b""
    listing = shutil.which("ls")
    assert listing is not None
    found = confine.run(Path(listing), ["/", "/dev"], inside, LIMITS).stdout.decode().split()
    assert not set(found) & {"home", "root", "proc", "var", "tmp", "sda"}
    assert not os.path.exists("/usr/lib/over")


def test_an_interrupted_process_runs_no_more_children(tmp_path: Path) -> None:
    confine.interrupt()
    try:
        with pytest.raises(confine.InterruptedRun):
            shell("echo", tmp_path)
    finally:
        confine.resume()
    assert shell("echo", tmp_path).code == 0
