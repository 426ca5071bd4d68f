"""Types that threads read are worked out when a module is imported, and never by two threads at once."""

from typing import Any

import msgspec


def settle(*kinds: Any) -> None:
    """Work out how values of these types are read.

    msgspec does so at a type's first use, and where that happens in two threads at once the process crashes
    (msgspec 0.20: a half-filled type is read). Whoever converts to a type calls this below its definition.

    Args:
        kinds: structs, or any types that msgspec converts to.
    """
    for kind in kinds:
        msgspec.json.Decoder(kind)
