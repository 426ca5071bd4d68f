"""The receipts page as a test reads it: its list, its chips, and what the browser keeps behind them."""

import re

from playwright.sync_api import Page, expect

CHIP = ".slide:not([inert]) .chip"
STATES = "[data-standing]"
RECEIPTS = "import('/static/js/receipts.js').then((m) => m.receipts())"
LEDGERS = "import('/static/js/ledgers.js').then((m) => m.ledgers())"


def open_list(page: Page) -> None:
    page.goto("/proof")
    settled(page)


def settled(page: Page) -> None:
    """Wait until the list has been checked."""
    page.wait_for_selector('#sum[data-busy="false"]')  # a busy machine ranks again for long


def open_first(page: Page) -> None:
    """Open the newest receipt of the list, and wait until it has been checked."""
    page.locator(".receipts a").first.click()
    page.wait_for_selector(".steps-list")


def check_now(page: Page) -> None:
    page.click("#again")
    settled(page)


def standings(page: Page) -> set[str]:
    return {chip.get_attribute("data-standing") or "" for chip in page.locator(STATES).all()}


def seen_size(page: Page) -> int:
    """How large the ledger was when this browser last found it in order."""
    return int(page.evaluate(LEDGERS)[0]["newest"]["size"])


def stays_red(page: Page, words: str) -> None:
    """The reason stands now, after a reload, on the feed, and after the honest ledger is back and checked."""
    expect(page.locator("#proof")).to_contain_text(words)
    page.unroute_all(behavior="wait")
    page.reload()
    settled(page)
    expect(page.locator("#proof")).to_contain_text(words)
    expect(page.locator("#sum .notice")).to_have_class(re.compile("is-breach"))
    assert "failed" in standings(page)
    page.goto("/")
    alarm = page.locator("#alarm")
    expect(alarm).to_be_visible()
    expect(alarm).to_contain_text("not hold")
    alarm.click()
    expect(page.locator("#proof")).to_contain_text(words)
