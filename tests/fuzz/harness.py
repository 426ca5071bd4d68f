"""Runs a target under libFuzzer (atheris) in a process of its own, and tells what broke it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGETS = "tests.fuzz.targets"
INPUT_SECONDS = 5
"""An input that takes longer is a hang."""
MEMORY_MEGABYTES = 1024
"""A process that needs more is broken."""


@dataclass(frozen=True)
class Outcome:
    """What one run came to."""

    target: str
    inputs: int
    """How many were run."""
    seconds: float
    broke: bytes | None
    """The input that broke it; None if none did."""
    said: str
    """The last of what the process wrote: of a failure, why."""


class FuzzError(RuntimeError):
    """The fuzzing process did not do what it should have, other than by a finding."""


def fuzz(name: str, inputs: int, module: str = TARGETS, seed: int = 0) -> Outcome:
    """Run one target.

    Args:
        name: of the target.
        inputs: how many to run.
        module: where its `TARGETS` are.
        seed: of the fuzzer's choices; 0 for fresh ones.

    Raises:
        FuzzError: the process ended neither well nor with a finding.
    """
    target = importlib.import_module(module).TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="lightwell-fuzz-") as made:
        folder = Path(made)
        (folder / "corpus").mkdir()
        for number, data in enumerate(target.seeds):
            (folder / "corpus" / str(number)).write_bytes(data)
        (folder / "words").write_text(_dictionary(), "ascii")
        # By way of a small shell: a process inherits the peak of the memory of the one that starts it.
        command = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]
        command += [sys.executable, "-m", "tests.fuzz.child", module, name, str(folder / "corpus")]
        command += [
            f"-runs={inputs}",
            f"-seed={seed}",
            f"-max_len={target.longest}",
            f"-timeout={INPUT_SECONDS}",
        ]
        command += [f"-rss_limit_mb={MEMORY_MEGABYTES}", f"-dict={folder / 'words'}", "-print_final_stats=1"]
        command += [f"-artifact_prefix={folder}/broke-", "-verbosity=1", "-detect_leaks=0"]
        begun = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        seconds = time.monotonic() - begun
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        broke = next((path.read_bytes() for path in sorted(folder.glob("broke-*"))), None)
        counted = re.search(r"stat::number_of_executed_units: *(\d+)", said)
    if broke is None and (done.returncode or counted is None):
        raise FuzzError(f"{name}: the process ended with {done.returncode}\n{said[-3000:]}")
    return Outcome(name, int(counted[1]) if counted else 0, seconds, broke, _tail(said))


def _dictionary() -> str:
    from tests.fuzz.registry import WORDS

    quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "surrogateescape")) for word in WORDS)
    return "".join(f'"{word}"\n' for word in quoted)


def _tail(said: str) -> str:
    """Return the Python traceback if there is one, else the last lines."""
    _, found, traceback = said.partition("=== Uncaught Python exception: ===")
    return (traceback if found else said)[:3000] if found else said[-3000:]
