"""Measures what publishing a clip costs beside ffmpeg alone doing the same coding.

The clip is made for the measure: 15 s, 1080x1920, 30 frames a second, H.264 and AAC. The peer is one ffmpeg
process, unconfined, with the very arguments that publishing uses. Ours is everything after the upload:
opening the sealed parts, probe, sandbox, coding, digests, storing and the ledger's entry.
"""

import ctypes
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.factories.cells import found_cell

from lightwell.base import ffmpeg
from lightwell.product import sounds
from lightwell.product.accounts.service import SignUp, sign_up
from lightwell.product.sounds.pieces import LIBRARY
from lightwell.product.sounds.queries import object_key
from lightwell.product.sounds.service import sound_id
from lightwell.product.videos import drafts, rendering, service, uploads
from lightwell.product.videos.media import Mix, arguments
from lightwell.product.videos.probe import probe
from lightwell.residency.cell import Cell

ROUNDS = 3
GOAL = 1.15
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def measure() -> list[dict[str, Any]]:
    # bubblewrap's outer process ends without waiting for its inner one; as their subreaper we inherit
    # and reap the inner one, so that all processor time is counted.
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name:
        folder = Path(name)
        clip = _clip(folder)
        cell = found_cell(folder / "us", f"sqlite:///{folder / 'bench.db'}")
        sounds.ensure_library(cell)
        alone = _peer(folder / "alone", clip, cell)
        account, _ = sign_up(cell, _form(), "127.0.0.1", "bench")
        ours, theirs, seconds = [], [], []
        for _ in range(ROUNDS):
            theirs.append(_processor_seconds(alone))
            video_id = _begin(cell, account, clip)
            begun = time.monotonic()
            ours.append(_processor_seconds(lambda video_id=video_id: _publish(cell, video_id)))
            seconds.append(time.monotonic() - begun)
        cell.close()
    ratio = statistics.median(own / peer for own, peer in zip(ours, theirs, strict=True))
    return [
        {
            "name": "publish",
            "value": round(statistics.median(ours), 3),
            "unit": "CPU s",
            "better": "lower",
            "goal": f"at most {GOAL} times ffmpeg alone",
            "peer": round(statistics.median(theirs), 3),
            "ratio": round(ratio, 3),
        },
        {
            "name": "publish_time",
            "value": round(statistics.median(seconds), 3),
            "unit": "s",
            "better": "lower",
            "goal": None,
            "peer": None,
            "ratio": None,
        },
    ]


def _clip(folder: Path) -> Path:
    target = folder / "clip.mp4"
    picture = "testsrc2=size=1080x1920:rate=30,noise=alls=6:allf=t"
    command = [str(ffmpeg.find()), "-v", "error", "-f", "lavfi", "-t", "15", "-i", picture]
    command += ["-f", "lavfi", "-t", "15", "-i", "sine=frequency=330:sample_rate=44100"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    subprocess.run([*command, str(target)], check=True)
    return target


def _peer(folder: Path, clip: Path, cell: Cell) -> Callable[[], object]:
    folder.mkdir()
    shutil.copy(clip, folder / "clip")
    sound = cell.objects.get(object_key(sound_id(LIBRARY[0].slug)))
    (folder / "sound.m4a").write_bytes(sound)
    mix = Mix("sound.m4a", 1000, 80, 60)
    command = [str(ffmpeg.find()), "-nostdin", *arguments("clip", probe(folder, "clip"), mix)]
    return lambda: subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _form() -> SignUp:
    return SignUp(
        handle="bench.maker",
        password="correct horse battery",
        display_name="Bench",
        email="bench@example.org",
        birthday="1990-01-01",
    )


def _begin(cell: Cell, account: Any, clip: Path) -> str:
    data = clip.read_bytes()
    upload = uploads.create(cell, account.account_id, len(data), "")
    for at in range(0, len(data), uploads.PART_BYTES):
        part = data[at : at + uploads.PART_BYTES]
        uploads.append(cell, account.account_id, upload.upload_id, at, part)
    said = drafts.NewVideo(
        upload_id=upload.upload_id,
        caption="bench",
        sound_id=sound_id(LIBRARY[0].slug),
        sound_offset_ms=1000,
        sound_volume=80,
        original_volume=60,
    )
    return drafts.begin(cell, account, said).video_id


def _publish(cell: Cell, video_id: str) -> None:
    outcome = rendering.render(cell, video_id)
    assert outcome is not None
    assert service.settle(cell, video_id, outcome) == "published"


def _processor_seconds(work: Callable[[], object]) -> float:
    before = _spent()
    work()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    return _spent() - before


def _spent() -> float:
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
