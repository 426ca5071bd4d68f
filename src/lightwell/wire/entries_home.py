"""The facts of how a cell is kept: its staff, demands on it, its labels, its keys and its quarantine."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from lightwell.wire.entry_fields import Count, Digest, Minute, Name, Names, Seconds
from lightwell.wire.fact import Fact


class DirectoryChanged(Fact, frozen=True, tag=True):
    """The directory of staff says something else from here on; grants that no longer fit ended with it."""

    at: Minute
    change: Literal["enrolled", "changed", "left"]
    what: Names
    """Which of place, employer, role, vetting, line, passkey or appointment changed; never whose."""
    ended: Count
    """Grants ended because somebody who asked for or approved them no longer may."""
    role: Name | UnsetType = UNSET
    """The role that somebody has from here on, if that is what changed."""


class AppointmentProposed(Fact, frozen=True, tag=True):
    """Somebody is proposed for a role that may be vetoed; the commitment covers whom.

    `counts_at` is when it counts if nobody objects, 0 if it takes consent.
    """

    at: Minute
    appointment: Name
    role: Name
    commitment: Digest
    counts_at: Seconds


class AppointmentDecided(Fact, frozen=True, tag=True):
    """A seat of the roster consented to an appointment or vetoed it.

    `signature` is the hex Ed25519 signature of that seat over `agreement.appointments.text`.
    """

    at: Minute
    appointment: Name
    outcome: Literal["consented", "vetoed"]
    role: Name
    seat: Name
    signature: Name


class LabelsCounted(Fact, frozen=True, tag=True):
    """How many fields the cell stores, sends and tells, by class, under which agreement; once a change."""

    at: Seconds
    agreement: Digest
    labels: Digest
    """Over every field with its category and class, as the software of the cell has them."""
    protected: Count
    interop: Count
    public: Count
    unlabelled: Count
    """Columns in the cell's database that no label names."""


class CellKeyChanged(Fact, frozen=True, tag=True):
    """A version of the cell key was made, which wraps every account's key from here on, or was destroyed."""

    at: Seconds
    version: Count
    change: Literal["made", "destroyed"]


class LawfulRequestReceived(Fact, frozen=True, tag=True):
    """The regional entity took in a demand for a person's data; the commitment covers whose and by what."""

    at: Minute
    request: Name
    commitment: Digest
    fields: Names
    entity: Name | UnsetType = UNSET
    """The party of the agreement that employs whoever took it in."""
    place: Name | UnsetType = UNSET


class LawfulRequestAnswered(Fact, frozen=True, tag=True):
    """Such a demand was answered by the regional entity with these fields, after others had approved."""

    at: Minute
    request: Name
    fields: Names
    approvals: Count
    entity: Name | UnsetType = UNSET
    """The party of the agreement that employs whoever answered."""
    place: Name | UnsetType = UNSET


class LawfulRequestRefused(Fact, frozen=True, tag=True):
    """Such a demand, or somebody's hand on it, was refused; `request` is empty if none was taken in."""

    at: Minute
    request: Name
    reason: Name
    place: Name
    role: Name


class QuarantineOpened(Fact, frozen=True, tag=True):
    """A reviewer at home looked at something that the gateway had stopped; nothing of it is said here."""

    at: Minute
    item: Name
    place: Name
    role: Name
    reason: Name
    look: Count


class QuarantineClosed(Fact, frozen=True, tag=True):
    """What became of something that the gateway had stopped; what is reported stays until it expires."""

    at: Minute
    item: Name
    outcome: Literal["discarded", "reported", "expired", "erased"]
    looks: Count
