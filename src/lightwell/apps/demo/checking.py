"""`lightwell demo --check`: the journey on a demo that runs already, or on one started for it and ended."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from lightwell.agreement.roster import seats_of
from lightwell.apps.compiling import compile_in_child
from lightwell.apps.demo.check.disk import problems_at_rest
from lightwell.apps.demo.check.planes import Planes
from lightwell.apps.demo.check.run import STEPS, Result, not_taken, take, write_result
from lightwell.apps.demo.check.steps import Clock, Step
from lightwell.apps.demo.deployment import CELLS, Deployment, existing, prepare
from lightwell.apps.demo.pictures import Picture
from lightwell.apps.demo.seed import draw
from lightwell.apps.demo.supervisor import Attached, DemoError, Supervisor, is_running
from lightwell.wire.keys import Verifier

CHECK_SECONDS = 138.0
"""What the steps may take once the demo runs; how long it may take to start, its supervisor says."""

FILM = Picture("silk", "sunrise", "violet", seed=2022, seconds=6.0)


def check_folder(
    console: Console,
    folder: Path,
    video: Path | None,
    json_file: Path | None,
    without: frozenset[str],
    agreement: str = "",
) -> int:
    """Take the journey on the demo in `folder`, say what became of each step, and return the exit code.

    Args:
        console: where steps are shown.
        folder: a demo's folder: empty, used before, or in use right now.
        video: the film to upload; one is drawn if there is none.
        json_file: where to write the result.
        without: processes to leave out when the demo is started for the check.
        agreement: the file to found a new demo under.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lightwell-film-") as scratch:
        film = video or Path(scratch) / "film.mp4"
        drawing = threading.Thread(
            target=lambda: draw(FILM, film, threading.Event(), sounding=True), daemon=True
        )
        if video is None:
            drawing.start()
        try:
            with running(console, folder, without, agreement) as (deployment, restart, at_rest):
                if video is None:
                    drawing.join()
                planes = Planes(deployment, restart, Clock(CHECK_SECONDS), film, at_rest)
                try:
                    result = _take(console, planes)
                finally:
                    planes.close()
        except DemoError as error:
            # A demo that does not start, or whose parts stop, has held no step; the result says so too.
            console.print(f"[red]The demo does not run:[/red] {error}", soft_wrap=True)
            result = not_taken(f"the demo does not run: {error}")
    if json_file is not None:
        write_result(result, json_file)
    failed = [step.name for step in result.steps if not step.ok]
    took = time.monotonic() - started
    if failed:
        console.print(f"[red]Did not hold:[/red] {', '.join(failed)} ({took:.0f} s)", soft_wrap=True)
        return 1
    console.print(f"[green]All {len(STEPS)} steps held[/green] ({took:.0f} s)")
    return 0


def _take(console: Console, planes: Planes) -> Result:
    with console.status("") as status:

        def show(step: Step) -> None:
            mark = "[green]held[/green]    " if step.ok else "[red]not held[/red]"
            console.print(f"{mark} {step.name:<24} {step.seconds:6.1f} s  ", end="")
            console.print(step.detail, markup=False, soft_wrap=True)

        return take(planes, show, lambda name: status.update(f"{name} …"))


@contextmanager
def running(
    console: Console, folder: Path, without: frozenset[str], agreement: str = ""
) -> Iterator[tuple[Deployment, Callable[[], None], dict[str, list[str]]]]:
    """Give a running demo: the one that runs on `folder` already, or one started for the time of the block.

    Args:
        console: where to say what is being waited for.
        folder: the demo's folder.
        without: processes to leave out when it is started.
        agreement: the file to found a new one under.

    Yields:
        The demo, how to restart it, and by cell what was wrong with the ledger's files before it started.

    Raises:
        DemoError: it does not start.
    """
    folder = folder.resolve()
    oversight = folder / "oversight"
    if is_running(oversight):
        deployment = existing(folder)
        if deployment is None:
            raise DemoError(f"{folder} is in use, but no demo is laid out in it")
        console.print(f"Attached to the demo that runs on {folder}", soft_wrap=True)
        yield deployment, Attached(oversight).restart, {}
        return
    with Supervisor(oversight) as supervisor:
        with console.status("Laying out two cells and their oversight …"):
            deployment = prepare(folder, fixed_ports=False, agreement=agreement)
            at_rest = _look_at_rest(deployment)
        with console.status("Compiling; half a minute the first time …"):
            compile_in_child()
        with console.status("Starting …"):
            supervisor.start(deployment.children(without))
        yield deployment, supervisor.restart, at_rest


def _look_at_rest(deployment: Deployment) -> dict[str, list[str]]:
    seats = deployment.roster()
    return {
        cell: problems_at_rest(
            deployment.cell(cell) / "ledger", Verifier.from_vkey(seats_of(seats, "ledger", cell)[0].vkey)
        )
        for cell in CELLS
    }
