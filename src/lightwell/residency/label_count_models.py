"""Which counts of labels this cell has recorded, so that a restart that changes nothing adds no entry."""

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_PUBLIC = label("system.operations", "public")


class LabelCountRow(Model):
    """One count that stands in the ledger; the last is what holds now."""

    __tablename__ = "label_counts"

    count_id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, info=_PUBLIC
    )
    agreement: Mapped[str] = mapped_column(String(64), info=_PUBLIC)
    labels: Mapped[str] = mapped_column(String(64), info=_PUBLIC)
    unlabelled: Mapped[int] = mapped_column(Integer, info=_PUBLIC)
    counted_at: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)
