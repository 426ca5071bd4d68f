"""`lightwell recommender models`, `rollback` and `release`: which models a cell has, and which one serves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lightwell.apps.ledger_options import AsJson

if TYPE_CHECKING:
    from lightwell.residency.cell import Cell

Folder = Annotated[Path, typer.Option("--data", help="The folder of a cell.")]


def add_to(app: typer.Typer) -> None:
    """Give a command line these commands."""
    app.command("models")(list_models)
    app.command()(rollback)
    app.command()(release)


def list_models(data: Folder, as_json: AsJson = False) -> None:
    """List the models of a cell, the newest first, and say which one serves.

    JSON: an array of digest, manifest, events, settings, code, videos, created_at (ms), serves, held, and
    whether somebody whom it learned from was found to be erased since (erased): it may not serve again.
    """
    from lightwell.product.feed import training_deploy

    cell = _open(data)
    try:
        with cell.database.read() as session:
            rows = training_deploy.models(session)
            serves = training_deploy.newest_base(session)
            held = training_deploy.held_model(session)
    finally:
        cell.close()
    found = [
        {
            "digest": row.digest,
            "manifest": row.manifest,
            "events": row.events,
            "settings": row.settings,
            "code": row.code,
            "videos": row.videos,
            "created_at": row.created_at,
            "serves": row.digest == serves,
            "held": row.digest == held,
            "erased": row.erased_at is not None,
        }
        for row in rows
    ]
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("model", "trained", "videos", "events", "code", "")
    for row in rows:
        trained = datetime.fromtimestamp(row.created_at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        facts = {
            "serves": row.digest == serves,
            "held": row.digest == held,
            "learned from somebody erased": row.erased_at is not None,
        }
        notes = [name for name, is_so in facts.items() if is_so]
        table.add_row(
            row.digest[:16], trained, f"{row.videos:,}", row.events[:12], row.code[:12], ", ".join(notes)
        )
    Console().print(table)


def rollback(
    data: Folder,
    digest: Annotated[
        str, typer.Argument(help="The model's digest, or how it begins; the one before if not given.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Go back to a model: it serves once its entry stands in the ledger, and stays until `release`.

    A model that learned from somebody who has been erased since is refused, and so is one so old (beyond the
    newest 20) that nobody can tell. One that is held when somebody it learned from is erased makes way for
    the next that is trained.

    JSON: digest.
    """
    from lightwell.product.feed import training_deploy

    cell = _open(data)
    try:
        found = training_deploy.roll_back(cell, digest or None)
    finally:
        cell.close()
    typer.echo(json.dumps({"digest": found}) if as_json else f"{found} serves next, and stays until released")


def release(data: Folder, as_json: AsJson = False) -> None:
    """End a rollback: the newest model serves again, and those trained after it.

    JSON: digest.
    """
    from lightwell.product.feed import training_deploy

    cell = _open(data)
    try:
        found = training_deploy.let_go(cell)
    finally:
        cell.close()
    typer.echo(json.dumps({"digest": found}) if as_json else f"{found} serves next")


def _open(folder: Path) -> Cell:
    # The tables of every feature are known only when its modules are.
    import lightwell.apps.web  # noqa: F401
    from lightwell.apps.startup import open_cell

    return open_cell(folder, "recommender")
