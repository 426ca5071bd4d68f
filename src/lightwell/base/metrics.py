"""Counters of a process whose labels are declared: no protected field can be one, and no value is free text.

Each process writes its counters as a file in the OpenMetrics text format, which the collector of the cell's
own machine reads; there is no address that would answer with them.
"""

import os
import threading
from pathlib import Path
from typing import Final

from lightwell.base.labels import Label, declare, make_label
from lightwell.base.log_fields import WITHHELD, WORD, Form

WRITE_SECONDS: Final = 10.0
FOLDER: Final = "metrics"
_MACHINE: Final = make_label("system.operations", "interop")
_MOST_SERIES: Final = 1000


class Counter:
    """A number that only grows, for each combination of its labels' values.

    Args:
        name: without `lightwell_` and `_total`, which are added.
        help: what is counted, one sentence.
        labels: names of labels whose values are words (`log_fields.WORD`) about the machinery.
        more: further labels with a label of their own and the form of their values.

    Raises:
        UnlabelledError: a label of `more` has no label or a protected one.
    """

    def __init__(self, name: str, help: str, *labels: str, **more: tuple[Label, Form]) -> None:  # noqa: A002  OpenMetrics' word
        self.name = f"lightwell_{name}"
        self.help = help
        self._forms: dict[str, Form] = {}
        for label, (given, form) in {**dict.fromkeys(labels, (_MACHINE, WORD)), **more}.items():
            declare("metric", name, label, given)
            self._forms[label] = form
        self._values: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()
        _counters.append(self)

    def add(self, by: int = 1, **labels: str) -> None:
        """Count `by` more; a value that has not its label's form is counted as withheld.

        Args:
            by: how many.
            labels: one value for each label.

        Raises:
            TypeError: not exactly the declared labels; it names none of the values.
        """
        if labels.keys() != self._forms.keys():
            raise TypeError(f"{self.name} has the labels {sorted(self._forms)}")
        key = tuple(labels[name] if form(labels[name]) else WITHHELD for name, form in self._forms.items())
        with self._lock:
            if key in self._values or len(self._values) < _MOST_SERIES:
                self._values[key] = self._values.get(key, 0) + by

    def lines(self) -> list[str]:
        """Return the counter in the OpenMetrics text format."""
        found = [f"# TYPE {self.name} counter", f"# HELP {self.name} {self.help}"]
        with self._lock:
            for key, value in sorted(self._values.items()):
                pairs = ",".join(f'{name}="{one}"' for name, one in zip(self._forms, key, strict=True))
                found.append(f"{self.name}_total{{{pairs}}} {value}")
        return found


_counters: Final[list[Counter]] = []


def written() -> str:
    """Return every counter of this process in the OpenMetrics text format (version 1.0.0)."""
    return "\n".join([line for counter in _counters for line in counter.lines()] + ["# EOF", ""])


def run(folder: Path, process: str, stop: threading.Event) -> None:
    """Keep `metrics/<process>-<pid>.prom` in the cell's folder up to date until `stop` is set.

    Args:
        folder: the cell's.
        process: this process's name.
        stop: set to end; the file goes with the process.
    """
    place = folder / FOLDER
    place.mkdir(mode=0o750, exist_ok=True)
    file = place / f"{process}-{os.getpid()}.prom"
    try:
        while not stop.wait(WRITE_SECONDS):
            draft = file.with_suffix(".new")
            draft.write_text(written(), "utf-8")
            draft.replace(file)
    finally:
        file.unlink(missing_ok=True)
