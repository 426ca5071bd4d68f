"""Signed notes (C2SP signed-note): text that keys have signed, opened only if a known key really did.

Signature types: 0x01 Ed25519 over the text, 0x04 timestamped Ed25519 cosignature of a checkpoint
(C2SP tlog-cosignature). Each key is of one type; `_ALGORITHMS` is where another would be added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lightwell.wire import base64_strict

ED25519 = 0x01
COSIGNATURE = 0x04
_ALGORITHMS = (ED25519, COSIGNATURE)

NOTE_LIMIT = 1_000_000
"""Bytes in a note, and `SIGNATURE_LIMIT` signature lines: both as Go's reader has them."""
SIGNATURE_LIMIT = 100

_DASH = "— "
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
    """What follows the key id: 64 bytes for Ed25519, 8 of time and 64 for a cosignature."""
    verifier: Verifier | None = None

    @property
    def timestamp(self) -> int | None:
        """Seconds since the epoch of a verified cosignature; None for any other."""
        if self.verifier is None or self.verifier.algorithm != COSIGNATURE:
            return None
        return int.from_bytes(self.signature[:8], "big")

    def line(self) -> str:
        """Return the signature line, with its newline."""
        return f"{_DASH}{self.name} {base64_strict.encode(self.key_id + self.signature)}\n"


@dataclass(frozen=True)
class OpenedNote:
    """A note that at least one known key has signed."""

    text: str
    signatures: tuple[Signature, ...]
    """Those that verified, one a key."""
    others: tuple[Signature, ...] = ()
    """Those of keys not known here: no statement about them is made."""

    def signed_by(self, name: str) -> bool:
        """Say whether a known key of this name signed."""
        return any(signature.name == name for signature in self.signatures)


class Verifier:
    """A public key with its name: checks signatures and never makes them."""

    __slots__ = ("_key", "algorithm", "key_id", "name", "public_bytes")

    def __init__(self, name: str, public_bytes: bytes, algorithm: int = ED25519) -> None:
        _check_name(name)
        if algorithm not in _ALGORITHMS:
            raise NoteError(f"signature type {algorithm} is not supported")
        if len(public_bytes) != 32:
            raise NoteError("an Ed25519 public key is 32 bytes")
        self.name = name
        self.algorithm = algorithm
        self.public_bytes = public_bytes
        self.key_id = key_id(name, algorithm, public_bytes)
        self._key = Ed25519PublicKey.from_public_bytes(public_bytes)

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

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether `signature` (64 bytes) is this key's plain Ed25519 signature of `message`."""
        if len(signature) != 64:
            return False
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def verify_text(self, text: str, signature: bytes) -> bool:
        """Say whether `signature`, as found in a note, is this key's over the note's text."""
        if self.algorithm == ED25519:
            return self.verify(text.encode(), signature)
        if len(signature) != 72:
            return False
        timestamp = int.from_bytes(signature[:8], "big")
        return timestamp < 2**63 and self.verify(_cosigned(text, timestamp), signature[8:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verifier) and other.vkey() == self.vkey()

    def __hash__(self) -> int:
        return hash((self.name, self.key_id))

    def __repr__(self) -> str:
        return f"Verifier({self.vkey()!r})"


class SigningKey:
    """A private key with its name: signs notes (type 0x01) or cosigns checkpoints (type 0x04)."""

    __slots__ = ("_key", "_seed", "_verifier")

    def __init__(self, name: str, seed: bytes, algorithm: int = ED25519) -> None:
        if len(seed) != 32:
            raise NoteError("an Ed25519 seed is 32 bytes")
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
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
        """Return the 64-byte plain Ed25519 signature of `message`."""
        return self._key.sign(message)

    def sign_text(self, text: str) -> Signature:
        """Return the note signature (type 0x01) of `text`.

        Raises:
            NoteError: this key is a cosigner, whose statements need a time; or no note has such a text.
        """
        if self._verifier.algorithm != ED25519:
            raise NoteError("a cosigner's key signs checkpoints only")
        _check_text(text)
        return Signature(self.name, self._verifier.key_id, self.sign(text.encode()), self._verifier)

    def cosign(self, checkpoint_text: str, timestamp: int) -> Signature:
        """Return the cosignature (type 0x04) of a checkpoint's text.

        Args:
            checkpoint_text: the note text, from `checkpoint.Checkpoint.text()` or an opened note.
            timestamp: seconds since the epoch at which the witness makes the statement, not 0.

        Raises:
            NoteError: this key is not a cosigner's, or the time is out of range.
        """
        if self._verifier.algorithm != COSIGNATURE:
            raise NoteError("only a cosigner's key (type 0x04) cosigns")
        if not 0 < timestamp < 2**63:
            raise NoteError("cosignature time is out of range")
        raw = timestamp.to_bytes(8, "big") + self.sign(_cosigned(checkpoint_text, timestamp))
        return Signature(self.name, self._verifier.key_id, raw, self._verifier)

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r})"


def key_id(name: str, algorithm: int, public_bytes: bytes) -> bytes:
    """Return SHA-256(name || 0x0A || type || public key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public_bytes).digest()[:4]


def sign_note(text: str, *keys: SigningKey) -> str:
    """Return the note: `text` (which ends in a newline), a blank line, a line a key.

    Raises:
        NoteError: the text cannot be a note's, or there is no key.
    """
    return join_note(text, [key.sign_text(text) for key in keys])


def join_note(text: str, signatures: Iterable[Signature]) -> str:
    """Return the note of `text` with signatures made before (a log's and its witnesses', say)."""
    _check_text(text)
    lines = "".join(signature.line() for signature in signatures)
    if not lines:
        raise NoteError("a note has at least one signature")
    return f"{text}\n{lines}"


def split_note(note: str) -> tuple[str, list[Signature]]:
    """Return the text and the signature lines of a note, nothing verified yet.

    Raises:
        NoteError: malformed, or over the size or signature limit.
    """
    if len(note) > NOTE_LIMIT:
        raise NoteError("note is too long")
    body, separator, tail = note.rpartition("\n\n")
    if not separator or not tail:
        raise NoteError("a note is text, a blank line and signatures")
    _check_text(body + "\n")
    return body + "\n", parse_signatures(tail)


def parse_signatures(lines: str) -> list[Signature]:
    """Parse signature lines, each ending in a newline, such as a witness answers.

    Raises:
        NoteError: malformed, none, or more than the limit.
    """
    if not lines.endswith("\n"):
        raise NoteError("a signature line ends in a newline")
    found = lines[:-1].split("\n")
    if len(found) > SIGNATURE_LIMIT:
        raise NoteError("too many signatures")
    signatures = []
    for line in found:
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space:
            raise NoteError("malformed signature line")
        _check_name(name)
        try:
            raw = base64_strict.decode(encoded)
        except ValueError as error:
            raise NoteError(f"signature: {error}") from None
        if len(raw) < 5:
            raise NoteError("signature is too short")
        signatures.append(Signature(name, raw[:4], raw[4:]))
    return signatures


def open_note(note: str, verifiers: Sequence[Verifier]) -> OpenedNote:
    """Open a note that at least one of `verifiers` signed.

    Raises:
        NoteError: malformed; a known key's signature does not verify; or no known key signed.
    """
    text, signatures = split_note(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    verified: dict[tuple[str, bytes], Signature] = {}
    others: list[Signature] = []
    for signature in signatures:
        identity = (signature.name, signature.key_id)
        verifier = known.get(identity)
        if verifier is None:
            others.append(signature)
        elif identity not in verified:
            # As Go's reader: a second line of the same key says nothing new and is dropped.
            if not verifier.verify_text(text, signature.signature):
                raise NoteError(f"bad signature of {signature.name}")
            verified[identity] = Signature(signature.name, signature.key_id, signature.signature, verifier)
    if not verified:
        raise NoteError("no known key signed this note")
    return OpenedNote(text, tuple(verified.values()), tuple(others))


def _cosigned(text: str, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() or char < " " for char in name) or not _is_utf8(name):
        raise NoteError("a key name has no space and no plus, and is not empty")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("note text ends in a newline")
    if any(char < " " and char != "\n" for char in text):
        raise NoteError("note text has a control character")
    if not _is_utf8(text):
        raise NoteError("note text is not Unicode")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
