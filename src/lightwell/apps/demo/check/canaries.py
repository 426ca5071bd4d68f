"""Canaries: values planted in accounts that belong nowhere else, and a search for them in every byte."""

import secrets
from dataclasses import dataclass
from datetime import date, timedelta

from lightwell.apps.demo.notebook import fresh_password
from lightwell.apps.demo.person import Details

_STREETS = ("Quillon", "Tamarack", "Verbena", "Ostler", "Marram", "Selvage")


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted value: the home cell of its account, its data category, the value as text."""

    cell: str
    category: str
    value: str


@dataclass(frozen=True, slots=True)
class Bird:
    """An account full of canaries: its sign-up details and the address its owner connects from."""

    cell: str
    details: Details
    source_ip: str

    def canaries(self) -> list[Canary]:
        """Return the protected values of this account."""
        return [
            Canary(self.cell, "user.contact.phone_number", self.details.phone),
            Canary(self.cell, "user.contact.email", self.details.email),
            Canary(self.cell, "user.demographic.date_of_birth", self.details.birthday),
            Canary(self.cell, "user.contact.address", self.details.address),
            Canary(self.cell, "user.device.ip_address", self.source_ip),
        ]


def hatch(cell: str, role: str) -> Bird:
    """Return a fresh account for `cell` whose every protected value is unlike any other.

    Args:
        cell: its home cell.
        role: a word for its public names, such as "maker".
    """
    mark = secrets.token_hex(4)
    digits = f"{secrets.randbelow(10**7):07d}"
    details = Details(
        handle=f"{role}_{mark}",
        display_name=f"{role.title()} {mark[:4].upper()}",
        password=fresh_password(),
        email=f"{secrets.token_hex(6)}@canary-{secrets.token_hex(4)}.example",
        phone=f"+1555{digits}",
        # A year in which few are born who use this: a date is short, so it should at least be rare.
        birthday=str(date(1909 + secrets.randbelow(40), 1, 1) + timedelta(days=secrets.randbelow(365))),
        address=f"{100 + secrets.randbelow(9900)} {secrets.choice(_STREETS)} {secrets.token_hex(5)} Row",
    )
    # All of 127/8 is this machine, so the cell records a client address that is real and unique.
    source_ip = "127." + ".".join(str(2 + secrets.randbelow(250)) for _ in range(3))
    return Bird(cell, details, source_ip)
