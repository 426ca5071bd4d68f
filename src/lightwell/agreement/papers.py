"""Papers: short texts of a fixed form under one signature, whatever they are about."""

import re
from typing import Final

from lightwell.agreement.roster import Seat
from lightwell.wire.keys import NoteError, Signature, Verifier
from lightwell.wire.note import split_note

MAX_PAPER_CHARACTERS: Final = 1_000


class PaperError(ValueError):
    """The text is no paper about what it should be about."""


def read_form(note: str, form: re.Pattern[str], about: str) -> tuple[tuple[str, ...], Signature]:
    """Read a paper; whose key signed it is for the caller to find and verify.

    Args:
        note: the signed note.
        form: what the signed text must match.
        about: what that is about, for the message ("a ranking policy").

    Returns:
        The groups of the form, and the one signature.

    Raises:
        PaperError: malformed, or it has not one signature.
    """
    if len(note) > MAX_PAPER_CHARACTERS:
        raise PaperError(f"a paper has at most {MAX_PAPER_CHARACTERS} characters")
    try:
        signed, signatures = split_note(note)
    except NoteError as error:
        raise PaperError(f"not a signed note: {error}") from None
    found = form.match(signed)
    if found is None:
        raise PaperError(f"the signed text is not about {about}")
    if len(signatures) != 1:
        raise PaperError("a paper has one signature")
    return found.groups(), signatures[0]


def signed_by(seat: Seat, signed: str, signature: str) -> bool:
    """Say whether a seat's key made a signature (hex) over a text; a malformed one is nobody's."""
    try:
        verifier = Verifier.from_vkey(seat.vkey)
        raw = bytes.fromhex(signature)
    except (NoteError, ValueError):
        return False
    return not verifier.is_cosigner and verifier.verify_text(signed, raw)
