"""One entry as a reader wants it: canonical text, what it says in a sentence, and the proof that it is in."""

import sqlite3
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from lightwell.oversight import tree
from lightwell.oversight.store import Store
from lightwell.wire import base64_strict, entries, tiles

SENTENCES: Final[dict[str, str]] = {
    "AgreementAdopted": "Agreement {agreement}, version {version}, adopted",
    "PolicyAdopted": "Ranking policy {digest:.12} adopted with {approvals} approvals",
    "PolicyProposed": "Ranking policy {policy:.12} proposed, version {version}, with {promotions} promotions",
    "PromotionListed": "Ranking policy {policy:.12} holds promotion {promotion:.12}",
    "PolicyApproved": "Ranking policy {policy:.12} approved by the {role} {seat}",
    "SnapshotPublished": "Snapshot {snapshot:.12} of {videos} videos published",
    "VideoPublished": "A video was published",
    "VideoWithdrawn": "A published video was taken back",
    "SlateServed": "A slate was served from snapshot {snapshot:.12}",
    "AccessRequested": "Staff in {place} asked for {fields} ({purpose})",
    "AccessDecided": "Staff access {outcome}: {reason}",
    "AccessUsed": "Protected fields read: {fields}",
    "AccessEnded": "Staff access {why}",
    "AccessOpened": "An emergency opened protected fields in {place}, with {witnesses} witnesses",
    "AccessReviewed": "An emergency was reviewed by {reviewers}: {outcome}",
    "DirectoryChanged": "In the staff directory somebody {change} {what}; grants ended by it: {ended}",
    "AppointmentProposed": "Somebody was proposed as {role}, whom a public body may veto",
    "AppointmentDecided": "An appointment was {outcome} by the {role} {seat}",
    "AggregateAnswered": "Staff in {place} asked for the count {question}: {outcome} ({reason})",
    "RecordsOpened": "{count} slate records opened by {by} to {reason}",
    "TransferSent": "Sent to {peer} by flow {flow}, {size} bytes",
    "TransferReceived": "Received from {peer} by flow {flow}, {size} bytes",
    "TransferRefused": "Transfer by flow {flow} with {peer} refused: {reason}",
    "QuarantineOpened": "A reviewer in {place} looked at what the gateway stopped ({reason}), look {look}",
    "QuarantineClosed": "What the gateway had stopped was {outcome} after {looks} looks",
    "ConnectionRefused": "A connection of {process} refused: {reason}",
    "OrderTaken": "Order to {verb} {scope} taken from {signer}",
    "OrderRefused": "An order refused: {reason}",
    "OrderEffective": "{process} acts on the order",
    "AccountErased": "A person deleted their account",
    "MigrationSent": "{accounts} accounts given to {peer} under {term}",
    "MigrationReceived": "{accounts} accounts taken in from {peer} under {term}",
    "MigrationErased": "{accounts} accounts given to {peer} erased, cell keys {key_versions} destroyed",
    "CellKeyChanged": "Version {version} of the cell key was {change}",
    "LabelsCounted": "{protected} protected, {interop} interop, {public} public fields, {unlabelled} without",
    "LawfulRequestReceived": "A lawful demand for {fields} was taken in",
    "LawfulRequestAnswered": "A lawful demand was answered with {fields}, {approvals} approved",
    "LawfulRequestRefused": "A lawful demand refused in {place}: {reason}",
}


class InclusionView(msgspec.Struct, frozen=True):
    """The proof that an entry is in the tree of `size`: hashes in base64 from the leaf's side up."""

    size: int
    root: str
    proof: list[str]


def entry_json(row: sqlite3.Row) -> dict[str, Any]:
    """Return an entry's index, kind, leaf hash in hex and canonical text."""
    return {
        "index": row["idx"],
        "kind": row["kind"],
        "leaf": bytes(row["leaf"]).hex(),
        "text": bytes(row["data"]).decode("utf-8", "replace"),
    }


def sentence(row: sqlite3.Row) -> str:
    """Say what an entry states, in a few words; the canonical text is what counts."""
    try:
        fields = msgspec.json.decode(row["data"])
        words = {key: ", ".join(value) if isinstance(value, list) else value for key, value in fields.items()}
        # A list may be empty, and leaves its space behind.
        return SENTENCES[row["kind"]].format(**words).replace(" ;", ";")
    except (msgspec.DecodeError, KeyError, ValueError, TypeError, AttributeError):
        return f"An entry of kind {row['kind']}"


def entry_time(row: sqlite3.Row) -> int:
    """Return the time an entry states, seconds since the epoch, 0 if it states none."""
    try:
        entry = entries.decode(bytes(row["data"]))
    except entries.EntryError:
        return 0
    return int(getattr(entry, "at", 0))


def inclusion(store: Store, cell: str, index: int) -> InclusionView | None:
    """Return the inclusion proof of an entry in the newest verified tree, made from our own copy."""
    head = store.head(cell)
    if head is None or not 0 <= index < head.size:
        return None
    with store.read() as db:
        proof = tiles.inclusion_proof(
            lambda level, place, width: tree.read_tile(db, cell, level, place, width), index, head.size
        )
    return InclusionView(head.size, head.root.hex(), [base64_strict.encode(step) for step in proof])


def day(seconds: float) -> str:
    """Return a date and time for people, in UTC."""
    if not seconds:
        return "–"
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y, %H:%M UTC")
