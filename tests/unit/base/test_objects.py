"""A cell's objects keep the same promises in a folder and in a bucket of a real S3 server."""

from pathlib import Path

import pytest

from lightwell.base.errors import Problem
from lightwell.base.labels import UnlabelledError, declare_prefix
from lightwell.base.objects import Objects

for prefix in "ac":
    declare_prefix(prefix, "system.operations", "interop")


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    location = request.getfixturevalue("bucket") if request.param == "bucket" else "file"
    return Objects(location, tmp_path / "objects")


def test_what_is_put_is_read_back_whole_and_in_parts(objects: Objects, tmp_path: Path) -> None:
    objects.put("a/one", b"0123456789")
    (tmp_path / "two").write_bytes(b"x" * 100_000)
    objects.put_file("a/two", tmp_path / "two")
    assert objects.get("a/one") == b"0123456789"
    assert objects.get_range("a/one", 2, 5) == b"234"
    assert objects.get_range("a/one", 5, 5) == b""
    assert objects.size("a/two") == 100_000
    assert sorted(objects.list("a")) == ["a/one", "a/two"]


def test_an_object_can_be_replaced_and_deleted(objects: Objects) -> None:
    objects.put("a/one", b"1")
    objects.put("a/one", b"2")
    assert objects.get("a/one") == b"2"
    objects.delete("a/one")
    objects.delete("a/one")
    assert not objects.exists("a/one")


def test_a_prefix_is_deleted_with_all_below_it_and_nothing_else(objects: Objects) -> None:
    for key in ("a/1", "a/b/2", "c/3"):
        objects.put(key, b"x")
    assert objects.delete_prefix("a") == 2
    assert list(objects.list("a")) == []
    assert objects.exists("c/3")


def test_an_object_that_is_not_there_is_not_found(objects: Objects) -> None:
    for read in (
        lambda: objects.get("no"),
        lambda: objects.size("no"),
        lambda: objects.get_range("no", 0, 1),
    ):
        with pytest.raises(Problem) as refused:
            read()
        assert refused.value.status == 404


def test_an_object_of_a_prefix_without_a_label_is_refused(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"x")
    for put in (lambda: objects.put("z/one", b"x"), lambda: objects.put_file("z/one", tmp_path / "film")):
        with pytest.raises(UnlabelledError, match="'z' have no label"):
            put()
    assert not objects.exists("z/one")
