"""Who holds which key: the seats that may witness, inspect, approve and order."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

import msgspec
from msgspec import Struct

from lightwell.agreement.load import AgreementError, parse_toml
from lightwell.agreement.locate import line_of, path_of
from lightwell.wire import canonical
from lightwell.wire.shapes import settle

Role = Literal[
    "operator",
    "parent",
    "authority",
    "board",
    "court",
    "partner",
    "witness",
    "cleanroom",
    "gateway",
    "ledger",
]

# A C2SP vkey: name, eight hex digits of key id, base64 of algorithm byte and public key.
_VKEY = re.compile(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*")


class Seat(Struct, frozen=True, forbid_unknown_fields=True):
    """One key and what it may speak for.

    `vkey` is a C2SP signed-note verifier key. `cell` ties a ledger, gateway or clean-room key to one
    cell; None speaks for the whole agreement.
    """

    role: Role
    name: str
    vkey: str
    cell: str | None = None


class _Roster(Struct, frozen=True, forbid_unknown_fields=True):
    seats: list[Seat]


settle(_Roster)


def parse_roster(text: str) -> list[Seat]:
    """Read a roster file: TOML with one `[[seats]]` table a key.

    Raises:
        AgreementError: not TOML, a wrong field, a malformed vkey, or one key in two seats.
    """
    try:
        seats = msgspec.convert(parse_toml(text), _Roster).seats
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at ")
        raise AgreementError(line_of(text, path_of(place)), f"{reason}.") from None
    judged: dict[str, Seat] = {}
    for index, seat in enumerate(seats):
        line = line_of(text, ("seats", index, "vkey"))
        if not _VKEY.fullmatch(seat.vkey):
            raise AgreementError(line, f"`{seat.name}` has no well-formed vkey (name+hash+key).")
        key = seat.vkey.split("+", 2)[2]
        other = judged.setdefault(key, seat)
        # One holder in two seats would count as two people.
        if other is not seat:
            raise AgreementError(line, f"`{seat.name}` has the same key as `{other.name}`.")
    return seats


def dump_roster(seats: list[Seat]) -> str:
    """Write seats as TOML that `parse_roster` reads back unchanged."""
    blocks = []
    for seat in seats:
        lines = ["[[seats]]", f"role = {_quoted(seat.role)}", f"name = {_quoted(seat.name)}"]
        lines.append(f"vkey = {_quoted(seat.vkey)}")
        if seat.cell is not None:
            lines.append(f"cell = {_quoted(seat.cell)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks) if blocks else "seats = []\n"


def roster_digest(seats: list[Seat]) -> str:
    """Hash a roster's content as lowercase hex sha256 of its canonical JSON."""
    return hashlib.sha256(canonical.encode(msgspec.to_builtins(seats))).hexdigest()


def seats_of(seats: list[Seat], role: str, cell: str | None = None) -> list[Seat]:
    """List the seats of a role that speak for a cell: those tied to it and those tied to none."""
    return [seat for seat in seats if seat.role == role and (cell is None or seat.cell in (None, cell))]


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string for every text without control characters above U+007F.
    return msgspec.json.encode(text).decode()
