"""`lightwell ledger`: read a whole ledger from outside and say what is wrong with it, and where."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lightwell.ledger import fsck as checking
from lightwell.wire.note import Verifier

app = typer.Typer(help="Check a cell's ledger.", no_args_is_help=True)


@app.command()
def fsck(
    where: Annotated[str, typer.Argument(help="Address of a cell, or the folder of a ledger.")],
    vkey: Annotated[str, typer.Option(help="The ledger's verifier key: name+hash+base64.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute every hash of a ledger. Exit code 0: whole; 1: something is wrong; 2: it cannot be read."""
    verifier = Verifier.from_vkey(vkey)
    report = checking.check(where if where.startswith("http") else Path(where), verifier)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for problem in report["problems"]:
            typer.echo(problem)
        typer.echo(f"{report['size']} entries, {len(report['problems'])} problems")
    sys.exit(1 if report["problems"] else 0)
