"""Structured log lines on standard error that have no field in which protected data could travel."""

import sys
import time
import traceback
from pathlib import Path
from typing import Final

import msgspec

_ENCODER: Final = msgspec.json.Encoder()
_MAX_VALUE_CHARACTERS: Final = 300


class Log:
    """A logger of one part of a process; every line is one JSON object."""

    def __init__(self, name: str) -> None:
        self.name = name

    def info(self, event: str, **fields: str | float | bool | None) -> None:
        """Write that `event` (a fixed phrase) happened, with short values that are not about a person."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: str | float | bool | None) -> None:
        """Write that `event` happened and somebody should look."""
        self._write("warning", event, fields)

    def error(
        self, event: str, error: BaseException | None = None, **fields: str | float | bool | None
    ) -> None:
        """Write that `event` failed; of an exception its type and place are kept, its text may quote data."""
        if error is not None:
            fields["error"] = type(error).__name__
            fields["where"] = _where(error)
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, str | float | bool | None]) -> None:
        line = {
            "at": round(time.time(), 3),
            "level": level,
            "in": self.name,
            "event": event,
            **{k: v[:_MAX_VALUE_CHARACTERS] if isinstance(v, str) else v for k, v in fields.items()},
        }
        sys.stderr.write(_ENCODER.encode(line).decode() + "\n")
        sys.stderr.flush()


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


def log(name: str) -> Log:
    """Return the logger of the part called `name`."""
    return Log(name)
