"""Chance is the viewer's: the page draws a number for each slate, and finds a cell that ranks by another."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Enter
from tests.browser.receipts_page import CHIP, RECEIPTS, open_first, open_list, settled

SEED = '[data-step="seed"]'


def test_each_slate_is_drawn_from_a_number_of_its_own_and_the_receipt_shows_it(watched: Page) -> None:
    kept = watched.evaluate(RECEIPTS)
    numbers = [receipt["nonce"] for receipt in kept]
    assert all(re.fullmatch("[0-9a-f]{32}", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)
    open_first(watched)
    expect(watched.locator(SEED)).to_have_class(re.compile("is-held"))
    expect(watched.locator(SEED)).to_contain_text("from the number")


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("", "The record says that this browser gave no number"),
        ("&nonce=" + "5e" * 16, "The record names another number than this browser gave"),
    ],
)
def test_a_cell_that_draws_for_the_viewer_is_found(
    enter: Enter, viewer: tuple[str, str], sent: str, words: str
) -> None:
    page = enter("/sounds", viewer[1])

    def other(route: Route) -> None:
        url = re.sub(r"&nonce=[0-9a-f]{32}", sent, route.request.url)
        route.fulfill(response=route.fetch(url=url))

    page.route("**/api/feed?*", other)
    page.goto("/")
    expect(page.locator(CHIP)).to_have_class(re.compile("is-held"))
    open_list(page)
    open_first(page)
    expect(page.locator(SEED)).to_have_class(re.compile("is-failed"))
    expect(page.locator(SEED)).to_contain_text(words)
    # It stays with the receipt, whatever comes after.
    page.unroute_all(behavior="wait")
    open_list(page)
    settled(page)
    expect(page.locator("#proof")).to_contain_text(words)


def test_a_request_that_fails_is_asked_again_with_the_same_number(
    enter: Enter, viewer: tuple[str, str]
) -> None:
    page = enter("/sounds", viewer[1])
    asked: list[str] = []

    def failing(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=503, json={"status": 503, "title": "Not ready", "detail": "Not yet."})
        else:
            route.continue_()

    page.route("**/api/feed?tab=for_you*", failing)
    page.goto("/")
    page.evaluate(
        "import('/static/js/feed/slates.js').then(async (m) => {"
        " for (let i = 0; i < 3; i++) await m.fetchSlate('for_you').catch(() => null); })"
    )
    numbers = [re.search(r"nonce=([0-9a-f]{32})", url).group(1) for url in asked]  # type: ignore[union-attr]
    assert len(numbers) >= 3
    assert numbers[0] == numbers[1]
    assert len(set(numbers[1:])) == len(numbers) - 1
