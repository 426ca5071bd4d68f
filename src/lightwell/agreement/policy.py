"""The agreement compiled to Cedar: a permit for each rule, a forbid for each reason to refuse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import permutations
from typing import Final, get_args

from msgspec import Struct

from lightwell.agreement.access_terms import Action
from lightwell.agreement.model import Agreement

# Reason codes of refusals, in the order in which the first that applies is given to the asker.
REASONS: Final[dict[str, str]] = {
    "policy-error": "The policy could not be evaluated, so the answer is no.",
    "no-class": "This kind of data has no class in the agreement, so nobody may use it.",
    "class-disagrees": "This field claims a looser class than the agreement gives its kind of data.",
    "other-region": "The data belongs to people of another region; only their home cell may use it.",
    "excluded-place": "Nobody may see protected data from a place that the agreement excludes.",
    "line-excluded": "Your reporting line ends at an entity that the agreement excludes.",
    "not-appointed": "Your appointment, or that of somebody above you, is proposed only, or vetoed.",
    "not-at-home": "Protected data may be seen only from inside its home region.",
    "not-vetted": "Only vetted people of the regional entity may see protected data.",
    "role-not-allowed": "Your role may not do this.",
    "purpose-not-agreed": "The agreement knows no such purpose.",
    "field-not-grantable": "The agreement lets no grant name this field.",
    "regional-entity-only": "Lawful process is taken in and answered by the regional entity's people only.",
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
    "emergency-unwitnessed": "This emergency has too few witnesses.",
    "emergency-open": "An earlier emergency, yours or on this account, awaits its review.",
    "emergency-chain": "One emergency for one account in a day is all the agreement allows.",
    "same-person": "This needs another person.",
    "excluded-approver": "One of the approvers may not approve this.",
    "directory-changed": "What the staff directory says of you changed since; ask again.",
    "sensitive-interest": "Nobody may be searched for by such an interest.",
    "viewer-list": "Who watched a video is never listed.",
    "bulk-search": "Access is to one account at a time.",
    "budget-spent": "The budget for such questions is spent for this period.",
    "question-not-agreed": "The agreement knows no such question.",
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
entity Staff { role: String, place: String, vetted: Bool, excluded_line: Bool, appointed: Bool };
"""

_CONTEXT = (
    "{ here: String, purpose: String, own: Bool, whole_cell: Bool, bound_for: String, "
    "grant_faults: Set<String> }"
)

_KINDS: Final = ("Person", "Process", "Staff")
_ACTION_NAMES: Final[tuple[str, ...]] = get_args(Action)

# What keeps a grant from reaching something; the decider finds them, each alone refuses.
READ_FAULTS: Final = (
    "no-grant",
    "too-few-approvals",
    "emergency-unwitnessed",
    "same-person",
    "excluded-approver",
    "directory-changed",
    *(reason for reason in REASONS if reason.startswith("grant-")),
)


class Part(Struct, frozen=True):
    """One policy, and the only kinds of principal and actions that its head lets it apply to."""

    kinds: tuple[str, ...]
    actions: tuple[str, ...]
    text: str


class CedarBundle(Struct, frozen=True):
    """Policies and their schema in Cedar's own text syntax; `parts` are the same policies one by one."""

    policies: str
    schema: str
    parts: tuple[Part, ...] = ()

    def slice(self, kind: str, action: str) -> str:
        """Return the policies that can apply to a kind of principal and an action, all others left out.

        Args:
            kind: `Person`, `Process` or `Staff`.
            action: one of `model.Action`.
        """
        fits = [part.text for part in self.parts if kind in part.kinds and action in part.actions]
        return "\n\n".join(fits) + "\n"


def compile_policies(agreement: Agreement) -> CedarBundle:
    """Compile the access rules, exclusions and flows of an agreement to Cedar.

    Each `forbid` carries the reason code as its `@id`, each `permit` the rule that it comes from. The
    policies only read finite attributes, so that a test can enumerate every combination.
    """
    parts = (*_forbids(agreement), *_permits(agreement))
    actions = ", ".join(_quoted(name) for name in _ACTION_NAMES)
    applies = f"appliesTo {{ principal: [Person, Process, Staff], resource: Field, context: {_CONTEXT} }}"
    return CedarBundle(
        policies="\n\n".join(part.text for part in parts) + "\n",
        schema=f"{_SCHEMA}\naction {actions} {applies};\n",
        parts=parts,
    )


def _permits(agreement: Agreement) -> Iterable[Part]:
    access = agreement.access
    yield _rule(
        "permit",
        "own-data",
        "Person",
        ["use_own"],
        [_among(access.own.categories), "context.own", _purpose(access.own.purpose)],
    )
    for rule in access.processes:
        yield _rule(
            "permit",
            f"process-{rule.role}-{rule.action}",
            "Process",
            [rule.action],
            [f"principal.role == {_quoted(rule.role)}", _purpose(rule.purpose), _among(rule.categories)],
        )
    staff = access.staff
    fit = [
        "principal.vetted",
        "!principal.excluded_line",
        "principal.appointed",
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
        yield _rule("permit", f"staff-{action}", "Staff", [action], conditions)
    aggregates = access.aggregates
    # A file that names nobody who may ask has no permit at all.
    if aggregates.roles and aggregates.places and aggregates.categories:
        yield _rule(
            "permit",
            "staff-ask_aggregate",
            "Staff",
            ["ask_aggregate"],
            [
                f"{_set(aggregates.roles)}.contains(principal.role)",
                f"{_set(aggregates.places)}.contains(principal.place)",
                _purpose(aggregates.purpose),
                _among(aggregates.categories),
                "context.whole_cell",
                "!principal.excluded_line",
                "principal.appointed",
            ],
        )
    stopped = access.quarantine
    if stopped.roles and stopped.purposes and stopped.categories:
        yield _rule(
            "permit",
            "staff-look_quarantined",
            "Staff",
            ["look_quarantined"],
            [
                f"{_set(stopped.roles)}.contains(principal.role)",
                "principal.vetted",
                "!principal.excluded_line",
                "principal.appointed",
                "principal.place == resource.region",
                "!context.whole_cell",
                _among(stopped.categories),
                f"{_set(stopped.purposes)}.contains(context.purpose)",
            ],
        )
    for flow in agreement.flows:
        for source, target in permutations(flow.between, 2):
            if not flow.joins(source, target):
                continue
            yield _rule(
                "permit",
                f"flow-{flow.id}-{source}-{target}",
                "Process",
                ["cross"],
                [
                    'principal.role == "gateway"',
                    _purpose(flow.id),
                    _among(flow.categories),
                    f"resource.region == {_quoted(source)}",
                    f"context.bound_for == {_quoted(target)}",
                    'resource.residency != "protected"',
                ],
            )


def _forbids(agreement: Agreement) -> Iterable[Part]:
    staff = agreement.access.staff
    yield _rule("forbid", "other-region", "", [], ["context.here != resource.region"])
    excluded = f"{_set(agreement.excluded.places)}.contains(principal.place)"
    yield _rule("forbid", "excluded-place", "Staff", [], [excluded])
    yield _rule("forbid", "line-excluded", "Staff", [], ["principal.excluded_line"])
    yield _rule("forbid", "not-appointed", "Staff", [], ["!principal.appointed"])
    one = 'action != Action::"ask_aggregate"'
    yield _rule("forbid", "not-at-home", "Staff", [], [one, "principal.place != resource.region"])
    yield _rule("forbid", "not-vetted", "Staff", [], [one, "!principal.vetted"])
    readers = ["ask", "read_granted"]
    yield _rule(
        "forbid", "role-not-allowed", "Staff", readers, [f"!{_set(staff.roles)}.contains(principal.role)"]
    )
    approvers = f"!{_set(_approvers(agreement))}.contains(principal.role)"
    yield _rule("forbid", "role-not-allowed", "Staff", ["approve"], [approvers])
    agreed = f"{_set(staff.purposes)}.contains(context.purpose)"
    other = 'action != Action::"look_quarantined"'
    yield _rule("forbid", "purpose-not-agreed", "Staff", [], [one, other, f"!{agreed}"])
    yield _rule("forbid", "field-not-grantable", "Staff", [], [one, other, f"!({_among(staff.categories)})"])
    yield _rule("forbid", "one-person-only", "Staff", [], [one, "context.whole_cell"])
    aggregates = agreement.access.aggregates
    for reason, allowed in (
        ("role-not-allowed", f"{_set(aggregates.roles)}.contains(principal.role)"),
        ("not-at-home", f"{_set(aggregates.places)}.contains(principal.place)"),
        ("purpose-not-agreed", _purpose(aggregates.purpose)),
        ("field-not-grantable", _among(aggregates.categories)),
        ("bulk-search", "context.whole_cell"),
    ):
        yield _rule("forbid", reason, "Staff", ["ask_aggregate"], [f"!({allowed})"])
    stopped = agreement.access.quarantine
    for reason, words, allowed in (
        ("role-not-allowed", stopped.roles, f"{_set(stopped.roles)}.contains(principal.role)"),
        ("purpose-not-agreed", stopped.purposes, f"{_set(stopped.purposes)}.contains(context.purpose)"),
        ("field-not-grantable", stopped.categories, _among(stopped.categories)),
    ):
        # Nobody is in an empty list, and Cedar knows no type for one.
        yield _rule("forbid", reason, "Staff", ["look_quarantined"], [f"!({allowed if words else 'false'})"])
    yield _rule(
        "forbid", "self-approval", "Staff", ["approve"], ['context.grant_faults.contains("self-approval")']
    )
    for fault in READ_FAULTS:
        yield _rule(
            "forbid", fault, "Staff", ["read_granted"], [f"context.grant_faults.contains({_quoted(fault)})"]
        )
    yield _rule("forbid", "not-yours", "Person", [], ["!context.own"])
    yield _rule("forbid", "protected-stays", "", ["cross"], ['resource.residency == "protected"'])
    carried = [
        f"context.purpose == {_quoted(flow.id)} && ({_among(flow.categories)})" for flow in agreement.flows
    ]
    yield _rule("forbid", "no-flow", "", ["cross"], [f"!({' || '.join(carried) or 'false'})"])


def _approvers(agreement: Agreement) -> list[str]:
    """Roles that may approve: those the staff rule and the approval table both name."""
    by = agreement.approver_roles("grant")
    return [role for role in agreement.access.staff.approver_roles if role in by]


def _rule(effect: str, name: str, kind: str, actions: list[str], conditions: list[str]) -> Part:
    """Make one policy; an empty kind or list of actions means every one."""
    who = f"principal is {kind}" if kind else "principal"
    named = ", ".join(f"Action::{_quoted(action)}" for action in actions)
    what = f"action in [{named}]" if actions else "action"
    body = " &&\n  ".join(f"({condition})" for condition in conditions)
    return Part(
        kinds=(kind,) if kind else _KINDS,
        actions=tuple(actions) or _ACTION_NAMES,
        text=f"@id({_quoted(name)})\n{effect} ({who}, {what}, resource)\nwhen {{\n  {body}\n}};",
    )


def _faulty(fault: str) -> str:
    return f"context.grant_faults.contains({_quoted(fault)})"


def _purpose(name: str) -> str:
    return f"context.purpose == {_quoted(name)}"


def _among(categories: list[str]) -> str:
    if not categories:
        return "false"
    names = ", ".join(f"Category::{_quoted(name)}" for name in categories)
    return f"resource in [{names}]"


def _set(words: list[str]) -> str:
    return f"[{', '.join(_quoted(word) for word in words)}]"


def _quoted(text: str) -> str:
    # Ids and categories are checked to be plain ASCII words, where JSON's and Cedar's strings agree.
    return json.dumps(text)
