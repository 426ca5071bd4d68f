"""From a picture's description to frames and to a file: the same description gives the same frames."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from lightwell.apps.demo.pictures.fields import FIELDS, TAU
from lightwell.apps.demo.pictures.glow import GLOWS
from lightwell.apps.demo.pictures.palettes import STEPS, ramp

STYLES = {**FIELDS, **GLOWS}

# Drawn at a third of the size and scaled up by ffmpeg: the pictures are smooth by nature, and numpy then
# has a ninth of the work.
DRAWN = (216, 384)
ENCODED = (720, 1280)
BLENDS = 64


@dataclass(frozen=True, slots=True)
class Picture:
    """What one clip looks like: style, main and second ramp by name, seed, seconds, frames a second."""

    style: str
    ramp: str
    second_ramp: str
    seed: int
    seconds: float = 7.0
    rate: int = 24


def frames(picture: Picture) -> Iterator[NDArray[np.uint16]]:
    """Yield the loop's frames, (height, width, 3) uint16 RGB; KeyError for an unknown style or ramp."""
    width, height = DRAWN
    rng = Generator(PCG64(picture.seed))
    x, y = np.meshgrid(
        np.linspace(-0.5625, 0.5625, width, dtype=np.float32),
        np.linspace(-1.0, 1.0, height, dtype=np.float32),
    )
    field = STYLES[picture.style](rng, x, y)
    # The second ramp washes over a part of the picture: one ramp alone looks like a filter. All blends of
    # the two stand in one table, so a pixel costs one look-up. 16 bits a channel: dark slow gradients
    # would show steps at 8 before they are scaled up.
    share = np.linspace(0.0, 1.0, BLENDS, dtype=np.float32)[:, None, None]
    blends = ramp(picture.ramp) * (1.0 - share) + ramp(picture.second_ramp) * share
    table = (blends.reshape(-1, 3) * 65535.0).astype(np.uint16)
    lean, start = rng.uniform(0, TAU, 2)
    slope = (np.cos(lean) * x * 2.6 + np.sin(lean) * y * 1.6 + start).astype(np.float32)
    vignette = 1.0 - 0.22 * np.clip(x * x * 1.4 + y * y * 0.55, 0, 1)
    count = round(picture.seconds * picture.rate)
    for i in range(count):
        plane = field(TAU * i / count) * vignette
        wash = 0.5 + 0.5 * np.sin(slope + 0.9 * np.float32(np.sin(TAU * i / count)))
        row = (wash * (BLENDS - 0.01)).astype(np.int32)
        index = np.clip(plane * (STEPS - 1), 0, STEPS - 1).astype(np.int32)
        yield np.take(table, row * STEPS + index, axis=0)


def encode(picture: Picture, target: Path, tone_hz: float | None = None) -> None:
    """Render `picture` and write it to `target` as 720x1280 H.264, silent unless a tone is asked for.

    Raises RuntimeError with ffmpeg's last words if it fails.
    """
    width, height = DRAWN
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", f"{width}x{height}", "-r", str(picture.rate)]
    command += ["-i", "pipe:0"]
    if tone_hz is not None:
        command += ["-f", "lavfi", "-i", f"sine=frequency={tone_hz}:duration={picture.seconds},volume=0.2"]
        command += ["-c:a", "aac", "-b:a", "96k", "-shortest"]
    size = f"scale={ENCODED[0]}:{ENCODED[1]}:flags=bicubic+accurate_rnd:sws_dither=bayer,format=yuv420p"
    command += ["-vf", size, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "19", "-threads", "1"]
    command += ["-movflags", "+faststart", str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as ffmpeg:
        if ffmpeg.stdin is None or ffmpeg.stderr is None:
            raise RuntimeError("ffmpeg was started without its pipes")
        try:
            for frame in frames(picture):
                ffmpeg.stdin.write(frame.tobytes())
            ffmpeg.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg has ended early; its own message below says why
        words = ffmpeg.stderr.read().decode("utf-8", "replace").strip()
    if ffmpeg.returncode != 0:
        raise RuntimeError(f"ffmpeg could not encode the picture: {words[-300:]}")
