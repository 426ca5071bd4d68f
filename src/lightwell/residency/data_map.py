"""What a cell holds, where, why, for how long, and what of it may leave: each field with its answers.

The answers are not written beside the fields. Where and what come from the labels, why and what may leave
from the agreement in force, for how long from the shape of each table, so that they hold for what is running.
"""

from typing import Final

from msgspec import Struct
from sqlalchemy import Table

from lightwell.agreement.model import Agreement, ancestry, covers
from lightwell.base.db import Model
from lightwell.base.labels import BlindIndex, Kind, Sealed
from lightwell.base.settings import CellSettings
from lightwell.residency.labels import Held, data_map

_WHERE: Final[dict[Kind, str]] = {
    "column": "database",
    "object": "object store, sealed",
    "prefix": "object store",
    "message": "gateway, in transit",
    "log": "log of the process",
    "metric": "metrics of the process",
    "workflow": "job database",
    "cache": "memory of the process",
}
_ERASED: Final = "until the account is erased"
_CELL: Final = "while the cell exists"
_KEPT: Final[dict[Kind, str]] = {
    "object": _ERASED,
    "prefix": "until what it belongs to is removed",
    "message": "until delivered; its record stays",
    "log": "as long as the operator keeps logs",
    "metric": "until the process ends",
    "workflow": _CELL,
    "cache": "until the process ends, or sooner",
}
_PREFIXES: Final = {
    "uploads": "until the video is settled, or a day after the last part",
    "drafts": "until the video is published or removed, or the account is erased",
}


class Line(Struct, frozen=True, order=True):
    """One field of the map.

    `form` is how it lies there: `sealed`, `blind index` or `clear`. `why` are reason codes for protected
    data, else the agreement's own words. `leaves` are ids of flows through the gateway; nothing else leaves.
    """

    kind: Kind
    place: str
    field: str
    category: str
    residency: str
    where: str
    form: str
    why: list[str]
    kept: str
    leaves: list[str]


def lines(agreement: Agreement, settings: CellSettings | None = None) -> list[Line]:
    """Return the map of everything that the imported modules hold, in order.

    Args:
        agreement: the one in force.
        settings: of the cell it is about; without, the region's part of `where` is left out.
    """
    return [_line(held, agreement, settings) for held in data_map()]


def _line(held: Held, agreement: Agreement, settings: CellSettings | None) -> Line:
    where = _WHERE[held.kind]
    if settings is not None:
        where = f"{where} of cell {settings.cell} in region {settings.region}"
    return Line(
        held.kind,
        held.place,
        held.field,
        held.category,
        held.residency,
        where,
        _form(held),
        _why(held, agreement),
        _kept(held),
        _leaves(held, agreement),
    )


def _form(held: Held) -> str:
    if held.kind == "object":
        return "sealed"
    if held.kind == "log" and held.residency == "protected":
        return "named, never written"
    if held.kind == "column":
        kind = Model.metadata.tables[held.place].columns[held.field].type
        if isinstance(kind, Sealed):
            return "sealed"
        if isinstance(kind, BlindIndex):
            return "blind index"
    return "clear"


def _why(held: Held, agreement: Agreement) -> list[str]:
    """Return the reason codes under which a protected field may be opened, else the words of its class."""
    access = agreement.access
    reasons: list[str] = []
    if held.residency == "protected":
        reasons += [access.own.purpose] if covers(access.own.categories, held.category) else []
        reasons += [rule.purpose for rule in access.processes if covers(rule.categories, held.category)]
        reasons += access.staff.purposes if covers(access.staff.categories, held.category) else []
    if reasons:
        return list(dict.fromkeys(reasons))
    for name in ancestry(held.category):
        for found in agreement.classes:
            if name in found.categories:
                return [found.why]
    return ["the agreement gives it no class"]


def _kept(held: Held) -> str:
    if held.kind == "object":
        return _PREFIXES.get(held.place, _ERASED)
    if held.kind != "column":
        return _KEPT[held.kind]
    return kept(Model.metadata.tables[held.place])


def kept(table: Table) -> str:
    """Return for how long rows of a table are kept, as its columns tell."""
    names = set(table.columns.keys())
    about = {"account_id", "subject_id"} & names
    if "expires_at" in names and about:
        return "until it expires, or the account is erased"
    if "expires_at" in names:
        return "until it expires"
    return _ERASED if about else _CELL


def _leaves(held: Held, agreement: Agreement) -> list[str]:
    """Return the flows that may carry this: those whose message has the field."""
    if held.kind != "message":
        return []
    carrying = [flow for flow in agreement.flows if flow.message == held.place]
    return [
        flow.id
        for flow in carrying
        if (not flow.fields or held.field in flow.fields) and covers(flow.categories, held.category)
    ]
