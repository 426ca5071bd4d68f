"""The decider against an oracle written by hand: nothing outside the agreement is allowed, anywhere."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cedarpy
import pytest

from lightwell.agreement.load import parse
from lightwell.agreement.policy import REASONS, CedarBundle, compile_policies
from lightwell.residency import decide as module
from lightwell.residency.decide import Decider, Grant, Permit, Principal, Refused, Resource

AGREEMENT = parse((Path(__file__).parents[3] / "agreements" / "us-2022-draft.toml").read_text("utf-8"))
ACTIONS = ("use_own", "rank", "train", "transcode", "replay", "cross", "ask", "approve", "read_granted")
CATEGORIES = (
    "user.contact.email",
    "user.device.ip_address",
    "user.behavior.browsing_history",
    "user.content.private",
    "user.payment",
    "user.unique_id",
    "user.content.public",
    "user.astrology",
)
NOW = 1_000_000_000
MINUTE = 60_000
ME = "aaaaaaaaaaaaaaaa"
THEM = "bbbbbbbbbbbbbbbb"

# The oracle: what the agreement says in words, written without looking at how it is compiled.
GRANTABLE = {"user.contact.email", "user.device.ip_address"}
CROSSING = {"user.content.public"}
PROCESSES = {
    ("feed", "rank", "personal_feed", "user.behavior.browsing_history"),
    ("trainer", "train", "training", "user.behavior.browsing_history"),
    ("media", "transcode", "publishing", "user.content.private"),
    ("cleanroom", "replay", "replay", "user.behavior.browsing_history"),
}


def grant(**changes: Any) -> Grant:
    fields: dict[str, Any] = {
        "request_id": "r",
        "staff_id": ME,
        "place": "us",
        "subject": THEM,
        "categories": CATEGORIES,
        "purpose": "account_support",
        "approvals": 1,
        "granted_at": NOW - MINUTE,
        "expires_at": NOW + MINUTE,
        "sequenced": True,
    }
    return Grant(**(fields | changes))


GRANTS: dict[str, Grant | None] = {
    "live": grant(),
    "none": None,
    "of another": grant(staff_id=THEM),
    "about another": grant(subject=ME),
    "other fields": grant(categories=("user.name",)),
    "other purpose": grant(purpose="safety_review"),
    "other place": grant(place="sg"),
    "unapproved": grant(approvals=0),
    "not sequenced": grant(sequenced=False),
    "not begun": grant(granted_at=NOW + 1, expires_at=NOW + MINUTE),
    "expired": grant(expires_at=NOW),
    "too long": grant(expires_at=NOW + 60 * MINUTE),
    "ended": grant(ended=True),
}


def allowed(decider: Decider, *args: Any, **kwargs: Any) -> bool:
    refusal = ""
    try:
        assert isinstance(decider.decide(*args, **kwargs), Permit)
    except Refused as refused:
        refusal = refused.reason
    assert refusal in ("", *REASONS)
    assert refusal != "policy-error"
    return not refusal


def staff_space() -> Iterator[tuple[Principal, str, str, str, str]]:
    whole = itertools.product(
        ("us", "sg", "parent-home", "elsewhere"),
        ("analyst", "approver", "partner", "feed"),
        (True, False),
        (True, False),
        CATEGORIES,
        ACTIONS,
        ("account_support", "curiosity"),
    )
    for place, role, vetted, excluded, category, action, purpose in whole:
        who = Principal("staff", ME, role, place, "operator", vetted, excluded)
        # The grant can matter only to reading and approving; one other action is tried with all the same.
        for name in GRANTS if action in ("read_granted", "approve") else ("live",):
            yield who, category, action, purpose, name


def staff_may(who: Principal, category: str, action: str, purpose: str, name: str) -> bool:
    if who.place != "us" or not who.vetted or who.excluded_line:
        return False
    if purpose != "account_support" or category not in GRANTABLE:
        return False
    if action == "ask":
        return who.role in ("analyst", "partner")
    if action == "approve":
        return who.role in ("approver", "partner") and name == "of another"
    return action == "read_granted" and who.role in ("analyst", "partner") and name == "live"


def test_no_staff_access_is_allowed_outside_the_agreement() -> None:
    decider = Decider(AGREEMENT, "us")
    permits = 0
    for who, category, action, purpose, name in staff_space():
        resource = Resource(category, "us", THEM)
        found = allowed(decider, who, action, resource, purpose, GRANTS[name], NOW)
        assert found == staff_may(who, category, action, purpose, name), (
            who,
            category,
            action,
            purpose,
            name,
        )
        permits += found
    assert permits == 3 * 2 * 2


def test_no_process_does_more_than_its_rule() -> None:
    decider = Decider(AGREEMENT, "us")
    roles = ("feed", "trainer", "media", "cleanroom", "gateway", "self", "analyst")
    purposes = ("personal_feed", "training", "publishing", "replay", "public-video", "own_account", "other")
    for role, action, category, purpose, bound_for in itertools.product(
        roles, ACTIONS, CATEGORIES, purposes, ("", "us", "sg", "parent-home")
    ):
        expected = (role, action, purpose, category) in PROCESSES
        crossing = (role, action, purpose, bound_for) == ("gateway", "cross", "public-video", "sg")
        expected = expected or (crossing and category in CROSSING)
        resource = Resource(category, "us", THEM, bound_for=bound_for)
        who = Principal("process", role, role)
        assert allowed(decider, who, action, resource, purpose, grant(), NOW) == expected, (
            role,
            action,
            category,
            purpose,
            bound_for,
        )


def test_people_use_their_own_data_and_nobody_elses() -> None:
    decider = Decider(AGREEMENT, "us")
    for owner, action, category, purpose in itertools.product(
        (ME, THEM, None), ACTIONS, CATEGORIES, ("own_account", "curiosity")
    ):
        who = Principal("account", ME, "self")
        expected = (
            owner == ME and action == "use_own" and purpose == "own_account" and category != "user.astrology"
        )
        resource = Resource(category, "us", owner)
        assert allowed(decider, who, action, resource, purpose, grant(), NOW) == expected


@pytest.mark.parametrize("action", ACTIONS)
def test_data_of_another_region_is_refused_to_processes_and_people(action: str) -> None:
    decider = Decider(AGREEMENT, "us")
    for who in (Principal("process", "feed", "feed"), Principal("account", ME, "self")):
        resource = Resource("user.behavior", "sg", ME, bound_for="us")
        assert not allowed(decider, who, action, resource)


def test_the_second_region_protects_its_people_the_same_way() -> None:
    decider = Decider(AGREEMENT, "sg")
    at_home = Principal("staff", ME, "analyst", "sg", "operator", vetted=True)
    abroad = Principal("staff", ME, "analyst", "us", "operator", vetted=True)
    resource = Resource("user.contact.email", "sg", THEM)
    assert allowed(decider, at_home, "ask", resource, "account_support")
    assert not allowed(decider, abroad, "ask", resource, "account_support")


def test_a_region_outside_the_agreement_has_no_decider() -> None:
    with pytest.raises(ValueError, match="not in the agreement"):
        Decider(AGREEMENT, "fr")


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (Principal("staff", ME, "analyst", "parent-home", vetted=True), "excluded-place"),
        (Principal("staff", ME, "analyst", "sg", vetted=True), "not-at-home"),
        (Principal("staff", ME, "analyst", "us", vetted=True, excluded_line=True), "line-excluded"),
        (Principal("staff", ME, "analyst", "us"), "not-vetted"),
        (Principal("staff", ME, "admin", "us", vetted=True), "role-not-allowed"),
    ],
)
def test_a_refusal_names_its_reason(who: Principal, reason: str) -> None:
    decider = Decider(AGREEMENT, "us")
    resource = Resource("user.contact.email", "us", THEM)
    with pytest.raises(Refused) as caught:
        decider.decide(who, "ask", resource, "account_support")
    assert caught.value.reason == reason
    assert caught.value.document()["reason"] == reason
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none", "no-grant"),
        ("of another", "grant-of-another"),
        ("about another", "grant-for-another-person"),
        ("other fields", "grant-for-another-field"),
        ("other purpose", "grant-for-another-purpose"),
        ("other place", "grant-from-another-place"),
        ("unapproved", "too-few-approvals"),
        ("not sequenced", "grant-not-sequenced"),
        ("not begun", "grant-not-begun"),
        ("expired", "grant-expired"),
        ("too long", "grant-expired"),
        ("ended", "grant-ended"),
    ],
)
def test_a_grant_that_does_not_fit_names_its_fault(name: str, reason: str) -> None:
    decider = Decider(AGREEMENT, "us")
    who = Principal("staff", ME, "analyst", "us", vetted=True)
    resource = Resource("user.contact.email", "us", THEM)
    with pytest.raises(Refused) as caught:
        decider.decide(who, "read_granted", resource, "account_support", GRANTS[name], NOW)
    assert caught.value.reason == reason


def test_a_field_that_claims_a_looser_class_is_refused() -> None:
    decider = Decider(AGREEMENT, "us")
    resource = Resource("user.payment", "us", ME, "interop")
    with pytest.raises(Refused) as caught:
        decider.decide(Principal("account", ME, "self"), "use_own", resource)
    assert caught.value.reason == "class-disagrees"


def test_a_stricter_label_keeps_public_data_at_home() -> None:
    decider = Decider(AGREEMENT, "us")
    resource = Resource("user.content.public", "us", ME, "protected", bound_for="sg")
    with pytest.raises(Refused) as caught:
        decider.decide(Principal("process", "gateway", "gateway"), "cross", resource, "public-video")
    assert caught.value.reason == "protected-stays"


def test_nobody_but_the_decider_makes_a_permit() -> None:
    with pytest.raises(TypeError, match="only a Decider"):
        Permit(object(), Principal("account", ME, "self"), "use_own", Resource("user"), "p", 0)


def test_a_permit_reaches_its_own_account_and_category_only() -> None:
    decider = Decider(AGREEMENT, "us")
    permit = decider.decide(Principal("process", "feed", "feed"), "rank", Resource("user.behavior", owner=ME))
    assert permit.purpose == "personal_feed"
    assert permit.allows(ME)
    assert not permit.allows(THEM)
    assert permit.reaches("user.behavior.browsing_history")
    assert not permit.reaches("user")
    assert not permit.reaches("user.behaviour")


def answer(decision: cedarpy.Decision, errors: list[str]) -> SimpleNamespace:
    diagnostics = SimpleNamespace(errors=errors, id_annotations_by_reason={})
    return SimpleNamespace(decision=decision, diagnostics=diagnostics)


@pytest.mark.parametrize(
    "given",
    [
        answer(cedarpy.Decision.Allow, ["while evaluating policy `x`: attribute missing"]),
        answer(cedarpy.Decision.NoDecision, []),
        answer(cedarpy.Decision.NoDecision, ["cannot parse"]),
        None,
    ],
)
def test_an_error_inside_the_policy_engine_refuses(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    decider = Decider(AGREEMENT, "us")
    monkeypatch.setattr(module.cedarpy, "is_authorized", lambda *_, **__: given)
    with pytest.raises(Refused) as caught:
        decider.decide(Principal("process", "feed", "feed"), "rank", Resource("user.behavior", owner=ME))
    assert caught.value.reason == "policy-error"


def test_a_forbid_that_errors_does_not_let_anything_through(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = compile_policies(AGREEMENT)
    # Cedar skips this forbid because it overflows, and would answer Allow.
    broken = "forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };"
    schema = bundle.schema
    monkeypatch.setattr(module, "compile_policies", lambda _: CedarBundle(bundle.policies + broken, schema))
    decider = Decider(AGREEMENT, "us")
    with pytest.raises(Refused) as caught:
        decider.decide(Principal("process", "feed", "feed"), "rank", Resource("user.behavior", owner=ME))
    assert caught.value.reason == "policy-error"


def test_policies_that_do_not_fit_their_schema_stop_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = CedarBundle("permit (principal is Ghost, action, resource);", compile_policies(AGREEMENT).schema)
    monkeypatch.setattr(module, "compile_policies", lambda _: bundle)
    with pytest.raises(ValueError, match="invalid"):
        Decider(AGREEMENT, "us")


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(Refused):
        Decider(AGREEMENT).decide(Principal("process", "feed", "feed"), "dump", Resource("user.behavior"))
