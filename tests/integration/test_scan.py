"""The leak search finds what is planted, in each kind of store and form, and says when it cannot look."""

import base64
import gzip
import hashlib
import hmac
import http.server
import json
import secrets
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from lightwell.apps.scan import Needles, PlaceError, scan
from lightwell.apps.scan.held import marks_under, secrets_below
from lightwell.base.objects import s3_store
from lightwell.base.stream import Stream
from lightwell.residency.keys import KeyVault
from tests import nats_server
from tests.conftest import missing

KINDS = {
    "name": "Annabeth Quillfeather-Osei",
    "phone": "+1 (482) 555-0182",
    "e-mail": "q7x2vw@canary-91ab.example",
    "IP": "127.81.7.203",
    "face": "face-7c19f0a2b8d3",
    "location": "47.606209,-122.332071",
}
SECRET = secrets.token_bytes(32)


def _base64(before: str) -> Callable[[str], bytes]:
    return lambda value: base64.b64encode(f"{before}{value}!!".encode())


FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": str.encode,
    "hex": lambda value: value.encode().hex().encode(),
    "base64": _base64(""),
    "base64, second place": _base64("x"),
    "base64, third place": _base64("xy"),
    "UTF-16": lambda value: value.encode("utf-16"),
    "percent-encoded": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()).encode(),
    "reversed": lambda value: value.encode()[::-1],
    "gzip": lambda value: gzip.compress(f"so: {value}".encode()),
    "gzip in gzip": lambda value: gzip.compress(gzip.compress(f"so: {value}".encode())),
    "JSON escapes": lambda value: "".join(f"\\u{ord(char):04x}" for char in value).encode(),
    "SHA-256, hex": lambda value: hashlib.sha256(value.encode()).hexdigest().encode(),
    "SHA-256, bytes": lambda value: hashlib.sha256(value.encode()).digest(),
    "SHA-1, hex": lambda value: hashlib.sha1(value.encode()).hexdigest().encode(),
    "SHA-1, bytes": lambda value: hashlib.sha1(value.encode()).digest(),
    "MD5, hex": lambda value: hashlib.md5(value.encode()).hexdigest().encode(),
    "MD5, bytes": lambda value: hashlib.md5(value.encode()).digest(),
    "SHA-256 of small letters, base64": lambda value: base64.b64encode(
        hashlib.sha256(value.lower().encode()).digest()
    ),
    "HMAC under a held key, hex": lambda value: (
        hmac.new(SECRET, value.encode(), "sha256").hexdigest().encode()
    ),
    "HMAC under a held key, bytes": lambda value: hmac.new(SECRET, value.encode(), "sha256").digest(),
}
Plant = Callable[[bytes], str]


@pytest.fixture(scope="module")
def needles() -> Needles:
    return Needles([*KINDS.values()], {"a key": SECRET})


@pytest.fixture(scope="module")
def nats() -> Iterator[nats_server.NatsServer]:
    if not nats_server.is_installed():
        missing("nats-server")
    server = nats_server.NatsServer()
    yield server
    server.stop()


@pytest.fixture
def plant(request: pytest.FixtureRequest, tmp_path: Path) -> Plant:
    """Puts bytes into a store of one kind, and returns the place that the scan is given."""
    store = request.param
    if store == "file":
        return lambda data: _written(tmp_path / "deep" / "log", data)
    if store == "tar.gz":
        return lambda data: _tarred(tmp_path, data)
    if store == "zip":
        return lambda data: _zipped(tmp_path, data)
    if store == "PostgreSQL":
        conninfo = request.getfixturevalue("postgres_database")
        return lambda data: _inserted(conninfo, data)
    if store == "PostgreSQL dump":
        conninfo = request.getfixturevalue("postgres_database")
        return lambda data: _dumped(conninfo, data, tmp_path)
    if store == "S3":
        bucket = request.getfixturevalue("bucket")
        return lambda data: _put(bucket, data)
    server = request.getfixturevalue("nats")
    return lambda data: _appended(server.url, data)


def _written(file: Path, data: bytes) -> str:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(secrets.token_bytes(5000) + data + secrets.token_bytes(5000))
    return str(file.parent)


def _tarred(folder: Path, data: bytes) -> str:
    _written(folder / "in" / "member", data)
    with tarfile.open(folder / "backup.tar.gz", "w:gz") as made:
        made.add(folder / "in")
    return str(folder / "backup.tar.gz")


def _zipped(folder: Path, data: bytes) -> str:
    with zipfile.ZipFile(folder / "backup.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("member", b"a" * 5000 + data)
    return str(folder / "backup.zip")


def _inserted(conninfo: str, data: bytes) -> str:
    with psycopg.connect(conninfo, autocommit=True) as database:
        database.execute("DROP SCHEMA IF EXISTS planted CASCADE")
        database.execute("CREATE SCHEMA planted")
        database.execute("CREATE TABLE planted.some (made int, value bytea)")
        database.execute("INSERT INTO planted.some VALUES (7, %s)", (b"z" * 9000 + data,))
    return conninfo


def _dumped(conninfo: str, data: bytes, folder: Path) -> str:
    _inserted(conninfo, data)
    file = folder / "backup.dump"
    subprocess.run(["pg_dump", "--format=custom", "--schema=planted", f"--file={file}", conninfo], check=True)
    return str(file)


def _put(bucket: str, data: bytes) -> str:
    s3_store(bucket).put("some/object", b"o" * 100 + data)
    return bucket


def _appended(url: str, data: bytes) -> str:
    stream = Stream(url, "lightwell-test-events", "lightwell.test.events")
    stream.append([("one", secrets.token_hex(8), data)])
    stream.close()
    return url


STORES = ["file", "tar.gz", "zip", "PostgreSQL", "PostgreSQL dump", "S3", "NATS"]


@pytest.mark.parametrize("plant", STORES, indirect=True)
def test_a_value_of_each_kind_in_each_form_is_found_in_each_store(plant: Plant, needles: Needles) -> None:
    parts = [form(value) for form in FORMS.values() for value in KINDS.values()]
    place = plant(b"\n--\n".join(parts))
    found = {find.value for find in scan(place, needles).finds}
    assert found == set(range(len(KINDS)))


@pytest.mark.parametrize("plant", ["file", "PostgreSQL dump"], indirect=True)
def test_nothing_is_found_where_only_others_values_are(plant: Plant, needles: Needles) -> None:
    other = "someone.else@elsewhere.example"
    assert scan(plant(b"\n".join(form(other) for form in FORMS.values())), needles).finds == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_found_in_each_form_alone(
    tmp_path: Path, needles: Needles, form: str, kind: str
) -> None:
    place = _written(tmp_path / "logs" / "sg.log", FORMS[form](KINDS[kind]))
    found = {find.value for find in scan(place, needles).finds}
    assert found == {list(KINDS).index(kind)}


def test_a_mark_under_the_home_cells_key_is_found(tmp_path: Path) -> None:
    vault = KeyVault.create(tmp_path / "us", "us")
    marks = marks_under(vault, [KINDS["e-mail"]])
    assert {name.split()[0] for name in marks[KINDS["e-mail"]]} == {"blind", "tripwire"}
    needles = Needles([KINDS["e-mail"]], {}, marks)
    for number, mark in enumerate(marks[KINDS["e-mail"]].values()):
        place = _written(tmp_path / f"store{number}" / "table", mark)
        assert scan(place, needles).finds
    other = KeyVault.create(tmp_path / "sg", "sg")
    foreign = marks_under(other, [KINDS["e-mail"]])[KINDS["e-mail"]]
    place = _written(tmp_path / "foreign" / "table", b"".join(foreign.values()))
    assert not scan(place, needles).finds


def test_secrets_in_key_files_are_taken_as_bytes_and_as_keys(tmp_path: Path) -> None:
    KeyVault.create(tmp_path / "sg", "sg")
    held = secrets_below([tmp_path / "sg"])
    assert held
    raw = next(iter(held.values()))
    needles = Needles([KINDS["phone"]], held)
    place = _written(tmp_path / "abroad" / "f", hmac.new(raw, KINDS["phone"].encode(), "sha256").digest())
    assert next(find.form for find in scan(place, needles).finds).startswith("HMAC-SHA256 under sg/")


def test_statistics_of_a_database_are_read_too(postgres_database: str, needles: Needles) -> None:
    _inserted(postgres_database, b"")
    with psycopg.connect(postgres_database, autocommit=True) as database:
        # The rows are gone, but what the server learned of them stays until the table is analysed again.
        database.execute(
            "CREATE TABLE planted.gone AS SELECT %s::text AS said FROM generate_series(1, 50)",
            (KINDS["name"],),
        )
        database.execute("ANALYZE planted.gone")
        database.execute("DELETE FROM planted.gone")
    assert "pg_stats" in {find.place.split()[-1] for find in scan(postgres_database, needles).finds}


def test_an_address_is_read_with_its_headers(needles: Needles) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("x-who", KINDS["IP"])
            self.end_headers()
            self.wfile.write(f'lightwell_uses_total{{who="{KINDS["phone"]}"}} 1'.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = {find.value for find in scan(f"http://127.0.0.1:{server.server_port}/", needles).finds}
        server.shutdown()
    assert found == {1, 3}


@pytest.mark.parametrize(
    "place",
    ["nowhere", "postgresql://127.0.0.1:9/none", "nats://127.0.0.1:9", "http://127.0.0.1:9/", "ftp://x/"],
)
def test_a_place_that_cannot_be_read_is_no_place_without_a_find(place: str, needles: Needles) -> None:
    with pytest.raises(PlaceError):
        scan(place, needles)


def test_an_empty_place_is_no_place_without_a_find(tmp_path: Path, bucket: str, needles: Needles) -> None:
    for place in (str(tmp_path), bucket):
        with pytest.raises(PlaceError, match="nothing in it"):
            scan(place, needles)


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lightwell"), "data", "scan", *words],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_command_ends_with_one_when_a_canary_is_there_and_never_prints_it(tmp_path: Path) -> None:
    canaries = tmp_path / "canaries.json"
    listed = [{"category": kind, "cell": "us", "value": value} for kind, value in KINDS.items()]
    canaries.write_text(json.dumps({"canaries": listed}))
    place = _written(tmp_path / "sg" / "log", KINDS["phone"].encode())
    done = _command(place, "--canaries", str(canaries))
    assert done.returncode == 1, done.stderr
    assert "canary 2, phone of us: plain, in sg/log" in done.stdout
    assert KINDS["phone"] not in done.stdout + done.stderr
    (tmp_path / "sg" / "log").write_text("nothing")
    told = _command(place, "--canaries", str(canaries), "--json")
    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert (answer["found"], answer["canaries"], answer["places"][0]["pieces"]) == (0, 6, 1)


def test_command_ends_with_two_when_it_could_not_look(tmp_path: Path) -> None:
    canaries = tmp_path / "canaries"
    canaries.write_text("q7x2vw@canary-91ab.example\n")
    for words in ([], [str(tmp_path / "nowhere")], ["postgresql://127.0.0.1:9/none"]):
        done = _command(*words, "--canaries", str(canaries))
        assert done.returncode == 2, done.stdout
        assert len(done.stderr.splitlines()) == 1
    canaries.write_text("short\n")
    assert _command(str(tmp_path), "--canaries", str(canaries)).returncode == 2
