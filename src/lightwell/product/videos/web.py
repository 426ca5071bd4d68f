"""HTTP of videos: make one of an upload, follow what becomes of it, publish it, remove it."""

from typing import Any

from litestar import Response, delete, get, post
from litestar.handlers import BaseRouteHandler

from lightwell.base.threads import in_thread
from lightwell.product.accounts.queries import Account
from lightwell.product.videos import drafts, media_web, queries, service, uploads_web
from lightwell.product.videos.audience import require_may_watch
from lightwell.product.videos.drafts import NewVideo
from lightwell.residency.cell import Cell


@post("/api/videos", status_code=202)
@in_thread
def create_video(data: NewVideo, cell: Cell, account: Account) -> dict[str, str]:
    """Begin a video from a complete upload; the worker does the rest."""
    row = drafts.begin(cell, account, data)
    return {"video_id": row.video_id, "status": row.status}


@get("/api/videos")
@in_thread
def list_own_videos(cell: Cell, account: Account) -> dict[str, Any]:
    """List one's own videos of every status, latest first."""
    with cell.database.read() as session:
        rows = queries.mine(session, account.account_id)
        published = queries.views(session, [row.video_id for row in rows if row.status == "published"])
        shown = [published.get(row.video_id) or service.own_view(cell, session, row) for row in rows]
    return {"videos": shown}


@get("/api/videos/{video_id:str}")
@in_thread
def read_video(video_id: str, cell: Cell, maybe_account: Account | None) -> dict[str, Any]:
    """Show a published video to anybody whom its maker did not leave out, and one's own of any status."""
    with cell.database.read() as session:
        row = queries.get(session, video_id, maybe_account.account_id if maybe_account else None)
        if maybe_account is None or row.account_id != maybe_account.account_id:
            require_may_watch(cell, maybe_account, row)
        return service.own_view(cell, session, row)


@post("/api/videos/{video_id:str}/publish", status_code=200)
@in_thread
def publish_video(video_id: str, cell: Cell, account: Account) -> dict[str, str]:
    """Publish a video that is ready; one in processing is published when it is."""
    return {"video_id": video_id, "status": service.publish(cell, account, video_id)}


@delete("/api/videos/{video_id:str}", status_code=204)
@in_thread
def remove_video(video_id: str, cell: Cell, account: Account) -> Response[None]:
    """Remove one's own video and its files."""
    service.remove(cell, account, video_id)
    return Response(None, status_code=204)


routes: list[BaseRouteHandler] = [
    *uploads_web.routes,
    *media_web.routes,
    create_video,
    list_own_videos,
    read_video,
    publish_video,
    remove_video,
]
