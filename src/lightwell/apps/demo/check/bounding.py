"""Steps at the border: what is published crosses, what is protected does not, and no canary is abroad."""

import base64
import datetime
import hashlib
import secrets
import time
from typing import Any

import httpx

from lightwell.agreement.roster import seats_of
from lightwell.apps.demo.check.planes import Journal, Planes
from lightwell.apps.demo.check.steps import StepFailed, wait_for
from lightwell.apps.demo.deployment import CELLS, badges
from lightwell.apps.demo.person import expect, slug_of
from lightwell.apps.demo.staff_desk import StaffDesk
from lightwell.apps.scan import search_folders
from lightwell.residency import gateway_tls
from lightwell.residency.keys import KeyVault
from lightwell.wire import canonical, signed_request
from lightwell.wire.entries import (
    AccessDecided,
    AccessUsed,
    TransferReceived,
    TransferRefused,
    TransferSent,
)
from lightwell.wire.keys import SigningKey

FIELDS = ("user.contact.email", "user.contact.phone_number")
_NAMED = 3


def public_video_crosses(planes: Planes, journal: Journal) -> str:
    """Wait until the guest in the other cell can watch the video, and pair the transfer's two entries."""
    video_id, guest = journal.need("video"), journal.person("guest")
    video: dict[str, Any] = {}

    def arrived() -> bool:
        answer = guest.http.get(f"/api/videos/{video_id}")
        if answer.status_code == 404:
            return False
        video.update(expect(answer, 200))
        return str(video["status"]) == "published"

    waited = wait_for("the video in the sg cell", arrived, planes.clock.limit(40, kept=25))
    if video["creator"]["cell"] != "us":
        raise StepFailed(f"the video is said to be of cell {video['creator']['cell']!r}")
    for name in ("540", "720", "poster"):
        media = guest.http.get(video["media"][name])
        if hashlib.sha256(media.content).hexdigest() != journal.facts[f"media {name}"]:
            raise StepFailed(
                f"the {name} rendition abroad ({media.status_code}) is not the one published at home"
            )

    def in_feed() -> bool:
        items = guest.feed("newest", 30)["items"]
        return any(item["video"]["video_id"] == video_id for item in items)

    wait_for("the video in the guest's feed", in_feed, planes.clock.limit(20, kept=25), every=0.5)

    def paired() -> bool:
        sent = {e.transfer: e.digest for e in _since(planes, journal, "us") if isinstance(e, TransferSent)}
        received = [e for e in _since(planes, journal, "sg") if isinstance(e, TransferReceived)]
        return any(sent.get(e.transfer) == e.digest for e in received)

    wait_for("TransferSent in us and its TransferReceived in sg", paired, planes.clock.limit(10, kept=20))
    return f"watched from sg {waited:.1f} s later, same bytes; sent and received entries pair"


def _since(planes: Planes, journal: Journal, cell: str) -> list[Any]:
    start = journal.start.get(cell)
    return planes.readers[cell].since(start.size if start else 0)


def protected_field_refused(planes: Planes, journal: Journal) -> str:
    """Send protected data through the gateway with the home cell's own key, and see each attempt refused."""
    bird = journal.birds.get("maker")
    if bird is None:
        raise StepFailed("not tried: there is no protected value, sign_up did not hold")
    honest = _message(bird.details.handle, str(journal.facts.get("video", secrets.token_hex(8))))
    mail = bird.details.email
    nested = base64.b64encode(f'{{"contact":"{mail}"}}'.encode()).decode()
    attempts = {
        "a field for it": ({**honest, "creator_email": mail}, "public-video"),
        "the caption": ({**honest, "caption": f"write to {mail}"}, "public-video"),
        "base64 in the caption": ({**honest, "caption": f"see {nested}"}, "public-video"),
        "a flow that the agreement does not name": ({**honest, "email": mail}, "account-details"),
    }
    reasons: dict[str, str] = {}
    transfers: dict[str, str] = {}
    for way, (message, flow) in attempts.items():
        transfers[way] = secrets.token_hex(8)
        answer = _transfer(planes, message, flow, transfers[way])
        if answer.status_code < 400 or answer.status_code >= 500 or answer.status_code == 409:
            raise StepFailed(f"an e-mail address in {way} was answered {answer.status_code}, not refused")
        if mail in answer.text:
            raise StepFailed(f"the refusal of {way} repeats the protected value")
        reasons[way] = str(answer.json().get("reason", slug_of(answer.json())))
    if _transfer(planes, honest, "public-video", secrets.token_hex(8), signed=False).status_code != 401:
        raise StepFailed("a transfer that no gateway has signed was not refused")
    if _answers_strangers(planes):
        raise StepFailed("the gateway spoke to one without a peer's certificate")

    def recorded() -> bool:
        entries = [e for e in _since(planes, journal, "sg") if isinstance(e, TransferRefused)]
        return set(transfers.values()) <= {e.transfer for e in entries}

    wait_for("the refusals in the ledger", recorded, planes.clock.limit(10, kept=20))
    return "; ".join(f"{way}: {reason}" for way, reason in reasons.items()) + "; all in the ledger"


def _message(handle: str, video_id: str) -> dict[str, Any]:
    digest = hashlib.sha256(video_id.encode()).hexdigest()
    return {
        "video_id": video_id,
        "origin_cell": "us",
        "creator_handle": handle,
        "creator_name": "Maker",
        "caption": "an ordinary caption",
        "hashtags": [],
        "sound_title": "",
        "sound_artist": "",
        "duration_ms": 7000,
        "width": 720,
        "height": 1280,
        "published_at": int(time.time() * 1000),
        "media": dict.fromkeys(("540.mp4", "720.mp4", "poster.jpg"), digest),
    }


def _transfer(
    planes: Planes, message: dict[str, Any], flow: str, transfer: str, *, signed: bool = True
) -> httpx.Response:
    """Post a message to the sg gateway as the us gateway would: the worst case, its key in wrong hands."""
    envelope = {
        "v": 1,
        "transfer": transfer,
        "flow": flow,
        "source": "us",
        "target": "sg",
        "salt": secrets.token_hex(16),
        "message": message,
    }
    body = canonical.encode(envelope)
    key = KeyVault.open(planes.deployment.cell("us")).signing_key("gateway")
    path = "/gateway/transfers"
    headers = (
        signed_request.headers(key, "POST", path, hashlib.sha256(body).hexdigest(), int(time.time()))
        if signed
        else {}
    )
    with _gateway_client(planes, key) as client:
        return client.post(
            planes.deployment.gateways["sg"] + path,
            content=body,
            headers={**headers, "content-type": "application/json"},
            extensions={"sni_hostname": gateway_tls.server_name("sg")},
        )


def _gateway_client(planes: Planes, key: SigningKey) -> httpx.Client:
    own = gateway_tls.identity(key, "us", datetime.datetime.now(datetime.UTC))
    vkey = seats_of(planes.deployment.roster(), "gateway", "sg")[0].vkey
    return httpx.Client(timeout=10.0, trust_env=False, verify=gateway_tls.client_context(own, vkey))


def _answers_strangers(planes: Planes) -> bool:
    """Say whether the sg gateway talks to one who has a certificate, but no gateway seat's."""
    stranger = SigningKey.generate("lightwell/us/gateway", secrets.token_bytes(32))
    try:
        with _gateway_client(planes, stranger) as client:
            client.get(
                planes.deployment.gateways["sg"] + "/gateway/transfers",
                extensions={"sni_hostname": gateway_tls.server_name("sg")},
            )
    except httpx.TransportError:
        return False
    return True


def foreign_staff_refused(planes: Planes, journal: Journal) -> str:
    """Let staff abroad ask for the viewer's mail address; then let staff at home ask for the same."""
    handle = journal.person("viewer").handle
    keys = {badge.ident: badge.key for badge in badges(planes.deployment, "us")}
    ask = {
        "subject": handle,
        "fields": list(FIELDS),
        "purpose": "account_support",
        "minutes": 15,
        "ticket": "SUP-1",
    }
    refused = []
    for ident in ("abroad", "parent"):
        with StaffDesk(planes.deployment.urls["us"], keys[ident]) as desk:
            answer = desk.http.post("/api/access/requests", json=ask)
            problem = answer.json()
            if answer.status_code != 403 or slug_of(problem) != "refused":
                raise StepFailed(
                    f"the request of staff ({ident}) was answered {answer.status_code}: {answer.text[:200]}"
                )
            if journal.birds["viewer"].details.email in answer.text:
                raise StepFailed("the refusal itself shows the field")
            refused.append(str(problem["reason"]))

    def recorded() -> bool:
        entries = [e for e in _since(planes, journal, "us") if isinstance(e, AccessDecided)]
        reasons = [e.reason for e in entries if e.outcome == "refused"]
        return all(reason in reasons for reason in refused)

    wait_for("the refusals in the ledger", recorded, planes.clock.limit(10, kept=20))
    seconds = _granted_at_home(planes, journal, keys, ask)
    return (
        f"refused ({refused[0]}) and, for a line to the parent, ({refused[1]}), both in the ledger; "
        f"granted at home by a second person and read {seconds:.1f} s later"
    )


def _granted_at_home(planes: Planes, journal: Journal, keys: dict[str, Any], ask: dict[str, Any]) -> float:
    """Show that the same request is granted where it may be: a door that is always shut proves nothing."""
    started = time.monotonic()
    url = planes.deployment.urls["us"]
    with StaffDesk(url, keys["analyst"]) as analyst, StaffDesk(url, keys["approver"]) as approver:
        request_id = str(expect(analyst.http.post("/api/access/requests", json=ask), 201)["request_id"])
        own = analyst.http.post(f"/api/access/requests/{request_id}/approve")
        if own.status_code not in (403, 409):
            raise StepFailed(f"the asker's own approval was answered {own.status_code}")
        approved = approver.http.post(f"/api/access/requests/{request_id}/approve")
        if approved.status_code not in (200, 201):
            raise StepFailed(
                f"approval by a second person was answered {approved.status_code}: {approved.text[:200]}"
            )
        fields: dict[str, Any] = {}

        def readable() -> bool:
            # The grant is live once its entry is in the tree; until then reading is refused.
            answer = analyst.http.get(f"/api/access/requests/{request_id}/fields")
            if answer.status_code == 200:
                fields.update(answer.json()["fields"])
            return answer.status_code == 200

        wait_for("the granted fields", readable, planes.clock.limit(10, kept=20))
        details = journal.birds["viewer"].details
        wanted = {"user.contact.email": details.email, "user.contact.phone_number": details.phone}
        if any(fields.get(name) != value for name, value in wanted.items()):
            raise StepFailed("the granted fields are not those of the account")
        if any(details.birthday in str(v) or details.address in str(v) for v in fields.values()):
            raise StepFailed("more than the granted fields was shown")
        analyst.http.post(f"/api/access/requests/{request_id}/revoke")
        approver.http.post(f"/api/access/requests/{request_id}/revoke")
        again = analyst.http.get(f"/api/access/requests/{request_id}/fields")
        if again.status_code == 200:
            raise StepFailed("a revoked grant still reads")

    def used() -> bool:
        return any(
            isinstance(e, AccessUsed) and e.request == request_id for e in _since(planes, journal, "us")
        )

    wait_for("the look in the ledger", used, planes.clock.limit(10, kept=20))
    return time.monotonic() - started


def canary_not_found_abroad(planes: Planes, journal: Journal) -> str:
    """Search every byte of the other planes, and of the public ledgers, for each planted value."""
    if not journal.birds:
        raise StepFailed("not tried: no account was made, so no canary was planted")
    deployment = planes.deployment
    total = 0
    found: list[str] = []
    for home in CELLS:
        canaries = [c for bird in journal.birds.values() if bird.cell == home for c in bird.canaries()]
        if not canaries:
            raise StepFailed(f"not tried: no canary was planted in {home}")
        abroad = [deployment.cell(name) for name in CELLS if name != home]
        public = deployment.cell(home) / "ledger"
        places = [*abroad, deployment.oversight, public, deployment.cell(home) / "logs"]
        finds, read = search_folders(places, [c.value for c in canaries])
        total += read
        found += [f"{canaries[f.value].category} of {home} ({f.form}) in {f.place}" for f in finds]
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise StepFailed("; ".join(found[:_NAMED]) + more)
    planted = sum(len(bird.canaries()) for bird in journal.birds.values())
    return f"{planted} canaries, {total / 1e6:.0f} MB read abroad, at the monitor, in ledgers and logs: none"
