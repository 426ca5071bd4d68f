"""The parsers withstand what the fuzzer tries in a few seconds, and the fuzzer finds what is broken."""

import functools
import importlib.util
import platform
import sys

import pytest
from bench import ledger_fuzz

from tests.conftest import missing
from tests.fuzz import planted
from tests.fuzz.harness import fuzz
from tests.fuzz.targets import NAMES, TARGETS


@pytest.fixture
def atheris() -> None:
    """The fuzzer, which has no wheel for every platform: see requirements/dev.in."""
    if importlib.util.find_spec("atheris") is None:
        if sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 14):
            missing("atheris")
        pytest.skip("atheris is not made for this platform")


@pytest.mark.parametrize("name", NAMES)
def test_a_target_holds_for_its_seeds_and_for_each_cut_short_or_with_a_bit_flipped(name: str) -> None:
    run = TARGETS[name].run
    run(b"")
    for seed in TARGETS[name].seeds:
        run(seed)
        for at in range(0, len(seed), max(1, len(seed) // 25)):
            run(seed[:at])
            run(seed[:at] + bytes([seed[at] ^ 1 << at % 8]) + seed[at + 1 :])


@pytest.mark.usefixtures("atheris")
def test_thirty_thousand_inputs_break_no_parser() -> None:
    outcome = fuzz("every", 30_000)
    assert outcome.broke is None, outcome.said
    assert outcome.inputs >= 30_000


@pytest.mark.usefixtures("atheris")
@pytest.mark.parametrize(
    ("name", "says"),
    [("undeclared", "KeyError: 'planted'"), ("hang", "timeout"), ("hungry", "out-of-memory")],
)
def test_what_is_broken_on_purpose_is_found(name: str, says: str) -> None:
    outcome = fuzz(name, 1_000_000, module="tests.fuzz.planted")
    assert outcome.broke is not None
    assert says in outcome.said


@pytest.mark.usefixtures("atheris")
def test_the_bench_run_counts_its_inputs_and_ends_with_the_one_that_broke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger_fuzz, "TARGETS", {name: TARGETS[name] for name in ("decimal", "base64")})
    rows = ledger_fuzz.run(2000)
    assert rows[0]["value"] >= 2000
    assert [row["name"] for row in rows] == ["ledger_fuzz", "ledger_fuzz_rate"]
    monkeypatch.setattr(ledger_fuzz, "TARGETS", {"undeclared": planted.TARGETS["undeclared"]})
    monkeypatch.setattr(ledger_fuzz, "fuzz", functools.partial(fuzz, module="tests.fuzz.planted"))
    with pytest.raises(SystemExit, match=r"undeclared broke on b'.+'\n\nKeyError: 'planted'"):
        ledger_fuzz.run(1_000_000)
