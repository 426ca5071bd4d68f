"""Targets that are broken on purpose, to see that the harness finds each way of being broken."""

from lightwell.wire import base64_strict
from tests.fuzz.registry import Target


def _undeclared(data: bytes) -> None:
    # One comparison deep in the formats' code decides, which random bytes hardly ever pass.
    try:
        raw = base64_strict.decode(data.decode("latin-1"))
    except ValueError:
        return
    if len(raw) > 3:
        raise KeyError("planted")


def _hang(data: bytes) -> None:
    while len(data) > 2:
        pass


def _hungry(data: bytes) -> None:
    if len(data) > 2:
        kept = []
        while True:
            kept.append(bytearray(1 << 24))


TARGETS = {
    "undeclared": Target(_undeclared, (b"AAAA",)),
    "hang": Target(_hang, (b"ab",)),
    "hungry": Target(_hungry, (b"ab",)),
}
