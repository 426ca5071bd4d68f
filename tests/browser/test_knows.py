"""The page of what the feed knows: true to what the viewer did, and each thing can be taken back."""

import secrets
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Enter


def tell(page: Page, *events: dict[str, Any]) -> None:
    """Report events as the page's own browser does."""
    body = {"events": [{"event_id": secrets.token_hex(16)} | event for event in events]}
    answer = page.request.post("/api/events", data=body)
    assert answer.status == 202, answer.text()


def clips_of(page: Page, maker: str) -> list[str]:
    slate = page.request.get("/api/feed?tab=newest&k=7").json()
    return [
        item["video"]["video_id"] for item in slate["items"] if item["video"]["creator"]["handle"] == maker
    ]


def test_page_shows_what_was_watched_and_what_that_says(
    enter: Enter, viewer: tuple[str, str], maker: str
) -> None:
    page = enter("/me/feed", viewer[1])
    expect(page.locator("#knows")).to_contain_text("Nothing yet")
    videos = clips_of(page, maker)
    tell(
        page,
        *({"kind": "watch", "video_id": video, "watch_ms": 60_000} for video in videos[:3]),
        {"kind": "skip", "video_id": videos[3], "watch_ms": 10},
        {"kind": "like", "video_id": videos[0]},
    )
    page.reload()
    tastes = page.locator(".taste", has_text="#slowlight")
    expect(tastes).to_contain_text("3 of 4")
    expect(
        page.locator("section", has=page.get_by_role("heading", name="Watched")).locator(".tile")
    ).to_have_count(3)
    left = page.locator("section", has=page.get_by_role("heading", name="Left at once"))
    expect(left.locator("a")).to_have_attribute("href", f"/v/{videos[3]}")
    expect(
        page.locator("section", has=page.get_by_role("heading", name="Liked")).locator(".tile")
    ).to_have_count(1)


def test_what_was_hidden_muted_or_blocked_can_be_taken_back(
    enter: Enter, viewer: tuple[str, str], maker: str
) -> None:
    page = enter("/me/feed", viewer[1])
    videos = clips_of(page, maker)
    tell(page, {"kind": "hide", "video_id": videos[0]}, {"kind": "mute", "video_id": videos[1]})
    tell(page, {"kind": "block", "video_id": videos[1]})
    page.reload()
    for words in ("Show again", "Unmute", "Unblock"):
        button = page.get_by_role("button", name=words)
        button.click()
        expect(button).to_have_count(0)
    state = page.request.get("/api/me/viewer").json()
    assert (state["hidden"], state["muted"], state["blocked"]) == ([], [], [])


def test_feed_without_profiling_is_chosen_with_a_switch_and_stays_chosen(
    enter: Enter, viewer: tuple[str, str]
) -> None:
    page = enter("/me/feed", viewer[1])
    switch = page.get_by_role("switch", name="A feed of your own")
    expect(switch).to_be_checked()
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).not_to_be_checked()
    expect(page.locator("#choose-words")).to_contain_text("nothing about you")
    page.reload()
    expect(switch).not_to_be_checked()
    switch.click()
    expect(switch).to_be_checked()
    assert page.request.get("/api/me/viewer").json()["without_profiling"] is False


def test_page_of_what_the_feed_knows_is_shown_to_its_viewer_only(enter: Enter) -> None:
    page = enter("/me/feed")
    assert "/sign-in?next=/me/feed" in page.url
