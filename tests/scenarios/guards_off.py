"""Switches off each guard of the gateway in turn, and says whether a test notices.

Run as `python -m tests.scenarios.guards_off`. Each is taken away in a process of its own, never in a file.
Ends with 1 if one could go unnoticed.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lightwell.residency import gateway, gateway_rules, gateway_web, scan, tripwires
from lightwell.residency.folding import fold

_TRIPWIRES = "tests/unit/residency/test_tripwires.py"
_GATEWAY = "tests/unit/residency/test_gateway.py"


def _each_field_alone() -> None:
    whole = tripwires._marked
    _put(tripwires, "_marked", lambda marks, texts, **how: any(whole(marks, [one], **how) for one in texts))


def _forward_only(marks: scan.Marks, texts: Sequence[str], **_: Any) -> bool:
    return marks.found_in([fold(text).encode() for text in texts])


def _put(module: Any, name: str, other: Any) -> None:
    vars(module)[name] = other


GUARDS: dict[str, tuple[Callable[[], None], str, str]] = {
    "values across fields": (_each_field_alone, _TRIPWIRES, "split"),
    "values backwards": (lambda: _put(tripwires, "_marked", _forward_only), _TRIPWIRES, "reversed"),
    "folding": (lambda: _put(tripwires, "fold", str), _TRIPWIRES, "look_alike or full or zero"),
    "decoding": (lambda: _put(tripwires, "_inside", lambda *_: None), _TRIPWIRES, "base64 or gzip or hex"),
    "patterns": (lambda: _put(tripwires, "_by_form", lambda *_: ""), _TRIPWIRES, "strangers"),
    "tripwires": (lambda: _put(tripwires, "find", lambda *_: None), _GATEWAY, "caption"),
    "budget": (lambda: _put(gateway, "check_budget", lambda *_, **__: None), _GATEWAY, "budget"),
    "media's structure": (
        lambda: _put(gateway_rules.media_metadata, "headers", lambda *_: b""),
        _GATEWAY,
        "metadata",
    ),
    "the request's signature": (lambda: _put(gateway_web, "check", lambda *_: None), _GATEWAY, "signature"),
}
"""Guard -> how it is switched off, the file of tests, and which of them must fail."""


def main() -> int:
    if len(sys.argv) > 1:
        switch_off, file, tests = GUARDS[sys.argv[1]]
        switch_off()
        return int(pytest.main(["-q", "-x", "--no-header", file, "-k", tests]))
    unnoticed = 0
    for name in GUARDS:
        words = [sys.executable, "-m", "tests.scenarios.guards_off", name]
        code = subprocess.run(words, capture_output=True, check=False).returncode
        unnoticed += code != pytest.ExitCode.TESTS_FAILED
        print(f"{name:<26} {'a test fails' if code == pytest.ExitCode.TESTS_FAILED else 'UNNOTICED'}")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
