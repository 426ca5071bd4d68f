"""The `lightwell` command: bad input is one line on standard error and exit code 2."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lightwell import __version__
from lightwell.apps import models
from lightwell.apps.agreement import app as agreement_app
from lightwell.apps.cleanroom import app as cleanroom_app
from lightwell.apps.data import app as data_app
from lightwell.apps.demo.cli import demo
from lightwell.apps.keys import app as keys_app
from lightwell.apps.ledger import app as ledger_app
from lightwell.apps.migrate import app as migrate_app
from lightwell.apps.oversee import app as oversee_app
from lightwell.apps.oversee import order_app, report_app
from lightwell.apps.policy import app as policy_app
from lightwell.apps.recommender import app as recommender_app
from lightwell.apps.staff import app as staff_app
from lightwell.base.errors import Problem

app = typer.Typer(
    name="lightwell",
    help="A short-video platform that can be checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(demo)
app.add_typer(agreement_app, name="agreement")
app.add_typer(cleanroom_app, name="cleanroom")
app.add_typer(data_app, name="data")
app.add_typer(keys_app, name="keys")
app.add_typer(ledger_app, name="ledger")
app.add_typer(migrate_app, name="migrate")
app.add_typer(oversee_app, name="oversee")
app.add_typer(order_app, name="order")
app.add_typer(report_app, name="report")
app.add_typer(policy_app, name="policy")
app.add_typer(staff_app, name="staff")
models.add_to(recommender_app)
app.add_typer(recommender_app, name="recommender")


@app.command()
def worker(folder: Annotated[Path, typer.Argument(help="The folder of a cell.")]) -> None:
    """Run the worker of a cell: sequencer, transcoding, training, gateway, expiry."""
    from lightwell.apps.worker import run

    run(folder)


@app.command()
def web(folder: Annotated[Path, typer.Argument(help="The folder of a cell.")]) -> None:
    """Run the web processes of a cell at the address its settings name."""
    from lightwell.apps.serve import serve

    serve(folder)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; expected failures end in one line and exit code 2."""
    try:
        app()
    except (Problem, ValueError, OSError) as error:
        detail = str(error).splitlines() or [type(error).__name__]
        sys.stderr.write(f"lightwell: {detail[0]}\n")
        sys.exit(2)
