"""Where the files and sockets of shards are, said once for those who write them and those who read them."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec

INDEX: Final = "index.json"
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}\\Z")]


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The SHA-256 of the cover and of each part, in hex."""

    cover: Sha256
    parts: list[Sha256]

    @classmethod
    def read(cls, folder: Path) -> "Index":
        """The index of a split base.

        Raises:
            OSError: there is none, or it is none.
        """
        try:
            return msgspec.json.decode((folder / INDEX).read_bytes(), type=Index)
        except msgspec.DecodeError as error:
            raise OSError("an index of parts cannot be read") from error


def index_bytes(index: Index) -> bytes:
    """The file that `Index.read` reads."""
    return msgspec.json.encode(index)


def folder_of(folder: Path, base: str, shards: int) -> Path:
    """Where the parts of a base are."""
    return folder / f"base-{base}-{shards}"


def update_of(folder: Path, digest: str) -> Path:
    """Where an update is."""
    return folder / f"update-{digest}"


@contextmanager
def short_path(folder: Path, shard: int) -> Iterator[str]:
    """The address of a shard's socket, short whatever the folder is called: the system takes 107 bytes."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{number}/{shard}.sock"
    finally:
        os.close(number)


def listen(folder: Path, shard: int) -> socket.socket:
    """Listen on a shard's socket, in place of whoever did before.

    Raises:
        OSError: the folder is not there or not ours.
    """
    (folder / f"{shard}.sock").unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(folder, shard) as path:
        made.bind(path)
    (folder / f"{shard}.sock").chmod(0o600)
    made.listen(128)
    return made


def connect(folder: Path, shard: int) -> socket.socket:
    """Connect to a shard.

    Raises:
        OSError: nobody listens.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(folder, shard) as path:
            made.connect(path)
    except OSError:
        made.close()
        raise
    return made
