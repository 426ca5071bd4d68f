"""Whose appointment a public body may veto, and when it counts, as typed data."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from lightwell.agreement.figures import Origin


class Appointments(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose appointment may be vetoed, by whom, and when it counts.

    `roles` are the executives; with `each_hire` everybody is meant. Under `consent` an appointment counts
    once one of `by` has signed its consent; under `no-veto` also when `days` have passed without a veto.
    """

    roles: list[str]
    each_hire: bool
    by: list[Literal["authority", "board"]]
    counts: Literal["consent", "no-veto"]
    days: int
    origin: Origin
    why: str
    terms: list[str]

    def bind(self, role: str) -> bool:
        """Say whether somebody in this role counts only when nobody objects."""
        return self.each_hire or role in self.roles


NO_VETO: Final = Appointments([], False, [], "consent", 1, "our choice", "No veto over people is agreed.", [])
