"""Tables of lawful process: which demand was taken in, and the access request by which it is answered."""

from sqlalchemy import JSON, BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_INNER = label("system.operations", "interop")


class LawfulRequestRow(Model):
    """One demand of a public authority for a person's data; `opening` opens the commitment of its entry."""

    __tablename__ = "lawful_requests"

    request_id: Mapped[str] = mapped_column(
        ForeignKey("access_requests.request_id"), primary_key=True, info=_INNER
    )
    authority: Mapped[str] = mapped_column(String(100), info=_INNER)
    basis: Mapped[str] = mapped_column(String(100), info=_INNER)
    fields: Mapped[list[str]] = mapped_column(JSON, info=_INNER)
    opening: Mapped[bytes] = mapped_column(LargeBinary(16), info=_INNER)
    registered_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    answered_at: Mapped[int | None] = mapped_column(BigInteger, info=_INNER)
