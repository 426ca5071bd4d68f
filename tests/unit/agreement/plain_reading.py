"""What an agreement says about one question, read from its typed rules alone, never from the policies."""

from lightwell.agreement.model import Agreement
from lightwell.residency.decide import Grant, Principal, Resource

ORDER = ["protected", "interop", "public"]


def under(category: str, names: list[str]) -> bool:
    """Say whether a category is one of those named or lies below one of them."""
    return any(category == name or category.startswith(name + ".") for name in names)


def class_of(agreement: Agreement, category: str) -> str | None:
    """Return the class of the longest listed name that covers a category."""
    listed = [
        (len(name), entry.residency)
        for entry in agreement.classes
        for name in entry.categories
        if under(category, [name])
    ]
    return max(listed)[1] if listed else None


def may(
    agreement: Agreement,
    here: str,
    who: Principal,
    action: str,
    resource: Resource,
    purpose: str,
    grant: Grant | None,
    now: int,
) -> bool:
    """Say whether the agreement allows it in the cell of region `here`; arguments as `Decider.decide`."""
    residency = class_of(agreement, resource.category)
    if residency is None or (resource.region or here) != here:
        return False
    if resource.residency is not None:
        if ORDER.index(resource.residency) > ORDER.index(residency):
            return False
        residency = resource.residency
    access = agreement.access
    if who.kind == "account":
        agreed = under(resource.category, access.own.categories) and purpose in ("", access.own.purpose)
        return action == "use_own" and resource.owner == who.id and agreed
    if who.kind == "process":
        if action == "cross":
            return (
                who.role == "gateway"
                and residency != "protected"
                and crosses(agreement, here, resource, purpose)
            )
        return any(
            (rule.role, rule.action) == (who.role, action)
            and purpose in ("", rule.purpose)
            and under(resource.category, rule.categories)
            for rule in access.processes
        )
    if who.place in agreement.excluded.places or who.excluded_line or not who.appointed:
        return False
    if action in ("ask_aggregate", "look_quarantined"):
        rule = counts if action == "ask_aggregate" else reviews
        return rule(agreement, here, who, resource, purpose)
    staff = access.staff
    if not (who.vetted and who.place == here and resource.owner is not None and purpose in staff.purposes):
        return False
    if not under(resource.category, staff.categories):
        return False
    if action == "approve":
        deciders = next(approval.by for approval in agreement.approvals if approval.what == "grant")
        other = grant is not None and grant.staff_id != who.id
        return other and who.role in staff.approver_roles and who.role in deciders
    if who.role not in staff.roles:
        return False
    return action == "ask" or (
        action == "read_granted" and opens(agreement, who, resource, purpose, grant, now)
    )


def counts(agreement: Agreement, here: str, who: Principal, resource: Resource, purpose: str) -> bool:
    """Say whether somebody may ask how many, from where they are; never about one account."""
    many = agreement.access.aggregates
    asked = purpose == many.purpose and under(resource.category, many.categories)
    return asked and who.role in many.roles and who.place in many.places and resource.owner is None


def reviews(agreement: Agreement, here: str, who: Principal, resource: Resource, purpose: str) -> bool:
    """Say whether somebody at home may look at one message that the gateway stopped."""
    stopped = agreement.access.quarantine
    at_home = who.vetted and who.place == here and resource.owner is not None
    agreed = who.role in stopped.roles and purpose in stopped.purposes
    return at_home and agreed and under(resource.category, stopped.categories)


def crosses(agreement: Agreement, here: str, resource: Resource, purpose: str) -> bool:
    """Say whether a flow of this name carries such data from here to where it is bound for."""
    for flow in agreement.flows:
        away = resource.bound_for != here and {here, resource.bound_for} <= set(flow.between)
        if flow.id == purpose and away and (flow.both_ways or here == flow.between[0]):
            return under(resource.category, flow.categories)
    return False


def opens(
    agreement: Agreement, who: Principal, resource: Resource, purpose: str, grant: Grant | None, now: int
) -> bool:
    """Say whether a grant opens a field: this person's, for this account, field, purpose and place."""
    if grant is None or grant.ended or not grant.sequenced:
        return False
    limits = agreement.limits
    minutes = limits.max_emergency_minutes if grant.emergency else limits.max_grant_minutes
    if not (grant.granted_at <= now < grant.expires_at <= grant.granted_at + minutes.value * 60_000):
        return False
    if grant.emergency:
        enough = grant.emergency == "alone" or grant.approvals >= limits.emergency_witnesses.value
        enough = enough and purpose in agreement.access.emergency.purposes
    else:
        needed = next(approval.needed for approval in agreement.approvals if approval.what == "grant")
        enough = grant.approvals >= needed
    fits = (grant.staff_id, grant.subject, grant.purpose, grant.place) == (
        who.id,
        resource.owner,
        purpose,
        who.place,
    )
    return enough and fits and resource.category in grant.categories
