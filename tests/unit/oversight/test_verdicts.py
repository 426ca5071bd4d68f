"""Verdicts count once, only for slates that are followed; a run is done only when every slate has one."""

import time
from pathlib import Path

import httpx
import pytest

from lightwell.oversight import adopted, audits, verdicts
from lightwell.oversight.follow import Follower
from lightwell.oversight.refusal import VerdictError
from lightwell.oversight.store import Store
from lightwell.oversight.verdicts import LIVE, Verdict, VerdictBatch
from lightwell.wire.checkpoint import Checkpoint, sign
from tests.factories.seen_cell import SeenCell

RUN = "0123456789abcdef"


class Desk:
    def __init__(self, folder: Path) -> None:
        self.cell = SeenCell()
        self.cell.adopt()
        self.cell.serve(4)
        self.store = Store(folder / "oversight.db")
        self.follower = Follower(self.store, "us", "lightwell/us", self.cell.key.verifier(), self.cell.read)
        self.follower.poll()

    def take(self, outcomes: dict[int, str], size: int = 0, run: str = LIVE, **more: object) -> None:
        found = [Verdict(index, outcome) for index, outcome in outcomes.items()]  # type: ignore[arg-type]
        batch = VerdictBatch(cell="us", run=run, audited_size=size, verdicts=found, **more)  # type: ignore[arg-type]
        verdicts.take(self.store, ("lightwell/us", self.cell.key.verifier()), batch)

    def figures(self, run: str | None = None) -> verdicts.ReplayFigures:
        return verdicts.figures(self.store, "us", run)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


ALL = dict.fromkeys(range(3, 7), "identical")


def test_verdicts_sent_twice_count_once(desk: Desk) -> None:
    for _ in range(2):
        desk.take(ALL, 7)
    figures = desk.figures()
    assert (figures.slates, figures.replayed, figures.mismatches, figures.live_size) == (4, 4, 0, 7)


def test_verdict_on_what_is_not_followed_yet_is_409(desk: Desk) -> None:
    with pytest.raises(VerdictError) as refused:
        desk.take({7: "identical"})
    assert (refused.value.status, refused.value.slug) == (409, "not-yet-followed")


def test_verdict_on_an_entry_that_is_no_slate_is_422(desk: Desk) -> None:
    with pytest.raises(VerdictError) as refused:
        desk.take({0: "identical"})
    assert refused.value.status == 422
    assert desk.figures().replayed == 0


def test_size_that_skips_a_slate_is_refused(desk: Desk) -> None:
    with pytest.raises(VerdictError) as refused:
        desk.take({3: "identical", 5: "identical"}, 6)
    assert refused.value.slug == "not-replayed"
    assert desk.figures().replayed == 0


@pytest.mark.parametrize(
    ("outcome", "replayed", "mismatches", "missing"),
    [("differs", 4, 1, 0), ("unopened", 3, 1, 0), ("missing", 3, 0, 1), ("snapshot-missing", 3, 0, 1)],
)
def test_what_is_not_identical_is_counted_and_found(
    desk: Desk, outcome: str, replayed: int, mismatches: int, missing: int
) -> None:
    desk.take(ALL | {5: outcome}, 7)
    figures = desk.figures()
    assert (figures.replayed, figures.mismatches, figures.missing, figures.judged) == (
        replayed,
        mismatches,
        missing,
        4,
    )
    finding = desk.store.findings("us")[0]
    assert (finding.state, finding.entries) == ("breach", [5])


def test_audit_found_later_outweighs_the_live_verdict_and_is_not_covered_up(desk: Desk) -> None:
    desk.take(ALL, 7)
    audits.want_audit(desk.store, "us", RUN)
    desk.take(ALL | {4: "unopened"}, 7, RUN, done=True)
    assert desk.figures().mismatches == 1
    desk.take(ALL, 7)
    assert desk.figures().mismatches == 1


def test_audit_is_finished_when_verdicts_and_files_are(desk: Desk) -> None:
    audits.want_audit(desk.store, "us", RUN)
    assert audits.wanted_audit(desk.store, "us") == RUN
    desk.take(ALL, 7, RUN, done=True)
    assert audits.wanted_audit(desk.store, "us") is None
    assert desk.figures(RUN).run == LIVE
    with desk.store.write() as db:
        db.execute("UPDATE runs SET tiles_done_at = 1 WHERE run = ?", (RUN,))
    figures = desk.figures(RUN)
    assert (figures.run, figures.audited_size, figures.slates, figures.replayed) == (RUN, 7, 4, 4)


def test_audit_that_is_over_or_unknown_takes_no_verdicts(desk: Desk) -> None:
    with pytest.raises(VerdictError) as refused:
        desk.take(ALL, 7, RUN)
    assert refused.value.status == 404
    audits.want_audit(desk.store, "us", RUN)
    desk.take(ALL, 7, RUN, done=True)
    with pytest.raises(VerdictError) as refused:
        desk.take(ALL, 7, RUN)
    assert refused.value.slug == "run-is-over"


def test_audits_are_not_asked_for_in_a_rush(desk: Desk) -> None:
    audits.want_audit(desk.store, "us", RUN)
    with pytest.raises(VerdictError) as refused:
        audits.want_audit(desk.store, "us", "f" * 16)
    assert refused.value.status == 429


def test_two_views_of_one_ledger_are_found_when_they_meet(desk: Desk) -> None:
    shown = sign(Checkpoint("lightwell/us", 5, b"\5" * 32), desk.cell.key)
    with pytest.raises(VerdictError) as refused:
        desk.take({}, 0, checkpoint=shown)
    assert refused.value.slug == "split-view"
    assert desk.store.findings("us")[0].title == "The ledger shows two readers different trees"


def test_problems_of_an_audit_become_findings(desk: Desk) -> None:
    desk.take({}, 0, problems=["tile/0/000.p/7: differs from the entries"])
    finding = desk.store.findings("us", "ledger")[0]
    assert "tile/0/000.p/7" in finding.detail


def test_a_snapshot_need_not_be_kept_for_longer_than_the_agreement_says(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with httpx.Client(transport=httpx.MockTransport(desk.cell.handler)) as client:
        adopted.refresh(desk.store, "us", "http://us.example", client)
    held = adopted.adopted(desk.store, "us")
    assert held is not None
    desk.take({3: "identical"}, 4)
    now, days = time.time(), held.agreement.limits.slate_replay_days.value
    # Within the days it is missing, and a breach; after them it is excused, and nothing found before is.
    monkeypatch.setattr(verdicts.time, "time", lambda: now + (days - 1) * 86_400)
    desk.take({4: "snapshot-missing"}, 5)
    monkeypatch.setattr(verdicts.time, "time", lambda: now + (days + 1) * 86_400)
    audits.want_audit(desk.store, "us", RUN)
    desk.take(dict.fromkeys(range(3, 7), "snapshot-missing"), 7, RUN)
    figures = desk.figures()
    assert (figures.replayed, figures.missing, figures.judged) == (1, 1, 4)
    assert [finding.entries for finding in desk.store.findings("us")] == [[4]]
    with pytest.raises(VerdictError) as refused:
        desk.take({5: "not-kept"}, 7, RUN)
    assert refused.value.slug == "not-for-clean-rooms"
