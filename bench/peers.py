"""The environment of its own in which peers run, made once from hashed requirements."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
PLACE = _ROOT / "build" / "peers"
LOCK = _ROOT / "requirements" / "bench-peers.lock"


def environment() -> Path | None:
    """Return the peers' Python, made at the first call; None if it cannot be made here."""
    python = PLACE / "bin" / "python"
    if not (PLACE / "done").exists():
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r")
        for command in ([sys.executable, "-m", "venv", str(PLACE)], [str(python), *install, str(LOCK)]):
            if subprocess.run(command, check=False).returncode:
                return None
        (PLACE / "done").touch()
    return python
