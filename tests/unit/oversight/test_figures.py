"""What the console says of replay is never more than what was replayed."""

import pytest

from lightwell.oversight.figures import replay_words
from lightwell.oversight.verdicts import ReplayFigures


@pytest.mark.parametrize(
    ("slates", "replayed", "mismatches", "missing", "share", "word", "tone"),
    [
        (0, 0, 0, 0, "–", "no evidence", "unknown"),
        (10, 10, 0, 0, "100 %", "exact", "proof"),
        (10, 9, 0, 0, "90.0 %", "1 waiting", "unknown"),
        (10, 8, 1, 1, "80.0 %", "2 wrong", "breach"),
        (100_000, 99_999, 0, 0, "99.9 %", "1 waiting", "unknown"),
    ],
)
def test_replay_is_called_exact_only_when_every_slate_was_replayed(
    slates: int, replayed: int, mismatches: int, missing: int, share: str, word: str, tone: str
) -> None:
    figures = ReplayFigures(
        tree_size=slates,
        slates=slates,
        replayed=replayed,
        mismatches=mismatches,
        missing=missing,
        audited_size=0,
        run="",
    )
    assert replay_words(figures) == {"share": share, "word": word, "tone": tone}
