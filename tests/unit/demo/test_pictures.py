from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lightwell.apps.demo.personas import MAKERS, VIEWERS, clips
from lightwell.apps.demo.pictures import STYLES, Picture, encode, frames
from lightwell.apps.demo.pictures.palettes import RAMPS


@pytest.mark.parametrize("style", STYLES)
def test_every_style_gives_pictures_with_light_and_dark_in_them(style: str) -> None:
    first = next(frames(Picture(style, "sunrise", "peacock", seed=3, seconds=6)))
    assert first.shape == (384, 216, 3)
    assert first.dtype == np.uint16
    brightness = first.mean(axis=2) / 65535
    assert brightness.max() > 0.25
    assert brightness.min() < 0.2
    assert brightness.std() > 0.02


@pytest.mark.parametrize("style", STYLES)
def test_a_loop_has_no_seam(style: str) -> None:
    loop = list(frames(Picture(style, "ice", "ember", seed=4, seconds=3, rate=10)))
    steps = [np.abs(a.astype(int) - b).mean() for a, b in zip(loop, [*loop[1:], loop[0]], strict=True)]
    assert steps[-1] <= 1.5 * max(steps[:-1])


def test_the_same_picture_has_the_same_frames() -> None:
    picture = Picture("silk", "violet", "moss", seed=9)
    for one, other in zip(islice(frames(picture), 3), islice(frames(picture), 3), strict=True):
        assert np.array_equal(one, other)


def test_a_picture_becomes_a_vertical_film(tmp_path: Path) -> None:
    file = tmp_path / "film.mp4"
    encode(Picture("lava", "ember", "plum", seed=1, seconds=1), file, tone_hz=220)
    head = file.read_bytes()
    assert 0 < head.find(b"moov") < head.find(b"mdat")


def test_the_demo_has_at_least_sixty_clips_no_two_alike() -> None:
    wanted = clips()
    assert len(wanted) >= 60
    assert len({clip.picture for clip in wanted}) == len(wanted)
    assert len({clip.caption for clip in wanted}) == len(wanted)
    assert len({clip.key for clip in wanted}) == len(wanted)
    assert {clip.picture.style for clip in wanted} == set(STYLES)
    assert all(clip.picture.ramp in RAMPS and clip.picture.second_ramp in RAMPS for clip in wanted)
    assert all(6 <= clip.picture.seconds <= 10 for clip in wanted)


def test_the_first_clips_are_of_different_makers() -> None:
    assert len({clip.maker.handle for clip in clips()[: len(MAKERS)]}) == len(MAKERS)


def test_every_taste_is_met_by_some_maker() -> None:
    tags = {tag for maker in MAKERS for tag in maker.tags}
    for taste in VIEWERS:
        assert set(taste.likes) <= tags
