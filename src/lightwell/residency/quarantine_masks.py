"""What a reviewer sees of stopped texts: what the tripwires find in them, alone or together, is masked."""

from collections.abc import Callable, Sequence
from typing import Final

MASK: Final = "••••••"
Find = Callable[[Sequence[str]], str]
"""Names what texts hold that may not cross, alone or together; empty when nothing."""

_VALUE: Final = ("protected-value", "too-nested")
_LONGEST: Final = 400
_MOST_HITS: Final = 8


def masked(texts: Sequence[str], find: Find) -> list[str]:
    """Return the texts in which `find` finds nothing any more.

    What has a form of its own (an address of e-mail, a number) is masked where it stands. A marked value is
    known by its beginning only, so the text that holds one is masked whole; so is each of several texts that
    give a value away together.

    Args:
        texts: of one message, in order.
        find: as the gateway looked.
    """
    shown = [_alone(text, find) for text in texts]
    while find(shown):
        culprits = _together(shown, find)
        if not culprits:
            return [MASK if text else "" for text in texts]
        for place in culprits:
            shown[place] = MASK
    return shown


def _alone(text: str, find: Find) -> str:
    for _ in range(_MOST_HITS):
        why = find([text])
        if not why:
            return text
        if why in _VALUE or len(text) > _LONGEST:
            return MASK
        start, end = _where(text, find)
        text = text[:start] + MASK + text[end:]
    return MASK if find([text]) else text


def _where(text: str, find: Find) -> tuple[int, int]:
    """Return the stretch of whole words in which something is found."""
    end = next(end for end in range(1, len(text) + 1) if end == len(text) or find([text[:end]]))
    while end < len(text) and not text[end].isspace():
        end += 1
    start = next(start for start in range(end - 1, -1, -1) if not start or find([text[start:end]]))
    while start and not text[start - 1].isspace():
        start -= 1
    return start, end


def _together(texts: list[str], find: Find) -> list[int]:
    """Return the places of few texts that still give something away; none if they are masks already."""
    needed = list(range(len(texts)))
    for place in range(len(texts)):
        rest = [one for one in needed if one != place]
        if find([texts[one] for one in rest]):
            needed = rest
    return [place for place in needed if texts[place] not in ("", MASK)]
