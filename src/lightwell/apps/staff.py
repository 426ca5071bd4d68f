"""`lightwell staff`: a cell's staff directory; each change is an entry and acts on live grants at once."""

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from msgspec import UNSET, convert, to_builtins
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from lightwell.agreement.appointments import Person, Verb, make_paper
from lightwell.apps.ledger_options import AsJson
from lightwell.residency import directory
from lightwell.residency.access_models import StaffRow
from lightwell.residency.appointments import person_of, proposals, propose
from lightwell.residency.cell import Cell
from lightwell.residency.staff import Member, enrol, principal_of
from lightwell.wire.keys import SigningKey

app = typer.Typer(help="Enter, change and dismiss a cell's staff.", no_args_is_help=True)


class CommandError(ValueError):
    """What was asked cannot be done; the first line of the text says why."""


Folder = Annotated[Path, typer.Argument(help="The folder of a cell.")]
StaffId = Annotated[str, typer.Argument(help="A staff id, as `list` shows it.")]
Place = Annotated[str | None, typer.Option(help="Where the person works: a region or another place.")]
Employer = Annotated[str | None, typer.Option(help="Who employs the person, as the agreement names it.")]
Role = Annotated[str | None, typer.Option(help="analyst, approver, partner or another.")]
Vetted = Annotated[bool | None, typer.Option("--vetted/--not-vetted", help="Whether the person is vetted.")]
Above = Annotated[str | None, typer.Option(help="Staff id of the superior; empty for nobody here.")]
AboveEntity = Annotated[str | None, typer.Option(help="Who is above when nobody here is; empty for nobody.")]


@app.command("list")
def show(folder: Folder, as_json: AsJson = False) -> None:
    """List who works here, and whose line ends at an entity that the agreement excludes."""
    cell = _open(folder)
    try:
        with cell.database.read() as session:
            rows = session.scalars(select(StaffRow).where(StaffRow.active.is_(True)).order_by(StaffRow.name))
            found = [
                {
                    "staff_id": row.staff_id,
                    "person": row.person,
                    "name": row.name,
                    "role": row.role,
                    "employer": row.employer,
                    "place": row.place,
                    "vetted": row.vetted,
                    "above": row.reports_to or row.reports_to_entity or "",
                    "line_excluded": who.excluded_line,
                    "appointed": who.appointed,
                }
                for row in rows
                for who in [principal_of(cell, session, row)]
            ]
    finally:
        cell.close()
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("staff id", "name", "role", "employer", "place", "vetted", "above", "line")
    for each in found:
        line = "excluded" if each["line_excluded"] else "" if each["appointed"] else "not appointed"
        columns = ("staff_id", "name", "role", "employer", "place")
        vetted = "yes" if each["vetted"] else "no"
        table.add_row(*(str(each[name]) for name in columns), vetted, str(each["above"]), line)
    Console().print(table)


@app.command()
def enter(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The person's name.")],
    vkey: Annotated[str, typer.Option(help="The verifier of the key that signs in: name+hash+key.")],
    role: Annotated[str, typer.Option(help="analyst, approver, partner or another.")],
    employer: Annotated[str, typer.Option(help="Who employs the person.")],
    place: Annotated[str, typer.Option(help="Where the person works.")],
    person: Annotated[str, typer.Option(help="Staff id of their other account, if any.")] = "",
    vetted: Annotated[bool, typer.Option("--vetted/--not-vetted")] = False,
    above: Above = None,
    above_entity: AboveEntity = None,
) -> None:
    """Enter somebody; prints the new staff id.

    Where the agreement lets a public body veto the role, this proposes them: they count once it consents.
    """
    cell = _open(folder)
    try:
        with cell.database.write() as session:
            member = Member(
                name=name,
                vkey=vkey,
                role=role,
                employer=employer,
                place=place,
                vetted=vetted,
                person=person,
                reports_to=above or None,
                reports_to_entity=above_entity or None,
            )
            staff_id = enrol(session, member)
            proposed = propose(cell, session, staff_id)
    finally:
        cell.close()
    typer.echo(staff_id)
    if proposed is not None:
        typer.echo(f"proposed as {role}: appointment {proposed.appointment_id} does not count yet", err=True)


@app.command()
def change(
    folder: Folder,
    staff_id: StaffId,
    place: Place = None,
    employer: Employer = None,
    role: Role = None,
    vetted: Vetted = None,
    above: Above = None,
    above_entity: AboveEntity = None,
) -> None:
    """Change what the directory says of somebody; prints how many grants ended with it."""
    wanted = directory.Change(
        place=UNSET if place is None else place,
        employer=UNSET if employer is None else employer,
        role=UNSET if role is None else role,
        vetted=UNSET if vetted is None else vetted,
        reports_to=UNSET if above is None else above or None,
        reports_to_entity=UNSET if above_entity is None else above_entity or None,
    )
    cell = _open(folder)
    try:
        with cell.database.write() as session:
            ended = directory.change_member(cell, session, staff_id, wanted)
    finally:
        cell.close()
    typer.echo(f"{ended} grants ended")


@app.command()
def dismiss(folder: Folder, staff_id: StaffId) -> None:
    """End somebody's time here; prints how many grants ended with it."""
    cell = _open(folder)
    try:
        with cell.database.write() as session:
            ended = directory.dismiss(cell, session, staff_id)
    finally:
        cell.close()
    typer.echo(f"{ended} grants ended")


@app.command()
def appointments(folder: Folder, as_json: AsJson = False) -> None:
    """List who was proposed for a role that may be vetoed, with what whoever decides must be told."""
    cell = _open(folder)
    try:
        with cell.database.read() as session:
            found = [
                {
                    "cell": cell.settings.cell,
                    "appointment": row.appointment_id,
                    "state": row.state,
                    "counts_at": row.counts_at,
                    "person": to_builtins(person_of(member, row.role)),
                    "opening": row.opening.hex(),
                    "commitment": row.commitment,
                }
                for row, member in proposals(session)
            ]
    finally:
        cell.close()
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("appointment", "name", "role", "employer", "state")
    for each in found:
        person: dict[str, str] = each["person"]
        table.add_row(each["appointment"], person["name"], person["role"], person["employer"], each["state"])
    Console().print(table)


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="One appointment, as `appointments --json` lists it.")],
    key: Annotated[Path, typer.Option(help="The signing key of a seat with a say in it.")],
    veto: Annotated[bool, typer.Option("--veto/--consent", help="What to say to it.")],
) -> None:
    """Sign consent or veto, after checking that the proposal is about whom it names; prints the paper."""
    asked: dict[str, Any] = json.loads(file.read_text("utf-8"))
    person = convert(asked["person"], Person)
    if not person.opens(asked["commitment"], bytes.fromhex(asked["opening"])):
        raise CommandError(f"{file}: the commitment in the ledger is not to {person.name} as {person.role}")
    verb: Verb = "veto" if veto else "consent"
    signing_key = SigningKey.from_text(key.read_text("ascii").strip())
    paper = make_paper(signing_key, verb, asked["cell"], asked["appointment"], asked["commitment"])
    typer.echo(paper, nl=False)


@app.command()
def decide(
    paper: Annotated[Path, typer.Argument(help="A signed consent or veto.")],
    url: Annotated[str, typer.Option(help="Address of the cell.")],
) -> None:
    """Deliver a signed consent or veto to a cell; anybody may."""
    body = {"paper": paper.read_text("utf-8")}
    try:
        answer = httpx.post(f"{url.rstrip('/')}/api/appointments/decisions", json=body, timeout=30)
        document: dict[str, Any] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise CommandError(f"{url}: {error}") from error
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        reason = document.get("reason", answer.status_code)
        raise CommandError(f"refused ({reason}): {document.get('detail')}")
    typer.echo(document["outcome"])


def _open(folder: Path) -> Cell:
    return Cell.open(folder, process="staff")
