"""The data map as a Fides dataset (the public fideslang format), so that other tools can read it.

A collection is a table, an object prefix, a message, or another place that holds fields; what fideslang has
no name for (class, form, why, how long, what leaves) stands in `meta` and in the descriptions.
"""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from lightwell.agreement.model import Agreement
from lightwell.base.db import Model
from lightwell.base.settings import CellSettings
from lightwell.residency.data_map import Line


def dataset(lines: Sequence[Line], agreement: Agreement, settings: CellSettings) -> dict[str, Any]:
    """Return the manifest `{"dataset": [...]}` of a cell.

    Args:
        lines: as `data_map.lines` returns them.
        agreement: in force.
        settings: the cell's.
    """
    collections = []
    for (kind, place), group in groupby(sorted(lines), key=lambda line: (line.kind, line.place)):
        fields = list(group)
        collections.append(
            {
                "name": place if kind == "column" else f"{kind}_{place}".replace(".", "_"),
                "description": f"{fields[0].where}; kept {fields[0].kept}",
                "fields": [_field(line) for line in fields],
            }
        )
    whole = {
        "fides_key": f"lightwell_{settings.cell}".replace("-", "_"),
        "name": f"Lightwell cell {settings.cell}",
        "description": f"What the cell {settings.cell} in region {settings.region} holds and sends, "
        f"under the agreement {agreement.id} version {agreement.version}.",
        "meta": {"cell": settings.cell, "region": settings.region, "agreement": agreement.id},
        "collections": collections,
    }
    return {"dataset": [whole]}


def to_yaml(value: Any) -> str:
    """Return a value of dicts, lists, texts, numbers and booleans as YAML 1.2; every text is quoted."""
    return "\n".join(_block(value, 0)) + "\n"


def _field(line: Line) -> dict[str, Any]:
    leaves = ", ".join(line.leaves) or "never"
    found: dict[str, Any] = {
        "name": line.field if line.field != "*" else "objects",
        "description": f"{line.residency}, {line.form}; leaves: {leaves}; because: {'; '.join(line.why)}",
        "data_categories": [line.category],
    }
    if line.kind == "column":
        column = Model.metadata.tables[line.place].columns[line.field]
        if column.primary_key:
            found["fides_meta"] = {"primary_key": True}
    return found


def _block(value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    found: list[str] = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in items:
        lead = f"{pad}{json.dumps(key)}:" if isinstance(value, dict) else f"{pad}-"
        if isinstance(one, dict | list) and one:
            inner = _block(one, depth + 1)
            if isinstance(value, dict):
                found += [lead, *inner]
            else:
                # The first line of an element stands beside its dash.
                found += [f"{pad}- {inner[0].lstrip()}", *inner[1:]]
        else:
            # JSON texts, numbers and booleans are YAML; so are empty lists and maps.
            found.append(f"{lead} {json.dumps(one, ensure_ascii=False)}")
    return found
