"""The worker's part: each video in `processing` becomes one durable workflow that ends by settling it."""

import threading
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from dbos import DBOS, SetWorkflowID

from lightwell.base import confine, jobs
from lightwell.base.labels import make_label
from lightwell.base.telemetry import log
from lightwell.product.videos import queries, rendering, service, uploads
from lightwell.residency.cell import Cell

QUEUE: Final = "transcode"
_LOOK_SECONDS: Final = 0.15
_SWEEP_SECONDS: Final = 300.0
_ATTEMPTS: Final = 3
_log = log("videos")


@dataclass
class _Here:
    """The cell of this process; a workflow's arguments are ids only, so it finds its cell here."""

    cell: Cell | None = None


_here = _Here()


def _cell() -> Cell:
    if _here.cell is None:
        raise RuntimeError("no cell is open for this process's jobs")
    return _here.cell


# Sizes, lengths and digests of a file that may still be a draft: about the machinery, and told to nobody.
_FACTS: Final = make_label("system.operations", "interop")


@jobs.step(_ATTEMPTS, video_id=_FACTS, returns=_FACTS)
def _render(video_id: str) -> dict[str, Any] | None:
    outcome = rendering.render(_cell(), video_id)
    return None if outcome is None else msgspec.to_builtins(outcome)


@jobs.step(_ATTEMPTS, video_id=_FACTS, facts=_FACTS, returns=_FACTS)
def _settle(video_id: str, facts: dict[str, Any]) -> str:
    return service.settle(_cell(), video_id, msgspec.convert(facts, service.Outcome))


@jobs.workflow("transcode", video_id=_FACTS, returns=_FACTS)
def transcode(video_id: str) -> str:
    """Render a video and settle it; returns its status. Workflow id and only argument are the video's id."""
    try:
        facts = _render(video_id)
    except Exception as error:  # noqa: BLE001  whatever went wrong, the video must not stay in processing
        _log.error("a video could not be processed", error, video=video_id)
        failed = service.Outcome(
            problem_title="Processing failed",
            problem_detail="The cell could not process this clip. Nothing is wrong with it; upload it again.",
        )
        facts = msgspec.to_builtins(failed)
    return "" if facts is None else _settle(video_id, facts)


def run(cell: Cell, stop: threading.Event, at_once: int = 1) -> None:
    """Do the cell's video work until `stop` is set; meant for a thread of the worker.

    Args:
        cell: the open cell.
        stop: set to end; a clip being rendered is given up and rendered again by the next worker.
        at_once: how many clips are rendered at a time; ffmpeg itself uses several cores for one.
    """
    _here.cell = cell
    rendering.clear_work(cell)
    try:
        with jobs.running(cell.settings, {QUEUE: at_once}):
            _work_off(cell, stop)
            # The interrupt passes through a workflow as no ordinary exception would: it stays unfinished.
            confine.interrupt()
    finally:
        confine.resume()


def _work_off(cell: Cell, stop: threading.Event) -> None:
    begun: set[str] = set()
    until_sweep = 0.0
    while not stop.is_set():
        begun = _begin_waiting(cell, begun)
        until_sweep -= _LOOK_SECONDS
        if until_sweep <= 0:
            uploads.sweep(cell)
            until_sweep = _SWEEP_SECONDS
        stop.wait(_LOOK_SECONDS)


def _begin_waiting(cell: Cell, begun: set[str]) -> set[str]:
    """Enqueue what waits and has not been enqueued by this process; return what waits now."""
    with cell.database.read() as session:
        waiting = queries.waiting(session)
    for video_id in waiting:
        if video_id not in begun:
            # The id makes it idempotent: a workflow that exists already is not begun again.
            with SetWorkflowID(video_id):
                DBOS.enqueue_workflow(QUEUE, transcode, video_id)
    return set(waiting)
