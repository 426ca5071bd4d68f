"""One open cell: its settings, stores, keys, agreement and doors, each opened from its folder alone."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

from lightwell.agreement.load import AgreementError, parse
from lightwell.agreement.model import Agreement
from lightwell.agreement.roster import Seat, parse_roster, seats_of
from lightwell.base.db import Database
from lightwell.base.objects import Objects
from lightwell.base.settings import CellSettings, SettingsError, load
from lightwell.base.stream import Stream
from lightwell.ledger.sequencer import policy_of
from lightwell.residency.decide import Decider
from lightwell.residency.doors import Doors
from lightwell.residency.keys import KeyVault, VaultError

GATEWAY: Final = "gateway"
"""The name of the one process that may connect to other cells."""

Parsed = TypeVar("Parsed")


class CellError(ValueError):
    """A cell's folder is incomplete or contradicts itself; the message is one line for its operator."""


@dataclass(frozen=True)
class Governed:
    """What a cell runs under: an agreement, who holds which key, and the decider made from both."""

    agreement: Agreement
    agreement_text: str
    roster: list[Seat]
    roster_text: str
    decider: Decider

    @classmethod
    def read(cls, settings: CellSettings, vault: KeyVault, agreement_text: str, roster_text: str) -> Self:
        """Read both texts for the cell of these settings and keys.

        Raises:
            CellError: one is malformed, or keys, roster and settings disagree.
        """
        agreement = _parsed(settings.agreement, parse, agreement_text)
        roster = _parsed(settings.roster, parse_roster, roster_text)
        for name in ("ledger", "gateway"):
            vkey = vault.signing_key(name).verifier().vkey()
            if vkey not in {seat.vkey for seat in seats_of(roster, name, settings.cell)}:
                raise CellError(f"the roster gives this cell's {name} seat to another key")
        try:
            decider = Decider(agreement, settings.region)
        except ValueError as error:
            raise CellError(str(error)) from error
        return cls(agreement, agreement_text, roster, roster_text, decider)


class InForce:
    """Holds what a cell's process runs under; taking up another replaces all of it in one step."""

    def __init__(self, governed: Governed) -> None:
        self.now = governed


@dataclass(frozen=True)
class Cell:
    """What the code of a cell works with; one for each process."""

    settings: CellSettings
    database: Database
    objects: Objects
    vault: KeyVault
    governed: InForce
    doors: Doors
    stream: Stream | None = None
    """Where viewers' events are kept, unless it is the database."""

    @classmethod
    def open(cls, folder: Path, process: str = "cell") -> Self:
        """Open the cell whose `cell.toml` lies in `folder`.

        The doors are made, not installed: the process that opened the cell does that first of all.

        Args:
            folder: the cell's folder.
            process: the name of the opening process in the ledger ("web", "worker").

        Raises:
            CellError: a file is missing or malformed, or keys, roster and settings disagree.
        """
        try:
            settings = load(folder)
            vault = KeyVault.open(settings.folder, settings.keys)
            agreement_text = settings.path(settings.agreement).read_text("utf-8")
            roster_text = settings.path(settings.roster).read_text("utf-8")
            witnesses = policy_of(settings).witnesses.values()
        except (SettingsError, VaultError, OSError, UnicodeDecodeError) as error:
            raise CellError(str(error)) from error
        if vault.cell != settings.cell:
            raise CellError(f"the keys in {folder} are those of cell {vault.cell!r}, not {settings.cell!r}")
        if settings.events != "table" and not settings.events.startswith("nats://"):
            raise CellError('events are kept in a "table" or at a "nats://host:port"')
        governed = Governed.read(settings, vault, agreement_text, roster_text)
        return cls(
            settings=settings,
            database=Database(settings.database_url),
            objects=Objects(settings.objects, settings.folder / "objects"),
            vault=vault,
            governed=InForce(governed),
            doors=Doors(process, _destinations(settings, process, [known.url for known in witnesses])),
            stream=_stream(settings),
        )

    @property
    def agreement(self) -> Agreement:
        """The agreement in force in this process."""
        return self.governed.now.agreement

    @property
    def agreement_text(self) -> str:
        """The agreement in force, as its file says it."""
        return self.governed.now.agreement_text

    @property
    def roster(self) -> list[Seat]:
        """Who holds which key."""
        return self.governed.now.roster

    @property
    def roster_text(self) -> str:
        """The roster in force, as its file says it."""
        return self.governed.now.roster_text

    @property
    def decider(self) -> Decider:
        """The decider of the agreement in force."""
        return self.governed.now.decider

    def close(self) -> None:
        """Close the connections and drop the keys held in memory."""
        self.vault.forget()
        self.database.dispose()
        if self.stream is not None:
            self.stream.close()


def _stream(settings: CellSettings) -> Stream | None:
    if settings.events == "table":
        return None
    subject = f"lightwell.{settings.cell}.events"
    return Stream(settings.events, subject.replace(".", "-"), subject)


def _destinations(settings: CellSettings, process: str, witnesses: list[str]) -> list[str]:
    urls = [settings.database_url, settings.objects, settings.ledger, settings.events, settings.oversight_url]
    # No process but the gateway's own can open a connection to another cell, whatever code runs in it.
    urls += [peer.url for peer in settings.peers] if process == GATEWAY else witnesses
    if any(url.startswith("s3://") for url in urls):
        urls.append(os.environ.get("AWS_ENDPOINT_URL", "https://s3.amazonaws.com"))
    # `file` and `s3://bucket` name no host; where the bucket is, the environment says, as to its client.
    return [url for url in urls if "://" in url and not url.startswith("s3://")]


def _parsed(name: str, parse_text: Callable[[str], Parsed], text: str) -> Parsed:
    try:
        return parse_text(text)
    except AgreementError as error:
        raise CellError(f"{name}, {error}") from error
