"""Founds a small real cell in a folder, the way a deployment does, without other cells or processes."""

import secrets
import shutil
from pathlib import Path

from lightwell.agreement.roster import Seat, dump_roster
from lightwell.base.settings import CellSettings, write
from lightwell.product import feed
from lightwell.residency.cell import Cell
from lightwell.residency.keys import KeyVault
from lightwell.wire.keys import SigningKey

AGREEMENTS = Path(__file__).parents[2] / "agreements"


def fresh_key(name: str) -> SigningKey:
    """Make an Ed25519 key of this name."""
    return SigningKey.generate(name, secrets.token_bytes(32))


def found_cell(
    folder: Path, database_url: str, name: str = "us", seats: list[Seat] | None = None, keys: str = "file"
) -> Cell:
    """Create keys, roster, settings and tables of a cell, adopt its ranking policy, and open it.

    Args:
        folder: where it will lie; made here.
        database_url: an empty database.
        name: the cell's name and region.
        seats: further seats of the roster, such as an authority or another cell's gateway.
        keys: where its root keys are.
    """
    folder.mkdir(parents=True)
    vault = KeyVault.create(folder, name, keys)
    cleanroom = fresh_key(f"cleanroom-{name}")
    own = [
        Seat("ledger", f"lightwell/{name}", vault.signing_key("ledger").verifier().vkey(), name),
        Seat("gateway", f"gateway-{name}", vault.signing_key("gateway").verifier().vkey(), name),
        Seat("cleanroom", f"cleanroom-{name}", cleanroom.verifier().vkey(), name),
    ]
    (folder / "cleanroom.key").write_text(cleanroom.text())
    (folder / "roster.toml").write_text(dump_roster([*own, *(seats or [])]), "utf-8")
    shutil.copy(AGREEMENTS / "us-2022-draft.toml", folder / "agreement.toml")
    write(
        CellSettings(
            cell=name,
            region=name,
            url="http://127.0.0.1:1",
            folder=folder,
            database=database_url,
            keys=keys,
            cleanroom_vkey=cleanroom.verifier().vkey(),
        )
    )
    cell = Cell.open(folder)
    cell.database.create_all()
    with cell.database.write() as session:
        feed.ensure_policy(session)
    return cell
