import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from lightwell.residency.media_metadata import MetadataError, headers
from tests.unit.residency.two_cells import JPEG


def rendered(folder: Path, name: str, *options: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi"]
    command += ["-i", "testsrc2=size=64x64:rate=10:duration=1", *options, str(folder / name)]
    subprocess.run(command, check=True)
    return (folder / name).read_bytes()


def test_encoded_clip_and_poster_pass(tmp_path: Path) -> None:
    clip = rendered(tmp_path, "540.mp4", "-c:v", "libx264", "-movflags", "+faststart")
    assert b"mdat" not in headers("540.mp4", clip)
    assert headers("poster.jpg", rendered(tmp_path, "poster.jpg", "-frames:v", "1"))


@pytest.mark.parametrize("tag", ["title=secret", "comment=secret", "location=+37.4-122.1/"])
def test_clip_with_a_tag_is_refused(tmp_path: Path, tag: str) -> None:
    clip = rendered(tmp_path, "540.mp4", "-c:v", "libx264", "-metadata", tag)
    with pytest.raises(MetadataError):
        headers("540.mp4", clip)


def box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


MOOV = box(b"ftyp", b"isom") + box(b"moov", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        MOOV + box(b"uuid", b"x" * 16),
        MOOV + box(b"free", b"hidden"),
        MOOV + b"tail",
        MOOV[:-3],
        box(b"ftyp", b"isom"),
        box(b"ftyp", b"isom") + box(b"moov", box(b"udta", box(b"\xa9xyz", b"+37"))),
        box(b"ftyp", b"isom") + box(b"moov", box(b"trak", box(b"meta", b""))),
        box(b"ftyp", b"isom") + box(b"moov", b"\xff" * 40),
        box(b"ftyp", b"isom") + box(b"free", b"") * 3000,
    ],
)
def test_mp4_with_anything_else_in_it_is_refused(data: bytes) -> None:
    with pytest.raises(MetadataError):
        headers("540.mp4", data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        JPEG[:-1],
        JPEG + JPEG,
        JPEG + b"zip\xff\xd9",
        JPEG[:2] + b"\xff\xe1\x00\x04Ex" + JPEG[2:],
        JPEG[:2] + b"\xff\xfe\x01\x00" + b"c" * 254 + JPEG[2:],
        JPEG[:20] + b"\xff\xd9",
    ],
)
def test_jpeg_with_anything_else_in_it_is_refused(data: bytes) -> None:
    with pytest.raises(MetadataError):
        headers("poster.jpg", data)


def test_media_of_another_kind_is_refused() -> None:
    with pytest.raises(MetadataError):
        headers("notes.txt", b"hello")
