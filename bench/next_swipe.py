"""Measures, in Chromium on localhost, the time from a swipe to the first frame of the next clip."""

import shutil
import statistics
from typing import Any

from playwright.sync_api import sync_playwright
from tests.factories.people import form

from bench.running_demo import running_demo

VISITS = 4
SWIPES = 4
LEAST_CLIPS = 7
GOAL_MS = 150.0
DWELL_MS = 1500
# The elements that wait are asked to tell of their next frame; only the one swiped to presents one.
_SWIPE = """() => new Promise((done, fail) => {
  const waiting = [...document.querySelectorAll("video")].filter((video) => video.paused);
  const began = performance.now();
  const listen = (video) => video.requestVideoFrameCallback(() => {
    if (video.paused) listen(video);
    else done(performance.now() - began);
  });
  waiting.forEach(listen);
  setTimeout(() => fail(new Error("no frame within 5 s")), 5000);
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
})"""


def measure() -> list[dict[str, Any]]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with running_demo() as demo, sync_playwright() as playwright:
        client, _ = demo.wait_for_feed(LEAST_CLIPS)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        taken: list[float] = []
        for visit in range(VISITS):
            # A fresh viewer each time: one who has seen it all is shown no more.
            client.cookies.clear()
            client.post("/api/accounts", json=form(f"bench.swipe{visit}")).raise_for_status()
            context = browser.new_context(viewport={"width": 390, "height": 844})
            context.add_cookies(
                [{"name": name, "value": value, "url": demo.url} for name, value in client.cookies.items()]
            )
            page = context.new_page()
            page.goto(demo.url)
            page.wait_for_timeout(4000)
            for _ in range(SWIPES):
                page.wait_for_timeout(DWELL_MS)
                taken.append(page.evaluate(_SWIPE))
            context.close()
        browser.close()
        client.close()
    return [
        {
            "name": "next_swipe",
            "value": round(statistics.median(taken), 1),
            "unit": f"ms, median of {len(taken)} swipes (worst {max(taken):.0f} ms) while clips arrive",
            "better": "lower",
            "goal": GOAL_MS,
            "peer": None,
            "ratio": round(statistics.median(taken) / GOAL_MS, 2),
        }
    ]
