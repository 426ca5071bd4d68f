"""The step that costs: from a sealed upload to the files of a video, repeatable after any crash."""

import hashlib
import shutil
from pathlib import Path

from lightwell.base.errors import Problem
from lightwell.base.telemetry import log
from lightwell.product.sounds import queries as sound_queries
from lightwell.product.videos import media, sealed_media, uploads
from lightwell.product.videos.drafts import open_draft
from lightwell.product.videos.models import UploadRow, VideoRow
from lightwell.product.videos.probe import probe
from lightwell.product.videos.service import Outcome
from lightwell.residency.cell import Cell

WORK = "work"
_CLIP, _SOUND = "clip", "sound.m4a"
_log = log("videos")


def render(cell: Cell, video_id: str) -> Outcome | None:
    """Make and store the files of a video in `processing`: in clear if it is to be published, else sealed.

    The opened upload lies for as long as this takes in a folder of its own under `work`, readable by this
    process's user alone.

    Returns:
        What it came to, a refusal included; None when there is nothing to do any more.

    Raises:
        OSError: the machine failed, not the clip; worth another try.
    """
    folder = cell.settings.path(WORK) / video_id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        return _render_in(cell, video_id, folder)
    except Problem as problem:
        if problem.status >= 500:
            raise
        _log.info("a video was refused", why=problem.slug)
        return Outcome(problem_title=str(problem.document()["title"]), problem_detail=problem.detail)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_work(cell: Cell) -> None:
    """Remove what a killed worker left in `work`; called before the first render of a process."""
    shutil.rmtree(cell.settings.path(WORK), ignore_errors=True)


def _render_in(cell: Cell, video_id: str, folder: Path) -> Outcome | None:
    with cell.database.read() as session:
        row = session.get(VideoRow, video_id)
        if row is None or row.status != "processing" or row.account_id is None or row.upload_id is None:
            return None
        permit = sealed_media.permit_for_media(cell, row.account_id)
        draft = open_draft(cell, session, permit, row)
        upload = session.get(UploadRow, row.upload_id)
        if upload is None:
            raise Problem(422, "upload-gone", "The upload is gone; upload the file again.")
        uploads.write_to(cell, session, permit, upload, folder / _CLIP)
    mix = media.Mix(None, 0, 0, draft.original_volume)
    if draft.sound_id is not None:
        (folder / _SOUND).write_bytes(cell.objects.get(sound_queries.object_key(draft.sound_id)))
        mix = media.Mix(_SOUND, draft.sound_offset_ms, draft.sound_volume, draft.original_volume)
    clip = probe(folder, _CLIP)
    rendered = media.render(folder, _CLIP, clip, mix)
    made = {name: _facts(folder / name) for name in media.FILES}
    for name in media.FILES:
        if row.publish:
            cell.objects.put_file(f"videos/{video_id}/{name}", folder / name)
            continue
        with cell.database.read() as session, (folder / name).open("rb") as file:
            sealed_media.put_draft(cell, session, row.account_id, video_id, name, file)
    return Outcome(
        width=rendered.width,
        height=rendered.height,
        duration_ms=rendered.duration_ms,
        media=made,
        sealed=not row.publish,
    )


def _facts(path: Path) -> dict[str, int | str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return {"size": path.stat().st_size, "sha256": digest.hexdigest()}
