"""Steps that prove: the receipt, the ledger and the replay, each from what any outsider can fetch."""

import hashlib
import time
from typing import Any

from lightwell.apps.demo.check.disk import stale_files
from lightwell.apps.demo.check.planes import Journal, Planes
from lightwell.apps.demo.check.reader import LedgerReader
from lightwell.apps.demo.check.steps import StepFailed, wait_for
from lightwell.apps.demo.deployment import CELLS
from lightwell.apps.demo.person import expect
from lightwell.wire import canonical, commitment, entries, merkle
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import Checkpoint, OpenedCheckpoint
from lightwell.wire.promise import open_promise

WITNESS_SECONDS = 20.0
STALLED_SECONDS = 20.0
_NAMED = 8


def receipt_verified(planes: Planes, journal: Journal) -> str:
    """Check the last slate's receipt from the bytes of the answer alone, then its place in the tree."""
    answer = journal.need("slate")
    proof, reader = answer["proof"], planes.readers["us"]
    entry_bytes = str(proof["entry"]).encode()
    leaf = merkle.leaf_hash(entry_bytes)
    promise = open_promise(proof["promise"], reader.verifier)
    if promise.origin != reader.origin or promise.leaf_hash != leaf:
        raise StepFailed("the promise is about another entry than the one in the answer")
    entry = entries.decode(entry_bytes)
    if not isinstance(entry, entries.SlateServed):
        raise StepFailed(f"the entry in the answer is a {type(entry).__name__}")
    items = [
        {"score": item["score"], "source": item["source"], "video": item["video"]["video_id"]}
        for item in answer["items"]
    ]
    slate = canonical.encode({"items": items})
    opened = commitment.opens(
        bytes.fromhex(entry.commitment),
        "slate",
        bytes.fromhex(proof["opening"]),
        bytes.fromhex(proof["inputs_digest"]),
        hashlib.sha256(slate).digest(),
    )
    if not opened:
        raise StepFailed("the commitment does not open to the slate that was shown")
    own = expect(journal.person("viewer").http.get(f"/api/slates/{leaf.hex()}"), 200)
    if hashlib.sha256(str(own["inputs"]).encode()).hexdigest() != proof["inputs_digest"]:
        raise StepFailed("the record's inputs are not those that the commitment covers")
    index, checkpoint, waited = _wait_included(planes, reader, leaf)
    if time.time() > promise.by + 1 and waited > 1:
        raise StepFailed("the entry is in the tree, but later than promised")
    cosigned = checkpoint.cosigned_by()
    if not cosigned:
        raise StepFailed(f"entry {index} is in the tree, but no witness has cosigned its checkpoint")
    journal.facts["receipt"] = (leaf, index)
    size = checkpoint.checkpoint.size
    names = ", ".join(cosigned)
    return f"entry {index} of {size}: promise, commitment, inclusion, checkpoint; cosigned by {names}"


def _wait_included(planes: Planes, reader: LedgerReader, leaf: bytes) -> tuple[int, OpenedCheckpoint, float]:
    found: list[tuple[int, OpenedCheckpoint]] = []

    def look() -> bool:
        included = reader.inclusion(leaf)
        if included is not None:
            found.append(included)
        return included is not None

    waited = wait_for("the entry in the tree", look, planes.clock.limit(15, kept=25))
    try:
        wait_for(
            "a witness's cosignature",
            lambda: look() and bool(found[-1][1].cosigned_by()),
            planes.clock.limit(WITNESS_SECONDS, kept=25),
        )
    except StepFailed as error:
        raise StepFailed(f"entry {found[0][0]} is in the tree, but no witness has cosigned it") from error
    index, opened = found[-1]
    return index, opened, waited


def ledger_consistent(planes: Planes, journal: Journal) -> str:
    """Recompute both ledgers from entry 0, hold them to what was signed before, and ask the monitor."""
    problems: list[str] = []
    seen: list[str] = []
    for cell in CELLS:
        reader = planes.readers[cell]
        problems += [f"{cell}, before its processes started: {p}" for p in planes.found_at_rest.get(cell, [])]
        try:
            size, found = _audit_cell(planes, journal, reader)
        except Exception as error:  # noqa: BLE001  whatever it is, this cell has not held
            size, found = 0, [f"{type(error).__name__}: {error}"]
        problems += [f"{cell}: {problem}" for problem in found]
        seen.append(f"{cell} {size}")
    for cell in CELLS:
        problems += [f"{cell}: the monitor says: {problem}" for problem in _monitor_says(planes, cell)]
    if problems:
        more = f" (and {len(problems) - _NAMED} more)" if len(problems) > _NAMED else ""
        raise StepFailed("; ".join(problems[:_NAMED]) + more)
    return f"every hash of {' and '.join(seen)} entries recomputed; the monitor agrees"


def _audit_cell(planes: Planes, journal: Journal, reader: LedgerReader) -> tuple[int, list[str]]:
    checkpoint = reader.checkpoint().checkpoint
    leaves: list[bytes] = []
    bundles: list[bytes] = []

    def keep(_: int, data: bytes) -> None:
        bundles.append(data)
        leaves.append(merkle.leaf_hash(data))

    problems = audit(reader.fetch, checkpoint, on_entry=keep)
    start = journal.start.get(reader.cell)
    if start is None:
        problems.append("the checkpoint did not open when the check began")
    else:
        reader.check_extends(start, checkpoint)
    if not problems:
        folder = planes.deployment.cell(reader.cell) / "ledger"
        problems += list(stale_files(folder, bundles, leaves))
    return checkpoint.size, problems


def _monitor_says(planes: Planes, cell: str) -> list[str]:
    wanted = planes.readers[cell].checkpoint().checkpoint.size
    answer: dict[str, Any] = {}

    def caught_up() -> bool:
        answer.clear()
        answer.update(expect(planes.http["oversight"].get(f"/api/cells/{cell}/ledger"), 200))
        return int(answer["size"]) >= wanted or not answer["consistent"]

    wait_for(f"the monitor at entry {wanted} of {cell}", caught_up, planes.clock.limit(20, kept=20))
    return [] if answer["consistent"] else (answer["problems"] or ["not consistent"])


def replay_identical(planes: Planes, journal: Journal) -> str:
    """Have every slate of both ledgers replayed again from entry 0, and count them ourselves."""
    runs: dict[str, tuple[str, int, int]] = {}
    for cell in CELLS:
        reader = planes.readers[cell]
        size = reader.checkpoint().checkpoint.size
        slates = sum(isinstance(entry, entries.SlateServed) for _, entry in reader.decoded(0, size))
        run = expect_run(planes, cell)
        runs[cell] = (run, size, slates)
    words = []
    for cell, (run, size, slates) in runs.items():
        figures = _wait_audited(planes, cell, run, size)
        if figures["mismatches"] or figures["missing"]:
            raise StepFailed(
                f"{cell}: of {figures['slates']} slates {figures['replayed']} replayed, "
                f"{figures['mismatches']} differ, {figures['missing']} have no whole record"
            )
        if figures["slates"] < slates or figures["replayed"] < slates:
            raise StepFailed(
                f"{cell}: the ledger has {slates} slates, the monitor replayed {figures['replayed']}"
            )
        words.append(f"{figures['replayed']} of {figures['slates']} in {cell}")
    return f"slates replayed bit for bit from entry 0: {', '.join(words)}"


def expect_run(planes: Planes, cell: str) -> str:
    """Ask the monitor for a full audit of a cell; returns its run id."""
    answer = planes.http["oversight"].post("/api/audit", params={"cell": cell})
    if answer.status_code not in (200, 201, 202):
        raise StepFailed(f"asking the monitor for a full audit answered {answer.status_code}")
    return str(answer.json()["run"])


def _wait_audited(planes: Planes, cell: str, run: str, size: int) -> dict[str, Any]:
    deadline = time.monotonic() + planes.clock.limit(90, kept=18)
    last, moved = -1, time.monotonic()
    while True:
        figures = expect(planes.http["oversight"].get(f"/api/cells/{cell}/replay", params={"run": run}), 200)
        audited = int(figures["audited_size"]) if figures["run"] == run else 0
        if audited >= size:
            return figures
        now = time.monotonic()
        if figures["replayed"] != last:
            last, moved = figures["replayed"], now
        if now > deadline or now - moved > STALLED_SECONDS:
            raise StepFailed(
                f"{cell}: the audit of {size} entries does not go on ({last} slates replayed); "
                "is the clean room running?"
            )
        time.sleep(0.25)


def remember_start(planes: Planes, journal: Journal) -> None:
    """Keep the checkpoints that are signed when the check begins; later ones must extend them."""
    for cell in CELLS:
        reader = planes.readers[cell]
        try:
            # A ledger that has not published yet is the empty tree, which every tree extends.
            fresh = reader.fetch("checkpoint") is None
            journal.start[cell] = (
                Checkpoint(reader.origin, 0, merkle.EMPTY_ROOT) if fresh else reader.checkpoint().checkpoint
            )
        except Exception:  # noqa: BLE001, S112  said by ledger_consistent, in its turn
            continue
