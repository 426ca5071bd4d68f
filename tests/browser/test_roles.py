"""Five people, one story: asked at home, approved, looked at, refused abroad; all are led to one entry."""

import re
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from lightwell.apps.demo.deployment import Deployment, badges
from lightwell.wire import merkle
from lightwell.wire.entries import AccessDecided, decode
from tests.browser.conftest import DESKTOP, PHONE, Enter, details

EMAIL = "user.contact.email"


@dataclass
class Roles:
    """Each role at its own page, by the way that the demo prints: a link with a key, or a session."""

    analyst: Page
    approver: Page
    abroad: Page
    partner: Page
    viewer: Page
    handle: str


@pytest.fixture
def roles(enter: Enter, deployment: Deployment, viewer: tuple[str, str]) -> Roles:
    keys = {badge.ident: badge.key.text() for badge in badges(deployment, "us")}

    def sit(ident: str, size: dict[str, int]) -> Page:
        page = enter(f"/staff/sign-in#key={quote(keys[ident], safe='')}", size=size)
        page.wait_for_url("**/staff")
        page.wait_for_selector("#fields label")
        return page

    return Roles(
        sit("analyst", DESKTOP),
        sit("approver", PHONE),
        sit("abroad", DESKTOP),
        sit("partner", DESKTOP),
        enter("/me", viewer[1], PHONE),
        viewer[0],
    )


def ask(page: Page, handle: str) -> None:
    page.fill("#subject", handle)
    page.fill("#ticket", "CASE-7")
    page.click("#ask-button")
    page.wait_for_selector("#ask-answer .notice")


def entry_of(place: Locator) -> str:
    """Return the number of the entry that a card links to, once the ledger has it."""
    link = place.locator("a.entry").first
    expect(link).to_be_visible(timeout=30_000)
    return str(link.get_attribute("href")).rpartition("=")[2]


def follow(page: Page, link: Locator) -> str:
    """Follow a link to an entry's proof; return its text once the browser has checked every step."""
    link.click()
    expect(page.locator(".notice.is-proof")).to_contain_text("steps held", timeout=30_000)
    assert page.locator(".step").count() == page.locator(".step.is-held").count() >= 4
    return page.locator("#proof pre").inner_text()


def test_every_role_sees_the_same_decision_and_its_entry_verifies(
    roles: Roles, deployment: Deployment
) -> None:
    # The analyst at home asks; the approver, on a phone, sees first of all that it waits, and approves.
    ask(roles.analyst, roles.handle)
    approver = roles.approver
    expect(approver.locator("#waiting")).to_contain_text("for you", timeout=30_000)
    waiting = approver.locator(".request", has_text=f"@{roles.handle}")
    waiting.get_by_role("button", name="Approve").click()
    expect(waiting).to_have_attribute("data-status", "granted")
    box = waiting.bounding_box()
    assert box is not None
    assert box["y"] < PHONE["height"], "what waits for an approver is on the first screen"

    # The analyst looks, under the grant that the entry opened.
    card = roles.analyst.locator(".request", has_text=f"@{roles.handle}")
    number = entry_of(card)
    card.get_by_role("button", name="Show the fields").click()
    expect(card.locator(".reading")).to_contain_text(details(roles.handle).email)

    # The analyst abroad is told before, is refused, and gets a count with noise in its place.
    abroad = roles.abroad
    expect(abroad.locator("#ask-note")).to_contain_text("From sg nobody sees a person's data")
    expect(abroad.locator("#to-quarantine")).to_be_hidden()
    ask(abroad, roles.handle)
    expect(abroad.locator("#ask-answer .is-breach")).to_contain_text("recorded in the ledger")
    refused = entry_of(abroad.locator('.request[data-status="refused"]').first)
    abroad.click("#ask-note a")
    abroad.wait_for_selector("#question option", state="attached")
    abroad.click("#ask button[type=submit]")
    expect(abroad.locator(".count-card").first).to_contain_text("Nine in ten answers are within")

    # The viewer finds it among their own data: who, why, how often; and is led to the same entry.
    viewer = roles.viewer
    viewer.reload()
    look = viewer.locator("#own-looks [data-look]").first
    expect(look).to_contain_text("analyst in us")
    expect(look).to_contain_text("They looked once.")
    assert entry_of(look) == number
    seen = follow(viewer, look.locator("a.entry"))
    assert '"outcome": "granted"' in seen
    assert roles.handle not in seen

    # The approver's card leads there too, and so does the partner's, at the desk and at the monitor.
    assert entry_of(approver.locator(".request", has_text=f"@{roles.handle}")) == number
    partner = roles.partner
    assert entry_of(partner.locator(".request", has_text=f"@{roles.handle}")) == number
    expect(partner.locator("#to-quarantine")).to_be_visible()
    partner.get_by_role("link", name="Monitor").click()
    row = partner.locator("#requests tr", has=partner.get_by_role("link", name=number, exact=True))
    for _ in range(30):
        if row.count():
            break
        partner.wait_for_timeout(500)
        partner.reload()
    expect(row).to_contain_text("granted")
    row.get_by_role("link", name=number, exact=True).click()
    expect(partner.locator("body")).to_contain_text(re.compile(r"included\s+in the tree"))
    assert follow(partner, partner.get_by_role("link", name="Check it in your browser")) == seen
    assert partner.get_by_role("link", name="What the monitor says of it").get_attribute("href") == (
        f"{deployment.urls['oversight']}/entries/us/{number}"
    )

    # What they all saw is what anybody computes from the public files.
    decided = _entry(deployment, int(number))
    assert (decided.outcome, decided.approvals) == ("granted", 1)
    assert (_entry(deployment, int(refused)).outcome, _entry(deployment, int(refused)).reason) == (
        "refused",
        "not-at-home",
    )


def _entry(deployment: Deployment, index: int) -> AccessDecided:
    """Read an entry from the monitor's copy, and hold the cell's proof of it against its bytes."""
    text = httpx.get(f"{deployment.urls['oversight']}/entries/us/{index}").text
    found = re.search(r'<pre class="note">(.*?)</pre>', text, re.S)
    assert found is not None
    data = found[1].replace("&#34;", '"').encode()
    place = httpx.get(f"{deployment.urls['us']}/ledger/proof?leaf={merkle.leaf_hash(data).hex()}").json()
    assert place["index"] == index
    decoded = decode(data)
    assert isinstance(decoded, AccessDecided)
    return decoded


def test_an_entry_that_is_not_there_is_not_called_checked(enter: Enter) -> None:
    page = enter("/proof?entry=99999999")
    expect(page.locator("#proof .notice")).to_contain_text("There is no such entry yet")
    page.goto("/proof?entry=-1")
    expect(page.locator("#proof .is-breach")).to_contain_text("This is no entry")


def test_whoever_may_not_review_has_no_link_that_would_record_a_refusal(
    enter: Enter, deployment: Deployment
) -> None:
    keys = {badge.ident: badge.key.text() for badge in badges(deployment, "us")}
    page = enter(f"/staff/sign-in#key={quote(keys['analyst'], safe='')}", size=PHONE)
    page.wait_for_url("**/staff")
    page.wait_for_selector("#fields label")
    expect(page.locator("#to-quarantine")).to_be_hidden()
    expect(page.locator("#ask-note")).to_be_hidden()
