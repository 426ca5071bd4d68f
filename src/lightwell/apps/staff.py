"""`lightwell staff`: a cell's staff directory; each change is an entry and acts on live grants at once."""

import json
from pathlib import Path
from typing import Annotated

import typer
from msgspec import UNSET
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from lightwell.apps.ledger_options import AsJson
from lightwell.residency import directory
from lightwell.residency.access_models import StaffRow
from lightwell.residency.cell import Cell
from lightwell.residency.staff import Member, enrol, principal_of

app = typer.Typer(help="Enter, change and dismiss a cell's staff.", no_args_is_help=True)

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
                    "line_excluded": principal_of(cell, session, row).excluded_line,
                }
                for row in rows
            ]
    finally:
        cell.close()
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("staff id", "name", "role", "employer", "place", "vetted", "above", "line")
    for each in found:
        line = "excluded" if each["line_excluded"] else ""
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
    """Enter somebody; prints the new staff id."""
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
    finally:
        cell.close()
    typer.echo(staff_id)


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


def _open(folder: Path) -> Cell:
    return Cell.open(folder, process="staff")
