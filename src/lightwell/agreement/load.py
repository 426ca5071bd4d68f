"""Text to agreement, or an error that names the line and the reason."""

from __future__ import annotations

import hashlib
import re
import tomllib
from typing import Any

import msgspec

from lightwell.agreement.locate import Path, line_of, path_of
from lightwell.agreement.model import Agreement
from lightwell.agreement.validate import findings
from lightwell.wire import canonical


class AgreementError(ValueError):
    """The text is no valid agreement.

    `line` counts from 1; `reason` is one sentence for people.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def parse(text: str) -> Agreement:
    """Read an agreement file.

    Args:
        text: TOML 1.0, in the layout of `agreements/us-2022-draft.toml`.

    Returns:
        The agreement, with every reference inside it resolved and every rule of `validate` kept.

    Raises:
        AgreementError: the first thing that is wrong, with its line.
    """
    data = parse_toml(text)
    try:
        found = msgspec.convert(data, Agreement)
    except msgspec.ValidationError as error:
        reason, path = explain_mismatch(str(error))
        raise AgreementError(line_of(text, path), reason) from None
    for path, reason in findings(found):
        raise AgreementError(line_of(text, path), reason)
    return found


def parse_toml(text: str) -> dict[str, Any]:
    """Read TOML text; errors are AgreementError with the line that tomllib names."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(place.group(1)) if place else text.count("\n") + 1
        raise AgreementError(line, re.sub(r" \(at .*\)$", "", str(error)) + ".") from None


def digest(agreement: Agreement) -> str:
    """Hash an agreement's content as lowercase hex sha256 of its canonical JSON.

    Comments and layout of the file do not count, every value does.
    """
    return hashlib.sha256(canonical.encode(msgspec.to_builtins(agreement))).hexdigest()


def explain_mismatch(message: str) -> tuple[str, Path]:
    """Split a msgspec error into a sentence and the path it is about."""
    reason, _, place = message.partition(" - at ")
    path = path_of(place.strip("`")) if place else ()
    unknown = re.search(r"unknown field `([^`]+)`", reason)
    if unknown:
        return f"Unknown key `{unknown.group(1)}`.", (*path, unknown.group(1))
    missing = re.search(r"missing required field `([^`]+)`", reason)
    if missing:
        return f"The key `{missing.group(1)}` is missing.", path
    name = path[-1] if path else "the file"
    return f"`{name}`: {reason[:1].lower()}{reason[1:]}.", path
