"""The agreement and roster a ledger says are in force: taken from the cell only if they hash to the entry."""

import sqlite3
import time
from functools import lru_cache

import httpx
import msgspec

from lightwell.agreement import load
from lightwell.agreement.load import AgreementError
from lightwell.agreement.model import Agreement
from lightwell.agreement.roster import Seat, parse_roster, roster_digest
from lightwell.agreement.signing import Settled, faults_of
from lightwell.oversight.store import Store
from lightwell.wire.entries import AgreementAdopted, EntryError, decode

_MOST = 1_000
"""Adoptions of one cell that are looked at."""


class Adopted(msgspec.Struct, frozen=True):
    """An agreement in force in a cell since the entry at `index`, `at` seconds since the epoch."""

    agreement: Agreement
    seats: list[Seat]
    text: str
    roster: str
    digest: str
    index: int
    at: int


def held(store: Store, cell: str) -> dict[int, Settled]:
    """Return every agreement of a cell whose text we hold, by the index of the entry that adopted it."""
    rows = store.rows("SELECT idx, text, roster FROM agreements WHERE cell = ?", cell)
    return {row["idx"]: Settled(*_parsed(row["text"], row["roster"])) for row in rows}


class _Answer(msgspec.Struct):
    agreement: str
    roster: str


_decode_answer = msgspec.json.Decoder(_Answer).decode


def adopted(store: Store, cell: str) -> Adopted | None:
    """Return the agreement of the newest AgreementAdopted entry whose text we hold, None before the first."""
    row = store.row("SELECT * FROM agreements WHERE cell = ? ORDER BY idx DESC LIMIT 1", cell)
    if row is None:
        return None
    agreement, seats = _parsed(row["text"], row["roster"])
    return Adopted(agreement, seats, row["text"], row["roster"], row["digest"], row["idx"], row["at"])


def refresh(store: Store, cell: str, url: str, client: httpx.Client) -> None:
    """Ask the cell for the agreement its newest AgreementAdopted entry names, unless we hold it.

    A text that hashes to something else, or an amendment that not all have signed who must, is a finding,
    never the agreement. Those adopted meanwhile are asked for too, so that each is judged by the one before.
    """
    rows = store.entries(cell, ["AgreementAdopted"], limit=_MOST)
    known = held(store, cell)
    for place, row in enumerate(rows):
        if row["idx"] not in known:
            path = "" if place == len(rows) - 1 else "/" + _digest(row["data"])
            _take(store, cell, f"{url}/api/agreement{path}", client, row)
            known = held(store, cell)


def _digest(data: bytes) -> str:
    entry = decode(data)
    return entry.digest if isinstance(entry, AgreementAdopted) else ""


def _take(store: Store, cell: str, url: str, client: httpx.Client, row: sqlite3.Row) -> None:
    index = row["idx"]
    try:
        entry = decode(row["data"])
        answer = client.get(url)
        answer.raise_for_status()
        given = _decode_answer(answer.content)
    except (EntryError, httpx.HTTPError, msgspec.DecodeError):
        return
    if not isinstance(entry, AgreementAdopted):
        return
    key = f"agreement-{index}"
    problem = _mismatch(entry, given) or _unsigned(store, cell, index, entry, given)
    if problem:
        store.raise_finding(
            cell,
            key,
            area="agreement",
            title="The agreement shown is not the one adopted",
            detail=problem,
            entries=[index],
            # Between two adoptions the cell may answer with the newer text for a moment.
            state="open",
        )
        return
    store.close_finding(cell, key)
    with store.write() as db:
        db.execute(
            """INSERT OR REPLACE INTO agreements (cell, digest, text, roster, roster_digest, idx, at)
            VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                cell,
                entry.digest,
                given.agreement,
                given.roster,
                entry.roster_digest,
                index,
                entry.at or time.time(),
            ),
        )


def _mismatch(entry: AgreementAdopted, given: _Answer) -> str:
    try:
        agreement, seats = _parsed(given.agreement, given.roster)
    except AgreementError as error:
        return f"The text is no agreement: {error}."
    if load.digest(agreement) != entry.digest:
        return "The text does not hash to the digest in the entry."
    if roster_digest(seats) != entry.roster_digest:
        return "The roster does not hash to the digest in the entry."
    return ""


def _unsigned(store: Store, cell: str, index: int, entry: AgreementAdopted, given: _Answer) -> str:
    """Say what an amendment lacks; a founding binds whom it binds, and its term says who signed it."""
    before = [(at, settled) for at, settled in held(store, cell).items() if at < index]
    if not before:
        return ""
    old = max(before, key=lambda pair: pair[0])[1]
    if entry.version != old.agreement.version + 1 or entry.amends != load.digest(old.agreement):
        return f"Version {entry.version} does not follow version {old.agreement.version}, which is in force."
    faults = faults_of(entry, Settled(*_parsed(given.agreement, given.roster)), old)
    return f"{faults[0][:1].upper()}{faults[0][1:]}." if faults else ""


@lru_cache(maxsize=16)
def _parsed(text: str, roster: str) -> tuple[Agreement, list[Seat]]:
    return load.parse(text), parse_roster(roster)
