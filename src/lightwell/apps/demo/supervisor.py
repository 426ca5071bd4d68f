"""The demo's processes: started together, watched, named when one stops, and ended without leftovers."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import httpx
import msgspec

START_SECONDS = 60.0
STOP_SECONDS = 10.0
RESTART_SIGNAL = signal.SIGUSR1
"""Asks a running demo to restart its processes; not SIGHUP, which a closed terminal sends."""
_LOG_KEPT_BYTES = 4 * 1024 * 1024


class DemoError(Exception):
    """The demo cannot go on; the message is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process of the demo.

    Args:
        name: what people call it ("us web").
        command: argument list.
        environment: what is added to this process's own environment.
        log: file that gets its output.
        health: address that answers 200 once it is ready; None if being alive is all there is to ask.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    health: str | None = None


class Process(msgspec.Struct, frozen=True):
    """A running child as other processes can recognise it: a pid alone may be used again."""

    pid: int
    started_ticks: int


class State(msgspec.Struct, frozen=True):
    """What a running demo tells those who want to attach to it.

    `generation` grows with each restart; `restarts` says whether it restarts when it is asked to.
    """

    supervisor: Process
    generation: int
    ready: bool
    restarts: bool
    processes: dict[str, Process]


class Supervisor:
    """Owns the demo's child processes and the lock of its folder.

    Making one takes the lock, and ends what a killed demo left running in the folder.

    Args:
        folder: where the lock and the state are kept (the oversight server's folder).

    Raises:
        DemoError: another demo runs on the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.children: dict[str, Child] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._reported: set[str] = set()
        self._generation = 0
        self._lock = take_lock(folder)
        self._end_leftovers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.release()

    def start(self, children: Iterable[Child], on_ready: Callable[[str], None] = lambda _: None) -> None:
        """Start every child at once and wait until each answers.

        Args:
            children: what to run, in the order in which they are named to people.
            on_ready: called with a child's name when it answers.

        Raises:
            DemoError: a child stopped or did not answer within `START_SECONDS`; its last words are quoted.
        """
        self.children = {child.name: child for child in children}
        self._generation += 1
        self._reported.clear()
        for child in self.children.values():
            self._running[child.name] = _spawn(child)
        self._write_state(ready=False)
        waiting = set(self.children)
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while waiting:
                for name in sorted(waiting):
                    self._refuse_dead(name)
                    if _answers(client, self.children[name].health):
                        waiting.discard(name)
                        on_ready(name)
                if waiting and time.monotonic() > deadline:
                    name = sorted(waiting)[0]
                    raise DemoError(f"{name} did not answer within {START_SECONDS:.0f} s{self._words(name)}")
                time.sleep(0.1)
        self._write_state(ready=True)

    def stop(self) -> None:
        """End every child: ask, wait up to `STOP_SECONDS`, then kill what is left with its own children."""
        for process in self._running.values():
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.05, deadline - time.monotonic()))
            # The group, not the process: a web server's workers must not outlive it, however it ended.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()
        self._write_state(ready=False)

    def restart(self) -> None:
        """Stop every child and start all of them again; errors as `start`."""
        self.stop()
        self.start(list(self.children.values()))

    def newly_stopped(self) -> list[str]:
        """Return one sentence for each child that has stopped by itself since the last call.

        Nothing is started again: a process that ends is something to look at.
        """
        sentences = []
        for name, process in self._running.items():
            code = process.poll()
            if code is not None and name not in self._reported:
                self._reported.add(name)
                how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
                sentences.append(f"{name} has stopped {how}{self._words(name)}")
        return sentences

    def peak_memory(self) -> dict[str, int]:
        """Return the peak resident bytes of each running child, its own children included."""
        return {
            name: sum(_peak_bytes(pid) for pid in _family(process.pid))
            for name, process in self._running.items()
        }

    def release(self) -> None:
        """Give up the lock, so that another demo may use the folder."""
        (self._folder / "demo.state").unlink(missing_ok=True)
        self._lock.close()

    def _refuse_dead(self, name: str) -> None:
        code = self._running[name].poll()
        if code is not None:
            self._reported.add(name)
            raise DemoError(f"{name} stopped at once with exit code {code}{self._words(name)}")

    def _words(self, name: str) -> str:
        log = self.children[name].log
        lines = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
        last = f": {lines[-1][:300]}" if lines else ""
        return f"{last} (log: {log})"

    def _write_state(self, *, ready: bool) -> None:
        state = State(
            supervisor=_recognise(os.getpid()),
            generation=self._generation,
            ready=ready,
            restarts=signal.getsignal(RESTART_SIGNAL) not in (signal.SIG_DFL, signal.SIG_IGN),
            processes={name: _recognise(p.pid) for name, p in self._running.items() if p.poll() is None},
        )
        draft = self._folder / "demo.state.new"
        draft.write_bytes(msgspec.json.encode(state))
        draft.replace(self._folder / "demo.state")

    def _end_leftovers(self) -> None:
        # A supervisor that was killed could not end its children; they still hold ports and databases.
        state = read_state(self._folder)
        for process in state.processes.values() if state else ():
            if process.started_ticks and _recognise(process.pid) == process:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)


class Attached:
    """A demo that runs already, in another terminal, on the same folder.

    Args:
        folder: the oversight server's folder of that demo.

    Raises:
        DemoError: the folder is locked, but what holds it has left no state.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if read_state(folder) is None:
            raise DemoError(f"{folder} is in use, but the demo that uses it has left no state to attach to")

    def restart(self) -> None:
        """Ask the running demo to restart all of its processes, and wait until they answer again.

        Raises:
            DemoError: it ended, or did not finish within twice `START_SECONDS`.
        """
        before = read_state(self._folder)
        if before is None:
            raise DemoError("the running demo has ended")
        if not before.restarts:
            raise DemoError("what runs on this folder is another check, which restarts for itself only")
        os.kill(before.supervisor.pid, RESTART_SIGNAL)
        deadline = time.monotonic() + 2 * START_SECONDS
        while time.monotonic() < deadline:
            state = read_state(self._folder)
            if state is not None and state.generation > before.generation and state.ready:
                return
            time.sleep(0.2)
        raise DemoError("the running demo did not come back after the restart")


def take_lock(folder: Path) -> IO[str]:
    """Lock `folder` for one demo; the lock lasts until the returned file is closed or the process ends.

    Raises:
        DemoError: another demo holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "demo.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise DemoError(f"a demo is running on {folder.parent} already") from error
    return lock


def is_running(folder: Path) -> bool:
    """Tell whether a demo holds the lock of `folder`."""
    try:
        take_lock(folder).close()
    except DemoError:
        return True
    return False


def read_state(folder: Path) -> State | None:
    """Return what the demo on `folder` last wrote about itself; None if there is nothing readable."""
    try:
        return msgspec.json.decode((folder / "demo.state").read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return None


def _spawn(child: Child) -> subprocess.Popen[bytes]:
    child.log.parent.mkdir(parents=True, exist_ok=True)
    if child.log.exists() and child.log.stat().st_size > _LOG_KEPT_BYTES:
        child.log.replace(child.log.with_suffix(".log.old"))
    with child.log.open("ab") as log:
        # Its own session: Ctrl-C in the terminal reaches this process alone, which then ends the others
        # in order.
        return subprocess.Popen(
            child.command,
            env={**os.environ, **child.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _answers(client: httpx.Client, health: str | None) -> bool:
    if health is None:
        return True
    try:
        return client.get(health).status_code == 200
    except httpx.HTTPError:
        return False


def _recognise(pid: int) -> Process:
    try:
        # Field 22 of /proc/<pid>/stat (proc(5)); the command in brackets may hold spaces.
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        ticks = 0
    return Process(pid, ticks)


def _family(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _family(int(child))
    return found


def _peak_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
