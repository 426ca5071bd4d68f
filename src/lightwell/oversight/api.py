"""The oversight server's JSON and witness addresses; refusals are problem documents (RFC 9457)."""

import asyncio
import hashlib
import time
from typing import Annotated, Any, Final

import httpx
import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter, QueryParameter

from lightwell.agreement.orders import HEADER, MAX_ORDER_CHARACTERS
from lightwell.oversight import audits, figures, promises, report, verdicts
from lightwell.oversight.board import BoardDesk
from lightwell.oversight.entry_view import entry_json
from lightwell.oversight.monitor import Monitor, WatchedLedger
from lightwell.oversight.refusal import Refusal
from lightwell.wire import canonical, signed_request
from lightwell.wire.note import NOTE_LIMIT

MAX_ENTRIES: Final = 1000
_OPEN: Final = {"access-control-allow-origin": "*"}
CellName = Annotated[str, Parameter(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


def watched(monitor: Monitor, cell: str) -> WatchedLedger:
    """Return a cell under oversight.

    Raises:
        Refusal: 404, no such cell.
    """
    found = monitor.ledgers.get(cell)
    if found is None:
        raise Refusal(404, "not-found", "There is no such cell under oversight.")
    return found


def monitor_of(state: State) -> Monitor:
    """Return the running monitor."""
    monitor: Monitor = state.monitor
    return monitor


def desk_of(state: State) -> BoardDesk:
    """Return the board's desk."""
    desk: BoardDesk = state.desk
    return desk


@get("/api/overview", sync_to_thread=True)
def read_overview(state: State, cell: CellName | None = None) -> dict[str, Any]:
    """Return all figures of all cells, or of one."""
    monitor = monitor_of(state)
    cells = [watched(monitor, cell).cell] if cell else list(monitor.ledgers)
    return {"at": time.time(), "cells": {name: figures.overview(monitor, name) for name in cells}}


@get("/api/terms", sync_to_thread=True)
def read_terms(state: State, cell: CellName) -> dict[str, Any]:
    """Return how every term stands, with the entries that show it."""
    monitor = monitor_of(state)
    watched(monitor, cell)
    terms = monitor.judge(cell)
    return {"cell": cell, "counts": figures.term_counts(terms), "terms": msgspec.to_builtins(terms)}


@get("/api/entries", sync_to_thread=True)
def read_entries(
    state: State,
    cell: CellName,
    kind: str = "",
    start: Annotated[int, QueryParameter(name="from", ge=0)] = 0,
    limit: Annotated[int, Parameter(ge=1, le=MAX_ENTRIES)] = 100,
) -> dict[str, Any]:
    """Return entries of a cell from an index on, of one kind if given (several with commas)."""
    monitor = monitor_of(state)
    watched(monitor, cell)
    kinds = [name for name in kind.split(",") if name]
    rows = monitor.store.entries(cell, kinds[:20], start=start, limit=limit)
    return {"cell": cell, "entries": [entry_json(row) for row in rows]}


@get("/api/findings", sync_to_thread=True)
def read_findings(state: State, cell: CellName) -> dict[str, Any]:
    """Return everything the monitor found about a cell, newest first."""
    monitor = monitor_of(state)
    watched(monitor, cell)
    return {"cell": cell, "findings": msgspec.to_builtins(monitor.store.findings(cell))}


@get("/api/cells/{cell:str}/replay", sync_to_thread=True)
def read_replay(
    state: State, cell: str, run: Annotated[str | None, Parameter(pattern=r"^[0-9a-f]{16}$")] = None
) -> verdicts.ReplayFigures:
    """Return how far replay is; with `run`, the figures of that audit alone."""
    monitor = monitor_of(state)
    watched(monitor, cell)
    return verdicts.figures(monitor.store, cell, run)


@get("/api/cells/{cell:str}/ledger", sync_to_thread=True)
def read_ledger(state: State, cell: str) -> dict[str, Any]:
    """Return size, consistency, problems and witnesses of a cell's ledger."""
    monitor = monitor_of(state)
    return figures.ledger_figures(monitor, watched(monitor, cell))


@post("/api/verdicts", status_code=202)
async def take_verdicts(request: Request[Any, Any, Any], state: State) -> dict[str, bool]:
    """Take a batch of verdicts that the cell's clean room has signed."""
    body = await request.body()
    try:
        batch = verdicts.decode_batch(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, "bad-request", f"The body is not a batch of verdicts: {error}.") from error
    monitor = monitor_of(state)
    ledger = watched(monitor, batch.cell)
    if ledger.cleanroom is None:
        raise Refusal(403, "no-clean-room", "No clean room is known for this cell.")
    sent = {name.lower(): value for name, value in request.headers.items()}
    try:
        digest = hashlib.sha256(body).hexdigest()
        signed_request.check(ledger.cleanroom, sent, "POST", "/api/verdicts", digest, int(time.time()))
    except signed_request.RequestSignatureError as error:
        raise Refusal(403, "bad-signature", f"{str(error).capitalize()}.") from error
    await _in_thread(verdicts.take, monitor.store, (ledger.origin, ledger.verifier), batch)
    return {"taken": True}


@get("/api/audit", sync_to_thread=True)
def read_audit(state: State, cell: CellName) -> dict[str, str | None]:
    """Return the audit that is wanted and not finished, for the clean room to take up."""
    monitor = monitor_of(state)
    watched(monitor, cell)
    return {"run": audits.wanted_audit(monitor.store, cell)}


@post("/api/audit", sync_to_thread=True, status_code=202)
def want_audit(state: State, cell: CellName) -> dict[str, str]:
    """Ask that everything be read and replayed again from entry 0."""
    monitor = monitor_of(state)
    watched(monitor, cell)
    return {"run": monitor.request_audit(cell)}


@get("/api/reports/latest", sync_to_thread=True)
def read_report(state: State, cell: CellName) -> Response[str]:
    """Return the newest signed report of a cell."""
    watched(monitor_of(state), cell)
    try:
        text = desk_of(state).latest(cell)
    except report.ReportError as error:
        raise Refusal(503, "no-report-yet", f"{str(error).capitalize()}.") from error
    return Response(
        text,
        media_type="text/plain",
        headers={"content-disposition": f'attachment; filename="report-{cell}.txt"'},
    )


@post("/witness/{cell:str}/add-checkpoint", status_code=200)
async def add_checkpoint(request: Request[Any, Any, Any], state: State, cell: str) -> Response[str]:
    """Cosign a checkpoint (C2SP tlog-witness)."""
    body = await request.body()
    if len(body) > NOTE_LIMIT:
        raise Refusal(413, "too-large", "A request to a witness is smaller than this.")
    answer = await _in_thread(monitor_of(state).witness.add_checkpoint, cell, body)
    # As a header, so that no charset is added: the protocol compares the type as a whole.
    return Response(answer.body, status_code=answer.status, headers={"content-type": answer.content_type})


@get("/witness/{cell:str}/{origin_hash:str}/checkpoint", sync_to_thread=True)
def read_witnessed(state: State, cell: str, origin_hash: str) -> Response[str]:
    """Return the checkpoint this witness cosigned last (C2SP tlog-witness, monitor retrieval)."""
    answer = monitor_of(state).witness.latest(cell, origin_hash)
    headers = {"content-type": answer.content_type, "cache-control": "no-cache", **_OPEN}
    return Response(answer.body, status_code=answer.status, headers=headers)


@post("/api/promises", status_code=200)
async def take_promise(request: Request[Any, Any, Any], state: State) -> Response[promises.Standing]:
    """Say how a promise of a ledger under oversight stands; anybody's page may ask, in any content type."""
    submission = promises.read(await request.body())
    monitor = monitor_of(state)
    origin = promises.origin_of(submission)
    ledger = next((one for one in monitor.ledgers.values() if one.origin == origin), None)
    if ledger is None:
        raise Refusal(404, "unknown-ledger", "This is no promise of a ledger under oversight.")
    standing = await _in_thread(
        promises.judge,
        monitor.store,
        (ledger.cell, ledger.origin, ledger.verifier),
        ledger.follower.status,
        submission,
        monitor.settings.clock_grace_seconds,
    )
    return Response(standing, headers=_OPEN)


@post("/api/orders", status_code=200)
async def pass_order_on(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Hand a signed order to the cell it names and return the cell's answer, whatever it is."""
    body = await request.body()
    monitor = monitor_of(state)
    ledger = watched(monitor, order_cell(body))
    try:
        answer = await _in_thread(_post_order, monitor, ledger.seat.url, body)
    except httpx.HTTPError as error:
        raise Refusal(
            502, "cell-unreachable", "The cell did not answer; the order was not delivered."
        ) from error
    kind = answer.headers.get("content-type", "application/json")
    return Response(answer.content, status_code=answer.status_code, headers={"content-type": kind})


def order_cell(body: bytes) -> str:
    """Return the cell that an order is for; nothing else in it is looked at here.

    Raises:
        Refusal: 400, this is no order.
    """
    if len(body) <= MAX_ORDER_CHARACTERS and body.startswith(HEADER.encode()):
        try:
            fields = canonical.decode(body.split(b"\n", 2)[1])
        except (canonical.CanonicalError, IndexError):
            fields = None
        if isinstance(fields, dict) and isinstance(fields.get("cell"), str):
            return str(fields["cell"])
    raise Refusal(400, "malformed", "This is not an order.")


def _post_order(monitor: Monitor, url: str, body: bytes) -> httpx.Response:
    return monitor.client.post(f"{url}/api/orders", content=body, headers={"content-type": "text/plain"})


async def _in_thread(call: Any, *values: Any) -> Any:
    return await asyncio.to_thread(call, *values)


routes: list[BaseRouteHandler] = [
    read_overview,
    read_terms,
    read_entries,
    read_findings,
    read_replay,
    read_ledger,
    take_verdicts,
    read_audit,
    want_audit,
    read_report,
    pass_order_on,
    add_checkpoint,
    read_witnessed,
    take_promise,
]
