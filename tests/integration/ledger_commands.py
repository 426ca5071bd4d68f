"""The ledger commands run in this process as somebody types them, in a folder of their own."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lightwell.apps import cli
from tests.unit.ledger.outside import KEY, WITNESSES

VKEY = KEY.verifier().vkey()


@dataclass
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


def runner(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path) -> Run:
    """Return a function that runs `lightwell ledger` with the given words, in `folder`."""
    monkeypatch.chdir(folder)

    def ledger(*words: str, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "argv", ["lightwell", "ledger", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capfd.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return ledger


def policy(quorum: int, log: str = VKEY) -> str:
    """Write a policy file of three witnesses, of whom `quorum` must have cosigned; return its name."""
    lines = [f"log {log}", *(f"witness w{n} {key.verifier().vkey()}" for n, key in enumerate(WITNESSES))]
    Path("policy").write_text("\n".join([*lines, f"group most {quorum} w0 w1 w2", "quorum most", ""]))
    return "policy"
