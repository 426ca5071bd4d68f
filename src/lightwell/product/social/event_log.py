"""The log of viewers' events, in the database or in a stream: numbered as they become visible, none twice."""

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import bindparam, select

from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.base.stream import StreamError
from lightwell.product.social.models import ViewerEventRow
from lightwell.residency.cell import Cell

_ID_BYTES = 16
_READ = 5000
_EVENTS = ViewerEventRow.__table__.c
_AFTER = (
    select(_EVENTS.sequence, _EVENTS.account_id, _EVENTS.event_id, _EVENTS.sealed)
    .where(_EVENTS.sequence > bindparam("after"))
    .order_by(_EVENTS.sequence)
    .limit(bindparam("most"))
)
_OF_VIEWER = (
    select(_EVENTS.sequence, _EVENTS.event_id, _EVENTS.sealed)
    .where(_EVENTS.account_id == bindparam("account_id"))
    .order_by(_EVENTS.sequence)
)

# Each engine is asked about a whole batch in one statement of a fixed text, which it has prepared already.
_KNOWN_SQLITE = (
    "SELECT e.account_id, e.event_id FROM json_each(?) AS j CROSS JOIN viewer_events AS e"
    " ON e.account_id = json_extract(j.value, '$[0]') AND e.event_id = json_extract(j.value, '$[1]')"
)
_KNOWN_POSTGRES = (
    "SELECT e.account_id, e.event_id FROM unnest(%s::text[], %s::text[]) AS j(account_id, event_id)"
    " JOIN viewer_events AS e ON e.account_id = j.account_id AND e.event_id = j.event_id"
)
_LAST_SQLITE = "SELECT seq FROM sqlite_sequence WHERE name = 'viewer_events'"
_INSERT_SQLITE = "INSERT INTO viewer_events (sequence, account_id, event_id, sealed) VALUES (?, ?, ?, ?)"
# Held until commit by whoever numbers events: the number after mine becomes visible after mine does.
_NUMBERING = "SELECT pg_advisory_xact_lock(5281963447281)"
_NUMBERS_POSTGRES = (
    "SELECT nextval(pg_get_serial_sequence('viewer_events', 'sequence')) FROM generate_series(1, %s)"
)
_INSERT_POSTGRES = (
    "INSERT INTO viewer_events (sequence, account_id, event_id, sealed)"
    " SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bytea[])"
)


def known(cell: Cell, session: WriteSession, events: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of `events`, each `(account_id, event_id)`, that are stored already.

    A stream is not asked: a viewer's fold remembers their newest (`Fold.recent`), and the stream itself those
    of which the fold was cut off.
    """
    if not events or cell.stream is not None:
        return set()
    connection = session.connection()
    if cell.database.is_sqlite:
        asked = msgspec.json.encode(events).decode()
        rows = connection.exec_driver_sql(_KNOWN_SQLITE, (asked,))
    else:
        rows = connection.exec_driver_sql(
            _KNOWN_POSTGRES, ([account for account, _ in events], [event for _, event in events])
        )
    return {(account_id, event_id) for account_id, event_id in rows}


def append(cell: Cell, session: WriteSession, events: Sequence[tuple[str, str, bytes]]) -> list[int]:
    """Store events that are not known yet, each `(account_id, event_id, sealed)`; return their numbers.

    Call it late in the transaction: on PostgreSQL no other process numbers events until this one commits. A
    stream keeps the events at once, even if the transaction fails: reported again, they are the same ones.

    Raises:
        Problem: 503, the stream did not acknowledge all of them.
    """
    if cell.stream is not None:
        messages = [
            (account_id, f"{account_id}:{event_id}", bytes.fromhex(event_id) + sealed)
            for account_id, event_id, sealed in events
        ]
        try:
            return [number for number, _ in cell.stream.append(messages)]
        except StreamError as error:
            unkept = Problem(503, "events-not-kept", "Events cannot be kept just now; send these again soon.")
            unkept.headers["retry-after"] = "2"
            raise unkept from error
    connection = session.connection()
    if cell.database.is_sqlite:
        # The transaction holds the only write lock, so that the numbers after the last one are free.
        last = connection.exec_driver_sql(_LAST_SQLITE).scalar() or 0
        numbers = list(range(last + 1, last + 1 + len(events)))
        rows = [(number, *event) for number, event in zip(numbers, events, strict=True)]
        connection.exec_driver_sql(_INSERT_SQLITE, rows)
        return numbers
    connection.exec_driver_sql(_NUMBERING)
    numbers = [row[0] for row in connection.exec_driver_sql(_NUMBERS_POSTGRES, (len(events),))]
    columns = [list(column) for column in zip(*events, strict=True)]
    connection.exec_driver_sql(_INSERT_POSTGRES, (numbers, *columns))
    return numbers


def after(cell: Cell, session: ReadSession, number: int, most: int) -> Sequence[tuple[int, str, str, bytes]]:
    """Return at most so many events after a number, each `(number, account_id, event_id, sealed)`, in order.

    Raises:
        StreamError: the stream did not answer.
    """
    if cell.stream is not None:
        found = cell.stream.read(number, most)
        return [(at, account_id, *_parted(content)) for at, account_id, content in found]
    rows = session.connection().execute(_AFTER, {"after": number, "most": most})
    return [(row[0], row[1], row[2], row[3]) for row in rows.all()]


def of_viewer(cell: Cell, session: ReadSession, account_id: str) -> Iterator[tuple[int, str, bytes]]:
    """Yield all events of one viewer, each `(number, event_id, sealed)`, in order; errors as `after`."""
    if cell.stream is None:
        for row in session.connection().execute(_OF_VIEWER, {"account_id": account_id}):
            yield row[0], row[1], row[2]
        return
    number = 0
    while found := cell.stream.read(number, _READ, account_id):
        for at, _, content in found:
            number = at
            yield (at, *_parted(content))


def _parted(content: bytes) -> tuple[str, bytes]:
    return content[:_ID_BYTES].hex(), content[_ID_BYTES:]
