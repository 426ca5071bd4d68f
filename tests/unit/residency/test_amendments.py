"""Amending: only the parties' signatures bring another agreement into force, then everywhere, for good."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from lightwell.agreement import signing
from lightwell.agreement.load import digest, parse
from lightwell.agreement.orders import make_order
from lightwell.agreement.roster import Seat, dump_roster, parse_roster
from lightwell.agreement.signing import Settled
from lightwell.base.errors import Problem
from lightwell.ledger.models import LedgerEntry
from lightwell.residency import amendments, in_force
from lightwell.residency.cell import Cell, CellError, Governed, InForce
from lightwell.wire.entries import AgreementAdopted, decode
from lightwell.wire.keys import SigningKey
from tests.factories.cells import found_cell, fresh_key

Keys = dict[str, SigningKey]
PARTIES = ("operator", "parent", "partner", "authority")


class Amended:
    """A founded cell whose roster seats every party, with their keys."""

    def __init__(self, folder: Path) -> None:
        self.keys = {role: fresh_key(f"key-{role}") for role in PARTIES}
        seats = [Seat(role, f"The {role}", key.verifier().vkey()) for role, key in self.keys.items()]  # type: ignore[arg-type]
        self.folder = folder
        self.cell = found_cell(folder, f"sqlite:///{folder}/cell.db", seats=seats)
        with self.cell.database.write() as session:
            amendments.found(self.cell, session)

    def text(self, version: int = 2, old: str = "value = 60,", new: str = "value = 30,") -> str:
        text = self.cell.agreement_text
        assert old in text
        return text.replace("version = 1", f"version = {version}", 1).replace(old, new, 1)

    def paper(self, text: str, *roles: str, roster: str = "", keys: Keys | None = None) -> str:
        new = Settled(parse(text), parse_roster(roster or self.cell.roster_text))
        said = signing.paper_text(new, amends=digest(self.cell.agreement))
        note = ""
        for role in roles or PARTIES:
            note = signing.sign_paper(said, (keys or self.keys)[role], note)
        return note

    def amend(self, text: str, paper: str, roster: str = "") -> AgreementAdopted:
        return amendments.amend(self.cell, text, roster or self.cell.roster_text, paper)

    def refusal(self, text: str, paper: str, roster: str = "") -> str:
        before = self.entries()
        with pytest.raises(Problem) as caught:
            self.amend(text, paper, roster)
        assert self.entries() == before
        assert self.cell.agreement.version == 1
        return str(caught.value.document().get("reason", caught.value.slug))

    def entries(self) -> int:
        with self.cell.database.read() as session:
            return session.scalar(select(func.count()).select_from(LedgerEntry)) or 0

    def newest_entry(self) -> AgreementAdopted:
        with self.cell.database.read() as session:
            data = session.scalars(select(LedgerEntry.entry).order_by(LedgerEntry.entry_id.desc())).first()
        assert data is not None
        found = decode(data)
        assert isinstance(found, AgreementAdopted)
        return found


@pytest.fixture
def world(tmp_path: Path) -> Amended:
    return Amended(tmp_path / "us")


def test_an_amendment_signed_by_all_parties_is_an_entry_with_their_signatures(world: Amended) -> None:
    before = digest(world.cell.agreement)
    text = world.text()
    world.amend(text, world.paper(text))
    entry = world.newest_entry()
    assert (entry.version, entry.amends, entry.digest) == (2, before, digest(parse(text)))
    assert entry.parties == list(PARTIES)
    assert world.cell.agreement.limits.max_grant_minutes.value == 30
    assert world.cell.decider.agreement.version == 2
    assert (world.folder / "agreement.toml").read_text("utf-8") == text


@pytest.mark.parametrize("absent", PARTIES)
def test_an_amendment_that_one_party_has_not_signed_is_refused(world: Amended, absent: str) -> None:
    text = world.text()
    paper = world.paper(text, *(role for role in PARTIES if role != absent))
    assert world.refusal(text, paper) == "too-few-signatures"


def test_an_unsigned_amendment_is_refused(world: Amended) -> None:
    text = world.text()
    assert world.refusal(text, "") == "malformed"
    stranger = {role: fresh_key(f"key-{role}") for role in PARTIES}
    assert world.refusal(text, world.paper(text, keys=stranger)) == "too-few-signatures"


def test_a_signature_that_does_not_verify_is_refused(world: Amended) -> None:
    text = world.text()
    other = world.paper(world.text(new="value = 45,"))
    paper = world.paper(text).split("\n\n")[0] + "\n\n" + other.split("\n\n")[1]
    assert world.refusal(text, paper) == "bad-signature"


def test_signatures_under_another_text_or_another_roster_do_not_count(world: Amended) -> None:
    text = world.text()
    paper = world.paper(text)
    assert world.refusal(world.text(new="value = 45,"), paper) == "another-paper"
    roster = dump_roster([*world.cell.roster, Seat("board", "New", fresh_key("new").verifier().vkey())])
    assert world.refusal(text, paper, roster) == "another-paper"


def test_new_keys_of_the_parties_do_not_sign_away_the_old_ones(world: Amended) -> None:
    taken = {role: fresh_key(f"taken-{role}") for role in PARTIES}
    seats = [seat for seat in world.cell.roster if seat.role not in PARTIES]
    seats += [Seat(role, f"The {role}", key.verifier().vkey()) for role, key in taken.items()]  # type: ignore[arg-type]
    text, roster = world.text(), dump_roster(seats)
    assert world.refusal(text, world.paper(text, roster=roster, keys=taken), roster) == "too-few-signatures"


@pytest.mark.parametrize("version", [1, 3])
def test_a_version_that_does_not_follow_is_refused(world: Amended, version: int) -> None:
    text = world.text(version)
    assert world.refusal(text, world.paper(text)) == "version-does-not-follow"


def test_an_amendment_taken_once_is_not_taken_again(world: Amended) -> None:
    text = world.text()
    paper = world.paper(text)
    world.amend(text, paper)
    with pytest.raises(Problem, match="does not amend"):
        world.amend(text, paper)


def test_an_amendment_under_which_labels_would_be_too_weak_is_refused(world: Amended) -> None:
    # Public names become protected, but this software stores them in clear.
    text = world.text(old='categories = ["user.account.username", ', new="categories = [")
    text = text.replace('["system", "user.account.username", ', '["system", ')
    assert world.refusal(text, world.paper(text)) == "weaker-labels"


def test_an_amendment_that_takes_the_cells_own_seat_away_is_refused(world: Amended) -> None:
    roster = dump_roster([seat for seat in world.cell.roster if seat.role != "ledger"])
    text = world.text()
    assert world.refusal(text, world.paper(text, roster=roster), roster) == "keys-lost"


def test_an_order_that_forbids_amendments_is_obeyed(world: Amended) -> None:
    order = make_order(
        world.keys["authority"],
        order="ab" * 8,
        verb="suspend",
        scope="amendments",
        cell="us",
        sequence=1,
        issued_at=int(time.time()),
        reason="Not now.",
    )
    in_force.take(world.cell, order)
    text = world.text()
    assert world.refusal(text, world.paper(text)) == "suspended-by-order"


def test_every_process_takes_an_amendment_up(world: Amended) -> None:
    cell = world.cell
    governed = Governed.read(cell.settings, cell.vault, cell.agreement_text, cell.roster_text)
    other = replace(cell, governed=InForce(governed))
    watch = amendments.AmendmentWatch(other)
    assert not watch.look()
    text = world.text()
    world.amend(text, world.paper(text))
    assert other.decider.agreement.version == 1
    assert watch.look()
    assert other.decider.agreement.version == 2


def test_an_amendment_survives_a_restart_though_its_files_were_not_written(world: Amended) -> None:
    old = world.cell.agreement_text
    text = world.text()
    world.amend(text, world.paper(text))
    world.cell.close()
    (world.folder / "agreement.toml").write_text(old, "utf-8")
    opened = Cell.open(world.folder)
    amendments.settle(opened)
    assert opened.agreement.version == 2
    assert (world.folder / "agreement.toml").read_text("utf-8") == text
    opened.close()


def test_a_cell_whose_agreement_somebody_edited_does_not_start(world: Amended) -> None:
    world.cell.close()
    (world.folder / "agreement.toml").write_text(world.text(version=1), "utf-8")
    opened = Cell.open(world.folder)
    with pytest.raises(CellError, match="not one that was adopted"):
        amendments.settle(opened)
    opened.close()


def test_a_founding_paper_names_the_ranking_policy_and_all_its_signers(tmp_path: Path) -> None:
    world = Amended(tmp_path / "us")
    settled = Settled(world.cell.agreement, world.cell.roster)
    note = ""
    for role in PARTIES:
        note = signing.sign_paper(signing.paper_text(settled, policy="ab" * 32), world.keys[role], note)
    signed = signing.check_founding(settled, note, "ab" * 32)
    assert list(signed) == list(PARTIES)
    with pytest.raises(signing.SigningError, match="another"):
        signing.check_founding(settled, note, "cd" * 32)
    entry = signing.adopted_entry(settled, 1, signed, policy="ab" * 32)
    assert not signing.faults_of(entry, settled, None)
