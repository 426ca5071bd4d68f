"""From any clip we take to the three files we serve, in one ffmpeg run and one decode.

The files are `540.mp4` and `720.mp4` (H.264 main, yuv420p, at most 30 frames a second, AAC 44.1 kHz
stereo, index in front, no metadata) and `poster.jpg`.
"""

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lightwell.base import ffmpeg
from lightwell.base.confine import Limits
from lightwell.product.videos.containers import refusal
from lightwell.product.videos.probe import Clip, input_options

FILES = ("540.mp4", "720.mp4", "poster.jpg")
MAX_RATE = 30
# Wider than this is fitted into a 9:16 frame; so is what is taller than any telephone.
_PORTRAIT_SHAPES = (1.2, 2.4)

_RENDER = Limits(wall_seconds=420, cpu_seconds=900, memory_bytes=4 << 30, file_bytes=256 << 20)
_X264 = ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-g", "60", "-a53cc", "0"]
_QUALITY = {
    540: ["-crf", "25", "-maxrate", "1500k", "-bufsize", "3000k"],
    720: ["-crf", "24", "-maxrate", "2800k", "-bufsize", "5600k"],
}
_AAC = ["-c:a", "aac", "-b:a", "128k", "-ar", "44100", "-ac", "2"]
_CLEAN = [
    *("-map_metadata", "-1", "-map_chapters", "-1"),
    *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
    *("-movflags", "+faststart", "-f", "mp4"),
]
_TO_SDR = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,"
)


@dataclass(frozen=True)
class Mix:
    """How a clip shall sound: a sound's file in the folder, where it begins, and both volumes 0..100."""

    sound: str | None = None
    offset_ms: int = 0
    sound_volume: int = 100
    original_volume: int = 100


@dataclass(frozen=True)
class Rendered:
    """What came out: size of the 720 wide picture in pixels, and length."""

    width: int
    height: int
    duration_ms: int


def render(folder: Path, name: str, clip: Clip, mix: Mix) -> Rendered:
    """Write the three files of a clip into `folder`.

    Args:
        folder: where the clip and the sound lie.
        name: the clip's file name in it.
        clip: what the probe said of it.
        mix: how it shall sound.

    Raises:
        Problem: 422 the clip cannot be decoded, or not within the limits.
        OSError: no room to write; worth another try.
    """
    finished = ffmpeg.run(arguments(name, clip, mix), folder, _RENDER)
    if "No space left on device" in finished.stderr:
        raise OSError("no room for the rendered files")
    if finished.stopped == "killed":
        raise OSError("something else killed the decoder, perhaps for want of memory")
    if finished.stopped is not None:
        raise refusal("too-costly", "Decoding the clip took more time or memory than a clip may take.")
    written = [folder / file for file in FILES]
    if finished.code != 0 or not all(file.is_file() and file.stat().st_size for file in written):
        raise refusal("damaged-file", "The picture or sound could not be decoded: the file is damaged.")
    width, height = frame_size(clip, 720)
    return Rendered(width, height, round(clip.seconds * 1000))


def arguments(name: str, clip: Clip, mix: Mix) -> list[str]:
    """Return the arguments of the one ffmpeg run; arguments as in `render`."""
    threads = str(min(4, os.cpu_count() or 1))
    inputs = ["-threads", threads, "-max_error_rate", "0.1", *input_options(clip.container), "-i", name]
    if mix.sound is not None:
        inputs += ["-stream_loop", "-1", "-ss", f"{mix.offset_ms / 1000:.3f}"]
        inputs += ["-protocol_whitelist", "file,pipe", "-f", "mov", "-i", mix.sound]
    graph = ";".join([*_picture_graph(clip), *_sound_graph(clip, mix)])
    length = ["-t", f"{clip.seconds:.3f}", "-threads", threads]
    outputs: list[str] = []
    for width in (720, 540):
        outputs += ["-map", f"[v{width}]", "-map", f"[a{width}]", *_X264, *_QUALITY[width], *_AAC]
        outputs += [*_CLEAN, *length, f"{width}.mp4"]
    poster = ["-map", "[poster]", "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "4", "-threads", "1"]
    poster += ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", "image2"]
    poster += ["-update", "1", "poster.jpg"]
    return ["-v", "warning", "-y", *inputs, "-filter_complex", graph, *outputs, *poster]


def frame_size(clip: Clip, width: int) -> tuple[int, int]:
    """Return width and height in pixels of the served picture at one of the two widths."""
    if _keeps_shape(clip):
        return width, _even(width * clip.height / clip.width)
    return width, width * 16 // 9


def _keeps_shape(clip: Clip) -> bool:
    least, most = _PORTRAIT_SHAPES
    return least <= clip.height / clip.width <= most


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)


def _picture_graph(clip: Clip) -> list[str]:
    width, height = frame_size(clip, 720)
    small_width, small_height = frame_size(clip, 540)
    rate = clip.rate if clip.rate is not None and clip.rate <= MAX_RATE else Fraction(MAX_RATE)
    # Frames beyond 30 a second are dropped before anything is spent on them; HDR is mapped when small.
    begin = f"[0:V:0]fps={rate}:start_time=0,"
    to_sdr = _TO_SDR if clip.hdr else ""
    end = f"{to_sdr}format=yuv420p,setsar=1"
    if _keeps_shape(clip):
        graph = [f"{begin}scale={width}:{height}:flags=bicubic:out_range=tv,{end}[frame]"]
    else:
        scale = min(width / clip.width, height / clip.height)
        inner = f"{_even(clip.width * scale)}:{_even(clip.height * scale)}"
        # The ground is the picture itself, 36x64 pixels of it, dimmed and drawn large: it costs next to
        # nothing to make or to encode, and needs no blur filter.
        graph = [
            f"{begin}scale={inner}:flags=bicubic:out_range=tv,{end},split[fore][aft]",
            r"[aft]crop=min(iw\,ih*9/16):min(ih\,iw*16/9),scale=36:64:flags=area,"
            "boxblur=3:2,lutyuv=y=16+(val-16)*0.42:u=128+(val-128)*0.7:v=128+(val-128)*0.7,"
            f"scale={width}:{height}:flags=bicubic,setsar=1[ground]",
            "[ground][fore]overlay=(W-w)/2:(H-h)/2:shortest=1,format=yuv420p[frame]",
        ]
    second = min(1.0, clip.seconds / 3)
    return [
        *graph,
        "[frame]split[v720][half]",
        f"[half]scale={small_width}:{small_height}:flags=bicubic,split[v540][still]",
        rf"[still]select=gte(t\,{second:.3f}),scale=out_range=pc,format=yuvj420p[poster]",
    ]


def _sound_graph(clip: Clip, mix: Mix) -> list[str]:
    shape = "aresample=44100:async=1:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo"
    graph: list[str] = []
    voices: list[str] = []
    if clip.audio is not None and mix.original_volume > 0:
        graph.append(f"[0:a:{clip.audio}]{shape},volume={mix.original_volume / 100:.2f},apad[own]")
        voices.append("[own]")
    if mix.sound is not None and mix.sound_volume > 0:
        graph.append(f"[1:a:0]{shape},volume={mix.sound_volume / 100:.2f}[chosen]")
        voices.append("[chosen]")
    if len(voices) == 2:
        together = "amix=inputs=2:duration=longest:normalize=0,alimiter=limit=0.95:level=disabled,"
    else:
        together = ""
    if not voices:
        graph.append("anullsrc=r=44100:cl=stereo[silence]")
        voices.append("[silence]")
    graph.append(f"{''.join(voices)}{together}atrim=0:{clip.seconds:.3f},asplit[a720][a540]")
    return graph
