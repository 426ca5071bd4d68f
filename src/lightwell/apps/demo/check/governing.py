"""Steps of those who govern: an order bites and outlives a restart, a report verifies, nothing is lost."""

import contextlib
import hashlib
import secrets
import time
from pathlib import Path

import httpx

from lightwell.agreement.orders import make_order
from lightwell.apps.demo.check.planes import Journal, Planes
from lightwell.apps.demo.check.steps import StepFailed, wait_for
from lightwell.apps.demo.person import Person, expect, slug_of
from lightwell.oversight.report import verify_by_roster
from lightwell.wire.entries import OrderEffective, OrderRefused
from lightwell.wire.keys import SigningKey
from lightwell.wire.promise import open_promise

EFFECT_SECONDS = 5.0
_CONNECTIONS = 6


def order_bites(planes: Planes, journal: Journal) -> str:
    """Suspend uploads by the authority's order, see it bite, and see a forged and a replayed one refused."""
    maker = journal.person("maker")
    us = planes.http["us"]
    if _upload_status(maker)[0] != 201:
        raise StepFailed("uploads were not possible before the order")
    key = planes.deployment.key("authority")
    forged = _order(SigningKey.generate(key.name, secrets.token_bytes(32)), "suspend", "forged by the check")
    _require_refused(us, forged, "a forged order")
    if _upload_status(maker)[0] != 201:
        raise StepFailed("the forged order took effect")
    paper = _order(key, "suspend", "the check suspends uploads for a minute")
    sent = time.monotonic()
    order = str(expect(_deliver(us, paper), 200)["order"])
    journal.facts["order"] = order
    _left(planes).write_text(order, "ascii")
    wait_for(
        "uploads refused on every connection", lambda: _all_refused(planes, journal), EFFECT_SECONDS, 0.05
    )
    took = time.monotonic() - sent
    _require_refused(us, paper, "the same order again")

    def recorded() -> bool:
        start = journal.start.get("us")
        seen = planes.readers["us"].since(start.size if start else 0)
        processes = {
            e.process for e in seen if isinstance(e, OrderEffective) and e.order == journal.facts["order"]
        }
        refused = [e for e in seen if isinstance(e, OrderRefused)]
        return {"web", "worker"} <= processes and len(refused) >= 2

    wait_for("order and refusals in the ledger", recorded, planes.clock.limit(EFFECT_SECONDS + 5, kept=20))
    return (
        f"uploads refused {took:.2f} s after the order, obeyed by web and worker; "
        "a forged and a replayed order refused, all in the ledger"
    )


def _order(key: SigningKey, verb: str, reason: str, lifts: str | None = None) -> str:
    return make_order(
        key,
        order=secrets.token_hex(8),
        verb=verb,
        scope="uploads",
        cell="us",
        # Milliseconds grow by themselves, across runs too, and stay below 2^53.
        sequence=time.time_ns() // 1_000_000,
        issued_at=int(time.time()),
        reason=reason,
        lifts=lifts,
    )


def _deliver(us: httpx.Client, paper: str) -> httpx.Response:
    return us.post(
        "/api/orders", content=paper.encode(), headers={"content-type": "text/plain; charset=utf-8"}
    )


def _require_refused(us: httpx.Client, paper: str, what: str) -> None:
    answer = _deliver(us, paper)
    if not 400 <= answer.status_code < 500:
        raise StepFailed(f"{what} was answered {answer.status_code}")


def _upload_status(maker: Person) -> tuple[int, str, str]:
    """Try to begin an upload; returns status, the problem's name, and the order it names."""
    answer = maker.http.post("/api/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "1000"})
    if answer.status_code == 201:
        maker.http.delete(answer.headers["Location"], headers={"Tus-Resumable": "1.0.0"})
        return 201, "", ""
    problem = answer.json()
    return answer.status_code, slug_of(problem), str(problem.get("order", ""))


def _all_refused(planes: Planes, journal: Journal) -> bool:
    """Ask over fresh connections, so that every process that answers is asked."""
    maker, bird = journal.person("maker"), journal.birds["maker"]
    for _ in range(_CONNECTIONS):
        with Person(planes.deployment.urls["us"], bird.source_ip) as fresh:
            fresh.http.cookies = maker.http.cookies
            if _upload_status(fresh) != (403, "suspended-by-order", journal.facts["order"]):
                return False
    return True


def report_verifies(planes: Planes, journal: Journal) -> str:
    """Fetch the board's signed report and verify it against the roster, as `lightwell report verify` does."""
    answer = planes.http["oversight"].get("/api/reports/latest", params={"cell": "us"})
    if answer.status_code != 200:
        raise StepFailed(f"the report was answered {answer.status_code}: {answer.text[:200]}")
    report = verify_by_roster(answer.text, planes.deployment.roster())
    altered = answer.text.replace('"status":"no evidence"', '"status":"met"', 1)
    altered = altered if altered != answer.text else answer.text.replace("lightwell/us", "lightwell/xx", 1)
    try:
        verify_by_roster(altered, planes.deployment.roster())
    except ValueError:
        pass
    else:
        raise StepFailed("an altered report verifies too")
    terms = report.body["terms"]
    breached = [term["id"] for term in terms if term["status"] == "breached"]
    if breached:
        raise StepFailed(f"the report is signed, and says breached: {', '.join(breached)}")
    met = sum(term["status"] == "met" for term in terms)
    return f"{len(terms)} terms, {met} met, none breached; signed by {', '.join(report.signers)}"


def survives_restart(planes: Planes, journal: Journal) -> str:
    """Restart every process; order, account, video, receipt and ledger are still there."""
    before = planes.readers["us"].checkpoint().checkpoint
    started = time.monotonic()
    planes.restart()
    took = time.monotonic() - started
    kept: list[str] = []
    if "order" in journal.facts:
        wait_for("uploads still refused", lambda: _all_refused(planes, journal), EFFECT_SECONDS)
        kept.append("order")
    lift(planes, journal)
    viewer = journal.person("viewer")
    bird = journal.birds["viewer"]
    with Person(planes.deployment.urls["us"], bird.source_ip) as again:
        again.sign_in(bird.details.handle, bird.details.password)
        own = expect(again.http.get("/api/me"), 200)
    if (
        own["email"] != bird.details.email
        or expect(viewer.http.get("/api/me"), 200)["handle"] != viewer.handle
    ):
        raise StepFailed("the viewer's account or session is not what it was")
    kept.append("account")
    if "video" in journal.facts:
        media = viewer.http.get(viewer.video(journal.facts["video"])["media"]["540"])
        if hashlib.sha256(media.content).hexdigest() != journal.facts["media 540"]:
            raise StepFailed("the video is not what it was")
        kept.append("video")
    reader = planes.readers["us"]
    after = reader.checkpoint().checkpoint
    reader.check_extends(before, after)
    if "receipt" in journal.facts:
        leaf, index = journal.facts["receipt"]
        found = reader.inclusion(leaf)
        if found is None or found[0] != index:
            raise StepFailed(f"entry {index} is not where it was")
        kept.append("receipt")
    # Whether there is something unseen to show does not matter here; that it is committed does.
    promise = open_promise(viewer.feed("newest", 5)["proof"]["promise"], reader.verifier)
    wait_for(
        "the new slate in the tree",
        lambda: reader.inclusion(promise.leaf_hash) is not None,
        planes.clock.limit(10, kept=3),
    )

    def grown() -> bool:
        newest = reader.checkpoint().checkpoint
        reader.check_extends(after, newest)
        return newest.size > before.size

    wait_for("the ledger growing on", grown, planes.clock.limit(10, kept=2))
    return f"restarted in {took:.1f} s; {', '.join(kept)} and ledger as before; the order is lifted"


def lift(planes: Planes, journal: Journal) -> None:
    """Lift the check's suspension, if it stands; raises `StepFailed` if uploads do not come back."""
    if "order" not in journal.facts:
        return
    paper = _order(planes.deployment.key("authority"), "lift", "the check is over", journal.facts["order"])
    expect(_deliver(planes.http["us"], paper), 200)
    del journal.facts["order"]
    _left(planes).unlink(missing_ok=True)
    maker = journal.person("maker")
    wait_for("uploads possible again", lambda: _upload_status(maker)[0] == 201, EFFECT_SECONDS, 0.1)


def lift_leftover(planes: Planes) -> None:
    """Lift the order of an earlier check that could not lift it itself; a cell that is away keeps it."""
    left = _left(planes)
    with contextlib.suppress(httpx.TransportError, FileNotFoundError):
        paper = _order(
            planes.deployment.key("authority"), "lift", "an earlier check is over", left.read_text("ascii")
        )
        if _deliver(planes.http["us"], paper).status_code < 500:
            left.unlink()


def _left(planes: Planes) -> Path:
    """Return the file that names the check's order while it is in force."""
    return planes.deployment.oversight / "check-order"
