"""The compiled policies of every agreement against a plain reading of it, over the space of all questions.

What a policy can see is finite. Categories that the same rules name are alike, so one of each kind stands in
the large products for all of its kind, and a last product goes over every category that a file names, and
one below each. Askers, actions and grants are taken in all combinations; what is asked for (purpose, account,
region of the data) in all combinations too, before askers who fit and askers with one thing wrong.

Cedar's answer depends on the policies that can apply, on who and what is asked about, and on nothing else. So
where two agreements, or two compilers, give the same policies for a question, the same question is put once;
and so is one of all that differ only in a role, purpose, action or target that those policies do not name.
"""

import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from lightwell.agreement import policy as compiler
from lightwell.agreement.access_terms import Action
from lightwell.agreement.load import parse
from lightwell.agreement.model import Agreement, Residency
from lightwell.residency import decide
from lightwell.residency.decide import Decider, Grant, Principal, Refused, Resource
from tests.unit.agreement.plain_reading import class_of, may, under

FILES = sorted((Path(__file__).parents[3] / "agreements").glob("*.toml"))
TEMPLATE = next(file for file in FILES if file.stem == "template")
ACTIONS: tuple[str, ...] = get_args(Action)
CLASSES: tuple[Residency, ...] = get_args(Residency)
STAFF_ACTIONS = ("ask", "approve", "read_granted", "ask_aggregate", "look_quarantined", "use_own")
NOW, MINUTE = 1_000_000_000, 60_000
ME, THEM = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
Question = tuple[Principal, str, Resource, str, Grant | None]


class Space:
    """All questions that can be put to the decider of one agreement in its region of law."""

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement
        self.here = agreement.law_region
        self.regions = agreement.region_ids()
        self.places = [*self.regions, *agreement.excluded.places, "elsewhere"]
        access = agreement.access
        named = [
            access.own.categories,
            access.staff.categories,
            access.aggregates.categories,
            access.quarantine.categories,
            *(rule.categories for rule in access.processes),
            *(flow.categories for flow in agreement.flows),
            *(entry.categories for entry in agreement.classes),
        ]
        names = {"user", "system", "user.astrology"} | set(itertools.chain.from_iterable(named))
        self.categories = sorted(names | {f"{name}.below" for name in names})
        rules = named[: -len(agreement.classes)]
        kinds: dict[tuple[Any, ...], str] = {}
        for name in self.categories:
            alike = (class_of(agreement, name), *(under(name, rule) for rule in rules))
            kinds.setdefault(alike, name)
        self.kinds = list(kinds.values())
        self.staff_roles = sorted(
            {
                *access.staff.roles,
                *access.staff.approver_roles,
                *access.aggregates.roles,
                *access.quarantine.roles,
                "admin",
            }
        )
        self.process_roles = sorted({*(rule.role for rule in access.processes), "gateway", "stranger"})
        self.purposes = sorted(
            {
                access.own.purpose,
                access.aggregates.purpose,
                *access.staff.purposes,
                *access.quarantine.purposes,
                *(rule.purpose for rule in access.processes),
                *(flow.id for flow in agreement.flows),
                "curiosity",
            }
        )

    def grants(self, purpose: str) -> list[Grant | None]:
        """Return a grant that fits and one with each single thing wrong, and the same of emergencies."""
        fits = Grant(
            request_id="r",
            staff_id=ME,
            place=self.here,
            subject=THEM,
            categories=tuple(self.categories),
            purpose=purpose,
            approvals=self.agreement.approvals_needed("grant"),
            granted_at=NOW - MINUTE,
            expires_at=NOW + MINUTE,
            sequenced=True,
        )
        minutes = self.agreement.limits.max_grant_minutes.value * MINUTE
        urgent = self.agreement.limits.max_emergency_minutes.value * MINUTE
        witnesses = self.agreement.limits.emergency_witnesses.value
        changes: list[dict[str, Any]] = [
            {},
            {"staff_id": THEM},
            {"subject": ME},
            {"categories": ("user.name",)},
            {"purpose": "curiosity"},
            {"place": "elsewhere"},
            {"approvals": fits.approvals - 1},
            {"sequenced": False},
            {"granted_at": NOW + 1},
            {"expires_at": NOW},
            {"expires_at": NOW - MINUTE + minutes + 1},
            {"ended": True},
            {"emergency": "alone", "approvals": 0},
            {"emergency": "witnessed", "approvals": witnesses},
            {"emergency": "witnessed", "approvals": witnesses - 1},
            {"emergency": "alone", "expires_at": NOW - MINUTE + urgent + 1},
            {"staff_id": THEM, "emergency": "alone"},
        ]
        fields = {name: getattr(fits, name) for name in fits.__struct_fields__}
        return [None, *(Grant(**(fields | change)) for change in changes)]

    def questions(self) -> Iterator[Question]:
        """Yield every question, the small products first."""
        yield from self._each_category()
        yield from self._labels()
        yield from self._people()
        yield from self._processes()
        yield from self._requests()
        yield from self._askers()

    def _with_grants(self, action: str, purpose: str) -> list[Grant | None]:
        return self.grants(purpose) if action in ("approve", "read_granted") else [None]

    def _askers(self) -> Iterator[Question]:
        purpose = self.agreement.access.emergency.purposes[0]
        for place, role, vetted, line, category, action in itertools.product(
            self.places, self.staff_roles, (True, False), (True, False), self.kinds, ACTIONS
        ):
            who = Principal("staff", ME, role, place, "operator", vetted, line)
            many = action == "ask_aggregate"
            resource = Resource(category, self.here, None if many else THEM)
            code = self.agreement.access.aggregates.purpose if many else purpose
            code = self.agreement.access.quarantine.purposes[0] if action == "look_quarantined" else code
            grants = self._with_grants(action, purpose)
            wrong = (place != self.here, role == "admin", not vetted, line)
            for grant in grants if sum(wrong) < 2 else grants[:2]:
                yield who, action, resource, code, grant

    def _requests(self) -> Iterator[Question]:
        fitting = [Principal("staff", ME, role, self.here, vetted=True) for role in self.staff_roles]
        reader = self.agreement.access.staff.roles[0]
        wrong = [
            Principal("staff", ME, reader, self.here),
            Principal("staff", ME, reader, self.regions[1], vetted=True),
            Principal("staff", ME, reader, self.here, vetted=True, excluded_line=True),
            Principal("staff", ME, reader, self.here, vetted=True, appointed=False),
        ]
        for who, category, purpose, owner, region, action in itertools.product(
            [*wrong, *fitting], self.kinds, self.purposes, (THEM, ME, None), self.regions[:2], STAFF_ACTIONS
        ):
            grants = self._with_grants(action, purpose)
            for grant in grants[:3] if owner == THEM and region == self.here else grants[1:2]:
                yield who, action, Resource(category, region, owner), purpose, grant

    def _processes(self) -> Iterator[Question]:
        for role, action, category, purpose, region in itertools.product(
            self.process_roles, ACTIONS, self.kinds, [*self.purposes, ""], self.regions[:2]
        ):
            # Data of another region: with the purpose that would fit at home.
            if region != self.here and purpose:
                continue
            for bound_for in [*self.places, ""] if action == "cross" else [self.regions[1]]:
                resource = Resource(category, region, THEM, bound_for=bound_for)
                yield Principal("process", role, role), action, resource, purpose, None

    def _people(self) -> Iterator[Question]:
        for owner, action, category, purpose, region in itertools.product(
            (ME, THEM, None), ACTIONS, self.kinds, [*self.purposes, ""], self.regions[:2]
        ):
            if region != self.here and purpose:
                continue
            resource = Resource(category, region, owner, bound_for=self.regions[1])
            yield Principal("account", ME, "self"), action, resource, purpose, self.grants(purpose)[1]

    def _each_category(self) -> Iterator[Question]:
        access = self.agreement.access
        for category in self.categories:
            for rule in access.processes:
                who = Principal("process", rule.role, rule.role)
                yield who, rule.action, Resource(category), rule.purpose, None
            for flow in self.agreement.flows:
                there = flow.between[1] if flow.between[0] == self.here else flow.between[0]
                resource = Resource(category, bound_for=there)
                yield Principal("process", "gateway", "gateway"), "cross", resource, flow.id, None
            for role, purpose, action in itertools.product(
                self.staff_roles, access.staff.purposes, ("ask", "approve", "read_granted")
            ):
                who = Principal("staff", ME, role, self.here, vetted=True)
                grant = self.grants(purpose)[2 if action == "approve" else 1]
                yield who, action, Resource(category, owner=THEM), purpose, grant
            for place in access.aggregates.places:
                who = Principal("staff", ME, access.aggregates.roles[0], place, vetted=True)
                yield who, "ask_aggregate", Resource(category), access.aggregates.purpose, None
            own = Resource(category, owner=ME)
            yield Principal("account", ME, "self"), "use_own", own, access.own.purpose, None

    def _labels(self) -> Iterator[Question]:
        flow = self.agreement.flows[0]
        there = flow.between[1] if flow.between[0] == self.here else flow.between[0]
        for category, residency in itertools.product(self.categories, CLASSES):
            resource = Resource(category, residency=residency, bound_for=there)
            yield Principal("process", "gateway", "gateway"), "cross", resource, flow.id, None


@cache
def readings(file: Path) -> list[tuple[Question, bool]]:
    """Return every question to an agreement, and whether it is allowed in a plain reading."""
    space = Space(parse(file.read_text("utf-8")))
    return [(question, may(space.agreement, space.here, *question, NOW)) for question in space.questions()]


ANSWERS: dict[tuple[Any, ...], str] = {}
"""Cedar's answers so far, by the text of the policies that can apply, their schema, and the question."""
WORDS = ("role", "purpose", "bound_for", "action")
COMPARED = re.compile(
    r'(principal\.role|context\.(purpose|bound_for)) == ""|\]\.contains\((principal\.role|context\.purpose)\)'
    r'|action != Action::""|, action in \[[^\]]*\]|, action, '
)
"""All that policies do with `WORDS`: they compare them with words that they name."""


@cache
def named_in(policies: str) -> frozenset[str]:
    """Return the words that policies name, having made sure that they compare `WORDS` with nothing else."""
    unquoted = re.sub(r'"[^"]*"', '""', policies)
    assert not re.search(r"\b(role|purpose|bound_for|action)\b", COMPARED.sub("", unquoted))
    return frozenset(re.findall(r'"([^"]*)"', policies))


def asking_once(agreement: Agreement) -> Decider:
    """Return a decider that asks Cedar only what was not asked of the very same policies before."""
    decider, bundle = Decider(agreement), decide.compile_policies(agreement)
    texts = {(kind, action): bundle.slice(decide._TYPES[kind], action) for kind, action in decider._slices}

    def answer(question: Any) -> str:
        text = texts[question.kind, question.action]
        named = named_in(text)
        unnamed = {word: "-" for word in WORDS if getattr(question, word) not in named}
        key = (text, bundle.schema, decider.region, replace(question, **unnamed))
        if key not in ANSWERS:
            ANSWERS[key] = decider._ask_cedar(question)
        return ANSWERS[key]

    vars(decider)["_answer"] = answer
    return decider


def disagreement(file: Path) -> tuple[int, int, str]:
    """Ask every question; return how many there were, how many were allowed, and the first that is wrong."""
    decider = asking_once(parse(file.read_text("utf-8")))
    asked = allowed = 0
    for (who, action, resource, purpose, grant), expected in readings(file):
        reason = ""
        try:
            decider.decide(who, action, resource, purpose, grant, NOW)
        except Refused as refused:
            reason = refused.reason
        asked += 1
        allowed += not reason
        if (
            expected != (not reason)
            or reason == "policy-error"
            or (reason and reason not in compiler.REASONS)
        ):
            return asked, allowed, f"{reason or 'allowed'}: {who} {action} {resource} {purpose!r} {grant}"
    return asked, allowed, ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_outside_the_agreement_is_allowed_and_all_inside_is(file: Path) -> None:
    asked, allowed, wrong = disagreement(file)
    assert not wrong
    assert asked > 30_000
    assert allowed > 100


def test_there_are_four_agreements() -> None:
    assert [file.stem for file in FILES] == [
        "eu-clover",
        "template",
        "us-2022-draft",
        "us-2026-joint-venture",
    ]


def without(name: str, effect: str) -> Any:
    """Return the compiler without the policies of one name and effect."""
    compiled = compiler.compile_policies

    def less(agreement: Agreement) -> compiler.CedarBundle:
        whole = compiled(agreement)
        parts = tuple(part for part in whole.parts if f'@id("{name}")\n{effect}' not in part.text)
        assert len(parts) < len(whole.parts)
        return compiler.CedarBundle("\n\n".join(part.text for part in parts), whole.schema, parts)

    return less


PERMITS = ["own-data", "process-feed-rank", "process-trainer-train", "process-media-transcode"]
PERMITS += ["process-cleanroom-replay", "process-aggregator-aggregate", "staff-ask", "staff-approve"]
PERMITS += ["staff-read_granted", "staff-ask_aggregate", "staff-look_quarantined", "flow-public-video-us-sg"]
# Each of these is said twice, by a permit's condition and by a refusal with its reason: both are taken out.
LOOSENED = {
    "vetting": [("(principal.vetted)", "(true)"), ("(!principal.vetted)", "(false)")],
    "reporting line": [("(!principal.excluded_line)", "(true)"), ("(principal.excluded_line)", "(false)")],
    "appointment": [("(principal.appointed)", "(true)"), ("(!principal.appointed)", "(false)")],
    "place": [
        ("(principal.place == resource.region)", "(true)"),
        ("(principal.place != resource.region)", "(false)"),
    ],
    "one person": [("(!context.whole_cell)", "(true)"), ("(context.whole_cell)", "(false)")],
    "protected stays": [
        ('(resource.residency != "protected")', "(true)"),
        ('(resource.residency == "protected")', "(false)"),
    ],
    "home cell": [("(context.here != resource.region)", "(false)")],
    "expiry": [
        ("(context.grant_faults.isEmpty())", "(true)"),
        ('(context.grant_faults.contains("grant-expired"))', "(false)"),
    ],
    "self-approval": [
        ("(context.grant_faults.isEmpty())", "(true)"),
        ('(context.grant_faults.contains("self-approval"))', "(false)"),
    ],
}


def loosened(changes: list[tuple[str, str]]) -> Any:
    """Return the compiler with conditions replaced in all its policies."""
    compiled = compiler.compile_policies

    def less(agreement: Agreement) -> compiler.CedarBundle:
        whole = compiled(agreement)
        parts = []
        for part in whole.parts:
            text = part.text
            for old, new in changes:
                text = text.replace(old, new)
            parts.append(compiler.Part(part.kinds, part.actions, text))
        assert parts != list(whole.parts)
        return compiler.CedarBundle("\n\n".join(part.text for part in parts), whole.schema, tuple(parts))

    return less


@pytest.mark.parametrize("name", PERMITS)
def test_a_permit_left_out_of_the_compiler_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(decide, "compile_policies", without(name, "permit"))
    assert disagreement(TEMPLATE)[2]


@pytest.mark.parametrize("name", LOOSENED)
def test_a_condition_left_out_of_the_compiler_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(decide, "compile_policies", loosened(LOOSENED[name]))
    assert disagreement(TEMPLATE)[2]


def test_every_refusal_and_every_permit_has_a_reason_of_its_own() -> None:
    for file in FILES:
        for part in compiler.compile_policies(parse(file.read_text("utf-8"))).parts:
            name = part.text.split('"')[1]
            assert ("forbid" not in part.text) or name in compiler.REASONS
            assert name
