"""The oversight server: witness, JSON, console pages and the monitor's threads, in one process."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.static_files import create_static_files_router

from lightwell.oversight import api, console
from lightwell.oversight.board import BoardDesk
from lightwell.oversight.monitor import Monitor
from lightwell.oversight.refusal import Refusal, VerdictError
from lightwell.oversight.settings import load_oversight

FOLDER_VARIABLE: Final = "LIGHTWELL_OVERSIGHT"
_STATIC: Final = Path(__file__).parent / "static"
_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def create_app(folder: str | None = None) -> Litestar:
    """Build the application of the oversight folder given, or of the one LIGHTWELL_OVERSIGHT names.

    Raises:
        SettingsError: the folder's settings or keys are missing or malformed.
    """
    monitor = Monitor(load_oversight(Path(folder or os.environ[FOLDER_VARIABLE])))

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.monitor = monitor
        app.state.desk = BoardDesk(monitor)
        monitor.start()
        try:
            yield
        finally:
            await asyncio.to_thread(monitor.stop)

    return Litestar(
        route_handlers=[
            *api.routes,
            *console.routes,
            create_static_files_router(path="/static", directories=[_STATIC]),
        ],
        lifespan=[lifespan],
        exception_handlers={
            Refusal: _answer_refusal,
            VerdictError: _answer_verdict_error,
            HTTPException: _answer_http_exception,
        },
        before_request=_refuse_foreign_origin,
        after_request=_add_headers,
        request_max_body_size=2 * 1024 * 1024,
        openapi_config=None,
        logging_config=None,
    )


def _refuse_foreign_origin(request: Request[Any, Any, Any]) -> None:
    # A promise speaks for itself, and its holder has it on the page of a cell.
    if request.url.path == "/api/promises":
        return
    # Another site's page may not ask for audits in a reader's name.
    origin = request.headers.get("origin")
    if origin and request.method == "POST" and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refusal(403, "foreign-origin", "This request came from another site's page.")


def _add_headers(response: Response[Any]) -> Response[Any]:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _document(refusal: Refusal) -> Response[dict[str, Any]]:
    return Response(
        refusal.document(),
        status_code=refusal.status,
        media_type="application/problem+json",
        headers=dict(_HEADERS),
    )


def _answer_refusal(request: Request[Any, Any, Any], refusal: Refusal) -> Response[Any]:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return console.problem_page(refusal.status, refusal.detail, dict(_HEADERS))
    return _document(refusal)


def _answer_verdict_error(_: Request[Any, Any, Any], error: VerdictError) -> Response[dict[str, Any]]:
    return _document(Refusal(error.status, error.slug, str(error)))


def _answer_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    slug = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(
        error.status_code, "request-refused"
    )
    detail = error.detail
    if isinstance(error, ValidationException):
        detail = "The request does not have the form that this address takes."
    elif error.status_code == 404:
        detail = "There is nothing at this address."
    return _answer_refusal(request, Refusal(error.status_code, slug, detail))
