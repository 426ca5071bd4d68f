"""`lightwell ledger prove`: a receipt from a ledger's public files alone, verified before it is written."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from lightwell.apps.ledger_options import (
    AsJson,
    Bar,
    PolicyFile,
    UsageError,
    Vkey,
    Where,
    ending_cleanly,
    plain,
    read_entry,
    say,
    trusted,
)
from lightwell.ledger.durable_file import save
from lightwell.ledger.kinds import kind_of
from lightwell.ledger.prove import AbsentError, Proven, UntrustedError, prove_index, prove_leaf
from lightwell.ledger.reader import Ledger, open_ledger
from lightwell.ledger.signed_tree import TreeError
from lightwell.wire import merkle
from lightwell.wire.trust import TrustPolicy

Index = Annotated[int | None, typer.Option(help="The entry's place in the ledger, from 0.", min=0)]
Leaf = Annotated[str | None, typer.Option(help="The entry's leaf hash (RFC 6962), 64 hex digits.")]
EntryFile = Annotated[Path | None, typer.Option(help="A file that holds exactly the entry's bytes.")]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", help="Where to write it; standard output if absent.")
]


def prove(
    where: Where,
    index: Index = None,
    leaf: Leaf = None,
    entry: EntryFile = None,
    vkey: Vkey = None,
    policy: PolicyFile = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Build a receipt: proof that an entry is in the ledger, which `verify` checks offline.

    Exit codes:
    0  written
    1  there is no such entry, or what is served does not hold
    2  it cannot be read, or wrong usage

    JSON: proven (true or false); then index, size, origin,
    kind (null if it is no entry), leaf_hash (hex) and receipt
    (its text); or why.
    """
    with ending_cleanly():
        rule = trusted(vkey, policy)
        wanted = _wanted(index, leaf, entry)
        try:
            with closing(open_ledger(where)) as ledger:
                proven = _prove(ledger, rule, wanted)
        except (AbsentError, UntrustedError, TreeError) as error:
            why = str(error)
            if entry is not None and isinstance(error, AbsentError) and read_entry(entry).endswith(b"\n"):
                why += " (the file ends in a newline, which then is part of the entry)"
            if as_json:
                typer.echo(json.dumps({"proven": False, "why": why}))
            else:
                typer.echo(f"not proven: {plain(why)}", err=True)
            sys.exit(1)
        if out is not None:
            save(out, proven.text.encode())
        if as_json:
            typer.echo(json.dumps(_fields(proven)))
        elif out is not None:
            fields = _fields(proven)
            size, origin = fields["size"], fields["origin"]
            say(f"{out}: entry {proven.index} of {size} in {origin}, {fields['kind'] or 'no known form'}")
        else:
            typer.echo(proven.text, nl=False)


def _wanted(index: int | None, leaf: str | None, entry: Path | None) -> int | bytes:
    """Return the index or the leaf hash that was asked for."""
    if [index, leaf, entry].count(None) != 2:
        raise UsageError("say which entry: one of --index, --leaf and --entry")
    if index is not None:
        return index
    if leaf is None:
        assert entry is not None  # noqa: S101  the one of the three that is left
        return merkle.leaf_hash(read_entry(entry))
    try:
        found = bytes.fromhex(leaf)
    except ValueError:
        found = b""
    if len(leaf) != 2 * merkle.HASH_SIZE or len(found) != merkle.HASH_SIZE:
        raise UsageError("--leaf: a leaf hash is 64 hex digits")
    return found


def _prove(ledger: Ledger, rule: TrustPolicy, wanted: int | bytes) -> Proven:
    if isinstance(wanted, int):
        return prove_index(ledger, rule, wanted)
    with Bar("searching tiles, the newest first") as bar:
        return prove_leaf(ledger, rule, wanted, bar.show)


def _fields(proven: Proven) -> dict[str, object]:
    checkpoint = proven.opened.checkpoint
    return {
        "proven": True,
        "index": proven.index,
        "size": checkpoint.size,
        "origin": checkpoint.origin,
        "kind": kind_of(proven.entry).name or None,
        "leaf_hash": merkle.leaf_hash(proven.entry).hex(),
        "receipt": proven.text,
    }
