"""Sealed bytes open only with their own key, in the cell, table, column and row they were sealed for."""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lightwell.base.labels import declare_cache

declare_cache("residency.sealing", "names of tables and columns", "system.operations", "interop")

# Format of sealed bytes, version 1:
#   1 byte   format version (0x01)
#   2 bytes  generation of the account key, big-endian; rotation adds one
#   12 bytes random nonce
#   rest     AES-256-GCM ciphertext and its 16-byte tag
# Additional data: the first 3 bytes, then cell, table, column and row, each with a 2-byte length.
FORMAT: Final = 1
HEADER_BYTES: Final = 3
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = HEADER_BYTES + NONCE_BYTES + TAG_BYTES


class SealError(ValueError):
    """The bytes were not sealed here, were altered, or belong to another place."""


def associated_data(header: bytes, *parts: str) -> bytes:
    """Return the unambiguous bytes a seal is bound to.

    Args:
        header: the fixed first bytes of the sealed value.
        parts: names of the place, each at most 65535 bytes of UTF-8.
    """
    pieces = [header]
    for part in parts:
        raw = part.encode()
        pieces += (len(raw).to_bytes(2, "big"), raw)
    return b"".join(pieces)


@lru_cache(maxsize=4096)
def _place(head: bytes, cell: str, table: str, column: str) -> bytes:
    # Few places, sealed for again and again: only the row differs.
    return associated_data(head, cell, table, column)


def _bound(head: bytes, cell: str, table: str, column: str, row: str) -> bytes:
    raw = row.encode()
    return _place(head, cell, table, column) + len(raw).to_bytes(2, "big") + raw


def header(generation: int) -> bytes:
    """Return the first bytes of a value sealed under key `generation` (0 to 65535)."""
    return bytes((FORMAT, generation >> 8, generation & 0xFF))


def generation_of(sealed: bytes) -> int:
    """Return the key generation a sealed value names.

    Raises:
        SealError: the bytes are not a sealed value of a known format.
    """
    if len(sealed) < OVERHEAD_BYTES or sealed[0] != FORMAT:
        raise SealError("not a sealed value")
    return int.from_bytes(sealed[1:HEADER_BYTES], "big")


def seal(
    key: AESGCM, generation: int, nonce: bytes, plaintext: bytes, cell: str, table: str, column: str, row: str
) -> bytes:
    """Seal `plaintext` for one place.

    Args:
        key: AES-256-GCM under the account's data key.
        generation: which generation of that key, 0 to 65535.
        nonce: 12 fresh random bytes, never used before with this key.
        plaintext: what to hide, any length below 2 GiB.
        cell, table, column, row: the only place where it may be opened.
    """
    head = header(generation)
    return head + nonce + key.encrypt(nonce, plaintext, _bound(head, cell, table, column, row))


def unseal(key: AESGCM, sealed: bytes, cell: str, table: str, column: str, row: str) -> bytes:
    """Open what `seal` made for the same place; arguments as there.

    Raises:
        SealError: wrong key, wrong place, altered or cut bytes.
    """
    generation_of(sealed)
    body = HEADER_BYTES + NONCE_BYTES
    aad = _bound(sealed[:HEADER_BYTES], cell, table, column, row)
    try:
        return key.decrypt(sealed[HEADER_BYTES:body], sealed[body:], aad)
    except InvalidTag as error:
        raise SealError(f"the sealed value in {table}.{column} does not open here") from error
