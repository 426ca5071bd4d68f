"""`lightwell data`: what a cell holds, where, why, for how long, and what of it may leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lightwell.apps.data_scan import scan_places
from lightwell.apps.ledger_options import AsJson

if TYPE_CHECKING:
    from lightwell.residency import data_map

app = typer.Typer(
    help="Say what data a cell holds, and look for what it must not hold.", no_args_is_help=True
)
app.command("scan")(scan_places)

_FILE_WIDTH = 220
"""Characters a line where nobody's screen sets it."""


class CommandError(ValueError):
    """What was asked cannot be done; the first line of the text says why."""


@app.command("map")
def print_map(
    cell: Annotated[Path | None, typer.Option(help="The folder of a cell; it need not be running.")] = None,
    agreement: Annotated[
        Path | None, typer.Option(help="Without a cell: the agreement to answer by.")
    ] = None,
    protected: Annotated[bool, typer.Option("--protected", help="Only what may never leave.")] = False,
    leaving: Annotated[bool, typer.Option("--leaving", help="Only what a flow may carry.")] = False,
    as_fides: Annotated[bool, typer.Option("--fides", help="Print a Fides dataset (YAML).")] = False,
    as_json: AsJson = False,
) -> None:
    """Print every field that is stored, sent, logged, counted or cached, with its category and class.

    JSON: cell, region, agreement, and fields (kind, place, field, category, residency, where, form, why,
    kept, leaves).
    """
    from lightwell.agreement.load import parse
    from lightwell.base.settings import CellSettings, load

    if as_fides and as_json:
        raise CommandError("choose one of --fides and --json")
    if (cell is None) == (agreement is None):
        raise CommandError("name the cell's folder with --cell, or an agreement's file with --agreement")
    settings: CellSettings | None = None
    if cell is not None:
        settings = load(cell)
        agreement = settings.path(settings.agreement)
    assert agreement is not None  # noqa: S101  one of the two was given
    law = parse(agreement.read_text("utf-8"))
    import lightwell.apps.gate
    import lightwell.apps.web
    import lightwell.apps.worker  # noqa: F401  they import every model, message and workflow
    from lightwell.residency import data_map, fides

    lines = data_map.lines(law, settings)
    lines = [
        one
        for one in lines
        if (not protected or one.residency == "protected") and (not leaving or one.leaves)
    ]
    if as_fides:
        if settings is None:
            settings = CellSettings(cell=law.law_region, region=law.law_region, url="")
        typer.echo(fides.to_yaml(fides.dataset(lines, law, settings)), nl=False)
        return
    if as_json:
        fields = [{name: getattr(one, name) for name in one.__struct_fields__} for one in lines]
        whole = {
            "cell": settings.cell if settings else None,
            "region": settings.region if settings else law.law_region,
            "agreement": {"id": law.id, "version": law.version},
            "fields": fields,
        }
        typer.echo(json.dumps(whole))
        return
    _print(lines)


def _print(lines: list[data_map.Line]) -> None:
    table = Table("kind", "field", "category", "class", "form", "kept", "leaves by", "why")
    for one in lines:
        why = "; ".join(one.why) if one.residency == "protected" else ""
        name = f"{one.place}.{one.field}"
        leaves = ", ".join(one.leaves)
        table.add_row(one.kind, name, one.category, one.residency, one.form, one.kept, leaves, why)
    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(table)
    protected = sum(one.residency == "protected" for one in lines)
    leaving = sum(bool(one.leaves) for one in lines)
    console.print(f"{len(lines)} fields, {protected} protected, {leaving} that a flow may carry")
