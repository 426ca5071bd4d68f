"""Accounts move only between two cells of one agreement that knows them both, and only to their home."""

from __future__ import annotations

from lightwell.agreement.load import digest
from lightwell.agreement.roster import seats_of
from lightwell.product.moving.models import MoveError
from lightwell.product.moving.parcel import is_permitted
from lightwell.residency.cell import Cell


def require_agreed(source: Cell, target: Cell, region: str, term: str) -> None:
    """Check that people of `region` may be moved from one cell to the other under a term of the agreement.

    Raises:
        MoveError: saying why not.
    """
    law = target.agreement
    if source.settings.cell == target.settings.cell:
        raise MoveError("accounts are moved between two cells, not within one")
    if digest(source.agreement) != digest(law):
        raise MoveError("the two cells run under different agreements")
    if term not in {known.id for known in law.terms}:
        raise MoveError(f"the agreement {law.id} has no term {term}")
    if region not in law.region_ids():
        raise MoveError(f"the agreement {law.id} has no region {region!r}")
    if target.settings.region != region:
        raise MoveError(f"people of {region} are at home in {region}, not in {target.settings.region}")
    if source.settings.region == law.law_region != region:
        raise MoveError(f"the data of {law.law_region} does not leave it")
    for here, there in ((source, target), (target, source)):
        name = there.settings.cell
        vkey = there.vault.signing_key("ledger").verifier().vkey()
        if vkey not in {seat.vkey for seat in seats_of(here.roster, "ledger", name)}:
            raise MoveError(f"the roster of cell {here.settings.cell} does not know the ledger of {name}")
    if not (is_permitted(source) and is_permitted(target)):
        raise MoveError(f"the agreement {law.id} lets no process move accounts")
