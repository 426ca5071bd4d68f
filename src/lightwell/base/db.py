"""One labelled model on two engines: a read session cannot write, a write commits once, at the edge."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BigInteger, Engine, Integer, Select, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session

from lightwell.base.labels import check_table
from lightwell.base.turns import Turn

# SQLite numbers rows by itself only in a plain INTEGER key.
COUNTER = BigInteger().with_variant(Integer(), "sqlite")

Write = Callable[[str, Sequence[tuple[Any, ...]]], object]
"""Writes rows: a statement with a `?` for each value, and the values of each row."""

_UNTENDED_PAGES: Final = 16_000


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


def row_writer(session: WriteSession) -> Write:
    """Give what writes rows as they are in the transaction of a session, on either engine."""
    connection = session.connection()
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    return lambda text, rows: connection.exec_driver_sql(text.replace("?", mark), [*rows])


class Database:
    """The cell's database: SQLite in a file, or PostgreSQL.

    Args:
        url: an SQLAlchemy URL of the dialects `sqlite` or `postgresql+psycopg`.
        pool_size: connections kept open.
    """

    def __init__(self, url: str, pool_size: int = 8) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        # What a statement was given may be anybody's: it stands in no exception's text.
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 16, "hide_parameters": True}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": 30, "check_same_thread": False}
        else:
            options["pool_pre_ping"] = True
        self.engine: Engine = create_engine(url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._write_engine = self.engine.execution_options(lightwell_write=True)
        file = self.engine.url.database
        self._turn = (
            Turn(Path(f"{file}-turn")) if self.is_sqlite and file not in (None, "", ":memory:") else None
        )
        self._own = threading.local()
        self._drivers: list[Any] = []
        self._disposed = 0

    @contextmanager
    def read(self) -> Iterator[ReadSession]:
        """Give a session for one consistent read; nothing it does is kept."""
        with ReadSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def read_if_needed(self) -> Iterator[ReadSession]:
        """Give this thread's own session, for work that seldom reads by it: unused it costs nothing."""
        session: ReadSession | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = ReadSession(self.engine, expire_on_commit=False, autoflush=False)
        try:
            yield session
        finally:
            if session.in_transaction():
                session.close()

    @contextmanager
    def write(self) -> Iterator[WriteSession]:
        """Give a session whose transaction commits durably when the block ends, or rolls back whole."""
        with (
            self._turn_taken(),
            WriteSession(self._write_engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def write_rows(self) -> Iterator[Write]:
        """Give what writes rows as they are; all it wrote is durable when the block ends, or nothing is.

        It is for what is written all the time: on an embedded database it costs no session's work.

        Raises:
            IntegrityError: a row contradicts others.
            DBAPIError: the database did not do it.
        """
        if not self.is_sqlite:
            with self.write() as session:
                yield row_writer(session)
            return
        driver = self.driver()
        faults = self.engine.dialect.loaded_dbapi
        with self._turn_taken():
            try:
                driver.execute("BEGIN IMMEDIATE")
                yield driver.executemany
                driver.execute("COMMIT")
            except faults.IntegrityError as error:
                raise IntegrityError("write_rows", None, error) from error
            except faults.Error as error:
                raise OperationalError("write_rows", None, error) from error
            finally:
                if driver.in_transaction:
                    driver.rollback()

    @contextmanager
    def one_read(self) -> Iterator[None]:
        """Let the statements of this thread read what was committed before the block, until it ends.

        An embedded database then looks once for what is new, and not for each `Statement`; elsewhere it does
        nothing.
        """
        if not self.is_sqlite:
            yield
            return
        driver = self.driver()
        driver.execute("BEGIN")
        try:
            yield
        finally:
            # A statement that failed has closed it.
            if driver is self.driver() and driver.in_transaction:
                driver.execute("COMMIT")

    def turn_if_free(self) -> AbstractContextManager[bool]:
        """Have the writers' turn for a block if this database has turns and nobody has it; say whether.

        Whoever has it begins to write without waiting for others.
        """
        return self._turn.taken_if_free() if self._turn else nullcontext(enter_result=False)

    def leave_log_alone(self) -> None:
        """Have commits of this process leave an embedded database's log as it is: a thread calls `tend_log`.

        Only a log of tens of megabytes, which nobody tends, is brought into the file by who commits.
        """
        if self.is_sqlite:
            self.dispose()
            event.listen(self.engine, "connect", _leave_log)

    def tend_log(self) -> None:
        """Bring what is committed from an embedded database's log into its file, so that the log begins anew.

        Others write meanwhile; they wait only while what came in between is brought over too.

        Raises:
            DBAPIError: the database did not do it.
        """
        if not self.is_sqlite:
            return
        driver = self.driver()
        try:
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            with self._turn_taken():
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except self.engine.dialect.loaded_dbapi.Error as error:
            raise OperationalError("tend_log", None, error) from error

    def create_all(self) -> None:
        """Create the tables of every model that has been imported; existing ones are left alone."""
        Model.metadata.create_all(self.engine)

    def dispose(self) -> None:
        """Close every pooled connection, and those that threads kept for their statements."""
        self._disposed += 1
        while self._drivers:
            self._drivers.pop().close()
        self.engine.dispose()
        if self._turn:
            self._turn.close()

    def _turn_taken(self) -> AbstractContextManager[object]:
        return self._turn.taken() if self._turn else nullcontext()

    def driver(self) -> Any:
        """Return this thread's own connection of the driver, for `Statement`: every read stands alone."""
        if getattr(self._own, "of", None) != self._disposed:
            pooled = self.engine.raw_connection()
            driver: Any = pooled.driver_connection
            pooled.detach()
            if not self.is_sqlite:
                driver.autocommit = True
            self._own.driver, self._own.of = driver, self._disposed
            self._drivers.append(driver)
        return self._own.driver

    def forget_driver(self) -> None:
        """Close this thread's own connection, which no longer works; the next use opens another."""
        driver = self._own.driver
        self._own.of = None
        if driver in self._drivers:
            self._drivers.remove(driver)
        driver.close()


class Statement:
    """A read that is asked all the time: written once, and given to the driver without a session's work.

    It sees what is committed at that moment, never what an open session has written.

    Args:
        select: what to read; every value of it a `bindparam`.
        names: the names of those, in the order in which `one` and `all` take their values.
    """

    def __init__(self, select: Select[*tuple[Any, ...]], *names: str) -> None:
        self._select = select
        self._names = names
        self._texts: dict[str, tuple[str, tuple[int, ...] | None]] = {}

    def one(self, database: Database, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        rows = self.all(database, *values)
        return rows[0] if rows else None

    def all(self, database: Database, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows, as the driver gives them.

        Raises:
            DBAPIError: the database did not answer.
        """
        text, order = self._texts.get(database.engine.name) or self._compile(database.engine)
        given = dict(zip(self._names, values, strict=True)) if order is None else [values[at] for at in order]
        driver = database.driver()
        fault = database.engine.dialect.loaded_dbapi.Error
        try:
            rows: list[tuple[Any, ...]] = driver.execute(text, given).fetchall()
        except fault as error:
            # A server that was restarted has closed the connection: a fresh one is tried, once.
            database.forget_driver()
            if database.is_sqlite:
                raise OperationalError(text, None, error) from error
            try:
                rows = database.driver().execute(text, given).fetchall()
            except fault as again:
                raise DBAPIError(text, None, again) from again
        return rows

    def _compile(self, engine: Engine) -> tuple[str, tuple[int, ...] | None]:
        compiled: Any = self._select.compile(dialect=engine.dialect)
        if set(compiled.params) != set(self._names):
            raise ValueError(f"the statement's values are {sorted(compiled.params)}, not {self._names}")
        order = compiled.positiontup and tuple(self._names.index(name) for name in compiled.positiontup)
        self._texts[engine.name] = found = (str(compiled), order)
        return found


def _configure_sqlite(connection: Any, _: Any) -> None:
    # pysqlite's own BEGIN handling is switched off so that ours decides when a transaction begins.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _leave_log(connection: Any, _: Any) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint={_UNTENDED_PAGES}").close()


def _begin_sqlite(connection: Any) -> None:
    # A writer takes its lock at once: a later upgrade from read to write could fail with SQLITE_BUSY.
    write = connection.get_execution_options().get("lightwell_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
