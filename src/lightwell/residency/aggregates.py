"""Counts over many people, with noise that hides any one of them, within a budget for each who asks.

Each person adds at most 1 to each of at most `most_groups` groups, so that one person changes an answer by
at most that in all; discrete Laplace noise of scale `most_groups / epsilon` makes the answer epsilon-
differentially private for people (Dwork, McSherry, Nissim and Smith 2006). An answer is drawn once and kept:
asking again, or with a colleague, tells nothing more. Groups are public before anybody is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from hashlib import sha256
from typing import Final

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.ledger.queue import enqueue
from lightwell.residency.access_rules import hold_person
from lightwell.residency.access_search import sensitive_interest
from lightwell.residency.aggregates_models import AggregateAnswerRow, AggregateSpendRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Refused, Resource
from lightwell.residency.noise import discrete_laplace
from lightwell.wire.entries import AggregateAnswered, minute

LENGTHS: Final = (10, 60, 1440)
"""Minutes that a window may last; it begins at a multiple of its length, so that windows of one length never
overlap."""

_DAY_MS: Final = 86_400_000


class Window(Struct, frozen=True):
    """A stretch of time that is over: `start_ms` since the epoch, and how many minutes."""

    start_ms: int
    minutes: int

    @property
    def end_ms(self) -> int:
        """The first millisecond after it."""
        return self.start_ms + self.minutes * 60_000


Groups = Callable[[ReadSession, Window], list[str]]
"""What is counted: names that are public, whoever did or did not do anything."""

Contributions = Callable[[Cell, ReadSession, Permit, Window], Iterable[tuple[str, str]]]
"""Who adds to which group: `(account_id, group)`, in any order and as often as it happened."""


class Question(Struct, frozen=True):
    """One question that can be answered, and how many groups one person may add to."""

    id: str
    most_groups: int
    groups: Groups
    contributions: Contributions


class Counted(Struct, frozen=True):
    """An answer: people by group, None where the noisy count is too small to show; or why there is none.

    `scale` is that of the noise; half of all draws lie within 0.7 of it. `spent` and `left` are thousandths
    of epsilon.
    """

    counts: dict[str, int | None]
    scale: str = ""
    epsilon: int = 0
    spent: int = 0
    left: int = 0
    reason: str = ""


_known: dict[str, Question] = {}


def offer(questions: Iterable[Question]) -> None:
    """Make questions answerable in this process; the agreement says which of them may be asked."""
    for question in questions:
        _known[question.id] = question


def count(cell: Cell, who: Principal, question_id: str, window: Window) -> Counted:
    """Answer one question, or refuse it; either is an entry.

    Args:
        cell: whose people are counted.
        who: a member of staff, wherever the agreement lets them ask from.
        question_id: one of the agreement's.
        window: what time is asked about.

    Returns:
        The answer, or with `reason` why there is none.

    Raises:
        Problem: 422 the window is not one that can be asked about; nothing is recorded then.
    """
    now = now_ms()
    _check_window(window, now)
    rule = cell.agreement.access.aggregates
    question = _known.get(question_id) if question_id in rule.questions else None
    reason = _refusal(cell, who) or ("" if question is not None else "question-not-agreed")
    if reason or question is None:
        with cell.database.write() as session:
            return _refused(cell, session, who, question_id if question else "other", reason, now)
    for attempt in (1, 2):
        drawn = _draw(cell, question, window, now)
        try:
            with cell.database.write() as session:
                return _answer(cell, session, who, question, window, drawn, now)
        except IntegrityError:
            # Another process drew the same answer a moment ago; its draw is the one that counts.
            if attempt == 2:
                raise
    raise AssertionError("the second attempt returns or raises")


def spent_by(cell: Cell, session: ReadSession, person: str, now: int) -> int:
    """Return what a person has spent in the running period, in thousandths of epsilon."""
    since = now - cell.agreement.limits.aggregate_period_days.value * _DAY_MS
    total = select(func.coalesce(func.sum(AggregateSpendRow.spent), 0)).where(
        AggregateSpendRow.person == person, AggregateSpendRow.spent_at > since
    )
    return int(session.scalar(total) or 0)


def _answer(
    cell: Cell,
    session: WriteSession,
    who: Principal,
    question: Question,
    window: Window,
    drawn: AggregateAnswerRow | None,
    now: int,
) -> Counted:
    limits = cell.agreement.limits
    person = hold_person(session, who.id).person
    spent = spent_by(cell, session, person, now)
    mine = select(AggregateSpendRow.number).where(
        AggregateSpendRow.person == person,
        AggregateSpendRow.question == question.id,
        AggregateSpendRow.start_ms == window.start_ms,
        AggregateSpendRow.minutes == window.minutes,
    )
    cost = 0 if session.scalar(mine.limit(1)) is not None else limits.aggregate_question_cost.value
    if spent + cost > limits.aggregate_budget.value:
        return _refused(cell, session, who, question.id, "budget-spent", now)
    kept = session.get(AggregateAnswerRow, (question.id, window.start_ms, window.minutes))
    if kept is None:
        if drawn is None:
            raise Problem(503, "try-again", "The answer was withdrawn while it was read; ask again.")
        session.add(drawn)
        session.flush()
        kept = drawn
    if cost:
        paid = AggregateSpendRow(
            person=person,
            question=question.id,
            start_ms=window.start_ms,
            minutes=window.minutes,
            spent=cost,
            spent_at=now,
        )
        session.add(paid)
    entry = AggregateAnswered(
        at=minute(now // 1000),
        place=who.place,
        role=who.role,
        question=question.id,
        outcome="answered",
        reason="agreed",
        spent=cost,
        spent_in_all=spent + cost,
        epsilon=kept.epsilon,
    )
    enqueue(session, entry)
    least = limits.aggregate_least_count.value
    return Counted(
        counts={group: number if number >= least else None for group, number in kept.counts.items()},
        scale=kept.scale,
        epsilon=kept.epsilon,
        spent=cost,
        left=limits.aggregate_budget.value - spent - cost,
    )


def _draw(cell: Cell, question: Question, window: Window, now: int) -> AggregateAnswerRow | None:
    """Count and add noise, unless the answer is kept already; the exact counts live in this call only."""
    permit = cell.decider.decide(
        Principal(kind="process", id="aggregator", role="aggregator"),
        "aggregate",
        Resource(category="user.behavior", residency="protected", owner=None),
    )
    with cell.database.read() as session:
        if session.get(AggregateAnswerRow, (question.id, window.start_ms, window.minutes)) is not None:
            return None
        interests = cell.agreement.access.sensitive.interests
        groups = [
            group for group in question.groups(session, window) if not sensitive_interest(interests, group)
        ]
        theirs: dict[str, set[str]] = {}
        wanted = set(groups)
        for account_id, group in question.contributions(cell, session, permit, window):
            if group in wanted:
                theirs.setdefault(account_id, set()).add(group)
    exact = dict.fromkeys(groups, 0)
    for account_id, own in theirs.items():
        for group in sorted(own, key=lambda name: _order(account_id, name))[: question.most_groups]:
            exact[group] += 1
    epsilon = cell.agreement.limits.aggregate_question_cost.value
    scale = Fraction(question.most_groups * 1000, epsilon)
    return AggregateAnswerRow(
        question=question.id,
        start_ms=window.start_ms,
        minutes=window.minutes,
        counts={group: number + discrete_laplace(scale) for group, number in exact.items()},
        epsilon=epsilon,
        scale=str(scale),
        made_at=now,
    )


def _order(account_id: str, group: str) -> bytes:
    # Which groups of one person count depends on that person alone, as the bound on their part requires.
    return sha256(f"{account_id}/{group}".encode()).digest()


def _refusal(cell: Cell, who: Principal) -> str:
    rule = cell.agreement.access.aggregates
    for category in rule.categories or ["user.behavior"]:
        resource = Resource(category=category, region=cell.settings.region, owner=None)
        try:
            cell.decider.decide(who, "ask_aggregate", resource, rule.purpose)
        except Refused as refused:
            return refused.reason
    return ""


def _refused(
    cell: Cell, session: WriteSession, who: Principal, question: str, reason: str, now: int
) -> Counted:
    person = hold_person(session, who.id).person
    spent = spent_by(cell, session, person, now)
    entry = AggregateAnswered(
        at=minute(now // 1000),
        place=who.place,
        role=who.role,
        question=question,
        outcome="refused",
        reason=reason,
        spent=0,
        spent_in_all=spent,
        epsilon=0,
    )
    enqueue(session, entry)
    left = max(0, cell.agreement.limits.aggregate_budget.value - spent)
    return Counted(counts={}, left=left, reason=reason)


def _check_window(window: Window, now: int) -> None:
    length = window.minutes * 60_000
    if window.minutes not in LENGTHS or window.start_ms < 0 or window.start_ms % length:
        known = ", ".join(str(minutes) for minutes in LENGTHS)
        raise Problem(
            422,
            "unusable-field",
            f"A window lasts {known} minutes and begins at a multiple of that.",
            field="window",
        )
    if window.end_ms > now:
        raise Problem(422, "unusable-field", "Only time that is over can be asked about.", field="window")
