"""What a clip is, learned without decoding it, and refused before decoding when it is out of bounds."""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

from lightwell.base import ffmpeg
from lightwell.base.confine import Finished, Limits
from lightwell.product.videos.containers import Container, check_whole, refusal

MIN_SECONDS = 0.5
MAX_SECONDS = 60.0
MAX_SIDE = 4096
MAX_PIXELS = 4096 * 2304
MAX_STREAMS = 16
MAX_FRAMES_PER_SECOND = 250

VIDEO_CODECS = frozenset(("h264", "hevc", "vp8", "vp9", "av1", "mpeg4"))
AUDIO_CODECS = frozenset(
    (
        *("aac", "opus", "vorbis", "mp3", "flac", "alac", "ac3", "eac3", "amr_nb", "amr_wb"),
        *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le"),
    )
)
FORMATS = {"mov": "mov,mp4,m4a,3gp,3g2,mj2", "matroska": "matroska,webm"}

_PROBE = Limits(
    wall_seconds=30, cpu_seconds=20, memory_bytes=2 << 30, file_bytes=1 << 20, output_bytes=8 << 20
)
_STREAM = re.compile(r"^  Stream #0:(\d+)(?:\[[^]]*\])?(?:\([^)]*\))?: (\w+): (.*)$", re.MULTILINE)
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d)\.(\d\d)", re.MULTILINE)
_ROTATION = re.compile(r"display ?matrix: rotation of (-?[\d.]+) degrees", re.IGNORECASE)
_MISSING_BYTES = (
    "partial file",
    "ended prematurely",
    "corrupt input packet",
    "Truncat",
    "moov atom not found",
)
_HDR = ("smpte2084", "arib-std-b67")


@dataclass
class _Track:
    kind: str = ""
    codec: str = ""
    base: Fraction = Fraction(1, 1000)
    width: int = 0
    height: int = 0
    shape: Fraction = Fraction(1)
    starts: list[int] = field(default_factory=list)
    last_end: int = 0


@dataclass(frozen=True)
class Clip:
    """What the probe found.

    `width` and `height` are as shown, after rotation and with square pixels; `seconds` is the length of
    the picture; `rate` is frames a second, None when the frames come irregularly; `video` and `audio`
    are the numbers of the streams to use among those of their kind.
    """

    container: Container
    seconds: float
    width: int
    height: int
    rate: Fraction | None
    audio: int | None
    hdr: bool


def probe(folder: Path, name: str) -> Clip:
    """Look at a file and refuse it unless it is a clip we can take.

    Args:
        folder: where the file lies.
        name: its name in the folder.

    Raises:
        Problem: 422 saying what is wrong: not a video, damaged, no picture, too long, too short, too
            large, too many streams, a codec that is not taken.
        OSError: the machine failed, not the file.
    """
    container = check_whole(folder / name)
    arguments = ["-v", "info", "-nostats", "-xerror", *input_options(container), "-i", name]
    # One second over the limit is enough to know; three hours need not be read.
    arguments += ["-map", "0:V?", "-map", "0:a?", "-c", "copy", "-t", str(MAX_SECONDS + 1)]
    arguments += ["-f", "framecrc", "-"]
    finished = ffmpeg.run(arguments, folder, _PROBE)
    _check_run(finished)
    tracks = _tracks(finished.stdout.decode("ascii", "replace"))
    streams = _STREAM.findall(finished.stderr.split("\nStream mapping:")[0])
    if len(streams) > MAX_STREAMS:
        raise refusal(
            "too-many-streams", f"The file has {len(streams)} streams; at most {MAX_STREAMS} are taken."
        )
    pictures = [track for track in tracks if track.kind == "video"]
    if not pictures:
        raise refusal("no-picture", "The file has no video stream.")
    picture = pictures[0]
    _check_picture(picture)
    seconds = _seconds(picture)
    _check_length(seconds, finished.stderr)
    return Clip(
        container=container,
        seconds=seconds,
        **_shown(picture, finished.stderr),
        rate=_rate(picture, seconds),
        audio=_audio(tracks),
        hdr=any(name in text for _, kind, text in streams if kind == "Video" for name in _HDR),
    )


def input_options(container: Container) -> list[str]:
    """Return the ffmpeg options that let an input be nothing but a local file of this container."""
    return [
        *("-protocol_whitelist", "file,pipe", "-f", container, "-format_whitelist", FORMATS[container]),
        *("-codec_whitelist", ",".join(sorted(_decoders())), "-max_pixels", str(MAX_PIXELS)),
    ]


def _decoders() -> set[str]:
    # The option names decoders, which for some codecs are called after the library that decodes them.
    return {
        *(VIDEO_CODECS | AUDIO_CODECS),
        *("libdav1d", "libvpx", "libvpx-vp9", "libopus", "libvorbis", "libaom-av1"),
        *("aac_fixed", "mp3float", "ac3_fixed", "amrnb", "amrwb"),
        *("libopencore_amrnb", "libopencore_amrwb"),
    }


def _check_run(finished: Finished) -> None:
    said = finished.stderr
    if finished.stopped == "killed":
        raise OSError("something else killed the probe, perhaps for want of memory")
    if finished.stopped is not None:
        raise refusal("too-costly", "Reading the file took more time or memory than a clip may take.")
    if any(sign in said for sign in _MISSING_BYTES):
        raise refusal("truncated-file", "The file ends too early: a part of it is missing. Upload it again.")
    if "does not contain any stream" in said:
        raise refusal("no-picture", "The file has no video stream.")
    if "picture size" in said.lower() or "max_pixels" in said:
        raise _too_large()
    if finished.code != 0:
        raise refusal("damaged-file", "The file could not be read as a video: it is damaged.")


def _too_large() -> Exception:
    return refusal(
        "too-many-pixels", f"The picture is too large; at most {MAX_SIDE} pixels a side are taken."
    )


def _tracks(text: str) -> list[_Track]:
    tracks: dict[int, _Track] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            number, _, pts, duration, *_ = line.split(",", 4)
            track = tracks[int(number)]
            track.starts.append(int(pts))
            track.last_end = max(track.last_end, int(pts) + int(duration))
            continue
        name, _, value = line[1:].partition(": ")
        word, _, number = name.partition(" ")
        if not number.isdigit():
            continue
        track = tracks.setdefault(int(number), _Track())
        if word == "media_type":
            track.kind = value
        elif word == "codec_id":
            track.codec = value
        elif word == "tb":
            track.base = Fraction(value)
        elif word == "dimensions":
            width, _, height = value.partition("x")
            track.width, track.height = int(width), int(height)
        elif word == "sar":
            above, _, below = value.partition("/")
            track.shape = Fraction(int(above), int(below)) if int(above) and int(below) else Fraction(1)
    return [tracks[number] for number in sorted(tracks)]


def _check_picture(picture: _Track) -> None:
    if picture.codec not in VIDEO_CODECS:
        raise refusal("codec-not-taken", f"The picture's codec ({picture.codec or 'unknown'}) is not taken.")
    if min(picture.width, picture.height) < 16:
        raise refusal("too-few-pixels", "The picture is smaller than 16 pixels a side.")
    if max(picture.width, picture.height) > MAX_SIDE or picture.width * picture.height > MAX_PIXELS:
        raise _too_large()
    if not Fraction(1, 8) < picture.shape < 8:
        raise refusal("damaged-file", "The file gives its pixels an impossible shape.")
    if not picture.starts:
        raise refusal("damaged-file", "The file could not be read as a video: it holds no whole frame.")
    if len(picture.starts) < 2:
        raise refusal("too-short", f"The clip is too short: at least {MIN_SECONDS} s are needed.")


def _seconds(picture: _Track) -> float:
    starts = sorted(picture.starts)
    # Live recordings give their last frame no duration: it then lasts as long as frames usually do.
    usual = median(after - before for before, after in pairwise(starts))
    end = max(picture.last_end, starts[-1] + usual)
    return float((end - starts[0]) * picture.base)


def _check_length(seconds: float, said: str) -> None:
    if seconds > MAX_SECONDS + 0.05:
        found = _DURATION.search(said)
        told = f"{found[1]}:{found[2]}:{found[3]} (h:m:s)" if found else "longer"
        raise refusal("too-long", f"The clip is {told} long; at most {MAX_SECONDS:.0f} s are taken.")
    if seconds < MIN_SECONDS:
        raise refusal("too-short", f"The clip is {seconds:.2f} s long; at least {MIN_SECONDS} s are needed.")


def _rate(picture: _Track, seconds: float) -> Fraction | None:
    average = len(picture.starts) / seconds
    if average > MAX_FRAMES_PER_SECOND:
        raise refusal("too-many-frames", f"More than {MAX_FRAMES_PER_SECOND} frames a second are not taken.")
    starts = sorted(picture.starts)
    gaps = [after - before for before, after in pairwise(starts)]
    usual = median(gaps)
    # Containers round times to their clock's ticks: one tick either way is still regular.
    if usual <= 0 or any(abs(gap - usual) > 1.01 for gap in gaps):
        return None
    mean = Fraction(starts[-1] - starts[0], len(gaps)) * picture.base
    return (1 / mean).limit_denominator(1001)


def _audio(tracks: list[_Track]) -> int | None:
    audible = [track for track in tracks if track.kind == "audio"]
    for number, track in enumerate(audible):
        if track.codec in AUDIO_CODECS and track.starts:
            return number
    return None


def _shown(picture: _Track, said: str) -> dict[str, int]:
    width, height = round(picture.width * picture.shape), picture.height
    turned = _ROTATION.search(said)
    if turned and round(float(turned[1]) / 90) % 2:
        width, height = height, width
    return {"width": width, "height": height}
