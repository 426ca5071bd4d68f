"""Each term judged by its entries: `met`, `breached` or `no evidence`, never met because nobody looked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct, structs

from lightwell.agreement.checks import CHECKS
from lightwell.agreement.evidence import Case, Evidence
from lightwell.agreement.findings import BREACHED, NO_EVIDENCE, Finding
from lightwell.agreement.load import digest
from lightwell.agreement.model import Agreement
from lightwell.agreement.roster import Seat
from lightwell.agreement.signing import Settled
from lightwell.wire import entries as kinds

# Enough to follow up, few enough to print; the sentence gives the whole count.
SHOWN_ENTRIES = 100


class TermStatus(Struct, frozen=True):
    """How one term stands: `why` is one or two sentences, `entries` the indices that show it.

    At most `SHOWN_ENTRIES` entries are listed: the first ones of a breach, the newest otherwise.
    """

    id: str
    title: str
    status: Literal["met", "breached", "no evidence"]
    why: str
    entries: list[int]


def evaluate(
    agreement: Agreement,
    entries: Iterable[tuple[int, object]] | Evidence,
    verdicts: Mapping[int, str] | None = None,
    *,
    region: str | None = None,
    peers: Mapping[str, Evidence] | None = None,
    regions: Mapping[str, str] | None = None,
    roster: Sequence[Seat] | None = None,
    now: int = 0,
    cell: str = "",
    held: Mapping[int, Settled] | None = None,
) -> list[TermStatus]:
    """Judge every term of an agreement by one cell's ledger.

    Args:
        agreement: as parsed from the file whose digest the ledger adopted.
        entries: all entries with their indices from 0, or an `Evidence` that was fed with them.
        verdicts: replay outcomes by index of the SlateServed entry.
        region: the cell's region; None is the region of law.
        peers: evidence of other cells by name, for terms that two ledgers show together.
        regions: region by peer cell, where it is not called like its region.
        roster: the seats, if known.
        now: seconds since the epoch; the newest entry's time when that is later.
        cell: the cell's name; empty if it is called like its region.
        held: agreements with their rosters by the index of the entry that adopted them, if known.

    Returns:
        One status a term, in the agreement's order. If the ledger adopted another agreement, no term is met.
    """
    evidence = entries if isinstance(entries, Evidence) else Evidence(entries)
    peers = peers or {}
    case = Case(
        agreement=agreement,
        evidence=evidence,
        region=region or agreement.law_region,
        verdicts=verdicts or {},
        peers=peers,
        regions=regions or {},
        roster=roster,
        now=max(now, evidence.clock, *(peer.clock for peer in peers.values())),
        cell=cell or region or agreement.law_region,
        held=held or {},
    )
    doubt = _doubt(case)
    statuses = []
    for term in agreement.terms:
        found = CHECKS[term.check](case)
        if found.status != BREACHED and doubt is not None:
            found = structs.replace(doubt)
        shown = found.entries[:SHOWN_ENTRIES] if found.status == BREACHED else found.entries[-SHOWN_ENTRIES:]
        statuses.append(TermStatus(term.id, term.title, found.status, found.why, shown))
    return statuses


def _doubt(case: Case) -> Finding | None:
    """Say why no entry can count for this agreement: the ledger has adopted none, or another."""
    adopted = case.evidence.of(kinds.AgreementAdopted)
    if not adopted:
        return Finding(NO_EVIDENCE, "The ledger holds no entry that adopts this agreement.", [])
    index, newest = adopted[-1]
    if newest.digest != digest(case.agreement):
        why = f"The ledger's newest agreement is {newest.agreement} version {newest.version}, not this text."
        return Finding(NO_EVIDENCE, why, [index])
    return None
