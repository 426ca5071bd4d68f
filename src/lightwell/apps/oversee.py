"""`lightwell oversee`, `report` and `order`: the monitor's processes, the board's report, orders."""

import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer
from rich.console import Console
from rich.table import Table

from lightwell.agreement.orders import make_order
from lightwell.agreement.roster import parse_roster
from lightwell.wire.keys import SigningKey, Verifier

app = typer.Typer(help="Run the oversight server or a clean room.", no_args_is_help=True)
report_app = typer.Typer(help="Fetch and verify the board's report.", no_args_is_help=True)
order_app = typer.Typer(help="Make and send signed orders.", no_args_is_help=True)

Url = Annotated[str, typer.Option(help="Address of the oversight server, or of the cell itself.")]
KeyFile = Annotated[Path, typer.Option("--key", help="File with the signer's key.")]
CellName = Annotated[str, typer.Option(help="The cell the order is for.")]
Scope = Annotated[str, typer.Argument(help="What the order is about: uploads, sign_ups, ...")]
Reason = Annotated[str, typer.Option(help="One line, public.")]
Expires = Annotated[int | None, typer.Option(help="Ends by itself after this many seconds.", min=1)]


class CommandError(ValueError):
    """What was asked cannot be done; the first line of the text says why."""


@app.command()
def serve(folder: Annotated[Path, typer.Argument(help="The oversight server's folder.")]) -> None:
    """Serve the console, the witness and the monitor's interface, and follow every cell."""
    from granian import Granian
    from granian.constants import Interfaces, Loops
    from granian.log import LogLevels

    from lightwell.oversight.server import FOLDER_VARIABLE
    from lightwell.oversight.settings import load_oversight

    settings = load_oversight(folder)
    address = urlsplit(settings.url)
    os.environ[FOLDER_VARIABLE] = str(settings.folder)
    # One worker: its threads own the store and the witness's memory.
    Granian(
        "lightwell.oversight.server:create_app",
        factory=True,
        address=address.hostname or "127.0.0.1",
        port=address.port or 80,
        interface=Interfaces.ASGI,
        workers=1,
        loop=Loops.uvloop,
        log_access=False,
        log_level=LogLevels.warning,
        websockets=False,
        workers_kill_timeout=10,
    ).serve()


@app.command()
def cleanroom(folder: Annotated[Path, typer.Argument(help="The clean room's folder.")]) -> None:
    """Follow the cell's ledger and replay every slate from its record until a signal ends it."""
    from lightwell.oversight.cleanroom import CleanRoom
    from lightwell.oversight.settings import load_cleanroom

    room = CleanRoom(load_cleanroom(folder))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    room.run(stop)


@app.command()
def audit(
    url: Annotated[str, typer.Argument(help="Address of the oversight server.")],
    cell: Annotated[str, typer.Option(help="The cell to audit.")],
    seconds: Annotated[float, typer.Option(help="Give up after this many seconds.")] = 600,
) -> None:
    """Have everything read and replayed again from entry 0. Exit code 0: whole; 1: something is wrong."""
    run = _json(_request("POST", f"{url}/api/audit?cell={cell}"))["run"]
    until = time.monotonic() + seconds
    with Console(stderr=True).status("Reading and replaying everything again") as status:
        while True:
            figures = _json(_request("GET", f"{url}/api/cells/{cell}/replay?run={run}"))
            if figures["run"] == run:
                break
            if time.monotonic() > until:
                raise CommandError(f"the audit did not finish within {seconds:.0f} s")
            status.update(f"Replayed {figures['replayed']} slates again")
            time.sleep(0.3)
    ledger = _json(_request("GET", f"{url}/api/cells/{cell}/ledger"))
    for problem in ledger["problems"]:
        typer.echo(problem)
    typer.echo(
        f"{figures['audited_size']} entries read; "
        f"{figures['replayed']} of {figures['slates']} slates replayed, "
        f"{figures['mismatches']} do not match, {figures['missing']} missing"
    )
    wrong = figures["mismatches"] or figures["missing"] or not ledger["consistent"]
    sys.exit(1 if wrong or figures["replayed"] != figures["slates"] else 0)


@report_app.command()
def fetch(
    url: Annotated[str, typer.Argument(help="Address of the oversight server.")],
    cell: Annotated[str, typer.Option(help="The cell to report on.")],
    out: Annotated[Path, typer.Option(help="Where to write the report.")],
) -> None:
    """Fetch the newest signed report of a cell into a file."""
    answer = _request("GET", f"{url}/api/reports/latest?cell={cell}")
    out.write_bytes(answer.content)
    typer.echo(f"{out}: {len(answer.content)} bytes")


@report_app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The report.")],
    vkey: Annotated[
        list[str] | None, typer.Option(help="A board member's key; every one given must have signed.")
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="The roster; a majority of its board must have signed.")
    ] = None,
) -> None:
    """Check a report's signatures, its tree and its terms, and show what it says."""
    from lightwell.oversight import report

    text = _read(file)
    if roster is not None:
        found = report.verify_by_roster(text, parse_roster(_read(roster)))
    elif vkey:
        found = report.verify(text, [Verifier.from_vkey(key) for key in vkey], len(set(vkey)))
    else:
        raise CommandError("give the board's keys with --vkey or a roster with --roster")
    body = found.body
    agreement, ledger = body["agreement"], body["ledger"]
    console = Console()
    console.print(f"Verified: signed by {', '.join(found.signers)}", style="green", highlight=False)
    console.print(
        f"Cell {body['cell']}, agreement {agreement['id']} version {agreement['version']}, "
        f"tree of {ledger['size']} entries, root {ledger['root'][:16]}",
        highlight=False,
    )
    table = Table("Term", "Status", "Why", "Entries", box=None, pad_edge=False)
    colours = {"met": "green", "breached": "red", "no evidence": "blue"}
    for term in body["terms"]:
        shown = ", ".join(map(str, term["entries"][:4])) + (" …" if len(term["entries"]) > 4 else "")
        table.add_row(term["id"], f"[{colours[term['status']]}]{term['status']}[/]", term["why"], shown)
    console.print(table)


@order_app.command()
def make(
    verb: Annotated[str, typer.Argument(help="suspend, restrict, lift, stay or extend.")],
    scope: Scope,
    key: KeyFile,
    cell: CellName,
    out: Annotated[Path, typer.Option(help="Where to write the order.")],
    reason: Reason = "",
    about: Annotated[
        str | None, typer.Option(help="Id of the order that this one lifts, stays or extends.")
    ] = None,
    expires: Expires = None,
) -> None:
    """Write a signed order to a file, without sending it."""
    out.write_text(_order(verb, scope, key, cell, reason, about, expires), "utf-8")
    typer.echo(str(out))


@order_app.command()
def send(file: Annotated[Path, typer.Argument(help="A signed order.")], url: Url) -> None:
    """Send a signed order; the cell's answer says whether it is in force."""
    _send(_read(file), url)


@order_app.command()
def suspend(
    scope: Scope, key: KeyFile, cell: CellName, url: Url, reason: Reason = "", expires: Expires = None
) -> None:
    """Make and send an order to suspend something, such as uploads."""
    _send(_order("suspend", scope, key, cell, reason, None, expires), url)


@order_app.command()
def lift(
    scope: Scope,
    key: KeyFile,
    cell: CellName,
    url: Url,
    reason: Reason = "",
    about: Annotated[str | None, typer.Option(help="Id of one order; all of the scope if not given.")] = None,
) -> None:
    """Make and send an order to lift what was suspended."""
    _send(_order("lift", scope, key, cell, reason, about, None), url)


def _order(
    verb: str, scope: str, key: Path, cell: str, reason: str, about: str | None, expires: int | None
) -> str:
    now = time.time()
    return make_order(
        SigningKey.from_text(_read(key)),
        order=secrets.token_hex(8),
        verb=verb,
        scope=scope,
        cell=cell,
        # Milliseconds: later orders of one signer have greater numbers without a counter kept anywhere.
        sequence=int(now * 1000),
        issued_at=int(now),
        expires_at=int(now) + expires if expires else None,
        lifts=about,
        reason=reason,
    )


def _send(text: str, url: str) -> None:
    answer = _json(_request("POST", f"{url.rstrip('/')}/api/orders", text.encode()))
    typer.echo(f"{answer['order']}: {answer['verb']} {answer['scope']}, taken")


def _request(method: str, url: str, body: bytes = b"") -> httpx.Response:
    try:
        answer = httpx.request(
            method, url, content=body or None, timeout=30, headers={"content-type": "text/plain"}
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"{url}: {error}") from error
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        raise CommandError(_refusal(answer))
    return answer


def _refusal(answer: httpx.Response) -> str:
    try:
        document = answer.json()
        reason = f" ({document['reason']})" if "reason" in document else ""
        return f"refused{reason}: {document['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url}: status {answer.status_code}"


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise CommandError(f"{answer.request.url}: the answer is not JSON") from error
    if not isinstance(found, dict):
        raise CommandError(f"{answer.request.url}: the answer is not an object")
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not a text file") from error


if __name__ == "__main__":
    app()
