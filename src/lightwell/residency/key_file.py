"""A cell's root keys in files that only the cell's own user can read."""

import contextlib
import hmac
import os
import secrets
import threading
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lightwell.residency.root_keys import SIGNERS, VaultError, signer_name, wipe
from lightwell.residency.sealing import NONCE_BYTES, TAG_BYTES
from lightwell.wire.keys import SigningKey

KEY_BYTES: Final = 32


class FileRootKeys:
    """Root keys in `keys/` of the cell's folder.

    `cell.<version>.key` for each version of the cell key and `index.key` (hex), one note key a signer, and
    `name`, which is written last: a vault cut off half-way has none and is not taken for a whole one.
    """

    kind: Final = "file"

    def __init__(self, place: Path, cell: str, index_key: bytearray, signers: dict[str, SigningKey]) -> None:
        self._place = place
        self._cell = cell
        self._index_key = index_key
        self._signers = signers
        self._wrapping: dict[int, AESGCM] = {}
        self._index_keys: dict[str, bytearray] = {}
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path, cell: str) -> Self:
        """Make fresh keys for a new cell.

        Args:
            folder: the cell's folder; `keys/` in it must not hold a vault yet.
            cell: the cell's name.

        Raises:
            VaultError: there are keys already; overwriting them would destroy everything sealed.
        """
        place = folder / "keys"
        if any(place.glob("cell.*key")) or (place / "name").exists():
            raise VaultError(f"{place} holds a key vault already")
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o700)
        for name in SIGNERS:
            key = SigningKey.generate(signer_name(cell, name), secrets.token_bytes(KEY_BYTES))
            write_secret(place / f"{name}.key", key.text())
        write_secret(place / "index.key", secrets.token_hex(KEY_BYTES))
        write_secret(place / "cell.1.key", secrets.token_hex(KEY_BYTES))
        write_secret(place / "name", cell)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the keys that `create` wrote.

        Raises:
            VaultError: a file is missing or malformed; it is named.
        """
        place = folder / "keys"
        signers = {}
        try:
            cell = (place / "name").read_text("utf-8").strip()
            index_key = _read_key(place / "index.key")
            for name in SIGNERS:
                signers[name] = SigningKey.from_text((place / f"{name}.key").read_text("utf-8").strip())
        except FileNotFoundError as error:
            raise VaultError(f"{error.filename}: no such file; has this cell's key vault moved?") from error
        except ValueError as error:
            raise VaultError(f"{place}: a key file is malformed") from error
        found = cls(place, cell, index_key, signers)
        if not found.versions():
            raise VaultError(f"{place / 'cell.1.key'}: no such file; has this cell's key vault moved?")
        for version in found.versions():
            found._key(version)
        return found

    @property
    def cell(self) -> str:
        """The cell these keys belong to."""
        return self._cell

    def versions(self) -> list[int]:
        """Return the versions of the cell key that lie in the folder now, in order."""
        numbers = (path.name.split(".")[1] for path in self._place.glob("cell.*.key"))
        return sorted(int(number) for number in numbers if number.isdecimal())

    def make_version(self, version: int) -> None:
        """Write a fresh version of the cell key; one that is there already is kept."""
        if not self._file(version).exists():
            write_secret(self._file(version), secrets.token_hex(KEY_BYTES))
        self._key(version)

    def destroy_version(self, version: int) -> None:
        """Overwrite and remove a version's file.

        What the disk itself keeps of overwritten blocks is the disk's to answer for: see the guide.
        """
        path = self._file(version)
        with contextlib.suppress(FileNotFoundError):
            with path.open("r+b") as file:
                file.write(b"0" * (2 * KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            _sync_folder(self._place)
        self.forget_version(version)

    def forget_version(self, version: int) -> None:
        """Drop the version from memory; OpenSSL overwrites its own copy when it is freed."""
        with self._lock:
            self._wrapping.pop(version, None)

    def wrap(self, version: int, key: bytes | bytearray, bound_to: bytes) -> bytes:
        """Encrypt an account key under a version of the cell key; the nonce comes first."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._key(version).encrypt(nonce, key, bound_to)

    def unwrap(self, version: int, wrapped: bytes, bound_to: bytes) -> bytearray:
        """Undo `wrap`.

        Raises:
            VaultError: another cell's key wrapped it, or for another account, or the version is gone.
        """
        plain = bytearray(max(0, len(wrapped) - NONCE_BYTES - TAG_BYTES))
        try:
            self._key(version).decrypt_into(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound_to, plain)
        except (InvalidTag, ValueError) as error:
            raise VaultError("an account key does not open under this cell's key") from error
        return plain

    def mac(self, name: str, data: bytes) -> bytes:
        """Return HMAC-SHA256 under the index key derived for `name`, so that indexes cannot be joined."""
        with self._lock:  # nobody overwrites the key while it is used
            key = self._index_keys.get(name)
            if key is None:
                label = b"lightwell/index/v1\n" + name.encode()
                self._index_keys[name] = key = bytearray(hmac.digest(self._index_key, label, "sha256"))
            return hmac.digest(key, data, "sha256")

    def signing_key(self, name: str) -> SigningKey:
        """Return the cell's key called `name` ("ledger" or "gateway").

        Raises:
            VaultError: there is none of that name.
        """
        try:
            return self._signers[name]
        except KeyError as error:
            raise VaultError(f"the key vault holds no signing key {name!r}") from error

    def forget(self) -> None:
        """Overwrite and drop the derived index keys; the cell key stays, this process cannot do without."""
        with self._lock:
            for key in self._index_keys.values():
                wipe(key)
            self._index_keys.clear()

    def _file(self, version: int) -> Path:
        return self._place / f"cell.{version}.key"

    def _key(self, version: int) -> AESGCM:
        # A version made by another process is read when the first thing it wrapped is met.
        held = self._wrapping.get(version)
        if held is not None:
            return held
        try:
            raw = _read_key(self._file(version))
        except FileNotFoundError as error:
            raise VaultError(f"there is no version {version} of this cell's key") from error
        except ValueError as error:
            raise VaultError(f"{self._file(version)}: a key file is malformed") from error
        try:
            opened = AESGCM(raw)
        finally:
            wipe(raw)
        with self._lock:
            self._wrapping[version] = opened
        return opened


def _read_key(path: Path) -> bytearray:
    key = bytearray.fromhex(path.read_text("ascii"))
    if len(key) != KEY_BYTES:
        raise ValueError("not 32 bytes")
    return key


def write_secret(path: Path, text: str) -> None:
    """Write a file that is whole and durable under its name, or not there; only its owner may read it."""
    draft = path.with_name(path.name + ".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
