import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwell.base.labels import UnlabelledError
from lightwell.residency.cell import Cell, CellError
from lightwell.residency.decide import Permit, Principal, Refused, Resource
from lightwell.residency.keys import KeyDestroyedError, KeyVault, SealError, VaultError
from lightwell.residency.labels import declare_object
from tests.unit.residency.two_cells import World, found_world

ANA, BEN = "a" * 16, "b" * 16
declare_object("test-notes", "part", "user.contact.email")
PLACE = ("test-notes", "part", "row-1")


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    made = found_world(tmp_path, database_url)
    for cell in (made.us, made.sg):
        with cell.database.write() as session:
            cell.vault.new_account_key(session, ANA)
            cell.vault.new_account_key(session, BEN)
    yield made
    made.us.close()
    made.sg.close()


def permit_of(cell: Cell, owner: str = ANA, category: str = "user.contact.email") -> Permit:
    principal = Principal(kind="account", id=owner, role="self")
    return cell.decider.decide(principal, "use_own", Resource(category=category, owner=owner))


def sealed_by(cell: Cell, text: bytes = b"ana@example.org") -> bytes:
    with cell.database.read() as session:
        return cell.vault.seal(session, ANA, *PLACE, text)


def open_in(cell: Cell, sealed: bytes, permit: Permit | None = None, place: tuple[str, ...] = PLACE) -> bytes:
    with cell.database.read() as session:
        return cell.vault.unseal(permit or permit_of(cell), session, ANA, *place, sealed)


def test_sealed_value_opens_under_a_permit(world: World) -> None:
    sealed = sealed_by(world.us)
    assert b"ana" not in sealed
    assert open_in(world.us, sealed) == b"ana@example.org"


def test_unseal_without_a_permit_is_refused(world: World) -> None:
    sealed = sealed_by(world.us)
    with world.us.database.read() as session, pytest.raises(TypeError):
        world.us.vault.unseal(None, session, ANA, *PLACE, sealed)  # type: ignore[arg-type]


def test_permit_of_another_account_opens_nothing(world: World) -> None:
    with pytest.raises(Refused):
        open_in(world.us, sealed_by(world.us), permit_of(world.us, BEN))


def test_permit_for_another_category_opens_nothing(world: World) -> None:
    with pytest.raises(Refused):
        open_in(world.us, sealed_by(world.us), permit_of(world.us, category="user.device"))


@pytest.mark.parametrize("row", ["row-2", "row-1 "])
def test_sealed_value_does_not_open_in_another_row(world: World, row: str) -> None:
    with pytest.raises(SealError):
        open_in(world.us, sealed_by(world.us), place=(*PLACE[:2], row))


def test_sealed_value_does_not_open_in_another_cell(world: World) -> None:
    with pytest.raises(SealError):
        open_in(world.sg, sealed_by(world.us))


def test_any_altered_byte_is_noticed(world: World) -> None:
    sealed = sealed_by(world.us)
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(SealError):
            open_in(world.us, bytes(altered))
    with pytest.raises(SealError):
        open_in(world.us, sealed[:20])


def test_place_without_a_label_is_not_sealed(world: World) -> None:
    with world.us.database.read() as session, pytest.raises(UnlabelledError):
        world.us.vault.seal(session, ANA, "nowhere", "part", "1", b"x")


def test_destroyed_key_opens_nothing_again(world: World) -> None:
    sealed = sealed_by(world.us)
    with world.us.database.write() as session:
        world.us.vault.destroy(session, ANA)
    with pytest.raises(KeyDestroyedError):
        open_in(world.us, sealed)
    with pytest.raises(KeyDestroyedError):
        sealed_by(world.us)


def test_key_survives_a_restart(world: World) -> None:
    sealed = sealed_by(world.us)
    again = Cell.open(world.us.settings.folder)
    assert open_in(again, sealed) == b"ana@example.org"
    again.close()


def test_database_restored_beside_another_vault_does_not_open(world: World, tmp_path: Path) -> None:
    thief = KeyVault.create(tmp_path / "elsewhere", "us")
    with world.us.database.read() as session, pytest.raises(VaultError):
        thief.unseal(permit_of(world.us), session, ANA, *PLACE, sealed_by(world.us))


def test_blind_index_ignores_case_and_differs_by_name_and_cell(world: World) -> None:
    vault = world.us.vault
    assert vault.blind_index("accounts.email", " Ana@Example.org") == vault.blind_index(
        "accounts.email", "ana@example.org"
    )
    assert vault.blind_index("accounts.phone", "x") != vault.blind_index("accounts.email", "x")
    assert vault.blind_index("accounts.email", "x") != world.sg.vault.blind_index("accounts.email", "x")


def test_vault_is_never_overwritten_and_is_readable_by_its_user_only(world: World) -> None:
    folder = world.us.settings.folder
    with pytest.raises(VaultError):
        KeyVault.create(folder, "us")
    assert [file.stat().st_mode & 0o077 for file in (folder / "keys").iterdir()] == [0] * 5


def test_cell_with_another_cells_keys_does_not_open(world: World) -> None:
    here, there = world.us.settings.folder / "keys", world.sg.settings.folder / "keys"
    for file in there.iterdir():
        (here / file.name).write_bytes(file.read_bytes())
    with pytest.raises(CellError, match="keys"):
        Cell.open(world.us.settings.folder)


def test_seal_and_unseal_take_tens_of_microseconds(world: World) -> None:
    permit, vault = permit_of(world.us), world.us.vault
    with world.us.database.read() as session:
        sealed = vault.seal(session, ANA, *PLACE, b"x" * 2000)
        best = 1.0
        for _ in range(5):
            begun = time.perf_counter()
            for _ in range(200):
                vault.seal(session, ANA, *PLACE, b"x" * 2000)
                vault.unseal(permit, session, ANA, *PLACE, sealed)
            best = min(best, (time.perf_counter() - begun) / 400)
    assert best < 100e-6
