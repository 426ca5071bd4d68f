"""Lays out a whole demo below one folder: two cells and the oversight server, each with its own keys.

Doing it again changes nothing that is there: a folder that was used before starts where it was.
"""

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from lightwell.agreement.load import parse
from lightwell.agreement.roster import Seat, dump_roster, parse_roster
from lightwell.agreement.signing import Settled, paper_text, sign_paper
from lightwell.apps.demo.notebook import Notebook
from lightwell.apps.demo.staff import Badge, hire
from lightwell.apps.demo.supervisor import Child
from lightwell.base.settings import CellSettings, Peer, load, write
from lightwell.oversight.settings import (
    CleanRoomSettings,
    OversightSettings,
    WatchedCell,
    load_oversight,
    write_cleanroom,
    write_oversight,
)
from lightwell.product.feed import ensure_policy
from lightwell.recommender.policy import default_policy
from lightwell.residency import amendments
from lightwell.residency.cell import Cell, CellError
from lightwell.residency.keys import KeyVault
from lightwell.residency.staff import Member
from lightwell.wire.keys import COSIGNATURE, ED25519, MLDSA_COSIGNATURE, SigningKey, Verifier
from lightwell.wire.trust import Group, Known, TrustPolicy

CELLS = ("us", "sg")
AGREEMENT = "us-2022-draft"
BOARD = (
    "Adaeze Brandt",
    "Marcus Oyelaran",
    "Yuki Sandoval",
    "Ingrid Castellanos",
    "Tomasz Adeyemi",
    "Leila Novak",
    "Henrik Achebe",
)
"""As many of them sit as the agreement asks for, and no fewer than three."""
OPERATOR = "Lumen Loop, Inc."
PARENT = "Lumen Holdings"
AUTHORITY = "Office of Digital Services"
PARTNER = "Northgate Assurance"
FIRST_PORTS = {"us": 8100, "sg": 8200, "oversight": 8300}
FIRST_GATEWAY_PORTS = {"us": 8190, "sg": 8290}
LEDGER_POLICY = "ledger.policy"
_HOST = "127.0.0.1"
_NOWHERE_ELSE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Deployment:
    """A demo on disk: where its three planes lie and where they answer."""

    folder: Path
    urls: dict[str, str]
    """Addresses of `us`, `sg` and `oversight`."""
    gateways: dict[str, str] = field(default_factory=dict)
    """Where the gateways of `us` and `sg` listen for each other."""
    inside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By plane, and by cell for its gateway as `us gateway`: the words before each of its commands, such as
    those that enter a network namespace."""

    @property
    def oversight(self) -> Path:
        """The oversight server's folder; the demo's lock and state are there too."""
        return self.folder / "oversight"

    def cell(self, name: str) -> Path:
        """Return the folder of a cell."""
        return self.folder / name

    def cleanroom(self, name: str) -> Path:
        """Return the folder of the partner's process inside a cell."""
        return self.folder / name / "cleanroom"

    def key(self, role: str) -> SigningKey:
        """Return the private key of a seat outside the cells: authority, partner, board-1..3, witness."""
        return SigningKey.from_text((self.oversight / "keys" / f"{role}.key").read_text("ascii"))

    def roster(self) -> list[Seat]:
        """Return who holds which key."""
        return parse_roster(self.cell("us").joinpath("roster.toml").read_text("utf-8"))

    def children(self, without: frozenset[str] = frozenset()) -> list[Child]:
        """Return the processes of the demo.

        Args:
            without: `oversight` or `cleanroom`, to see what happens when the monitor is away.
        """
        children = []
        for name in CELLS:
            folder = self.cell(name)
            logs = folder / "logs"
            python = self._python(name)
            gate = self._python(f"{name} gateway")
            children += [
                Child(
                    f"{name} web",
                    (*python, "lightwell.apps.serve", str(folder)),
                    logs / "web.log",
                    health=f"{self.urls[name]}/api/status",
                ),
                Child(f"{name} worker", (*python, "lightwell.apps.worker", str(folder)), logs / "worker.log"),
                Child(f"{name} gateway", (*gate, "lightwell.apps.gate", str(folder)), logs / "gateway.log"),
            ]
            if "cleanroom" not in without:
                room = self.cleanroom(name)
                command = (*python, "lightwell.apps.oversee", "cleanroom", str(room))
                children.append(Child(f"{name} clean room", command, room / "logs" / "cleanroom.log"))
        if "oversight" not in without:
            python = self._python("oversight")
            children.append(
                Child(
                    "oversight",
                    (*python, "lightwell.apps.oversee", "serve", str(self.oversight)),
                    self.oversight / "logs" / "oversight.log",
                    health=f"{self.urls['oversight']}/api/overview",
                )
            )
        return children

    def _python(self, place: str) -> tuple[str, ...]:
        # The modules themselves, not the `lightwell` command: its other commands need not be imported.
        return (*self.inside.get(place, ()), sys.executable, "-m")


def existing(folder: Path) -> Deployment | None:
    """Return the demo laid out in `folder`, or None if there is none that is complete."""
    try:
        urls = {name: load(folder / name).url for name in CELLS}
        urls["oversight"] = load_oversight(folder / "oversight").url
        gateways = {name: load(folder / name).gateway_url for name in CELLS}
    except ValueError:
        return None
    return Deployment(folder.resolve(), urls, gateways) if all(gateways.values()) else None


def prepare(
    folder: Path, *, fixed_ports: bool, hosts: Mapping[str, str] = _NOWHERE_ELSE, agreement: str = ""
) -> Deployment:
    """Lay out a demo in `folder`, or complete the one that is there; nothing of it may be running.

    Args:
        folder: where `us`, `sg` and `oversight` go.
        fixed_ports: ask for the well-known ports first; otherwise any free ones.
        hosts: the address of each plane (`us`, `sg`, `oversight`) and gateway (`us gateway`, `sg gateway`)
            that is not on this machine's loopback, such as in network namespaces.

        agreement: the file to found it under; the draft of 2022 if not given, or what it runs under already.

    Raises:
        CellError: what is in the folder contradicts itself, or the agreement cannot found these two cells.
        OSError: the folder cannot be written.
    """
    folder = folder.resolve()
    found = existing(folder)
    first = FIRST_PORTS | {f"{name} gateway": port for name, port in FIRST_GATEWAY_PORTS.items()}
    wanted = dict(first) if fixed_ports else dict.fromkeys(first, 0)
    if found:
        wanted = {name: urlsplit(url).port or 0 for name, url in found.urls.items()}
        wanted |= {f"{name} gateway": urlsplit(url).port or 0 for name, url in found.gateways.items()}
    ports = _free_ports(wanted)
    urls = {name: f"http://{hosts.get(name, _HOST)}:{ports[name]}" for name in FIRST_PORTS}
    gateways = {
        name: f"https://{hosts.get(f'{name} gateway', _HOST)}:{ports[f'{name} gateway']}" for name in CELLS
    }
    deployment = Deployment(folder, urls, gateways)
    text = _founding(deployment, agreement)
    roster = _seats(deployment, max(3, parse(text).limits.min_board_seats.value))
    for name in CELLS:
        _settle_cell(deployment, name, roster, text)
    _settle_oversight(deployment, roster)
    for name in CELLS:
        _fill_cell(deployment, name)
    return deployment


def _founding(deployment: Deployment, wanted: str) -> str:
    """Return the text to found the cells under: what lies there, else the wanted one, else the draft."""
    there = deployment.cell(CELLS[0]) / "agreement.toml"
    if there.exists():
        text = there.read_text("utf-8")
        if wanted and parse(text) != parse(wanted):
            raise CellError(f"{deployment.folder} runs under {parse(text).id} already; take another folder")
        return text
    text = wanted or agreement_text()
    unknown = [name for name in CELLS if name not in parse(text).region_ids()]
    if unknown:
        raise CellError(
            f"the demo's cells are {' and '.join(CELLS)}; the agreement has no region {unknown[0]}"
        )
    return text


def _seats(deployment: Deployment, seated: int) -> list[Seat]:
    keys = deployment.oversight / "keys"

    def seat(role: str, name: str, file: Path, algorithm: int = ED25519, cell: str | None = None) -> Seat:
        key_name = f"lightwell/{role}" if cell is None else f"lightwell/{cell}/{role}"
        if role == "board":
            key_name += "/" + name.rsplit(maxsplit=1)[-1].lower()
        vkey = _key(file, key_name, algorithm).verifier().vkey()
        return Seat(role=role, name=name, vkey=vkey, cell=cell)  # type: ignore[arg-type]  # roles below are literals

    seats = [
        seat("operator", OPERATOR, keys / "operator.key"),
        seat("parent", PARENT, keys / "parent.key"),
        seat("authority", AUTHORITY, keys / "authority.key"),
        seat("partner", PARTNER, keys / "partner.key"),
        seat("witness", "Oversight witness", keys / "witness.key", COSIGNATURE),
        seat("witness", "Oversight witness", keys / "witness-mldsa.key", MLDSA_COSIGNATURE),
    ]
    seats += [seat("board", name, keys / f"board-{n}.key") for n, name in enumerate(BOARD[:seated], 1)]
    for cell in CELLS:
        folder = deployment.cell(cell)
        if not (folder / "keys" / "name").exists():
            KeyVault.create(folder, cell)
        vault = KeyVault.open(folder)
        room = deployment.cleanroom(cell) / "cleanroom.key"
        seats.append(seat("cleanroom", f"{PARTNER}, clean room of {cell}", room, cell=cell))
        for name in ("gateway", "ledger"):
            vkey = vault.signing_key(name).verifier().vkey()
            seats.append(Seat(role=name, name=f"{name} of {cell}", vkey=vkey, cell=cell))
    return seats


def _vkey(roster: list[Seat], role: str, cell: str | None = None) -> str:
    return next(seat.vkey for seat in roster if seat.role == role and seat.cell == cell)


def _settle_cell(deployment: Deployment, name: str, roster: list[Seat], agreement: str) -> None:
    folder = deployment.cell(name)
    for file, text in (("agreement.toml", agreement), ("roster.toml", dump_roster(roster))):
        if not (folder / file).exists():
            (folder / file).write_text(text, "utf-8")
    oversight = deployment.urls["oversight"]
    peers = tuple(
        Peer(cell=other, url=deployment.gateways[other], gateway_vkey=_vkey(roster, "gateway", other))
        for other in CELLS
        if other != name
    )
    # Laid out anew each time: the ports, and with them the witness's address, may be others.
    policy = _ledger_policy(roster, name, f"{oversight}/witness/{name}")
    (folder / LEDGER_POLICY).write_text(policy.text(), "utf-8")
    kept = load(folder) if (folder / "cell.toml").exists() else CellSettings(cell=name, region=name, url="")
    # Only what the layout decides is written again; a database or a limit that somebody chose stays.
    write(
        msgspec.structs.replace(
            kept,
            url=deployment.urls[name],
            gateway_url=deployment.gateways[name],
            folder=folder,
            oversight_url=oversight,
            cleanroom_vkey=_vkey(roster, "cleanroom", name),
            peers=peers,
            ledger_policy=LEDGER_POLICY,
        )
    )


def _ledger_policy(roster: list[Seat], name: str, url: str) -> TrustPolicy:
    """Return the policy of one cell: the oversight server must have cosigned, by any key of its."""
    keys = [Verifier.from_vkey(seat.vkey) for seat in roster if seat.role == "witness"]
    witnesses = {f"oversight-{key.key_id.hex()}": Known(key, url) for key in keys}
    log = Known(Verifier.from_vkey(_vkey(roster, "ledger", name)))
    return TrustPolicy("oversight", (log,), witnesses, {"oversight": Group(1, tuple(witnesses))})


def _settle_oversight(deployment: Deployment, roster: list[Seat]) -> None:
    watched = []
    for name in CELLS:
        ledger_vkey = _vkey(roster, "ledger", name)
        watched.append(
            WatchedCell(
                cell=name,
                url=deployment.urls[name],
                ledger_vkey=ledger_vkey,
                cleanroom_vkey=_vkey(roster, "cleanroom", name),
                policy=f"{name}.policy",
            )
        )
        # The overseer's own copy: what the cell does to its file changes nothing here.
        policy = _ledger_policy(roster, name, f"{deployment.urls['oversight']}/witness/{name}")
        (deployment.oversight / f"{name}.policy").write_text(policy.text(), "utf-8")
        write_cleanroom(
            CleanRoomSettings(
                cell=name,
                url=deployment.urls[name],
                ledger_vkey=ledger_vkey,
                oversight_url=deployment.urls["oversight"],
                folder=deployment.cleanroom(name),
            )
        )
    write_oversight(
        OversightSettings(url=deployment.urls["oversight"], cells=tuple(watched), folder=deployment.oversight)
    )


def _fill_cell(deployment: Deployment, name: str) -> None:
    # Every model must be known before tables are made; these applications import all of them.
    import lightwell.apps.gate
    import lightwell.apps.web  # noqa: F401
    from lightwell.product import sounds

    folder = deployment.cell(name)
    notebook = Notebook(folder)
    cell = Cell.open(folder, process="demo")
    try:
        cell.database.create_all()
        if not notebook.notes.agreement:
            policy = default_policy().digest
            settled = Settled(cell.agreement, cell.roster)
            # All who must sign it do, each with a key of its own, before anything is adopted.
            paper = ""
            for party in cell.agreement.signing.parties:
                key = deployment.key(party)
                paper = sign_paper(paper_text(settled, policy=policy), key, paper)
            with cell.database.write() as session:
                adopted = amendments.found(cell, session, paper, policy)
                ensure_policy(session)
            notebook.remember_agreement(adopted.digest)
        sounds.ensure_library(cell)
        hire(cell, badges(deployment, name))
    finally:
        cell.close()


def badges(deployment: Deployment, cell: str) -> list[Badge]:
    """Return the demo's staff as the directory of `cell` knows them, with their keys.

    One who sits abroad is in the directory of the cell, like anybody who may sign in there at all; the
    key of each lies in the folder of the plane where the person works.
    """
    other = next(name for name in CELLS if name != cell)
    people = (
        ("analyst", "Ines Park", "analyst", cell, None),
        ("colleague", "Ruth Alvarez", "analyst", cell, None),
        ("approver", "Tom Ashby", "approver", cell, None),
        ("partner", "Noor Haddad", "partner", cell, None),
        ("abroad", "Lee Chen", "analyst", other, None),
        ("parent", "Max Orlov", "analyst", cell, "parent"),
    )
    found = []
    for ident, name, role, place, above in people:
        file = deployment.cell(place) / "staff" / f"{ident}-of-{cell}.key"
        key = _key(file, f"staff/{cell}/{ident}", ED25519)
        member = Member(
            name=name,
            vkey=key.verifier().vkey(),
            role=role,
            employer="partner" if role == "partner" else "operator",
            place=place,
            vetted=True,
            reports_to_entity=above,
        )
        found.append(Badge(ident, member, key))
    return found


def agreement_text() -> str:
    """Return the founding agreement's file, from the installed package or from the source tree."""
    packaged = resources.files("lightwell.agreement") / "files" / f"{AGREEMENT}.toml"
    if packaged.is_file():
        return packaged.read_text("utf-8")
    # An editable install has no packaged copy; the tree it points at has the original.
    return (Path(__file__).parents[4] / "agreements" / f"{AGREEMENT}.toml").read_text("utf-8")


def _key(file: Path, name: str, algorithm: int) -> SigningKey:
    if file.exists():
        return SigningKey.from_text(file.read_text("ascii"))
    key = SigningKey.generate(name, secrets.token_bytes(32), algorithm)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(key.text() + "\n")
    return key


def _free_ports(wanted: dict[str, int]) -> dict[str, int]:
    """Return a free port for each name: the wanted one, or the next free above it; 0 wants any."""
    held: list[socket.socket] = []
    found: dict[str, int] = {}
    for name, first in wanted.items():
        for port in range(first, first + 90) if first else (0,):
            attempt = socket.socket()
            # As servers do: a port whose last connections are only fading counts as free.
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((_HOST, port))
            except OSError:
                attempt.close()
                continue
            held.append(attempt)
            found[name] = attempt.getsockname()[1]
            break
        else:
            raise OSError(f"no free port from {first} to {first + 89} for {name}")
    # Held until all are chosen, so that one port is not given to two.
    for attempt in held:
        attempt.close()
    return found
