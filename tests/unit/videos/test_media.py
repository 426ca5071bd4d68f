import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lightwell.base import ffmpeg
from lightwell.base.errors import Problem
from lightwell.product.videos.media import FILES, Mix, Rendered, render
from lightwell.product.videos.probe import probe
from tests.factories import clips


def make(file: Path, folder: Path, mix: Mix | None = None) -> Rendered:
    shutil.copyfile(file, folder / "clip")
    return render(folder, "clip", probe(folder, "clip"), mix or Mix())


def told(file: Path) -> str:
    command = [str(ffmpeg.find()), "-hide_banner", "-i", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def loudness(file: Path) -> float:
    command = [
        str(ffmpeg.find()),
        "-hide_banner",
        "-i",
        str(file),
        "-af",
        "volumedetect",
        "-vn",
        "-f",
        "null",
        "-",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    found = re.search(r"mean_volume: (-?[\d.]+|-inf) dB", said)
    assert found
    return float(found[1])


def picture(file: Path, second: float, width: int, height: int) -> bytes:
    command = [str(ffmpeg.find()), "-v", "error", "-ss", str(second), "-i", str(file), "-frames:v", "1"]
    command += ["-vf", f"scale={width}:{height}:flags=area,format=gray", "-f", "rawvideo", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "clip", [clips.portrait, clips.landscape_60, clips.turned, clips.live_webm, clips.fragmented]
)
def test_every_kind_of_clip_becomes_the_same_three_files(clip: Callable[[], Path], tmp_path: Path) -> None:
    rendered = make(clip(), tmp_path)
    assert all((tmp_path / name).stat().st_size > 1000 for name in FILES)
    assert rendered.width == 720
    for width in (540, 720):
        said = told(tmp_path / f"{width}.mp4")
        assert re.search(
            rf"Video: h264 \(Main\).*yuv420p.*, {width}x{round(rendered.height * width / 720)} ", said
        )
        assert re.search(r"Audio: aac \(LC\).*44100 Hz, stereo", said)
        rate = re.search(r"([\d.]+) fps", said)
        assert rate is not None
        assert float(rate[1]) <= 30
    assert (tmp_path / "poster.jpg").read_bytes().startswith(b"\xff\xd8\xff")


def test_a_portrait_clip_keeps_its_shape_and_a_landscape_one_gets_a_frame(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    three_by_four = make(clips.live_webm(), tmp_path / "a")
    assert (three_by_four.width, three_by_four.height) == (720, 960)
    framed = make(clips.landscape_60(), tmp_path / "b")
    assert (framed.width, framed.height) == (720, 1280)
    rows = picture(tmp_path / "b" / "720.mp4", 0.5, 1, 16)
    assert max(rows[:4]) < max(rows[6:10]), "the ground is darker than the picture on it"


def test_the_index_stands_in_front(tmp_path: Path) -> None:
    make(clips.landscape_60(), tmp_path)
    for width in (540, 720):
        head = (tmp_path / f"{width}.mp4").read_bytes()[:4096]
        assert 0 < head.find(b"moov") < 100


def test_metadata_does_not_survive(tmp_path: Path) -> None:
    assert b"KILOLIMA" in clips.tagged().read_bytes()
    make(clips.tagged(), tmp_path)
    for name in FILES:
        data = (tmp_path / name).read_bytes()
        assert b"KILOLIMA" not in data
        assert b"+37.77" not in data


def test_the_chosen_sound_is_mixed_at_its_volume(tmp_path: Path) -> None:
    sound = clips.make(
        "loud.m4a",
        "-f",
        "lavfi",
        "-t",
        "3",
        "-i",
        "sine=frequency=880:sample_rate=44100",
        "-af",
        "volume=6",
        "-c:a",
        "aac",
        "-f",
        "mp4",
    )
    levels = []
    for number, mix in enumerate(
        [
            Mix("sound", 500, sound_volume=100, original_volume=0),
            Mix("sound", 500, sound_volume=10, original_volume=0),
            Mix(None, original_volume=0),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(sound, folder / "sound")
        make(clips.portrait(), folder, mix)
        levels.append(loudness(folder / "540.mp4"))
    loud, quiet, silent = levels
    assert loud - quiet == pytest.approx(20, abs=1.5)
    assert silent < -80


def test_a_sound_shorter_than_the_clip_goes_round(tmp_path: Path) -> None:
    sound = clips.make(
        "blip.m4a",
        "-f",
        "lavfi",
        "-t",
        "0.7",
        "-i",
        "sine=frequency=880:sample_rate=44100",
        "-c:a",
        "aac",
        "-f",
        "mp4",
    )
    shutil.copy(sound, tmp_path / "sound")
    make(clips.portrait(), tmp_path, Mix("sound", original_volume=0))
    late = clips.make("late.wav", "-ss", "0.9", "-i", str(tmp_path / "540.mp4"), "-vn")
    assert loudness(late) > -40


def test_a_clip_that_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    data = bytearray(clips.portrait().read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes((index * 197 + 31) % 256 for index in range(len(data) - start))
    (tmp_path / "clip").write_bytes(data)
    with pytest.raises(Problem) as caught:
        render(tmp_path, "clip", probe(tmp_path, "clip"), Mix())
    assert caught.value.slug == "damaged-file"


def test_real_clips_are_rendered(tmp_path: Path) -> None:
    for file in clips.real_clips(os.environ.get("LIGHTWELL_CLIPS")):
        assert make(file, tmp_path).duration_ms > 500
