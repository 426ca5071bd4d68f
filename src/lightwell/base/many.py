"""A statement about hundreds of ids takes them as one value: taken apart, they cost more than the asking."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, String, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session


def among(session: Session, column: Any, ids: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column of text holds one of `ids`, however many these are.

    Args:
        session: of the database that is asked.
        column: a column or mapped attribute.
        ids: the values; none finds nothing.
    """
    given = list(ids)
    condition: ColumnElement[bool]
    if session.get_bind().dialect.name == "sqlite":
        text = bindparam(None, msgspec.json.encode(given).decode(), type_=String())
        condition = column.in_(select(func.json_each(text).table_valued("value").c.value))
    else:
        condition = column == func.any(bindparam(None, given, type_=ARRAY(String)))
    return condition
