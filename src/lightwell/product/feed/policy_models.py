"""The stored form of ranking policies before they serve: what was proposed, and who approved it."""

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

# Who of the staff acted is nobody's business outside: no flow carries these.
_INNER = label("system.operations", "interop")
_PUBLIC = label("system.operations", "public")


class PolicyProposalRow(Model):
    """A ranking policy that somebody asks to adopt.

    `key` is the base 64 of the proposer's public key with its type, `person` the same for all keys of one
    member of staff; `seat` is empty for staff. `leaf` is the leaf hash of the PolicyProposed entry.
    """

    __tablename__ = "policy_proposals"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True, info=_PUBLIC)
    version: Mapped[int] = mapped_column(Integer, index=True, info=_PUBLIC)
    body: Mapped[bytes] = mapped_column(LargeBinary, info=_PUBLIC)
    key: Mapped[str] = mapped_column(String(100), info=label("system.authentication", "interop"))
    person: Mapped[str] = mapped_column(String(200), info=_INNER)
    role: Mapped[str] = mapped_column(String(40), info=_INNER)
    seat: Mapped[str] = mapped_column(String(200), info=_PUBLIC)
    proposed_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32), info=_PUBLIC)


class PolicyApprovalRow(Model):
    """One approval by another than the proposer; columns as in `PolicyProposalRow`."""

    __tablename__ = "policy_approvals"

    digest: Mapped[str] = mapped_column(ForeignKey("policy_proposals.digest"), primary_key=True, info=_PUBLIC)
    key: Mapped[str] = mapped_column(
        String(100), primary_key=True, info=label("system.authentication", "interop")
    )
    person: Mapped[str] = mapped_column(String(200), info=_INNER)
    role: Mapped[str] = mapped_column(String(40), info=_INNER)
    seat: Mapped[str] = mapped_column(String(200), info=_PUBLIC)
    approved_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32), info=_PUBLIC)
