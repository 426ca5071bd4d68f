"""What types cannot say: references resolve, a category has one class, no flow carries protected data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import structs

from lightwell.agreement.locate import Path
from lightwell.agreement.model import Agreement, covers

Finding = tuple[Path, str]

_CATEGORY = re.compile(r"(user|system)(\.[a-z][a-z0-9_]*)*")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_TERM_ID = re.compile(r"[A-Z][A-Za-z0-9.-]{0,15}")
_KIND = re.compile(r"[A-Z][A-Za-z]+")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def findings(agreement: Agreement) -> Iterator[Finding]:
    """Yield what is wrong as (path, sentence), in the order of the file; nothing if all is well."""
    yield from _head(agreement)
    yield from _classes(agreement)
    yield from _flows(agreement)
    yield from _access(agreement)
    yield from _powers(agreement)
    yield from _limits(agreement)
    yield from _terms(agreement)
    yield from _duties(agreement)


def _head(agreement: Agreement) -> Iterator[Finding]:
    if not _ID.fullmatch(agreement.id):
        yield ("id",), "`id` must be lowercase letters, digits and hyphens."
    if agreement.version < 1:
        yield ("version",), "`version` counts from 1."
    regions = [region.id for region in agreement.regions]
    yield from _distinct("regions", regions, "region")
    for index, region in enumerate(regions):
        if not _WORD.fullmatch(region):
            yield ("regions", index, "id"), f"`{region}` is no region id."
    if agreement.law_region not in regions:
        yield ("law_region",), f"`law_region` names `{agreement.law_region}`, which is no region here."
    yield from _distinct("parties", [party.id for party in agreement.parties], "party")
    for index, party in enumerate(agreement.parties):
        if party.place not in (*regions, *agreement.excluded.places):
            yield ("parties", index, "place"), f"`{party.place}` is neither a region nor an excluded place."
    roles = {party.role for party in agreement.parties}
    for role in ("operator", "parent", "partner", "authority", "board"):
        if role not in roles:
            yield ("parties",), f"No party has the role `{role}`."
    for place in agreement.excluded.places:
        if not _WORD.fullmatch(place):
            yield ("excluded", "places"), f"`{place}` is no place id."
        if place in regions:
            yield ("excluded", "places"), f"`{place}` is excluded and a region at once."
    yield from _term_refs(agreement, ("excluded", "terms"), agreement.excluded.terms)


def _classes(agreement: Agreement) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, entry in enumerate(agreement.classes):
        path: Path = ("classes", index, "categories")
        for place, category in enumerate(entry.categories):
            if not _CATEGORY.fullmatch(category):
                yield (*path, place), f"`{category}` is no data category."
            if category in seen:
                yield (*path, place), f"`{category}` already has a class."
            seen.add(category)
        yield from _term_refs(agreement, ("classes", index, "terms"), entry.terms)


def _flows(agreement: Agreement) -> Iterator[Finding]:
    yield from _distinct("flows", [flow.id for flow in agreement.flows], "flow")
    regions = [region.id for region in agreement.regions]
    for index, flow in enumerate(agreement.flows):
        base: Path = ("flows", index)
        if len(flow.between) < 2 or len(set(flow.between)) < len(flow.between):
            yield (*base, "between"), "`between` names two or more different regions."
        for region in flow.between:
            if region not in regions:
                yield (*base, "between"), f"`{region}` is no region here."
        for place, category in enumerate(flow.categories):
            found = agreement.residency(category)
            path = (*base, "categories", place)
            if found is None:
                yield path, f"`{category}` has no class."
            elif found == "protected" or _reaches_protected(agreement, category):
                yield path, f"`{category}` is protected or holds protected data: no flow may."
        for name in ("max_message_bytes", "daily_messages", "daily_bytes"):
            if getattr(flow, name) < 1:
                yield (*base, name), f"`{name}` must be at least 1."
        if flow.max_media_bytes < 0 or (flow.media and not flow.max_media_bytes):
            yield (*base, "max_media_bytes"), "A flow with media needs `max_media_bytes`."
        yield from _term_refs(agreement, (*base, "terms"), flow.terms)


def _reaches_protected(agreement: Agreement, category: str) -> bool:
    """Say whether a category has a protected one below it."""
    below = category + "."
    return any(
        name.startswith(below)
        for entry in agreement.classes
        if entry.residency == "protected"
        for name in entry.categories
    )


def _access(agreement: Agreement) -> Iterator[Finding]:
    access = agreement.access
    rules: list[tuple[Path, list[str], list[str]]] = [
        (("access", "own"), access.own.categories, access.own.terms),
        (("access", "staff"), access.staff.categories, access.staff.terms),
        (("access", "emergency"), [], access.emergency.terms),
        (("access", "sensitive"), [], access.sensitive.terms),
        (("access", "aggregates"), access.aggregates.categories, access.aggregates.terms),
        (("access", "quarantine"), access.quarantine.categories, access.quarantine.terms),
    ]
    for index, process in enumerate(access.processes):
        rules.append((("access", "processes", index), process.categories, process.terms))
    for base, categories, terms in rules:
        for place, category in enumerate(categories):
            if not _has_class(agreement, category):
                yield (*base, "categories", place), f"`{category}` has no class."
        yield from _term_refs(agreement, (*base, "terms"), terms)
    seen: set[tuple[str, str]] = set()
    for index, rule in enumerate(access.processes):
        if (rule.role, rule.action) in seen:
            yield ("access", "processes", index), f"`{rule.role}` has two rules for `{rule.action}`."
        seen.add((rule.role, rule.action))
    for name in ("roles", "approver_roles", "purposes"):
        yield from _words(("access", "staff", name), name, getattr(access.staff, name), needed=True)
    yield from _exceptions(agreement)


def _exceptions(agreement: Agreement) -> Iterator[Finding]:
    access = agreement.access
    for name in ("purposes", "witness_roles"):
        yield from _words(("access", "emergency", name), name, getattr(access.emergency, name))
    for name in ("roles", "places", "questions"):
        yield from _words(("access", "aggregates", name), name, getattr(access.aggregates, name))
    quarantine = access.quarantine
    for name in ("roles", "purposes"):
        words = getattr(quarantine, name)
        yield from _words(("access", "quarantine", name), name, words, needed=bool(quarantine.categories))
    for place, purpose in enumerate(access.emergency.purposes):
        if purpose not in access.staff.purposes:
            path = ("access", "emergency", "purposes", place)
            yield path, f"`{purpose}` is no purpose of [access.staff]."
    regions = [region.id for region in agreement.regions]
    for place, name in enumerate(access.aggregates.places):
        if name not in regions:
            yield ("access", "aggregates", "places", place), f"`{name}` is no region here."
    if access.aggregates.roles and not _WORD.fullmatch(access.aggregates.purpose):
        yield ("access", "aggregates", "purpose"), "`purpose` must be one lowercase word."


def _words(path: Path, name: str, words: list[str], *, needed: bool = False) -> Iterator[Finding]:
    if needed and not words:
        yield path, f"`{name}` is empty."
    for place, word in enumerate(words):
        if not _WORD.fullmatch(word):
            yield (*path, place), f"`{word}` must be one lowercase word."


def _has_class(agreement: Agreement, category: str) -> bool:
    """Say whether a category has a class, or is a root like `user` below which classes are given."""
    if agreement.residency(category) is not None:
        return True
    return any(covers([category], name) for entry in agreement.classes for name in entry.categories)


def _powers(agreement: Agreement) -> Iterator[Finding]:
    yield from _distinct("approvals", [approval.what for approval in agreement.approvals], "approval", "what")
    for index, approval in enumerate(agreement.approvals):
        if approval.needed < 1:
            yield ("approvals", index, "needed"), "`needed` must be at least 1: nobody approves alone."
        yield from _term_refs(agreement, ("approvals", index, "terms"), approval.terms)
    # More people than any operator has would mean that nobody can ever approve, or that no rule was found.
    if agreement.approvals_needed("grant") > 100:
        yield ("approvals",), "`grant` needs an [[approvals]] table that some people can fulfil."
    for index, power in enumerate(agreement.powers):
        for role in power.by:
            if role not in ("authority", "board", "court"):
                yield ("powers", index, "by"), f"`{role}` may not give orders."
        yield from _term_refs(agreement, ("powers", index, "terms"), power.terms)


def _limits(agreement: Agreement) -> Iterator[Finding]:
    for name, figure in structs.asdict(agreement.limits).items():
        if figure.value < 1:
            yield ("limits", name), f"`{name}` must be at least 1."
    limits = agreement.limits
    if limits.max_grant_minutes_per_day.value < limits.max_grant_minutes.value:
        yield ("limits", "max_grant_minutes_per_day"), "A day must allow at least one whole grant."
    yield from _distinct("deadlines", [deadline.id for deadline in agreement.deadlines], "deadline")
    for index, deadline in enumerate(agreement.deadlines):
        if deadline.days < 1:
            yield ("deadlines", index, "days"), "`days` must be at least 1."
        yield from _term_refs(agreement, ("deadlines", index, "terms"), deadline.terms)


def _terms(agreement: Agreement) -> Iterator[Finding]:
    if not agreement.terms:
        yield ("terms",), "An agreement without terms obliges nobody."
    yield from _distinct("terms", [term.id for term in agreement.terms], "term")
    for index, term in enumerate(agreement.terms):
        if not _TERM_ID.fullmatch(term.id):
            yield ("terms", index, "id"), f"`{term.id}` is no term id."
        for kind in term.evidence:
            if not _KIND.fullmatch(kind):
                yield ("terms", index, "evidence"), f"`{kind}` is no kind of entry."
        known = [source.id for source in agreement.sources]
        for place, name in enumerate(term.sources):
            if name not in known:
                yield ("terms", index, "sources", place), f"There is no source `{name}`."
        if agreement.sources and term.origin == "public statement" and not term.sources:
            yield ("terms", index), f"`{term.id}` rests on a public statement and names none in `sources`."
        if term.check != "nothing-recorded" and not term.evidence:
            yield ("terms", index, "evidence"), "A term with a check names the kinds of entry it reads."


def _duties(agreement: Agreement) -> Iterator[Finding]:
    parties = [party.id for party in agreement.parties]
    for place, name in enumerate(agreement.signing.parties):
        if name not in parties:
            yield ("signing", "parties", place), f"`{name}` is no party here."
    yield from _term_refs(agreement, ("signing", "terms"), agreement.signing.terms)
    agreed = agreement.appointments
    yield from _words(("appointments", "roles"), "roles", agreed.roles)
    if (agreed.roles or agreed.each_hire) and not agreed.by:
        yield ("appointments", "by"), "`by` names nobody who may consent or veto."
    if agreed.days < 1:
        yield ("appointments", "days"), "`days` must be at least 1."
    yield from _term_refs(agreement, ("appointments", "terms"), agreed.terms)
    yield from _distinct("reports", [report.id for report in agreement.reports], "report")
    for index, report in enumerate(agreement.reports):
        for name in ("every_days", "within_days"):
            if getattr(report, name) < 1:
                yield ("reports", index, name), f"`{name}` must be at least 1."
        if report.by == report.to:
            yield ("reports", index, "to"), "Nobody reports to themselves."
        yield from _term_refs(agreement, ("reports", index, "terms"), report.terms)
    yield from _distinct("sources", [source.id for source in agreement.sources], "source")
    for index, source in enumerate(agreement.sources):
        if not _ID.fullmatch(source.id):
            yield ("sources", index, "id"), f"`{source.id}` must be lowercase letters, digits and hyphens."


def _term_refs(agreement: Agreement, path: Path, terms: Iterable[str]) -> Iterator[Finding]:
    known = {term.id for term in agreement.terms}
    for term in terms:
        if term not in known:
            yield path, f"There is no term `{term}`."


def _distinct(section: str, ids: list[str], noun: str, key: str = "id") -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in enumerate(ids):
        if name in seen:
            yield (section, index, key), f"The {noun} `{name}` is named twice."
        seen.add(name)
