"""A ledger in an S3 bucket: tiles are created once, the checkpoint replaced only by who saw the last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError

from lightwell.base.objects import s3_store
from lightwell.ledger.errors import ConflictError
from lightwell.wire import tiles
from lightwell.wire.tiles import CHECKPOINT_PATH

_AT_ONCE = 16


class Bucket:
    """Reads and writes the files of a tlog-tiles ledger below one prefix of a bucket.

    A PUT that was answered is durable; every one is conditional, so that no writer overwrites another.

    Args:
        location: `s3://bucket/prefix`; credentials and endpoint from the environment (`AWS_...`).
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self._store = s3_store(location)
        self._threads = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="ledger-bucket")
        # What the newest checkpoint seen here is, and by what tag the bucket knows it.
        self._seen: tuple[bytes, str | None] | None = None

    def read(self, path: str) -> bytes | None:
        """Return the bytes of the object at `path`, None if there is none.

        Raises:
            OSError: the bucket cannot be read.
        """
        try:
            answer = obstore.get(self._store, path)
            data = bytes(answer.bytes())
        except (NotFoundError, FileNotFoundError):
            return None
        except BaseError as error:
            raise OSError(f"reading {path}: {error}") from error
        if path == CHECKPOINT_PATH:
            self._seen = (data, answer.meta["e_tag"])
        return data

    def write(self, files: Mapping[str, bytes]) -> None:
        """Create objects that never change, and return once each is durable.

        Raises:
            ConflictError: an object is there with other bytes; it is left as it is.
            OSError: the bucket did not take one; others may be there.
        """
        for _ in self._threads.map(self._create, files.items()):
            pass

    def publish(self, note: bytes, previous: bytes | None) -> None:
        """Replace the checkpoint if it still is `previous`, which this process has read or published.

        Raises:
            ConflictError: another writer has published since.
            OSError: the bucket did not answer; the checkpoint may be there or not.
        """
        seen, self._seen = self._seen, None
        if previous is not None and (seen is None or seen[0] != previous):
            raise ConflictError("the checkpoint to be replaced is not the one last read")
        try:
            if previous is None or seen is None:
                result = obstore.put(self._store, CHECKPOINT_PATH, note, mode="create")
            else:
                result = obstore.put(self._store, CHECKPOINT_PATH, note, mode={"e_tag": seen[1]})
        except (AlreadyExistsError, PreconditionError, NotFoundError):
            raise ConflictError("another writer has published") from None
        except BaseError as error:
            raise OSError(f"writing the checkpoint: {error}") from error
        self._seen = (note, result["e_tag"])

    def tidy(self) -> None:
        """Do nothing: a PUT that was cut off leaves no trace."""

    def drop_partials(self, full_paths: Iterable[str]) -> None:
        """Delete the partial objects of tiles and bundles that are full now."""
        for path in full_paths:
            found = [meta["path"] for page in obstore.list(self._store, prefix=f"{path}.p") for meta in page]
            if found:
                try:
                    obstore.delete(self._store, found)
                except (BaseError, FileNotFoundError):
                    # They do no harm; whoever sweeps the bucket next finds them.
                    continue

    def _create(self, file: tuple[str, bytes]) -> None:
        path, data = file
        tiles.parse_path(path)
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError:
            if self.read(path) != data:
                raise ConflictError(f"{path} is there with other bytes") from None
        except BaseError as error:
            raise OSError(f"writing {path}: {error}") from error
