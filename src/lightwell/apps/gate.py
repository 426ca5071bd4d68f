"""The gateway process of a cell: the only one that other cells can reach, and that can reach other cells."""

import asyncio
import datetime
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from granian import Granian
from granian.constants import Interfaces, Loops, SSLProtocols
from granian.log import LogLevels
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException

from lightwell.apps.background import Background
from lightwell.apps.startup import open_cell
from lightwell.base.errors import Problem
from lightwell.base.settings import SettingsError, load
from lightwell.base.telemetry import log
from lightwell.product import videos
from lightwell.residency import gateway, gateway_tls, gateway_web
from lightwell.residency.amendments import AmendmentWatch
from lightwell.residency.cell import GATEWAY, Cell
from lightwell.residency.courier import Courier

_log = log("gateway")


def create_app(folder: str | None = None) -> Litestar:
    """Build the gateway of the cell in `folder`, or in the folder that LIGHTWELL_CELL names.

    From here on this process opens connections to the cell's own stores and its peers' gateways only.
    """
    return build_app(open_cell(Path(folder or os.environ["LIGHTWELL_CELL"]), GATEWAY))


def build_app(cell: Cell) -> Litestar:
    """Build the gateway of an open cell, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        gateway.on_receive("public-video", videos.receive_foreign)
        background = Background()
        background.start("courier", Courier(cell).run)
        background.start("amendments", AmendmentWatch(cell).run)
        background.start("doors", lambda stop: cell.doors.run(cell.database, stop))
        try:
            yield
        finally:
            await asyncio.to_thread(background.end)
            cell.close()

    return Litestar(
        route_handlers=gateway_web.routes,
        dependencies={"cell": Provide(lambda: cell, sync_to_thread=False)},
        exception_handlers={
            Problem: _answer_problem,
            HTTPException: _answer_http_exception,
            Exception: _answer_unexpected,
        },
        lifespan=[lifespan],
        openapi_config=None,
        logging_config=None,
    )


def serve(folder: Path) -> None:
    """Serve the gateway of the cell in `folder` until a signal ends it: TLS 1.3, and only for its peers.

    Args:
        folder: the cell's folder; its settings say where, and whose gateways may connect.

    Raises:
        SettingsError: the folder is not a cell's, or its settings give the gateway no address.
        CellError: the folder contradicts itself.
    """
    settings = load(folder)
    address = urlsplit(settings.gateway_url)
    if address.scheme != "https" or not address.hostname or not address.port:
        raise SettingsError("cell.toml: gateway_url is https://host:port")
    cell = Cell.open(settings.folder, process=GATEWAY)
    try:
        own = gateway_tls.identity(
            cell.vault.signing_key("gateway"), settings.cell, datetime.datetime.now(datetime.UTC)
        )
        certificate, key, peers = gateway_tls.write_listener_files(
            settings.path("keys"), own, gateway_tls.pinned(cell.roster, settings.peers).values()
        )
    finally:
        cell.close()
    os.environ["LIGHTWELL_CELL"] = str(settings.folder)
    Granian(
        "lightwell.apps.gate:create_app",
        factory=True,
        address=address.hostname,
        port=address.port,
        interface=Interfaces.ASGI,
        workers=1,
        loop=Loops.uvloop,
        log_access=False,
        log_level=LogLevels.warning,
        websockets=False,
        workers_kill_timeout=3,
        ssl_cert=certificate,
        ssl_key=key,
        ssl_ca=peers,
        ssl_client_verify=True,
        ssl_protocol_min=SSLProtocols.tls13,
    ).serve()


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
    slug = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(
        error.status_code, "request-refused"
    )
    return _document(Problem(error.status_code, slug, "The gateway takes transfers and media, nothing else."))


def _answer_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    _log.error("unexpected error", error, route=request.scope.get("path_template") or "?")
    return _document(Problem(500, "internal-error", "Something went wrong here; it has been logged."))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
