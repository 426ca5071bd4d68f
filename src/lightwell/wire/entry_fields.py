"""The few forms that a field of an entry may have, each bounded: times, counts, digests and short names."""

from typing import Annotated

import msgspec

from lightwell.wire import canonical

Seconds = Annotated[int, msgspec.Meta(ge=0, lt=canonical.INTEGER_LIMIT)]
"""Whole seconds since the epoch."""
Minute = Annotated[int, msgspec.Meta(ge=0, lt=canonical.INTEGER_LIMIT, multiple_of=60)]
"""Whole seconds since the epoch, cut to the minute: all that facts about persons may tell."""
Count = Annotated[int, msgspec.Meta(ge=0, lt=canonical.INTEGER_LIMIT)]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""Lower-case hex SHA-256."""
Name = Annotated[str, msgspec.Meta(max_length=200)]
"""A short id or code; never free text about a person."""
Names = Annotated[list[Name], msgspec.Meta(max_length=100)]
