"""The agreements a cell has adopted, in the order in which they came into force."""

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_PUBLIC = label("system.operations", "public")


class AdoptedAgreement(Model):
    """One agreement with its roster and the paper that its parties signed; all of it is public."""

    __tablename__ = "agreements_adopted"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, info=_PUBLIC)
    digest: Mapped[str] = mapped_column(String(64), info=_PUBLIC)
    roster_digest: Mapped[str] = mapped_column(String(64), info=_PUBLIC)
    text: Mapped[str] = mapped_column(Text, info=_PUBLIC)
    roster: Mapped[str] = mapped_column(Text, info=_PUBLIC)
    paper: Mapped[str] = mapped_column(Text, info=_PUBLIC)
    adopted_at: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)
