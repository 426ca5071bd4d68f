"""`lightwell ledger verify`: offline, of one file, whether the entry is in the ledger and who says so."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lightwell.apps.ledger_options import (
    AsJson,
    PolicyFile,
    UsageError,
    Vkey,
    ending_cleanly,
    moment,
    read_entry,
    read_up_to,
    say,
    trusted,
)
from lightwell.ledger.fsck import cosigners_of
from lightwell.ledger.kinds import kind_of
from lightwell.wire import merkle, receipt, tlog_proof
from lightwell.wire.checkpoint import OpenedCheckpoint
from lightwell.wire.note import NOTE_LIMIT
from lightwell.wire.receipt import Opening, ReceiptError
from lightwell.wire.tlog_proof import TlogProof, TlogProofError
from lightwell.wire.trust import TrustPolicy

# As many characters as a proof may have, each of up to four bytes.
_FILE_LIMIT = 8 * NOTE_LIMIT

File = Annotated[str, typer.Argument(help="The receipt or tlog-proof; `-` is standard input.")]
Witness = Annotated[
    list[str] | None, typer.Option(help="With --vkey: key of a witness that must have cosigned; repeatable.")
]
EntryFile = Annotated[
    Path | None, typer.Option(help="A file with exactly the entry's bytes, which a plain tlog-proof lacks.")
]


class NotHoldingError(ValueError):
    """The file is readable and does not show what it should."""


def verify(
    file: File,
    vkey: Vkey = None,
    policy: PolicyFile = None,
    witness: Witness = None,
    entry: EntryFile = None,
    as_json: AsJson = False,
) -> None:
    """Verify a receipt or tlog-proof offline: nothing is asked of any server.

    Exit codes:
    0  it holds
    1  it does not
    2  it is no proof, or wrong usage

    JSON: holds (true or false); then kind (null if it is no entry),
    known (whether this version knows the kind), index, size, origin,
    cosigners (name, vkey, at), opening ("opens" or "absent"),
    content ("matches" or "absent"); or why.
    """
    with ending_cleanly():
        rule = trusted(vkey, policy, witness)
        text = _read(file)
        given = None if entry is None else read_entry(entry)
        try:
            fields = _verify(text, given, rule)
        except NotHoldingError as error:
            if as_json:
                typer.echo(json.dumps({"holds": False, "why": str(error)}))
            else:
                say(f"does not hold: {error}")
            sys.exit(1)
        if as_json:
            typer.echo(json.dumps(fields))
        else:
            _print(fields)


def _verify(text: str, given: bytes | None, rule: TrustPolicy) -> dict[str, object]:
    try:
        proof = tlog_proof.parse(text)
    except TlogProofError as error:
        raise UsageError(f"not a proof: {error}") from None
    try:
        kept = receipt.parse(text)
    except ReceiptError as error:
        if given is None:
            raise UsageError(f"{error}: say with --entry what it is of") from None
        return _fields(given, proof, None, _open(proof, given, rule))
    if given is not None and given != kept.entry:
        raise NotHoldingError("the receipt is of another entry than the given one")
    try:
        opened = kept.verify(rule)
    except ReceiptError as error:
        raise NotHoldingError(str(error)) from None
    return _fields(kept.entry, proof, kept.opening, opened)


def _open(proof: TlogProof, entry: bytes, rule: TrustPolicy) -> OpenedCheckpoint:
    try:
        return proof.verify(merkle.leaf_hash(entry), rule)
    except TlogProofError as error:
        raise NotHoldingError(str(error)) from None


def _fields(
    entry: bytes, proof: TlogProof, opening: Opening | None, opened: OpenedCheckpoint
) -> dict[str, object]:
    kind = kind_of(entry)
    return {
        "holds": True,
        "kind": kind.name or None,
        "known": kind.known,
        "index": proof.index,
        "size": opened.checkpoint.size,
        "origin": opened.checkpoint.origin,
        "cosigners": [asdict(one) for one in cosigners_of(opened)],
        "opening": "absent" if opening is None else "opens",
        "content": "absent" if opening is None or opening.content is None else "matches",
    }


def _print(fields: dict[str, object]) -> None:
    kind = fields["kind"] or "an entry of no known form"
    if fields["kind"] and not fields["known"]:
        kind = f"{kind} (not known to this version)"
    say(f"holds: {kind}, entry {fields['index']} of {fields['size']} in {fields['origin']}")
    cosigners = fields["cosigners"]
    for one in cosigners if isinstance(cosigners, list) else ():
        say(f"  cosigned by {one['name']}, {moment(one['at'])}")
    if not cosigners:
        say("  cosigned by nobody whose key was given")
    if fields["opening"] == "opens":
        say("  the opening opens the entry's commitment")
    if fields["content"] == "matches":
        say("  the content is what the commitment covers")


def _read(name: str) -> str:
    if name == "-":
        data = read_up_to(sys.stdin.buffer, _FILE_LIMIT, "standard input")
    else:
        with Path(name).open("rb") as file:
            data = read_up_to(file, _FILE_LIMIT, name)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{name}: not UTF-8 text") from None
