"""One ffmpeg, found once and only ever run confined, with files as its only protocol."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg

from lightwell.base import confine
from lightwell.base.errors import Problem
from lightwell.base.labels import declare_cache

declare_cache("base.ffmpeg", "where ffmpeg is", "system.operations", "interop")


@functools.cache
def find() -> Path:
    """Return the ffmpeg to use: `LIGHTWELL_FFMPEG`, else the wheel's (locked by hash), else the system's.

    Raises:
        Problem: 503, there is none.
    """
    named = os.environ.get("LIGHTWELL_FFMPEG")
    try:
        found = Path(named or imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise Problem(503, "no-ffmpeg", "This cell has no ffmpeg; set LIGHTWELL_FFMPEG.") from error
    if not os.access(found, os.X_OK):
        raise Problem(503, "no-ffmpeg", "LIGHTWELL_FFMPEG does not name an executable file.")
    return found


def run(arguments: Sequence[str], folder: Path, limits: confine.Limits) -> confine.Finished:
    """Run ffmpeg confined in `folder`.

    Args:
        arguments: its arguments without the program; paths relative to `folder`.
        folder: where its inputs lie and its outputs go.
        limits: what it may use.
    """
    return confine.run(find(), ["-nostdin", "-hide_banner", *arguments], folder, limits)
