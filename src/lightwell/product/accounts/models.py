"""The stored form of accounts and sessions: what is published in clear, everything else sealed."""

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import BlindIndex, Sealed, label


class AccountRow(Model):
    """One person's account in its home cell."""

    __tablename__ = "accounts"

    account_id: Mapped[str] = mapped_column(
        String(16), primary_key=True, info=label("user.unique_id", "interop")
    )
    handle: Mapped[str] = mapped_column(
        String(24), unique=True, info=label("user.account.username", "public")
    )
    display_name: Mapped[str] = mapped_column(String(50), info=label("user.account.settings", "public"))
    created_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    password: Mapped[bytes] = mapped_column(Sealed, info=label("user.authorization.password", "protected"))
    email: Mapped[bytes] = mapped_column(Sealed, info=label("user.contact.email", "protected"))
    email_index: Mapped[bytes] = mapped_column(
        BlindIndex, unique=True, info=label("user.contact.email", "protected")
    )
    phone: Mapped[bytes | None] = mapped_column(Sealed, info=label("user.contact.phone_number", "protected"))
    birthday: Mapped[bytes] = mapped_column(Sealed, info=label("user.demographic.date_of_birth", "protected"))
    address: Mapped[bytes | None] = mapped_column(Sealed, info=label("user.contact.address", "protected"))
    sign_in_ip: Mapped[bytes] = mapped_column(Sealed, info=label("user.device.ip_address", "protected"))
    device: Mapped[bytes] = mapped_column(Sealed, info=label("user.device", "protected"))


class SessionRow(Model):
    """A signed-in browser; the token itself is only in the browser's cookie."""

    __tablename__ = "sessions"
    # An embedded database then finds a row by one search, not by one for its number and one for the row.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy's own form

    token_index: Mapped[bytes] = mapped_column(
        BlindIndex, primary_key=True, info=label("user.authorization", "protected")
    )
    account_id: Mapped[str] = mapped_column(
        ForeignKey("accounts.account_id", ondelete="CASCADE"),
        index=True,
        info=label("user.unique_id", "interop"),
    )
    expires_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
