"""Every figure that a control counts against, each with its unit and where it is from."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Origin = Literal["our choice", "public statement"]


class Figure(Struct, frozen=True, forbid_unknown_fields=True):
    """One number of the agreement, with its unit and where it is from."""

    value: int
    unit: str
    origin: Origin
    note: str


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Every figure that a control counts against; a file gives all of them."""

    max_grant_minutes: Figure
    max_grant_minutes_per_day: Figure
    max_grant_fields: Figure
    max_grant_subjects_per_day: Figure
    revocation_seconds: Figure
    max_emergency_minutes: Figure
    emergency_review_minutes: Figure
    emergency_witnesses: Figure
    aggregate_budget: Figure
    aggregate_question_cost: Figure
    aggregate_period_days: Figure
    aggregate_least_count: Figure
    order_effect_seconds: Figure
    transfer_pairing_seconds: Figure
    promotion_share_per_mille: Figure
    slate_replay_days: Figure
    report_period_days: Figure
    refused_transfer_report_days: Figure
    record_years: Figure
    min_board_seats: Figure
