"""Every stored column carries a data category and a residency class, or its module does not import."""

from typing import Any, Literal, cast, get_args

import msgspec
from sqlalchemy import LargeBinary, Table
from sqlalchemy.types import TypeDecorator

Residency = Literal["protected", "interop", "public"]
_CLASSES = frozenset(get_args(Residency))
_ROOTS = ("user", "system")


class UnlabelledError(TypeError):
    """A column or message field has no label, or its label contradicts how it is stored."""


class Label(msgspec.Struct, frozen=True):
    """What a field is (a fideslang data category) and how far it may travel (a residency class)."""

    category: str
    residency: Residency


class Sealed(TypeDecorator[bytes]):
    """Bytes that came out of `KeyVault.seal`: the only form in which protected data is stored."""

    impl = LargeBinary
    cache_ok = True


class BlindIndex(TypeDecorator[bytes]):
    """A keyed hash from `KeyVault.blind_index`: finds a protected value without showing it."""

    impl = LargeBinary
    cache_ok = True


def label(category: str, residency: Residency) -> dict[str, Any]:
    """Return the `info` of a mapped column, so that its data category and class travel with it.

    Args:
        category: fideslang key such as `user.contact.email` or `system.operations`.
        residency: `protected`, `interop` or `public`.

    Raises:
        UnlabelledError: the category is not a fideslang key or the class is not one of the three.
    """
    return {"label": make_label(category, residency)}


def make_label(category: str, residency: str) -> Label:
    """Build a checked `Label`; arguments and errors as in `label`."""
    if category.split(".", 1)[0] not in _ROOTS:
        raise UnlabelledError(f"data category {category!r} starts with neither 'user' nor 'system'")
    if residency not in _CLASSES:
        raise UnlabelledError(f"residency class {residency!r} is not one of {sorted(_CLASSES)}")
    return Label(category, cast(Residency, residency))


def check_table(table: Table) -> None:
    """Refuse a table with an unlabelled column, or with protected data in a type that is not sealed.

    Args:
        table: a table as SQLAlchemy mapped it.

    Raises:
        UnlabelledError: naming the first offending column.
    """
    for column in table.columns:
        found = column.info.get("label")
        if not isinstance(found, Label):
            raise UnlabelledError(f"column {table.name}.{column.name} has no label")
        if found.residency == "protected" and not isinstance(column.type, Sealed | BlindIndex):
            raise UnlabelledError(
                f"column {table.name}.{column.name} is protected but neither sealed nor blind"
            )
