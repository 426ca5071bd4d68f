"""A child process that sees only one folder, has no network and is stopped at its limits."""

import contextlib
import functools
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lightwell.base.labels import declare_cache

declare_cache("base.confine", "which sandbox the machine has", "system.operations", "interop")

Stopped = Literal["wall", "cpu", "file-size", "output", "killed"]

_INSIDE = "/w"
_STDERR_BYTES = 128 * 1024
# POSIX sh sets the limits between fork and exec: a preexec function of ours could deadlock in a process
# with threads, and prlimit from outside would come after the child had begun.
_LIMITED = (
    'ulimit -c 0 && ulimit -t "$1" && ulimit -v "$2" && ulimit -f "$3" && ulimit -n "$4" || exit 125\n'
    '{ ulimit -u "$5" || ulimit -p "$5"; } 2>/dev/null\n'
    'shift 5; exec "$@"'
)


ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": _INSIDE, "MALLOC_ARENA_MAX": "2"}
"""All that a child finds in its environment."""

_lock = threading.Lock()
_children: set[subprocess.Popen[bytes]] = set()
_interrupted = threading.Event()


class InterruptedRun(BaseException):  # like KeyboardInterrupt: not a fault of what was run
    """The process is ending: the run was given up and says nothing about its input."""


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    `cpu_seconds` is summed over its threads; `memory_bytes` is address space; `file_bytes` bounds each
    file it writes; `output_bytes` bounds its standard output.
    """

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    output_bytes: int = 4 * 1024 * 1024
    open_files: int = 64
    processes: int = 128


@dataclass(frozen=True)
class Finished:
    """How a run ended: its exit code, what it said, and the limit that stopped it, if one did."""

    code: int
    stdout: bytes
    stderr: str
    stopped: Stopped | None


def run(program: Path, arguments: Sequence[str], folder: Path, limits: Limits) -> Finished:
    """Run `program` confined and wait for it.

    Under bubblewrap it sees the system's libraries read-only and `folder`, which is its working folder,
    and nothing else: no network, no other process, no privilege. Where bubblewrap does not work, the
    resource limits, the empty environment and the process group still hold.

    Args:
        program: an executable file.
        arguments: its arguments; paths must be relative to `folder`.
        folder: an existing folder, readable and writable by the child.
        limits: what the run may use.

    Raises:
        OSError: the child could not be started at all.
        InterruptedRun: `interrupt` was called.
    """
    command = command_line(program, arguments, folder, limits)
    with _lock:
        if _interrupted.is_set():
            raise InterruptedRun
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        _children.add(child)
    try:
        stdout, stderr, stopped = _listen(child, limits)
    finally:
        _kill_group(child)
        with _lock:
            _children.discard(child)
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()
    if _interrupted.is_set():
        raise InterruptedRun
    return Finished(child.returncode, stdout, stderr, stopped or _stopped_by(child.returncode))


def command_line(
    program: Path,
    arguments: Sequence[str],
    folder: Path,
    limits: Limits,
    *,
    libraries: Sequence[Path] = (),
    is_read_only: bool = False,
) -> list[str]:
    """Return the command that runs `program` confined; arguments as in `run`.

    Args:
        libraries: further folders that it sees, read-only and under their own names.
        is_read_only: whether it may only read `folder`.
    """
    program = program.resolve()
    limiter = [
        "-c",
        _LIMITED,
        "sh",
        str(limits.cpu_seconds),
        str(limits.memory_bytes // 1024),
        str(limits.file_bytes // 512),
        str(limits.open_files),
        str(limits.processes),
    ]
    wrapped = bubblewrap()
    if wrapped is None:
        return ["/bin/sh", *limiter, str(program), *arguments]
    wrapping = _wrapping(wrapped, program, folder, libraries, is_read_only)
    return [*wrapping, "/sh", *limiter, "/program", *arguments]


def watch(child: subprocess.Popen[bytes]) -> None:
    """Let `interrupt` reach a child that another module started with `start_new_session`.

    Raises:
        InterruptedRun: `interrupt` was called; the child is killed.
    """
    with _lock:
        _children.add(child)
        ending = _interrupted.is_set()
    if ending:
        end(child)
        raise InterruptedRun


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill a watched child with all its children, and close its pipes."""
    _kill_group(child)
    with _lock:
        _children.discard(child)
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def interrupt() -> None:
    """Kill every child of this process and let none begin: for a process that is about to end."""
    with _lock:
        _interrupted.set()
        for child in _children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def resume() -> None:
    """Let children begin again after `interrupt`."""
    _interrupted.clear()


@functools.cache
def bubblewrap() -> str | None:
    """Return the path of a bubblewrap that works here, or None; probed once in a process."""
    found = shutil.which("bwrap")
    if found is None or os.environ.get("LIGHTWELL_BUBBLEWRAP") == "off":
        return None
    true = shutil.which("true")
    if true is None:
        return None
    command = [*_wrapping(found, Path(true), Path("/tmp")), "/sh", "-c", "/program"]  # noqa: S108  a folder that exists
    try:
        probe = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if probe.returncode == 0 else None


def _wrapping(
    bwrap: str, program: Path, folder: Path, libraries: Sequence[Path] = (), is_read_only: bool = False
) -> list[str]:
    arguments = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    arguments += ["--hostname", "confined", "--dev", "/dev"]
    for library in ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64"):
        if os.path.islink(library):
            arguments += ["--symlink", os.readlink(library), library]
        elif os.path.isdir(library):
            arguments += ["--ro-bind", library, library]
    for file in ("/etc/ld.so.cache", "/etc/alternatives"):
        arguments += ["--ro-bind-try", file, file]
    arguments += ["--ro-bind", os.path.realpath("/bin/sh"), "/sh", "--ro-bind", str(program), "/program"]
    for extra in libraries:
        arguments += ["--ro-bind", str(extra), str(extra)]
    bind = "--ro-bind" if is_read_only else "--bind"
    return [*arguments, bind, str(folder.resolve()), _INSIDE, "--chdir", _INSIDE]


def _listen(child: subprocess.Popen[bytes], limits: Limits) -> tuple[bytes, str, Stopped | None]:
    stdout, head, tail = bytearray(), bytearray(), bytearray()
    deadline = time.monotonic() + limits.wall_seconds
    stopped: Stopped | None = None
    with selectors.DefaultSelector() as selector:
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and stopped is None:
            left = deadline - time.monotonic()
            if left <= 0:
                stopped = "wall"
                break
            for key, _ in selector.select(left):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is child.stdout:
                    stdout += data
                    if len(stdout) > limits.output_bytes:
                        stopped = "output"
                elif len(head) < _STDERR_BYTES:
                    head += data
                else:
                    # The beginning says what the input is, the end says why it failed; the middle repeats.
                    tail = (tail + data)[-_STDERR_BYTES:]
    if stopped is None:
        try:
            child.wait(max(deadline - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            stopped = "wall"
    return bytes(stdout), (head + tail).decode("utf-8", "replace"), stopped


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _stopped_by(code: int) -> Stopped | None:
    # A shell or bubblewrap between us and the child reports a signal as 128 + its number.
    number = -code if code < 0 else code - 128
    by_signal: dict[int, Stopped] = {
        signal.SIGXCPU: "cpu",
        signal.SIGXFSZ: "file-size",
        signal.SIGKILL: "killed",
    }
    return by_signal.get(number)
