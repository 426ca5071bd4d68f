"""Another agreement comes into force only by its parties' signatures, in every process and for good."""

import os
import threading
from pathlib import Path
from typing import Final

from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError

from lightwell.agreement import signing
from lightwell.agreement.load import AgreementError, digest, parse
from lightwell.agreement.roster import parse_roster, roster_digest
from lightwell.agreement.signing import Settled, SigningError
from lightwell.base.clock import now_s
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.base.telemetry import log
from lightwell.ledger.queue import enqueue
from lightwell.residency.amendments_models import AdoptedAgreement
from lightwell.residency.cell import Cell, CellError, Governed
from lightwell.residency.in_force import require_allowed
from lightwell.residency.labels import disagreements
from lightwell.wire.entries import AgreementAdopted

SCOPE: Final = "amendments"
"""What an order suspends that forbids a change of the agreement."""
WATCH_SECONDS: Final = 0.5

_STATUS: Final = {
    "malformed": 400,
    "version-does-not-follow": 409,
    "another-paper": 409,
    "weaker-labels": 409,
}
_log = log("amendments")


def found(cell: Cell, session: WriteSession, paper: str = "", policy: str = "") -> AgreementAdopted:
    """Adopt the agreement that the cell was opened with as its first, and queue the entry.

    Args:
        cell: a cell that has adopted none.
        session: the caller's transaction.
        paper: the parties' signatures; without them the entry says that nobody signed.
        policy: digest of the founding ranking policy, which the paper names too.

    Raises:
        Problem: 4xx `agreement-refused`, the paper does not hold.
    """
    settled = Settled(cell.agreement, cell.roster)
    try:
        signed = signing.check_founding(settled, paper, policy) if paper else {}
    except SigningError as error:
        raise _refusal(error.reason, error.detail) from error
    entry = signing.adopted_entry(settled, now_s(), signed, policy=policy)
    _store(session, entry, cell.agreement_text, cell.roster_text, paper)
    enqueue(session, entry)
    return entry


def amend(cell: Cell, text: str, roster_text: str, paper: str) -> AgreementAdopted:
    """Bring another agreement into force: from the commit of this call on it is the cell's.

    This process takes it up before the call returns, every other one within a second.

    Args:
        cell: the cell.
        text: the new agreement's file.
        roster_text: the roster that comes with it.
        paper: the parties' signatures.

    Returns:
        The entry that records it, queued for the ledger.

    Raises:
        Problem: 4xx `agreement-refused` with member `reason` as in `SigningError`, or `weaker-labels`,
            `keys-lost` or `malformed`; 403 `suspended-by-order` while an order forbids amendments.
    """
    try:
        new = Settled(parse(text), parse_roster(roster_text))
    except AgreementError as error:
        raise _refusal("malformed", str(error)) from error
    weaker = disagreements(new.agreement)
    if weaker:
        detail = f"This cell holds data under weaker labels than that agreement allows; {weaker[0]}."
        raise _refusal("weaker-labels", detail)
    try:
        governed = Governed.read(cell.settings, cell.vault, text, roster_text)
    except CellError as error:
        raise _refusal("keys-lost", f"This cell could not run under it: {error}.") from error
    try:
        with cell.database.write() as session:
            require_allowed(session, SCOPE)
            before = newest(session)
            old = _settled(before) if before else Settled(cell.agreement, cell.roster)
            signed = signing.check_amendment(old, new, paper)
            entry = signing.adopted_entry(new, now_s(), signed, amends=digest(old.agreement))
            if before is None:
                # Founded before there was a record of it: what it amends is kept, so that it can be read.
                session.add(_row(Settled(cell.agreement, cell.roster), cell.agreement_text, cell.roster_text))
            _store(session, entry, text, roster_text, paper)
            enqueue(session, entry)
    except SigningError as error:
        raise _refusal(error.reason, error.detail) from error
    except IntegrityError as error:
        raise _refusal("version-does-not-follow", "Another amendment came first.") from error
    _take_up(cell, governed)
    return entry


def newest(session: ReadSession) -> AdoptedAgreement | None:
    """Return the agreement that came into force last, None if the cell's first was never recorded."""
    return session.scalars(
        select(AdoptedAgreement).order_by(AdoptedAgreement.version.desc()).limit(1)
    ).first()


def adopted(session: ReadSession, wanted: str) -> AdoptedAgreement | None:
    """Return an agreement that is or was in force here, by its digest."""
    return session.scalars(select(AdoptedAgreement).where(AdoptedAgreement.digest == wanted)).first()


def settle(cell: Cell) -> None:
    """Have the cell run under what it adopted last, whatever its files say.

    Files that are only behind, because a process ended between commit and writing, are written again.

    Raises:
        CellError: a file is neither the adopted one nor one adopted before: somebody changed it.
    """
    with cell.database.read() as session:
        if not inspect(session.connection()).has_table(AdoptedAgreement.__tablename__):
            return
        row = newest(session)
        if row is None:
            return
        known = set(session.execute(select(AdoptedAgreement.digest, AdoptedAgreement.roster_digest)).all())
        text, roster_text, wanted = row.text, row.roster, (row.digest, row.roster_digest)
    agreed, seated = digest(cell.agreement), roster_digest(cell.roster)
    if (agreed, seated) == wanted:
        return
    if agreed not in {one for one, _ in known} or seated not in {other for _, other in known}:
        raise CellError("the agreement or the roster in the cell's folder is not one that was adopted here")
    _take_up(cell, Governed.read(cell.settings, cell.vault, text, roster_text))


class AmendmentWatch:
    """Takes up, in its process, whatever agreement another process brought into force.

    Args:
        cell: the cell whose agreements are watched.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def look(self) -> bool:
        """Take up the newest agreement if this process does not run under it; say whether it did."""
        with self._cell.database.read() as session:
            row = newest(session)
            if row is None or row.digest == digest(self._cell.agreement):
                return False
            text, roster_text = row.text, row.roster
        _take_up(self._cell, Governed.read(self._cell.settings, self._cell.vault, text, roster_text))
        return True

    def run(self, stop: threading.Event) -> None:
        """Look twice a second until `stop` is set; a failed look is logged and tried again."""
        while not stop.wait(WATCH_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  a locked or restarting database must not end the watch
                _log.error("looking for amendments failed", error)


def _take_up(cell: Cell, governed: Governed) -> None:
    cell.governed.now = governed
    settings = cell.settings
    _write(settings.path(settings.roster), governed.roster_text)
    _write(settings.path(settings.agreement), governed.agreement_text)


def _write(file: Path, text: str) -> None:
    if file.read_text("utf-8") == text:
        return
    # Named after the process and thread: several take it up at once, and each writes the same.
    draft = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.new")
    draft.write_text(text, "utf-8")
    draft.replace(file)


def _settled(row: AdoptedAgreement) -> Settled:
    return Settled(parse(row.text), parse_roster(row.roster))


def _store(session: WriteSession, entry: AgreementAdopted, text: str, roster: str, paper: str) -> None:
    session.add(
        AdoptedAgreement(
            version=entry.version,
            digest=entry.digest,
            roster_digest=entry.roster_digest,
            text=text,
            roster=roster,
            paper=paper,
            adopted_at=entry.at,
        )
    )
    session.flush()


def _row(settled: Settled, text: str, roster: str) -> AdoptedAgreement:
    return AdoptedAgreement(
        version=settled.agreement.version,
        digest=digest(settled.agreement),
        roster_digest=roster_digest(list(settled.seats)),
        text=text,
        roster=roster,
        paper="",
        adopted_at=now_s(),
    )


def _refusal(reason: str, detail: str) -> Problem:
    return Problem(_STATUS.get(reason, 403), "agreement-refused", detail, reason=reason)
