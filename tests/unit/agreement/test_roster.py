"""Rosters: what is written is read back, and no key holds two seats."""

import pytest

from lightwell.agreement.load import AgreementError
from lightwell.agreement.roster import Seat, dump_roster, parse_roster, roster_digest, seats_of
from lightwell.wire.keys import SigningKey


def key(name: str, byte: int) -> str:
    return SigningKey.generate(name, bytes([byte]) * 32).verifier().vkey()


SEATS = [
    Seat("authority", "The authority", key("authority", 1)),
    Seat("board", "Ines", key("board/ines", 2)),
    Seat("ledger", "us", key("lightwell/us", 3), "us"),
    Seat("ledger", "sg", key("lightwell/sg", 4), "sg"),
]


def test_a_roster_reads_back_as_it_was_written() -> None:
    assert parse_roster(dump_roster(SEATS)) == SEATS
    assert parse_roster(dump_roster([])) == []


def test_seats_of_a_cell_are_its_own_and_those_of_all() -> None:
    assert [seat.name for seat in seats_of(SEATS, "ledger", "us")] == ["us"]
    assert [seat.name for seat in seats_of(SEATS, "authority", "us")] == ["The authority"]


def test_one_key_in_two_seats_is_refused_with_its_line() -> None:
    twice = [*SEATS, Seat("board", "Ines again", SEATS[1].vkey)]
    with pytest.raises(AgreementError, match="same key") as caught:
        parse_roster(dump_roster(twice))
    text = dump_roster(twice).splitlines()
    assert text[caught.value.line - 1].startswith("vkey")
    assert caught.value.line > text.index('name = "Ines again"')


def test_a_key_under_another_name_is_still_the_same_key() -> None:
    renamed = "someone+" + SEATS[1].vkey.split("+", 1)[1]
    with pytest.raises(AgreementError, match="same key"):
        parse_roster(dump_roster([*SEATS, Seat("board", "Other", renamed)]))


def test_an_unknown_role_and_a_malformed_key_are_refused() -> None:
    with pytest.raises(AgreementError, match="line"):
        parse_roster('[[seats]]\nrole = "king"\nname = "a"\nvkey = "b"\n')
    with pytest.raises(AgreementError, match="well-formed"):
        parse_roster('[[seats]]\nrole = "board"\nname = "a"\nvkey = "b"\n')


def test_roster_digest_changes_with_a_key() -> None:
    assert roster_digest(SEATS) != roster_digest(SEATS[:-1])
