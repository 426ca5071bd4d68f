"""Every field stored, sent or told carries a data category and a residency class, or it does not import."""

from typing import Any, Final, Literal, cast, get_args

import msgspec
from sqlalchemy import LargeBinary, Table
from sqlalchemy.types import TypeDecorator

Residency = Literal["protected", "interop", "public"]
Kind = Literal["column", "object", "prefix", "message", "log", "metric", "workflow", "cache"]
_CLASSES = frozenset(get_args(Residency))
_ROOTS = ("user", "system")
_OPEN_KINDS: Final = frozenset(("prefix", "message", "log", "metric", "workflow"))
"""Where a value lies or travels in clear: nothing protected may."""


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


_declared: Final[dict[tuple[Kind, str, str], Label]] = {}


def declare(kind: Kind, place: str, field: str, given: Label | None) -> Label:
    """Enter a field that is no column in the data map, and return its label.

    Args:
        kind: what sort of place it is.
        place: object prefix, message, process part, metric, workflow or cache.
        field: what of it.
        given: its label; a wrong one is refused here, while the module that has the field is imported.

    Raises:
        UnlabelledError: no label, or a protected one where values lie or travel in clear. Protected log
            fields may be declared: they are named in the line, and their values never are.
    """
    if not isinstance(given, Label):
        raise UnlabelledError(f"the {kind} field {place}.{field} has no label")
    if given.residency == "protected" and kind in _OPEN_KINDS and kind != "log":
        raise UnlabelledError(f"the {kind} field {place}.{field} is protected, and would be in clear")
    _declared[kind, place, field] = given
    return given


def declared() -> dict[tuple[Kind, str, str], Label]:
    """Return the label of everything that was declared so far, by kind, place and field."""
    return dict(_declared)


def declare_prefix(prefix: str, category: str, residency: Residency) -> None:
    """Label the objects whose keys begin with `prefix` and a slash; `Objects.put` takes no others.

    Args:
        prefix: the first part of the key.
        category, residency: as in `label`. Sealed objects are declared by `residency.labels.declare_object`.
    """
    declare("prefix", prefix, "*", make_label(category, residency))


def declare_cache(name: str, what: str, category: str, residency: Residency) -> None:
    """Label what a process keeps in memory beyond one request.

    Args:
        name: the module and the thing that keeps it ("feed.cards").
        what: what is kept.
        category, residency: as in `label`; protected data may be cached in its home cell.
    """
    declare("cache", name, what, make_label(category, residency))


def may_store(key: str) -> bool:
    """Say whether an object key begins with a declared prefix, sealed or not."""
    prefix = key.partition("/")[0]
    return any(kind in ("prefix", "object") and place == prefix for kind, place, _ in _declared)
