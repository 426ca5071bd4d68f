"""Two founded cells that know each other's ledger keys: accounts in one, their home in the other."""

from pathlib import Path
from typing import Any

from lightwell.agreement.roster import Seat, dump_roster
from lightwell.apps import worker
from lightwell.base.clock import now_ms
from lightwell.product import social
from lightwell.product.accounts import sign_up
from lightwell.product.accounts.service import SignUp
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.product.videos.media import FILES
from lightwell.residency.cell import Cell
from tests.factories.cells import found_cell

PASSWORD = "correct horse battery"
assert worker  # its import makes every model known


def found_pair(folder: Path, source_url: str, target_url: str) -> tuple[Cell, Cell]:
    """Found `sg` and `us`, each with the other's ledger seat in its roster; return them open."""
    cells = [found_cell(folder / "sg", source_url, "sg"), found_cell(folder / "us", target_url, "us")]
    seats: dict[str, Seat] = {}
    for cell in cells:
        seats |= {seat.vkey: seat for seat in cell.roster}
        cell.close()
    opened = []
    for cell in cells:
        (cell.settings.folder / "roster.toml").write_text(dump_roster(list(seats.values())), "utf-8")
        opened.append(Cell.open(cell.settings.folder))
    return opened[0], opened[1]


def live(cell: Cell, handle: str, **changed: Any) -> str:
    """Sign somebody up with details found nowhere else; return their account_id."""
    details: dict[str, Any] = {
        "handle": handle,
        "password": PASSWORD,
        "display_name": f"Name of {handle}",
        "email": f"{handle}@canary-post.example",
        "phone": f"+1 415 555 {1000 + sum(handle.encode()) * 7 % 9000:04d}",
        "birthday": "1931-04-05",
        "address": f"12 {handle} Canary Row",
    }
    account, _ = sign_up(cell, SignUp(**(details | changed)), "127.9.8.7", f"browser of {handle}")
    return account.account_id


def publish(cell: Cell, account_id: str, handle: str, video_id: str) -> None:
    """Give an account a published video with counts and files, and a draft with a sealed file."""
    common: dict[str, Any] = {
        "account_id": account_id,
        "publish": True,
        "created_at": now_ms(),
        "origin_cell": cell.settings.cell,
        "creator_handle": handle,
        "creator_name": handle,
        "hashtags": ["folds"],
        "duration_ms": 8000,
        "width": 720,
        "height": 1280,
    }
    media = {name: {"size": 8, "sha256": "ab" * 32} for name in FILES}
    with cell.database.write() as session:
        session.add(
            VideoRow(
                video_id=video_id,
                status="published",
                published_at=now_ms(),
                caption=f"the canary caption of {handle}",
                media=media,
                **common,
            )
        )
        draft = f"{int(video_id, 16) + 1:016x}"
        text = f'{{"caption":"draft canary of {handle}"}}'.encode()
        said = cell.vault.seal(session, account_id, "videos", "draft", draft, text)
        session.add(VideoRow(video_id=draft, status="ready", draft=said, caption="", media={}, **common))
        session.flush()
        session.add(VideoCountRow(video_id=video_id, views=30, likes=20, shares=10))
        part = cell.vault.seal(session, account_id, "drafts", "part", f"{draft}/540.mp4/0", b"sealed film")
    for name in FILES:
        cell.objects.put(f"videos/{video_id}/{name}", f"film of {handle} {name}".encode())
    cell.objects.put(f"drafts/{draft}/540.mp4/000000", part)


def watch(cell: Cell, account_id: str, *events: social.Event) -> None:
    """Report events of a viewer."""
    with cell.database.write() as session:
        social.record(cell, session, account_id, list(events))
