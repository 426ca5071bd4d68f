"""`lightwell migrate`: take accounts into their home cell, erase them where they were, and prove it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lightwell.apps.ledger_options import AsJson

if TYPE_CHECKING:
    from lightwell.product.moving import Progress as Stand
    from lightwell.residency.cell import Cell

_TOLD_SECONDS: Final = 1.0
app = typer.Typer(help="Move accounts into their home cell, and check certificates of it.")


class CommandError(ValueError):
    """What was asked cannot be done; the first line of the text says why."""


@app.callback(invoke_without_command=True)
def move(
    context: typer.Context,
    source: Annotated[Path | None, typer.Option("--from", help="The cell that the accounts leave.")] = None,
    target: Annotated[Path | None, typer.Option("--to", help="The cell that they come to.")] = None,
    region: Annotated[
        str | None, typer.Option(help="Move every account: all are people of this region.")
    ] = None,
    accounts: Annotated[Path | None, typer.Option(help="Move those of this file: a handle a line.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Where to write the certificate.")] = None,
    pause: Annotated[
        float, typer.Option(help="Seconds to keep the source's old key after its last use.", min=0)
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Move accounts from one cell to another, erase them in the first, and write a certificate.

    Stop the processes of the cell that is left first: it is refused while they run, and they do not start
    until it is done. Kill it at any point and run it again. Where no terminal is, how far it is comes as a
    line of JSON a second on standard error. JSON: migration, accounts, refused (handle, reason), certificate.
    """
    if context.invoked_subcommand is not None:
        return
    if source is None or target is None:
        raise CommandError("name both cells: --from DIR --to DIR")
    if (region is None) == (accounts is None):
        raise CommandError("say which accounts: --region REGION for all, or --accounts FILE")
    handles = None
    if accounts is not None:
        handles = [line.strip() for line in accounts.read_text("utf-8").splitlines() if line.strip()]
        if not handles:
            raise CommandError(f"{accounts} names no account")
    from lightwell.product.moving import Migration

    leaving, home = _open(source), _open(target)
    try:
        with _Bar() as bar:
            migration = Migration(
                leaving, home, region or home.settings.region, tell=bar.show, pause_seconds=pause
            )
            made = migration.run(handles)
        refused = migration.refused()
        file = certificate or Path(f"migration-{made.migration}.note")
        draft = file.with_name(file.name + ".new")
        draft.write_text(migration.note(), "utf-8")
        draft.replace(file)
    finally:
        leaving.close()
        home.close()
    if as_json:
        told = [{"handle": handle, "reason": reason} for handle, reason in refused]
        typer.echo(
            json.dumps(
                {
                    "migration": made.migration,
                    "accounts": made.accounts,
                    "refused": told,
                    "certificate": str(file),
                }
            )
        )
        return
    typer.echo(f"{made.accounts} accounts moved to {made.target} and erased in {made.source}")
    typer.echo(f"key versions destroyed there: {', '.join(made.key_versions)}; certificate: {file}")
    for handle, reason in refused:
        typer.echo(f"not moved: {handle} ({reason})")


@app.command()
def verify(
    certificate: Annotated[Path, typer.Argument(help="The certificate, a signed note.")],
    roster: Annotated[Path, typer.Option(help="The roster: who holds which key.")],
    as_json: AsJson = False,
) -> None:
    """Check a certificate: signed by both cells' ledger keys, and at one with the entries that it names.

    Prints the leaf hash of each entry: `lightwell ledger prove` shows that it is in the ledger.
    """
    from lightwell.agreement import moving
    from lightwell.agreement.load import AgreementError
    from lightwell.agreement.roster import parse_roster

    try:
        seats = parse_roster(roster.read_text("utf-8"))
    except AgreementError as error:
        raise CommandError(f"{roster}, {error}") from error
    found = moving.read(certificate.read_text("utf-8"), seats)
    leaves = {kind: {"cell": cell, "leaf": leaf.hex()} for kind, (cell, leaf) in moving.leaves(found).items()}
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found) | {"leaves": leaves}))
        return
    typer.echo(
        f"{found.accounts} accounts with {found.objects} objects went from {found.source} to {found.target}"
    )
    typer.echo(f"erased in {found.source}, with versions {', '.join(found.key_versions)} of its cell key")
    for kind, where in leaves.items():
        typer.echo(f"{kind} in the ledger of {where['cell']}: {where['leaf']}")


def _open(folder: Path) -> Cell:
    import lightwell.apps.worker  # noqa: F401  it imports every model
    from lightwell.residency.cell import Cell

    cell = Cell.open(folder, "migration")
    cell.database.create_all()
    return cell


class _Bar:
    """How far it is, on standard error: a bar where somebody looks at it, else a line of JSON a second."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self._is_shown,
        )
        self._task = self._bar.add_task("looking", total=None, rate="")
        self._first: tuple[float, int] | None = None
        self._told_at = time.monotonic()
        self._doing = ""

    def __enter__(self) -> _Bar:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__(None, None, None)

    def show(self, stand: Stand) -> None:
        """Show how far the migration is, how fast it goes, and how long it will still take."""
        total, now = stand.planned - stand.refused, time.monotonic()
        # What earlier runs have moved says nothing about how fast this one is.
        if self._first is None and stand.doing == "moving":
            self._first = (now, stand.moved)
        since, before = self._first or (now, stand.moved)
        rate = (stand.moved - before) / (now - since) if now > since else 0.0
        if self._is_shown:
            told = f"{rate:,.0f}/s" if rate else ""
            self._bar.update(
                self._task, description=stand.doing, total=total or None, completed=stand.moved, rate=told
            )
        elif now - self._told_at >= _TOLD_SECONDS or (self._doing != stand.doing and stand.moved):
            self._told_at, self._doing = now, stand.doing
            line = {
                "doing": stand.doing,
                "moved": stand.moved,
                "refused": stand.refused,
                "planned": stand.planned,
                "accounts_per_second": round(rate, 1),
                "seconds_left": round((total - stand.moved) / rate) if rate else None,
            }
            sys.stderr.write(json.dumps(line) + "\n")
            sys.stderr.flush()
