"""The demo's staff: who they are in a cell's directory, and the key each signs in with."""

from dataclasses import dataclass

from sqlalchemy import select

from lightwell.residency.access_models import StaffRow
from lightwell.residency.cell import Cell
from lightwell.residency.staff import Member, enrol
from lightwell.wire.keys import SigningKey


@dataclass(frozen=True, slots=True)
class Badge:
    """One member of staff with a private key that only a demo would hand out."""

    ident: str
    member: Member
    key: SigningKey


def hire(cell: Cell, badges: list[Badge]) -> None:
    """Enter `badges` in the cell's staff directory; those who are in it already stay as they are."""
    with cell.database.write() as session:
        known = set(session.scalars(select(StaffRow.vkey)))
        for badge in badges:
            if badge.member.vkey not in known:
                enrol(session, badge.member)
