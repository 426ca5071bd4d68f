"""The data map: every stored column, sealed object and message field with its category and class."""

from typing import Final

from msgspec import Struct

from lightwell.agreement.model import Agreement
from lightwell.base.db import Model
from lightwell.base.labels import Kind, Label, UnlabelledError, declare, declared, make_label

_STRICTNESS: Final = {"public": 0, "interop": 1, "protected": 2}


class Held(Struct, frozen=True, order=True):
    """One field that this software stores, sends, tells or keeps in memory."""

    kind: Kind
    place: str
    field: str
    category: str
    residency: str


def declare_object(prefix: str, part: str, category: str) -> None:
    """Label a kind of sealed bytes that is kept in the object store instead of a column.

    Args:
        prefix: the object store prefix ("uploads"), given to the key vault as the table.
        part: what the bytes are ("chunk"), given to the key vault as the column.
        category: fideslang key; the class is always `protected`, only sealed objects need this.

    Raises:
        UnlabelledError: not a fideslang key.
    """
    declare("object", prefix, part, make_label(category, "protected"))


def declare_message_field(message: str, field: str, label: Label) -> None:
    """Enter one field of a gateway message; `gateway.Message` does this when a class is defined."""
    declare("message", message, field, label)


def label_of(place: str, field: str) -> Label:
    """Return the label of a column or sealed object.

    Args:
        place: table or object prefix.
        field: column or part.

    Raises:
        UnlabelledError: neither a mapped column nor declared by `declare_object`.
    """
    found = declared().get(("object", place, field))
    if found is not None:
        return found
    table = Model.metadata.tables.get(place)
    column = table.columns.get(field) if table is not None else None
    if column is None:
        raise UnlabelledError(f"{place}.{field} is no labelled column; declare it with labels.declare_object")
    label: Label = column.info["label"]
    return label


def data_map() -> list[Held]:
    """Return everything that the imported modules store or send, sorted."""
    found = [
        Held("column", table.name, column.name, column.info["label"].category, column.info["label"].residency)
        for table in Model.metadata.tables.values()
        for column in table.columns
    ]
    found += [Held(*place, label.category, label.residency) for place, label in declared().items()]
    return sorted(found)


def disagreements(agreement: Agreement) -> list[str]:
    """Return a sentence for each label that is weaker than the agreement allows, none when all agree.

    A label may be stricter than the agreement's class of its category, and never weaker. A category that
    the agreement does not class at all is a disagreement too.

    Args:
        agreement: the agreement of the cell.
    """
    found = []
    for held in data_map():
        name = f"{held.place}.{held.field} ({held.category})"
        agreed = agreement.residency(held.category)
        if agreed is None:
            found.append(f"{name} has no class in the agreement")
        elif _STRICTNESS[held.residency] < _STRICTNESS[agreed]:
            found.append(f"{name} is labelled {held.residency}, the agreement says {agreed}")
    return found
