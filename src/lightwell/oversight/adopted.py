"""The agreement and roster a ledger says are in force: taken from the cell only if they hash to the entry."""

import time
from functools import lru_cache

import httpx
import msgspec

from lightwell.agreement import load
from lightwell.agreement.load import AgreementError
from lightwell.agreement.model import Agreement
from lightwell.agreement.roster import Seat, parse_roster, roster_digest
from lightwell.oversight.store import Store
from lightwell.wire.entries import AgreementAdopted, EntryError, decode


class Adopted(msgspec.Struct, frozen=True):
    """An agreement in force in a cell since the entry at `index`, `at` seconds since the epoch."""

    agreement: Agreement
    seats: list[Seat]
    text: str
    roster: str
    digest: str
    index: int
    at: int


class _Answer(msgspec.Struct):
    agreement: str
    roster: str


def adopted(store: Store, cell: str) -> Adopted | None:
    """Return the agreement of the newest AgreementAdopted entry whose text we hold, None before the first."""
    row = store.row("SELECT * FROM agreements WHERE cell = ? ORDER BY idx DESC LIMIT 1", cell)
    if row is None:
        return None
    agreement, seats = _parsed(row["text"], row["roster"])
    return Adopted(agreement, seats, row["text"], row["roster"], row["digest"], row["idx"], row["at"])


def refresh(store: Store, cell: str, url: str, client: httpx.Client) -> None:
    """Ask the cell for the agreement its newest AgreementAdopted entry names, unless we hold it.

    A text that hashes to something else is a finding, never the agreement.
    """
    newest = store.entries(cell, ["AgreementAdopted"], limit=1, newest=True)
    if not newest:
        return
    index = newest[0]["idx"]
    held = store.row("SELECT 1 FROM agreements WHERE cell = ? AND idx = ?", cell, index)
    if held is not None:
        return
    try:
        entry = decode(newest[0]["data"])
        answer = client.get(f"{url}/api/agreement")
        answer.raise_for_status()
        given = msgspec.json.decode(answer.content, type=_Answer)
    except (EntryError, httpx.HTTPError, msgspec.DecodeError):
        return
    if not isinstance(entry, AgreementAdopted):
        return
    key = f"agreement-{index}"
    problem = _mismatch(entry, given)
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


@lru_cache(maxsize=16)
def _parsed(text: str, roster: str) -> tuple[Agreement, list[Seat]]:
    return load.parse(text), parse_roster(roster)
