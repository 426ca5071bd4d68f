"""What every back-end of the key vault can do; the root keys themselves never leave it."""

from typing import Protocol

from lightwell.wire.keys import SigningKey

SIGNERS = ("ledger", "gateway")
"""The cell's signing keys."""


class VaultError(Exception):
    """The key vault is missing, incomplete, already there when it should be created, or refused a key."""


class RootKeys(Protocol):
    """The root keys of one cell: numbered versions of the cell key, the index key, and the signing keys."""

    @property
    def cell(self) -> str:
        """The cell these keys belong to."""

    @property
    def kind(self) -> str:
        """The back-end's name: "file" or "pkcs11"."""

    def versions(self) -> list[int]:
        """Return the versions of the cell key that are there now, in order."""

    def make_version(self, version: int) -> None:
        """Make a version of the cell key, durable when this returns; one that is there already is kept."""

    def destroy_version(self, version: int) -> None:
        """Destroy a version of the cell key for ever; one that is gone already is no error."""

    def forget_version(self, version: int) -> None:
        """Drop what this process holds of a version that was destroyed elsewhere."""

    def wrap(self, version: int, key: bytes | bytearray, bound_to: bytes) -> bytes:
        """Encrypt an account key under a version of the cell key, bound to `bound_to`.

        Raises:
            VaultError: there is no such version.
        """

    def unwrap(self, version: int, wrapped: bytes, bound_to: bytes) -> bytearray:
        """Undo `wrap`; whoever asked overwrites the answer as soon as it is used.

        Raises:
            VaultError: there is no such version, or it did not wrap this for `bound_to`.
        """

    def mac(self, name: str, data: bytes) -> bytes:
        """Return 32 bytes keyed by the index key and `name`."""

    def signing_key(self, name: str) -> SigningKey:
        """Return the cell's Ed25519 key called `name`; raises `VaultError` when there is none."""

    def forget(self) -> None:
        """Overwrite and drop the derived keys this process holds in memory; they come back when needed."""


def signer_name(cell: str, name: str) -> str:
    """Return the note name of a signing key; the ledger's is the origin line of its checkpoints (C2SP)."""
    return f"lightwell/{cell}" if name == "ledger" else f"lightwell/{cell}/{name}"


def wipe(secret: bytearray) -> None:
    """Overwrite a secret with zeros."""
    secret[:] = bytes(len(secret))
