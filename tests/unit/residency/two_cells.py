"""Two real cells with their keys, one roster and one agreement, and a small message type between them."""

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar

from litestar import Litestar, Request, Response
from litestar.di import Provide
from msgspec import Meta

from lightwell.agreement.roster import Seat, dump_roster
from lightwell.base.clock import fresh_id, now_s
from lightwell.base.errors import Problem
from lightwell.base.labels import declare_prefix
from lightwell.base.settings import CellSettings, Peer, write
from lightwell.ledger.models import LedgerEntry
from lightwell.residency import gateway_web, orders_web
from lightwell.residency.cell import Cell
from lightwell.residency.gateway import Envelope, Message, says
from lightwell.residency.keys import KeyVault
from lightwell.wire import entries
from lightwell.wire.keys import SigningKey
from lightwell.wire.signed_request import headers

AGREEMENT = Path(__file__).parents[3] / "agreements" / "us-2022-draft.toml"
PUBLIC = says("user.content.public", "public")
declare_prefix("videos", "user.content.public", "public")
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xda\x00\x02picture\xff\xd9"


class Postcard(Message):
    """Stands in for the product's message of the same flow."""

    flow: ClassVar[str] = "public-video"

    video_id: Annotated[str, Meta(max_length=16, pattern=r"\A[0-9a-f]{16}\Z", extra=says("system", "public"))]
    caption: Annotated[str, Meta(max_length=300, extra=PUBLIC)]
    media: Annotated[
        dict[Annotated[str, Meta(max_length=20)], Annotated[str, Meta(max_length=64)]],
        Meta(max_length=3, extra=PUBLIC),
    ]


def fresh_key(name: str) -> SigningKey:
    return SigningKey.generate(name, secrets.token_bytes(32))


@dataclass
class World:
    us: Cell
    sg: Cell
    keys: dict[str, SigningKey]


def found_world(folder: Path, us_database: str) -> World:
    vaults = {name: KeyVault.create(folder / name, name) for name in ("us", "sg")}
    gateways = {name: vault.signing_key("gateway").verifier().vkey() for name, vault in vaults.items()}
    keys = {name: fresh_key(name) for name in ("authority", "board-1", "court", "stranger")}
    seats = [Seat("authority", "authority", keys["authority"].verifier().vkey())]
    seats.append(Seat("board", "board-1", keys["board-1"].verifier().vkey()))
    seats.append(Seat("court", "court", keys["court"].verifier().vkey()))
    for name, vault in vaults.items():
        ledger = vault.signing_key("ledger")
        seats.append(Seat("ledger", ledger.name, ledger.verifier().vkey(), name))
        seats.append(Seat("gateway", f"gateway-{name}", gateways[name], name))
    # The agreement's flow names the product's message; here it names the small one above.
    agreement = AGREEMENT.read_text("utf-8").replace('message = "PublicVideo"', 'message = "Postcard"')
    agreement = re.sub(r"(?m)^fields = \[[^]]*\]", 'fields = ["video_id", "caption", "media"]', agreement)
    databases = {"us": us_database, "sg": "sqlite:///cell.db"}
    cells = {}
    for name, other in (("us", "sg"), ("sg", "us")):
        place = folder / name
        (place / "agreement.toml").write_text(agreement, "utf-8")
        (place / "roster.toml").write_text(dump_roster(seats), "utf-8")
        peer = Peer(cell=other, url=f"http://{other}.test", gateway_vkey=gateways[other])
        write(
            CellSettings(
                cell=name,
                region=name,
                url=f"http://{name}.test",
                folder=place,
                database=databases[name],
                peers=(peer,),
            )
        )
        cells[name] = Cell.open(place)
        cells[name].database.create_all()
    return World(cells["us"], cells["sg"], keys)


def entries_of(cell: Cell, kind: type[Any] | None = None) -> list[Any]:
    with cell.database.read() as session:
        rows = session.query(LedgerEntry).order_by(LedgerEntry.entry_id)
        found = [entries.decode(row.entry) for row in rows]
    return [entry for entry in found if kind is None or isinstance(entry, kind)]


def postcard(caption: str = "paper cranes", picture: bytes | None = JPEG) -> Postcard:
    media = {"poster.jpg": sha256(picture).hexdigest()} if picture is not None else {}
    return Postcard(video_id=fresh_id(), caption=caption, media=media)


def app_of(cell: Cell) -> Litestar:
    def problem(_: Request[Any, Any, Any], error: Problem) -> Response[Any]:
        return Response(error.document(), status_code=error.status, media_type="application/problem+json")

    return Litestar(
        [*gateway_web.routes, *orders_web.routes],
        dependencies={"cell": Provide(lambda: cell, sync_to_thread=False)},
        exception_handlers={Problem: problem},
    )


def signed_post(cell: Cell, body: bytes, path: str = "/gateway/transfers") -> dict[str, str]:
    key = cell.vault.signing_key("gateway")
    return headers(key, "POST", path, sha256(body).hexdigest(), now_s())


def envelope(message: dict[str, Any], **changed: Any) -> bytes:
    """What a dishonest sender would make: the right form around any message."""
    fields: dict[str, Any] = {
        "transfer": fresh_id(),
        "flow": "public-video",
        "source": "us",
        "target": "sg",
        "salt": secrets.token_hex(16),
        "message": message,
    }
    return Envelope(**(fields | changed)).to_bytes()
