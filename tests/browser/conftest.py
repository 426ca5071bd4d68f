"""A running cell with its worker, witness and clean room, a few published clips, and a real browser."""

import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from lightwell.apps.demo.deployment import Deployment, prepare
from lightwell.apps.demo.person import Details, Person
from lightwell.apps.demo.supervisor import Supervisor
from lightwell.wire.keys import SigningKey
from tests.browser.receipts_page import CHIP, RECEIPTS, open_list
from tests.conftest import missing
from tests.factories import clips

PHONE = {"width": 390, "height": 844}
PATIENCE = 120
"""Seconds that a page may take to show what it must show: one core may serve everything on a busy machine."""
DESKTOP = {"width": 1440, "height": 900}
PASSWORD = "a long enough password"
CLIPS = 7
_FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

Enter = Callable[..., Page]
expect.set_options(timeout=PATIENCE * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.chromium)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *_FAKE_CAMERA])
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    laid_out = prepare(tmp_path_factory.mktemp("deployment"), fixed_ports=False)
    wanted = [child for child in laid_out.children() if not child.name.startswith("sg ")]
    with Supervisor(laid_out.folder) as supervisor:
        supervisor.start(wanted)
        yield laid_out


@pytest.fixture(scope="package")
def url(deployment: Deployment) -> str:
    return deployment.urls["us"]


def details(handle: str) -> Details:
    """What a made-up person of this handle types at sign-up."""
    return Details(
        handle=handle,
        display_name=handle.title(),
        password=PASSWORD,
        email=f"{handle}@harbour.example",
        phone="+1 202 555 0143",
        birthday="1996-04-02",
        address="12 Pier Road, Portland",
    )


def until(page: Page, expression: str, seconds: float = PATIENCE) -> None:
    """Wait until an expression holds in the page; its policy forbids the eval of Playwright's own waiting."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"still not: {expression}"
        page.wait_for_timeout(100)


def fresh_handle(start: str) -> str:
    """A handle that nobody has yet."""
    return f"{start}.{secrets.token_hex(3)}"


def _wait_for_feed(person: Person, videos: int) -> None:
    """Wait until the cell ranks from all that is published: a slate before that would be short."""
    deadline = time.monotonic() + PATIENCE
    while len(person.feed("newest", 30)["items"]) < videos:
        assert time.monotonic() < deadline, "the feed does not show what is published"
        time.sleep(0.2)


@pytest.fixture(scope="package")
def maker(url: str) -> Iterator[str]:
    """The handle of a maker who has published `CLIPS` videos."""
    with Person(url) as person:
        person.sign_up(details(fresh_handle("mira")))
        made = []
        for number in range(CLIPS):
            upload = person.upload(clips.portrait())
            made.append(person.make_video(upload, f"clip {number} #slowlight", None))
        for video in made:
            person.wait_for_video(video, ["published"], PATIENCE)
        _wait_for_feed(person, len(made))
        yield person.handle


@pytest.fixture
def viewer(url: str, maker: str) -> tuple[str, str]:
    """The handle of a fresh viewer and the name of the cookie's value that signs them in."""
    with Person(url) as person:
        person.sign_up(details(fresh_handle("ida")))
        return person.handle, person.http.cookies["lightwell_session"]


@pytest.fixture
def enter(browser: Browser, url: str) -> Iterator[Enter]:
    """Opens a page of the cell in a context of its own; its troubles end the test."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def opened(path: str, cookie: str | None = None, size: dict[str, int] | None = None) -> Page:
        context = browser.new_context(
            base_url=url,
            viewport=size or PHONE,  # type: ignore[arg-type]
            permissions=["camera", "microphone", "clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        if cookie:
            context.add_cookies([{"name": "lightwell_session", "value": cookie, "url": url}])
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda message: (
                troubles.append(message.text) if "Content Security Policy" in message.text else None
            ),
        )
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles


@pytest.fixture
def ledger_key(deployment: Deployment) -> SigningKey:
    """The private key of the ledger, as an operator holds it who means ill."""
    return SigningKey.from_text((deployment.cell("us") / "keys" / "ledger.key").read_text("ascii"))


@pytest.fixture
def watched(enter: Enter, viewer: tuple[str, str]) -> Page:
    """A page of a viewer whose first slates are kept, in the ledger and cosigned, and held when checked."""
    page = enter("/", viewer[1])
    expect(page.locator(CHIP)).to_have_class(re.compile("is-held"))
    until(page, f"{RECEIPTS}.then((list) => list.length && list.every(({{place}}) => place?.signed))")
    open_list(page)
    expect(page.locator("#sum .notice")).to_have_class(re.compile("is-proof"))
    return page
