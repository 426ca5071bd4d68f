import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lightwell.apps.scan import forms, search_folders
from lightwell.residency import gateway_tls, tripwires
from lightwell.residency.cell import Cell, CellError
from lightwell.residency.keys import KeyVault, VaultError
from lightwell.wire.entries import ConnectionRefused, TransferReceived, TransferRefused
from lightwell.wire.keys import SigningKey
from tests.factories.disguises import FIELDS, ONE_FIELD
from tests.scenarios.two_gateways import Gateways, message, running

SECRET = "ana.lopez@canary-4711.example"
PHONE = "+1 (555) 010-7788"
HOME = "742 Evergreen Terrace, Springfield"


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with running(tmp_path_factory.mktemp("demo")) as made:
        for cell in made.cells.values():
            with cell.database.write() as session:
                tripwires.guard(session, cell.vault, "a" * 16, [SECRET, PHONE, HOME])
        time.sleep(2 * tripwires.FRESH_SECONDS)
        yield made


@pytest.fixture(scope="module")
def client(gateways: Gateways) -> Iterator[httpx.Client]:
    with gateways.client() as opened:
        yield opened


def reason(answer: httpx.Response) -> str:
    assert 400 <= answer.status_code < 500, answer.text
    return str(answer.json().get("reason", answer.json()["type"]))


def fits(text: str) -> bool:
    return len(text) <= 300


# --- 6 and 16: protected values in the one place where free text may stand


@pytest.mark.parametrize("name", [*ONE_FIELD])
def test_protected_value_in_disguise_does_not_cross(
    gateways: Gateways, client: httpx.Client, name: str
) -> None:
    for secret in (SECRET, PHONE, HOME):
        hidden = ONE_FIELD[name](secret)
        why = reason(gateways.post(message(hidden), client))
        # What is too long for its field is refused by the type, before anybody looks into it.
        assert why == ("tripwire" if fits(hidden) else "malformed"), (secret, hidden)


@pytest.mark.parametrize("name", [*FIELDS])
def test_protected_value_split_over_fields_does_not_cross(
    gateways: Gateways, client: httpx.Client, name: str
) -> None:
    for secret in (SECRET, PHONE, HOME):
        first, *between, last = FIELDS[name](secret)
        split = message(first, sound_title=last[:80], creator_name=(between or ["Mira"])[0])
        other = message(last, sound_title=(between or ["Sunday Drive"])[0], creator_name=first[:50])
        assert reason(gateways.post(split, client)) == "tripwire", split
        assert reason(gateways.post(other, client)) == "tripwire", other


def test_refusal_repeats_nothing_and_every_attempt_is_in_the_ledger(
    gateways: Gateways, client: httpx.Client
) -> None:
    transfer = "feedfeedfeedfeed"
    answer = gateways.post(message(f"write to {SECRET}"), client, transfer=transfer)
    assert SECRET not in answer.text
    [entry] = [e for e in gateways.entries_of("sg", TransferRefused) if e.transfer == transfer]
    assert (entry.reason, entry.peer, entry.flow) == ("tripwire", "us", "public-video")
    assert gateways.entries_of("sg", TransferReceived) == []


def test_protected_value_in_the_name_of_a_field_or_of_media_does_not_cross(
    gateways: Gateways, client: httpx.Client
) -> None:
    assert reason(gateways.post(message(**{SECRET: "x"}), client)) == "unknown-field"
    assert reason(gateways.post(message(media={SECRET: "0" * 64}), client)) == "malformed"


# --- 17: messages that do not fit


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"creator_email": SECRET}, "unknown-field"),
        ({"caption": 7}, "malformed"),
        ({"caption": ["a", "b"]}, "malformed"),
        ({"caption": None}, "malformed"),
        ({"caption": "x" * 301}, "malformed"),
        ({"hashtags": ["x" * 31]}, "malformed"),
        ({"hashtags": ["x"] * 11}, "malformed"),
        ({"width": 10**9}, "malformed"),
        ({"width": "720"}, "malformed"),
        ({"duration_ms": -1}, "malformed"),
        ({"media": {"540.mp4": "0" * 64, "backup.zip": "0" * 64}}, "malformed"),
        ({"residency": "public"}, "unknown-field"),
        ({"origin_cell": "sg"}, "wrong-sender"),
    ],
)
def test_message_with_a_field_too_many_or_wrong_is_refused(
    gateways: Gateways, client: httpx.Client, changed: dict[str, Any], why: str
) -> None:
    assert reason(gateways.post(message(**changed), client)) == why


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"flow": "account-details"}, "no-flow"),
        ({"source": "sg"}, "wrong-sender"),
        ({"target": "us"}, "wrong-cell"),
        ({"transfer": "../../etc"}, "malformed"),
        ({"class": "public"}, "malformed"),
        ({"v": 2}, "malformed"),
    ],
)
def test_envelope_that_lies_is_refused(
    gateways: Gateways, client: httpx.Client, changed: dict[str, Any], why: str
) -> None:
    assert reason(gateways.post(message(), client, **changed)) == why


# --- 18: other ways between cells


def test_gateway_speaks_to_nobody_without_a_peers_certificate(gateways: Gateways) -> None:
    url = gateways.deployment.gateways["sg"] + "/gateway/transfers"
    stranger = SigningKey.generate("lightwell/us/gateway", hashlib.sha256(b"stranger").digest())
    for made in (
        gateways.client(stranger),
        # Its own certificate is no peer's either.
        gateways.client(gateways.cells["sg"].vault.signing_key("gateway"), "sg"),
        httpx.Client(verify=False, trust_env=False),
    ):
        with made, pytest.raises(httpx.TransportError):
            made.get(url, extensions={"sni_hostname": gateway_tls.server_name("sg")})
    with pytest.raises(httpx.TransportError):
        httpx.get(url.replace("https", "http"), trust_env=False)


def test_sender_does_not_speak_to_a_gateway_that_is_not_its_peer(gateways: Gateways) -> None:
    own = gateways.client()
    url = gateways.deployment.gateways["sg"] + "/gateway/transfers"
    with own, pytest.raises(httpx.ConnectError):
        own.get(url, extensions={"sni_hostname": gateway_tls.server_name("eu")})


def test_web_process_of_a_cell_takes_no_transfers() -> None:
    from lightwell.apps import web
    from lightwell.residency import gateway_web

    assert not hasattr(web, "gateway_web")
    assert gateway_web.routes


_ATTEMPTS = """
import socket, sys
from pathlib import Path
import httpx, psycopg
from lightwell.apps.startup import open_cell
import lightwell.apps.web
cell = open_cell(Path(sys.argv[1]), sys.argv[2])
port = int(sys.argv[3].rsplit(":", 1)[1])
def attempt(name, call):
    try:
        call()
        print(name, "open")
    except (OSError, httpx.TransportError, psycopg.Error):
        print(name, "closed")
attempt("gateway", lambda: httpx.get(sys.argv[3], verify=False, trust_env=False))
attempt("socket", lambda: socket.create_connection(("127.0.0.1", port)))
attempt("libpq", lambda: psycopg.connect(f"host=127.0.0.1 port={port} connect_timeout=3"))
attempt("stranger", lambda: socket.create_connection(("192.0.2.7", 443), timeout=2))
attempt("name", lambda: socket.getaddrinfo("ana-lopez.canary.example", 443))
attempt("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.7", 53)))
cell.doors.flush(cell.database)
"""


@pytest.mark.parametrize("process", ["web", "worker"])
def test_code_in_a_cell_reaches_no_other_cell_and_no_stranger(gateways: Gateways, process: str) -> None:
    folder = gateways.deployment.cell("us")
    done = subprocess.run(
        [sys.executable, "-c", _ATTEMPTS, str(folder), process, gateways.deployment.gateways["sg"]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["closed"] * 6, done.stderr
    recorded = {e.reason for e in gateways.entries_of("us", ConnectionRefused) if e.process == process}
    port = gateways.deployment.gateways["sg"].rsplit(":", 1)[1]
    assert recorded >= {f"connect-off-list:{port}", "connect-off-list:443", "lookup-off-list"}


# --- 14: a dump without its keys


def test_dump_of_a_cell_opens_nowhere_without_its_key_vault(gateways: Gateways, tmp_path: Path) -> None:
    folder = gateways.deployment.cell("us")
    copy = Path(shutil.copytree(folder, tmp_path / "us", ignore=shutil.ignore_patterns("keys", "logs")))
    with pytest.raises(CellError, match="key vault"):
        Cell.open(copy)
    KeyVault.create(copy, "us")
    with pytest.raises(CellError, match="seat to another key"):
        Cell.open(copy)
    account = "c" * 16
    us = gateways.cells["us"]
    with us.database.write() as session:
        us.vault.new_account_key(session, account)
    stolen = KeyVault.open(copy)
    with us.database.read() as session, pytest.raises(VaultError):
        stolen.seal(session, account, "accounts", "email", account, b"x")


# --- 31: nothing abroad, says the operator


@pytest.mark.parametrize("form", [name for name, _ in forms(SECRET)])
def test_scan_finds_a_canary_abroad_in_every_form(gateways: Gateways, tmp_path: Path, form: str) -> None:
    data = dict(forms(SECRET))[form]
    (tmp_path / "dump.bin").write_bytes(b"\0" * 5000 + data + b"\0" * 5000)
    found, _ = search_folders([tmp_path], [SECRET])
    assert found


def test_guarded_values_are_abroad_in_no_form_and_marks_of_two_cells_differ(gateways: Gateways) -> None:
    us, sg = (gateways.cells[name] for name in ("us", "sg"))
    keyed = [
        tripwires._pack(tripwires._of(us.vault).marks.mark(form))[:8]
        for value in (SECRET, PHONE, HOME)
        for form in tripwires._forms(value)
    ]
    hashes = [hashlib.sha256(value.encode()).digest() for value in (SECRET, PHONE, HOME)]
    folders = [gateways.deployment.cell("sg"), gateways.deployment.oversight]
    assert search_folders(folders, [SECRET, PHONE, HOME])[0] == []
    for file in (file for folder in folders for file in folder.rglob("*") if file.is_file()):
        data = file.read_bytes()
        for one in (*keyed, *hashes):
            assert one not in data, file
            assert one.hex().encode() not in data, file
    assert sg.vault.blind_index("x", SECRET) != us.vault.blind_index("x", SECRET)


# --- both ends, when one of them dies


def test_transfer_that_died_half_way_is_finished_once(gateways: Gateways, client: httpx.Client) -> None:
    transfer = "abadabadabadabad"
    fixed = {"transfer": transfer, "salt": "0" * 32}
    honest = message("died half way")
    assert gateways.post(honest, client, **fixed).status_code == 409
    gateways.kill("sg")
    gateways.start("sg")
    with gateways.client() as again:
        # The checked announcement survived; the media is asked for again, and nothing counts as received.
        assert gateways.post(honest, again, **fixed).status_code == 409
    assert [e for e in gateways.entries_of("sg", TransferReceived) if e.transfer == transfer] == []
