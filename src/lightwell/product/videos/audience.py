"""Who may watch a video, asked wherever one is shown: adults, or some regions alone, if its maker said so."""

from collections.abc import Collection
from typing import Protocol

from lightwell.base.errors import Problem
from lightwell.product.accounts.queries import Account
from lightwell.residency.cell import Cell


class Limited(Protocol):
    """What a maker may limit."""

    @property
    def adult(self) -> bool:
        """For adults only."""

    @property
    def regions(self) -> Collection[str]:
        """Where it may be shown; empty for everywhere."""


def may_watch(cell: Cell, account: Account | None, video: Limited) -> bool:
    """Say whether a published video may be shown in this cell to whoever asks.

    Args:
        cell: where it would be shown.
        account: who asks, None for somebody who is not signed in and so is not known to be of age.
        video: a published video.
    """
    return _why_not(cell, account, video) is None


def require_may_watch(cell: Cell, account: Account | None, video: Limited) -> None:
    """Refuse to show a published video to somebody whom its maker left out.

    Raises:
        Problem: 403, with the reason: `age` or `region`.
    """
    problem = _why_not(cell, account, video)
    if problem is not None:
        raise problem


def _why_not(cell: Cell, account: Account | None, video: Limited) -> Problem | None:
    if video.adult and not (account is not None and account.adult):
        detail = "This video is for adults; sign in with the account of one."
        return Problem(403, "adults-only", detail, reason="age")
    if video.regions and cell.settings.region not in video.regions:
        detail = "Its maker does not show this video in this region."
        return Problem(403, "not-in-region", detail, reason="region")
    return None
