"""Named blobs of one cell in a local folder or an S3 bucket, with the same calls on both."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from lightwell.base.errors import not_found
from lightwell.base.labels import UnlabelledError, may_store


def s3_store(location: str) -> ObjectStore:
    """Open the bucket at an `s3://bucket/prefix` URL; the rest is in the environment, as S3 tools have it.

    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, and `AWS_ENDPOINT_URL` of another server than
    Amazon's. Plain HTTP is used only if that URL says so.
    """
    is_plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    return from_url(location, client_options={"timeout": timedelta(seconds=30), "allow_http": is_plain})


class Objects:
    """The object store of a cell.

    Args:
        location: `file` for `folder`, or an `s3://bucket/prefix` URL (credentials from the environment).
        folder: where the local store lies.
    """

    def __init__(self, location: str, folder: Path) -> None:
        self._root: Path | None = None
        self._store: ObjectStore
        if location == "file":
            folder.mkdir(parents=True, exist_ok=True)
            self._root = folder
            self._store = LocalStore(prefix=str(folder), automatic_cleanup=True)
        else:
            self._store = s3_store(location)

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, whole or not at all; it is durable when this returns.

        Raises:
            UnlabelledError: nobody declared what objects of this prefix are (`labels.declare_prefix`).
        """
        _require_label(key)
        obstore.put(self._store, key, data)
        self._make_durable(key)

    def put_file(self, key: str, path: Path) -> None:
        """Store the file at `path` under `key`, as `put` does, without holding it in memory."""
        _require_label(key)
        obstore.put(self._store, key, path)
        self._make_durable(key)

    def _make_durable(self, key: str) -> None:
        # The local store renames a finished file into place but does not wait for the disk.
        if self._root is None:
            return
        file = self._root / key
        for path in (file, *file.parents):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            if path == self._root:
                return

    def get(self, key: str) -> bytes:
        """Return all bytes under `key`.

        Raises:
            Problem: 404, there is no such object.
        """
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except (NotFoundError, FileNotFoundError) as error:
            raise not_found("object") from error

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        """Return the bytes `[start, stop)` under `key`; errors as `get`."""
        if stop <= start:
            return b""
        try:
            return bytes(obstore.get_range(self._store, key, start=start, end=stop))
        except (NotFoundError, FileNotFoundError) as error:
            raise not_found("object") from error

    def size(self, key: str) -> int:
        """Return the size of `key` in bytes; errors as `get`."""
        try:
            return int(obstore.head(self._store, key)["size"])
        except (NotFoundError, FileNotFoundError) as error:
            raise not_found("object") from error

    def exists(self, key: str) -> bool:
        """Tell whether there is an object under `key`."""
        try:
            obstore.head(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove `key`; a missing one is no error."""
        try:
            obstore.delete(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys below `prefix` (a folder-like path), in no particular order."""
        for page in obstore.list(self._store, prefix=prefix):
            for meta in page:
                yield str(meta["path"])

    def delete_prefix(self, prefix: str) -> int:
        """Remove every key below `prefix`; return how many there were."""
        keys = list(self.list(prefix))
        for key in keys:
            self.delete(key)
        return len(keys)


def _require_label(key: str) -> None:
    if not may_store(key):
        raise UnlabelledError(f"objects under {key.partition('/')[0]!r} have no label")
