"""Who may do what with whose data: Cedar policies compiled from the agreement; every doubt is a refusal."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final, Literal, get_args

import cedarpy
from msgspec import Struct
from msgspec.json import Encoder

from lightwell.agreement.access_terms import Action
from lightwell.agreement.model import Agreement, Residency, covers
from lightwell.agreement.policy import REASONS, compile_policies
from lightwell.base.errors import Problem
from lightwell.base.labels import declare_cache

declare_cache("residency.decide", "decisions about kinds of askers", "system.operations", "interop")

Kind = Literal["account", "process", "staff"]

_ACTIONS: Final = frozenset(get_args(Action))
_TYPES: Final[dict[Kind, str]] = {"account": "Person", "process": "Process", "staff": "Staff"}
_TOKEN: Final = object()
_encode: Final = Encoder().encode


class Principal(Struct, frozen=True):
    """Who asks.

    `place` is where staff are right now (a region or another place's id). `vetted` and `excluded_line`
    come from the staff directory, never from the asker, and so does `appointed`: false for whoever is
    proposed only, or vetoed. A process has no place of its own: it runs where its cell runs.
    """

    kind: Kind
    id: str
    role: str
    place: str = ""
    employer: str = ""
    vetted: bool = False
    excluded_line: bool = False
    appointed: bool = True


class Resource(Struct, frozen=True):
    """What is asked for: one data category of one account, or of all accounts of the cell.

    Args:
        category: fideslang key.
        region: region whose people the data is about; empty means the deciding cell's own.
        owner: account_id, or None for all accounts (processes only).
        residency: the class that the field's label gives; one looser than the agreement's is refused, a
            stricter one counts. None takes the agreement's.
        bound_for: for `cross` only, the region it would go to.
    """

    category: str
    region: str = ""
    owner: str | None = None
    residency: Residency | None = None
    bound_for: str = ""


class Grant(Struct, frozen=True):
    """A permission to read, as the access tables and the ledger have it; times in milliseconds.

    `sequenced` says that the entry which opened it has an index under a published checkpoint. `emergency` is
    empty for what others approved beforehand, `witnessed` or `alone` for what was opened before that;
    `approvals` then counts its witnesses.
    """

    request_id: str
    staff_id: str
    place: str
    subject: str
    categories: tuple[str, ...]
    purpose: str
    approvals: int
    granted_at: int
    expires_at: int
    sequenced: bool
    ended: bool = False
    emergency: Literal["", "witnessed", "alone"] = ""


class Refused(Problem):
    """The agreement does not allow it. `reason` is one of `agreement.policy.REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(403, "refused", REASONS.get(reason, REASONS["policy-error"]), reason=reason)
        self.reason = reason


class Permit:
    """Proof that a Decider allowed one thing; nothing else can make one.

    Whoever unseals checks `allows(account_id)` and that the permit's category is that of the field.
    """

    __slots__ = (
        "action",
        "category",
        "decided_at",
        "grant_id",
        "kind",
        "owner",
        "principal_id",
        "purpose",
        "region",
    )

    def __init__(
        self, token: object, principal: Principal, action: str, resource: Resource, purpose: str, at: int
    ) -> None:
        if token is not _TOKEN:
            raise TypeError("only a Decider makes a Permit")
        self.principal_id: Final = principal.id
        self.kind: Final = principal.kind
        self.action: Final = action
        self.purpose: Final = purpose
        self.category: Final = resource.category
        self.region: Final = resource.region
        self.owner: Final = resource.owner
        self.decided_at: Final = at
        self.grant_id: str | None = None

    def allows(self, account_id: str) -> bool:
        """Say whether this permit reaches the data of an account."""
        return self.owner is None or self.owner == account_id

    def reaches(self, category: str) -> bool:
        """Say whether this permit reaches a data category: the permitted one and what lies below it."""
        return covers([self.category], category)


class _Question(Struct, frozen=True):
    """All that a decision can depend on: a finite set, so that decisions can be kept and enumerated."""

    action: str
    kind: Kind
    role: str
    place: str
    vetted: bool
    excluded_line: bool
    appointed: bool
    category: str
    residency: Residency
    region: str
    bound_for: str
    whole_cell: bool
    own: bool
    purpose: str
    grant: tuple[str, ...]


class Decider:
    """Decides under one agreement for the cell of one region.

    Safe to share between threads. Raises ValueError when the compiled policies do not validate against
    their schema: a cell with a broken policy does not start.
    """

    def __init__(self, agreement: Agreement, region: str | None = None) -> None:
        self.agreement = agreement
        self.region = region or agreement.law_region
        if self.region not in agreement.region_ids():
            raise ValueError(f"region {self.region!r} is not in the agreement {agreement.id!r}")
        bundle = compile_policies(agreement)
        checked = cedarpy.validate_policies(bundle.policies, cedarpy.Schema.from_str(bundle.schema))
        if not checked.validation_passed:
            raise ValueError(f"compiled policies are invalid: {[str(error) for error in checked.errors]}")
        # Only what can apply is asked, so that each of the answers below takes Cedar microseconds.
        self._slices = {
            (kind, action): cedarpy.PolicySet.from_str(
                bundle.slice(_TYPES[kind], action) if bundle.parts else bundle.policies
            )
            for kind in _TYPES
            for action in _ACTIONS
        }
        self._schema = bundle.schema
        self._known = lru_cache(maxsize=4096)(self._parse_entities)
        self._answer = lru_cache(maxsize=8192)(self._ask_cedar)

    def decide(
        self,
        principal: Principal,
        action: str,
        resource: Resource,
        purpose: str = "",
        grant: Grant | None = None,
        now: int = 0,
    ) -> Permit:
        """Allow or refuse one thing.

        Args:
            principal: who asks.
            action: one of `agreement.model.Action`.
            resource: what for.
            purpose: reason code; for `cross` the flow's id. Empty takes the only purpose the agreement
                gives this principal for this action (own data and processes), and refuses for staff.
            grant: the grant that staff read under; for `approve`, the one that is asked for.
            now: milliseconds since the epoch; needed with a grant.

        Returns:
            A permit for exactly this.

        Raises:
            Refused: with the first reason that applies; also for anything unknown or in error.
        """
        if action not in _ACTIONS:
            raise Refused("not-in-agreement")
        residency = self.agreement.residency(resource.category)
        if residency is None:
            raise Refused("no-class")
        if resource.residency is not None:
            if not self.agreement.admits(resource.category, resource.residency):
                raise Refused("class-disagrees")
            residency = resource.residency
        purpose = purpose or self._only_purpose(principal, action)
        region = resource.region or self.region
        question = _Question(
            action=action,
            kind=principal.kind,
            role=principal.role,
            place=principal.place if principal.kind == "staff" else self.region,
            vetted=principal.vetted,
            excluded_line=principal.excluded_line,
            appointed=principal.appointed,
            category=resource.category,
            residency=residency,
            region=region,
            bound_for=resource.bound_for,
            whole_cell=resource.owner is None,
            own=principal.kind == "account" and resource.owner == principal.id,
            purpose=purpose,
            grant=self._faults(action, principal, resource, purpose, grant, now),
        )
        reason = self._answer(question)
        if reason:
            raise Refused(reason)
        settled = Resource(resource.category, region, resource.owner, residency, resource.bound_for)
        permit = Permit(_TOKEN, principal, action, settled, purpose, now)
        if grant is not None and action == "read_granted":
            permit.grant_id = grant.request_id
        return permit

    def forget_answers(self) -> None:
        """Drop the answers that are kept; the next questions are put to Cedar again."""
        self._answer.cache_clear()

    def allows(
        self, principal: Principal, action: str, resource: Resource, purpose: str = "", now: int = 0
    ) -> bool:
        """Say whether `decide` would permit; for pages that show or hide a door."""
        try:
            self.decide(principal, action, resource, purpose, now=now)
        except Refused:
            return False
        return True

    def _only_purpose(self, principal: Principal, action: str) -> str:
        if principal.kind == "account" and action == "use_own":
            return self.agreement.access.own.purpose
        if principal.kind == "process":
            rule = self.agreement.process_rule(principal.role, action)
            return rule.purpose if rule is not None else ""
        return ""

    def _faults(
        self,
        action: str,
        principal: Principal,
        resource: Resource,
        purpose: str,
        grant: Grant | None,
        now: int,
    ) -> tuple[str, ...]:
        """Name everything that keeps a grant from reaching this; empty is a live, fitting grant."""
        if action not in ("approve", "read_granted"):
            return ()
        if grant is None:
            return ("no-grant",)
        if action == "approve":
            return ("self-approval",) if grant.staff_id == principal.id else ()
        faults = {
            "grant-of-another": grant.staff_id != principal.id,
            "grant-for-another-person": resource.owner is None or grant.subject != resource.owner,
            "grant-for-another-field": resource.category not in grant.categories,
            "grant-for-another-purpose": grant.purpose != purpose
            or (bool(grant.emergency) and purpose not in self.agreement.access.emergency.purposes),
            "grant-from-another-place": grant.place != principal.place,
            "too-few-approvals": not grant.emergency
            and grant.approvals < self.agreement.approvals_needed("grant"),
            "emergency-unwitnessed": grant.emergency == "witnessed"
            and grant.approvals < self.agreement.limits.emergency_witnesses.value,
            "grant-not-sequenced": not grant.sequenced,
            "grant-not-begun": now < grant.granted_at,
            "grant-expired": now >= grant.expires_at or self._too_long(grant),
            "grant-ended": grant.ended,
        }
        return tuple(name for name, holds in faults.items() if holds)

    def _too_long(self, grant: Grant) -> bool:
        limits = self.agreement.limits
        ceiling = limits.max_emergency_minutes if grant.emergency else limits.max_grant_minutes
        # The clock of an emergency runs in whole seconds from its opening, as its entry says it.
        return grant.expires_at - grant.granted_at > ceiling.value * 60_000

    def _ask_cedar(self, question: _Question) -> str:
        """Ask Cedar once; returns "" for allow, else the reason.

        Cedar skips a `forbid` that errors and goes on, so an answer counts only when the diagnostics are
        clean: any error, and any decision that is neither Allow nor Deny, refuses.
        """
        try:
            result = cedarpy.is_authorized(
                _request(question, self.region),
                self._slices[question.kind, question.action],
                self._known(
                    question.kind,
                    question.role,
                    question.place,
                    question.vetted,
                    question.excluded_line,
                    question.appointed,
                    question.category,
                    question.residency,
                    question.region,
                ),
            )
            errors = list(result.diagnostics.errors)
            if errors or result.decision not in (cedarpy.Decision.Allow, cedarpy.Decision.Deny):
                return "policy-error"
            if result.decision is cedarpy.Decision.Allow:
                return ""
            named = set(result.diagnostics.id_annotations_by_reason.values())
        except Exception:  # noqa: BLE001  whatever goes wrong inside the policy engine refuses
            return "policy-error"
        return next((reason for reason in REASONS if reason in named), "not-in-agreement")

    def _parse_entities(
        self,
        kind: Kind,
        role: str,
        place: str,
        vetted: bool,
        excluded_line: bool,
        appointed: bool,
        category: str,
        residency: Residency,
        region: str,
    ) -> cedarpy.Entities:
        """Return the asker and the field as Cedar holds them, checked against the schema."""
        name = category
        parents: list[dict[str, str]] = []
        entities: list[dict[str, Any]] = []
        while "." in name:
            name = name.rpartition(".")[0]
            parents.append({"type": "Category", "id": name})
            entities.append({"uid": {"type": "Category", "id": name}, "attrs": {}, "parents": []})
        own = {"type": "Category", "id": category}
        entities.append({"uid": own, "attrs": {}, "parents": []})
        field = {
            "uid": {"type": "Field", "id": "it"},
            "attrs": {"residency": residency, "region": region},
            "parents": [own, *parents],
        }
        attrs: dict[str, Any] = {"place": place}
        if kind != "account":
            attrs["role"] = role
        if kind == "staff":
            attrs |= {"vetted": vetted, "excluded_line": excluded_line, "appointed": appointed}
        who = {"uid": _who(kind), "attrs": attrs, "parents": []}
        return cedarpy.Entities.from_json_str(json.dumps([*entities, field, who]), self._schema)


def _who(kind: Kind) -> dict[str, str]:
    return {"type": _TYPES[kind], "id": "it"}


def _request(question: _Question, here: str) -> dict[str, Any]:
    return {
        "principal": _who(question.kind),
        "action": {"type": "Action", "id": question.action},
        "resource": {"type": "Field", "id": "it"},
        "context": _encode(
            {
                "here": here,
                "purpose": question.purpose,
                "own": question.own,
                "whole_cell": question.whole_cell,
                "bound_for": question.bound_for,
                "grant_faults": question.grant,
            }
        ).decode(),
    }
