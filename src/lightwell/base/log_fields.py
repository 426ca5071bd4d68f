"""The closed list of what a log line may hold: each field with its label and the one form of its values.

A field that is not here is left out of the line, and a value that has not its field's form is withheld: no
form takes an e-mail address, a telephone number, an address of the network or a sentence.
"""

import re
from collections.abc import Callable
from typing import Final

from lightwell.base.labels import Label, declare, make_label

Value = str | int | float | bool | None
Form = Callable[[Value], bool]

WITHHELD: Final = "[withheld]"
PROTECTED: Final = "[protected]"
_MOST: Final = 10**9


def text(pattern: str) -> Form:
    """Return the form of texts that match `pattern` as a whole."""
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _is_count(value: Value) -> bool:
    # A telephone number has ten digits or more.
    return type(value) is int and 0 <= value < _MOST


WORD: Final = text(r"[a-z]{1,24}([-_.][a-z]{1,24}){0,7}")
"""A slug or the name of a part: letters with hyphens, never digits."""
FAULT: Final = text(r"[A-Za-z]{0,40}(Error|Exception|Problem|Refused|Warning|Interrupt|Exit|Timeout|Fault)")
"""The name of a kind of exception."""
HEX: Final = text(r"(?=.*[a-f])([0-9a-f]{16}|[0-9a-f]{64})")
"""A random id or a digest."""
PLACE: Final = text(r"([\w.<>-]{1,60}:\d{1,6})?( < [\w.<>-]{1,60}:\d{1,6}){0,7}")
"""Files and lines, the innermost first."""
NAME: Final = text(r"[a-z][a-z0-9-]{0,31}")
"""A cell's name."""
ORIGIN: Final = text(r"https?://[a-z0-9.-]{1,100}(:\d{1,5})?(/[a-z._-]{1,30}){0,3}/?")
"""Where a known server answers: no query, nobody's name."""
ROUTE: Final = text(r"\?|/[A-Za-z/_{}:.-]{0,100}")
"""A route as it was written, with its parameters unfilled."""
COUNT: Final[Form] = _is_count
"""A whole number below a milliard."""

_fields: Final[dict[str, tuple[Label, Form]]] = {}


def declare_field(name: str, label: Label, form: Form) -> None:
    """Let log lines hold a field.

    Args:
        name: as it is written in the line.
        label: what it is; of a protected field the line says that it was there, never its value.
        form: says whether a value is one; any other is withheld.

    Raises:
        UnlabelledError: there is no label.
    """
    _fields[name] = (declare("log", "line", name, label), form)


def admitted(name: str, value: Value) -> Value:
    """Return what a line may say of a field's value.

    Raises:
        KeyError: the field is not declared.
    """
    label, form = _fields[name]
    if label.residency == "protected":
        return PROTECTED
    return value if value is None or form(value) else WITHHELD


def is_declared(name: str) -> bool:
    """Say whether lines may hold this field."""
    return name in _fields


_MACHINE: Final = make_label("system.operations", "interop")
for _name, _form in {
    "cell": NAME,
    "digest": HEX,
    "error": FAULT,
    "library": text(r"[A-Za-z][A-Za-z_.]{0,60}"),
    "peer": NAME,
    "process": WORD,
    "reason": WORD,
    "route": ROUTE,
    "sequence": COUNT,
    "shard": COUNT,
    "thread": WORD,
    "transfer": HEX,
    "version": COUNT,
    "video": HEX,
    "where": PLACE,
    "why": lambda value: WORD(value) or FAULT(value),
    "witness": ORIGIN,
}.items():
    declare_field(_name, _MACHINE, _form)
