"""The agreement as typed data: parties, regions, classes, flows, access rules, powers, limits and terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, get_args

from msgspec import Struct

from lightwell.agreement.access_terms import Access, ProcessRule
from lightwell.agreement.appointment_terms import NO_VETO, Appointments
from lightwell.agreement.figures import Limits, Origin

Residency = Literal["protected", "interop", "public"]
_STRICTNESS: Final[tuple[str, ...]] = get_args(Residency)
PartyRole = Literal["operator", "parent", "partner", "authority", "board"]
Verb = Literal["restrict", "suspend", "stay", "lift", "extend", "delete", "divest", "inspect"]
Check = Literal[
    "protected-refused",
    "published-only",
    "in-region",
    "gateway-logged",
    "transfers-pair",
    "access-at-home",
    "emergency-reviewed",
    "aggregates-private",
    "slates-replay",
    "policy-approved",
    "board-seated",
    "monitor-admitted",
    "orders-obeyed",
    "agreement-signed",
    "all-labelled",
    "appointments-consented",
    "keys-rotated",
    "lawful-at-home",
    "moved-and-erased",
    "quarantine-closed",
    "nothing-recorded",
]


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """A public statement that terms rest on: who made it, what it is called, when, and where it stands."""

    id: str
    by: str
    title: str
    date: str
    where: str = ""


class Party(Struct, frozen=True, forbid_unknown_fields=True):
    """One side of the agreement, and where it sits (a region, or an excluded place)."""

    id: str
    role: PartyRole
    name: str
    place: str


class Region(Struct, frozen=True, forbid_unknown_fields=True):
    """A legal place whose people's protected data stays in cells of that place."""

    id: str
    name: str


class Excluded(Struct, frozen=True, forbid_unknown_fields=True):
    """Places and entities from which nobody may ever see protected data, at any depth of reporting."""

    places: list[str]
    entities: list[str]
    why: str
    terms: list[str]


class CategoryClass(Struct, frozen=True, forbid_unknown_fields=True):
    """The residency class of a list of fideslang data categories and of everything below them."""

    residency: Residency
    categories: list[str]
    why: str
    terms: list[str]


class Flow(Struct, frozen=True, forbid_unknown_fields=True):
    """One named, typed, limited stream through the gateway between regions: from the first, or both ways.

    `message` names the closed message type; `fields`, when given, is the exact list of its field
    names. Sizes are bytes; the daily budget counts per sending cell and peer.
    """

    id: str
    title: str
    message: str
    between: list[str]
    both_ways: bool
    categories: list[str]
    media: list[str]
    max_message_bytes: int
    max_media_bytes: int
    daily_messages: int
    daily_bytes: int
    origin: Origin
    why: str
    terms: list[str]
    fields: list[str] = []

    def joins(self, source: str, target: str) -> bool:
        """Say whether this flow runs from region `source` to region `target`."""
        if source == target or source not in self.between or target not in self.between:
            return False
        return self.both_ways or source == self.between[0]


class Approval(Struct, frozen=True, forbid_unknown_fields=True):
    """How many other people, counted by distinct verified keys, something needs."""

    what: Literal["grant", "promotion", "ranking-policy", "deployment"]
    needed: int
    by: list[str]
    origin: Origin
    terms: list[str]


class Power(Struct, frozen=True, forbid_unknown_fields=True):
    """An order somebody may give: the verb, the roster roles that may sign it and what it may cover."""

    verb: Verb
    by: list[str]
    scopes: list[str]
    why: str
    terms: list[str]


class Deadline(Struct, frozen=True, forbid_unknown_fields=True):
    """A day count that an order or a duty starts."""

    id: str
    title: str
    days: int
    origin: Origin
    note: str
    terms: list[str]


class Report(Struct, frozen=True, forbid_unknown_fields=True):
    """A report that is owed: by whom to whom, how often, how soon after, and what it must hold."""

    id: str
    title: str
    by: PartyRole
    to: PartyRole
    every_days: int
    within_days: int
    contents: list[str]
    origin: Origin
    note: str
    terms: list[str]


class Signing(Struct, frozen=True, forbid_unknown_fields=True):
    """Which parties must sign a version of the agreement before it binds: all of those named."""

    parties: list[str]
    origin: Origin
    why: str
    terms: list[str]


NOBODY_SIGNS: Final = Signing([], "our choice", "No signatures are agreed.", [])


class Term(Struct, frozen=True, forbid_unknown_fields=True):
    """One obligation: what it says, where it is from, what enforces it and which entries can show it.

    `source` says in words where it is from; `sources` names the public statements among those words, and is
    empty where the term is our choice.
    """

    id: str
    title: str
    says: str
    source: str
    control: str
    check: Check
    evidence: list[str]
    origin: Origin = "public statement"
    sources: list[str] = []


class Agreement(Struct, frozen=True, forbid_unknown_fields=True):
    """One deal between an operator and a public authority, whole.

    Instances come from `agreement.load.parse`, which also checks what types cannot say.
    """

    id: str
    version: int
    title: str
    summary: str
    source: str
    law_region: str
    parties: list[Party]
    regions: list[Region]
    excluded: Excluded
    classes: list[CategoryClass]
    flows: list[Flow]
    access: Access
    approvals: list[Approval]
    powers: list[Power]
    limits: Limits
    deadlines: list[Deadline]
    terms: list[Term]
    signing: Signing = NOBODY_SIGNS
    appointments: Appointments = NO_VETO
    reports: list[Report] = []
    sources: list[Source] = []

    def residency(self, category: str) -> Residency | None:
        """Give the class of a data category, from its nearest listed ancestor; None if it has no class."""
        for name in ancestry(category):
            for entry in self.classes:
                if name in entry.categories:
                    return entry.residency
        return None

    def admits(self, category: str, residency: str) -> bool:
        """Say whether a field of a category may carry a class: the agreement's own or a stricter one."""
        found = self.residency(category)
        return found is not None and stricter(found, residency) == residency

    def region_ids(self) -> list[str]:
        """List the ids of all regions the agreement knows, the region of law first."""
        return sorted(
            (region.id for region in self.regions), key=lambda name: (name != self.law_region, name)
        )

    def flow(self, flow_id: str) -> Flow | None:
        """Find a flow by id."""
        return next((flow for flow in self.flows if flow.id == flow_id), None)

    def flow_between(self, flow_id: str, source: str, target: str) -> Flow | None:
        """Find a flow by id if it runs from region `source` to region `target`; None means refuse."""
        found = self.flow(flow_id)
        return found if found is not None and found.joins(source, target) else None

    def process_rule(self, role: str, action: str) -> ProcessRule | None:
        """Find what a process may do under an action."""
        rules = self.access.processes
        return next((rule for rule in rules if rule.role == role and rule.action == action), None)

    def approvals_needed(self, what: str) -> int:
        """Count the other people something needs; what the agreement does not name needs everybody.

        The sentinel is larger than any board, so that a missing rule refuses rather than allows.
        """
        return next((rule.needed for rule in self.approvals if rule.what == what), 1_000_000)

    def approver_roles(self, what: str) -> list[str]:
        """List the roles whose approval counts for something."""
        return next((rule.by for rule in self.approvals if rule.what == what), [])

    def empowers(self, role: str, verb: str, scope: str) -> bool:
        """Say whether the holder of a roster role may order `verb` on `scope`."""
        return any(p.verb == verb and role in p.by and scope in p.scopes for p in self.powers)

    def excludes_place(self, place: str) -> bool:
        """Say whether nobody in this place may see protected data."""
        return place in self.excluded.places

    def party(self, party_id: str) -> Party | None:
        """Find a party by id."""
        return next((party for party in self.parties if party.id == party_id), None)

    def deadline(self, deadline_id: str) -> Deadline | None:
        """Find a deadline by id; None means that none is agreed."""
        return next((deadline for deadline in self.deadlines if deadline.id == deadline_id), None)

    def term(self, term_id: str) -> Term | None:
        """Find a term by id."""
        return next((term for term in self.terms if term.id == term_id), None)


def stricter(one: str, other: str) -> str:
    """Return the stricter of two residency classes; a class that is none of the three raises ValueError."""
    return _STRICTNESS[min(_STRICTNESS.index(one), _STRICTNESS.index(other))]


def ancestry(category: str) -> Iterator[str]:
    """Yield a dotted category and its ancestors, nearest first: `a.b.c`, `a.b`, `a`."""
    while category:
        yield category
        category = category.rpartition(".")[0]


def covers(categories: list[str], category: str) -> bool:
    """Say whether a list of categories names this one or one of its ancestors."""
    return any(name in categories for name in ancestry(category))
