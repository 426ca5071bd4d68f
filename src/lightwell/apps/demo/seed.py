"""Fills a running demo through its public HTTP interfaces: makers sign up, draw, upload and publish."""

import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec

from lightwell.apps.demo.notebook import Notebook, fresh_password
from lightwell.apps.demo.person import Details, Person, Unexpected, slug_of
from lightwell.apps.demo.personas import Clip
from lightwell.apps.demo.pictures import Picture

RENDER_SECONDS = 120
PUBLISH_SECONDS = 300
RETRY_SECONDS = 2.0
_AHEAD = 2
"""Clips of one cell that may be uploaded and not yet published, so that uploads do not pile up."""


class SeedError(Exception):
    """A clip could not be made or published; the message is one line."""


class Seeder:
    """Makes and publishes the demo's clips, one after the other, until all are there or it is told to stop.

    Args:
        urls: address of each cell by name.
        notebooks: what the demo remembers of each cell, by name.
        folder: where a clip lies between being drawn and being uploaded, by cell.
        on_trouble: called with one sentence when a cell refuses a clip; the others are made all the same.
    """

    def __init__(
        self,
        urls: dict[str, str],
        notebooks: dict[str, Notebook],
        folder: dict[str, Path],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._on_trouble = on_trouble
        self._urls = urls
        self._notebooks = notebooks
        self._folder = folder
        self._stop = threading.Event()
        self._waiting: dict[str, list[tuple[Clip, Person, str]]] = {cell: [] for cell in urls}
        self.published: Counter[str] = Counter()

    def stop(self) -> None:
        """Ask `run` to end soon; the clip being drawn is dropped."""
        self._stop.set()

    def run(self, wanted: list[Clip], on_published: Callable[[Clip], None]) -> None:
        """Publish every clip of `wanted` that is not published yet.

        Args:
            wanted: the clips, in the order in which they should appear.
            on_published: called once for each clip that is published, those of earlier runs included.

        Raises:
            SeedError: drawing failed, or a cell refused what it should take.
        """
        with ExitStack() as people:
            makers: dict[str, Person] = {}
            for clip in wanted:
                while not self._stop.is_set():
                    try:
                        self._bring(clip, makers, people, on_published)
                        break
                    except (Unexpected, OSError, ValueError, TimeoutError) as error:
                        if isinstance(error, Unexpected) and slug_of(error.problem) == "suspended-by-order":
                            self._stop.wait(RETRY_SECONDS)
                            continue
                        if self._stop.is_set():
                            return
                        raise SeedError(f"{clip.key}: {error}") from error
                    except httpx.TransportError:
                        # The cell is restarting, or was stopped by hand: the clip waits for it.
                        self._stop.wait(RETRY_SECONDS)
            for cell in self._urls:
                self._settle(cell, 0, on_published)

    def _bring(
        self, clip: Clip, makers: dict[str, Person], people: ExitStack, on_published: Callable[[Clip], None]
    ) -> None:
        cell, handle = clip.maker.cell, clip.maker.handle
        if clip.key in self._notebooks[cell].notes.clips:
            self._publish_counted(clip, on_published)
            return
        if handle not in makers:
            person = people.enter_context(Person(self._urls[cell]))
            enter(person, self._notebooks[cell], handle, clip.maker.name)
            makers[handle] = person
        self._make(clip, makers[handle], on_published)

    def _make(self, clip: Clip, maker: Person, on_published: Callable[[Clip], None]) -> None:
        cell = clip.maker.cell
        file = self._folder[cell] / f"{secrets.token_hex(4)}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            draw(clip.picture, file, self._stop)
            if self._stop.is_set():
                return
            library = sorted(maker.sounds(), key=lambda sound: str(sound["title"]))
            sound_id = library[clip.sound % len(library)]["sound_id"] if library else None
            video_id = maker.make_video(maker.upload(file), clip.caption, sound_id, clip.sound_offset_ms)
        finally:
            file.unlink(missing_ok=True)
        self._notebooks[cell].remember_clip(clip.key, video_id)
        self._waiting[cell].append((clip, maker, video_id))
        self._settle(cell, _AHEAD, on_published)

    def _settle(self, cell: str, allowed: int, on_published: Callable[[Clip], None]) -> None:
        waiting = self._waiting[cell]
        deadline = time.monotonic() + PUBLISH_SECONDS
        while waiting and not self._stop.is_set():
            for entry in list(waiting):
                clip, maker, video_id = entry
                status = maker.video(video_id)["status"]
                if status == "published":
                    waiting.remove(entry)
                    self._publish_counted(clip, on_published)
                elif status == "refused":
                    # Forgotten, so that the next start of the demo makes it again.
                    waiting.remove(entry)
                    self._notebooks[cell].forget_clip(clip.key)
                    self._on_trouble(f"The {cell} cell refused the clip {clip.key}; its log says why.")
            if len(waiting) <= allowed:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the clip is not published after {PUBLISH_SECONDS} s")
            time.sleep(0.3)

    def _publish_counted(self, clip: Clip, on_published: Callable[[Clip], None]) -> None:
        self.published[clip.maker.cell] += 1
        on_published(clip)


def draw(picture: Picture, file: Path, stop: threading.Event, sounding: bool = False) -> None:
    """Render a picture to `file` in a process of its own; once `stop` is set, return without the file.

    Raises:
        SeedError: it failed or took longer than `RENDER_SECONDS`; the last line it wrote is quoted.
    """
    described = msgspec.json.encode(picture).decode()
    command = [sys.executable, "-m", "lightwell.apps.demo.pictures", described, str(file)]
    if sounding:
        command.append("--tone")
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        deadline = time.monotonic() + RENDER_SECONDS
        while process.poll() is None:
            if stop.is_set() or time.monotonic() > deadline:
                process.kill()
                if not stop.is_set():
                    raise SeedError(f"drawing {picture.style!r} took longer than {RENDER_SECONDS} s")
                return
            time.sleep(0.05)
        words = process.stderr.read().decode("utf-8", "replace").strip() if process.stderr else ""
    if process.returncode != 0:
        last = (words.splitlines() or ["no message"])[-1]
        raise SeedError(f"drawing {picture.style!r} failed: {last[:300]}")


def enter(person: Person, notebook: Notebook, handle: str, name: str) -> str:
    """Sign in as an account of the demo, creating it the first time; returns its password.

    Raises:
        Unexpected: the cell refused it.
    """
    known = notebook.password(handle)
    if known is not None:
        person.sign_in(handle, known)
        return known
    password = fresh_password()
    person.sign_up(invented(handle, name, password))
    notebook.remember_account(handle, password)
    return password


def invented(handle: str, name: str, password: str) -> Details:
    """Return sign-up details that belong to nobody: reserved domain, fiction's telephone range."""
    number = secrets.randbelow(10_000)
    born = f"{1960 + secrets.randbelow(45)}-{1 + secrets.randbelow(12):02d}-{1 + secrets.randbelow(28):02d}"
    return Details(
        handle=handle,
        display_name=name,
        password=password,
        # RFC 2606 reserves example.com; 555-01xx is kept for fiction.
        email=f"{handle}.{secrets.token_hex(3)}@example.com",
        phone=f"+1 {200 + number % 700} 555 01{number % 100:02d}",
        birthday=born,
        address=f"{1 + secrets.randbelow(9000)} Lightwell Street",
    )
