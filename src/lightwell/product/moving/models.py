"""How far a migration has come, in both cells; which accounts it is about is forgotten when it has ended."""

from msgspec import Struct
from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_INNER = label("system.operations", "interop")


class MoveError(ValueError):
    """The agreement does not allow the migration, or it came to a halt; the message is one line."""


class Progress(Struct, frozen=True):
    """How far it is: accounts that are wholly moved, refused, and all of the plan; and what is being done."""

    moved: int
    refused: int
    planned: int
    doing: str


class MoveRow(Model):
    """One migration, in the cell that accounts leave and in the one they come to.

    `state` is `planning`, `moving` or `done`; in the source it is `moving` or `done`. `key_version`
    is that of the source's cell key when it began. `certificate` is written last.
    """

    __tablename__ = "moves"

    move_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=_INNER)
    source: Mapped[str] = mapped_column(String(40), info=_INNER)
    target: Mapped[str] = mapped_column(String(40), info=_INNER)
    state: Mapped[str] = mapped_column(String(8), info=_INNER)
    salt: Mapped[bytes] = mapped_column(LargeBinary(32), info=_INNER)
    key_version: Mapped[int] = mapped_column(Integer, default=0, info=_INNER)
    began_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    entries: Mapped[str] = mapped_column(Text, default="", info=label("system.operations", "public"))
    """The entries that this cell queued, a line each."""
    certificate: Mapped[str] = mapped_column(Text, default="", info=label("system.operations", "public"))


class MovedRow(Model):
    """One account of a migration that is under way, in the cell it comes to.

    `state` is `planned`, `copied` (compared and durable), `gone` (from the source) or `refused`, with the
    reason.
    """

    __tablename__ = "moved_accounts"

    move_id: Mapped[str] = mapped_column(ForeignKey("moves.move_id"), primary_key=True, info=_INNER)
    moved_id: Mapped[str] = mapped_column(
        String(16), primary_key=True, info=label("user.unique_id", "interop")
    )
    handle: Mapped[str] = mapped_column(String(24), info=label("user.account.username", "public"))
    state: Mapped[str] = mapped_column(String(8), index=True, info=_INNER)
    reason: Mapped[str] = mapped_column(String(40), default="", info=_INNER)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), default=b"", info=_INNER)
    """Salted, of the account's plaintext."""
    mark: Mapped[bytes] = mapped_column(LargeBinary(32), default=b"", info=_INNER)
    """Of the account as it lay in the source when it was copied."""
    counted: Mapped[str] = mapped_column(Text, default="{}", info=_INNER)
    """Rows by table, objects and their bytes, as JSON."""
