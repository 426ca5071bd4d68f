"""An agreement in plain words: who may see what, what crosses, who may stop it, and where each is from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct, structs

from lightwell.agreement.figures import Figure
from lightwell.agreement.model import Agreement, Term

OUR_CHOICE: Final = "our choice"
_RESIDENCY: Final = {
    "protected": "Stays in its home region, always",
    "interop": "Leaves its home region only by a named flow",
    "public": "May leave its home region",
}
_APPROVED: Final = {
    "grant": "A grant to read",
    "promotion": "A promotion of a video",
    "ranking-policy": "A change of the ranking policy",
    "deployment": "A deployment of other code",
}


class Statement(Struct, frozen=True):
    """One thing the agreement says: in which part, in words, where it is from, and for which terms."""

    part: str
    says: str
    basis: str
    terms: list[str]


def explain(agreement: Agreement, term_id: str = "") -> list[Statement]:
    """Return all that an agreement says, in the order in which a reader would ask.

    Args:
        agreement: the agreement.
        term_id: if given, only what belongs to this term, and the term itself.

    Raises:
        ValueError: the agreement has no such term.
    """
    if term_id and agreement.term(term_id) is None:
        raise ValueError(f"{agreement.id} has no term {term_id}")
    found = [
        *_sides(agreement),
        *_data(agreement),
        *_seeing(agreement),
        *_crossing(agreement),
        *_stopping(agreement),
        *_appointing(agreement),
        *_figures(agreement),
        *_duties(agreement),
        *_terms(agreement),
    ]
    return [one for one in found if not term_id or term_id in one.terms]


def basis_of(agreement: Agreement, term: Term) -> str:
    """Say where a term is from: the public statements it names, or that it is our choice."""
    if term.origin == OUR_CHOICE:
        return f"{OUR_CHOICE}: {term.source}"
    named = [source for source in agreement.sources if source.id in term.sources]
    cited = "; ".join(f"{source.by}, {source.title}, {source.date}" for source in named)
    return f"{term.source} ({cited})" if cited else term.source


def plain(category: str) -> str:
    """Say a data category without its root: `user.contact.phone_number` is `contact: phone number`."""
    parts = category.replace("_", " ").split(".")
    if len(parts) == 1:
        return "everything about a person" if category == "user" else "facts of the machinery"
    return ": ".join(parts if parts[0] == "system" else parts[1:])


def _sides(agreement: Agreement) -> Iterator[Statement]:
    part = "Who"
    for party in agreement.parties:
        yield Statement(part, f"{party.name} is the {party.role}, in {party.place}.", agreement.source, [])
    signing = agreement.signing
    names = [party.name for party in agreement.parties if party.id in signing.parties]
    if names:
        says = f"A version binds, and another replaces it, once these have signed: {_listed(names)}."
        yield _statement(agreement, part, says, signing.terms, f"{signing.origin}: {signing.why}")
    out = agreement.excluded
    if out.places or out.entities:
        places, entities = _listed(out.places), _listed(out.entities)
        says = f"Nobody in {places}, and nobody whose reporting line ends at {entities}, sees protected data."
        yield _statement(agreement, part, says, out.terms)


def _data(agreement: Agreement) -> Iterator[Statement]:
    for entry in agreement.classes:
        kinds = _listed([plain(category) for category in entry.categories])
        says = f"{_RESIDENCY[entry.residency]}: {kinds}."
        yield _statement(agreement, "What is kept where", says, entry.terms)
    says = "Whatever is not named here has no class, and nobody may use it."
    yield Statement("What is kept where", says, "our choice: doubt is a refusal", [])


def _seeing(agreement: Agreement) -> Iterator[Statement]:
    access, part, limits = agreement.access, "Who may see what", agreement.limits
    own = access.own
    says = f"People themselves: {_kinds(own.categories)}, for {own.purpose}."
    yield _statement(agreement, part, says, own.terms)
    staff = access.staff
    says = (
        f"{_roles(staff.roles)} who are vetted and at home: {_kinds(staff.categories)} of one account, "
        f"for {_listed(staff.purposes)}, once {agreement.approvals_needed('grant')} of "
        f"{_listed(agreement.approver_roles('grant'))} approved, for at most "
        f"{limits.max_grant_minutes.value} minutes."
    )
    yield _statement(agreement, part, says, staff.terms)
    urgent = access.emergency
    if urgent.purposes:
        says = (
            f"In an emergency ({_listed(urgent.purposes)}) the same people before approval, for "
            f"{limits.max_emergency_minutes.value} minutes, before {limits.emergency_witnesses.value} "
            f"witnesses of {_listed(urgent.witness_roles)}, reviewed within "
            f"{limits.emergency_review_minutes.value} minutes."
        )
        yield _statement(agreement, part, says, urgent.terms)
    if access.sensitive.interests:
        ids = _listed([interest.id for interest in access.sensitive.interests])
        yield _statement(agreement, part, f"Nobody finds people by {ids}.", access.sensitive.terms)
    many = access.aggregates
    if many.roles:
        says = (
            f"{_roles(many.roles)} in {_listed(many.places)}: counts with noise about many people at once "
            f"({_listed(many.questions)}), none below {limits.aggregate_least_count.value}."
        )
        yield _statement(agreement, part, says, many.terms)
    stopped = access.quarantine
    if stopped.roles:
        says = (
            f"{_roles(stopped.roles)} who are vetted and at home: one message at a time that the gateway "
            f"stopped, for {_listed(stopped.purposes)}; nobody can let it go on."
        )
        yield _statement(agreement, part, says, stopped.terms)
    for rule in access.processes:
        says = f"The {rule.role} process, to {rule.action}: {_kinds(rule.categories)}, for {rule.purpose}."
        yield _statement(agreement, part, says, rule.terms)


def _crossing(agreement: Agreement) -> Iterator[Statement]:
    for flow in agreement.flows:
        way = "between" if flow.both_ways else "from"
        first, rest = flow.between[0], flow.between[1:]
        ends = _listed(flow.between) if flow.both_ways else f"{first} to {_listed(rest)}"
        says = (
            f"{flow.title}, {way} {ends}: {_kinds(flow.categories)}; at most {flow.daily_messages} messages "
            f"and {_bytes(flow.daily_bytes)} a day, {_bytes(flow.max_message_bytes)} a message."
        )
        yield _statement(agreement, "What crosses", says, flow.terms, f"limits: {flow.origin}")
    says = "Everything else is refused at the gateway." if agreement.flows else "Nothing crosses."
    yield Statement("What crosses", says, "our choice: doubt is a refusal", [])


def _stopping(agreement: Agreement) -> Iterator[Statement]:
    part = "Who may stop it"
    for power in agreement.powers:
        scopes = _listed([scope.replace("_", " ") for scope in power.scopes])
        says = f"{_roles(power.by)} may {power.verb} {scopes}."
        yield _statement(agreement, part, says, power.terms)
    for rule in agreement.approvals:
        says = f"{_APPROVED[rule.what]} needs {rule.needed} of {_listed(rule.by)}, never the one who asks."
        yield _statement(agreement, part, says, rule.terms, f"number: {rule.origin}")


def _appointing(agreement: Agreement) -> Iterator[Statement]:
    agreed = agreement.appointments
    if not agreed.roles and not agreed.each_hire:
        return
    whose = (
        "everybody who is hired" if agreed.each_hire else _listed([f"each {role}" for role in agreed.roles])
    )
    says = f"{_roles(list(agreed.by))} may veto {whose}; an appointment counts once they consent"
    if agreed.counts == "no-veto":
        says += f", or after {agreed.days} days without a veto"
    yield _statement(agreement, "Who may stop it", f"{says}.", agreed.terms, agreed.origin)


def _figures(agreement: Agreement) -> Iterator[Statement]:
    for name in agreement.limits.__struct_fields__:
        figure: Figure = getattr(agreement.limits, name)
        says = f"{name.replace('_', ' ')}: {figure.value} {figure.unit}."
        yield Statement("Figures", says, f"{figure.origin}: {figure.note}", [])


def _duties(agreement: Agreement) -> Iterator[Statement]:
    part = "Duties and dates"
    for report in agreement.reports:
        says = (
            f"{report.title}: the {report.by} to the {report.to}, every {report.every_days} days, "
            f"within {report.within_days} days, on {_listed(report.contents)}."
        )
        yield _statement(agreement, part, says, report.terms, f"{report.origin}: {report.note}")
    for deadline in agreement.deadlines:
        says = f"{deadline.title}: {deadline.days} days."
        yield _statement(agreement, part, says, deadline.terms, f"{deadline.origin}: {deadline.note}")


def _terms(agreement: Agreement) -> Iterator[Statement]:
    for term in agreement.terms:
        shown = (
            f"Shown by {_listed(term.evidence)}." if term.evidence else "No kind of entry speaks to it yet."
        )
        says = f"{term.id}, {term.title}: {term.says} {term.control} {shown}"
        yield Statement("Terms", says, basis_of(agreement, term), [term.id])


def _statement(agreement: Agreement, part: str, says: str, terms: list[str], own: str = "") -> Statement:
    named = [agreement.term(term_id) for term_id in terms]
    told = [f"{term.id}: {basis_of(agreement, term)}" for term in named if term is not None]
    return Statement(part, says, " | ".join([*([own] if own else []), *told]), list(terms))


def _kinds(categories: Iterable[str]) -> str:
    return _listed([plain(category) for category in categories])


def _roles(roles: list[str]) -> str:
    named = _listed([f"{role}s" if not role.endswith("y") else f"the {role}" for role in roles])
    return named[:1].upper() + named[1:]


def _listed(words: list[str]) -> str:
    if not words:
        return "nobody and nothing"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _bytes(count: int) -> str:
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def as_plain(statements: Iterable[Statement]) -> list[dict[str, object]]:
    """Return statements as JSON values."""
    return [structs.asdict(one) for one in statements]
