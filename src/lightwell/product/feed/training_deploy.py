"""What was trained goes into service: bytes first, then its row and its entry in one transaction."""

from pathlib import Path

from sqlalchemy import select

from lightwell.base.clock import now_ms, now_s
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem, not_found
from lightwell.ledger.queue import enqueue
from lightwell.product.feed import snapshot_files
from lightwell.product.feed.models import SnapshotRow
from lightwell.product.feed.snapshot_files import UNREADABLE, model_key
from lightwell.product.feed.training import Trained
from lightwell.product.feed.training_models import ModelHoldRow, ModelRow
from lightwell.product.feed.training_people import (
    NOBODY,
    Accounts,
    holds_erased,
    is_remembered,
    mark_models_of_erased,
    remember_people,
)
from lightwell.residency.cell import Cell
from lightwell.wire.entries import SnapshotPublished


def deploy_model(cell: Cell, made: Trained, file: Path, people: Accounts = NOBODY) -> None:
    """Keep a trained model and let it serve, once its entry stands in the ledger.

    A model that people have gone back to stays instead, unless it learned from somebody erased since.

    Args:
        cell: whose model it is.
        made: as `training.train` returned it.
        file: its base snapshot; the caller removes it.
        people: the accounts whose events it was trained from.
    """
    cell.objects.put_file(model_key(made.snapshot), file)
    cell.objects.put(model_key(made.snapshot, "card.md"), made.card)
    cell.objects.put(model_key(made.snapshot, "manifest.json"), made.manifest)
    with cell.database.write() as session:
        row = session.scalar(select(ModelRow).where(ModelRow.digest == made.snapshot))
        if row is None:
            row = ModelRow(
                digest=made.snapshot,
                manifest=made.manifest_digest,
                events=made.events,
                settings=made.settings,
                code=made.code,
                videos=made.videos,
                created_at=now_ms(),
            )
            session.add(row)
        # The same bytes again, of the people who are here now: whoever was erased left no trace in them.
        row.erased_at = None
        session.flush()
        remember_people(session, made.snapshot, people)
        mark_models_of_erased(session)
        held = held_model(session)
        if held is None or holds_erased(session, held):
            leaf = _publish_model(session, row)
            if held is not None:
                session.add(ModelHoldRow(digest="", leaf=leaf, created_at=now_ms()))


def deploy_update(
    cell: Cell, digest: str, data: bytes, *, base: str, events: str, settings: str, code: str, videos: int
) -> None:
    """Let a base with an update serve, once its entry stands in the ledger.

    Args:
        cell: whose it is.
        digest: of the update's bytes `data`.
        base: digest of its base.
        events, settings, code: digests of what it was made from. videos: how many it then has.
    """
    cell.objects.put(snapshot_files.update_key(digest), data)
    entry = SnapshotPublished(
        at=now_s(), snapshot=digest, events=events, settings=settings, code=code, videos=videos, base=base
    )
    with cell.database.write() as session:
        if held_model(session) in (None, base):
            leaf = enqueue(session, entry)
            session.add(SnapshotRow(digest=digest, base=base, leaf=leaf, created_at=now_ms()))


def held_model(session: ReadSession) -> str | None:
    """The model that people have gone back to and that stays until they let go of it; None for none."""
    newest = select(ModelHoldRow.digest).order_by(ModelHoldRow.number.desc()).limit(1)
    return session.scalar(newest) or None


def newest_base(session: ReadSession) -> str | None:
    """The base of the newest snapshot published, None before the first."""
    return session.scalar(select(SnapshotRow.base).order_by(SnapshotRow.number.desc()).limit(1))


def models(session: ReadSession) -> list[ModelRow]:
    """Every model, the newest first."""
    return list(session.scalars(select(ModelRow).order_by(ModelRow.number.desc())))


def roll_back(cell: Cell, digest: str | None = None) -> str:
    """Go back to a model: it serves again once the entry that says so is in the ledger, and stays.

    Args:
        cell: whose model it is.
        digest: of the model, or how it begins; if not given, the last one before the one that serves, or
            before that, which may serve again.

    Returns:
        The digest of the model.

    Raises:
        Problem: 404, there is no such model; 409, its bytes are gone or altered, several begin so, somebody
            it learned from has been erased since, or it is too old to tell.
    """
    with cell.database.write() as session:
        mark_models_of_erased(session)
    with cell.database.read() as session:
        row = _find(session, digest)
        _refuse_forgotten(session, row)
    try:
        snapshot_files.open_base(cell, row.digest)
    except UNREADABLE as error:
        raise Problem(409, "model-unreadable", f"Model {row.digest:.12} cannot be read: {error}.") from error
    with cell.database.write() as session:
        # Once more, in the transaction that lets it serve: reading its bytes takes a while.
        mark_models_of_erased(session)
        _refuse_forgotten(session, row)
        leaf = _publish_model(session, row)
        session.add(ModelHoldRow(digest=row.digest, leaf=leaf, created_at=now_ms()))
    return row.digest


def let_go(cell: Cell) -> str:
    """End what `roll_back` began: the newest model that may serves again, and new ones after it.

    Returns:
        The digest of that model.

    Raises:
        Problem: 409, no model is held, or no model may serve.
    """
    with cell.database.write() as session:
        if held_model(session) is None:
            raise Problem(409, "no-model-held", "No model is held; the newest one serves.")
        mark_models_of_erased(session)
        known = models(session)
        row = next((one for one in known if one.erased_at is None), known[0])
        _refuse_forgotten(session, row)
        leaf = _publish_model(session, row)
        session.add(ModelHoldRow(digest="", leaf=leaf, created_at=now_ms()))
        return row.digest


def _find(session: ReadSession, digest: str | None) -> ModelRow:
    known = models(session)
    if digest is not None:
        found = [row for row in known if digest and row.digest.startswith(digest)]
        if len(found) > 1:
            raise Problem(409, "model-unclear", f"{len(found)} models begin with {digest!r}.")
    else:
        serving = newest_base(session)
        older = [at + 1 for at, row in enumerate(known) if row.digest == serving]
        found = known[older[0] :] if older else []
        found = [row for row in found if row.erased_at is None][:1] or found[:1]
    if not found:
        raise not_found("model" if digest else "model before the one that serves")
    return found[0]


def _refuse_forgotten(session: ReadSession, row: ModelRow) -> None:
    """Refuse a model in which somebody who was erased lives on, or of which nobody can say that none does."""
    name = f"Model {row.digest:.12}"
    if holds_erased(session, row.digest):
        why = "learned from somebody who has been erased since"
        raise Problem(409, "model-of-erased", f"{name} {why}; it may not serve again.")
    if not is_remembered(session, row.digest):
        why = "is too old: whom it learned from is not kept any more"
        raise Problem(409, "model-too-old", f"{name} {why}; it may not serve again.")


def _publish_model(session: WriteSession, row: ModelRow) -> bytes:
    entry = SnapshotPublished(
        at=now_s(),
        snapshot=row.digest,
        events=row.events,
        settings=row.settings,
        code=row.code,
        videos=row.videos,
        model=row.manifest,
    )
    leaf = enqueue(session, entry)
    session.add(SnapshotRow(digest=row.digest, base=row.digest, leaf=leaf, created_at=now_ms()))
    return leaf
