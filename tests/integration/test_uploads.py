"""Resumable uploads through HTTP, on both databases."""

import base64
import secrets

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import update

from lightwell.base.errors import Problem
from lightwell.product.videos import UploadRow, uploads
from lightwell.residency import in_force
from lightwell.residency.cell import Cell
from tests.factories.people import sign_up

Client = TestClient[Litestar]
TUS = {"Tus-Resumable": "1.0.0"}


def begin(client: Client, length: int, **headers: str) -> str:
    answer = client.post("/api/uploads", headers=TUS | {"Upload-Length": str(length)} | headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-expires"].endswith("GMT")
    return str(answer.headers["location"])


def send(client: Client, upload: str, offset: int, data: bytes, **headers: str) -> int:
    kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    return client.patch(upload, headers=TUS | kind | headers, content=data).status_code


def stands_at(client: Client, upload: str) -> int:
    answer = client.head(upload, headers=TUS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def stored(cell: Cell) -> list[str]:
    return list(cell.objects.list("uploads"))


def test_the_server_says_what_it_understands(client: Client, cell: Cell) -> None:
    answer = client.options("/api/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {"creation", "termination", "expiration"}
    assert int(answer.headers["tus-max-size"]) == cell.settings.upload_limit_bytes


def test_an_upload_goes_on_where_it_stopped(client: Client) -> None:
    sign_up(client)
    data = secrets.token_bytes(5_000_000)
    upload = begin(client, len(data))
    assert send(client, upload, 0, data[:3_100_000]) == 204
    assert stands_at(client, upload) == 3_100_000
    assert send(client, upload, 3_100_000, data[3_100_000:]) == 204
    assert stands_at(client, upload) == len(data)


def test_the_bytes_are_sealed_where_they_lie(client: Client, cell: Cell) -> None:
    sign_up(client)
    upload = begin(client, 4000)
    send(client, upload, 0, b"KILOLIMA" * 500)
    keys = stored(cell)
    assert len(keys) == 1
    assert b"KILOLIMA" not in cell.objects.get(keys[0])


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_bytes_at_another_offset_are_refused_and_change_nothing(
    client: Client, cell: Cell, offset: int
) -> None:
    sign_up(client)
    upload = begin(client, 10)
    send(client, upload, 0, b"abc")
    before = stored(cell)
    assert send(client, upload, offset, b"xyz") == 409
    assert stands_at(client, upload) == 3
    assert stored(cell) == before


def test_more_bytes_than_announced_are_refused_before_they_are_stored(client: Client, cell: Cell) -> None:
    sign_up(client)
    upload = begin(client, 3)
    assert send(client, upload, 0, b"abcd") == 413
    assert stored(cell) == []


def test_an_upload_over_the_limit_is_refused_before_its_first_byte(client: Client, cell: Cell) -> None:
    sign_up(client)
    length = 600 * 1024 * 1024
    answer = client.post("/api/uploads", headers=TUS | {"Upload-Length": str(length)})
    assert answer.status_code == 413
    assert answer.json()["limit_bytes"] == cell.settings.upload_limit_bytes
    assert stored(cell) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 412),
        ({"Tus-Resumable": "0.2.2", "Upload-Length": "5"}, 412),
        (TUS, 400),
        (TUS | {"Upload-Length": "-5"}, 400),
        (TUS | {"Upload-Length": "five"}, 400),
        (TUS | {"Upload-Length": "9" * 40}, 400),
        (TUS | {"Upload-Defer-Length": "1"}, 400),
        (TUS | {"Upload-Length": "5", "Upload-Metadata": "filename !!!"}, 400),
    ],
)
def test_a_malformed_creation_is_refused(client: Client, headers: dict[str, str], status: int) -> None:
    sign_up(client)
    answer = client.post("/api/uploads", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_of_another_type_is_refused(client: Client) -> None:
    sign_up(client)
    upload = begin(client, 5)
    headers = TUS | {"Content-Type": "video/mp4", "Upload-Offset": "0"}
    assert client.patch(upload, headers=headers, content=b"abcde").status_code == 415


def test_the_client_gets_its_own_metadata_back(client: Client) -> None:
    sign_up(client)
    told = f"filename {base64.b64encode(b'beach.mp4').decode()},silent"
    upload = begin(client, 5, **{"Upload-Metadata": told})
    assert client.head(upload, headers=TUS).headers["upload-metadata"] == told


def test_a_removed_upload_is_gone_with_its_bytes(client: Client, cell: Cell) -> None:
    sign_up(client)
    upload = begin(client, 5)
    send(client, upload, 0, b"abc")
    assert client.delete(upload, headers=TUS).status_code == 204
    assert client.head(upload, headers=TUS).status_code == 404
    assert stored(cell) == []


def test_an_upload_belongs_to_one_account(client: Client) -> None:
    sign_up(client, "mira.folds")
    upload = begin(client, 5)
    client.cookies.clear()
    assert client.head(upload, headers=TUS).status_code == 401
    sign_up(client, "osei.two")
    assert client.head(upload, headers=TUS).status_code == 404
    assert send(client, upload, 0, b"abcde") == 404
    assert client.delete(upload, headers=TUS).status_code == 404


def test_an_expired_upload_is_swept_with_its_bytes(client: Client, cell: Cell) -> None:
    sign_up(client)
    upload, kept = begin(client, 5), begin(client, 5)
    send(client, upload, 0, b"abc")
    send(client, kept, 0, b"abc")
    with cell.database.write() as session:
        session.execute(
            update(UploadRow).where(UploadRow.upload_id == upload.rpartition("/")[2]).values(expires_at=1)
        )
    assert client.head(upload, headers=TUS).status_code == 404
    assert uploads.sweep(cell) == 1
    assert len(stored(cell)) == 1
    assert stands_at(client, kept) == 3


def test_bytes_whose_upload_is_gone_are_swept(client: Client, cell: Cell) -> None:
    cell.objects.put("uploads/00000000000000aa/000000000000-00000000", b"left by a crash")
    uploads.sweep(cell)
    assert stored(cell) == []


def test_one_account_has_a_bounded_number_of_unfinished_uploads(client: Client) -> None:
    sign_up(client)
    for _ in range(uploads.MAX_OPEN):
        begin(client, 5)
    answer = client.post("/api/uploads", headers=TUS | {"Upload-Length": "5"})
    assert answer.status_code == 429


def test_an_order_stops_creation_bytes_and_videos(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_up(client)
    upload = begin(client, 5)

    def suspended(_: object, scope: str) -> None:
        if scope == "uploads":
            raise Problem(403, "suspended-by-order", "An order has stopped uploads.", order="00" * 8)

    for module in ("uploads", "drafts", "service"):
        monkeypatch.setattr(f"lightwell.product.videos.{module}.require_allowed", suspended)
    assert in_force.require_allowed is not suspended
    assert client.post("/api/uploads", headers=TUS | {"Upload-Length": "5"}).status_code == 403
    assert send(client, upload, 0, b"abcde") == 403
    answer = client.post("/api/videos", json={"upload_id": upload.rpartition("/")[2]})
    assert answer.status_code == 403
    assert answer.json()["order"] == "00" * 8
