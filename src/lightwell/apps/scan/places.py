"""Where to look: folders, PostgreSQL, S3, NATS and addresses; each is read whole, or it is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from lightwell.apps.scan.forms import Needles
from lightwell.apps.scan.pieces import Find, search_folders, search_stream
from lightwell.base.settings import CellSettings

_HTTP_BYTES: Final = 64 * 1024 * 1024
_STREAM_SECONDS: Final = 10.0


class PlaceError(ValueError):
    """A place could not be read, or not whole: that nothing was found there would mean nothing."""


class Scanned(Struct, frozen=True):
    """What one place came to: how many files, tables, objects or messages were read, and what was found."""

    place: str
    pieces: int
    size_bytes: int
    finds: list[Find]


Piece = tuple[str, Iterator[bytes]]
"""Its name, and its bytes in chunks."""


def places_of_cell(settings: CellSettings) -> list[str]:
    """Return every place where a cell keeps something: its folder, and what its settings put elsewhere."""
    places = [str(settings.folder)]
    if not settings.database_url.startswith("sqlite"):
        places.append(settings.database_url)
    places += [place for place in (settings.objects, settings.ledger) if place != "file"]
    return places + ([settings.events] if settings.events != "table" else [])


def scan(place: str, needles: Needles) -> Scanned:
    """Look for needles in all that one place holds.

    Args:
        place: a folder or file, or an address: `postgresql://`, `s3://bucket/prefix` (the rest is in the
            environment), `nats://host:port` (every stream of the server), `http://` or `https://` (what one
            address answers).
        needles: what to look for.

    Raises:
        PlaceError: it could not be read, or there was nothing in it.
    """
    scheme = urlsplit(place).scheme.partition("+")[0]
    if scheme in _READERS:
        found = _scan_pieces(place, _READERS[scheme], needles)
    elif scheme:
        raise PlaceError(
            f"{scheme}:// is no place that can be read; use {', '.join(sorted(_READERS))} or a path"
        )
    else:
        found = _scan_path(Path(place), needles)
    if not found.pieces:
        raise PlaceError(f"{_shown(place)}: there is nothing in it")
    return found


def _scan_path(path: Path, needles: Needles) -> Scanned:
    if not path.exists():
        raise PlaceError(f"{path}: no such file or folder")
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    try:
        finds, total = search_folders([path], needles)
    except OSError as error:
        raise PlaceError(f"{path}: {error}") from error
    return Scanned(str(path), len(files), total, finds)


def _scan_pieces(place: str, reader: Callable[[str], Iterator[Piece]], needles: Needles) -> Scanned:
    finds: dict[Find, None] = {}
    pieces = size = 0

    def counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            size += len(chunk)
            yield chunk

    shown = _shown(place)
    try:
        for name, chunks in reader(place):
            pieces += 1
            for number, form in needles.search(name.encode()):
                finds[Find(number, form, f"{shown} {name} (its name)")] = None
            for number, form in search_stream(counted(chunks), needles):
                finds[Find(number, form, f"{shown} {name}")] = None
    except PlaceError:
        raise
    except Exception as error:
        # Each engine's client has errors of its own, and any of them means that something was not read.
        raise PlaceError(f"{shown}: {type(error).__name__}: {str(error).splitlines()[0]}") from error
    return Scanned(shown, pieces, size, list(finds))


def _shown(place: str) -> str:
    """Return an address without the password in it."""
    parts = urlsplit(place)
    if parts.password is None:
        return place
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}@{host}").geturl()


def _postgres(place: str) -> Iterator[Piece]:
    """Yield every table's rows, and what the server keeps about them: statistics hold values of columns."""
    import psycopg
    from psycopg import sql

    address = "postgresql://" + place.partition("://")[2]
    with psycopg.connect(address, connect_timeout=10) as connection, connection.cursor() as cursor:
        # One moment for all tables: a row that moves between two of them is seen in one.
        connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        connection.set_read_only(True)
        tables = cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
            " AND n.nspname NOT LIKE 'pg_toast%' ORDER BY 1, 2"
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT BINARY)").format(
                sql.Identifier(schema, table)
            )
            with cursor.copy(query) as rows:
                yield f"{schema}.{table}", map(bytes, rows)
        for view in ("pg_stats", "pg_description", "pg_prepared_statements"):
            query = sql.SQL("COPY (SELECT v::text FROM {} v) TO STDOUT").format(sql.Identifier(view))
            with cursor.copy(query) as rows:
                yield view, map(bytes, rows)
        for (oid,) in cursor.execute("SELECT oid FROM pg_largeobject_metadata").fetchall():
            whole = cursor.execute("SELECT lo_get(%s)", (oid,)).fetchone()
            yield f"large object {oid}", iter([bytes(whole[0])] if whole else [])


def _s3(place: str) -> Iterator[Piece]:
    import obstore

    from lightwell.base.objects import s3_store

    store = s3_store(place)
    for page in obstore.list(store):
        for meta in page:
            yield str(meta["path"]), map(bytes, obstore.get(store, str(meta["path"])).stream())


def _nats(place: str) -> Iterator[Piece]:
    import asyncio

    import nats
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    async def read() -> list[tuple[str, list[bytes]]]:
        client = await nats.connect(place, connect_timeout=5, max_reconnect_attempts=1)
        try:
            jetstream = client.jetstream(timeout=_STREAM_SECONDS)
            found = []
            for info in await jetstream.streams_info():
                name = str(info.config.name)
                config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE)
                subscription = await jetstream.pull_subscribe(">", stream=name, config=config)
                left, messages = info.state.messages, []
                while left > 0:
                    for one in await subscription.fetch(min(left, 1000), timeout=_STREAM_SECONDS):
                        head = "".join(f"{key}: {value}\n" for key, value in (one.headers or {}).items())
                        messages.append(f"{one.subject}\n{head}\n".encode() + one.data)
                        left -= 1
                await subscription.unsubscribe()
                found.append((name, messages))
            return found
        finally:
            await client.close()

    for name, messages in asyncio.run(read()):
        yield f"stream {name}", iter(messages)


def _http(place: str) -> Iterator[Piece]:
    import httpx

    with httpx.stream("GET", place, timeout=30, trust_env=False) as answer:
        if answer.status_code != 200:
            raise PlaceError(f"{place}: answered {answer.status_code}")
        head = "".join(f"{key}: {value}\n" for key, value in answer.headers.multi_items())
        body = b"".join(answer.iter_bytes())
        if len(body) > _HTTP_BYTES:
            raise PlaceError(f"{place}: the answer is larger than {_HTTP_BYTES} bytes")
        yield "headers", iter([head.encode()])
        yield "body", iter([body])


_READERS: Final[dict[str, Callable[[str], Iterator[Piece]]]] = {
    "postgresql": _postgres,
    "s3": _s3,
    "nats": _nats,
    "http": _http,
    "https": _http,
}
