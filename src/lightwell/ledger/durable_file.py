"""A small file is whole and durable under its name, or what stood there before still is."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def save(path: Path, data: bytes) -> None:
    """Write `data` to `path` by way of a new file beside it, and return once it would survive a power cut.

    What is no regular file (a pipe, a terminal) is written to as it is.

    Raises:
        OSError: it cannot be written; nothing is then left behind.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
