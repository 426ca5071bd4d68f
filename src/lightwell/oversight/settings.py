"""What the oversight server and the clean room are told, read from one TOML file in each one's folder."""

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

OVERSIGHT_FILE = "oversight.toml"
CLEANROOM_FILE = "cleanroom.toml"


class SettingsError(ValueError):
    """The settings file is missing, malformed or holds a wrong value."""


class WatchedCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cell under oversight: where its ledger is read and whose signatures count for it.

    `policy` names a file in the oversight server's folder, a tlog-policy: a checkpoint that the cell
    publishes without its quorum is a finding. `shuffled` says that the cell shuffles the entries of a batch.
    """

    cell: str
    url: str
    ledger_vkey: str
    cleanroom_vkey: str = ""
    policy: str = ""
    shuffled: bool = False


class OversightSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the oversight server watches and where it answers.

    `keys/witness.key` and, if it is there, `keys/witness-mldsa.key` in the folder are the witness's keys,
    `keys/board-*.key` are those of board members. `clock_grace_seconds` is how far the time an entry states
    may be off, and how long after its time a promise counts as broken; `view_grace_seconds` how long a cell
    may show us less than it signed for.
    """

    url: str
    cells: tuple[WatchedCell, ...]
    folder: Path = Path()
    poll_seconds: float = 0.5
    transfer_grace_seconds: int = 120
    clock_grace_seconds: float = 300
    view_grace_seconds: float = 60

    @property
    def database(self) -> Path:
        """The SQLite file with everything followed and found."""
        return self.folder / "oversight.db"

    def watched(self, cell: str) -> WatchedCell | None:
        """Return the watched cell called `cell`, if it is under oversight."""
        return next((seat for seat in self.cells if seat.cell == cell), None)


class CleanRoomSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the partner's process inside one cell needs: the cell, the oversight server and its own key.

    `shuffled` is as in `WatchedCell`.
    """

    cell: str
    url: str
    ledger_vkey: str
    oversight_url: str
    key: str = "cleanroom.key"
    folder: Path = Path()
    poll_seconds: float = 0.25
    shuffled: bool = False

    @property
    def database(self) -> Path:
        """The SQLite file with the ledger as this process read it, and its position."""
        return self.folder / "cleanroom.db"


_Settings = TypeVar("_Settings", OversightSettings, CleanRoomSettings)


def load_oversight(folder: Path) -> OversightSettings:
    """Read `oversight.toml`.

    Args:
        folder: the oversight server's folder.

    Raises:
        SettingsError: no file, not TOML, an unknown key or a value of the wrong type.
    """
    return _load(folder, OVERSIGHT_FILE, OversightSettings)


def load_cleanroom(folder: Path) -> CleanRoomSettings:
    """Read `cleanroom.toml`.

    Args:
        folder: the clean room's folder.

    Raises:
        SettingsError: no file, not TOML, an unknown key or a value of the wrong type.
    """
    return _load(folder, CLEANROOM_FILE, CleanRoomSettings)


def write_oversight(settings: OversightSettings) -> None:
    """Write `oversight.toml` into `settings.folder`, replacing what was there in one rename."""
    lines = [
        f"url = {_toml(settings.url)}",
        f"poll_seconds = {_toml(settings.poll_seconds)}",
        f"transfer_grace_seconds = {_toml(settings.transfer_grace_seconds)}",
        f"clock_grace_seconds = {_toml(settings.clock_grace_seconds)}",
        f"view_grace_seconds = {_toml(settings.view_grace_seconds)}",
    ]
    for seat in settings.cells:
        fields = msgspec.structs.asdict(seat)
        lines += ["", "[[cells]]", *(f"{name} = {_toml(value)}" for name, value in fields.items())]
    _write(settings.folder / OVERSIGHT_FILE, lines)


def write_cleanroom(settings: CleanRoomSettings) -> None:
    """Write `cleanroom.toml` into `settings.folder`, replacing what was there in one rename."""
    fields = msgspec.structs.asdict(settings)
    del fields["folder"]
    _write(settings.folder / CLEANROOM_FILE, [f"{name} = {_toml(value)}" for name, value in fields.items()])


def _load(folder: Path, name: str, shape: type[_Settings]) -> _Settings:
    file = folder / name
    try:
        settings = msgspec.convert(tomllib.loads(file.read_text("utf-8")), shape)
    except FileNotFoundError as error:
        raise SettingsError(f"{file}: no such file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{file}: {error}") from error
    return msgspec.structs.replace(settings, folder=folder.resolve())


def _write(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".toml.new")
    draft.write_text("\n".join(lines) + "\n", "utf-8")
    draft.replace(file)


def _toml(value: str | float) -> str:
    # JSON strings and numbers are TOML strings and numbers.
    return msgspec.json.encode(value).decode()
