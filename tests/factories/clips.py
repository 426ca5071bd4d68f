"""Makes small real clips with ffmpeg, each kind once a session."""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from lightwell.base import ffmpeg

_folder = Path(tempfile.mkdtemp(prefix="lightwell-clips-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)


def make(name: str, *arguments: str) -> Path:
    """Run ffmpeg with `arguments` and return the file `name` that it wrote."""
    target = _folder / name
    if not target.exists():
        command = [str(ffmpeg.find()), "-nostdin", "-v", "error", "-y", *arguments, str(target)]
        subprocess.run(command, check=True, capture_output=True)
    return target


def _picture(size: str, rate: int, seconds: float) -> list[str]:
    return ["-f", "lavfi", "-t", str(seconds), "-i", f"testsrc2=size={size}:rate={rate}"]


_TONE = ["-f", "lavfi", "-t", "2", "-i", "sine=frequency=440:sample_rate=44100"]
_QUICK = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


@functools.cache
def portrait() -> Path:
    """A good second of 360x640 at 30 frames a second, with a tone, index in front."""
    return make(
        "portrait.mp4",
        *_picture("360x640", 30, 1.2),
        *_TONE,
        *_QUICK,
        "-c:a",
        "aac",
        "-shortest",
        "-movflags",
        "+faststart",
    )


@functools.cache
def landscape_60() -> Path:
    """One second of 640x360 HEVC at 60 frames a second, no sound, index behind."""
    return make(
        "landscape.mp4",
        *_picture("640x360", 60, 1),
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-tag:v",
        "hvc1",
        "-x265-params",
        "log-level=none",
    )


@functools.cache
def turned() -> Path:
    """A landscape picture that says it is to be turned by a quarter."""
    plain = make("plain.mp4", *_picture("640x360", 30, 1), *_QUICK)
    return make("turned.mp4", "-display_rotation", "90", "-i", str(plain), "-c", "copy")


@functools.cache
def live_webm() -> Path:
    """What a browser's recorder writes: VP8 and Opus, no duration, uneven frames."""
    return make(
        "live.webm",
        *_picture("240x320", 30, 2),
        *_TONE,
        "-vf",
        "select='mod(n*n,5)',setpts=PTS",
        "-fps_mode",
        "vfr",
        "-c:v",
        "libvpx",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-c:a",
        "libopus",
        "-live",
        "1",
        "-shortest",
    )


@functools.cache
def fragmented() -> Path:
    """MP4 in fragments, with an empty index in front."""
    return make(
        "fragmented.mp4", "-i", str(portrait()), "-c", "copy", "-movflags", "frag_keyframe+empty_moov"
    )


@functools.cache
def short() -> Path:
    """A fifth of a second."""
    return make("short.mp4", *_picture("64x64", 30, 0.2), *_QUICK)


@functools.cache
def three_hours() -> Path:
    """Three hours of one colour."""
    return make("long.mp4", "-f", "lavfi", "-t", "10800", "-i", "color=size=64x64:rate=1", *_QUICK)


@functools.cache
def enormous() -> Path:
    """10,000 by 10,000 pixels, one frame."""
    return make(
        "enormous.mp4",
        "-f",
        "lavfi",
        "-i",
        "color=size=10000x10000:rate=2",
        "-frames:v",
        "1",
        *_QUICK,
        "-threads",
        "1",
        "-x264-params",
        "rc-lookahead=0:sync-lookahead=0",
    )


@functools.cache
def sound_only() -> Path:
    """AAC in MP4 without a picture."""
    return make("sound.mp4", *_TONE, "-c:a", "aac")


@functools.cache
def many_streams() -> Path:
    """Twenty audio streams beside the picture."""
    maps = ["-map", "0:v", *(["-map", "1:a"] * 20)]
    return make(
        "streams.mp4",
        "-i",
        str(portrait()),
        *_TONE,
        *maps,
        "-c:v",
        "copy",
        "-c:a",
        "aac",
        "-b:a",
        "32k",
        "-t",
        "1",
    )


@functools.cache
def other_codec() -> Path:
    """A codec that is not taken."""
    return make("other.mkv", *_picture("160x160", 10, 1), "-c:v", "ffv1")


@functools.cache
def tagged() -> Path:
    """A clip whose metadata says where, when and with what it was taken."""
    return make(
        "tagged.mp4",
        "-i",
        str(portrait()),
        "-c",
        "copy",
        "-metadata",
        "location=+37.77-122.41/",
        "-metadata",
        "title=KILOLIMA",
        "-metadata",
        "comment=KILOLIMA",
        "-movflags",
        "use_metadata_tags",
    )


def real_clips(folder: str | None) -> list[Path]:
    """Return the clips of the folder that `LIGHTWELL_CLIPS` names, none when it names none."""
    return sorted(path for path in Path(folder).iterdir() if path.is_file()) if folder else []
