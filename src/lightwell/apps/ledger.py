"""`lightwell ledger`: read a whole ledger from outside and say what is wrong with it, and where."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from lightwell.ledger import fsck as checking
from lightwell.wire.note import Verifier

app = typer.Typer(help="Check a cell's ledger.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `fsck` a subcommand while it is the only one."""


@app.command()
def fsck(
    where: Annotated[str, typer.Argument(help="Address of a cell's ledger, or its folder.")],
    vkey: Annotated[str, typer.Option(help="The ledger's verifier key: name+hash+base64.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute every hash of a ledger. Exit code 0: whole; 1: something is wrong; 2: it cannot be read."""
    place = where if where.startswith(("http://", "https://")) else Path(where)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading entries", total=None)
        report = checking.check(
            place,
            Verifier.from_vkey(vkey),
            on_size=lambda size: progress.update(task, total=size),
            on_progress=lambda done: progress.update(task, completed=done),
        )
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for problem in report["problems"]:
            typer.echo(problem)
        typer.echo(f"{report['size']} entries, {len(report['problems'])} problems")
    sys.exit(1 if report["problems"] else 0)
