"""A cell's root keys in files that only the cell's own user can read."""

import hmac
import os
import secrets
from pathlib import Path
from typing import Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lightwell.residency.sealing import NONCE_BYTES
from lightwell.wire.keys import SigningKey

SIGNERS = ("ledger", "gateway")


class VaultError(Exception):
    """The key vault is missing, incomplete, or already there when it should be created."""


class RootKeys(Protocol):
    """What a back-end of the key vault can do; the root keys themselves never leave it."""

    @property
    def cell(self) -> str:
        """The cell these keys belong to."""

    def wrap(self, key: bytes, bound_to: bytes) -> bytes:
        """Encrypt an account key under the cell key, bound to `bound_to`."""

    def unwrap(self, wrapped: bytes, bound_to: bytes) -> bytes:
        """Undo `wrap`; raises `VaultError` when it was not wrapped here for `bound_to`."""

    def mac(self, name: str, data: bytes) -> bytes:
        """Return 32 bytes keyed by the index key and `name`."""

    def signing_key(self, name: str) -> SigningKey:
        """Return the cell's Ed25519 key called `name`."""


class FileRootKeys:
    """Root keys in `keys/` of the cell's folder: `cell.key`, `index.key` (hex) and one note key a signer."""

    def __init__(self, cell: str, cell_key: bytes, index_key: bytes, signers: dict[str, SigningKey]) -> None:
        self._cell = cell
        self._wrapping = AESGCM(cell_key)
        self._index_key = index_key
        self._signers = signers
        self._index_keys: dict[str, bytes] = {}

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
        if (place / "cell.key").exists():
            raise VaultError(f"{place} holds a key vault already")
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o700)
        for name in SIGNERS:
            # The ledger's key is named as the origin line of its checkpoints (C2SP tlog-checkpoint).
            key_name = f"lightwell/{cell}" if name == "ledger" else f"lightwell/{cell}/{name}"
            _write_secret(
                place / f"{name}.key", SigningKey.generate(key_name, secrets.token_bytes(32)).text()
            )
        _write_secret(place / "name", cell)
        _write_secret(place / "index.key", secrets.token_hex(32))
        # Last, so that a vault cut off half-way is not taken for a whole one.
        _write_secret(place / "cell.key", secrets.token_hex(32))
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
            cell_key, index_key = (
                bytes.fromhex((place / n).read_text("ascii")) for n in ("cell.key", "index.key")
            )
            for name in SIGNERS:
                signers[name] = SigningKey.from_text((place / f"{name}.key").read_text("utf-8").strip())
        except FileNotFoundError as error:
            raise VaultError(f"{error.filename}: no such file; has this cell's key vault moved?") from error
        except ValueError as error:
            raise VaultError(f"{place}: a key file is malformed") from error
        if len(cell_key) != 32 or len(index_key) != 32:
            raise VaultError(f"{place}: a key is not 32 bytes long")
        return cls(cell, cell_key, index_key, signers)

    @property
    def cell(self) -> str:
        """The cell these keys belong to."""
        return self._cell

    def wrap(self, key: bytes, bound_to: bytes) -> bytes:
        """Encrypt an account key under the cell key; the nonce comes first."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, key, bound_to)

    def unwrap(self, wrapped: bytes, bound_to: bytes) -> bytes:
        """Undo `wrap`.

        Raises:
            VaultError: another cell's key wrapped it, or for another account.
        """
        try:
            return self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:
            raise VaultError("an account key does not open under this cell's key") from error

    def mac(self, name: str, data: bytes) -> bytes:
        """Return HMAC-SHA256 under the index key derived for `name`, so that indexes cannot be joined."""
        key = self._index_keys.get(name)
        if key is None:
            key = hmac.digest(self._index_key, b"lightwell/index/v1\n" + name.encode(), "sha256")
            self._index_keys[name] = key
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


def _write_secret(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
