"""The staff desk in a browser: signed in by key, refused from abroad, granted at home by somebody else."""

import re
import secrets
from urllib.parse import quote

import pytest
from playwright.sync_api import CDPSession, Locator, Page, expect

from lightwell.apps.demo.deployment import Deployment, badges
from tests.browser.conftest import DESKTOP, Enter


@pytest.fixture
def keys(deployment: Deployment) -> dict[str, str]:
    return {badge.ident: badge.key.text() for badge in badges(deployment, "us")}


def sit_down(enter: Enter, key: str) -> Page:
    page = enter(f"/staff/sign-in#key={quote(key, safe='')}", size=DESKTOP)
    page.wait_for_url("**/staff")
    page.wait_for_selector("#fields label")
    return page


def ask(page: Page, handle: str) -> str:
    """Ask for a handle's fields; return the ticket, which tells this request from those of other tests."""
    ticket = f"CASE-{100_000 + secrets.randbelow(900_000)}"
    page.fill("#subject", handle)
    page.fill("#ticket", ticket)
    page.click("#ask button[type=submit]")
    page.wait_for_selector("#ask-answer .notice")
    return ticket


def card_of(page: Page, ticket: str, status: str) -> Locator:
    return page.locator(f'.request[data-status="{status}"]', has_text=ticket)


def test_staff_abroad_sees_the_refusal(enter: Enter, keys: dict[str, str], maker: str) -> None:
    page = sit_down(enter, keys["abroad"])
    ticket = ask(page, maker)
    said = page.locator("#ask-answer .is-breach")
    expect(said).to_have_text(re.compile(r"Refused\..*recorded in the ledger"))
    expect(card_of(page, ticket, "refused")).to_be_visible()


def test_field_is_read_after_another_person_approved(enter: Enter, keys: dict[str, str], maker: str) -> None:
    analyst = sit_down(enter, keys["analyst"])
    ticket = ask(analyst, maker)
    approver = sit_down(enter, keys["approver"])
    card_of(approver, ticket, "pending").get_by_role("button", name="Approve").click()
    card = card_of(analyst, ticket, "granted")
    show = card.get_by_role("button", name="Show the fields")
    expect(show).to_be_visible(timeout=30_000)
    # The grant counts only once its entry is in the ledger, a moment after it was given.
    for _ in range(100):
        show.click()
        analyst.wait_for_timeout(700)
        if card.locator(".reading").count():
            break
    reading = card.locator(".reading")
    expect(reading).to_contain_text(f"{maker}@harbour.example")
    expect(reading.locator(".is-masked", has_text="Phone")).to_contain_text("••")


def test_key_is_taken_out_of_the_address(enter: Enter, keys: dict[str, str]) -> None:
    page = enter("/staff/sign-in#key=nonsense")
    expect(page.locator("#trouble .is-breach")).to_be_visible()
    assert "#" not in page.url


def with_authenticator(page: Page, *, verifies: bool = True) -> CDPSession:
    """Give the page's browser an authenticator that its person is present at, or does not prove to be."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": verifies,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


def by_name(deployment: Deployment, path: str) -> str:
    """The same page at a name: a passkey belongs to no bare address."""
    return deployment.urls["us"].replace("127.0.0.1", "localhost") + path


def test_passkey_that_was_added_signs_in(enter: Enter, deployment: Deployment, keys: dict[str, str]) -> None:
    page = enter("/staff/sign-in", size=DESKTOP)
    with_authenticator(page)
    expect(page.locator("#passkey")).to_be_disabled()
    page.goto(by_name(deployment, f"/staff/sign-in#key={quote(keys['analyst'], safe='')}"))
    page.wait_for_url("**/staff")
    page.click("#add-passkey")
    expect(page.locator("#add-passkey")).to_be_hidden()
    page.click("#staff-sign-out")
    page.wait_for_url("**/staff/sign-in")
    page.click("#passkey")
    page.wait_for_url("**/staff")
    expect(page.locator("#who")).to_contain_text("Ines Park")
    # The directory changed, and the ledger says so without saying whose.
    assert page.request.get(by_name(deployment, "/api/staff/session")).json()["passkeys"] == 1


def test_passkey_without_its_person_opens_nothing(enter: Enter, deployment: Deployment) -> None:
    page = enter("/staff/sign-in", size=DESKTOP)
    with_authenticator(page)
    page.goto(by_name(deployment, "/staff/sign-in"))
    page.click("#passkey")
    expect(page.locator("#trouble .is-breach")).to_be_visible()
    assert page.request.get(by_name(deployment, "/api/staff/session")).status == 401


def test_what_is_read_carries_who_reads_it(enter: Enter, keys: dict[str, str], maker: str) -> None:
    analyst = sit_down(enter, keys["colleague"])
    analyst.check("#emergency")
    analyst.check("#alone")
    analyst.select_option("#purpose", "security_incident")
    ticket = ask(analyst, maker)
    expect(analyst.locator("#ask-answer .is-proof")).to_be_visible()
    card = card_of(analyst, ticket, "granted")
    expect(card).to_contain_text("emergency, alone")
    for _ in range(100):
        card.get_by_role("button", name="Show the fields").click()
        analyst.wait_for_timeout(700)
        if analyst.locator(".watermark").count():
            break
    expect(analyst.locator(".watermark span").first).to_contain_text("Ruth Alvarez")
    expect(analyst.locator(".read-note")).to_contain_text("recorded in the ledger")
    card.get_by_role("button", name="End it").click()
    approver = sit_down(enter, keys["approver"])
    approver.get_by_role("button", name="It was justified").first.click()
    expect(approver.locator(".request", has_text="found justified").first).to_be_visible()


def test_search_by_what_people_believe_is_refused(enter: Enter, keys: dict[str, str]) -> None:
    page = sit_down(enter, keys["analyst"])
    page.select_option("#by", "interest")
    page.fill("#sought", "ramadan")
    page.click("#find button")
    expect(page.locator("#find-answer .is-breach")).to_contain_text("recorded in the ledger")


def test_staff_abroad_get_counts_with_noise_and_the_same_again(enter: Enter, keys: dict[str, str]) -> None:
    page = sit_down(enter, keys["abroad"])
    page.click(".staff-nav a[href='/staff/counts']")
    page.wait_for_selector("#question option", state="attached")
    left = page.locator("#left")
    before = left.text_content()
    page.select_option("#question", "views_by_hashtag")
    page.click("#ask button[type=submit]")
    first = page.locator(".counts").first
    expect(first).to_be_visible()
    expect(left).not_to_have_text(before or "")
    spent = left.text_content()
    page.click("#ask button[type=submit]")
    expect(page.locator(".count-card").first).to_contain_text("cost nothing")
    assert page.locator(".counts").nth(0).inner_text() == page.locator(".counts").nth(1).inner_text()
    expect(left).to_have_text(spent or "")
