"""Structured log lines on standard error in which no protected value can travel, whoever writes them.

An event is a fixed phrase of the code, a field one of `log_fields`; of an exception its kind and place are
kept, since its text may quote data. `guard_process` holds all else that Python would print to the same:
lines of libraries, exceptions that nobody caught, warnings.
"""

import logging
import re
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import msgspec

from lightwell.base.log_fields import Value, admitted, is_declared
from lightwell.base.metrics import Counter

NOT_A_PHRASE: Final = "[not a fixed phrase]"
_ENCODER: Final = msgspec.json.Encoder()
_PHRASE: Final = re.compile(r"[A-Za-z][A-Za-z ,;:'()-]{0,120}")
_FRAMES: Final = 6
_LINES: Final = Counter("log_lines", "Lines of the log, by level.", "level")


class Log:
    """A logger of one part of a process; every line is one JSON object."""

    def __init__(self, name: str) -> None:
        self.name = name

    def info(self, event: str, **fields: Value) -> None:
        """Write that `event` happened.

        Args:
            event: a phrase written out in the calling function, without digits; any other is not written.
            fields: declared in `log_fields`; others are left out, and named.
        """
        self._write("info", _phrase(event, sys._getframe(1).f_code.co_consts), fields)

    def warning(self, event: str, **fields: Value) -> None:
        """Write that `event` happened and somebody should look; as `info`."""
        self._write("warning", _phrase(event, sys._getframe(1).f_code.co_consts), fields)

    def error(self, event: str, error: BaseException | None = None, **fields: Value) -> None:
        """Write that `event` failed, as `info`; of an exception its kind and place are kept, not its text."""
        known = {} if error is None else described(error)
        self._write("error", _phrase(event, sys._getframe(1).f_code.co_consts), fields, known)

    def _write(
        self, level: str, event: str, fields: dict[str, Value], known: dict[str, str] | None = None
    ) -> None:
        line: dict[str, Any] = {"at": round(time.time(), 3), "level": level, "in": self.name, "event": event}
        line |= {name: admitted(name, value) for name, value in fields.items() if is_declared(name)}
        line |= known or {}
        undeclared = sum(not is_declared(name) for name in fields)
        if undeclared:
            line["undeclared"] = undeclared
        _LINES.add(level=level)
        sys.stderr.write(_ENCODER.encode(line).decode() + "\n")
        sys.stderr.flush()


def log(name: str) -> Log:
    """Return the logger of the part called `name`."""
    return Log(name)


def guard_process() -> None:
    """From here on nothing that Python itself prints of this process's work quotes a value.

    Lines of libraries, uncaught exceptions of threads and of the process, those in finalisers, and warnings
    become lines that say who spoke and where, without what was said. Calling it again changes nothing.
    """
    logging.Logger.callHandlers = _of_library  # type: ignore[method-assign, assignment]
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    warnings.showwarning = _warned


def _phrase(event: str, constants: tuple[object, ...]) -> str:
    # A text put together while running is none of the caller's constants.
    return event if event in constants and _PHRASE.fullmatch(event) else NOT_A_PHRASE


def described(error: BaseException) -> dict[str, str]:
    """Return the kind and place of an exception, which are the code's, and nothing of its text."""
    return {"error": type(error).__name__, "where": _where(error.__traceback__)}


def _where(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-_FRAMES:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


_LIBRARIES: Final = Log("libraries")
_PYTHON: Final = Log("python")


def _of_library(_logger: logging.Logger, record: logging.LogRecord) -> None:
    library = record.name.split(".")[0]
    where = f"{Path(record.pathname).name}:{record.lineno}"
    error = record.exc_info[1] if record.exc_info else None
    if record.levelno >= logging.ERROR and error is not None:
        _LIBRARIES.error("a library reports an error", error, library=library)
    elif record.levelno >= logging.ERROR:
        _LIBRARIES.error("a library reports an error", library=library, where=where)
    elif record.levelno >= logging.WARNING:
        _LIBRARIES.warning("a library warns", library=library, where=where)


def _uncaught(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _PYTHON.error("an exception ended the process", error)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _PYTHON.error("an exception ended a thread", args.exc_value)


def _unraisable(unraisable: Any) -> None:
    _PYTHON.error("an exception could not be raised", unraisable.exc_value)


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    _PYTHON.warning("a warning", error=category.__name__, where=f"{Path(filename).name}:{lineno}")
