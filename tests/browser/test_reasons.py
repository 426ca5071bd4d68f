"""Reasons are worked out from the slate's record when asked; the end of a feed says so and offers more."""

import re

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Enter

CURRENT = ".slide:not([inert])"


def open_why(page: Page) -> None:
    page.wait_for_selector(f"{CURRENT} .foot")
    page.keyboard.press("w")


def test_the_panel_shows_a_sum_that_makes_the_score(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/", viewer[1])
    open_why(page)
    expect(page.locator(".sum-total")).to_be_visible(timeout=30_000)
    parts = page.locator(".sum li:not(.sum-total) .sum-points").all_inner_texts()
    total = page.locator(".sum-total .sum-points").inner_text()
    assert sum(number(part) for part in parts) == number(total)
    assert "Not itemised" not in page.locator(".sum").inner_text()


def test_reasons_of_another_ranking_are_not_shown(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/sounds", viewer[1])

    def altered(route: Route) -> None:
        response = route.fetch()
        answer = response.json() | {"agrees": False}
        route.fulfill(response=response, json=answer)

    page.route("**/api/slates/*/why", altered)
    page.goto("/")
    open_why(page)
    expect(page.locator(".why-sum")).to_contain_text("the slate came out otherwise")
    expect(page.locator(".sum")).to_have_count(0)


def test_the_end_of_the_feed_is_said_and_more_is_offered(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/", viewer[1])
    page.click("[data-tab=newest]")
    page.wait_for_selector(f"{CURRENT} .foot")
    state = page.locator("#feed-state")
    for _ in range(40):
        if state.is_visible():
            break
        page.keyboard.press("j")
        page.wait_for_timeout(250)
    expect(state).to_contain_text("You have seen it all")
    state.get_by_role("button", name="Open For you").click()
    expect(page.locator("[data-tab=for_you]")).to_have_attribute("aria-current", "true")


def number(text: str) -> int:
    return int(re.sub(r"[^0-9-]", "", text.replace("−", "-")))
