"""`lightwell demo`: keeps two cells and their oversight running, filled and lively, until Ctrl-C."""

import signal
import threading
import time
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lightwell.apps.compiling import compile_in_child
from lightwell.apps.demo.deployment import CELLS, Deployment, prepare
from lightwell.apps.demo.diary import Diary
from lightwell.apps.demo.notebook import Notebook
from lightwell.apps.demo.person import Person, Unexpected
from lightwell.apps.demo.personas import DEMO_VIEWER, Clip, clips
from lightwell.apps.demo.seed import Seeder, SeedError, enter
from lightwell.apps.demo.signins import show_addresses, show_sign_ins, show_what_to_try
from lightwell.apps.demo.supervisor import RESTART_SIGNAL, Supervisor
from lightwell.apps.demo.viewers import Viewers

_TURN_SECONDS = 0.25


def run(console: Console, folder: Path, without: frozenset[str], agreement: str = "") -> None:
    """Run the demo in `folder` until KeyboardInterrupt; then end every process in order.

    Args:
        console: where to speak.
        folder: the demo's folder; made if it is not there.
        without: `oversight` or `cleanroom`, to leave it out.
        agreement: the file to found a new demo under.

    Raises:
        DemoError: another demo runs on the folder, or a process does not start.
    """
    began = time.monotonic()
    restart = threading.Event()
    # Before anything starts: until there is a handler, the signal would end this process.
    signal.signal(RESTART_SIGNAL, lambda *_: restart.set())
    with Supervisor(folder.resolve() / "oversight") as supervisor:
        with console.status("Laying out two cells and their oversight …"):
            deployment = prepare(folder, fixed_ports=True, agreement=agreement)
        with console.status("Compiling; half a minute the first time …"):
            compile_in_child()
        with console.status("Starting their processes …"):
            supervisor.start(deployment.children(without))
        show_addresses(console, deployment)
        life = _Life(console, deployment, began)
        try:
            life.start()
            _watch(supervisor, life, restart)
        except KeyboardInterrupt:
            console.print("\nStopping …")
        finally:
            # A second Ctrl-C would leave processes behind: ending takes ten seconds at most.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            life.stop()
    console.print("Stopped. The same command goes on where this ended.")


def _watch(supervisor: Supervisor, life: "_Life", restart: threading.Event) -> None:
    while True:
        if restart.is_set():
            restart.clear()
            life.say("Restarting every process …")
            supervisor.restart()
            life.say("All of them answer again.")
        for sentence in supervisor.newly_stopped():
            life.say(f"[red]{sentence}[/red]")
        for sentence in life.news():
            life.say(f"[red]{sentence}[/red]")
        time.sleep(_TURN_SECONDS)


class _Life:
    """The makers and viewers of a running demo, and the progress bar that shows them."""

    def __init__(self, console: Console, deployment: Deployment, began: float) -> None:
        self._console = console
        self._deployment = deployment
        self._began = began
        self._urls = {cell: deployment.urls[cell] for cell in CELLS}
        self._notebooks = {cell: Notebook(deployment.cell(cell)) for cell in CELLS}
        folders = {cell: deployment.cell(cell) / "drawn" for cell in CELLS}
        self._seeder = Seeder(self._urls, self._notebooks, folders, self._note)
        diaries = {cell: Diary(deployment.cell(cell)) for cell in CELLS}
        self._viewers = Viewers(self._urls, self._notebooks, diaries, self._note)
        self._wanted = clips()
        self._news: list[str] = []
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("Clips published", total=len(self._wanted))
        self._watchable = threading.Event()
        self._threads = [
            threading.Thread(target=self._make, name="makers", daemon=True),
            threading.Thread(target=self._greet, name="greeter", daemon=True),
        ]
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to publish clips; viewers come once there is something to watch."""
        self._progress.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End makers and viewers; what they have published stays."""
        self._ended.set()
        self._seeder.stop()
        self._watchable.set()
        self._viewers.stop()
        for thread in self._threads:
            thread.join(10)
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line above the progress bar."""
        self._progress.console.print(line, soft_wrap=True)

    def news(self) -> list[str]:
        """Return what went wrong since the last call, each sentence once."""
        with self._lock:
            found, self._news = self._news, []
        return found

    def _note(self, sentence: str) -> None:
        with self._lock:
            self._news.append(sentence)

    def _make(self) -> None:
        try:
            self._seeder.run(self._wanted, self._count)
        except SeedError as error:
            self._note(f"No further clips are made: {error}")
        if not self._ended.is_set() and self._progress.finished:
            self._progress.stop()
            self._console.print("Every clip is published; the viewers go on watching. Ctrl-C stops.")

    def _count(self, clip: Clip) -> None:
        self._progress.advance(self._task)
        if clip.maker.cell == "us":
            self._watchable.set()

    def _greet(self) -> None:
        """Wait for the first feed that can be watched, then say who can sign in where."""
        self._watchable.wait()
        with Person(self._urls["us"]) as you:
            while not self._ended.is_set():
                try:
                    enter(you, self._notebooks["us"], DEMO_VIEWER.handle, DEMO_VIEWER.name)
                    if you.feed("for_you", 3)["items"]:
                        break
                except (httpx.HTTPError, Unexpected):
                    pass  # the snapshot with the first clip is on its way; ask again
                self._ended.wait(0.3)
        if self._ended.is_set():
            return
        took = time.monotonic() - self._began
        self.say(f"\n[green]The first feed can be watched[/green] after {took:.1f} s: {self._urls['us']}")
        show_sign_ins(self._progress.console, self._deployment, self._notebooks)
        show_what_to_try(self._progress.console, self._deployment)
        self._viewers.start()
