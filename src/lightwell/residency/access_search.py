"""Staff find one account by its handle; searches for crowds, sensitive interests or viewers are refused."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

from msgspec import Struct

from lightwell.agreement.access_terms import Interest
from lightwell.base.clock import now_ms
from lightwell.base.db import WriteSession
from lightwell.base.errors import Problem
from lightwell.residency.access_rules import Ask, hold_person, record_request
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.residency.subjects import find_account

By = Literal["handle", "interest", "viewers"]

_HANDLE: Final = re.compile(r"[a-z0-9_.]{1,24}")
_BEHAVIOUR: Final = "user.behavior"


class Found(Struct, frozen=True):
    """What a search came to: the handle of the one account, or why nobody may search like this."""

    handle: str = ""
    reason: str = ""
    request_id: str = ""


def search(cell: Cell, session: WriteSession, who: Principal, by: By, sought: str) -> Found:
    """Find the account with exactly this handle; anything that would find a crowd is refused and recorded.

    Args:
        cell: the cell.
        session: the caller's transaction; it is committed whatever the answer.
        who: the searcher.
        by: `handle`; `interest` for people by what they like; `viewers` for who watched a video or hashtag.
        sought: what for. A handle field with a hashtag, a video or a pattern in it is what it looks like.

    Raises:
        Problem: 404 nobody has this handle.
    """
    reason = _refusal(cell.agreement.access.sensitive.interests, by, sought)
    if not reason:
        handle = sought.strip().removeprefix("@").lower()
        if find_account(session, handle) is None:
            raise Problem(404, "no-such-account", "There is no account with that handle.")
        return Found(handle)
    now = now_ms()
    staff = hold_person(session, who.id)
    asked = Ask(subject="", fields=[_BEHAVIOUR], purpose="search", minutes=0)
    row = record_request(
        cell, session, who, staff, asked, subject_id=None, purpose=asked.purpose, reason=reason, now=now
    )
    return Found(reason=reason, request_id=row.request_id)


def sensitive_interest(interests: list[Interest], sought: str) -> str:
    """Name the sensitive interest that a search gives away by one of its words, or nothing.

    Words are compared without case, accents, look-alike widths and what joins them; plain plurals count too.
    """
    plain = f" {' '.join(_words(sought))} "
    joined = plain.replace(" ", "")
    for interest in interests:
        for word in interest.words:
            phrase = " ".join(_words(word))
            # A hashtag runs its words together; a short word would be found inside harmless ones.
            inside = len(phrase) >= 5 and phrase.replace(" ", "") in joined
            if inside or f" {phrase} " in plain or f" {phrase}s " in plain:
                return interest.id
    return ""


def _refusal(interests: list[Interest], by: By, sought: str) -> str:
    text = sought.strip().lower()
    if sensitive_interest(interests, text) and (by != "handle" or not _HANDLE.fullmatch(text.lstrip("@"))):
        return "sensitive-interest"
    if by == "viewers" or text.startswith(("#", "/v/")) or "/v/" in text:
        return "viewer-list"
    if by == "interest" or not _HANDLE.fullmatch(text.removeprefix("@")):
        return "bulk-search"
    return ""


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", bare)
