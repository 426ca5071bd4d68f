"""The board's report: how every term stands, by which entries of which tree, signed for anyone to check."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lightwell.agreement.roster import Seat, seats_of
from lightwell.wire import canonical
from lightwell.wire.checkpoint import CheckpointError, open_checkpoint
from lightwell.wire.keys import NoteError, SigningKey, Verifier
from lightwell.wire.note import open_note, sign_note

HEADER: Final = "lightwell/report/v1\n"
STATUSES: Final = ("met", "breached", "no evidence")


class ReportError(ValueError):
    """The text is no report, or is not signed by those it must be signed by."""


class VerifiedReport(msgspec.Struct, frozen=True):
    """A report whose signatures and inner consistency hold."""

    body: dict[str, Any]
    signers: list[str]


def sign(body: dict[str, Any], keys: Sequence[SigningKey]) -> str:
    """Return the signed report.

    Args:
        body: `cell`, `agreement` (id, version), `ledger` (origin, vkey, size, root in hex, checkpoint),
            `terms` (id, title, status, why, entries) and whatever figures; canonical JSON, so no floats.
        keys: the board members' keys.

    Raises:
        ReportError: no key, or a body that is not consistent in itself.
    """
    if not keys:
        raise ReportError("no board member's key is at hand to sign with")
    _check_body(body)
    return sign_note(HEADER + canonical.encode(body).decode() + "\n", *keys)


def verify(text: str, verifiers: Sequence[Verifier], needed: int) -> VerifiedReport:
    """Check a report's signatures and that it does not contradict itself.

    Args:
        text: the report.
        verifiers: board members' keys that count.
        needed: how many of them must have signed.

    Raises:
        ReportError: not a report, a bad signature, too few signers, or an inner contradiction.
    """
    try:
        opened = open_note(text, verifiers)
    except NoteError as error:
        raise ReportError(f"the signatures do not hold: {error}") from error
    signers = sorted({signature.name for signature in opened.signatures})
    if len(opened.signatures) < needed:
        raise ReportError(f"{len(opened.signatures)} of the {needed} board members needed have signed")
    if not opened.text.startswith(HEADER):
        raise ReportError(f"a report begins with the line {HEADER.strip()!r}")
    try:
        body = canonical.decode(opened.text.removeprefix(HEADER).removesuffix("\n").encode())
    except canonical.CanonicalError as error:
        raise ReportError(f"the report's JSON is not canonical: {error}") from error
    if not isinstance(body, dict):
        raise ReportError("the report is not an object")
    try:
        _check_body(body)
    except (KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"the report lacks a part or has one of a wrong form: {error}") from error
    return VerifiedReport(body, signers)


def verify_by_roster(text: str, roster: Sequence[Seat]) -> VerifiedReport:
    """Check a report against a roster: a majority of the board signed, and the cell's ledger key the tree.

    Raises:
        ReportError: as `verify`, or the roster seats no board, or the checkpoint is not of the seated key.
    """
    seats = seats_of(list(roster), "board")
    if not seats:
        raise ReportError("the roster seats no board")
    report = verify(text, [Verifier.from_vkey(seat.vkey) for seat in seats], len(seats) // 2 + 1)
    cell = report.body["cell"]
    keys = [seat.vkey for seat in seats_of(list(roster), "ledger", cell)]
    if report.body["ledger"]["vkey"] not in keys:
        raise ReportError(f"the ledger's key in the report is not the one seated for cell {cell!r}")
    return report


def _check_body(body: dict[str, Any]) -> None:
    ledger = body["ledger"]
    try:
        verifier = Verifier.from_vkey(ledger["vkey"])
        checkpoint = open_checkpoint(ledger["checkpoint"], verifier, origin=ledger["origin"]).checkpoint
    except (NoteError, CheckpointError) as error:
        raise ReportError(f"the checkpoint in the report is not the ledger's: {error}") from error
    if (checkpoint.size, checkpoint.root.hex()) != (ledger["size"], ledger["root"]):
        raise ReportError("the report's tree is not that of its checkpoint")
    if ledger["origin"] != f"lightwell/{body['cell']}":
        raise ReportError("the report's ledger is not that of its cell")
    seen: set[str] = set()
    for term in body["terms"]:
        if term["status"] not in STATUSES or term["id"] in seen:
            raise ReportError(f"term {term['id']!r} has no known status or stands twice")
        if term["status"] != "no evidence" and not term["entries"]:
            raise ReportError(
                f"term {term['id']!r} is called {term['status']} without an entry that shows it"
            )
        if any(not 0 <= index < ledger["size"] for index in term["entries"]):
            raise ReportError(f"term {term['id']!r} names an entry outside the tree")
        seen.add(term["id"])
    if not seen:
        raise ReportError("the report has no terms")
