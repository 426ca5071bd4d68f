"""What every kind of entry is made of: a frozen record that names its kind and the version of its schema."""

from __future__ import annotations

from typing import Literal

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every kind has: a version of its schema."""

    v: Literal[1] = 1
