"""The ranking policy as people write it: TOML with dates, refused with the line and the reason."""

from __future__ import annotations

import inspect
from typing import Any, Final

import msgspec

from lightwell.agreement.load import AgreementError, explain_mismatch, parse_toml
from lightwell.agreement.locate import line_of
from lightwell.recommender.policy import PolicyError, RankingPolicy, Where, contradictions

LONGEST: Final = 128 * 1024
"""Characters of a policy file."""
_HOUR: Final = 3600
_LAST_HOUR: Final = 253_402_300_799 // _HOUR
"""The last hour that a date of four digits can name."""


class PolicyFileError(PolicyError):
    """The text is no ranking policy; `line` counts from 1, `reason` is one sentence."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def parse_file(text: str) -> RankingPolicy:
    """Read a policy file.

    Args:
        text: TOML 1.0; sections and keys as in `RankingPolicy`, `start` and `end` of a promotion as dates
            with a time zone on whole hours. What is left out takes its default.

    Raises:
        PolicyFileError: the first thing that is wrong, with its line.
    """
    if len(text) > LONGEST:
        raise PolicyFileError(1, f"A policy file has at most {LONGEST} characters.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise PolicyFileError(line, "It has a character that is not Unicode.") from None
    try:
        data = parse_toml(text)
    except AgreementError as error:
        raise PolicyFileError(error.line, error.reason) from None
    except RecursionError:
        raise PolicyFileError(1, "It is nested too deep.") from None
    promotions = data.get("promotions")
    if isinstance(promotions, list):
        for at, promotion in enumerate(promotions):
            if isinstance(promotion, dict):
                for name in ("start", "end"):
                    if name in promotion:
                        promotion[name] = _hour(text, ("promotions", at, name), promotion[name])
    try:
        policy = msgspec.convert(data, RankingPolicy)
    except msgspec.ValidationError as error:
        reason, path = explain_mismatch(str(error))
        raise PolicyFileError(line_of(text, path), reason) from None
    for where, reason in contradictions(policy):
        raise PolicyFileError(line_of(text, where), f"{reason[:1].upper()}{reason[1:]}.")
    return policy


def dump_file(policy: RankingPolicy) -> str:
    """Write a policy as a file that `parse_file` reads back unchanged, with a comment on each section."""
    lines = [
        "# A ranking policy: all that can change what people are shown; nothing else can.",
        "# Shares are in millionths; dates name whole hours. A section left out takes its defaults.",
        f"v = {policy.v}",
        f"version = {policy.version}",
    ]
    for name in policy.__struct_fields__:
        section = getattr(policy, name)
        if isinstance(section, msgspec.Struct):
            lines += ["", *_comment(section), f"[{name}]", *_values(section)]
    for promotion in policy.promotions:
        lines += ["", *_comment(promotion), "[[promotions]]", *_values(promotion)]
    return "\n".join(lines) + "\n"


def date_of(hour: int) -> str:
    """Write an hour since 1970 as a date in UTC, such as `2026-11-22T10:00:00Z`."""
    days, rest = divmod(hour, 24)
    # Days to a date by the civil calendar (era of 400 years beginning in March), in integers alone.
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month = month + 3 if month < 10 else month - 9
    return f"{year + era * 400 + (month <= 2):04d}-{month:02d}-{day + 1:02d}T{rest:02d}:00:00Z"


def _hour(text: str, where: Where, value: Any) -> int:
    """Give the hour since 1970 of a date as tomllib reads it; this package imports no calendar."""
    name = where[-1]
    zone = getattr(value, "utcoffset", None)
    if zone is None or not hasattr(value, "timestamp"):
        raise PolicyFileError(
            line_of(text, where), f"`{name}`: expected a date and hour such as 2026-11-22T10:00:00Z."
        )
    if zone() is None:
        raise PolicyFileError(line_of(text, where), f"`{name}`: the date names no time zone; end it with Z.")
    seconds = value.timestamp()
    if seconds % _HOUR:
        raise PolicyFileError(line_of(text, where), f"`{name}`: name a whole hour.")
    return int(seconds) // _HOUR


def _comment(section: msgspec.Struct) -> list[str]:
    return [f"# {line}".rstrip() for line in inspect.cleandoc(type(section).__doc__ or "").splitlines()]


def _values(section: msgspec.Struct) -> list[str]:
    lines = []
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if name in ("start", "end"):
            # An hour beyond the year 9999 has no date; it acts as the last one does.
            lines.append(f"{name} = {date_of(min(value, _LAST_HOUR))}")
        else:
            # JSON's numbers, booleans and strings without control characters are TOML's.
            lines.append(f"{name} = {msgspec.json.encode(value).decode()}")
    return lines
