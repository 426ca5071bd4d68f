"""Fixtures that every test may use: a database on each engine, and a cell on each database."""

import gc
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from lightwell.apps.web import build_app
from lightwell.residency.cell import Cell
from tests import s3_server, scheduling
from tests.factories.cells import found_cell

# Two busy cores make any deadline a matter of luck; what a rule says does not depend on time.
hypothesis.settings.register_profile("lightwell", deadline=None)
hypothesis.settings.load_profile("lightwell")

REQUIRED = os.environ.get("LIGHTWELL_REQUIRE_SERVICES") == "1"
ENGINES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def pytest_configure(config: pytest.Config) -> None:
    """Compile once, before there are several workers and cells that would each compile the same."""
    if not hasattr(config, "workerinput"):
        subprocess.run([sys.executable, "-m", "lightwell.apps.compiling"], check=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> scheduling.Together:
    """Let several workers (`-n`) share the tests as `scheduling` says."""
    return scheduling.Together(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    scheduling.longest_first(items)


def pytest_collection_finish() -> None:
    """Let the collector leave alone what every test needs; it would walk it again and again."""
    gc.collect()
    gc.freeze()


def missing(service: str) -> None:
    """Skip where a real service may be absent, fail where it must not be."""
    if REQUIRED:
        pytest.fail(f"{service} is needed and was not found")
    pytest.skip(f"{service} was not found")


def _answers(conninfo: str) -> bool:
    try:
        psycopg.connect(conninfo, connect_timeout=3).close()
    except psycopg.Error:
        return False
    return True


def _as_postgres(command: list[str]) -> list[str]:
    # PostgreSQL refuses to run as root.
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address of a PostgreSQL server: the one named or running here, else one of our own for the session."""
    for conninfo in filter(
        None, [os.environ.get("LIGHTWELL_TEST_POSTGRES"), "postgresql://127.0.0.1:5432/postgres"]
    ):
        if _answers(conninfo):
            yield conninfo
            return
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [Path()]
    if not (found[-1] / "initdb").exists():
        missing("PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="lightwell-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    port = 20000 + secrets.randbelow(20000)
    data = str(folder / "data")
    initialise = [str(found[-1] / "initdb"), "-D", data, "-A", "trust", "-U", "postgres"]
    subprocess.run(_as_postgres(initialise), check=True, capture_output=True)
    server = subprocess.Popen(
        _as_postgres([str(found[-1] / "postgres"), "-D", data, "-p", str(port), "-k", str(folder)]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    conninfo = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        for _ in range(600):
            if _answers(conninfo):
                break
            time.sleep(0.1)
        yield conninfo
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> Iterator[str]:
    """Connection string of a database of this session's own; `database_url` hands it out empty."""
    name = f"lightwell_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    yield postgres_server.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _empty(conninfo: str) -> None:
    # Emptying the tables takes a tenth of the time of making a database for each test.
    with psycopg.connect(conninfo, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        admin.execute("DROP SCHEMA IF EXISTS dbos CASCADE")
        tables = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        # Deleting few rows costs a fraction of TRUNCATE, which makes new files for every table.
        admin.execute("SET synchronous_commit = off")
        admin.execute("SET session_replication_role = replica")
        for (name,) in tables:
            admin.execute(f'DELETE FROM "{name}"')
        for (name,) in admin.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"):
            admin.execute(f'ALTER SEQUENCE "{name}" RESTART')


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLAlchemy URL of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    conninfo = request.getfixturevalue("postgres_database")
    _empty(conninfo)
    yield conninfo.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="session")
def s3() -> Iterator[s3_server.S3Server]:
    """A running S3 server."""
    if not s3_server.is_installed():
        missing("SeaweedFS")
    server = s3_server.S3Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3: s3_server.S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """`s3://` address of an empty prefix in a bucket; the environment tells clients how to reach it."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3.new_prefix()


@pytest.fixture
def cell(database_url: str, tmp_path: Path) -> Iterator[Cell]:
    """A founded cell called `us`, in this process, on the test's database."""
    opened = found_cell(tmp_path / "us", database_url)
    yield opened
    opened.close()


@pytest.fixture
def client(cell: Cell) -> Iterator[TestClient[Litestar]]:
    """A browser-like client of the cell's web application, with cookies; nobody is signed in."""
    with TestClient(build_app(cell), base_url="http://us.test") as opened:
        yield opened
