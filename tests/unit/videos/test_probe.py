import contextlib
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from lightwell.base.errors import Problem
from lightwell.product.videos.probe import Clip, probe
from tests.factories import clips


def look(file: Path, folder: Path) -> Clip:
    shutil.copyfile(file, folder / "clip")
    return probe(folder, "clip")


def test_size_length_rate_and_sound_are_found(tmp_path: Path) -> None:
    clip = look(clips.portrait(), tmp_path)
    assert (clip.width, clip.height, clip.rate, clip.audio) == (360, 640, Fraction(30), 0)
    assert clip.seconds == pytest.approx(1.2, abs=0.05)


def test_a_clip_without_sound_and_with_60_frames_a_second_is_taken(tmp_path: Path) -> None:
    clip = look(clips.landscape_60(), tmp_path)
    assert (clip.width, clip.height, clip.rate, clip.audio) == (640, 360, Fraction(60), None)


def test_a_turned_clip_has_the_size_that_is_shown(tmp_path: Path) -> None:
    clip = look(clips.turned(), tmp_path)
    assert (clip.width, clip.height) == (360, 640)


def test_a_recording_without_a_duration_is_measured(tmp_path: Path) -> None:
    clip = look(clips.live_webm(), tmp_path)
    assert clip.seconds == pytest.approx(2, abs=0.15)
    assert clip.rate is None
    assert clip.audio == 0


def test_a_fragmented_mp4_is_taken(tmp_path: Path) -> None:
    assert look(clips.fragmented(), tmp_path).seconds == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (clips.three_hours, "too-long"),
        (clips.short, "too-short"),
        (clips.enormous, "too-many-pixels"),
        (clips.sound_only, "no-picture"),
        (clips.many_streams, "too-many-streams"),
        (clips.other_codec, "codec-not-taken"),
    ],
)
def test_a_clip_out_of_bounds_is_refused_with_its_reason(
    make: Callable[[], Path], slug: str, tmp_path: Path
) -> None:
    with pytest.raises(Problem) as caught:
        look(make(), tmp_path)
    assert (caught.value.status, caught.value.slug) == (422, slug)


def test_the_refusal_of_a_long_clip_says_how_long_it_is(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="03:00:00"):
        look(clips.three_hours(), tmp_path)


@pytest.mark.parametrize("part", [0.05, 0.4, 0.75, 0.999])
def test_a_cut_recording_of_a_browser_is_refused(part: float, tmp_path: Path) -> None:
    whole = clips.live_webm().read_bytes()
    (tmp_path / "clip").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(Problem) as caught:
        probe(tmp_path, "clip")
    assert caught.value.slug in ("truncated-file", "too-short")


@pytest.mark.parametrize("seed", range(6))
def test_bytes_changed_at_random_give_an_answer_or_a_refusal_and_nothing_else(
    seed: int, tmp_path: Path
) -> None:
    data = bytearray(clips.portrait().read_bytes())
    for step in range(40):
        data[(seed * 7919 + step * 104729) % len(data)] ^= 0xA5
    (tmp_path / "clip").write_bytes(data)
    with contextlib.suppress(Problem):
        assert probe(tmp_path, "clip").seconds > 0


def test_real_clips_are_taken(tmp_path: Path) -> None:
    for file in clips.real_clips(os.environ.get("LIGHTWELL_CLIPS")):
        assert 0.5 <= look(file, tmp_path).seconds <= 60
