"""`lightwell keys`: which versions of the cell key there are, what was opened and why, and a new version."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from lightwell.apps.ledger_options import AsJson

if TYPE_CHECKING:
    from lightwell.residency.cell import Cell
    from lightwell.residency.key_rotation import Version

app = typer.Typer(help="Look after a cell's keys.", no_args_is_help=True)

CellFolder = Annotated[Path, typer.Option("--cell", help="The folder of a cell.")]


class CommandError(ValueError):
    """What was asked did not come about; the first line of the text says why."""


@app.command()
def status(
    cell: CellFolder,
    hours: Annotated[int, typer.Option(help="How far back uses are shown.", min=1)] = 24,
    as_json: AsJson = False,
) -> None:
    """Show the versions of the cell key, what each still wraps, and what was opened for which reason.

    JSON: backend, versions (version, state, accounts, made_at, retired_at, destroyed_at in ms), held (the
    versions the back-end has now), uses (hour since the epoch, process, kind, reason, category, opened,
    refused).
    """
    from lightwell.base.clock import now_s
    from lightwell.residency import key_rotation, key_uses

    opened = _open(cell)
    try:
        with opened.database.read() as session:
            versions = key_rotation.versions(session)
            uses = key_uses.uses(session, now_s() // 3600 - hours + 1)
        root = opened.vault.root
        held, backend = root.versions(), root.kind
    finally:
        opened.close()
    if as_json:
        fields = ("hour", "process", "kind", "reason", "category", "opened", "refused")
        typer.echo(
            json.dumps(
                {
                    "backend": backend,
                    "versions": [_plain(one) for one in versions],
                    "held": held,
                    "uses": [{name: getattr(use, name) for name in fields} for use in uses],
                }
            )
        )
        return
    console = Console()
    table = Table("cell key", "state", "accounts", "made", "destroyed", title=f"keys in: {backend}")
    for one in versions:
        row = (str(one.version), one.state, f"{one.accounts:,}", _time(one.made_at), _time(one.destroyed_at))
        table.add_row(*row)
    console.print(table)
    counted = Table("reason", "category", "who", "process", "opened", "refused", title=f"last {hours} hours")
    for key, (many, refused) in sorted(_summed(uses).items()):
        counted.add_row(*key, f"{many:,}", f"{refused:,}")
    console.print(counted)


@app.command()
def rotate(
    cell: CellFolder,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the old version is destroyed.")] = False,
    seconds: Annotated[int, typer.Option(help="How long to wait at most.", min=1)] = 3600,
    as_json: AsJson = False,
) -> None:
    """Make a new version of the cell key; the cell's worker wraps every account key anew while it serves.

    The old version is destroyed at the end: copies of the database from before then open nowhere. Make a
    fresh backup afterwards.
    """
    from lightwell.residency import key_rotation
    from lightwell.residency.root_keys import VaultError

    opened = _open(cell)
    try:
        new = key_rotation.begin(opened)
        if not as_json:
            typer.echo(f"version {new} of the cell key is current; the worker retires version {new - 1}")
        done = _wait(opened, new - 1, seconds, quiet=as_json) if wait else None
    except VaultError as error:
        raise CommandError(str(error)) from error
    finally:
        opened.close()
    if as_json:
        typer.echo(json.dumps({"current": new, "retiring": new - 1, "done": done}))
    if done is False:
        raise CommandError(
            f"version {new - 1} is not destroyed after {seconds} s; is the cell's worker running?"
        )


def _wait(cell: Cell, version: int, seconds: float, quiet: bool) -> bool:
    from lightwell.residency import key_rotation

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("wrapping account keys anew", total=None)

        def seen(versions: list[Version]) -> None:
            left = next(one for one in versions if one.version == version)
            total = sum(one.accounts for one in versions)
            progress.update(task, total=total, completed=total - left.accounts)
            if left.state == "retired":
                progress.update(task, description="waiting for the last readers")

        return key_rotation.wait_until_done(cell, seconds, seen)


def _open(folder: Path) -> Cell:
    import lightwell.apps.worker  # noqa: F401  it imports every model
    from lightwell.apps.startup import open_cell

    return open_cell(folder, "keys")


def _plain(one: Version) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def _summed(uses: list[Any]) -> dict[tuple[str, str, str, str], tuple[int, int]]:
    found: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for use in uses:
        key = (use.reason, use.category, use.kind, use.process)
        opened, refused = found.get(key, (0, 0))
        found[key] = (opened + use.opened, refused + use.refused)
    return found


def _time(at_ms: int | None) -> str:
    return (
        "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    )
