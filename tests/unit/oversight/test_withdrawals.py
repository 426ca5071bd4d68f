"""A record leaves out as withdrawn only what an entry before it takes back; no slate shows it afterwards."""

import json
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from lightwell.oversight.cleanroom import CleanRoom
from lightwell.oversight.refusal import VerdictError
from lightwell.oversight.replay import SlateRecord, Sources, judge
from lightwell.oversight.verdicts import VerdictBatch, take
from lightwell.oversight.withdrawals import BATCH_ENTRIES, LATE_SECONDS, OpenedWithdrawal, Withdrawals
from lightwell.wire import commitment, entries
from lightwell.wire.keys import Verifier
from tests.factories.seen_cell import SeenCell, cleanroom_settings

NOW = 1_760_000_040


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.adopt()
    return cell


def shown_by(cell: SeenCell, entry: entries.SlateServed) -> list[str]:
    items = json.loads(cell.records[entry.commitment]["slate"])["items"]
    return [item["video"] for item in items]


def known(cell: SeenCell, *, shuffled: bool = False) -> Withdrawals:
    found = [
        (index, entry)
        for index, data in enumerate(cell.entries)
        if isinstance(entry := entries.decode(data), entries.VideoWithdrawn)
    ]
    withdrawals = Withdrawals(shuffled=shuffled)
    opened = [msgspec.convert(one, OpenedWithdrawal) for one in cell.withdrawals.values()]
    withdrawals.take(found, opened, len(cell.entries))
    return withdrawals


def verdict(cell: SeenCell, index: int, entry: entries.SlateServed, *, shuffled: bool = False) -> str:
    records = {name: msgspec.convert(record, SlateRecord) for name, record in cell.records.items()}
    sources = Sources(lambda kind, digest: cell.sources.get((kind, digest)))
    return judge([(index, entry)], records, sources, cell.name, known(cell, shuffled=shuffled))[0].outcome


def test_a_video_that_an_entry_takes_back_may_be_left_out(cell: SeenCell) -> None:
    video = shown_by(cell, cell.slate(1))[0]
    cell.withdraw(video)
    entry = cell.slate(1, withdrawn=[video])
    assert video not in shown_by(cell, entry)
    assert verdict(cell, cell.add(entry), entry) == "identical"


def test_leaving_out_a_video_that_nobody_took_back_is_found(cell: SeenCell) -> None:
    honest = shown_by(cell, cell.slate(1))
    entry = cell.slate(1, withdrawn=[honest[0]])
    index = cell.add(entry)
    assert verdict(cell, index, entry) == "withdrawal-unproven"
    # Neither another video's entry proves it, nor one that comes later.
    cell.withdraw(honest[1])
    assert verdict(cell, index, entry) == "withdrawal-unproven"
    cell.withdraw(honest[0])
    assert verdict(cell, index, entry) == "withdrawal-unproven"


def test_one_unproven_video_among_proven_ones_is_found(cell: SeenCell) -> None:
    one, other = shown_by(cell, cell.slate(1))[:2]
    cell.withdraw(one)
    entry = cell.slate(1, withdrawn=sorted([one, other]))
    assert verdict(cell, cell.add(entry), entry) == "withdrawal-unproven"


def test_an_entry_of_the_same_shuffled_batch_counts_as_before(cell: SeenCell) -> None:
    video = shown_by(cell, cell.slate(1))[0]
    entry = cell.slate(1, withdrawn=[video])
    index = cell.add(entry)
    later = cell.withdraw(video)
    assert verdict(cell, index, entry, shuffled=True) == "identical"
    assert verdict(cell, later - BATCH_ENTRIES, entry, shuffled=True) == "withdrawal-unproven"


def test_an_entry_opened_to_another_video_proves_nothing(cell: SeenCell) -> None:
    one, other = shown_by(cell, cell.slate(1))[:2]
    cell.withdraw(one)
    (said,) = cell.withdrawals.values()
    said["video"] = other
    entry = cell.slate(1, withdrawn=[other])
    index = cell.add(entry)
    assert known(cell).unopened == [index - 1]
    assert verdict(cell, index, entry) == "withdrawal-unproven"


def test_a_publication_cannot_be_passed_off_as_a_withdrawal(cell: SeenCell) -> None:
    video = shown_by(cell, cell.slate(1))[0]
    opening = b"o" * 16
    made = commitment.commit("video", opening, entries.withdrawal_digest(video)).hex()
    cell.add(entries.VideoWithdrawn(at=entries.minute(NOW), commitment=made))
    cell.withdrawals[made] = {"commitment": made, "video": video, "opening": opening.hex()}
    entry = cell.slate(1, withdrawn=[video])
    assert verdict(cell, cell.add(entry), entry) == "withdrawal-unproven"


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(LATE_SECONDS, "withdrawn-shown"), (LATE_SECONDS - 60, "identical")]
)
def test_a_slate_that_shows_what_was_taken_back_long_before_is_found(
    cell: SeenCell, seconds: int, outcome: str
) -> None:
    entry = cell.slate(1)
    cell.withdraw(shown_by(cell, entry)[2], at=entry.at - seconds)
    assert verdict(cell, cell.add(entry), entry) == outcome


def test_what_is_taken_back_after_a_slate_is_not_held_against_it(cell: SeenCell) -> None:
    entry = cell.slate(1)
    index = cell.add(entry)
    cell.withdraw(shown_by(cell, entry)[0], at=entry.at - 10 * LATE_SECONDS)
    assert verdict(cell, index, entry) == "identical"


class Room:
    """A clean room between a cell and an oversight server that notes what it is told."""

    def __init__(self, folder: Path, cell: SeenCell) -> None:
        self.cell = cell
        self.batches: list[VerdictBatch] = []
        settings = cleanroom_settings(folder / "room", cell, "http://oversight.test")
        self.room = CleanRoom(settings, httpx.Client(transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "oversight.test":
            return self.cell.handler(request)
        if request.method == "POST":
            self.batches.append(msgspec.json.decode(request.content, type=VerdictBatch))
        return httpx.Response(200, json={"run": None})

    def outcomes(self) -> list[str]:
        return [verdict.outcome for batch in self.batches for verdict in batch.verdicts]


def test_the_clean_room_learns_withdrawals_from_the_ledger_and_holds_slates_to_them(
    cell: SeenCell, tmp_path: Path
) -> None:
    room = Room(tmp_path, cell)
    first, second = shown_by(cell, cell.slate(1))[:2]
    cell.withdraw(first, at=int(time.time()) - 10 * LATE_SECONDS)
    honest, hiding = cell.slate(1, withdrawn=[first]), cell.slate(2, withdrawn=[second])
    cell.add(honest, hiding)
    room.room.step()
    assert room.outcomes() == ["identical", "withdrawal-unproven"]
    # Then the cell goes on showing what its maker took back.
    showing = cell.slate(1)
    assert first in shown_by(cell, showing)
    cell.add(showing)
    room.room.step()
    assert room.outcomes() == ["identical", "withdrawal-unproven", "withdrawn-shown"]
    room.batches.clear()
    room.room.audit("0" * 16)
    assert room.outcomes() == ["identical", "withdrawal-unproven", "withdrawn-shown"]
    assert not any(batch.unopened_withdrawals for batch in room.batches)


def test_more_withdrawals_than_are_asked_for_at_once_are_all_learnt(cell: SeenCell, tmp_path: Path) -> None:
    room = Room(tmp_path, cell)
    video = shown_by(cell, cell.slate(1))[0]
    for number in range(230):
        cell.withdraw(f"{number:016x}")
    cell.withdraw(video)
    cell.add(cell.slate(1, withdrawn=[f"{229:016x}", video]))
    room.room.step()
    assert room.outcomes() == ["identical"]


def test_a_cell_that_does_not_open_a_withdrawal_is_reported(cell: SeenCell, tmp_path: Path) -> None:
    room = Room(tmp_path, cell)
    index = cell.withdraw("00000000000000aa", opens=False)
    cell.serve(1)
    room.room.step()
    assert room.batches[-1].unopened_withdrawals == [index]


def test_what_the_monitor_is_told_of_withdrawals_becomes_findings(cell: SeenCell, tmp_path: Path) -> None:
    index = cell.withdraw("00000000000000aa", opens=False)
    entry = cell.slate(1, withdrawn=["00000000000000bb"])
    slate = cell.add(entry)
    room = Room(tmp_path, cell)
    # The monitor follows by itself; the clean room's store is as good as its own here.
    room.room.step()
    store = room.room.store
    ledger = ("lightwell/us", Verifier.from_vkey(cell.key.verifier().vkey()))
    take(store, ledger, room.batches[-1])
    found = {finding.key: finding.entries for finding in store.findings("us")}
    assert found == {"replay-withdrawal-unproven": [slate], "withdrawals-unopened": [index]}
    wrong = msgspec.structs.replace(room.batches[-1], unopened_withdrawals=[slate])
    with pytest.raises(VerdictError, match="not that of a withdrawal"):
        take(store, ledger, wrong)
