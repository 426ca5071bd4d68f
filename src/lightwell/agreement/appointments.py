"""Papers about appointments: the signed word by which a public body consents to one or vetoes it."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, cast

from msgspec import Struct

from lightwell.agreement.papers import read_form
from lightwell.wire import canonical
from lightwell.wire.commitment import commit, opens
from lightwell.wire.keys import Signature, SigningKey
from lightwell.wire.note import sign_note

HEADER: Final = "lightwell/appointment/v1"
KIND: Final = "appointment"
Verb = Literal["consent", "veto"]

_FORM: Final = re.compile(
    rf"{HEADER}\n(consent|veto)\n([a-z][a-z0-9_-]{{0,39}})\n([0-9a-f]{{16}})\n([0-9a-f]{{64}})\n\Z"
)


class Paper(Struct, frozen=True):
    """What a paper says, and its one signature, not verified yet."""

    verb: Verb
    cell: str
    appointment: str
    commitment: str
    signature: Signature


class Person(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be appointed to what: it goes to whoever decides, and its commitment to the ledger."""

    name: str
    vkey: str
    role: str
    employer: str
    place: str

    def commitment(self, opening: bytes) -> str:
        """Return the commitment to this person, in hex."""
        return commit(KIND, opening, self._digest()).hex()

    def opens(self, commitment: str, opening: bytes) -> bool:
        """Say whether a commitment (hex) is to this person."""
        return opens(bytes.fromhex(commitment), KIND, opening, self._digest())

    def _digest(self) -> bytes:
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return hashlib.sha256(canonical.encode(fields)).digest()


def text(verb: Verb, cell: str, appointment: str, commitment: str) -> str:
    """Return what is signed.

    Args:
        verb: what the signer says to it.
        cell: the cell of the appointment.
        appointment: its id, 16 hex characters.
        commitment: to the person, in hex, as the entry has it.
    """
    return f"{HEADER}\n{verb}\n{cell}\n{appointment}\n{commitment}\n"


def make_paper(key: SigningKey, verb: Verb, cell: str, appointment: str, commitment: str) -> str:
    """Return the signed note; arguments as `text`."""
    return sign_note(text(verb, cell, appointment, commitment), key)


def read_paper(note: str) -> Paper:
    """Read a paper; whose key signed it is for the caller to find and verify.

    Raises:
        PaperError: malformed, or it has not one signature.
    """
    (verb, cell, appointment, commitment), signature = read_form(note, _FORM, "an appointment")
    return Paper(cast(Verb, verb), cell, appointment, commitment, signature)
