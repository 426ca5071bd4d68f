"""The agreement compiled to Cedar: a permit for each rule, a forbid for each reason to refuse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from lightwell.agreement.model import Agreement

# Reason codes of refusals, in the order in which the first that applies is given to the asker.
REASONS: Final[dict[str, str]] = {
    "policy-error": "The policy could not be evaluated, so the answer is no.",
    "no-class": "This kind of data has no class in the agreement, so nobody may use it.",
    "class-disagrees": "This field claims a looser class than the agreement gives its kind of data.",
    "other-region": "The data belongs to people of another region; only their home cell may use it.",
    "excluded-place": "Nobody may see protected data from a place that the agreement excludes.",
    "line-excluded": "Your reporting line ends at an entity that the agreement excludes.",
    "not-at-home": "Protected data may be seen only from inside its home region.",
    "not-vetted": "Only vetted people of the regional entity may see protected data.",
    "role-not-allowed": "Your role may not do this.",
    "purpose-not-agreed": "The agreement knows no such purpose.",
    "field-not-grantable": "The agreement lets no grant name this field.",
    "self-approval": "Nobody approves their own request.",
    "chain-too-long": "This would be more time on one account in a day than the agreement allows.",
    "lapsed": "This request waited more than a day for approval; it must be asked again.",
    "no-grant": "This needs a grant that is approved, recorded and still running.",
    "grant-of-another": "This grant is another person's.",
    "grant-for-another-person": "This grant is about another account.",
    "grant-for-another-field": "This grant does not name this field.",
    "grant-for-another-purpose": "This grant was given for another purpose.",
    "grant-from-another-place": "This grant was given for another place.",
    "too-few-approvals": "This grant has too few approvals.",
    "grant-not-sequenced": "This grant is not in the ledger yet; try again in a second.",
    "grant-not-begun": "This grant has not begun.",
    "grant-expired": "This grant has expired.",
    "grant-ended": "This grant was ended.",
    "not-yours": "You may use your own data only.",
    "one-person-only": "This must name one account.",
    "protected-stays": "Protected data never leaves its home region.",
    "no-flow": "No flow of the agreement carries this there.",
    "not-in-agreement": "The agreement does not allow this.",
}

_SCHEMA = """
entity Category;
entity Field in [Category] { residency: String, region: String };
entity Person { place: String };
entity Process { role: String, place: String };
entity Staff { role: String, place: String, vetted: Bool, excluded_line: Bool };
"""

_CONTEXT = "{ purpose: String, own: Bool, whole_cell: Bool, bound_for: String, grant_faults: Set<String> }"

_ACTION_NAMES = (
    "use_own",
    "rank",
    "train",
    "transcode",
    "replay",
    "cross",
    "ask",
    "approve",
    "read_granted",
)

_READ_FAULTS: Final = tuple(
    reason for reason in REASONS if reason.startswith("grant-") or reason in ("no-grant", "too-few-approvals")
)


class CedarBundle(Struct, frozen=True):
    """Policies and their schema, both in Cedar's own text syntax."""

    policies: str
    schema: str


def compile_policies(agreement: Agreement) -> CedarBundle:
    """Compile the access rules, exclusions and flows of an agreement to Cedar.

    Each `forbid` carries the reason code as its `@id`, each `permit` the rule that it comes from. The
    policies only read finite attributes, so that a test can enumerate every combination.
    """
    parts = [*_forbids(agreement), *_permits(agreement)]
    actions = ", ".join(_quoted(name) for name in _ACTION_NAMES)
    applies = f"appliesTo {{ principal: [Person, Process, Staff], resource: Field, context: {_CONTEXT} }}"
    return CedarBundle(policies="\n\n".join(parts) + "\n", schema=f"{_SCHEMA}\naction {actions} {applies};\n")


def _permits(agreement: Agreement) -> Iterable[str]:
    access = agreement.access
    yield _rule(
        "permit",
        "own-data",
        'principal is Person, action == Action::"use_own", resource',
        [_among(access.own.categories), "context.own", _purpose(access.own.purpose)],
    )
    for rule in access.processes:
        yield _rule(
            "permit",
            f"process-{rule.role}-{rule.action}",
            f'principal is Process, action == Action::"{rule.action}", resource',
            [f"principal.role == {_quoted(rule.role)}", _purpose(rule.purpose), _among(rule.categories)],
        )
    staff = access.staff
    fit = [
        "principal.vetted",
        "!principal.excluded_line",
        "principal.place == resource.region",
        "!context.whole_cell",
        _among(staff.categories),
        f"{_set(staff.purposes)}.contains(context.purpose)",
    ]
    asks = f"{_set(staff.roles)}.contains(principal.role)"
    approves = f"{_set(_approvers(agreement))}.contains(principal.role)"
    faultless = "context.grant_faults.isEmpty()"
    for action, conditions in (
        ("ask", [asks, *fit]),
        ("approve", [approves, faultless, *fit]),
        ("read_granted", [asks, faultless, *fit]),
    ):
        head = f'principal is Staff, action == Action::"{action}", resource'
        yield _rule("permit", f"staff-{action}", head, conditions)
    for flow in agreement.flows:
        for source, target in ((0, 1), (1, 0)):
            if not flow.joins(flow.between[source], flow.between[target]):
                continue
            yield _rule(
                "permit",
                f"flow-{flow.id}-{flow.between[source]}-{flow.between[target]}",
                'principal is Process, action == Action::"cross", resource',
                [
                    'principal.role == "gateway"',
                    _purpose(flow.id),
                    _among(flow.categories),
                    f"resource.region == {_quoted(flow.between[source])}",
                    f"context.bound_for == {_quoted(flow.between[target])}",
                    'resource.residency != "protected"',
                ],
            )


def _forbids(agreement: Agreement) -> Iterable[str]:
    staff = agreement.access.staff
    anyone, staff_only = "principal, action, resource", "principal is Staff, action, resource"
    yield _rule(
        "forbid", "other-region", anyone, ["principal.place != resource.region", "!(principal is Staff)"]
    )
    excluded = f"{_set(agreement.excluded.places)}.contains(principal.place)"
    yield _rule("forbid", "excluded-place", staff_only, [excluded])
    yield _rule("forbid", "line-excluded", staff_only, ["principal.excluded_line"])
    yield _rule("forbid", "not-at-home", staff_only, ["principal.place != resource.region"])
    yield _rule("forbid", "not-vetted", staff_only, ["!principal.vetted"])
    readers = 'principal is Staff, action in [Action::"ask", Action::"read_granted"], resource'
    yield _rule("forbid", "role-not-allowed", readers, [f"!{_set(staff.roles)}.contains(principal.role)"])
    approvers = f"!{_set(_approvers(agreement))}.contains(principal.role)"
    approve = 'principal is Staff, action == Action::"approve", resource'
    yield _rule("forbid", "role-not-allowed", approve, [approvers])
    yield _rule(
        "forbid", "purpose-not-agreed", staff_only, [f"!{_set(staff.purposes)}.contains(context.purpose)"]
    )
    yield _rule("forbid", "field-not-grantable", staff_only, [f"!({_among(staff.categories)})"])
    yield _rule("forbid", "one-person-only", staff_only, ["context.whole_cell"])
    yield _rule("forbid", "self-approval", approve, ['context.grant_faults.contains("self-approval")'])
    read = 'principal is Staff, action == Action::"read_granted", resource'
    for fault in _READ_FAULTS:
        yield _rule("forbid", fault, read, [f"context.grant_faults.contains({_quoted(fault)})"])
    yield _rule("forbid", "not-yours", "principal is Person, action, resource", ["!context.own"])
    cross = 'principal, action == Action::"cross", resource'
    yield _rule("forbid", "protected-stays", cross, ['resource.residency == "protected"'])
    carried = [
        f"context.purpose == {_quoted(flow.id)} && ({_among(flow.categories)})" for flow in agreement.flows
    ]
    yield _rule("forbid", "no-flow", cross, [f"!({' || '.join(carried) or 'false'})"])


def _approvers(agreement: Agreement) -> list[str]:
    """Roles that may approve: those the staff rule and the approval table both name."""
    by = agreement.approver_roles("grant")
    return [role for role in agreement.access.staff.approver_roles if role in by]


def _rule(effect: str, name: str, head: str, conditions: list[str]) -> str:
    body = " &&\n  ".join(f"({condition})" for condition in conditions)
    return f"@id({_quoted(name)})\n{effect} ({head})\nwhen {{\n  {body}\n}};"


def _purpose(name: str) -> str:
    return f"context.purpose == {_quoted(name)}"


def _among(categories: list[str]) -> str:
    names = ", ".join(f"Category::{_quoted(name)}" for name in categories)
    return f"resource in [{names}]"


def _set(words: list[str]) -> str:
    return f"[{', '.join(_quoted(word) for word in words)}]"


def _quoted(text: str) -> str:
    # Ids and categories are checked to be plain ASCII words, where JSON's and Cedar's strings agree.
    return json.dumps(text)
