"""One labelled model on two engines: a read session cannot write, a write commits once, at the edge."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import BigInteger, Engine, Integer, create_engine, event
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session

from lightwell.base.labels import check_table

# SQLite numbers rows by itself only in a plain INTEGER key.
COUNTER = BigInteger().with_variant(Integer(), "sqlite")


class Model(DeclarativeBase):
    """Base of every stored row; a mapped class with an unlabelled column raises when it is defined."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        table = cls.__dict__.get("__table__")
        if table is not None:
            try:
                check_table(table)
            except TypeError:
                cls.metadata.remove(table)
                raise


class ReadSession(Session):
    """A session that refuses to write."""


class WriteSession(ReadSession):
    """A session whose work is committed once, when its block ends."""


@event.listens_for(ReadSession, "before_flush")
def _refuse_writes(session: Session, *_: Any) -> None:
    if not isinstance(session, WriteSession) and (session.new or session.dirty or session.deleted):
        raise TypeError("a ReadSession cannot write; use Database.write()")


@event.listens_for(ReadSession, "do_orm_execute")
def _refuse_write_statements(state: ORMExecuteState) -> None:
    writes = state.is_insert or state.is_update or state.is_delete
    if writes and not isinstance(state.session, WriteSession):
        raise TypeError("a ReadSession cannot write; use Database.write()")


class Database:
    """The cell's database: SQLite in a file, or PostgreSQL.

    Args:
        url: an SQLAlchemy URL of the dialects `sqlite` or `postgresql+psycopg`.
        pool_size: connections kept open.
    """

    def __init__(self, url: str, pool_size: int = 8) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 16}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": 30, "check_same_thread": False}
        else:
            options["pool_pre_ping"] = True
        self.engine: Engine = create_engine(url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._write_engine = self.engine.execution_options(lightwell_write=True)

    @contextmanager
    def read(self) -> Iterator[ReadSession]:
        """Give a session for one consistent read; nothing it does is kept."""
        with ReadSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[WriteSession]:
        """Give a session whose transaction commits durably when the block ends, or rolls back whole."""
        with WriteSession(self._write_engine, expire_on_commit=False) as session, session.begin():
            yield session

    def create_all(self) -> None:
        """Create the tables of every model that has been imported; existing ones are left alone."""
        Model.metadata.create_all(self.engine)

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _configure_sqlite(connection: Any, _: Any) -> None:
    # pysqlite's own BEGIN handling is switched off so that ours decides when a transaction begins.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Any) -> None:
    # A writer takes its lock at once: a later upgrade from read to write could fail with SQLITE_BUSY.
    write = connection.get_execution_options().get("lightwell_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
