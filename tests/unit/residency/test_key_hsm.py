"""Root keys in a PKCS#11 module (SoftHSM): same vault, but no key that could be copied with the folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import lightwell.product.accounts.models  # noqa: F401  the sealed column
from lightwell.ledger.sequencer import Sequencer
from lightwell.ledger.storage import open_storage
from lightwell.residency import key_rotation
from lightwell.residency.cell import Cell, CellError
from lightwell.residency.decide import Principal, Resource
from lightwell.residency.keys import KeyVault, SealError, VaultError
from lightwell.wire.keys import SigningKey
from tests.conftest import missing
from tests.factories import hsm
from tests.factories.cells import found_cell
from tests.factories.ledger import published_entries

ANA = "a" * 16
PLACE = ("accounts", "email", ANA)

pkcs11 = pytest.importorskip("pkcs11")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if hsm.module() is None:
        missing("SoftHSM")
    folder = tmp_path_factory.mktemp("softhsm")
    hsm.configure(folder)
    # A process sees the tokens that there were when it first asked.
    return [hsm.make_token(folder, f"t{number}") for number in range(16)]


@pytest.fixture
def token(tokens: list[str]) -> str:
    return tokens.pop()


@pytest.fixture
def cell(token: str, tmp_path: Path) -> Iterator[Cell]:
    opened = found_cell(tmp_path / "us", f"sqlite:///{tmp_path / 'cell.db'}", keys=token)
    with opened.database.write() as session:
        opened.vault.new_account_key(session, ANA)
    yield opened
    opened.close()


def seal(cell: Cell) -> bytes:
    with cell.database.read() as session:
        return cell.vault.seal(session, ANA, *PLACE, b"ana@example.org")


def unseal(cell: Cell, vault: KeyVault, sealed: bytes) -> bytes:
    permit = cell.decider.decide(
        Principal(kind="account", id=ANA, role="self"),
        "use_own",
        Resource(category="user.contact.email", owner=ANA),
    )
    with cell.database.read() as session:
        return vault.unseal(permit, session, ANA, *PLACE, sealed)


def test_what_is_sealed_under_a_key_module_opens_after_a_restart(cell: Cell) -> None:
    sealed = seal(cell)
    again = Cell.open(cell.settings.folder)
    assert unseal(cell, again.vault, sealed) == b"ana@example.org"
    assert again.vault.blind_index("a", "x") == cell.vault.blind_index("a", "x")
    again.close()


def test_no_root_key_lies_in_the_cells_folder_or_can_be_read_from_the_module(cell: Cell, token: str) -> None:
    assert [file.name for file in (cell.settings.folder / "keys").iterdir()] == ["name"]
    found = cell.vault.root._token.session.get_objects({pkcs11.Attribute.PRIVATE: True})  # type: ignore[attr-defined]
    private = [key for key in found if key.object_class != pkcs11.ObjectClass.PUBLIC_KEY]
    assert len(private) == 4  # cell key, index key, two signing keys
    for key in private:
        assert key[pkcs11.Attribute.SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.exceptions.PKCS11Error):
            _ = key[pkcs11.Attribute.VALUE]
    with pytest.raises(VaultError):
        cell.vault.signing_key("ledger").text()


def test_database_and_folder_copied_without_the_module_open_nothing(
    cell: Cell, tokens: list[str], tmp_path: Path
) -> None:
    sealed = seal(cell)
    elsewhere = tokens.pop()
    with pytest.raises(VaultError):
        KeyVault.open(cell.settings.folder, elsewhere)
    thief = KeyVault.create(tmp_path / "thief", "us", elsewhere)
    with pytest.raises(VaultError):
        unseal(cell, thief, sealed)


def test_the_ledger_is_signed_in_the_module(cell: Cell) -> None:
    key = cell.vault.signing_key("ledger")
    signature = key.sign(b"message")
    assert key.verifier().verify(b"message", signature)
    assert not key.verifier().verify(b"massage", signature)
    assert isinstance(key, SigningKey)
    sequencer = Sequencer(cell.settings, cell.database, key)
    sequencer.run_once()
    assert published_entries(open_storage(cell.settings))


def test_rotation_in_the_module_destroys_the_old_key_and_loses_nothing(cell: Cell) -> None:
    sealed = seal(cell)
    assert key_rotation.begin(cell) == 2
    while key_rotation.work(cell, pause_seconds=0):
        pass
    key_rotation.work(cell, pause_seconds=0)
    assert cell.vault.root.versions() == [2]
    again = Cell.open(cell.settings.folder)
    assert unseal(cell, again.vault, sealed) == b"ana@example.org"
    again.close()


def test_wrapped_key_does_not_open_for_another_account_in_the_module(cell: Cell) -> None:
    root = cell.vault.root
    wrapped = root.wrap(1, b"k" * 32, b"ana")
    assert root.unwrap(1, wrapped, b"ana") == b"k" * 32
    for bad in (lambda: root.unwrap(1, wrapped, b"ben"), lambda: root.unwrap(9, wrapped, b"ana")):
        with pytest.raises(VaultError):
            bad()


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:token=x",
        "http://example.org",
        "pkcs11:token=x?module-path=/none.so&pin-value=1234",
        "pkcs11:token=x?module-path=/none.so&pin-source=file:/none",
    ],
)
def test_unusable_address_of_a_module_is_one_line(cell: Cell, uri: str) -> None:
    with pytest.raises(VaultError) as raised:
        KeyVault.open(cell.settings.folder, uri)
    assert "1234" not in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_cell_whose_module_is_gone_does_not_open(cell: Cell) -> None:
    file = cell.settings.folder / "cell.toml"
    file.write_text(file.read_text().replace("pkcs11:token=t", "pkcs11:token=gone"))
    with pytest.raises(CellError, match="token"):
        Cell.open(cell.settings.folder)


def test_second_vault_of_a_cell_in_one_token_is_refused(cell: Cell, token: str, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="already"):
        KeyVault.create(tmp_path / "again", "us", token)


def test_sealed_value_of_another_row_does_not_open(cell: Cell) -> None:
    with cell.database.read() as session:
        sealed = cell.vault.seal(session, ANA, "accounts", "email", "other", b"x")
    with pytest.raises(SealError):
        unseal(cell, cell.vault, sealed)
