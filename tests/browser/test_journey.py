"""What a person does in a browser: sign up, make, publish, watch, like, and see that it was checked."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PASSWORD, Enter, fresh_handle, until
from tests.factories import clips


def sign_up(page: Page, handle: str) -> None:
    page.fill("[name=handle]", handle)
    page.fill("[name=display_name]", "Ida Park")
    page.fill("[name=email]", f"{handle}@harbour.example")
    page.fill("[name=birthday]", "1996-04-02")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#feed")


def test_person_signs_up_uploads_publishes_and_finds_the_video(enter: Enter) -> None:
    page = enter("/sign-up")
    sign_up(page, fresh_handle("kiln"))
    page.click(".nav-create")
    page.set_input_files("#file", clips.portrait())
    page.click("#choose-sound")
    page.click("dialog .sound:nth-child(2) >> text=Use")
    page.fill("#caption", "from the browser #first")
    page.wait_for_selector(".sending.is-there")
    page.click("#publish")
    page.wait_for_selector('.done[data-status="published"]')
    page.click("text=Watch it")
    expect(page.locator(".caption")).to_have_text("from the browser #first")
    until(page, "document.querySelector('.player.is-ready')?.currentTime > 0.2")


def test_video_recorded_in_the_page_is_published(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/create", viewer[1])
    page.click("#record")
    page.wait_for_selector(".live")
    until(page, "document.querySelector('.live')?.readyState >= 2")
    page.click(".record")
    page.wait_for_timeout(2500)
    page.click(".record")
    page.wait_for_selector(".sending.is-there")
    page.click("#publish")
    page.wait_for_selector('.done[data-status="published"]')


def test_file_that_is_no_video_is_refused_with_words(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/create", viewer[1])
    page.set_input_files(
        "#file", {"name": "notes.mp4", "mimeType": "video/mp4", "buffer": b"not a video\n" * 99}
    )
    page.click("#publish")
    refused = page.locator("#create .notice.is-breach").last
    expect(refused).to_be_visible(timeout=60_000)
    assert len(refused.inner_text()) > 20


def test_viewer_watches_likes_and_sees_the_verified_mark(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/", viewer[1])
    chip = page.locator(".slide:not([inert]) .chip")
    expect(chip).to_have_class(re.compile("is-held"))
    expect(chip).to_have_text(re.compile("Checked"))
    until(page, "[...document.querySelectorAll('video')].some((v) => v.currentTime > 0.5)")
    page.keyboard.press("l")
    expect(page.locator(".slide:not([inert]) [data-act=like]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("w")
    card = page.locator(".proof-card")
    expect(card).to_have_text(re.compile(r"is entry [\d,]+ of the us ledger"))
    expect(page.locator(".sheet")).to_contain_text("No promotion.")
    card.get_by_role("link").click()
    expect(page.locator(".notice.is-proof")).to_have_text(re.compile(r"All \d+ steps held"))
    page.goto("/me")
    expect(page.locator("#own-viewer .figures")).to_contain_text("1liked")


def test_desktop_plays_the_same_feed(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/", viewer[1], DESKTOP)
    expect(page.locator(".slide:not([inert]) .chip.is-held")).to_be_visible(timeout=30_000)
    page.click("#down")
    expect(page.locator(".slide >> nth=1")).not_to_have_attribute("inert", "")


def test_own_data_says_where_each_field_is_kept(enter: Enter, viewer: tuple[str, str]) -> None:
    page = enter("/me", viewer[1])
    row = page.locator(".fact", has_text="E-mail")
    expect(row).to_contain_text(f"{viewer[0]}@harbour.example")
    expect(row).to_contain_text("sealed in us")
