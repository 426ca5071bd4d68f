import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwell.residency.doors import DoorClosedError, Doors
from lightwell.wire.entries import ConnectionRefused
from tests.unit.residency.two_cells import World, entries_of, found_world


def run(script: str, *arguments: str) -> str:
    """Run a script in a process of its own: the hook can never be taken out of this one."""
    start = """
        import socket, sys, threading
        from http.server import BaseHTTPRequestHandler, HTTPServer
        from lightwell.residency.doors import DoorClosedError, Doors

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(204)
                self.end_headers()
            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port

        def attempt(name, call):
            try:
                call()
                print(name, "open")
            except OSError as error:
                # Libraries wrap the refusal in errors of their own; it is the cause of each.
                while error is not None and not isinstance(error, DoorClosedError):
                    error = error.__cause__ or error.__context__ or getattr(error, "reason", None)
                print(name, "closed" if error else "failed")
    """
    code = textwrap.dedent(start) + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_connection_off_the_list_is_refused_by_every_way_of_python() -> None:
    out = run(
        """
        import asyncio, urllib.request
        import httpx
        other = HTTPServer(("127.0.0.1", 0), Answer)
        Doors("web", [f"http://127.0.0.1:{port}"]).install()
        attempt("listed", lambda: httpx.get(f"http://127.0.0.1:{port}/"))
        attempt("by-name", lambda: socket.create_connection(("localhost", port)).close())
        attempt("other-port", lambda: socket.create_connection(("127.0.0.1", other.server_port)))
        attempt("other-host", lambda: socket.create_connection(("192.0.2.1", port), timeout=1))
        attempt("mapped", lambda: socket.create_connection(("::ffff:192.0.2.1", port), timeout=1))
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        attempt("datagram", lambda: datagram.sendto(b"x", ("192.0.2.1", 53)))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        attempt("urllib", lambda: opener.open("http://192.0.2.1/"))
        attempt("lookup", lambda: socket.getaddrinfo("ana-lopez.example.org", 443))
        attempt("old-lookup", lambda: socket.gethostbyname("ana-lopez.example.org"))
        attempt("asyncio", lambda: asyncio.run(asyncio.open_connection("192.0.2.1", 80)))
        """
    )
    assert dict(line.split() for line in out.splitlines()) == {
        "listed": "open",
        "by-name": "open",
        "mapped": "closed",
        "urllib": "closed",
        "other-port": "closed",
        "other-host": "closed",
        "datagram": "closed",
        "lookup": "closed",
        "old-lookup": "closed",
        "asyncio": "closed",
    }


def test_unix_sockets_and_own_servers_stay_usable() -> None:
    out = run(
        """
        import asyncio, tempfile
        Doors("web", []).install()
        path = tempfile.mktemp()
        unix = socket.socket(socket.AF_UNIX); unix.bind(path); unix.listen()
        attempt("unix", lambda: socket.socket(socket.AF_UNIX).connect(path))
        left, right = socket.socketpair()
        attempt("pair", lambda: left.send(b"x"))
        attempt("listen", lambda: socket.create_server(("127.0.0.1", 0)))
        async def serve():
            (await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)).close()
        attempt("asyncio", lambda: asyncio.run(serve()))
        """
    )
    assert [line.split()[1] for line in out.splitlines()] == ["open"] * 4


def test_guarded_process_still_runs_durable_workflows(tmp_path: Path) -> None:
    out = run(
        """
        from dbos import DBOS
        Doors("worker", []).install()
        DBOS(config={"name": "test", "system_database_url": f"sqlite:///{sys.argv[1]}/dbos.db"})

        @DBOS.workflow()
        def double(number: int) -> int:
            return number * 2

        DBOS.launch()
        print("result", DBOS.start_workflow(double, 21).get_result())
        DBOS.destroy()
        """,
        str(tmp_path),
    )
    assert "result 42" in out


@pytest.mark.postgres
def test_guarded_process_reaches_its_postgres_only(postgres_server: str) -> None:
    out = run(
        """
        import psycopg
        from urllib.parse import urlsplit
        url = sys.argv[1]
        Doors("worker", [url.replace("postgresql://", "postgresql+psycopg://")]).install()
        with psycopg.connect(url) as connection:
            print("answer", connection.execute("select 41 + 1").fetchone()[0])
        """,
        postgres_server,
    )
    assert "answer 42" in out


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    made = found_world(tmp_path, database_url)
    yield made
    made.us.close()
    made.sg.close()


def test_refusals_become_entries_that_do_not_repeat_the_address(world: World) -> None:
    doors = Doors("web", ["http://127.0.0.1:8000"])
    for name in ("ana.example.org", "ben.example.org"):
        with pytest.raises(DoorClosedError):
            doors._audit("socket.getaddrinfo", (name, 443, 0, 0, 0))
    assert doors.flush(world.us.database) in (1, 2)
    found = entries_of(world.us, ConnectionRefused)
    assert {(entry.process, entry.reason) for entry in found} == {("web", "lookup-off-list")}
    assert doors.flush(world.us.database) == 0


def test_cell_may_reach_its_peers_and_nothing_else(world: World) -> None:
    doors = world.us.doors
    assert doors.permits("sg.test", 80)
    assert not doors.permits("sg.test", 81)
    assert not doors.permits("eu.test", 80)
    assert not doors.permits("127.0.0.1", 80)
