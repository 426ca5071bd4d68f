"""The figures of one cell as pages, the live feed and reports show them, counted from the store."""

import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lightwell.agreement.roster import seats_of
from lightwell.agreement.terms import TermStatus
from lightwell.oversight import adopted, transfers, verdicts, views
from lightwell.oversight.monitor import Monitor, WatchedLedger
from lightwell.oversight.store import Store
from lightwell.wire.checkpoint import CheckpointError, open_checkpoint
from lightwell.wire.entries import OrderEffective, OrderRefused, OrderTaken, decode
from lightwell.wire.keys import COSIGNATURE, MLDSA_COSIGNATURE, NoteError, Verifier

TITLES: Final = {"us": "United States cell", "sg": "Singapore cell", "eu": "European Union cell"}
_STALE_SECONDS: Final = 15
_ALGORITHMS: Final = {COSIGNATURE: "Ed25519", MLDSA_COSIGNATURE: "ML-DSA-44"}


class WitnessFigure(msgspec.Struct, frozen=True):
    """One witness, however many keys it has: the size it cosigned, and whether that is the newest tree.

    `algorithms` are those of its keys; `cosigned_with` those of its lines on the newest checkpoint.
    """

    name: str
    algorithms: list[str]
    cosigned_with: list[str]
    cosigned_size: int
    current: bool
    ours: bool


class OrderFigure(msgspec.Struct, frozen=True):
    """One order taken: where it shows, which processes act on it and whether it still binds."""

    order: str
    verb: str
    scope: str
    signer: str
    at: int
    index: int
    state: str
    effective: list[dict[str, Any]]


def title(cell: str) -> str:
    """Return the name of a cell for people."""
    return TITLES.get(cell, f"{cell} cell")


def overview(monitor: Monitor, cell: str) -> dict[str, Any]:
    """Return every figure of a cell as JSON-ready values.

    Args:
        monitor: what follows it.
        cell: a cell under oversight.
    """
    store, ledger = monitor.store, monitor.ledgers[cell]
    kinds = store.kinds(cell)
    replay = verdicts.figures(store, cell)
    held = adopted.adopted(store, cell)
    found = store.findings(cell)
    shown = ledger_figures(monitor, ledger)
    orders = order_figures(store, cell)
    return {
        "cell": cell,
        "title": title(cell),
        "at": time.time(),
        "agreement": {
            "id": held.agreement.id,
            "version": held.agreement.version,
            "title": held.agreement.title,
            "digest": held.digest,
            "adopted_at": held.at,
            "index": held.index,
            "terms": len(held.agreement.terms),
        }
        if held
        else None,
        "ledger": shown,
        "kinds": kinds,
        "replay": {**msgspec.to_builtins(replay), **replay_words(replay)},
        "terms": term_counts(ledger.terms),
        "access": access_figures(store, cell),
        "transfers": msgspec.to_builtins(transfers.figures(store, cell)),
        "connections_refused": kinds.get("ConnectionRefused", 0),
        "orders": {
            "in_force": sum(order.state == "in force" for order in orders),
            "taken": len(orders),
            "refused": kinds.get("OrderRefused", 0),
        },
        "findings": {
            state: sum(finding.state == state for finding in found) for state in ("breach", "open", "closed")
        },
        # Pages draw themselves anew when this changes.
        "stamp": f"{shown['size']}.{replay.replayed}.{replay.mismatches}.{replay.missing}.{len(found)}."
        f"{sum(f.state == 'open' for f in found)}.{term_counts(ledger.terms)}.{shown['consistent']}",
    }


def ledger_figures(monitor: Monitor, ledger: WatchedLedger) -> dict[str, Any]:
    """Return size, consistency, witnesses and problems of a cell's ledger."""
    head = monitor.store.head(ledger.cell)
    status = ledger.follower.status
    now = time.time()
    problems = [
        f"{finding.title}. {finding.detail}"
        for finding in monitor.store.findings(ledger.cell, "ledger")
        if finding.state != "closed"
    ]
    witnesses = witness_figures(monitor, ledger)
    return {
        "origin": ledger.origin,
        "vkey": ledger.seat.ledger_vkey,
        "size": head.size if head else 0,
        "root": head.root.hex() if head else "",
        "checks": head.checks if head else 0,
        "grown_at": head.grown_at if head else 0.0,
        "consistent": head is not None and not problems,
        "problems": problems,
        "contradictions": msgspec.to_builtins(views.contradictions(monitor.store, ledger.cell)),
        "trouble": status.trouble,
        "reached": now - status.checked_at < _STALE_SECONDS,
        "witnesses": msgspec.to_builtins(witnesses),
        "witnesses_current": sum(witness.current for witness in witnesses),
        "checked_at": status.checked_at,
        "checkpoint_age": round(now - head.grown_at, 1) if head else None,
    }


def witness_figures(monitor: Monitor, ledger: WatchedLedger) -> list[WitnessFigure]:
    """Return each witness the roster seats (ours at least) and what it cosigned of this ledger.

    Keys of one name are one witness, but a key that only bears our witness's name is none of ours.
    """
    held = adopted.adopted(monitor.store, ledger.cell)
    vkeys = set(monitor.witness_vkeys)
    if held:
        vkeys |= {seat.vkey for seat in seats_of(held.seats, "witness", ledger.cell)}
    verifiers = []
    for vkey in vkeys:
        # A seat whose key cannot be read has no witness that could be shown.
        with contextlib.suppress(NoteError):
            verifiers.append(Verifier.from_vkey(vkey))
    head = monitor.store.head(ledger.cell)
    cosigned = _cosigners(head.note, ledger.verifier, verifiers) if head else set()
    witnessed = monitor.store.number("SELECT size FROM witnessed WHERE cell = ?", ledger.cell)
    grouped: dict[tuple[str, bool], list[Verifier]] = {}
    for verifier in sorted(verifiers, key=lambda one: (one.name, one.algorithm, one.key_id)):
        grouped.setdefault((verifier.name, verifier.vkey() in monitor.witness_vkeys), []).append(verifier)
    figures = []
    for (name, ours), keys in grouped.items():
        signed = [key for key in keys if key in cosigned]
        size = witnessed if ours and witnessed else (head.size if head and signed else 0)
        figures.append(
            WitnessFigure(
                name=name,
                algorithms=_algorithms(keys),
                cosigned_with=_algorithms(signed),
                cosigned_size=size,
                current=head is not None and (bool(signed) or (ours and size >= head.size)),
                ours=ours,
            )
        )
    return figures


def _cosigners(note: str, ledger: Verifier, witnesses: Sequence[Verifier]) -> set[Verifier]:
    try:
        opened = open_checkpoint(note, ledger, witnesses)
    except (NoteError, CheckpointError):
        return set()
    return {s.verifier for s in opened.note.signatures if s.verifier is not None} - {ledger}


def _algorithms(keys: Sequence[Verifier]) -> list[str]:
    return list(dict.fromkeys(_ALGORITHMS.get(key.algorithm, f"type {key.algorithm}") for key in keys))


def replay_words(replay: verdicts.ReplayFigures) -> dict[str, str]:
    """Return the share replayed, the word for it and its tone; 100 % only if every slate was replayed."""
    if replay.replayed + replay.missing + replay.mismatches == 0:
        return {"share": "–", "word": "no evidence", "tone": "unknown"}
    share = "100" if replay.replayed == replay.slates else _floor_percent(replay.replayed, replay.slates)
    if replay.mismatches or replay.missing:
        wrong = replay.mismatches + replay.missing
        return {"share": f"{share} %", "word": f"{wrong:,} wrong", "tone": "breach"}
    waiting = replay.slates - replay.replayed
    if waiting > 0:
        return {"share": f"{share} %", "word": f"{waiting:,} waiting", "tone": "unknown"}
    return {"share": f"{share} %", "word": "exact", "tone": "proof"}


def term_counts(terms: Sequence[TermStatus]) -> dict[str, int]:
    """Count terms by status."""
    return {
        "met": sum(term.status == "met" for term in terms),
        "breached": sum(term.status == "breached" for term in terms),
        "no_evidence": sum(term.status == "no evidence" for term in terms),
    }


def access_figures(store: Store, cell: str) -> dict[str, int]:
    """Count staff access: asked, granted, refused, waiting, live now, and fields read."""
    now = int(time.time())
    row = store.row(
        """SELECT count(*) AS asked, sum(outcome = 'granted') AS granted, sum(outcome = 'refused') AS refused,
          sum(outcome = 'pending') AS pending, sum(uses) AS used,
          sum(outcome = 'granted' AND ended IS NULL AND expires_at > ?) AS live
        FROM requests WHERE cell = ?""",
        now, cell,
    )  # fmt: skip
    return (
        {name: int(row[name] or 0) for name in ("asked", "granted", "refused", "pending", "used", "live")}
        if row
        else {}
    )


def order_figures(store: Store, cell: str) -> list[OrderFigure]:
    """Return every order a cell took, newest first, and whether it binds now as far as entries tell."""
    taken: list[tuple[int, OrderTaken]] = []
    effects: dict[str, list[dict[str, Any]]] = {}
    for row in store.entries(cell, ["OrderTaken", "OrderEffective"], limit=5000):
        entry = decode(row["data"])
        if isinstance(entry, OrderTaken):
            taken.append((row["idx"], entry))
        elif isinstance(entry, OrderEffective):
            effects.setdefault(entry.order, []).append(
                {"process": entry.process, "index": row["idx"], "at": entry.at}
            )
    figures = []
    for place, (index, order) in enumerate(taken):
        later = [other for _, other in taken[place + 1 :] if other.scope == order.scope]
        if order.verb not in ("suspend", "restrict"):
            state = "carried out"
        elif any(other.verb == "lift" for other in later):
            state = "lifted"
        elif later and later[-1].verb == "stay":
            state = "stayed"
        else:
            state = "in force"
        figures.append(
            OrderFigure(
                order.order, order.verb, order.scope, order.signer, order.at, index, state,
                effects.get(order.order, []),
            )
        )  # fmt: skip
    return figures[::-1]


def refused_orders(store: Store, cell: str) -> list[tuple[int, OrderRefused]]:
    """Return the orders a cell refused, newest first, with their entries."""
    rows = store.entries(cell, ["OrderRefused"], limit=100, newest=True)
    decoded = [(row["idx"], decode(row["data"])) for row in rows]
    return [(index, entry) for index, entry in decoded if isinstance(entry, OrderRefused)]


def _floor_percent(part: int, whole: int) -> str:
    """Return a percentage cut (never rounded up) to one decimal."""
    tenths = part * 1000 // whole if whole else 0
    return f"{tenths // 10}.{tenths % 10}"
