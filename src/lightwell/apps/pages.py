"""Pages: answers a GET with HTML, and shows only what is published or the signed-in person's own."""

import json
from pathlib import Path
from typing import Any

import jinja2
from litestar import Response, get
from litestar.enums import MediaType
from litestar.handlers import BaseRouteHandler
from litestar.response import Redirect

from lightwell.base.errors import Problem
from lightwell.base.threads import in_thread
from lightwell.product import accounts, social, videos
from lightwell.product.accounts import Account
from lightwell.residency.cell import Cell

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# A page names who is signed in, so no shared cache may keep it.
_HEADERS = {"cache-control": "private, no-cache"}
Page = Response[str] | Redirect


def _page(
    name: str, cell: Cell, account: Account | None, *, status: int = 200, **values: Any
) -> Response[str]:
    text = _TEMPLATES.get_template(f"{name}.html").render(
        page=name,
        cell=cell.settings.cell,
        region=cell.settings.region,
        agreement={"id": cell.agreement.id, "version": cell.agreement.version},
        oversight=cell.settings.oversight_url,
        account=account,
        **values,
    )
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=_HEADERS)


def _missing(cell: Cell, account: Account | None, what: str) -> Response[str]:
    return _page("missing", cell, account, status=404, what=what, why="")


def _handle(account: Account | None) -> str | None:
    return account.handle if account is not None else None


def _own(name: str, path: str, cell: Cell, account: Account | None, **values: Any) -> Page:
    """Return a page for the signed-in, or send others to sign in and back."""
    if account is None:
        return Redirect(f"/sign-in?next={path}", status_code=303)
    return _page(name, cell, account, **values)


@get("/")
@in_thread
def show_feed(cell: Cell, maybe_account: Account | None) -> Page:
    """The feed; whoever is not signed in sees what the place is, over a few of its pictures."""
    if maybe_account is not None:
        return _page("feed", cell, maybe_account, only=None)
    with cell.database.read() as session:
        newest = [fact for fact in videos.newest(session, 60) if videos.may_watch(cell, None, fact)]
    posters = [videos.view(fact)["media"]["poster"] for fact in newest[:6]]
    return _page("welcome", cell, None, posters=posters)


@get("/sign-up", sync_to_thread=False)
def show_sign_up(cell: Cell, maybe_account: Account | None) -> Page:
    """Where an account is made."""
    if maybe_account is not None:
        return Redirect("/", status_code=303)
    return _page("sign-up", cell, None)


@get("/sign-in", sync_to_thread=False)
def show_sign_in(cell: Cell, maybe_account: Account | None) -> Page:
    """Where one signs in."""
    if maybe_account is not None:
        return Redirect("/", status_code=303)
    return _page("sign-in", cell, None)


@get("/create", sync_to_thread=False)
def show_create(cell: Cell, maybe_account: Account | None) -> Page:
    """Where a video is picked or recorded, set to a sound and published."""
    limit = cell.settings.upload_limit_bytes
    regions = cell.agreement.regions
    return _own("create", "/create", cell, maybe_account, limit_bytes=limit, regions=regions)


@get("/sounds", sync_to_thread=False)
def show_sounds(cell: Cell, maybe_account: Account | None) -> Page:
    """The sounds library."""
    return _page("sounds", cell, maybe_account)


@get("/me", sync_to_thread=False)
def show_me(cell: Cell, maybe_account: Account | None) -> Page:
    """One's own videos, one's own data as kept, and what the feed knows."""
    return _own("me", "/me", cell, maybe_account)


@get("/me/feed", sync_to_thread=False)
def show_viewer_state(cell: Cell, maybe_account: Account | None) -> Page:
    """All that the feed knows of its viewer, with the switch that makes it use none of it."""
    return _own("knows", "/me/feed", cell, maybe_account)


@get("/proof", sync_to_thread=False)
def show_proof(cell: Cell, maybe_account: Account | None) -> Page:
    """A receipt opened and checked step by step, or the receipts this browser keeps."""
    return _page("proof", cell, maybe_account)


@get("/staff", sync_to_thread=False)
def show_staff_desk(cell: Cell, maybe_account: Account | None) -> Page:
    """The desk of staff; what it shows comes from handlers that ask for a staff session."""
    return _page("staff", cell, maybe_account)


@get("/staff/counts", sync_to_thread=False)
def show_staff_counts(cell: Cell, maybe_account: Account | None) -> Page:
    """Where staff who may see no person's data ask how many; answers come with noise."""
    return _page("staff-counts", cell, maybe_account)


@get("/staff/quarantine", sync_to_thread=False)
def show_staff_quarantine(cell: Cell, maybe_account: Account | None) -> Page:
    """Where approvers and the partner at home look at what the gateway stopped."""
    return _page("staff-quarantine", cell, maybe_account)


@get("/staff/sign-in", sync_to_thread=False)
def show_staff_sign_in(cell: Cell, maybe_account: Account | None) -> Page:
    """Where staff sign in with a key; the key stays in the browser."""
    return _page("staff-sign-in", cell, maybe_account)


@get("/v/{video_id:str}")
@in_thread
def show_video(video_id: str, cell: Cell, maybe_account: Account | None) -> Page:
    """One published video, to whoever may watch it."""
    with cell.database.read() as session:
        fact = videos.published_facts(session, [video_id]).get(video_id)
        found = videos.views(session, [video_id]).get(video_id)
    if fact is None or found is None:
        return _missing(cell, maybe_account, "video")
    by_viewer = (fact.origin_cell, fact.creator_handle) == (cell.settings.cell, _handle(maybe_account))
    if not by_viewer:
        try:
            videos.require_may_watch(cell, maybe_account, fact)
        except Problem as problem:
            return _page("missing", cell, maybe_account, status=403, what="video", why=problem.detail)
    return _page("feed", cell, maybe_account, only=json.dumps(found))


@get("/{name:str}")
@in_thread
def show_maker(name: str, cell: Cell, maybe_account: Account | None, where: str | None = None) -> Page:
    """A maker's public page under `/@handle`; `where` names the home cell of a maker of another cell.

    The router takes whole path segments only, so that `@` is looked for here.
    """
    if not name.startswith("@"):
        return _missing(cell, maybe_account, "page")
    handle = name[1:]
    home = where or cell.settings.cell
    with cell.database.read() as session:
        local = accounts.by_handle(session, handle) if home == cell.settings.cell else None
        published = videos.by_creator(session, home, handle)
        facts = [fact for fact in published if videos.may_watch(cell, maybe_account, fact)]
        counted = videos.counts(session, [fact.video_id for fact in facts])
        follows = maybe_account is not None and f"{home}:{handle}" in _follows(cell, session, maybe_account)
    if local is None and not published:
        return _missing(cell, maybe_account, "maker")
    clips = [videos.view(fact, counted.get(fact.video_id, videos.Counts())) for fact in facts]
    return _page(
        "maker",
        cell,
        maybe_account,
        handle=handle,
        maker_name=local.display_name if local else published[0].creator_name,
        home=home,
        clips=clips,
        follows=follows,
        likes=sum(clip["counts"]["likes"] for clip in clips),
    )


def _follows(cell: Cell, session: Any, account: Account) -> dict[str, None]:
    try:
        return social.viewer_state(cell, session, account.account_id).follows
    except Problem:
        return {}


routes: list[BaseRouteHandler] = [
    show_feed,
    show_sign_up,
    show_sign_in,
    show_create,
    show_sounds,
    show_me,
    show_viewer_state,
    show_proof,
    show_staff_desk,
    show_staff_counts,
    show_staff_quarantine,
    show_staff_sign_in,
    show_video,
    show_maker,
]
