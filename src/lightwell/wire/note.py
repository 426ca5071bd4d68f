"""Signed notes (C2SP signed-note): text that keys have signed, opened only if a known key really did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lightwell.wire import base64_strict
from lightwell.wire.keys import DASH, NoteError, Signature, SigningKey, Verifier, check_name, is_utf8

NOTE_LIMIT = 1_000_000
"""Bytes in a note, and `SIGNATURE_LIMIT` signature lines: both as Go's reader has them."""
SIGNATURE_LIMIT = 100

# Any below a space but the newline.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


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


def sign_note(text: str, *keys: SigningKey) -> str:
    """Return the note: `text` (which ends in a newline), a blank line, a line a key.

    Raises:
        NoteError: the text cannot be a note's, or there is no key.
    """
    _check_text(text)
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
        name, space, encoded = line.removeprefix(DASH).partition(" ")
        if not line.startswith(DASH) or not space:
            raise NoteError("malformed signature line")
        check_name(name)
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


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("note text ends in a newline")
    if _CONTROL.search(text):
        raise NoteError("note text has a control character")
    if not is_utf8(text):
        raise NoteError("note text is not Unicode")
