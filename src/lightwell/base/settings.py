"""The settings of one cell, read from `cell.toml` in its folder and from nowhere else."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec

MIB = 1024 * 1024


class SettingsError(ValueError):
    """`cell.toml` is missing, malformed or holds a wrong value."""


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another cell that this cell's gateway may talk to."""

    cell: str
    url: str
    gateway_vkey: str


class CellSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one cell is and whom it may talk to; relative paths are relative to `folder`."""

    cell: str
    region: str
    url: str
    folder: Path = Path()
    database: str = "sqlite:///cell.db"
    objects: str = "file"
    agreement: str = "agreement.toml"
    roster: str = "roster.toml"
    oversight_url: str = ""
    cleanroom_vkey: str = ""
    gateway_url: str = ""
    """Where this cell's gateway listens for its peers, `https://host:port`; empty: no peer can reach it."""
    keys: str = "file"
    """Where the root keys are: `file` for the folder's `keys`, or the PKCS#11 URI (RFC 7512) of a token:
    `pkcs11:token=NAME?module-path=FILE&pin-source=FILE`."""
    peers: tuple[Peer, ...] = ()
    upload_limit_bytes: int = 512 * MIB
    ledger: str = "file"
    """`file` for the folder's `ledger`, or an `s3://bucket/prefix` URL (credentials from the environment)."""
    ledger_policy: str = ""
    """A trust policy (C2SP tlog-policy) in the folder: the witnesses to ask, by their URLs, and the quorum
    without which no checkpoint is public. Empty: no witness is asked and none is needed."""
    ledger_shuffle: bool = False
    """Whether the entries of one batch take a random order, so that theirs tells nothing."""
    ledger_pad_to: int = 1
    """Slates of nobody's are added to a batch until its size is a multiple of this; 1 adds none."""
    checkpoint_milliseconds: int = 150
    snapshot_seconds: float = 2.0
    """How often counters and new videos reach the feed, at most."""
    model_seconds: float = 60.0
    """How often a model is trained anew, at most."""
    web_processes: int = 2
    shards: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """How many processes share the catalogue; with 1 each web process maps the whole of it."""
    shard_milliseconds: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 1000
    """How long a request waits for a shard, before it is answered that the feed is away."""
    events: str = "table"
    """Where viewers' events are kept: `table` for the database, or the `nats://host:port` of a server with
    JetStream."""
    viewer_events_at_once: Annotated[int, msgspec.Meta(ge=200)] = 2000
    """How many events of one viewer are taken at once, before the rate below is all that is."""
    viewer_events_per_second: Annotated[int, msgspec.Meta(ge=1)] = 10

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL, with an embedded SQLite file placed in the cell's folder."""
        prefix = "sqlite:///"
        if self.database.startswith(prefix):
            return prefix + str(self.folder / self.database.removeprefix(prefix))
        return self.database

    def path(self, name: str) -> Path:
        """Return `name` inside the cell's folder."""
        return self.folder / name


def load(folder: Path) -> CellSettings:
    """Read `cell.toml` of a cell's folder.

    Args:
        folder: the cell's folder.

    Raises:
        SettingsError: no file, not TOML, an unknown key or a value of the wrong type.
    """
    file = folder / "cell.toml"
    try:
        raw: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
        settings = msgspec.convert(raw, CellSettings)
    except FileNotFoundError as error:
        raise SettingsError(f"{file}: no such file; is this the folder of a cell?") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{file}: {error}") from error
    return msgspec.structs.replace(settings, folder=folder.resolve())


def write(settings: CellSettings) -> None:
    """Write `cell.toml` into `settings.folder`, replacing what was there in one rename."""
    lines: list[str] = []
    plain = msgspec.to_builtins(settings, enc_hook=str)
    peers = plain.pop("peers")
    plain.pop("folder")
    lines += [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for peer in peers:
        lines += ["", "[[peers]]", *(f"{key} = {_toml(value)}" for key, value in peer.items())]
    settings.folder.mkdir(parents=True, exist_ok=True)
    draft = settings.folder / "cell.toml.new"
    draft.write_text("\n".join(lines) + "\n", "utf-8")
    draft.replace(settings.folder / "cell.toml")


def _toml(value: str | float | bool) -> str:
    # JSON strings and numbers are TOML strings and numbers.
    return msgspec.json.encode(value).decode()
