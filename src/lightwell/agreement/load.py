"""Text to agreement, or an error that names the line and the reason."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec

from lightwell.agreement.locate import Path, line_of, path_of
from lightwell.agreement.model import Agreement
from lightwell.agreement.validate import findings
from lightwell.wire import canonical
from lightwell.wire.shapes import settle


class AgreementError(ValueError):
    """The text is no valid agreement.

    `line` counts from 1; `reason` is one sentence for people.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


settle(Agreement)


def parse(text: str) -> Agreement:
    """Read an agreement file.

    Args:
        text: TOML 1.0, in the layout of `agreements/us-2022-draft.toml`.

    Returns:
        The agreement, with every reference inside it resolved and every rule of `validate` kept.

    Raises:
        AgreementError: the first thing that is wrong, with its line.
    """
    found, wrong = examine(text)
    if found is None:
        raise wrong[0]
    return found


def examine(text: str) -> tuple[Agreement | None, list[AgreementError]]:
    """Read an agreement file and say everything that is wrong with it.

    Args:
        text: as for `parse`.

    Returns:
        The agreement and no error, or None and every error in the order of the lines. References are only
        looked at when all keys and types are right, and nothing else when the text is not TOML.
    """
    try:
        data = parse_toml(text)
    except AgreementError as error:
        return None, [error]
    wrong = [AgreementError(line_of(text, path), reason) for path, reason in mismatches(data, Agreement)]
    if not wrong:
        found = msgspec.convert(data, Agreement)
        wrong = [AgreementError(line_of(text, path), reason) for path, reason in findings(found)]
        if not wrong:
            return found, []
    return None, sorted(wrong, key=lambda error: error.line)


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


def mismatches(value: object, kind: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield where TOML values do not fit a type, each as a path and a sentence.

    Args:
        value: as `parse_toml` gave it.
        kind: a Struct, a list of such, or anything that msgspec converts to.
        path: where the value stands.
    """
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        known = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in value.keys() - known.keys():
            yield (*path, name), f"Unknown key `{name}`."
        for name, field in known.items():
            if name in value:
                yield from mismatches(value[name], field.type, (*path, name))
            elif field.required:
                yield path, f"The key `{name}` is missing."
    elif get_origin(kind) is list and isinstance(value, list):
        for index, each in enumerate(value):
            yield from mismatches(each, get_args(kind)[0], (*path, index))
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            reason, _, _ = str(error).partition(" - at ")
            name = next((part for part in reversed(path) if isinstance(part, str)), "the file")
            yield path, f"`{name}`: {reason[:1].lower()}{reason[1:]}."


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
