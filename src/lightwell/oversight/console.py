"""The console's pages: what holds, what does not, what is not known, each figure leading to its entries."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import jinja2
from litestar import Response, get
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter

from lightwell.agreement.roster import Seat
from lightwell.oversight import adopted, figures, transfers
from lightwell.oversight.api import monitor_of, watched
from lightwell.oversight.entry_view import day, entry_json, entry_time, inclusion, sentence
from lightwell.oversight.monitor import Monitor
from lightwell.oversight.refusal import Refusal
from lightwell.wire.entries import KINDS

PAGES: Final = (
    ("", (("/", "Overview"), ("/terms", "Terms"), ("/feed-monitor", "Feed monitor"), ("/flows", "Data flows"),
          ("/access", "Staff access"), ("/ledger", "Ledger"))),
    ("Board", (("/findings", "Findings"), ("/orders", "Orders"), ("/reports", "Reports"),
               ("/members", "Members"))),
)  # fmt: skip
_DECISIONS: Final = (
    "AccessDecided", "AccessOpened", "AccessReviewed", "AccessUsed", "AccessEnded", "DirectoryChanged",
    "AppointmentDecided", "LawfulRequestAnswered", "LawfulRequestRefused",
    "AggregateAnswered", "TransferRefused", "ConnectionRefused", "OrderTaken",
    "OrderRefused", "PolicyProposed", "PolicyApproved", "PolicyAdopted", "AgreementAdopted",
)  # fmt: skip
_PAGE_ROWS: Final = 100
_TONES: Final = {
    "met": "proof", "identical": "proof", "granted": "proof", "in force": "day", "closed": "proof",
    "breached": "breach", "breach": "breach", "differs": "breach", "missing": "breach", "unopened": "breach",
    "padding": "quiet", "not-kept": "quiet", "snapshot-missing": "breach", "withdrawal-unproven": "breach",
    "withdrawn-shown": "breach",
    "refused": "quiet", "no evidence": "unknown", "open": "unknown",
    "pending": "unknown", "lifted": "quiet", "stayed": "unknown",
}  # fmt: skip

CellParam = Annotated[str | None, Parameter(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("lightwell.oversight", "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_environment.filters["number"] = lambda value: f"{value:,}"
_environment.filters["day"] = day
_environment.filters["tone"] = lambda word: _TONES.get(word, "quiet")
_environment.filters["sentence"] = sentence
_environment.filters["entry_time"] = entry_time


@get("/", sync_to_thread=True)
def show_overview(state: State, cell: CellParam = None) -> Response[str]:
    """Show the first screenful: the five figures, every term, decisions, findings and orders."""
    monitor, name = _chosen(state, cell)
    return _page(
        monitor, name, "/", "overview.html",
        terms=monitor.ledgers[name].terms,
        decisions=monitor.store.entries(name, _DECISIONS, limit=9, newest=True),
        findings=monitor.store.findings(name)[:6],
        orders=figures.order_figures(monitor.store, name)[:5],
    )  # fmt: skip


@get("/terms", sync_to_thread=True)
def show_terms(state: State, cell: CellParam = None) -> Response[str]:
    """Show every term with its status, why, and the entries that show it."""
    monitor, name = _chosen(state, cell)
    held = adopted.adopted(monitor.store, name)
    stated = {term.id: term for term in held.agreement.terms} if held else {}
    return _page(monitor, name, "/terms", "terms.html", terms=monitor.ledgers[name].terms, stated=stated)


@get("/ledger", sync_to_thread=True)
def show_ledger(state: State, cell: CellParam = None) -> Response[str]:
    """Show the tree, its checkpoint, its witnesses and what consistency checks found."""
    monitor, name = _chosen(state, cell)
    return _page(
        monitor, name, "/ledger", "ledger.html",
        head=monitor.store.head(name),
        seat=monitor.ledgers[name].seat,
        known_kinds=list(KINDS),
        findings=monitor.store.findings(name, "ledger"),
    )  # fmt: skip


@get("/feed-monitor", sync_to_thread=True)
def show_feed_monitor(state: State, cell: CellParam = None) -> Response[str]:
    """Show how many slates were replayed and what came of them."""
    monitor, name = _chosen(state, cell)
    store = monitor.store
    verdicts = """SELECT v.idx, v.outcome, v.at, e.data, e.kind FROM verdicts v
        JOIN entries e ON e.cell = v.cell AND e.idx = v.idx WHERE v.cell = ? AND v.run = ''"""
    return _page(
        monitor, name, "/feed-monitor", "feed_monitor.html",
        recent=store.rows(verdicts + " ORDER BY v.idx DESC LIMIT 30", name),
        wrong=store.rows(
            verdicts
            + " AND v.outcome NOT IN ('identical', 'padding', 'not-kept') ORDER BY v.idx LIMIT 100",
            name,
        ),
        audits=store.rows(
            "SELECT * FROM runs WHERE cell = ? AND run <> 'live' ORDER BY wanted_at DESC LIMIT 10", name
        ),
        policies=store.entries(name, ["PolicyAdopted"], limit=20, newest=True),
        findings=[f for f in store.findings(name) if f.area in ("replay", "feed")],
    )  # fmt: skip


@get("/flows", sync_to_thread=True)
def show_flows(state: State, cell: CellParam = None) -> Response[str]:
    """Show the flows of the agreement, what crossed by them and what was refused."""
    monitor, name = _chosen(state, cell)
    held = adopted.adopted(monitor.store, name)
    return _page(
        monitor, name, "/flows", "flows.html",
        flows=held.agreement.flows if held else [],
        transfers=transfers.newest(monitor.store, name, 50),
        refused=monitor.store.entries(name, ["TransferRefused", "ConnectionRefused"], limit=50, newest=True),
        findings=monitor.store.findings(name, "transfers"),
    )  # fmt: skip


@get("/access", sync_to_thread=True)
def show_access(state: State, cell: CellParam = None) -> Response[str]:
    """Show every request of staff for protected data and what came of it."""
    monitor, name = _chosen(state, cell)
    return _page(
        monitor, name, "/access", "access.html",
        requests=monitor.store.rows(
            "SELECT * FROM requests WHERE cell = ? ORDER BY seen_idx DESC LIMIT 100", name
        ),
        findings=monitor.store.findings(name, "access"),
    )  # fmt: skip


@get("/findings", sync_to_thread=True)
def show_findings(state: State, cell: CellParam = None) -> Response[str]:
    """Show all findings, newest first."""
    monitor, name = _chosen(state, cell)
    return _page(monitor, name, "/findings", "findings.html", findings=monitor.store.findings(name))


@get("/orders", sync_to_thread=True)
def show_orders(state: State, cell: CellParam = None) -> Response[str]:
    """Show orders taken, whether they bind, and orders refused."""
    monitor, name = _chosen(state, cell)
    held = adopted.adopted(monitor.store, name)
    return _page(
        monitor, name, "/orders", "orders.html",
        orders=figures.order_figures(monitor.store, name),
        refused=figures.refused_orders(monitor.store, name),
        powers=held.agreement.powers if held else [],
        seat=monitor.ledgers[name].seat,
    )  # fmt: skip


@get("/reports", sync_to_thread=True)
def show_reports(state: State, cell: CellParam = None) -> Response[str]:
    """Show how to fetch and verify the board's report, and those issued before."""
    monitor, name = _chosen(state, cell)
    rows = monitor.store.rows(
        "SELECT id, issued_at, size FROM reports WHERE cell = ? ORDER BY id DESC LIMIT 20", name
    )
    return _page(
        monitor, name, "/reports", "reports.html",
        reports=rows, signers=[key.name for key in monitor.board], url=monitor.settings.url,
    )  # fmt: skip


@get("/reports/{report_id:int}", sync_to_thread=True)
def read_issued_report(state: State, report_id: int) -> Response[str]:
    """Return a report issued before, as it was signed."""
    row = monitor_of(state).store.row("SELECT text FROM reports WHERE id = ?", min(report_id, 2**62))
    if row is None:
        raise Refusal(404, "not-found", "There is no such report.")
    return Response(row["text"], media_type="text/plain")


@get("/members", sync_to_thread=True)
def show_members(state: State, cell: CellParam = None) -> Response[str]:
    """Show who holds which key."""
    monitor, name = _chosen(state, cell)
    held = adopted.adopted(monitor.store, name)
    by_role: dict[str, list[Seat]] = {}
    for seat in held.seats if held else []:
        by_role.setdefault(seat.role, []).append(seat)
    return _page(
        monitor,
        name,
        "/members",
        "members.html",
        by_role=by_role,
        parties=held.agreement.parties if held else [],
    )


@get("/entries", sync_to_thread=True)
def show_entries(
    state: State,
    cell: CellParam = None,
    kind: str = "",
    before: Annotated[int, Parameter(ge=0, le=2**62)] = 0,
) -> Response[str]:
    """Show entries of a ledger, newest first, of one kind or several."""
    monitor, name = _chosen(state, cell)
    kinds = [part for part in kind.split(",") if part][:20]
    start = before - 1 if before > 0 else 0
    rows = [] if before == 1 else monitor.store.entries(name, kinds, start, _PAGE_ROWS, newest=True)
    if before == 1:
        first = monitor.store.entry(name, 0)
        rows = [first] if first and (not kinds or first["kind"] in kinds) else []
    return _page(
        monitor, name, "/entries", "entries.html",
        rows=rows, kind=kind, older=rows[-1]["idx"] if len(rows) == _PAGE_ROWS else None,
        all_kinds=sorted(monitor.store.kinds(name)),
    )  # fmt: skip


@get("/entries/{cell:str}/{index:int}", sync_to_thread=True)
def show_entry(state: State, cell: str, index: int) -> Response[str]:
    """Show one entry: its canonical text, its leaf hash and the proof that it is in the tree."""
    monitor = monitor_of(state)
    seat = watched(monitor, cell).seat
    row = monitor.store.entry(cell, min(index, 2**62))
    if row is None:
        raise Refusal(404, "not-found", "The monitor has followed no such entry.")
    verdict = monitor.store.row(
        "SELECT outcome, at FROM verdicts WHERE cell = ? AND run = '' AND idx = ?", cell, index
    )
    return _page(
        monitor, cell, "/entries", "entry.html",
        seat=seat, row=row, entry=entry_json(row), proof=inclusion(monitor.store, cell, index),
        verdict=verdict,
        findings=[finding for finding in monitor.store.findings(cell) if index in finding.entries],
    )  # fmt: skip


def problem_page(status: int, detail: str, headers: Mapping[str, str]) -> Response[str]:
    """Return a plain page that says what is wrong with a request."""
    text = _environment.get_template("problem.html").render(status=status, detail=detail)
    return Response(text, status_code=status, media_type="text/html", headers=dict(headers))


def _chosen(state: State, cell: str | None) -> tuple[Monitor, str]:
    monitor = monitor_of(state)
    name = cell or next(iter(monitor.ledgers), "")
    return monitor, watched(monitor, name).cell


def _page(monitor: Monitor, cell: str, path: str, template: str, **values: Any) -> Response[str]:
    text = _environment.get_template(template).render(
        pages=PAGES,
        path=path,
        cell=cell,
        cells=[(name, figures.title(name)) for name in monitor.ledgers],
        now=figures.overview(monitor, cell),
        **values,
    )
    return Response(text, media_type="text/html", headers={"cache-control": "no-store"})


routes: list[BaseRouteHandler] = [
    show_overview, show_terms, show_ledger, show_feed_monitor, show_flows, show_access, show_findings,
    show_orders, show_reports, read_issued_report, show_members, show_entries, show_entry,
]  # fmt: skip
