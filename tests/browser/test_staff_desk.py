"""The staff desk in a browser: signed in by key, refused from abroad, granted at home by somebody else."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

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


def ask(page: Page, handle: str) -> None:
    page.fill("#subject", handle)
    page.fill("#ticket", "CASE-7")
    page.click("#ask button[type=submit]")
    page.wait_for_selector("#ask-answer .notice")


def test_staff_abroad_sees_the_refusal(enter: Enter, keys: dict[str, str], maker: str) -> None:
    page = sit_down(enter, keys["abroad"])
    ask(page, maker)
    said = page.locator("#ask-answer .is-breach")
    expect(said).to_have_text(re.compile(r"Refused\..*recorded in the ledger"))
    expect(page.locator('.request[data-status="refused"]').first).to_be_visible()


def test_field_is_read_after_another_person_approved(enter: Enter, keys: dict[str, str], maker: str) -> None:
    analyst = sit_down(enter, keys["analyst"])
    ask(analyst, maker)
    approver = sit_down(enter, keys["approver"])
    approver.locator('.request[data-status="pending"]').first.get_by_role("button", name="Approve").click()
    show = analyst.locator('.request[data-status="granted"]').first.get_by_role(
        "button", name="Show the fields"
    )
    expect(show).to_be_visible(timeout=30_000)
    # The grant counts only once its entry is in the ledger, a moment after it was given.
    for _ in range(10):
        show.click()
        analyst.wait_for_timeout(700)
        if analyst.locator(".reading").count():
            break
    reading = analyst.locator(".reading").first
    expect(reading).to_contain_text(f"{maker}@harbour.example")
    expect(reading.locator(".is-masked", has_text="Phone")).to_contain_text("••")


def test_key_is_taken_out_of_the_address(enter: Enter, keys: dict[str, str]) -> None:
    page = enter("/staff/sign-in#key=nonsense")
    expect(page.locator("#trouble .is-breach")).to_be_visible()
    assert "#" not in page.url
