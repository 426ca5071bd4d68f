import base64
import gzip
import json
import secrets
import sqlite3
import urllib.parse
import zlib
from pathlib import Path

import pytest

from lightwell.apps.demo.check.canaries import hatch
from lightwell.apps.scan import search_folders

MAIL = "q7x2vw@canary-91ab.example"

HIDDEN = {
    "plain": MAIL.encode(),
    "hex": MAIL.encode().hex().encode(),
    "utf-16": MAIL.encode("utf-16"),
    "base64": base64.b64encode(f'{{"mail":"{MAIL}"}}'.encode()),
    "base64 at another place": base64.b64encode(f'{{"e-mail":"{MAIL}"}}'.encode()),
    "base64 at a third place": base64.b64encode(f'{{"email":"{MAIL}"}}'.encode()),
    "base64url": base64.urlsafe_b64encode(f"??>{MAIL}>>?".encode()),
    "percent-encoded": urllib.parse.quote(MAIL, safe="").encode(),
    "json": json.dumps({"a": json.dumps({"b": MAIL})}).encode(),
    "reversed": MAIL[::-1].encode(),
    "gzip": gzip.compress(f"to: {MAIL}\n".encode() * 3),
    "zlib": zlib.compress(f"to: {MAIL}\n".encode() * 3),
}


@pytest.mark.parametrize("form", HIDDEN)
def test_a_canary_is_found_in_every_form(tmp_path: Path, form: str) -> None:
    noise = secrets.token_bytes(50_000)
    (tmp_path / "object").write_bytes(noise + HIDDEN[form] + noise)
    finds, total = search_folders([tmp_path], ["127.81.7.203", MAIL])
    assert {find.value for find in finds} == {1}
    assert total > 100_000


def test_a_canary_is_found_across_the_seam_of_two_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightwell.apps.scan.pieces.CHUNK_BYTES", 1000)
    (tmp_path / "log").write_bytes(b"x" * 990 + MAIL.encode() + b"y" * 3000)
    assert len(search_folders([tmp_path], [MAIL])[0]) == 1


def test_a_canary_scattered_over_database_pages_is_found(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "cell.db")
    db.execute("CREATE TABLE t (v BLOB)")
    for padding in range(4040, 4100):
        db.execute("INSERT INTO t VALUES (?)", (b"p" * padding + MAIL.encode() + b"q" * 9000,))
    db.commit()
    db.close()
    assert search_folders([tmp_path], [MAIL])[0]


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "object").write_bytes(secrets.token_bytes(3_000_000))
    values = [canary.value for canary in hatch("us", "maker").canaries()]
    assert search_folders([tmp_path], values)[0] == []


def test_every_account_of_canaries_is_unlike_any_other() -> None:
    first, second = hatch("us", "maker"), hatch("us", "maker")
    assert not {c.value for c in first.canaries()} & {c.value for c in second.canaries()}
    assert {c.category for c in first.canaries()} >= {
        "user.contact.phone_number",
        "user.contact.email",
        "user.demographic.date_of_birth",
        "user.contact.address",
        "user.device.ip_address",
    }
