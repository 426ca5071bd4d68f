"""Keys with names (C2SP signed-note, tlog-cosignature): they sign notes, cosign checkpoints, and verify.

Signature types: 0x01 Ed25519 over a note's text; 0x04 Ed25519 and 0x06 ML-DSA-44, timestamped cosignatures
of a checkpoint. Each key is of one type; `_SIZES` is where another would be added.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from lightwell.wire import base64_strict
from lightwell.wire.cosigned import CosignedError, checkpoint_message, subtree_message

ED25519 = 0x01
COSIGNATURE = 0x04
MLDSA_COSIGNATURE = 0x06

_SIZES = {ED25519: (32, 64), COSIGNATURE: (32, 64), MLDSA_COSIGNATURE: (1312, 2420)}
"""Bytes of the public key and of the plain signature, by type."""

SEED_SIZE = 32
"""Bytes of the seed of a private key, of any type."""

DASH = "— "
"""What a signature line begins with."""

_SKEY_PREFIX = "PRIVATE+KEY+"


class NoteError(ValueError):
    """The note, key or signature line is malformed, or no known key signed it."""


@dataclass(frozen=True)
class Signature:
    """One signature line; `verifier` is the known key that made it, None when its key is not known."""

    name: str
    key_id: bytes
    """4 bytes."""
    signature: bytes
    """What follows the key id: a plain signature, or 8 bytes of time and one for a cosignature."""
    verifier: Verifier | None = None

    @property
    def timestamp(self) -> int | None:
        """Seconds since the epoch of a verified cosignature; None for any other."""
        if self.verifier is None or not self.verifier.is_cosigner:
            return None
        return int.from_bytes(self.signature[:8], "big")

    def line(self) -> str:
        """Return the signature line, with its newline."""
        return f"{DASH}{self.name} {base64_strict.encode(self.key_id + self.signature)}\n"


class Verifier:
    """A public key with its name: checks signatures and never makes them."""

    __slots__ = ("_key", "algorithm", "key_id", "name", "public_bytes")

    def __init__(self, name: str, public_bytes: bytes, algorithm: int = ED25519) -> None:
        check_name(name)
        if algorithm not in _SIZES:
            raise NoteError(f"signature type {algorithm} is not supported")
        if len(public_bytes) != _SIZES[algorithm][0]:
            raise NoteError(f"a public key of this type is {_SIZES[algorithm][0]} bytes")
        self.name = name
        self.algorithm = algorithm
        self.public_bytes = public_bytes
        self.key_id = key_id(name, algorithm, public_bytes)
        self._key = (
            MLDSA44PublicKey.from_public_bytes(public_bytes)
            if algorithm == MLDSA_COSIGNATURE
            else Ed25519PublicKey.from_public_bytes(public_bytes)
        )

    @classmethod
    def from_vkey(cls, vkey: str) -> Verifier:
        """Parse `name+hex(key id)+base64(type || key)`.

        Raises:
            NoteError: malformed, of an unknown type, or its id is not that of the key.
        """
        # Base 64 itself may hold a plus, the name and the id never do.
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise NoteError("a verifier key has three parts")
        name, id_text, key_text = parts
        try:
            material = base64_strict.decode(key_text)
        except ValueError as error:
            raise NoteError(f"verifier key: {error}") from None
        if not material:
            raise NoteError("a verifier key names its type")
        verifier = cls(name, material[1:], material[0])
        if verifier.key_id.hex() != id_text:
            raise NoteError("the key id is not that of the key")
        return verifier

    def vkey(self) -> str:
        """Return `name+hex(key id)+base64(type || key)`."""
        material = bytes([self.algorithm]) + self.public_bytes
        return f"{self.name}+{self.key_id.hex()}+{base64_strict.encode(material)}"

    @property
    def is_cosigner(self) -> bool:
        """Whether this key makes timestamped statements on checkpoints (types 0x04 and 0x06)."""
        return self.algorithm != ED25519

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether `signature` (64 bytes for Ed25519, 2,420 for ML-DSA-44) is this key's of `message`."""
        if len(signature) != _SIZES[self.algorithm][1]:
            return False
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def verify_text(self, text: str, signature: bytes) -> bool:
        """Say whether `signature`, as found in a note, is this key's over the note's text."""
        if not self.is_cosigner:
            return self.verify(text.encode(), signature)
        timestamp = int.from_bytes(signature[:8], "big")
        if len(signature) <= 8 or timestamp >= 2**63:
            return False
        try:
            message = _cosigned(self, text, timestamp)
        except CosignedError:
            return False
        return self.verify(message, signature[8:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verifier) and other.vkey() == self.vkey()

    def __hash__(self) -> int:
        return hash((self.name, self.key_id))

    def __repr__(self) -> str:
        return f"Verifier({self.vkey()!r})"


class SigningKey:
    """A private key with its name: signs notes (type 0x01) or cosigns checkpoints (0x04, 0x06)."""

    __slots__ = ("_key", "_seed", "_verifier")

    def __init__(self, name: str, seed: bytes, algorithm: int = ED25519) -> None:
        if len(seed) != SEED_SIZE:
            raise NoteError(f"a seed is {SEED_SIZE} bytes")
        self._seed = seed
        self._key = (
            MLDSA44PrivateKey.from_seed_bytes(seed)
            if algorithm == MLDSA_COSIGNATURE
            else Ed25519PrivateKey.from_private_bytes(seed)
        )
        self._verifier = Verifier(name, self._key.public_key().public_bytes_raw(), algorithm)

    @classmethod
    def generate(cls, name: str, seed: bytes, algorithm: int = ED25519) -> SigningKey:
        """Make a key from 32 random bytes; the caller draws them, this package has no randomness."""
        return cls(name, seed, algorithm)

    @classmethod
    def from_text(cls, text: str) -> SigningKey:
        """Parse `PRIVATE+KEY+name+hex(key id)+base64(type || seed)`, the form Go's note package writes.

        Raises:
            NoteError: malformed, or its id is not that of the key. The text is never in the message.
        """
        text = text.strip()
        parts = text.removeprefix(_SKEY_PREFIX).split("+", 2)
        if not text.startswith(_SKEY_PREFIX) or len(parts) != 3:
            raise NoteError("not a private key text")
        name, id_text, key_text = parts
        try:
            material = base64_strict.decode(key_text)
        except ValueError:
            raise NoteError("private key text is not Base 64") from None
        if len(material) != 33:
            raise NoteError("a private key is a type and 32 bytes")
        key = cls(name, material[1:], material[0])
        if key._verifier.key_id.hex() != id_text:
            raise NoteError("the key id is not that of the key")
        return key

    def text(self) -> str:
        """Return the private key as text: keep it in a file only its owner can read."""
        material = bytes([self._verifier.algorithm]) + self._seed
        return f"{_SKEY_PREFIX}{self.name}+{self._verifier.key_id.hex()}+{base64_strict.encode(material)}"

    @property
    def name(self) -> str:
        """The key's name."""
        return self._verifier.name

    def verifier(self) -> Verifier:
        """Return the public half."""
        return self._verifier

    def sign(self, message: bytes) -> bytes:
        """Return the plain signature of `message`, 64 bytes for Ed25519."""
        return self._key.sign(message)

    def sign_text(self, text: str) -> Signature:
        """Return the note signature (type 0x01) of `text`.

        Raises:
            NoteError: this key is a cosigner, whose statements need a time.
        """
        if self._verifier.is_cosigner:
            raise NoteError("a cosigner's key signs checkpoints only")
        return Signature(self.name, self._verifier.key_id, self.sign(text.encode()), self._verifier)

    def cosign(self, checkpoint_text: str, timestamp: int) -> Signature:
        """Return the cosignature (type 0x04 or 0x06) of a checkpoint's text.

        Args:
            checkpoint_text: the note text, from `checkpoint.Checkpoint.text()` or an opened note.
            timestamp: seconds since the epoch at which the witness makes the statement, not 0.

        Raises:
            NoteError: this key is not a cosigner's, the text is no checkpoint's, or the time is out of range.
        """
        if not self._verifier.is_cosigner:
            raise NoteError("only a cosigner's key (type 0x04 or 0x06) cosigns")
        if not 0 < timestamp < 2**63:
            raise NoteError("cosignature time is out of range")
        try:
            message = _cosigned(self._verifier, checkpoint_text, timestamp)
        except CosignedError as error:
            raise NoteError(str(error)) from None
        raw = timestamp.to_bytes(8, "big") + self.sign(message)
        return Signature(self.name, self._verifier.key_id, raw, self._verifier)

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r})"


def key_id(name: str, algorithm: int, public_bytes: bytes) -> bytes:
    """Return SHA-256(name || 0x0A || type || public key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public_bytes).digest()[:4]


def _cosigned(verifier: Verifier, text: str, timestamp: int) -> bytes:
    if verifier.algorithm == MLDSA_COSIGNATURE:
        return subtree_message(verifier.name, text, timestamp)
    return checkpoint_message(text, timestamp)


def check_name(name: str) -> None:
    """Refuse what cannot be a key's name.

    Raises:
        NoteError: empty, not Unicode, or with a space, a plus or a control character.
    """
    if not name or "+" in name or any(char.isspace() or char < " " for char in name) or not is_utf8(name):
        raise NoteError("a key name has no space and no plus, and is not empty")


def is_utf8(text: str) -> bool:
    """Say whether `text` can be written as UTF-8 (a lone surrogate cannot)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
