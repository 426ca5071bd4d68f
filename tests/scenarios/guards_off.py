"""Switches off each guard of gateway, access, keys and moving in turn, and says whether a test notices.

Run as `python -m tests.scenarios.guards_off`; names after it choose some, `--fast` those that take seconds.
Each is taken away in memory, never in a file, and put back. Ends with 1 if one could go unnoticed.
"""

import contextlib
import io
import itertools
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from lightwell.product.moving import migration, parcel
from lightwell.product.rights import deletion
from lightwell.residency import (
    access,
    access_rules,
    decide,
    gateway,
    gateway_rules,
    gateway_web,
    inspection,
    key_cache,
    keys,
    media_metadata,
    messages,
    quarantine,
    scan,
    sealing,
    shapes,
    spotting,
    staff,
    tripwires,
)

_UNIT = "tests/unit/residency/"
_TRIPWIRES, _GATEWAY = _UNIT + "test_tripwires.py", _UNIT + "test_gateway.py"
_ACCESS, _DECIDE = _UNIT + "test_access.py", _UNIT + "test_decide.py"
_KEYS, _CACHE, _MESSAGES = _UNIT + "test_keys.py", _UNIT + "test_key_cache.py", _UNIT + "test_messages.py"
_COURIER = "tests/scenarios/test_courier_inspects.py"
_MIGRATE = "tests/integration/test_migrate.py"
_MOVING = "tests/scenarios/test_moving_attacks.py"
_ROTATION, _MEDIA = _UNIT + "test_key_rotation.py", _UNIT + "test_media_metadata.py"


class Guard(NamedTuple):
    """What takes a guard away, the file of tests, which of them must fail, and whether that takes seconds."""

    off: Callable[[], None]
    file: str
    tests: str
    fast: bool = False


_put_back: list[Callable[[], None]] = []


def _put(where: Any, name: str, other: Any) -> None:
    before = where.__dict__[name]
    setattr(where, name, other)
    _put_back.append(lambda: setattr(where, name, before))


def _everywhere(name: str, where: Any, other: Any) -> None:
    """Replace a function in each module that has it by name."""
    before = vars(where)[name]
    for module in [one for key, one in sys.modules.items() if key.startswith("lightwell.")]:
        if vars(module).get(name) is before:
            _put(module, name, other)


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _each_field_alone() -> None:
    whole = scan.Marks.found_in

    def alone(self: scan.Marks, text: bytes, offsets: Any, rows: Any, *, every: bool = False) -> Any:
        fields = whole(self, text, offsets, np.arange(len(offsets), dtype=np.int64), every=every)
        return np.array([fields[a:b].any() for a, b in itertools.pairwise(rows)], np.uint8)

    _put(scan.Marks, "found_in", alone)


def _not_folded() -> None:
    _put(inspection, "fold", str)
    _put(
        inspection,
        "fold_fields",
        lambda text, at: (text.encode("ascii", "replace"), at, np.zeros(len(at) - 1, np.uint8)),
    )


def _forwards_only(text: Any, turned: Any) -> None:
    turned[:] = text


def _same_place(head: bytes, cell: str, table: str, column: str, row: str) -> bytes:
    return head + cell.encode()


def _permit() -> None:
    _put(keys, "_fault", lambda *_: "")


GUARDS: dict[str, Guard] = {
    # What the gateway lets through.
    "values across fields": Guard(_each_field_alone, _TRIPWIRES, "split"),
    "values backwards": Guard(lambda: _put(scan, "backwards", _forwards_only), _TRIPWIRES, "reversed", True),
    "folding": Guard(_not_folded, _TRIPWIRES, "look_alike or full or zero"),
    "spotting of what is hidden": Guard(
        lambda: _put(spotting, "spot_rows", _nothing), _TRIPWIRES, "base64 or gzip or hex", True
    ),
    "decoding": Guard(lambda: _put(inspection, "_inside", _nothing), _TRIPWIRES, "base64 or gzip or hex"),
    "shapes": Guard(lambda: _put(shapes, "shape_rows", _nothing), _TRIPWIRES, "strangers"),
    "patterns": Guard(lambda: _put(inspection, "_by_form", lambda *_: ""), _TRIPWIRES, "strangers"),
    "tripwires": Guard(lambda: _put(tripwires, "find", _nothing), _GATEWAY, "protected_value_in_a_caption"),
    "the flow": Guard(
        lambda: _everywhere("require_flow", gateway_rules, lambda agreement, *_: agreement.flows[0]),
        _GATEWAY,
        "envelope_for_another_way",
    ),
    "the decision": Guard(
        lambda: _everywhere("require_decision", gateway_rules, _nothing), _COURIER, "decision"
    ),
    "closed types": Guard(
        lambda: _put(messages, "_require_bounded", _nothing), _MESSAGES, "open_unlabelled", True
    ),
    "labels of messages": Guard(
        lambda: _put(messages, "_checked_label", lambda *_: messages.make_label("system", "public")),
        _MESSAGES,
        "open_unlabelled",
    ),
    "budget": Guard(lambda: _everywhere("check_budget", gateway_rules, _nothing), _GATEWAY, "budget"),
    "budget of the queue": Guard(
        lambda: _everywhere("check_queued_budget", gateway_rules, _nothing), _COURIER, "budget"
    ),
    "what is queued": Guard(lambda: _put(gateway, "recheck", _nothing), _COURIER, "put_into_the_queue", True),
    "quarantine": Guard(lambda: _everywhere("keep", quarantine, _nothing), _COURIER, "quarantine"),
    "media's structure": Guard(lambda: _put(media_metadata, "headers", lambda *_: b""), _GATEWAY, "metadata"),
    "media's boxes": Guard(lambda: _put(media_metadata, "_check_moov", _nothing), _MEDIA, "mp4"),
    "media's digest": Guard(
        lambda: _everywhere("check_media", gateway_rules, _nothing), _GATEWAY, "other_bytes_than_named"
    ),
    "the request's signature": Guard(
        lambda: _put(gateway_web, "check", _nothing), _GATEWAY, "without_a_peers_signature"
    ),
    # Who of staff reads what.
    "faults of a grant": Guard(
        lambda: _put(decide.Decider, "_faults", lambda *_: ()), _DECIDE, "does_not_fit", True
    ),
    "errors of policies": Guard(
        lambda: _put(decide.Decider, "_ask_cedar", lambda *_: ""), _DECIDE, "error", True
    ),
    "longest grant": Guard(
        lambda: _put(decide.Decider, "_too_long", lambda *_: False), _DECIDE, "does_not_fit"
    ),
    "only the decider permits": Guard(
        lambda: _put(decide.Permit, "allows", lambda *_: True), _DECIDE, "own_account_and_category"
    ),
    "limits of a day": Guard(
        lambda: _everywhere("over_the_day", access_rules, lambda *_: ""), _ACCESS, "chain_of_renewals"
    ),
    "number of approvals": Guard(
        lambda: _everywhere("approvals_of", access_rules, lambda *_: 9), _ACCESS, "every_step_is_an_entry"
    ),
    "sequenced first": Guard(
        lambda: _everywhere("stands_in_ledger", access_rules, lambda *_: True), _ACCESS, "sequenced"
    ),
    "names in the ledger": Guard(
        lambda: _everywhere("ledger_names", access_rules, lambda _, fields: fields), _ACCESS, "made_up_name"
    ),
    "forms": Guard(lambda: _everywhere("check_form", access_rules, _nothing), _ACCESS, "unusable_form"),
    "refusals are entries": Guard(
        lambda: _everywhere("record_refusal", access_rules, _nothing),
        _ACCESS,
        "the_ledger_shows_it or abroad",
    ),
    "excluded lines": Guard(
        lambda: _everywhere("line_excluded", staff, lambda *_: False), _ACCESS, "line_that"
    ),
    "expiry": Guard(lambda: _put(access, "end_expired", lambda *_: 0), _ACCESS, "expired_grants_are_ended"),
    # What opens a sealed value.
    "permits": Guard(_permit, _KEYS, "permit_of_another or for_another"),
    "whose data": Guard(
        lambda: _put(decide.Permit, "allows", lambda *_: True), _KEYS, "permit_of_another_account"
    ),
    "which data": Guard(lambda: _put(decide.Permit, "reaches", lambda *_: True), _KEYS, "another_category"),
    "seals know their row": Guard(lambda: _put(sealing, "_bound", _same_place), _KEYS, "another_row"),
    "keys that are destroyed": Guard(
        lambda: _put(keys.KeyVault, "destroy", _nothing), _KEYS, "destroyed_key"
    ),
    "keys leave memory": Guard(
        lambda: _put(key_cache.KeyCache, "_drop_old", _nothing), _CACHE, "dropped_after_its_time"
    ),
    # What moves, and what must not come back.
    "agreed moves": Guard(
        lambda: _put(migration.Migration, "_require_agreed", _nothing), _MIGRATE, "without_its_term or region"
    ),
    "clashes": Guard(lambda: _put(migration.Migration, "_clash", lambda *_: ""), _MIGRATE, "clashes"),
    "comparison of copies": Guard(
        lambda: _put(migration.Migration, "_compare", _nothing), _MIGRATE, "what_opens_otherwise"
    ),
    "erasure of the old copy": Guard(
        lambda: _put(migration.Migration, "_sweep_source", _nothing), _MIGRATE, "scan_of_the_sources_bytes"
    ),
    "old keys are destroyed": Guard(
        lambda: _put(migration.Migration, "_destroy_old_keys", lambda *_: []),
        _MIGRATE,
        "backup_of_the_source",
    ),
    "guarded where they moved to": Guard(
        lambda: _put(parcel.tripwires, "guard_all", _nothing), _MIGRATE, "guarded_by_the_targets"
    ),
    "erased stay erased": Guard(
        lambda: _everywhere("erase_returned", deletion, lambda *_: []), _MOVING, "brings_back"
    ),
}
"""By name: each is there to be noticed when it is gone."""


def noticed(guard: Guard) -> bool:
    """Take a guard away in this process, say whether one of its tests fails, and put it back."""
    try:
        guard.off()
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            code = pytest.main(
                ["-q", "-x", "--no-header", "-p", "no:warnings", guard.file, "-k", guard.tests]
            )
    finally:
        while _put_back:
            _put_back.pop()()
    return code == pytest.ExitCode.TESTS_FAILED


def main() -> int:
    names = [name for name in sys.argv[1:] if name != "--fast"] or [
        name for name, guard in GUARDS.items() if guard.fast or "--fast" not in sys.argv
    ]
    unnoticed = 0
    for name in names:
        begun = time.monotonic()
        good = noticed(GUARDS[name])
        unnoticed += not good
        seconds = time.monotonic() - begun
        print(f"{name:<28} {'a test fails' if good else 'UNNOTICED':<13} {seconds:5.1f} s", flush=True)
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
