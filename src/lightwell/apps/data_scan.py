"""`lightwell data scan`: looks for planted values in all that a plane keeps, and says what was read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from lightwell.apps.ledger_options import AsJson

if TYPE_CHECKING:
    from lightwell.apps.scan import Needles, Scanned

_FOUND: Final = 1
_NAMED: Final = 20


class ScanError(ValueError):
    """The scan could not be made, or not whole; the first line of the text says why."""


def scan_places(
    canaries: Annotated[Path, typer.Option(help="The planted values: JSON, or one a line.")],
    places: Annotated[
        list[str] | None,
        typer.Argument(help="Folders, files, postgresql://, s3://, nats:// or http(s):// addresses."),
    ] = None,
    cell: Annotated[
        list[Path] | None, typer.Option(help="A cell's folder: it, its stores, and what its keys make.")
    ] = None,
    home: Annotated[
        list[Path] | None, typer.Option(help="A cell whose keys marked the values; it is not searched.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for planted values in everything that is named, raw, encoded, compressed, hashed and marked.

    Ends with 0 if nothing was found and everything was read, 1 if a value was found, 2 if a place could not
    be read or held nothing. Values are never printed; they go by their category, or their number in the file.

    JSON: found, canaries (how many), forms (how many were looked for), and places (place, pieces, bytes,
    finds: canary, form, place).
    """
    from lightwell.apps.scan import PlaceError, scan

    values, names = read_canaries(canaries)
    wanted, needles = _prepared(places or [], cell or [], home or [], values)
    results: list[Scanned] = []
    console = Console(stderr=True)
    try:
        with Progress(
            console=console, transient=True, disable=as_json or not console.is_terminal
        ) as progress:
            for place in progress.track(wanted, description="Reading"):
                results.append(scan(place, needles))
    except PlaceError as error:
        raise ScanError(str(error)) from error
    if as_json:
        typer.echo(json.dumps(_told(results, names, len(needles))))
    else:
        _print(results, names, len(needles))
    if any(result.finds for result in results):
        raise typer.Exit(_FOUND)


def read_canaries(file: Path) -> tuple[list[str], list[str]]:
    """Return the planted values of a file, and a name for each that does not tell it.

    Args:
        file: one value a line; or JSON: a list of texts, or of objects with `value` and maybe `category` and
            `cell`, or an object with such a list as `canaries`, as `lightwell demo --check` writes it.

    Raises:
        ScanError: it cannot be read, has no value, or one that is too short.
    """
    from lightwell.apps.scan.forms import SHORTEST

    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScanError(f"{file}: {error}") from error
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = [line.strip() for line in text.splitlines() if line.strip()]
    listed = found.get("canaries") if isinstance(found, dict) else found
    values, names = [], []
    for number, one in enumerate(listed if isinstance(listed, list) else [], 1):
        value = one.get("value") if isinstance(one, dict) else one
        if not isinstance(value, str) or len(value) < SHORTEST:
            raise ScanError(f"{file}: canary {number} is no text of at least {SHORTEST} characters")
        about = " of ".join(
            str(one[key]) for key in ("category", "cell") if isinstance(one, dict) and key in one
        )
        values.append(value)
        names.append(f"canary {number}" + (f", {about}" if about else ""))
    if not values:
        raise ScanError(f"{file}: there is no canary in it")
    return values, names


def _prepared(
    places: list[str], cells: list[Path], homes: list[Path], values: list[str]
) -> tuple[list[str], Needles]:
    """Return where to look, and what for: whoever is searched may have hashed a value under what it holds."""
    from lightwell.apps.scan import Needles, places_of_cell
    from lightwell.apps.scan.held import marks_under, secrets_below
    from lightwell.base.settings import load
    from lightwell.residency.keys import KeyVault

    settings = [load(folder) for folder in cells]
    wanted = list(dict.fromkeys([place for one in settings for place in places_of_cell(one)] + places))
    if not wanted:
        raise ScanError("name a place, or a cell with --cell")
    marks: dict[str, dict[str, bytes]] = {value: {} for value in values}
    if cells or homes:
        import lightwell.apps.web
        import lightwell.apps.worker  # noqa: F401  they import every model, and with them each blind index
    for one in [*settings, *(load(folder) for folder in homes)]:
        for value, made in marks_under(KeyVault.open(one.folder, one.keys), values).items():
            marks[value] |= made
    keys = secrets_below([*cells, *(Path(place) for place in places if "://" not in place)])
    return wanted, Needles(values, keys, marks)


def _told(results: list[Scanned], names: list[str], forms: int) -> dict[str, Any]:
    return {
        "found": sum(len(result.finds) for result in results),
        "canaries": len(names),
        "forms": forms,
        "places": [
            {
                "place": result.place,
                "pieces": result.pieces,
                "bytes": result.size_bytes,
                "finds": [
                    {"canary": names[find.value], "form": find.form, "place": find.place}
                    for find in result.finds
                ],
            }
            for result in results
        ],
    }


def _print(results: list[Scanned], names: list[str], forms: int) -> None:
    console = Console(soft_wrap=True)
    table = Table("place", "read", "bytes", "found", box=None)
    for result in results:
        table.add_row(result.place, f"{result.pieces:,}", f"{result.size_bytes:,}", f"{len(result.finds):,}")
    console.print(table)
    finds = [find for result in results for find in result.finds]
    for find in finds[:_NAMED]:
        console.print(f"{names[find.value]}: {find.form}, in {find.place}", highlight=False)
    if len(finds) > _NAMED:
        console.print(f"and {len(finds) - _NAMED:,} more")
    said = f"{len(finds):,} finds" if finds else "nothing found"
    console.print(f"{said}: {len(names)} canaries in {forms:,} forms")
