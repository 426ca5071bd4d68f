"""What the clean room found about each slate: counted once, never better than what it really replayed."""

import sqlite3
import time
from typing import Annotated, Final, Literal

import msgspec

from lightwell.oversight import adopted, audits, ranker_calls, views
from lightwell.oversight.ranker_calls import RankerCall
from lightwell.oversight.refusal import VerdictError
from lightwell.oversight.store import Store
from lightwell.wire.checkpoint import CheckpointError, open_checkpoint
from lightwell.wire.entries import SlateServed, decode
from lightwell.wire.keys import NoteError, Verifier

LIVE: Final = "live"
"""The run that goes on for ever, slate by slate; audits are runs of their own."""
_CURRENT: Final = ""
_SHOWN_ENTRIES: Final = 50

Outcome = Literal[
    "identical", "differs", "missing", "unopened", "snapshot-missing", "padding",
    "withdrawal-unproven", "withdrawn-shown", "not-kept",
]  # fmt: skip
"""`padding`: the commitment opens as one to padding, so it is no slate of anybody's.

`withdrawal-unproven`: the record leaves out a video as withdrawn that no entry before it takes back.
`withdrawn-shown`: the slate holds a video that was taken back long enough before.
`not-kept`: what it was ranked from is gone, and the slate is older than the agreement has that kept. Only the
monitor says so, by the entry's time and the agreement it holds; a clean room says `snapshot-missing`.
"""
HARMLESS: Final = ("identical", "padding", "not-kept")
_DAY_SECONDS: Final = 86_400
_REPLAYED: Final = ("identical", "differs", "withdrawal-unproven", "withdrawn-shown")
_WRONG: Final = ("differs", "unopened", "withdrawal-unproven", "withdrawn-shown")

_TITLES: Final = {
    "differs": "Slates differ when they are replayed",
    "missing": "Slate records are missing",
    "unopened": "Slate records do not open their commitment",
    "snapshot-missing": "Slates cannot be replayed: what they were ranked from is missing",
    "withdrawal-unproven": "Videos were left out as withdrawn that nobody took back",
    "withdrawn-shown": "Slates show videos that were taken back before",
}


Index = Annotated[int, msgspec.Meta(ge=0)]


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one slate: `index` is that of its SlateServed entry.

    `ranker`: what its record says of the ranker that its policy names, if it names one.
    """

    index: Index
    outcome: Outcome
    ranker: RankerCall | None = None


class VerdictBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a clean room posts.

    `audited_size`: every slate below this index has its verdict. `checkpoint`: the signed note the clean room
    follows, so that two views of one ledger meet. `problems`: what an audit found wrong in the files.
    `unopened_withdrawals`: the `VideoWithdrawn` entries of which the cell does not say what they take back.
    """

    cell: str
    run: Annotated[str, msgspec.Meta(pattern=r"\A(live|[0-9a-f]{16})\Z")]
    audited_size: Annotated[int, msgspec.Meta(ge=0)]
    verdicts: Annotated[list[Verdict], msgspec.Meta(max_length=1000)] = []
    checkpoint: Annotated[str, msgspec.Meta(max_length=20_000)] = ""
    problems: Annotated[list[str], msgspec.Meta(max_length=1000)] = []
    unopened_withdrawals: Annotated[list[Index], msgspec.Meta(max_length=1000)] = []
    done: bool = False


decode_batch = msgspec.json.Decoder(VerdictBatch).decode


class ReplayFigures(msgspec.Struct, frozen=True):
    """How far replay is: `mismatches` differ, do not open or are wrong about what was withdrawn.

    `missing` could not be replayed at all.

    `judged` slates have a verdict of any kind; `run` is the last finished audit and `audited_size` its size.
    """

    tree_size: int
    slates: int
    replayed: int
    mismatches: int
    missing: int
    audited_size: int
    run: str
    judged: int = 0
    padding: int = 0
    """Slate entries that are nobody's slate; they are counted here and nowhere else."""
    live_size: int = 0
    wanted: str | None = None
    ranker_asked: int = 0
    """Of the newest slates, those whose policy names a ranker of another organisation."""
    ranker_failed: int = 0
    """Of these, those in which it is said to have failed."""


def take(store: Store, ledger: tuple[str, Verifier], batch: VerdictBatch) -> None:
    """Record a batch whose sender was checked.

    Args:
        store: where it is kept.
        ledger: origin and key of the cell's ledger.
        batch: what was posted; posting it again changes nothing.

    Raises:
        VerdictError: 409 if the monitor has not followed that far yet or the run is over, 404 for an unknown
            run, 422 for an index that is no slate or a run called done that is not.
    """
    head = store.head(batch.cell)
    size = head.size if head else 0
    if batch.checkpoint:
        _compare_views(store, ledger, batch, size)
    indices = [*(verdict.index for verdict in batch.verdicts), *batch.unopened_withdrawals]
    top = max([batch.audited_size, *(index + 1 for index in indices)])
    if top > size:
        raise VerdictError(409, "not-yet-followed", f"The monitor has followed {size} entries; try again.")
    kept_since = _kept_since(store, batch.cell)
    with store.write() as db:
        _check_run(db, batch)
        _check_slates(db, batch)
        batch = msgspec.structs.replace(batch, verdicts=_excused(db, batch, kept_since))
        for verdict in batch.verdicts:
            _record(db, batch.cell, batch.run, verdict)
            _record_current(db, batch, verdict)
        _advance(db, batch)
        calls = [(verdict.index, verdict.ranker) for verdict in batch.verdicts if verdict.ranker is not None]
        ranker_calls.keep(db, batch.cell, calls)
    _raise_findings(store, batch)
    if calls:
        ranker_calls.raise_if_many(store, batch.cell)


def figures(store: Store, cell: str, run: str | None = None) -> ReplayFigures:
    """Return how far replay is.

    Args:
        store: where verdicts are.
        cell: the cell.
        run: an audit's id for its own figures; None for the latest verdict on each slate, with the id and
            size of the last finished audit.
    """
    head = store.head(cell)
    tree_size = head.size if head else 0
    live_size = store.number("SELECT audited_size FROM runs WHERE cell = ? AND run = ?", cell, LIVE)
    row = store.row(
        """SELECT run, audited_size FROM runs WHERE cell = ? AND run <> 'live' AND done_at IS NOT NULL
        AND tiles_done_at IS NOT NULL AND (? IS NULL OR run = ?) ORDER BY wanted_at DESC LIMIT 1""",
        cell, run, run,
    )  # fmt: skip
    counts = {
        found["outcome"]: found["n"]
        for found in store.rows(
            "SELECT outcome, n FROM verdict_counts WHERE cell = ? AND run = ?", cell, run or _CURRENT
        )
    }
    slates = store.kinds(cell).get("SlateServed", 0)
    if run and run != LIVE:
        below = row["audited_size"] if row else 0
        slates = store.number(
            "SELECT count(*) FROM entries WHERE cell = ? AND kind = 'SlateServed' AND idx < ?", cell, below
        )
    padding = counts.pop("padding", 0)
    calls = ranker_calls.figures(store, cell)
    return ReplayFigures(
        tree_size=tree_size,
        slates=slates - padding,
        padding=padding,
        replayed=sum(counts.get(outcome, 0) for outcome in _REPLAYED),
        mismatches=sum(counts.get(outcome, 0) for outcome in _WRONG),
        missing=counts.get("missing", 0) + counts.get("snapshot-missing", 0),
        audited_size=row["audited_size"] if row else (live_size if run in (None, LIVE) else 0),
        run=row["run"] if row else LIVE,
        judged=sum(counts.values()),
        live_size=live_size,
        wanted=audits.wanted_audit(store, cell),
        ranker_asked=calls.asked,
        ranker_failed=calls.failed,
    )


def _compare_views(store: Store, ledger: tuple[str, Verifier], batch: VerdictBatch, size: int) -> None:
    origin, verifier = ledger
    try:
        shown = open_checkpoint(batch.checkpoint, verifier, origin=origin).checkpoint
    except (NoteError, CheckpointError) as error:
        raise VerdictError(422, "bad-checkpoint", f"The checkpoint is not the ledger's: {error}.") from error
    if shown.size > size:
        raise VerdictError(409, "not-yet-followed", f"The monitor has followed {size} entries; try again.")
    if not views.is_ours(store, batch.cell, shown.size, shown.root):
        views.raise_split(store, batch.cell, shown.size, "the clean room")
        raise VerdictError(422, "split-view", "The clean room follows another tree than the monitor.")


def _check_run(db: sqlite3.Connection, batch: VerdictBatch) -> None:
    if batch.run == LIVE:
        db.execute(
            "INSERT OR IGNORE INTO runs (cell, run, wanted_at, audited_size) VALUES (?, 'live', 0, 0)",
            (batch.cell,),
        )
        return
    row = db.execute(
        "SELECT done_at FROM runs WHERE cell = ? AND run = ?", (batch.cell, batch.run)
    ).fetchone()
    if row is None:
        raise VerdictError(404, "no-such-run", "Nobody asked for an audit with this id.")
    if row["done_at"] is not None:
        raise VerdictError(409, "run-is-over", "This audit is over.")


def _kept_since(store: Store, cell: str) -> int:
    """The time, in seconds, of the oldest slate whose snapshot the agreement in force has kept."""
    held = adopted.adopted(store, cell)
    return int(time.time()) - held.agreement.limits.slate_replay_days.value * _DAY_SECONDS if held else 0


def _check_slates(db: sqlite3.Connection, batch: VerdictBatch) -> None:
    for kind, slug, what, indices in (
        ("SlateServed", "no-slate", "a slate", [verdict.index for verdict in batch.verdicts]),
        ("VideoWithdrawn", "no-withdrawal", "a withdrawal", batch.unopened_withdrawals),
    ):
        for index in indices:
            row = db.execute(
                "SELECT kind FROM entries WHERE cell = ? AND idx = ?", (batch.cell, index)
            ).fetchone()
            if row is None or row["kind"] != kind:
                raise VerdictError(422, slug, f"Entry {index} is not that of {what}.")


def _excused(db: sqlite3.Connection, batch: VerdictBatch, kept_since: int) -> list[Verdict]:
    """The verdicts, with snapshots that are missing told from those that need not be kept any more."""
    found = []
    for verdict in batch.verdicts:
        if verdict.outcome == "not-kept":
            detail = "What is kept no longer, the monitor finds by itself; say that the snapshot is missing."
            raise VerdictError(422, "not-for-clean-rooms", detail)
        is_old = False
        if verdict.outcome == "snapshot-missing":
            row = db.execute(
                "SELECT data FROM entries WHERE cell = ? AND idx = ?", (batch.cell, verdict.index)
            ).fetchone()
            is_old = _served_at(row["data"]) < kept_since
        found.append(Verdict(verdict.index, "not-kept") if is_old else verdict)
    return found


def _served_at(data: bytes) -> int:
    entry = decode(data)
    # What states no time is as young as can be: it gets no excuse.
    return entry.at if isinstance(entry, SlateServed) else int(time.time())


def _record(db: sqlite3.Connection, cell: str, run: str, verdict: Verdict) -> None:
    old = db.execute(
        "SELECT outcome FROM verdicts WHERE cell = ? AND run = ? AND idx = ?", (cell, run, verdict.index)
    ).fetchone()
    if old is not None and old["outcome"] == verdict.outcome:
        return
    if old is not None:
        db.execute(
            "UPDATE verdict_counts SET n = n - 1 WHERE cell = ? AND run = ? AND outcome = ?",
            (cell, run, old["outcome"]),
        )
    db.execute(
        "INSERT OR REPLACE INTO verdicts (cell, run, idx, outcome, at) VALUES (?, ?, ?, ?, ?)",
        (cell, run, verdict.index, verdict.outcome, time.time()),
    )
    db.execute(
        """INSERT INTO verdict_counts (cell, run, outcome, n) VALUES (?, ?, ?, 1)
        ON CONFLICT (cell, run, outcome) DO UPDATE SET n = n + 1""",
        (cell, run, verdict.outcome),
    )


def _record_current(db: sqlite3.Connection, batch: VerdictBatch, verdict: Verdict) -> None:
    # A live verdict, sent again by whoever kept it, must not cover up what an audit found later. Nor may
    # what was found while there was something to replay be covered up by there being nothing any more.
    yields = batch.run == LIVE or verdict.outcome == "not-kept"
    if yields and _has_current(db, batch.cell, verdict.index):
        return
    _record(db, batch.cell, _CURRENT, verdict)


def _has_current(db: sqlite3.Connection, cell: str, index: int) -> bool:
    found = db.execute("SELECT 1 FROM verdicts WHERE cell = ? AND run = '' AND idx = ?", (cell, index))
    return found.fetchone() is not None


def _advance(db: sqlite3.Connection, batch: VerdictBatch) -> None:
    row = db.execute(
        "SELECT audited_size FROM runs WHERE cell = ? AND run = ?", (batch.cell, batch.run)
    ).fetchone()
    done_size = row["audited_size"]
    if batch.audited_size > done_size:
        # Never take the clean room's word for it: each slate it says it passed has a verdict here.
        gap = db.execute(
            """SELECT e.idx FROM entries e LEFT JOIN verdicts v
              ON v.cell = e.cell AND v.run = ? AND v.idx = e.idx
            WHERE e.cell = ? AND e.kind = 'SlateServed' AND e.idx >= ? AND e.idx < ?
              AND v.idx IS NULL LIMIT 1""",
            (batch.run, batch.cell, done_size, batch.audited_size),
        ).fetchone()
        if gap is not None:
            raise VerdictError(
                422, "not-replayed", f"There is no verdict on the slate at entry {gap['idx']}."
            )
        db.execute(
            "UPDATE runs SET audited_size = ? WHERE cell = ? AND run = ?",
            (batch.audited_size, batch.cell, batch.run),
        )
    if batch.done and batch.run != LIVE:
        db.execute(
            "UPDATE runs SET done_at = ? WHERE cell = ? AND run = ?", (time.time(), batch.cell, batch.run)
        )


def _raise_findings(store: Store, batch: VerdictBatch) -> None:
    for outcome in {v.outcome for v in batch.verdicts} - set(HARMLESS):
        rows = store.rows(
            "SELECT idx FROM verdicts WHERE cell = ? AND run = '' AND outcome = ? ORDER BY idx LIMIT ?",
            batch.cell, outcome, _SHOWN_ENTRIES,
        )  # fmt: skip
        count = store.number(
            "SELECT n FROM verdict_counts WHERE cell = ? AND run = '' AND outcome = ?", batch.cell, outcome
        )
        store.raise_finding(
            batch.cell,
            f"replay-{outcome}",
            area="replay",
            title=_TITLES[outcome],
            detail=f"{count} {'slate' if count == 1 else 'slates'}, the first at entry {rows[0]['idx']}.",
            entries=[row["idx"] for row in rows],
        )
    audits.raise_file_findings(store, batch.cell, batch.problems, "clean room")
    if batch.unopened_withdrawals:
        count = len(batch.unopened_withdrawals)
        store.raise_finding(
            batch.cell,
            "withdrawals-unopened",
            area="replay",
            title="The cell does not say what was taken back",
            detail=f"{count} {'withdrawal does' if count == 1 else 'withdrawals do'} not open, so that no"
            " slate can be held to them.",
            entries=batch.unopened_withdrawals[:_SHOWN_ENTRIES],
        )
