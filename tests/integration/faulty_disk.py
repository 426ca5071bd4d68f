"""A disk that fails as asked: it is full, tears writes, loses what was not synced, or the machine dies.

`FaultyDisk` stands where the ledger's folder has the module `os`. Every call is a step; at the step that a
`Fault` names, its kind happens. The real fsync is left out: what it promises is kept account of instead, so
that a power cut can take back everything that no fsync has made safe.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

DISK_STEPS = ("open", "write", "fsync", "replace", "mkdir", "unlink", "rmdir")
DATABASE_STEPS = ("sql", "commit", "committed")
KINDS: dict[str, tuple[str, ...]] = {
    "kill": DISK_STEPS + DATABASE_STEPS,
    "power cut": DISK_STEPS + DATABASE_STEPS,
    "lost rename": ("fsync", "replace", "sql", "committed"),
    "torn write": ("write",),
    "ENOSPC": ("open", "write", "mkdir", "replace", "sql", "commit"),
    "EIO": ("open", "write", "mkdir", "replace", "unlink", "rmdir", "sql", "commit"),
    "EIO though done": ("write", "mkdir", "replace", "unlink", "committed"),
    "fsync error": ("fsync",),
}
"""Each kind of fault, and the steps at which it can happen."""


@dataclass(frozen=True)
class Fault:
    """`kind` happens at the step numbered `at`, of those at which it can."""

    kind: str
    at: int


class FaultyDisk:
    """Stands in for the module `os`.

    Args:
        fault: what happens, and when; None for a disk that works.
        seed: of the choices that a power cut makes.
        forgets: an fsync then promises nothing, as on a disk that lies.
    """

    def __init__(self, fault: Fault | None, seed: int, forgets: bool = False) -> None:
        self.fault = fault
        self.is_on = False
        """Faults happen and steps are counted only while this is set."""
        self.steps = 0
        self._dice = random.Random(seed)
        self._forgets = forgets
        self._paths: dict[int, Path] = {}
        self._safe_bytes: dict[Path, int] = {}
        self._unsafe: list[tuple[str, Path, bytes | None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        with self._step("open"):
            descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = Path(path)
        if flags & os.O_TRUNC:
            self._safe_bytes[Path(path)] = 0
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        if self._is_now("write") and self.fault and self.fault.kind == "torn write":
            os.write(descriptor, bytes(data)[: len(data) // 2])
            self._die()
        with self._step("write", counted=True):
            return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        path = self._paths[descriptor]
        if self._is_now("fsync") and self.fault and self.fault.kind == "fsync error":
            # The kernel has dropped the pages; a later fsync would report success.
            if path.is_file():
                os.truncate(path, self._safe_bytes.get(path, 0))
            raise OSError(errno.EIO, "Input/output error")
        with self._step("fsync", counted=True):
            if self._forgets:
                return
            if path.is_dir():
                self._unsafe = [one for one in self._unsafe if one[1].parent != path]
            else:
                self._safe_bytes.pop(path, None)

    def replace(self, source: Path, target: Path) -> None:
        with self._step("replace"):
            old = target.read_bytes() if target.exists() else None
            os.replace(source, target)
            self._unsafe.append(("replace", Path(target), old))
            if source in self._safe_bytes:
                self._safe_bytes[Path(target)] = self._safe_bytes.pop(source)

    def mkdir(self, path: Path) -> None:
        with self._step("mkdir"):
            os.mkdir(path)
            self._unsafe.append(("mkdir", Path(path), None))

    def unlink(self, path: Path) -> None:
        with self._step("unlink"):
            old = Path(path).read_bytes()
            os.unlink(path)
            self._unsafe.append(("unlink", Path(path), old))

    def rmdir(self, path: Path) -> None:
        with self._step("rmdir"):
            os.rmdir(path)

    def database_step(self, name: str) -> None:
        """Count a step of the database; a power cut there takes what the folder had not made safe."""
        with self._step(name, error=OperationalError("injected", None, Exception("disk I/O error"))):
            pass

    @contextlib.contextmanager
    def _step(self, name: str, counted: bool = False, error: Exception | None = None) -> Any:
        is_now = self._is_now(name, count=not counted)
        kind = self.fault.kind if self.fault and is_now else ""
        if kind == "kill":
            self._die()
        if kind == "power cut":
            self._cut_power(lose_all=False)
        if kind == "lost rename":
            self._cut_power(lose_all=True)
        if kind in {"ENOSPC", "EIO"}:
            raise error or OSError(getattr(errno, kind), "injected")
        yield
        if kind == "EIO though done":
            raise error or OSError(errno.EIO, "injected")

    def _is_now(self, name: str, count: bool = True) -> bool:
        """Count the step, once, and say whether the fault is to happen at it."""
        if not self.is_on or self.fault is None or name not in KINDS[self.fault.kind]:
            return False
        if count:
            self.steps += 1
        return self.steps == self.fault.at

    def _cut_power(self, lose_all: bool) -> None:
        for path, safe in self._safe_bytes.items():
            if path.is_file():
                os.truncate(path, self._dice.randint(safe, max(safe, path.stat().st_size)))
        for what, path, old in reversed(self._unsafe):
            if not lose_all and self._dice.random() < 0.5:
                continue
            if what == "mkdir":
                shutil.rmtree(path, ignore_errors=True)
            elif old is not None and path.parent.is_dir():
                path.write_bytes(old)
            elif old is None:
                path.unlink(missing_ok=True)
        self._die()

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
