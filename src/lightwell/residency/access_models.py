"""Tables of staff access: who works here, who asked to see what, who approved it, and each look."""

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import BlindIndex, label

# Whom staff look at, and who they are, is nobody's business outside: no flow carries these.
_INNER = label("system.operations", "interop")
_SUBJECT = label("user.unique_id", "interop")


class StaffRow(Model):
    """One account of a member of staff.

    `person` is the same for all accounts of one natural person: approvals count people, not accounts.
    `reports_to` is another staff_id; `reports_to_entity` names who is above when nobody here is.
    """

    __tablename__ = "staff"

    staff_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=_INNER)
    person: Mapped[str] = mapped_column(String(40), index=True, info=_INNER)
    name: Mapped[str] = mapped_column(String(50), info=_INNER)
    vkey: Mapped[str] = mapped_column(
        String(300), unique=True, info=label("system.authentication", "interop")
    )
    role: Mapped[str] = mapped_column(String(40), info=_INNER)
    employer: Mapped[str] = mapped_column(String(40), info=_INNER)
    place: Mapped[str] = mapped_column(String(40), info=_INNER)
    vetted: Mapped[bool] = mapped_column(Boolean, info=_INNER)
    reports_to: Mapped[str | None] = mapped_column(String(16), info=_INNER)
    reports_to_entity: Mapped[str | None] = mapped_column(String(40), info=_INNER)
    active: Mapped[bool] = mapped_column(Boolean, default=True, info=_INNER)


class StaffSessionRow(Model):
    """A signed-in session of staff; `challenge` was signed for it and works once."""

    __tablename__ = "staff_sessions"

    token_index: Mapped[bytes] = mapped_column(
        BlindIndex, primary_key=True, info=label("system.authentication", "protected")
    )
    challenge: Mapped[str] = mapped_column(
        String(200), unique=True, info=label("system.authentication", "interop")
    )
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.staff_id"), index=True, info=_INNER)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True, info=_INNER)


class StaffPasskeyRow(Model):
    """One passkey (WebAuthn) of a member of staff; the cell holds its public half only."""

    __tablename__ = "staff_passkeys"

    credential_id: Mapped[bytes] = mapped_column(
        LargeBinary(1023), primary_key=True, info=label("system.authentication", "interop")
    )
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.staff_id"), index=True, info=_INNER)
    public_key: Mapped[bytes] = mapped_column(
        LargeBinary(2000), info=label("system.authentication", "interop")
    )
    sign_count: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    added_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)


class AccessRequestRow(Model):
    """One request and what became of it.

    `status` is `pending`, `refused`, `granted`, `expired` or `revoked`. `decided_leaf` is the leaf hash of
    the AccessDecided entry, or of AccessOpened for an emergency: a grant is live only once that leaf stands
    under a published checkpoint. `emergency` is empty, `witnessed` or `alone`; `review_by` and `review` are
    an emergency's. `opened_with` counts the approvals or witnesses when it opened.
    """

    __tablename__ = "access_requests"

    request_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=_INNER)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.staff_id"), index=True, info=_INNER)
    person: Mapped[str] = mapped_column(String(40), index=True, info=_INNER)
    place: Mapped[str] = mapped_column(String(40), info=_INNER)
    role: Mapped[str] = mapped_column(String(40), info=_INNER)
    subject_id: Mapped[str | None] = mapped_column(String(16), index=True, info=_SUBJECT)
    subject_handle: Mapped[str | None] = mapped_column(
        String(24), info=label("user.account.username", "interop")
    )
    fields: Mapped[list[str]] = mapped_column(JSON, info=_INNER)
    purpose: Mapped[str] = mapped_column(String(40), info=_INNER)
    minutes: Mapped[int] = mapped_column(Integer, info=_INNER)
    ticket: Mapped[str] = mapped_column(String(24), info=_INNER)
    status: Mapped[str] = mapped_column(String(10), index=True, info=_INNER)
    reason: Mapped[str] = mapped_column(String(40), info=_INNER)
    requested_at: Mapped[int] = mapped_column(BigInteger, index=True, info=_INNER)
    granted_at: Mapped[int | None] = mapped_column(BigInteger, info=_INNER)
    expires_at: Mapped[int | None] = mapped_column(BigInteger, index=True, info=_INNER)
    decided_leaf: Mapped[bytes | None] = mapped_column(LargeBinary(32), info=_INNER)
    opened_with: Mapped[int] = mapped_column(Integer, default=0, info=_INNER)
    ended_at: Mapped[int | None] = mapped_column(BigInteger, info=_INNER)
    uses: Mapped[int] = mapped_column(Integer, default=0, info=_INNER)
    emergency: Mapped[str] = mapped_column(String(10), default="", info=_INNER)
    review_by: Mapped[int | None] = mapped_column(BigInteger, info=_INNER)
    review: Mapped[str] = mapped_column(String(12), default="", info=_INNER)


class AccessApprovalRow(Model):
    """One other person's approval, with the key they were signed in with."""

    __tablename__ = "access_approvals"

    request_id: Mapped[str] = mapped_column(
        ForeignKey("access_requests.request_id"), primary_key=True, info=_INNER
    )
    person: Mapped[str] = mapped_column(String(40), primary_key=True, info=_INNER)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.staff_id"), info=_INNER)
    vkey: Mapped[str] = mapped_column(String(300), info=label("system.authentication", "interop"))
    approved_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)


class AccessReviewRow(Model):
    """One person's look at an emergency afterwards, with the key they were signed in with."""

    __tablename__ = "access_reviews"

    request_id: Mapped[str] = mapped_column(
        ForeignKey("access_requests.request_id"), primary_key=True, info=_INNER
    )
    person: Mapped[str] = mapped_column(String(40), primary_key=True, info=_INNER)
    vkey: Mapped[str] = mapped_column(String(300), info=label("system.authentication", "interop"))
    justified: Mapped[bool] = mapped_column(Boolean, info=_INNER)
    reviewed_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)
