"""The web process of a cell: every feature's routes under one policy for errors, headers and sign-in."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar, Request, Response, get
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.config import OpenAPIConfig
from litestar.static_files import create_static_files_router
from litestar.types import Message, Scope

from lightwell import __version__
from lightwell.agreement.load import digest
from lightwell.apps import pages
from lightwell.apps.background import Background
from lightwell.apps.startup import open_cell
from lightwell.base import metrics
from lightwell.base.errors import Problem
from lightwell.base.telemetry import log
from lightwell.base.threads import in_thread
from lightwell.ledger import serve as ledger_serve
from lightwell.product.accounts import Account, current_account
from lightwell.product.accounts import web as accounts_web
from lightwell.product.feed import Feed, cleanroom_web, policies_web
from lightwell.product.feed import web as feed_web
from lightwell.product.rights import web as rights_web
from lightwell.product.social import Intake, counting
from lightwell.product.social import web as social_web
from lightwell.product.sounds import web as sounds_web
from lightwell.product.videos import web as videos_web
from lightwell.residency import (
    access_web,
    aggregates,
    aggregates_web,
    amendments_web,
    appointments_decided,
    emergency_web,
    key_uses,
    lawful_web,
    orders_web,
    passkeys_web,
    quarantine_web,
)
from lightwell.residency.amendments import AmendmentWatch
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.residency.in_force import OrderWatch, suspended
from lightwell.residency.keys import KeyDestroyedError

_log = log("web")
MAX_BODY_BYTES = 1024 * 1024
STATIC = Path(__file__).parent / "static"
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "style-src 'self'",
        "script-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "geolocation=(), camera=(self), microphone=(self)",
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def create_app(folder: str | None = None) -> Litestar:
    """Build the web application of the cell in `folder`, or in the folder that LIGHTWELL_CELL names.

    From here on this process opens connections to the addresses on the cell's list only, and is this
    application's alone: it settles for a long life once all is loaded.
    """
    app = build_app(open_cell(Path(folder or os.environ["LIGHTWELL_CELL"]), "web"))
    app.on_startup.append(_settle)
    return app


def _settle() -> None:
    """Keep what is loaded by now: the collector need not walk it again in the middle of an answer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def build_app(cell: Cell) -> Litestar:
    """Build the web application of an open cell, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        # The worker tends it.
        cell.database.leave_log_alone()
        aggregates.offer(counting.questions())
        background = Background()
        background.start("orders", OrderWatch(cell, "web").run)
        background.start("amendments", AmendmentWatch(cell).run)
        background.start("keys", lambda stop: key_uses.run(cell, stop))
        background.start("metrics", lambda stop: metrics.run(cell.settings.folder, "web", stop))
        background.start("doors", lambda stop: cell.doors.run(cell.database, stop))
        app.state.cell = cell
        app.state.feed = feed = Feed(cell)
        background.start("feed", feed.make_ready)
        app.state.intake = intake = Intake(cell)
        try:
            yield
        finally:
            await asyncio.to_thread(background.end)
            await asyncio.to_thread(feed.close)
            await asyncio.to_thread(intake.close)
            cell.close()

    return Litestar(
        route_handlers=[
            *accounts_web.routes,
            *rights_web.routes,
            *sounds_web.routes,
            *videos_web.routes,
            *social_web.routes,
            *feed_web.routes,
            *cleanroom_web.routes,
            *policies_web.routes,
            *access_web.routes,
            *lawful_web.routes,
            *aggregates_web.routes,
            *emergency_web.routes,
            *passkeys_web.routes,
            *quarantine_web.routes,
            *orders_web.routes,
            *amendments_web.routes,
            *appointments_decided.routes,
            *ledger_serve.routes,
            *pages.routes,
            read_status,
            read_agreement,
            create_static_files_router(
                path="/static", directories=[STATIC], cache_control=CacheControlHeader(no_cache=True)
            ),
        ],
        dependencies={
            "cell": Provide(_cell, sync_to_thread=False),
            "feed": Provide(_feed, sync_to_thread=False),
            "account": Provide(_account),
            "maybe_account": Provide(_maybe_account),
            "staff": Provide(_staff),
        },
        exception_handlers={
            Problem: _answer_problem,
            HTTPException: _answer_http_exception,
            RecursionError: _answer_too_deep,
            KeyDestroyedError: _answer_erased,
            Exception: _answer_unexpected,
        },
        before_request=_refuse_unusable,
        before_send=[_add_headers],
        lifespan=[lifespan],
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=OpenAPIConfig(title="Lightwell cell", version=__version__, path="/api/docs"),
        logging_config=None,
    )


@get("/api/status")
@in_thread
def read_status(cell: Cell) -> dict[str, Any]:
    """Say which cell this is, under which agreement, and what orders suspend here."""
    with cell.database.read() as session:
        orders = suspended(session)
    return {
        "cell": cell.settings.cell,
        "region": cell.settings.region,
        "version": __version__,
        "agreement": {
            "id": cell.agreement.id,
            "version": cell.agreement.version,
            "digest": digest(cell.agreement),
        },
        "suspended": [{"order": o.order, "scope": o.scope, "since": o.issued_at} for o in orders],
    }


@get("/api/agreement")
@in_thread
def read_agreement(cell: Cell) -> dict[str, str]:
    """Return the agreement in force and who holds which key, as the files say it."""
    return {
        "agreement": cell.settings.path(cell.settings.agreement).read_text("utf-8"),
        "roster": cell.settings.path(cell.settings.roster).read_text("utf-8"),
    }


def _cell(state: State) -> Cell:
    cell: Cell = state.cell
    return cell


def _feed(state: State) -> Feed:
    feed: Feed = state.feed
    return feed


async def _maybe_account(request: Request[Any, Any, Any], state: State) -> Account | None:
    token = request.cookies.get(accounts_web.COOKIE)
    if not token:
        return None
    if state.cell.database.is_sqlite:
        # Microseconds: less than a thread would cost.
        return current_account(state.cell, token)
    return await asyncio.to_thread(current_account, state.cell, token)


async def _account(request: Request[Any, Any, Any], state: State) -> Account:
    found = await _maybe_account(request, state)
    if found is None:
        raise Problem(401, "not-signed-in", "Sign in first.")
    return found


async def _staff(request: Request[Any, Any, Any], state: State) -> Principal:
    found = await asyncio.to_thread(
        access_web.current_staff, state.cell, request.cookies.get(access_web.COOKIE)
    )
    if found is None:
        raise Problem(401, "not-signed-in", "Sign in with your staff key first.")
    return found


async def _refuse_unusable(request: Request[Any, Any, Any]) -> None:
    # No name or text of ours holds this character, and one of the databases refuses to be asked about it.
    if "\0" in request.scope["path"] or b"%00" in request.scope.get("query_string", b""):
        raise Problem(400, "bad-request", "An address holds no zero byte.")
    # A browser names the page a request comes from; another site's page may not act with our cookies.
    origin = request.headers.get("origin")
    if origin and request.method in _UNSAFE and urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem(403, "foreign-origin", "This request came from another site's page.")


async def _add_headers(message: Message, _scope: Scope) -> None:
    if message["type"] == "http.response.start":
        present = {name.lower() for name, _ in message["headers"]}
        message["headers"] = [
            *message["headers"],
            *(pair for pair in _RAW_HEADERS if pair[0] not in present),
        ]


def _document(problem: Problem) -> Response[dict[str, Any]]:
    return Response(
        problem.document(),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=problem.headers,
    )


def _answer_problem(_: Request[Any, Any, Any], problem: Problem) -> Response[dict[str, Any]]:
    return _document(problem)


def _answer_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    detail = error.detail
    extra: dict[str, Any] = {}
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        # Messages name fields and what is wrong with them; what was sent is not repeated.
        extra["fields"] = [{k: item[k] for k in ("key", "message") if k in item} for item in error.extra]
        detail = "The request does not have the form that this address takes."
    slug = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(
        error.status_code, "request-refused"
    )
    problem = Problem(error.status_code, slug, detail, **extra)
    problem.headers.update(error.headers or {})
    return _document(problem)


def _answer_too_deep(request: Request[Any, Any, Any], error: RecursionError) -> Response[dict[str, Any]]:
    if request.method not in _UNSAFE:
        return _answer_unexpected(request, error)
    return _document(Problem(400, "bad-request", "What was sent is nested too deeply."))


def _answer_erased(_: Request[Any, Any, Any], __: KeyDestroyedError) -> Response[dict[str, Any]]:
    # Whoever asks may have been erased since their session was looked at.
    return _document(Problem(410, "erased", "The account that this belongs to is no longer here."))


def _answer_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    _log.error("unexpected error", error, route=request.scope.get("path_template") or "?")
    return _document(Problem(500, "internal-error", "Something went wrong here; it has been logged."))
