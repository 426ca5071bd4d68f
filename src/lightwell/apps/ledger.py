"""`lightwell ledger`: check a whole ledger from outside, prove an entry, verify a proof, follow it live."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict

import typer

from lightwell.apps.ledger_options import (
    AsJson,
    Bar,
    PolicyFile,
    Vkey,
    Where,
    ending_cleanly,
    moment,
    say,
    trusted,
)
from lightwell.apps.ledger_prove import prove
from lightwell.apps.ledger_verify import verify
from lightwell.apps.ledger_watch import watch
from lightwell.ledger import fsck as checking
from lightwell.ledger.fsck import Report
from lightwell.ledger.reader import open_ledger

app = typer.Typer(help="Check a cell's ledger from outside: believe nothing but keys.", no_args_is_help=True)


@app.command()
def fsck(where: Where, vkey: Vkey = None, policy: PolicyFile = None, as_json: AsJson = False) -> None:
    """Read a whole ledger, recompute every hash, and say what is wrong and where.

    Exit codes:
    0  whole
    1  something is wrong
    2  it cannot be read, or wrong usage

    JSON: origin, size, root (hex), cosigners (name, vkey, at),
    strangers (names on signatures that nobody checked),
    kinds and unknown_kinds (how many entries of each),
    problems, notes, complete (whether all was read).
    """
    with ending_cleanly():
        rule = trusted(vkey, policy)
        with closing(open_ledger(where)) as ledger, Bar("reading entries") as bar:
            total = 0

            def begin(size: int) -> None:
                nonlocal total
                total = size

            report = checking.check(ledger, rule, begin, lambda done: bar.show(done, total))
        if as_json:
            typer.echo(json.dumps(asdict(report)))
        else:
            _print(report)
        sys.exit(1 if report.problems else 0)


def _print(report: Report) -> None:
    for problem in report.problems:
        say(problem)
    if not report.complete and report.size:
        say(f"stopped after {len(report.problems)} problems")
    for note in report.notes:
        say(f"note: {note}")
    if not report.origin:
        return
    found = _count(len(report.problems), "problem")
    say(f"{report.origin}: {_count(report.size, 'entry', 'entries')}, {found}, root {report.root}")
    for one in report.cosigners:
        say(f"  cosigned by {one.name}, {moment(one.at)}")
    for name in report.strangers:
        say(f"  not checked: a signature of {name}, whose key was not given")
    for kind, count in report.kinds.items():
        say(f"  {count:>9} {kind}")
    for kind, count in report.unknown_kinds.items():
        say(f"  {count:>9} {kind} (not known to this version)")


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"


app.command()(prove)
app.command()(verify)
app.command()(watch)
