"""The access rules of an agreement as typed data; what no rule allows is refused."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Action = Literal[
    "use_own",
    "rank",
    "train",
    "transcode",
    "replay",
    "aggregate",
    "move",
    "cross",
    "ask",
    "approve",
    "read_granted",
    "ask_aggregate",
    "look_quarantined",
]
ProcessAction = Literal["rank", "train", "transcode", "replay", "aggregate", "move"]


class ProcessRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What one process of the cell may do with which categories, and for which one purpose."""

    role: str
    action: ProcessAction
    purpose: str
    categories: list[str]
    why: str
    terms: list[str]


class OwnRule(Struct, frozen=True, forbid_unknown_fields=True):
    """People use their own data: the purpose code, and the categories it reaches."""

    purpose: str
    categories: list[str]
    why: str
    terms: list[str]


class StaffRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Who of the staff may ask, who may approve, for which purposes, and which fields a grant may name."""

    roles: list[str]
    approver_roles: list[str]
    purposes: list[str]
    categories: list[str]
    why: str
    terms: list[str]


class EmergencyRule(Struct, frozen=True, forbid_unknown_fields=True):
    """For which purposes staff may read before anybody approved, and whose witness it takes at once."""

    purposes: list[str]
    witness_roles: list[str]
    why: str
    terms: list[str]


class Interest(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of interest that nobody may search people by, and words that give it away."""

    id: str
    words: list[str]


class SensitiveRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Interests by which no search of people is allowed, for any purpose and under any grant."""

    interests: list[Interest]
    why: str
    terms: list[str]


class AggregateRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may ask which questions about many people at once, from where; answers are counts with noise."""

    roles: list[str]
    places: list[str]
    purpose: str
    questions: list[str]
    categories: list[str]
    why: str
    terms: list[str]


class QuarantineRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Who at home may look at what their cell's gateway stopped, for which purposes; nothing is released."""

    roles: list[str]
    purposes: list[str]
    categories: list[str]
    why: str
    terms: list[str]


NO_EMERGENCY: Final = EmergencyRule([], [], "No emergency access is agreed.", [])
NOTHING_SENSITIVE: Final = SensitiveRule([], "No interest is named.", [])
NO_AGGREGATES: Final = AggregateRule([], [], "", [], [], "No aggregates are agreed.", [])
NO_REVIEW: Final = QuarantineRule([], [], [], "Nobody may look at what the gateway stopped.", [])


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """All access rules; a table that a file leaves out allows nobody anything."""

    own: OwnRule
    staff: StaffRule
    processes: list[ProcessRule]
    emergency: EmergencyRule = NO_EMERGENCY
    sensitive: SensitiveRule = NOTHING_SENSITIVE
    aggregates: AggregateRule = NO_AGGREGATES
    quarantine: QuarantineRule = NO_REVIEW
