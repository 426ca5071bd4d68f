"""`lightwell agreement`: check, explain, compare and sign agreements, and bring an amendment to a cell."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from msgspec import structs

from lightwell.agreement import signing
from lightwell.agreement.differences import differences
from lightwell.agreement.explain import as_plain, explain
from lightwell.agreement.load import AgreementError, digest, examine, parse
from lightwell.agreement.model import Agreement
from lightwell.agreement.roster import Seat, parse_roster
from lightwell.agreement.signing import Settled, SigningError
from lightwell.apps.ledger_options import AsJson
from lightwell.recommender.policy import default_policy
from lightwell.wire.keys import SigningKey

app = typer.Typer(help="Check, explain, compare, sign and amend agreements.", no_args_is_help=True)

LONGEST = 1_000_000
"""Bytes of a file that is read."""

File = Annotated[Path, typer.Argument(help="An agreement file (TOML).")]
Roster = Annotated[Path | None, typer.Option("--roster", help="The roster: who holds which key.")]
PaperFile = Annotated[
    Path | None, typer.Option("--paper", help="The signature file; beside the agreement if not given.")
]
Amends = Annotated[
    Path | None, typer.Option("--amends", help="The agreement in force that this one is to replace.")
]


class CommandError(ValueError):
    """What was asked cannot be done; the first line of the text says why."""


@app.command()
def check(
    file: File,
    roster: Roster = None,
    paper: PaperFile = None,
    amends: Amends = None,
    as_json: AsJson = False,
) -> None:
    """Say everything that is wrong with a file, and with a roster who has signed it and who is missing."""
    text = _text(file)
    agreement, wrong = examine(text)
    if agreement is None:
        problems = [{"line": error.line, "reason": error.reason} for error in wrong]
        if as_json:
            typer.echo(json.dumps({"valid": False, "problems": problems}))
        for error in () if as_json else wrong:
            typer.echo(f"{file}:{error.line}: {error.reason}", err=True)
        raise typer.Exit(2)
    standing = _standing(agreement, file, roster, paper, amends)
    found = {
        "valid": True,
        "problems": [],
        "agreement": agreement.id,
        "version": agreement.version,
        "digest": digest(agreement),
        **standing,
    }
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"{agreement.id} version {agreement.version}, {len(agreement.terms)} terms, no problem found")
    typer.echo(f"digest {found['digest']}")
    for name, title in (("signed", "signed by"), ("missing", "not signed by"), ("unknown", "unknown keys")):
        if standing.get(name):
            typer.echo(f"{title}: {', '.join(standing[name])}")


@app.command("explain")
def explain_file(
    file: File,
    term: Annotated[str, typer.Option("--term", help="Only what belongs to this term.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say in plain words who may see what, what crosses, who may stop it, and where each of it is from."""
    agreement = _agreement(file)
    statements = explain(agreement, term)
    if as_json:
        typer.echo(json.dumps({"agreement": agreement.id, "statements": as_plain(statements)}))
        return
    typer.echo(f"{agreement.title}, version {agreement.version}\n{agreement.summary}")
    part = ""
    for one in statements:
        if one.part != part:
            part = one.part
            typer.echo(f"\n{part}")
        typer.echo(f"  {one.says}\n    from: {one.basis}")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The agreement that would be replaced.")],
    new: Annotated[Path, typer.Argument(help="The agreement that would replace it.")],
    as_json: AsJson = False,
) -> None:
    """Say in words what would change for people, each marked looser, stricter or changed."""
    changes = differences(_agreement(old), _agreement(new))
    if as_json:
        typer.echo(json.dumps({"changes": [structs.asdict(change) for change in changes]}))
        return
    counts = {mark: sum(one.mark == mark for one in changes) for mark in ("looser", "stricter", "changed")}
    for mark in counts:
        for change in changes:
            if change.mark == mark:
                typer.echo(f"{mark:9} {change.says}")
    typer.echo(", ".join(f"{count} {mark}" for mark, count in counts.items()) if changes else "no difference")


@app.command()
def sign(
    file: File,
    key: Annotated[Path, typer.Option("--key", help="File with the signing party's key.")],
    roster: Annotated[Path, typer.Option("--roster", help="The roster that would be in force with it.")],
    paper: PaperFile = None,
    amends: Amends = None,
    as_json: AsJson = False,
) -> None:
    """Add a party's signature to the signature file beside an agreement."""
    settled = Settled(_agreement(file), _seats(roster))
    text = _paper_text(settled, amends)
    out = paper or _beside(file)
    signer = _key(key)
    try:
        note = signing.sign_paper(text, signer, _text(out) if out.exists() else "")
    except SigningError as error:
        raise CommandError(f"{out}: {error.detail}") from error
    bound = [settled, Settled(_agreement(amends), _seats_before(settled, amends))] if amends else [settled]
    vkey = signer.verifier().vkey()
    names = [
        party.name
        for one in bound
        for party in one.agreement.parties
        if vkey in {seat.vkey for seat in signing.seats_of_party(one, party)}
    ]
    if not names:
        raise CommandError(f"{key}: the roster gives this key to no party of {settled.agreement.id}")
    draft = out.with_name(out.name + ".new")
    draft.write_text(note, "utf-8")
    draft.replace(out)
    signed = {"paper": str(out), "party": names[0], "digest": digest(settled.agreement)}
    typer.echo(json.dumps(signed) if as_json else f"{names[0]} signed {signed['digest']} in {out}")


@app.command()
def amend(
    file: File,
    roster: Annotated[Path, typer.Option("--roster", help="The roster that comes into force with it.")],
    url: Annotated[str, typer.Option(help="Address of the cell.")],
    paper: PaperFile = None,
    as_json: AsJson = False,
) -> None:
    """Bring a signed amendment to a cell, which takes it up if everybody has signed who must."""
    _agreement(file)
    body = {"agreement": _text(file), "roster": _text(roster), "paper": _text(paper or _beside(file))}
    try:
        answer = httpx.post(f"{url.rstrip('/')}/api/agreement/amendments", json=body, timeout=30)
        document: dict[str, Any] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise CommandError(f"{url}: {error}") from error
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        raise CommandError(
            f"refused ({document.get('reason', answer.status_code)}): {document.get('detail')}"
        )
    said = f"{document['agreement']} version {document['version']} adopted, {document['digest']}"
    typer.echo(json.dumps(document) if as_json else said)


def _standing(
    agreement: Agreement, file: Path, roster: Path | None, paper: Path | None, amends: Path | None
) -> dict[str, list[str]]:
    """Say who signed and who is missing, as far as a roster and a signature file tell."""
    out = paper or _beside(file)
    if roster is None:
        if paper is not None:
            raise CommandError("say with --roster who holds which key")
        return {"signed": [], "missing": _names(agreement, agreement.signing.parties), "unknown": []}
    settled = Settled(agreement, _seats(roster))
    if not out.exists():
        if paper is not None:
            raise CommandError(f"{out}: no such file")
        return {"signed": [], "missing": _names(agreement, agreement.signing.parties), "unknown": []}
    try:
        read = signing.read_paper(_text(out))
        if read.text != _paper_text(settled, amends):
            raise SigningError("another-paper", "It is about another agreement, roster or predecessor.")
        signed = signing.signatures_of(settled, read)
    except SigningError as error:
        raise CommandError(f"{out}: {error.detail}") from error
    lacking = signing.missing(settled, signed)
    known = {seat.vkey.split("+", 1)[0] for seat in settled.seats}
    return {
        "signed": _names(agreement, signed),
        "missing": _names(agreement, lacking),
        "unknown": [line.name for line in read.signatures if line.name not in known],
    }


def _paper_text(settled: Settled, amends: Path | None) -> str:
    if amends is None:
        return signing.paper_text(settled, policy=default_policy().digest)
    return signing.paper_text(settled, amends=digest(_agreement(amends)))


def _seats_before(settled: Settled, amends: Path) -> list[Seat]:
    """Return the old roster, if one lies beside the old agreement; else the new one stands for it."""
    beside = amends.with_name("roster.toml")
    return _seats(beside) if beside.exists() else list(settled.seats)


def _names(agreement: Agreement, parties: Iterable[str]) -> list[str]:
    wanted = set(parties)
    return [party.name for party in agreement.parties if party.id in wanted]


def _beside(file: Path) -> Path:
    return file.with_name(file.name + ".signatures")


def _agreement(file: Path) -> Agreement:
    try:
        return parse(_text(file))
    except AgreementError as error:
        raise CommandError(f"{file}:{error.line}: {error.reason}") from error


def _seats(file: Path) -> list[Seat]:
    try:
        return parse_roster(_text(file))
    except AgreementError as error:
        raise CommandError(f"{file}:{error.line}: {error.reason}") from error


def _key(file: Path) -> SigningKey:
    try:
        return SigningKey.from_text(_text(file).strip())
    except ValueError as error:
        raise CommandError(f"{file}: not a key file") from error


def _text(file: Path) -> str:
    if file.stat().st_size > LONGEST:
        raise CommandError(f"{file}: more than {LONGEST} bytes")
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not a text file") from error
