"""Counts over HTTP for staff who may see no person's data: the questions, the budget, and noisy answers."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from msgspec import Meta, Struct

from lightwell.base.clock import now_ms
from lightwell.base.threads import in_thread
from lightwell.residency import aggregates
from lightwell.residency.access_models import StaffRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Refused


class CountForm(Struct, frozen=True, forbid_unknown_fields=True):
    """One question about one window: `start` in milliseconds since the epoch, a multiple of `minutes`."""

    question: Annotated[str, Meta(max_length=40)]
    start: Annotated[int, Meta(ge=0, lt=1 << 53)]
    minutes: Annotated[int, Meta(ge=1, le=10_000)]


@get("/api/aggregates")
@in_thread
def list_questions(cell: Cell, staff: Principal) -> dict[str, Any]:
    """Say what may be asked, what an answer costs and what is left of the asker's budget."""
    limits = cell.agreement.limits
    with cell.database.read() as session:
        person = session.get_one(StaffRow, staff.id).person
        spent = aggregates.spent_by(cell, session, person, now_ms())
    return {
        "questions": cell.agreement.access.aggregates.questions,
        "minutes": list(aggregates.LENGTHS),
        "cost": limits.aggregate_question_cost.value,
        "budget": limits.aggregate_budget.value,
        "left": max(0, limits.aggregate_budget.value - spent),
        "period_days": limits.aggregate_period_days.value,
        "least_count": limits.aggregate_least_count.value,
    }


@post("/api/aggregates", status_code=200)
@in_thread
def ask_question(data: CountForm, cell: Cell, staff: Principal) -> Response[dict[str, Any]]:
    """Answer one question with noise; a refusal is a 403 problem with its reason, and an entry."""
    window = aggregates.Window(data.start, data.minutes)
    counted = aggregates.count(cell, staff, data.question, window)
    if counted.reason:
        raise Refused(counted.reason)
    body = {
        "question": data.question,
        "start": data.start,
        "minutes": data.minutes,
        "counts": counted.counts,
        "scale": counted.scale,
        "epsilon": counted.epsilon,
        "spent": counted.spent,
        "left": counted.left,
    }
    return Response(body, headers={"cache-control": "no-store"})


routes = [list_questions, ask_question]
