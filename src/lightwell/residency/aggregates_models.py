"""Tables of aggregates: the one noisy answer to each question, and what each viewer has spent on them."""

from sqlalchemy import JSON, BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import COUNTER, Model
from lightwell.base.labels import label

_INNER = label("system.operations", "interop")


class AggregateAnswerRow(Model):
    """The answer to one question about one window; it is drawn once: asking again tells nothing more."""

    __tablename__ = "aggregate_answers"

    question: Mapped[str] = mapped_column(String(40), primary_key=True, info=_INNER)
    start_ms: Mapped[int] = mapped_column(BigInteger, primary_key=True, info=_INNER)
    minutes: Mapped[int] = mapped_column(Integer, primary_key=True, info=_INNER)
    counts: Mapped[dict[str, int]] = mapped_column(JSON, info=_INNER)
    epsilon: Mapped[int] = mapped_column(Integer, info=_INNER)
    scale: Mapped[str] = mapped_column(String(40), info=_INNER)
    made_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)


class AggregateSpendRow(Model):
    """What one person paid for one answer, in thousandths of epsilon."""

    __tablename__ = "aggregate_spends"

    number: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True, info=_INNER)
    person: Mapped[str] = mapped_column(String(40), index=True, info=_INNER)
    question: Mapped[str] = mapped_column(String(40), info=_INNER)
    start_ms: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    minutes: Mapped[int] = mapped_column(Integer, info=_INNER)
    spent: Mapped[int] = mapped_column(Integer, info=_INNER)
    spent_at: Mapped[int] = mapped_column(BigInteger, index=True, info=_INNER)
