"""A reader takes no more than a file can have, whatever a server or a folder holds, and asks in order."""

import gzip
import os
import threading
import time
from pathlib import Path

import pytest

from lightwell.ledger.download import UnreadableError
from lightwell.ledger.reader import limit, open_ledger
from lightwell.wire.note import NOTE_LIMIT
from tests.unit.ledger.outside import Answer, Respond, made, packed, plainly, serving

FILES = made(700).files
TILE = "tile/0/000"


def read(respond: Respond, path: str = TILE, below: str = "", tries: int = 1) -> bytes | None:
    with serving(respond) as server:
        ledger = open_ledger(server.url + below, tries)
        try:
            return ledger.read(path)
        finally:
            ledger.close()


def test_limits_are_those_of_the_formats() -> None:
    assert limit("tile/3/x001/000.p/7") == 8192
    assert limit("tile/entries/000") == 256 * (2 + 65_535)
    assert limit("checkpoint") == NOTE_LIMIT


@pytest.mark.parametrize("path", [TILE, "checkpoint"])
@pytest.mark.parametrize("squeeze", [False, True])
def test_of_an_answer_without_end_one_byte_too_many_is_taken(path: str, squeeze: bool) -> None:
    def endless(_: str) -> Answer:
        return Answer(b"\n\n\xe2\x80\x94 " + bytes(30_000_000))

    data = read(packed(endless) if squeeze else endless, path)
    assert data is not None
    assert len(data) == limit(path) + 1


def test_a_file_that_is_not_there_is_none_and_other_answers_are_unreadable() -> None:
    assert read(lambda _: Answer(b"", 410)) is None
    for status in (400, 401, 403, 206, 500):
        with pytest.raises(UnreadableError, match=f"status {status}"):
            read(lambda _, status=status: Answer(b"", status))


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"x" * 999)[:-4], gzip.compress(b"x") + b"more"],
    ids=["other", "cut", "more after it"],
)
def test_what_is_not_one_whole_gzip_stream_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(lambda _: Answer(body, headers={"Content-Encoding": "gzip"}))


def test_an_encoding_that_was_not_asked_for_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="br"):
        read(lambda _: Answer(b"?", headers={"Content-Encoding": "br"}))


def test_a_redirect_is_followed_and_a_loop_of_them_is_not() -> None:
    def once(path: str) -> Answer:
        return Answer(b"found") if path == "/there" else Answer(b"", 302, {"Location": "/there"})

    assert read(once) == b"found"
    with pytest.raises(UnreadableError, match="too many redirects"):
        read(lambda _: Answer(b"", 302, {"Location": "/round"}))
    with pytest.raises(UnreadableError, match="no web address"):
        read(lambda _: Answer(b"", 302, {"Location": "file:///etc/passwd"}))


def test_a_busy_server_is_asked_again_and_given_up_on() -> None:
    left = [503, 429]

    def busy(path: str) -> Answer:
        return Answer(b"", left.pop(), {"Retry-After": "0"}) if left else plainly(FILES)(path)

    assert read(busy, tries=3) == FILES[TILE]
    left += [503, 503]
    with pytest.raises(UnreadableError, match="status 503"):
        read(busy, tries=2)


def test_the_log_of_a_cell_is_found_below_it_even_if_the_cell_answers_anything_with_a_page() -> None:
    def cell(path: str) -> Answer:
        below = plainly(FILES, "/ledger/")(path)
        return below if below.status == 200 else Answer(b"<html>Welcome</html>")

    assert read(cell, "checkpoint") == FILES["checkpoint"]
    assert read(plainly(FILES, "/a/b/ledger/"), "checkpoint", "/a/b/") == FILES["checkpoint"]


@pytest.mark.parametrize(
    "where",
    ["ftp://a.test", "file:///tmp", "http://", "http://a.test/?x=1", "http://a.test/#x", "http://a:b:c/"],
)
def test_what_is_no_address_of_a_log_is_unreadable(where: str) -> None:
    with pytest.raises(UnreadableError):
        open_ledger(where)


def test_files_are_read_ahead_a_few_at_a_time_and_given_out_as_asked_for() -> None:
    paths = [path for path in FILES if path.startswith("tile/")]
    together, most, lock = 0, 0, threading.Lock()

    def slow(path: str) -> Answer:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.05)
        with lock:
            together -= 1
        return plainly(FILES)(path)

    with serving(slow) as server:
        ledger = open_ledger(server.url)
        with ledger.reading(paths) as ahead:
            assert [ahead(path) for path in paths] == [FILES[path] for path in paths]
            assert ahead("tile/0/999") is None
        ledger.close()
        assert sorted(server.asked) == sorted([*(f"/{path}" for path in paths), "/tile/0/999"])
    assert 2 <= most <= 4


def test_a_failure_read_ahead_is_told_when_its_file_is_asked_for() -> None:
    def broken(path: str) -> Answer:
        return Answer(b"", 403) if path.endswith("001") else plainly(FILES)(path)

    with serving(broken) as server:
        ledger = open_ledger(server.url)
        with ledger.reading(["tile/0/000", "tile/0/001"]) as ahead:
            assert ahead("tile/0/000") == FILES["tile/0/000"]
            with pytest.raises(UnreadableError):
                ahead("tile/0/001")
        ledger.close()


def test_a_hint_is_a_number_or_nothing() -> None:
    answers = [
        b'{"index":7,"size":9}',
        b'{"index":-1}',
        b'{"index":"7"}',
        b"[1]",
        b"[" * 100_000,
        b"",
        b"\xff",
    ]
    with serving(lambda _: Answer(answers.pop(0))) as server:
        ledger = open_ledger(server.url)
        assert [ledger.hint(bytes(32)) for _ in list(answers)] == [7, *[None] * 6]
        ledger.close()


class TestFolder:
    def test_the_folder_of_a_cell_is_read_too(self, tmp_path: Path) -> None:
        made(3).write(tmp_path / "ledger")
        for where in (tmp_path, tmp_path / "ledger"):
            assert open_ledger(str(where)).read(TILE + ".p/3") is not None

    def test_a_pipe_or_folder_in_place_of_a_file_is_not_there(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "checkpoint")
        (tmp_path / "tile").mkdir()
        ledger = open_ledger(str(tmp_path))
        assert ledger.read("checkpoint") is None
        assert ledger.read("tile") is None
        assert ledger.read("checkpoint/below") is None

    def test_a_file_without_end_is_cut(self, tmp_path: Path) -> None:
        with (tmp_path / "checkpoint").open("wb") as file:
            file.truncate(10**10)
        data = open_ledger(str(tmp_path)).read("checkpoint")
        assert data is not None
        assert len(data) == NOTE_LIMIT + 1
