from pathlib import Path

import pytest

from lightwell.base.errors import Problem
from lightwell.product.videos.containers import check_whole, sniff
from tests.factories import clips


def refused(first: bytes) -> str:
    with pytest.raises(Problem) as caught:
        sniff(first)
    assert caught.value.status == 422
    return caught.value.slug


def test_an_empty_file_is_refused_as_empty() -> None:
    assert refused(b"") == "empty-file"


@pytest.mark.parametrize(
    "first",
    [
        b"hello, this is text with another name\n",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
        b"<?xml version='1.0'?><MPD><BaseURL>http://127.0.0.1/</BaseURL></MPD>",
        b"PK\x03\x04" + b"\0" * 60,
        b"\x1f\x8b\x08" + b"\0" * 60,
        b"RIFF\0\0\0\0AVI LIST",
        b"\0\0\0",
    ],
)
def test_what_is_no_video_container_is_refused(first: bytes) -> None:
    assert refused(first) == "not-a-video"


def test_both_container_families_are_known() -> None:
    assert sniff(clips.portrait().read_bytes()[:64]) == "mov"
    assert sniff(clips.live_webm().read_bytes()[:64]) == "matroska"


@pytest.mark.parametrize("part", [0.001, 0.01, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("make", [clips.portrait, clips.landscape_60])
def test_an_mp4_cut_anywhere_is_refused_before_ffmpeg_sees_it(
    make: object, part: float, tmp_path: Path
) -> None:
    whole = make().read_bytes()  # type: ignore[operator]
    cut = tmp_path / "clip"
    cut.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(Problem) as caught:
        check_whole(cut)
    assert caught.value.slug == "truncated-file"


def test_one_byte_less_is_noticed(tmp_path: Path) -> None:
    cut = tmp_path / "clip"
    cut.write_bytes(clips.portrait().read_bytes()[:-1])
    with pytest.raises(Problem, match="ends too early"):
        check_whole(cut)


def test_bytes_that_a_camera_appends_are_ignored(tmp_path: Path) -> None:
    longer = tmp_path / "clip"
    longer.write_bytes(clips.portrait().read_bytes() + b"\xff\xff\xff\xffmaker's notes of any length")
    assert check_whole(longer) == "mov"


def test_an_index_that_inflates_is_refused(tmp_path: Path) -> None:
    packed = b"\0\0\0\x20moov\0\0\0\x18cmov\0\0\0\x10dcomzlib" + b"\0\0\0\x10mdat" + b"\0" * 8
    bomb = tmp_path / "clip"
    bomb.write_bytes(b"\0\0\0\x10ftypqt  \0\0\0\0" + packed)
    with pytest.raises(Problem) as caught:
        check_whole(bomb)
    assert caught.value.slug in ("compressed-index", "truncated-file")
