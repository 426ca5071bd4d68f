"""Who is proposed for a role that a public body may veto, and what became of it."""

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_INNER = label("system.operations", "interop")
_PUBLIC = label("system.operations", "public")


class AppointmentRow(Model):
    """One proposal. `state` is `proposed`, `consented` or `vetoed`.

    `counts_at` is when it counts if nobody objects, milliseconds, None if it takes consent. `opening` opens
    the commitment of its entry to the person, as whoever decides is told them.
    """

    __tablename__ = "appointments"

    appointment_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=_PUBLIC)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.staff_id"), index=True, info=_INNER)
    role: Mapped[str] = mapped_column(String(40), info=_INNER)
    commitment: Mapped[str] = mapped_column(String(64), info=_PUBLIC)
    opening: Mapped[bytes] = mapped_column(LargeBinary(16), info=_INNER)
    state: Mapped[str] = mapped_column(String(10), info=_PUBLIC)
    proposed_at: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)
    counts_at: Mapped[int | None] = mapped_column(BigInteger, info=_PUBLIC)
    decided_at: Mapped[int | None] = mapped_column(BigInteger, info=_PUBLIC)
