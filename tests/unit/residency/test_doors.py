import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwell.residency.cell import Cell
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
                # What the kernel refuses is no refusal of ours in Python.
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
        attempt("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
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
        "datagram": "failed",
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


def test_only_the_gateway_process_may_reach_other_cells(world: World) -> None:
    for process in ("web", "worker", "cell"):
        cell = Cell.open(world.us.settings.folder, process)
        assert not cell.doors.permits("sg.test", 80)
        cell.close()
    gateway = Cell.open(world.us.settings.folder, "gateway")
    assert gateway.doors.permits("sg.test", 80)
    assert not gateway.doors.permits("sg.test", 81)
    assert not gateway.doors.permits("eu.test", 80)
    assert not gateway.doors.permits("127.0.0.1", 80)
    gateway.close()


def test_kernel_closes_every_way_out_of_compiled_code() -> None:
    out = run(
        """
        import ctypes
        import subprocess
        import psycopg
        other = HTTPServer(("127.0.0.1", 0), Answer)
        libc = ctypes.CDLL(None, use_errno=True)
        Doors("web", [f"http://127.0.0.1:{port}"]).install()

        class Address(ctypes.Structure):
            _fields_ = [("family", ctypes.c_ushort), ("port", ctypes.c_ushort), ("host", ctypes.c_uint32)]
        def by_c(port):
            handle = libc.socket(2, 1, 0)
            where = Address(2, socket.htons(port), 0x0100007F)
            print("c", port == server.server_port, libc.connect(handle, ctypes.byref(where), 16))
        by_c(port)
        by_c(other.server_port)
        kinds = ((2, 2, 0), (10, 2, 0), (2, 3, 1), (17, 3, 3), (40, 1, 0), (2, 1, 262), (2, 1, 132))
        for family, kind, protocol in kinds:
            print("socket", libc.socket(family, kind, protocol))
        print("ring", libc.syscall(425, 1, ctypes.create_string_buffer(240)))
        try:
            psycopg.connect(f"host=127.0.0.1 port={other.server_port} connect_timeout=3")
        except psycopg.OperationalError as error:
            print("libpq", "Permission denied" in str(error))
        code = f"import socket; socket.create_connection(('127.0.0.1', {other.server_port}))"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        print("child", "Permission" in child.stderr)
        """
    )
    assert out.split("\n")[:2] == ["c True 0", "c False -1"]
    assert [line for line in out.splitlines() if line.startswith("socket")] == ["socket -1"] * 7
    assert out.splitlines()[-3:] == ["ring -1", "libpq True", "child True"]


def test_process_that_starts_no_programs_starts_none_and_loads_no_c_library() -> None:
    out = run(
        """
        import ctypes, os, subprocess
        doors = Doors("gateway", [])
        doors.install(programs=())
        attempt("run", lambda: subprocess.run(["/bin/true"]))
        attempt("system", lambda: os.system("true"))
        attempt("exec", lambda: os.execv("/bin/true", ["true"]))
        attempt("spawn", lambda: os.posix_spawn("/bin/true", ["true"], {}))
        attempt("libc", lambda: ctypes.CDLL("libc.so.6"))
        attempt("self", lambda: ctypes.CDLL(None))
        print(sorted({entry.reason for entry in doors.drain()}))
        """
    )
    assert [line.split()[1] for line in out.splitlines()[:-1]] == ["closed"] * 6
    assert out.splitlines()[-1] == "['library-off-list', 'program-off-list']"
