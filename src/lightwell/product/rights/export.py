"""All that a cell holds of a person as one JSON document; a column that is not in it is named, with why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Table, select

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession
from lightwell.product.accounts import Account
from lightwell.product.feed import records
from lightwell.product.rights.looks import looks_at
from lightwell.product.social import event_log, state
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.product.videos.queries import media_urls
from lightwell.residency import sealed_rows
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Resource
from lightwell.residency.keys import SealError

FORMAT: Final = "lightwell-export/1"
_AT_ONCE: Final = 200
_BLIND: Final = "A keyed hash by which the value is found; it holds nothing that is not elsewhere in here."
_WITHHELD: Final = {
    "accounts.password": "A one-way hash of the password; whoever has it could try passwords against it.",
    "account_keys.wrapped": "The key that seals all of this; outside the cell it opens nothing.",
}
_UNREADABLE: Final = {"unreadable": "These bytes were altered, and do not open any more."}
_event: Final = msgspec.msgpack.Decoder(state.StoredEvent).decode
_record: Final = msgspec.msgpack.Decoder(records.Record).decode


def export(cell: Cell, account: Account) -> Iterator[bytes]:
    """Yield the pieces of one JSON document (UTF-8) with all that the cell holds of a person.

    Members: format, cell, region, account_id, exported_at (milliseconds), agreement, columns (category and
    class of each column in `tables`), withheld (column and why), tables (rows by table, sealed values
    opened), video_counts, looks (each time that staff asked to see protected fields, and what became of it).
    Files are links (`links`), which open for whoever is signed in.

    Args:
        cell: the home cell.
        account: the signed-in person.

    Raises:
        Refused: the agreement does not let people read their own data.
    """
    permits = _Permits(cell, account.account_id)
    # The document begins only if it can be had.
    for table in sealed_rows.account_tables():
        for column in sealed_rows.sealed_columns(table):
            permits.of(table, column)
    return _document(cell, account, permits)


def columns_told() -> tuple[dict[str, dict[str, str]], list[dict[str, str]]]:
    """Return the columns of an export with their labels, and those it withholds with the reason."""
    told: dict[str, dict[str, str]] = {}
    withheld = [{"column": "account_keys.wrapped", "why": _WITHHELD["account_keys.wrapped"]}]
    for table in sealed_rows.account_tables():
        blind = sealed_rows.blind_columns(table)
        for column in table.columns.keys():  # noqa: SIM118  a ColumnCollection iterates over columns
            name = f"{table.name}.{column}"
            why = _WITHHELD.get(name) or (_BLIND if column in blind else "")
            if why:
                withheld.append({"column": name, "why": why})
            else:
                label = sealed_rows.label_in(table, column)
                told[name] = {"category": label.category, "residency": label.residency}
    return told, withheld


class _Permits:
    """The decisions under which one person reads what is theirs, each asked for once."""

    def __init__(self, cell: Cell, account_id: str) -> None:
        self._cell = cell
        self._me = Principal(kind="account", id=account_id, role="self")
        self._found: dict[str, Permit] = {}

    def of(self, table: Table, column: str) -> Permit:
        category = sealed_rows.label_in(table, column).category
        if category not in self._found:
            resource = Resource(category=category, residency="protected", owner=self._me.id)
            self._found[category] = self._cell.decider.decide(self._me, "use_own", resource)
        return self._found[category]


def _document(cell: Cell, account: Account, permits: _Permits) -> Iterator[bytes]:
    told, withheld = columns_told()
    head = {
        "format": FORMAT,
        "cell": cell.settings.cell,
        "region": cell.settings.region,
        "account_id": account.account_id,
        "exported_at": now_ms(),
        "agreement": {"id": cell.agreement.id, "version": cell.agreement.version},
        "columns": told,
        "withheld": withheld,
    }
    yield msgspec.json.encode(head)[:-1] + b',"tables":{'
    with cell.database.read() as session:
        comma = b""
        for table in sealed_rows.account_tables():
            yield comma + msgspec.json.encode(str(table.name)) + b":["
            yield from _joined(
                _tell(cell, session, permits, table, row) for row in _rows(cell, session, table, account)
            )
            yield b"]"
            comma = b","
        mine = select(VideoRow.video_id).where(VideoRow.account_id == account.account_id)
        counts = session.scalars(select(VideoCountRow).where(VideoCountRow.video_id.in_(mine))).all()
        counted = [
            {"video_id": row.video_id, "views": row.views, "likes": row.likes, "shares": row.shares}
            for row in counts
        ]
        looks = looks_at(session, account.account_id)
    yield b'},"video_counts":' + msgspec.json.encode(counted)
    yield b',"looks":' + msgspec.json.encode(looks) + b"}\n"


def _joined(values: Iterator[Any]) -> Iterator[bytes]:
    comma = b""
    for value in values:
        yield comma + msgspec.json.encode(value)
        comma = b",\n"


def _rows(cell: Cell, session: ReadSession, table: Table, account: Account) -> Iterator[dict[str, Any]]:
    if table.name == "viewer_events" and cell.stream is not None:
        # Events may be kept in a stream: then the table is empty, and the log says what is in it.
        for number, event_id, sealed in event_log.of_viewer(cell, session, account.account_id):
            yield {
                "sequence": number,
                "account_id": account.account_id,
                "event_id": event_id,
                "sealed": sealed,
            }
        return
    statement = select(table).where(table.c.account_id == account.account_id).order_by(*table.primary_key)
    result = session.connection().execution_options(yield_per=_AT_ONCE).execute(statement)
    for row in result.mappings():
        yield {str(name): value for name, value in row.items()}


def _tell(
    cell: Cell, session: ReadSession, permits: _Permits, table: Table, row: dict[str, Any]
) -> dict[str, Any]:
    sealed = sealed_rows.sealed_columns(table)
    hidden = sealed_rows.blind_columns(table)
    told: dict[str, Any] = {}
    for column, value in row.items():
        name = f"{table.name}.{column}"
        if name in _WITHHELD or column in hidden:
            continue
        if column not in sealed:
            told[column] = bytes(value).hex() if isinstance(value, bytes | memoryview) else value
            continue
        try:
            plain = sealed_rows.open_value(cell, session, permits.of(table, column), table, row, column)
            told[column] = None if plain is None else _SHAPES.get(name, _as_text)(plain)
        except (SealError, msgspec.DecodeError, ValueError):
            told[column] = _UNREADABLE
    if table.name == "videos" and row["status"] in ("ready", "published"):
        told["links"] = media_urls(row["video_id"])
    return told


def _as_text(plain: bytes) -> Any:
    return plain.decode()


def _as_json(plain: bytes) -> Any:
    return msgspec.json.decode(plain)


def _as_hex(plain: bytes) -> Any:
    return plain.hex()


def _as_event(plain: bytes) -> Any:
    event = _event(plain)
    return {name: getattr(event, name) for name in event.__struct_fields__}


def _as_state(plain: bytes) -> Any:
    return msgspec.to_builtins(state.unpack_state(plain))


def _as_record(plain: bytes) -> Any:
    record = _record(plain)
    # Byte for byte as they were committed to, so that the receipt of the slate can be checked against it.
    return {
        "inputs": msgspec.Raw(record.inputs),
        "slate": msgspec.Raw(record.slate),
        "opening": record.opening.hex(),
    }


_SHAPES: Final[dict[str, Callable[[bytes], Any]]] = {
    "videos.draft": _as_json,
    "videos.opening": _as_hex,
    "viewer_events.sealed": _as_event,
    "viewer_states.sealed": _as_state,
    "slate_records.sealed": _as_record,
}
