"""The quarantine in a browser: those at home who may look see what was stopped, masked; others a refusal."""

from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from lightwell.apps.demo.deployment import Deployment, badges
from lightwell.base.errors import Problem
from lightwell.product.videos.messages import PublicVideo
from lightwell.residency import gateway
from lightwell.residency.cell import Cell
from tests.browser.conftest import DESKTOP, Enter
from tests.scenarios.two_gateways import message


@pytest.fixture
def keys(deployment: Deployment) -> dict[str, str]:
    return {badge.ident: badge.key.text() for badge in badges(deployment, "us")}


def open_quarantine(enter: Enter, key: str) -> Page:
    page = enter(f"/staff/sign-in#key={quote(key, safe='')}", size=DESKTOP)
    page.wait_for_url("**/staff")
    page.wait_for_selector("#fields label")
    page.get_by_role("link", name="Quarantine").click()
    page.wait_for_selector("#desk:not([hidden]), #desk-trouble .notice")
    return page


def test_reviewer_looks_masked_and_watermarked_and_then_reports(
    enter: Enter, deployment: Deployment, keys: dict[str, str]
) -> None:
    cell = Cell.open(deployment.cell("us"), "test")
    sent = PublicVideo(**message("write to some.body@elsewhere.example about cranes", media={}))
    try:
        with pytest.raises(Problem):
            gateway.send(cell, "sg", sent, {})
    finally:
        cell.close()
    page = open_quarantine(enter, keys["approver"])
    item = page.locator('.request[data-state="waiting"]').first
    expect(item).to_contain_text("An e-mail address")
    expect(item).not_to_contain_text("cranes")
    expect(item.get_by_role("button", name="Discard")).to_have_count(0)
    item.get_by_role("button", name="Look").click()
    expect(item.locator(".reading")).to_contain_text("write to •••••• about cranes")
    expect(item.locator(".watermark")).to_contain_text("UTC")
    item.get_by_role("button", name="Report").click()
    expect(page.locator('.request[data-state="reported"]').first).to_be_visible()


def test_analyst_abroad_sees_the_refusal_and_no_list(enter: Enter, keys: dict[str, str]) -> None:
    page = enter(f"/staff/sign-in#key={quote(keys['abroad'], safe='')}", size=DESKTOP)
    page.wait_for_url("**/staff")
    # There is no link for those who may not look; the page's address is no way around that.
    expect(page.locator("#to-quarantine")).to_be_hidden()
    page.goto("/staff/quarantine")
    expect(page.locator("#desk-trouble .is-breach")).to_contain_text("The refusal is in the ledger.")
    expect(page.locator("#desk")).to_be_hidden()
