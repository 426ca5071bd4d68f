"""`lightwell ledger watch`: follows a ledger live and says when it breaks its word."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lightwell.apps.ledger_options import PolicyFile, Vkey, Where, ending_cleanly, plain, say, trusted
from lightwell.ledger.download import UnreadableError
from lightwell.ledger.fsck import cosigners_of
from lightwell.ledger.kinds import kind_of
from lightwell.ledger.reader import open_ledger
from lightwell.ledger.watch import BrokenWordError, Seen, Watcher

_ROOT_DIGITS = 16

State = Annotated[Path, typer.Option(help="File that keeps the last checkpoint; made with the first.")]
Once = Annotated[bool, typer.Option("--once", help="Look once and end.")]
Interval = Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1, max=86_400)]
Entries = Annotated[bool, typer.Option("--entries", help="Also print each entry that is new since then.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")]


def watch(
    where: Where,
    state: State,
    vkey: Vkey = None,
    policy: PolicyFile = None,
    once: Once = False,
    interval: Interval = 5.0,
    entries: Entries = False,
    as_json: AsJson = False,
) -> None:
    """Follow a ledger: each checkpoint must be signed, have its quorum and extend the last one kept.

    One that does not is kept beside the state file as
    FILE.evidence-..., and the state file stays as it was:
    the two signed notes show to anyone what the ledger did.

    Exit codes:
    0  all held (with --once)
    1  the ledger broke its word
    2  nothing answers (with --once), or wrong usage
    130  interrupted

    JSON, by event:
    checkpoint: origin, size, grown, root (hex),
    cosigners (name, vkey, at), age_seconds (or null)
    entry: index, kind (or null), known
    unreachable: why
    broken: why, evidence (the file)
    """
    with ending_cleanly():
        rule = trusted(vkey, policy)
        # It asks again by itself: one try a look.
        with closing(open_ledger(where, tries=1)) as ledger:
            told = _Told(as_json, always=once)
            watcher = Watcher(ledger, rule, state)
            while True:
                try:
                    watcher.look(told.seen, told.entry if entries else None)
                    told.trouble = ""
                except BrokenWordError as error:
                    told.broken(error)
                    sys.exit(1)
                except UnreadableError as error:
                    told.unreachable(error)
                    if once:
                        sys.exit(2)
                if once:
                    return
                time.sleep(interval)


class _Told:
    """What was printed, so that nothing is printed twice."""

    def __init__(self, as_json: bool, always: bool) -> None:
        self._as_json = as_json
        self._always = always
        self._size = -1
        self.trouble = ""

    def seen(self, seen: Seen) -> None:
        checkpoint = seen.opened.checkpoint
        if checkpoint.size == self._size and not self._always and not self.trouble:
            return
        self._size = checkpoint.size
        cosigners = cosigners_of(seen.opened)
        # A checkpoint itself has no time: its witnesses say when they saw it.
        age = max(0, int(time.time()) - max(one.at for one in cosigners)) if cosigners else None
        if self._as_json:
            self._line(
                event="checkpoint",
                origin=checkpoint.origin,
                size=checkpoint.size,
                grown=seen.grown,
                root=checkpoint.root.hex(),
                cosigners=[asdict(one) for one in cosigners],
                age_seconds=age,
            )
            return
        grown = "first seen" if seen.before is None else f"+{seen.grown}"
        names = ", ".join(one.name for one in cosigners) or "nobody whose key was given"
        ago = "" if age is None else f"  {age} s ago"
        root = checkpoint.root.hex()[:_ROOT_DIGITS]
        say(f"size {checkpoint.size} ({grown})  root {root}  cosigned by {names}{ago}")
        sys.stdout.flush()

    def entry(self, index: int, data: bytes) -> None:
        kind = kind_of(data)
        if self._as_json:
            self._line(event="entry", index=index, kind=kind.name or None, known=kind.known)
        else:
            known = "" if kind.known or kind.problem else " (not known to this version)"
            say(f"  {index:>9} {kind.name or f'no known form: {kind.problem}'}{known}")

    def unreachable(self, error: UnreadableError) -> None:
        why = str(error)
        if why == self.trouble:
            return
        self.trouble = why
        if self._as_json:
            self._line(event="unreachable", why=why)
        else:
            typer.echo(f"cannot be read: {plain(why)}", err=True)

    def broken(self, error: BrokenWordError) -> None:
        if self._as_json:
            self._line(event="broken", why=str(error), evidence=str(error.evidence))
        else:
            say(f"broken: {error}")
            say(f"  its note is kept in {error.evidence}")

    @staticmethod
    def _line(**fields: object) -> None:
        typer.echo(json.dumps(fields))
        sys.stdout.flush()
