"""The stored form of training: which models there are, and which one people have gone back to."""

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import COUNTER, Model
from lightwell.base.labels import label


class ModelRow(Model):
    """A trained model: the folder of objects `models/{digest}`, and the facts of its ledger entry.

    `digest` is that of its base snapshot, `manifest` that of its `manifest.json`. `erased_at` (milliseconds)
    is when it was found to have learned from somebody erased since; it may not begin to serve again.
    """

    __tablename__ = "models"

    number: Mapped[int] = mapped_column(
        COUNTER, primary_key=True, autoincrement=True, info=label("system.operations", "interop")
    )
    digest: Mapped[str] = mapped_column(String(64), unique=True, info=label("system.operations", "public"))
    manifest: Mapped[str] = mapped_column(String(64), info=label("system.operations", "public"))
    events: Mapped[str] = mapped_column(String(64), info=label("system.operations", "public"))
    settings: Mapped[str] = mapped_column(String(64), info=label("system.operations", "public"))
    code: Mapped[str] = mapped_column(String(64), info=label("system.operations", "public"))
    videos: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "public"))
    created_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    erased_at: Mapped[int | None] = mapped_column(BigInteger, info=label("system.operations", "interop"))


class ModelPeopleRow(Model):
    """Whose events one of the newest models learned from: account numbers of 8 bytes, ascending.

    The row goes as soon as one of them is found to be erased: then the model is marked, and that is enough.
    """

    __tablename__ = "model_people"

    digest: Mapped[str] = mapped_column(
        String(64), primary_key=True, info=label("system.operations", "public")
    )
    accounts: Mapped[bytes] = mapped_column(LargeBinary, info=label("user.unique_id", "interop"))


class ModelHoldRow(Model):
    """A decision to stay with a model; the newest is in force, and an empty digest ends the one before."""

    __tablename__ = "model_holds"

    number: Mapped[int] = mapped_column(
        COUNTER, primary_key=True, autoincrement=True, info=label("system.operations", "interop")
    )
    digest: Mapped[str] = mapped_column(String(64), info=label("system.operations", "public"))
    leaf: Mapped[bytes] = mapped_column(LargeBinary, info=label("system.operations", "public"))
    created_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
