"""Term S2: it counts when both ledgers tell the same and old copies are erased with their keys."""

from typing import Any

import pytest

from lightwell.agreement.evidence import Evidence
from lightwell.agreement.terms import TermStatus
from lightwell.wire import entries as kinds
from tests.unit.agreement.test_terms import AGREEMENT, HASH, T, judge

DAY = 86_400
FIELDS: dict[str, Any] = {"at": T, "migration": "m", "term": "S2", "accounts": 3, "digest": HASH}


def sent(**changes: Any) -> kinds.MigrationSent:
    return kinds.MigrationSent(**(FIELDS | {"peer": "us"} | changes))


def received(**changes: Any) -> kinds.MigrationReceived:
    return kinds.MigrationReceived(**(FIELDS | {"peer": "sg"} | changes))


def erased(**changes: Any) -> kinds.MigrationErased:
    fields: dict[str, Any] = {
        "at": T,
        "migration": "m",
        "peer": "us",
        "accounts": 3,
        "rows": 90,
        "objects": 6,
        "key_versions": ["1"],
    }
    return kinds.MigrationErased(**(fields | changes))


def at_home(here: list[kinds.Fact], there: list[kinds.Fact], now: int = T) -> TermStatus:
    """Judge the cell that accounts came to."""
    return judge(here, peers={"sg": Evidence(enumerate(there))}, now=now)["S2"]


def at_source(here: list[kinds.Fact], there: list[kinds.Fact], now: int = T) -> TermStatus:
    """Judge the cell that they left."""
    peers = {"us": Evidence(enumerate(there))}
    return judge(here, peers=peers, now=now, region="sg", cell="sg")["S2"]


def test_a_migration_recorded_alike_and_erased_is_met_in_both_cells() -> None:
    home = at_home([received()], [sent(), erased()])
    assert (home.status, home.entries) == ("met", [1])
    assert "3 accounts" in home.why
    source = at_source([sent(), erased()], [received()])
    assert (source.status, source.entries) == ("met", [1])


def test_one_that_is_not_erased_yet_is_no_evidence_until_its_deadline_and_a_breach_after_it() -> None:
    deadline = AGREEMENT.deadline("old-copies-erased")
    assert deadline is not None
    end = T + deadline.days * DAY
    for judged in (
        lambda now: at_home([received()], [sent()], now),
        lambda now: at_source([sent()], [received()], now),
    ):
        assert judged(end).status == "no evidence"
        late = judged(end + 61)
        assert late.status == "breached"
        assert "not erased by the deadline" in late.why


def test_without_the_other_cells_ledger_nothing_is_known() -> None:
    assert judge([received()], now=T + 400 * DAY)["S2"].status == "no evidence"
    assert judge([sent(peer="sg"), erased(peer="sg")], region="sg", cell="sg")["S2"].status == "no evidence"


@pytest.mark.parametrize(
    ("here", "there", "what"),
    [
        ([received()], [sent(digest="cd" * 32), erased()], "different accounts"),
        ([received(accounts=2)], [sent(), erased()], "different accounts"),
        ([received()], [sent(term="S1"), erased()], "different terms"),
        ([received()], [sent(), erased(accounts=2)], "2 of 3 accounts"),
        ([received()], [sent(), erased(key_versions=[])], "no key that their backups need"),
        ([received()], [sent(), erased(at=T - 60)], "before they had come home"),
        ([received()], [sent(), erased(at=T + 31 * DAY)], "after the deadline"),
        ([received(), received()], [sent(), erased()], "recorded twice"),
        ([received(term="Z9")], [], "no term of the agreement"),
        ([sent(peer="sg")], [], "people's data of us was moved to sg"),
    ],
)
def test_a_migration_that_does_not_add_up_is_a_breach(
    here: list[kinds.Fact], there: list[kinds.Fact], what: str
) -> None:
    found = at_home(here, there)
    assert found.status == "breached"
    assert what in found.why


def test_what_was_given_and_never_taken_in_is_a_breach_once_the_other_ledger_has_gone_on() -> None:
    def there(at: int) -> list[kinds.Fact]:
        return [kinds.ConnectionRefused(at=at, process="web", reason="x")]

    grace = AGREEMENT.limits.transfer_pairing_seconds.value
    assert at_source([sent(), erased()], there(T + grace)).status == "no evidence"
    assert "never recorded" in at_source([sent(), erased()], there(T + grace + 1)).why
    assert "no entry gives" in at_source([erased()], []).why
